"""CMU Graphics Lab motion capture, subjects 01-03: everyday and playground motion, 31 joints, no usable fingers.

mocap.cs.cmu.edu, funded by NSF EIA-0196217; free for any use except reselling the data. Read from the packed form:
`cmu_s01_s03_30fps.npz` holds all clips end to end as local axis-angle from a rest pose of world-aligned bones,
`cmu_s01_s03.jsonl` their captions.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cospeech import rigs
from cospeech.data.clips import Caption, Clip, read_packed
from cospeech.motion import Motion
from cospeech.retarget import forward_kinematics, positions_to_poses
from cospeech.rotation import axis_angle_to_matrix

LICENCE = "CMU mocap: free for any use, do not resell the data"
HAS = frozenset({"upper", "lower"})
SPLITS = {"02_02": "test", "02_09": "test", "01_14": "test", "01_08": "val", "03_02": "val"}  # all others train
TAGS = {"01": frozenset({"scenery"}), "02": frozenset(), "03": frozenset()}  # by subject

_JOINTS, _T_POSE = rigs.CMU.joints, rigs.CMU.t_pose


def clips(folder: str | Path, joints: np.ndarray) -> Iterator[Clip]:
    """All clips, retargeted. Captions tell their source: "kit-ml" ones are under a licence nobody could read.

    Args:
        folder: With `cmu_s01_s03_30fps.npz` and `cmu_s01_s03.jsonl`.
        joints: (55, 3) rest joints of the target body, `Body.joints`.
    """
    packed, labels = read_packed(Path(folder, "cmu_s01_s03_30fps.npz"), Path(folder, "cmu_s01_s03.jsonl"))
    number_of = {name: i for i, name in enumerate(packed["clip_names"].tolist())}
    for label in labels:
        yield Clip(
            id=f"cmu/{label['id']}",
            split=SPLITS.get(label["id"], "train"),
            motion=_motion(packed, number_of[label["id"]], joints),
            speech=None,
            captions=tuple(Caption(caption["text"], caption["source"]) for caption in label["captions"]),
            licence=LICENCE,
            has=HAS,
            tags=TAGS[label["id"][:2]],
        )


def _motion(packed: dict[str, np.ndarray], clip: int, joints: np.ndarray) -> Motion:
    index = {name: j for j, name in enumerate(packed["joint_names"].tolist())}
    frames = slice(packed["clip_start"][clip], packed["clip_start"][clip] + packed["clip_len"][clip])
    offsets = packed["offsets"][packed["clip_subject"][clip]]
    local = axis_angle_to_matrix(packed["poses"][frames].astype(np.float64))
    matrices, positions = forward_kinematics(local, packed["trans"][frames], packed["parents"], offsets)
    poses, translation = positions_to_poses(
        {ours: positions[:, index[theirs]] for ours, theirs in _JOINTS.items()},
        joints,
        {ours: matrices[:, index[_JOINTS[ours]]] @ turn for ours, turn in _T_POSE.items()},
    )
    return Motion(poses, translation, float(packed["fps"]))
