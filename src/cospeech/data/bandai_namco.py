"""Bandai Namco Research Motiondataset 1 and 2: gestures and steps, 21 joints, 30 fps, no fingers, face or speech.

Kobayashi et al. 2023, arXiv:2306.08861; CC BY-NC 4.0. Read from the packed form: `motions_30fps.npz` holds all clips
end to end as local axis-angle, `clips.jsonl` their labels, splits and template captions.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cospeech.data.clips import Caption, Clip, read_packed
from cospeech.motion import Motion
from cospeech.retarget import forward_kinematics, positions_to_poses
from cospeech.rotation import axis_angle_to_matrix

LICENCE = "CC BY-NC 4.0"
HAS = frozenset({"upper", "lower"})

_SIDES = (("left", "L"), ("right", "R"))
_LIMBS = {
    **{"collar": "Shoulder", "shoulder": "UpperArm", "elbow": "LowerArm", "wrist": "Hand"},
    **{"hip": "UpperLeg", "knee": "LowerLeg", "ankle": "Foot", "foot": "Toes"},
}
_JOINTS = {  # SMPL-X name -> name in the corpus
    **{"pelvis": "Hips", "spine2": "Spine", "spine3": "Chest", "neck": "Neck", "head": "Head"},
    **{f"{side}_{ours}": f"{theirs}_{letter}" for side, letter in _SIDES for ours, theirs in _LIMBS.items()},
}
# Bones lie along local x (right limbs along -x). The rows say where the local x, y and z axes point when that part of
# the body is as in an upright T pose facing +z: the spine's x up and y forward; the left arm's y up, z along the thumb.
_SPINE = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
_LEFT_ARM, _RIGHT_ARM = np.diag([1, 1, 1]), np.diag([1, -1, -1])
# Feet point down from ankle to ball and from ball to toe tip; the sines are those of feet flat on the floor.
_FOOT_SLOPE, _TOES_SLOPE = 0.637, 0.391


def _foot(slope: float, side: int) -> list[list[float]]:
    level = np.sqrt(1 - slope**2)
    return [[0, -side * slope, side * level], [1, 0, 0], [0, side * level, side * slope]]


_T_POSE = {
    **{"pelvis": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], "spine3": _SPINE, "neck": _SPINE, "head": _SPINE},
    **{f"left_{joint}": _LEFT_ARM for joint in ("collar", "shoulder", "wrist")},
    **{f"right_{joint}": _RIGHT_ARM for joint in ("collar", "shoulder", "wrist")},
    **{"left_hip": [[0, -1, 0], [1, 0, 0], [0, 0, 1]], "right_hip": [[0, 1, 0], [1, 0, 0], [0, 0, -1]]},
    **{"left_ankle": _foot(_FOOT_SLOPE, 1), "right_ankle": _foot(_FOOT_SLOPE, -1)},
    **{"left_foot": _foot(_TOES_SLOPE, 1), "right_foot": _foot(_TOES_SLOPE, -1)},
}


def clips(folder: str | Path, joints: np.ndarray) -> Iterator[Clip]:
    """All clips, retargeted.

    Args:
        folder: With `motions_30fps.npz` and `clips.jsonl`.
        joints: (55, 3) rest joints of the target body, `Body.joints`.
    """
    packed, labels = read_packed(Path(folder, "motions_30fps.npz"), Path(folder, "clips.jsonl"))
    number_of = {name: i for i, name in enumerate(packed["clip_names"].tolist())}
    for label in labels:
        yield Clip(
            id=f"bandai_namco/{label['id']}",
            split=label["split"],
            motion=_motion(packed, number_of[label["id"]], joints),
            speech=None,
            captions=tuple(Caption(text, "template") for text in label["captions"]),
            licence=LICENCE,
            has=HAS,
        )


def _motion(packed: dict[str, np.ndarray], clip: int, joints: np.ndarray) -> Motion:
    index = {name: j for j, name in enumerate(packed["joint_names"].tolist())}
    frames = slice(packed["clip_start"][clip], packed["clip_start"][clip] + packed["clip_len"][clip])
    local = axis_angle_to_matrix(packed["poses_i16"][frames] * np.float64(packed["pose_scale"]))
    matrices, positions = forward_kinematics(local, packed["trans"][frames], packed["parents"], packed["offsets"][0])
    poses, translation = positions_to_poses(
        {ours: positions[:, index[theirs]] for ours, theirs in _JOINTS.items()},
        joints,
        {ours: matrices[:, index[_JOINTS[ours]]] @ np.array(axes) for ours, axes in _T_POSE.items()},
    )
    return Motion(poses, translation, float(packed["fps"]))
