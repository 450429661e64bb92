"""Positions of all SMPL-X joints -> their rotations, as files of system T and of text-to-motion models need it.

Unlike `retarget`, which asks what a person of other proportions would do, every bone points exactly where it points in
the input. Positions leave open how bones twist and how joints without children are turned: bones twist no more than
hands and feet make them, and what has no children goes with its parent. Closed form, all frames at once.

Frames: T. World: y up, metres.
"""

from itertools import pairwise

import numpy as np

from cospeech import humanml3d, ik, skeleton
from cospeech.body import Body, joint_positions, mannequin
from cospeech.errors import MotionError
from cospeech.rotation import axis_angle_to_matrix, matrix_to_axis_angle, unit
from cospeech.skeleton import INDEX, PARENTS

BODY: tuple[int, ...] = tuple(range(22))
JOINTS: tuple[int, ...] = (*BODY, *skeleton.HANDS)  # 52: all without jaw and eyes, which positions say nothing about
_FAMILIES = {j: [child for child in JOINTS if PARENTS[child] == j] for j in JOINTS}
_END_BEND = 2 / 3  # of the bend of the joint before it: the last joint of a finger; Rijpkema and Girard 1991, section 3
_SHORTEST = 0.01  # metres from hip to ankle
_SHARE = 0.5  # of a hand's or a foot's turn about the limb: for the elbow or the hip, as in `retarget`


def to_poses(joints: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations that put every bone of a body where the positions have it.

    Args:
        joints: (T, 52, 3) SMPL-X's joints without jaw and eyes, or (T, 22, 3) without the hands, which then stay flat.
        rest: (55, 3) rest positions of the body's joints, `Body.joints`.

    Returns:
        poses (T, 55, 3) axis-angle and translation (T, 3), float32, for `Motion`. Of a body with the bones of the input
        the joints come out where they were; of another one bones keep their directions and the pelvis' path is scaled
        by the length of the legs.
    """
    joints = np.asarray(joints, np.float64)
    if joints.ndim != 3 or joints.shape[1] not in (len(BODY), len(JOINTS)) or joints.shape[2] != 3:
        raise MotionError(
            f"an array of shape {joints.shape} is neither positions (frames, 22 or 52, 3) nor HumanML3D vectors "
            "(frames, 263 or 623)."
        )
    if not np.isfinite(joints).all():
        raise MotionError("positions contain NaN or infinity.")
    if len(joints) == 0:
        return np.zeros((0, skeleton.NUM_JOINTS, 3), np.float32), np.zeros((0, 3), np.float32)
    known = JOINTS[: joints.shape[1]]
    at = np.full((len(joints), skeleton.NUM_JOINTS, 3), np.nan)
    at[:, known] = joints
    rest = np.asarray(rest, np.float64)
    legs = _leg_length(at)
    if legs < _SHORTEST:
        raise MotionError("the legs have no length: these are not positions of joints in metres.")
    scale = _leg_length(rest[None]) / legs
    turned = _rotations(at, rest, with_hands=len(known) == len(JOINTS))
    local = turned.copy()
    local[:, 1:] = np.swapaxes(turned[:, PARENTS[1:]], -1, -2) @ turned[:, 1:]
    translation = scale * at[:, 0] - rest[0]
    return matrix_to_axis_angle(local).astype(np.float32), translation.astype(np.float32)


def _rotations(at: np.ndarray, rest: np.ndarray, with_hands: bool) -> np.ndarray:
    """(T, 55, 3, 3) global."""
    turned = np.broadcast_to(np.eye(3), (*at.shape[:2], 3, 3)).copy()

    def bone(j: int, child: int) -> tuple[np.ndarray, np.ndarray]:
        return rest[child] - rest[j], at[:, child] - at[:, j]

    def follow(j: int, prior: np.ndarray) -> np.ndarray:
        """Of a joint with one child: the prior, and no twist besides."""
        return ik.swing(prior, *bone(j, _FAMILIES[j][0]))

    def fit(j: int) -> np.ndarray:
        """Of a joint with several children: what fits them all best."""
        bones = [bone(j, child) for child in _FAMILIES[j]]
        return ik.best_rotation(np.stack([r for r, _ in bones]), np.stack([v for _, v in bones], axis=1))

    pelvis, waist, back, chest, neck, head = (
        INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
    )
    turned[:, pelvis], turned[:, chest] = fit(pelvis), fit(chest)
    turned[:, waist] = follow(waist, ik.between(turned[:, pelvis], turned[:, chest], 1 / 3))
    turned[:, back] = follow(back, ik.between(turned[:, pelvis], turned[:, chest], 2 / 3))
    turned[:, neck] = follow(neck, turned[:, chest])
    for j in (head, skeleton.JAW, skeleton.LEFT_EYE, skeleton.RIGHT_EYE):
        turned[:, j] = turned[:, neck]

    for side in ("left", "right"):
        collar, shoulder, elbow, wrist = (INDEX[f"{side}_{name}"] for name in ("collar", "shoulder", "elbow", "wrist"))
        for parent, j in ((chest, collar), (collar, shoulder), (shoulder, elbow)):
            turned[:, j] = follow(j, turned[:, parent])
        if with_hands:
            turned[:, wrist] = fit(wrist)
            along = unit(rest[wrist] - rest[elbow])
            turn = ik.twist(np.swapaxes(turned[:, elbow], -1, -2) @ turned[:, wrist], along)
            turned[:, elbow] @= axis_angle_to_matrix(_SHARE * turn * along)
            for first in _FAMILIES[wrist]:
                turned[:, first] = follow(first, turned[:, wrist])
                turned[:, first + 1] = follow(first + 1, turned[:, first])
                bend = np.swapaxes(turned[:, first], -1, -2) @ turned[:, first + 1]
                turned[:, first + 2] = turned[:, first + 1] @ ik.between(np.eye(3), bend, _END_BEND)
        else:
            fingers = [first + n for first in _FAMILIES[wrist] for n in range(3)]
            turned[:, [wrist, *fingers]] = turned[:, [elbow]]

        hip, knee, ankle, foot = (INDEX[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "foot"))
        turned[:, hip] = follow(hip, turned[:, pelvis])
        straight = follow(knee, turned[:, hip])
        with_foot = ik.turn_frame(*_pair(bone(knee, ankle), bone(ankle, foot)))
        turn = ik.twist(np.swapaxes(straight, -1, -2) @ with_foot, unit(rest[ankle] - rest[knee]))
        turned[:, hip] @= axis_angle_to_matrix(_SHARE * turn * unit(rest[knee] - rest[hip]))
        turned[:, knee] = follow(knee, turned[:, hip])
        turned[:, ankle] = follow(ankle, turned[:, knee])
        turned[:, foot] = turned[:, ankle]
    return turned


def _pair(along, aside):
    """Two bones as the arguments of `ik.turn_frame`: both at rest, both as they are."""
    return along[0], aside[0], along[1], aside[1]


def _leg_length(at: np.ndarray) -> float:
    legs = [[INDEX[f"{side}_{name}"] for name in ("hip", "knee", "ankle")] for side in ("left", "right")]
    bones = [at[:, b] - at[:, a] for a, b in (pair for leg in legs for pair in pairwise(leg))]
    return float(sum(np.median(np.linalg.norm(bone, axis=-1)) for bone in bones)) / 2


def vectors(poses: np.ndarray, translation: np.ndarray, body: Body | None = None) -> np.ndarray:
    """(T - 1, 623) vectors of `humanml3d` of a body in poses (T, 55, 3) and at translations (T, 3).

    Args:
        body: None: the mannequin.
    """
    return humanml3d.features(humanml3d.placed(_joints(poses, translation, body)))


def body_vectors(poses: np.ndarray, translation: np.ndarray, body: Body | None = None) -> np.ndarray:
    """(T - 1, 263) vectors of the same, its bones made as long as those of all published ones.

    Args:
        poses, translation: As of `vectors`, at 20 frames a second to be like the published ones.
    """
    joints = _joints(poses, translation, body)[:, : len(BODY)]
    return humanml3d.features(humanml3d.placed(humanml3d.with_bones(joints, humanml3d.BONE_LENGTHS)))


def _joints(poses: np.ndarray, translation: np.ndarray, body: Body | None) -> np.ndarray:
    return joint_positions(body or mannequin("light"), poses, translation)[:, JOINTS]
