"""A small body in the layout of SMPL-X's own file."""

import numpy as np

from cospeech.skeleton import NUM_JOINTS, PARENTS


def smplx_arrays(rng, count: int = 120, directions: int = 20) -> dict[str, np.ndarray]:
    """A small body in the layout of an SMPL-X file, of random content."""
    regressor, weights = rng.uniform(size=(NUM_JOINTS, count)), rng.uniform(size=(count, NUM_JOINTS)) ** 8
    parents = np.array(PARENTS, dtype=np.int64) % 2**32  # the root's parent is 4294967295 there
    return {
        "v_template": rng.normal(size=(count, 3)),
        "f": rng.integers(0, count, (200, 3)).astype(np.uint32),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "shapedirs": 0.1 * rng.normal(size=(count, 3, directions)),
        "posedirs": 0.01 * rng.normal(size=(count, 3, (NUM_JOINTS - 1) * 9)),
        "kintree_table": np.stack([parents, np.arange(NUM_JOINTS)]),
        "hands_meanl": rng.normal(size=45),
        "hands_meanr": rng.normal(size=45),
    }
