"""The motion vector of HumanML3D, with or without hands: from joints, to joints, and what of it is which body part.

[1] Guo et al. 2022, HumanML3D, doi 10.1109/CVPR52688.2022.00509: 22 joints, 263 numbers a frame, 20 frames a second
[2] Chen et al. 2024, SynTalker, arXiv:2410.00464, system T: 52 joints, SMPL-X's without jaw and eyes, 623 numbers, 30

Columns: 0 turn of the root about y, half the angle, a frame; 1, 2 its step along x and z, seen by the root; 3 its
height; then of all joints but the root the positions seen by the root and their 6-D rotations (two columns of the
matrix); of all joints the velocities; last the contacts of left ankle, left foot, right ankle, right foot.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from cospeech import rotation
from cospeech.errors import MotionError
from cospeech.smoothing import smooth

NUM_JOINTS = 52
CHANNELS = 623
_POSITIONS, _ROTATIONS, _VELOCITIES = 4, 157, 463  # first columns
_CHAINS = (  # from the root or from a joint of another chain outwards, [1]
    *((0, 2, 5, 8, 11), (0, 1, 4, 7, 10), (0, 3, 6, 9, 12, 15), (9, 14, 17, 19, 21), (9, 13, 16, 18, 20)),
    *((20, j, j + 1, j + 2) for j in range(22, 37, 3)),
    *((21, j, j + 1, j + 2) for j in range(37, 52, 3)),
)
_BONES = np.array(  # where the bone that ends in a joint points when its rotation is zero: arms and fingers hang down
    [
        *([0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0]),
        *([0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1]),
        *([0, -1, 0] for _ in range(16, NUM_JOINTS)),
    ]
)
# Metres from the joint before: what all published bodies of 22 joints are made to have. Measured on two of them.
BONE_LENGTHS: tuple[float, ...] = (
    *(0.0, 0.10307, 0.10988, 0.13157, 0.39362, 0.39019, 0.14319, 0.43243, 0.42564, 0.05736, 0.14338, 0.14942),
    *(0.21936, 0.13749, 0.14338, 0.10304, 0.13161, 0.12298, 0.25684, 0.26309, 0.26601, 0.26988),
)
_LEG = (5, 8)  # the joints whose bones tell how large a body is, as published
_HEADING_DEVIATION = 20  # frames
_IN_CONTACT = 0.002  # squared metres that a foot on the floor moves in a frame at most
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


def with_bones(joints: np.ndarray, lengths: Sequence[float]) -> np.ndarray:
    """(T, J, 3) of a body with bones of other lengths that point the same way; the root's path grows with the legs.

    Args:
        lengths: (J,) metres from the joint before, such as `BONE_LENGTHS`.

    Source: [1], which makes all bodies one so that a vector does not tell who moved.
    """
    joints = np.asarray(joints, np.float64)
    parents = {j: parent for chain in _chains(joints.shape[1]) for parent, j in pairwise(chain)}
    legs = sum(float(np.linalg.norm(joints[0, j] - joints[0, parents[j]])) for j in _LEG) if len(joints) else 1.0
    changed = joints * (sum(lengths[j] for j in _LEG) / legs)
    for j, parent in parents.items():  # chains go outwards
        changed[:, j] = changed[:, parent] + lengths[j] * rotation.unit(joints[:, j] - joints[:, parent])
    return changed


def placed(joints: np.ndarray) -> np.ndarray:
    """(T, J, 3) moved and turned as the vector wants it: lowest joint at 0, first at x = z = 0, looking along +z."""
    joints = np.array(joints, np.float64)
    if len(joints) == 0:
        return joints
    joints[..., 1] -= joints[..., 1].min()
    joints[..., [0, 2]] -= joints[0, 0, [0, 2]]
    across = (joints[:1, 2] - joints[:1, 1]) + (joints[:1, 17] - joints[:1, 16])
    ahead = rotation.cross(np.array([[0.0, 1.0, 0.0]]), across)
    return joints @ np.swapaxes(rotation.rotation_between(ahead, np.array([[0.0, 0.0, 1.0]])), -1, -2)


def features(joints: np.ndarray) -> np.ndarray:
    """The vectors of `placed` joints, as published: (T, 22 or 52, 3) metres, y up -> (T - 1, 263 or 623) float32.

    Two oddities of the published vector are kept, because every network that reads it learned from them: the heading
    adds shoulders and hips with opposite signs, so that it is that of the shoulders' turn against the hips', and every
    chain begins with the root's rotation, wherever it hangs.
    """
    joints = np.asarray(joints, np.float64)
    count = joints.shape[1]
    if len(joints) < 2:
        return np.zeros((0, 12 * count - 1), np.float32)
    across = (joints[:, 1] - joints[:, 2]) + (joints[:, 17] - joints[:, 16])
    ahead = rotation.cross(np.array([[0.0, 1.0, 0.0]]), rotation.unit(across))
    ahead = smooth(ahead, _HEADING_DEVIATION, "values")
    to_root = rotation.rotation_between(ahead, np.broadcast_to([0.0, 0.0, 1.0], ahead.shape))
    to_root[0] = np.eye(3)
    local = np.zeros((*joints.shape[:2], 3, 3))
    for chain in _chains(count):
        before = to_root
        for parent, j in pairwise(chain):
            bone = joints[:, j] - joints[:, parent]
            now = rotation.rotation_between(np.broadcast_to(_BONES[j], bone.shape).astype(float), bone)
            local[:, j] = np.swapaxes(before, -1, -2) @ now
            before = now
    moves = np.diff(joints, axis=0)
    seen = joints - joints[:, :1] * [1, 0, 1]
    turn = rotation.matrix_to_quaternion(to_root[1:] @ np.swapaxes(to_root[:-1], -1, -2))[:, 2:3]
    step = (to_root[1:] @ moves[:, 0, :, None])[:, [0, 2], 0]
    contacts = (moves[:, [7, 10, 8, 11]] ** 2).sum(axis=-1) < _IN_CONTACT
    columns = [
        *(np.arcsin(turn), step, joints[:-1, 0, 1:2]),
        seen[:-1, 1:] @ np.swapaxes(to_root[:-1], -1, -2),
        np.swapaxes(local[:-1, 1:, :, :2], -1, -2),
        moves @ np.swapaxes(to_root[:-1], -1, -2),
        contacts,
    ]
    return np.concatenate([part.reshape(len(moves), -1) for part in columns], axis=1).astype(np.float32)


def _chains(count: int) -> tuple[tuple[int, ...], ...]:
    return _CHAINS if count == NUM_JOINTS else _CHAINS[: len(_CHAINS) - 10]


def joint_positions(vectors: np.ndarray) -> np.ndarray:
    """(T, 623) -> (T, 52, 3) metres, y up, or (T, 263) -> (T, 22, 3); begins at x = z = 0 and looks along +z.

    Turn and steps of a frame lead to the next one. Rotations, velocities and contacts are not read, as published.

    Raises:
        MotionError: not vectors of this kind.
    """
    if vectors.ndim != 2 or vectors.shape[1] not in (263, CHANNELS):
        raise MotionError(
            f"an array of shape {vectors.shape} is neither positions (frames, 22 or 52, 3) nor HumanML3D vectors "
            "(frames, 263 or 623)."
        )
    count = (vectors.shape[1] + 1) // 12
    turn = np.zeros(len(vectors))
    turn[1:] = 2 * np.cumsum(vectors[:-1, 0], dtype=np.float64)
    cos, sin = np.cos(turn), -np.sin(turn)

    def to_world(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c, s = (a.reshape(-1, *[1] * (x.ndim - 1)) for a in (cos, sin))
        return c * x + s * z, c * z - s * x

    steps = np.zeros((len(vectors), 2))
    steps[1:] = vectors[:-1, 1:3]
    root_x, root_z = (np.cumsum(step) for step in to_world(*steps.T))
    joints = np.empty((len(vectors), count, 3), np.float32)
    joints[:, 0] = np.stack([root_x, vectors[:, 3], root_z], axis=-1)
    seen = vectors[:, _POSITIONS : _POSITIONS + 3 * (count - 1)].reshape(-1, count - 1, 3)
    x, z = to_world(seen[..., 0], seen[..., 2])
    joints[:, 1:] = np.stack([x + root_x[:, None], seen[..., 1], z + root_z[:, None]], axis=-1)
    return joints
