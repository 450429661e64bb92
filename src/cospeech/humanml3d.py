"""The motion vector of HumanML3D with both hands: 623 numbers a frame, and what of it belongs to which body part.

[1] Guo et al. 2022, HumanML3D, doi 10.1109/CVPR52688.2022.00509
[2] Chen et al. 2024, SynTalker, arXiv:2410.00464, system T: 52 joints, SMPL-X's without jaw and eyes

Columns: 0 turn of the root about y, half the angle, a frame; 1, 2 its step along x and z, seen by the root; 3 its
height; then of joints 1 to 51 the positions seen by the root and their 6-D rotations (two columns of the matrix); of
joints 0 to 51 the velocities; last the contacts of left ankle, left foot, right ankle, right foot. 30 frames a second.
"""

from collections.abc import Mapping

import numpy as np

NUM_JOINTS = 52
CHANNELS = 623
_POSITIONS, _ROTATIONS, _VELOCITIES = 4, 157, 463  # first columns
_ROOT = (0, 1, 2, 3, 619, 620, 621, 622)  # of no joint: they go with the legs


def _columns(joints: tuple[int, ...], root: bool = False) -> np.ndarray:
    columns = list(_ROOT) if root else []
    for joint in joints:
        if joint:
            columns += range(_POSITIONS + 3 * (joint - 1), _POSITIONS + 3 * joint)
            columns += range(_ROTATIONS + 6 * (joint - 1), _ROTATIONS + 6 * joint)
        columns += range(_VELOCITIES + 3 * joint, _VELOCITIES + 3 * joint + 3)
    return np.array(columns)


PARTS: dict[str, np.ndarray] = {  # part -> the columns of its vector, in its order
    "upper": _columns((3, 6, 9, *range(12, 22))),
    "hands": _columns(tuple(range(22, 52))),
    "lower": _columns((0, 1, 2, 4, 5, 7, 8, 10, 11), root=True),
}


def join(vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The vectors of all parts, (T, channels) each -> (T, 623)."""
    whole = np.empty((len(vectors["lower"]), CHANNELS), np.float32)
    for part, columns in PARTS.items():
        whole[:, columns] = vectors[part]
    return whole


def joint_positions(vectors: np.ndarray) -> np.ndarray:
    """(T, 623) -> (T, 52, 3) metres, y up; the first frame stands at x = z = 0 and looks along +z.

    Turn and steps of a frame lead to the next one. Rotations, velocities and contacts are not read, as published.
    """
    turn = np.zeros(len(vectors))
    turn[1:] = 2 * np.cumsum(vectors[:-1, 0], dtype=np.float64)
    cos, sin = np.cos(turn), -np.sin(turn)

    def to_world(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c, s = (a.reshape(-1, *[1] * (x.ndim - 1)) for a in (cos, sin))
        return c * x + s * z, c * z - s * x

    steps = np.zeros((len(vectors), 2))
    steps[1:] = vectors[:-1, 1:3]
    root_x, root_z = (np.cumsum(step) for step in to_world(*steps.T))
    joints = np.empty((len(vectors), NUM_JOINTS, 3), np.float32)
    joints[:, 0] = np.stack([root_x, vectors[:, 3], root_z], axis=-1)
    seen = vectors[:, _POSITIONS:_ROTATIONS].reshape(-1, NUM_JOINTS - 1, 3)
    x, z = to_world(seen[..., 0], seen[..., 2])
    joints[:, 1:] = np.stack([x + root_x[:, None], seen[..., 1], z + root_z[:, None]], axis=-1)
    return joints
