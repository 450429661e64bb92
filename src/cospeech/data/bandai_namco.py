"""Bandai Namco Research Motiondataset 1 and 2: gestures and steps, 21 joints, 30 fps, no fingers, face or speech.

Kobayashi et al. 2023, arXiv:2306.08861; CC BY-NC 4.0. Read from the packed form: `motions_30fps.npz` holds all clips
end to end as local axis-angle, `clips.jsonl` their labels, splits and template captions.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cospeech import rigs
from cospeech.data.clips import Caption, Clip, read_packed
from cospeech.motion import Motion
from cospeech.retarget import forward_kinematics, positions_to_poses
from cospeech.rotation import axis_angle_to_matrix

LICENCE = "CC BY-NC 4.0"
HAS = frozenset({"upper", "lower"})

_JOINTS, _T_POSE = rigs.BANDAI_NAMCO.joints, rigs.BANDAI_NAMCO.t_pose


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
        {ours: matrices[:, index[_JOINTS[ours]]] @ axes for ours, axes in _T_POSE.items()},
    )
    return Motion(poses, translation, float(packed["fps"]))
