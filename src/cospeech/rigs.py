"""What other skeletons call the joints of SMPL-X, and how their parts are turned in a T pose. The only such tables.

A new skeleton to read is a new `Rig` in `RIGS`, a new one to write a line in `WRITTEN`. What a table to read leaves out
of the trunk is found in the tree (`anatomy.trunk`), because skeletons of one family differ in how many bones their
spines have.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import NamedTuple

import numpy as np

from cospeech import anatomy, skeleton
from cospeech.rotation import axis_angle_to_matrix

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_PREFIX = re.compile(r"^(DEF-|(ValveBiped\.)?Bip\d+[ _])")  # of Rigify, of 3ds Max's Biped and of Valve's
_NUMBERED = re.compile(r"_\d+$")  # so Sketchfab makes names unique
_NEARLY_ALL = 0.9
_CHAINS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))


@dataclass(frozen=True, eq=False)
class Rig:
    """A skeleton that files are met with.

    Args:
        joints: SMPL-X name -> name there.
        t_pose: SMPL-X name -> (3, 3), rows say where the local x, y and z axes of the joint point when that part of the
            body is as in an upright T pose facing +z: palms down, feet flat. Only where the bones of the skeleton do
            not tell (`rest_pose.t_pose_frames`).
    """

    name: str
    joints: Mapping[str, str]
    t_pose: Mapping[str, np.ndarray] = field(default_factory=dict)


def _both(limbs: Mapping[str, str], left: str, right: str) -> dict[str, str]:
    """A table of one side, with * where it is named, for both."""
    sides = (("left", left), ("right", right))
    return {f"{side}_{ours}": name.replace("*", letter) for side, letter in sides for ours, name in limbs.items()}


def _about(axis: int, degrees: float) -> np.ndarray:
    return axis_angle_to_matrix(np.radians(degrees) * np.eye(3)[axis])


SMPLX = Rig("SMPL-X", {name: name for name in skeleton.JOINTS})
SMPL = Rig(
    "SMPL",
    {
        **{name: name.capitalize() for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")},
        **_both(
            {
                **{"hip": "*_Hip", "knee": "*_Knee", "ankle": "*_Ankle", "foot": "*_Foot"},
                **{"collar": "*_Collar", "shoulder": "*_Shoulder", "elbow": "*_Elbow", "wrist": "*_Wrist"},
                **{f"{finger}{n}": f"*_{finger.capitalize()}{n}" for finger in _FINGERS for n in (1, 2, 3)},
            },
            "L",
            "R",
        ),
    },
)
# Mixamo, MotionBuilder, BEAT, ZeroEGGS, LAFAN1 and the MotionBuilder-friendly conversion of CMU by B. Hahne.
HUMAN_IK = Rig(
    "Mixamo or MotionBuilder",
    {
        **{"pelvis": "Hips", "head": "Head"},
        **_both(
            {
                **{"hip": "*UpLeg", "knee": "*Leg", "ankle": "*Foot", "foot": "*ToeBase"},
                **{"collar": "*Shoulder", "shoulder": "*Arm", "elbow": "*ForeArm", "wrist": "*Hand"},
                **{f"{finger}{n}": f"*Hand{finger.capitalize()}{n}" for finger in _FINGERS for n in (1, 2, 3)},
            },
            "Left",
            "Right",
        ),
    },
)
_CMU_FEET = {  # their legs point 20 degrees outwards at rest, and the feet with them
    **{f"left_{joint}": _about(2, 20) for joint in ("hip", "ankle", "foot")},
    **{f"right_{joint}": _about(2, -20) for joint in ("hip", "ankle", "foot")},
}
CMU = Rig(
    "CMU",
    {
        **{"pelvis": "root", "spine2": "upperback", "spine3": "thorax", "neck": "upperneck", "head": "head"},
        **_both(
            {
                **{"shoulder": "*humerus", "elbow": "*radius", "wrist": "*hand"},
                **{"hip": "*femur", "knee": "*tibia", "ankle": "*foot", "foot": "*toes"},
            },
            "l",
            "r",
        ),
    },
    # Bones are world-aligned in a T pose whose elbows bend forwards and up by 30 degrees.
    {
        **{joint: np.eye(3) for joint in ("pelvis", "spine3", "head", "left_wrist", "right_wrist")},
        **{"left_shoulder": _about(0, -30), "right_shoulder": _about(0, -30)},
        **_CMU_FEET,
    },
)
_POSER = {
    **{"pelvis": "Hips", "spine2": "Chest", "spine3": "Chest2", "neck": "Neck", "head": "Head"},
    **_both(
        {
            **{"hip": "*Hip", "knee": "*Knee", "ankle": "*Ankle", "foot": "*Toe"},
            **{"collar": "*Collar", "shoulder": "*Shoulder", "elbow": "*Elbow", "wrist": "*Wrist"},
        },
        "Left",
        "Right",
    ),
}
POSER = Rig("Poser or 3ds Max", _POSER)
# The 3ds-Max-friendly conversion of CMU by B. Hahne.
CGSPEED = Rig("CMU, 3ds Max", {**_POSER, "left_wrist": "lhand", "right_wrist": "rhand"}, _CMU_FEET)

# Bones lie along local x, right limbs along -x; the spine's x points up and y forward, the left arm's y up and z along
# the thumb. Feet point down from ankle to ball and from ball to toe tip; the sines are those of feet flat on the floor.
_SPINE = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
_LEFT_ARM, _RIGHT_ARM = np.diag([1, 1, 1]), np.diag([1, -1, -1])
_FOOT_SLOPE, _TOES_SLOPE = 0.637, 0.391


def _foot(slope: float, side: int) -> np.ndarray:
    level = np.sqrt(1 - slope**2)
    return np.array([[0, -side * slope, side * level], [1, 0, 0], [0, side * level, side * slope]])


BANDAI_NAMCO = Rig(
    "Bandai Namco",
    {
        **{"pelvis": "Hips", "spine2": "Spine", "spine3": "Chest", "neck": "Neck", "head": "Head"},
        **_both(
            {
                **{"collar": "Shoulder_*", "shoulder": "UpperArm_*", "elbow": "LowerArm_*", "wrist": "Hand_*"},
                **{"hip": "UpperLeg_*", "knee": "LowerLeg_*", "ankle": "Foot_*", "foot": "Toes_*"},
            },
            "L",
            "R",
        ),
    },
    {
        **{"pelvis": np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), "spine3": _SPINE, "neck": _SPINE, "head": _SPINE},
        **{f"left_{joint}": _LEFT_ARM for joint in ("collar", "shoulder", "wrist")},
        **{f"right_{joint}": _RIGHT_ARM for joint in ("collar", "shoulder", "wrist")},
        "left_hip": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        "right_hip": np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]]),
        **{"left_ankle": _foot(_FOOT_SLOPE, 1), "right_ankle": _foot(_FOOT_SLOPE, -1)},
        **{"left_foot": _foot(_TOES_SLOPE, 1), "right_foot": _foot(_TOES_SLOPE, -1)},
    },
)
# SMPL-X name -> humanoid bone of VRM 1.0, whose thumbs begin at the metacarpal. Jaw and eyes it treats apart.
VRM: Mapping[str, str] = {
    **{"pelvis": "hips", "spine1": "spine", "spine2": "chest", "spine3": "upperChest", "neck": "neck", "head": "head"},
    **_both(
        {
            **{"hip": "*UpperLeg", "knee": "*LowerLeg", "ankle": "*Foot", "foot": "*Toes"},
            **{"collar": "*Shoulder", "shoulder": "*UpperArm", "elbow": "*LowerArm", "wrist": "*Hand"},
            **{
                f"{ours}{n}": f"*{theirs}{bone}"
                for ours, theirs in (("index", "Index"), ("middle", "Middle"), ("pinky", "Little"), ("ring", "Ring"))
                for n, bone in enumerate(("Proximal", "Intermediate", "Distal"), start=1)
            },
            **{"thumb1": "*ThumbMetacarpal", "thumb2": "*ThumbProximal", "thumb3": "*ThumbDistal"},
        },
        "left",
        "right",
    ),
}
# Unity's humanoid has the names of VRM. Its spine is found in the tree, because chests may be missing.
HUMANOID = Rig(
    "VRM or Unity",
    {
        **{ours: theirs for ours, theirs in VRM.items() if not ours.startswith("spine")},
        **{"jaw": "jaw", "left_eye": "leftEye", "right_eye": "rightEye"},
    },
)
VROID = Rig(
    "VRoid",
    {
        **{"pelvis": "J_Bip_C_Hips", "neck": "J_Bip_C_Neck", "head": "J_Bip_C_Head"},
        **_both(
            {
                **{"hip": "J_Bip_*_UpperLeg", "knee": "J_Bip_*_LowerLeg", "ankle": "J_Bip_*_Foot"},
                **{"foot": "J_Bip_*_ToeBase", "eye": "J_Adj_*_FaceEye", "collar": "J_Bip_*_Shoulder"},
                **{"shoulder": "J_Bip_*_UpperArm", "elbow": "J_Bip_*_LowerArm", "wrist": "J_Bip_*_Hand"},
                **{
                    f"{ours}{n}": f"J_Bip_*_{theirs}{n}"
                    for ours, theirs in zip(_FINGERS, ("Index", "Middle", "Little", "Ring", "Thumb"), strict=True)
                    for n in (1, 2, 3)
                },
            },
            "L",
            "R",
        ),
    },
)
# The mannequins of Unreal Engine 4 and 5 and MetaHumans, which differ in how many bones their spines have.
UNREAL = Rig(
    "Unreal or MetaHuman",
    {
        **{"pelvis": "pelvis", "neck": "neck_01", "head": "head", "jaw": "FACIAL_C_Jaw"},
        **_both(
            {
                **{"hip": "thigh_*", "knee": "calf_*", "ankle": "foot_*", "foot": "ball_*", "eye": "FACIAL_*_Eye"},
                **{"collar": "clavicle_*", "shoulder": "upperarm_*", "elbow": "lowerarm_*", "wrist": "hand_*"},
                **{f"{finger}{n}": f"{finger}_0{n}_*" for finger in _FINGERS for n in (1, 2, 3)},
            },
            "l",
            "r",
        ),
    },
)
RIGIFY = Rig(
    "Rigify",
    {
        **{"pelvis": "spine", "neck": "spine.004", "head": "spine.006", "jaw": "jaw_master"},
        **_both(
            {
                **{"hip": "thigh.*", "knee": "shin.*", "ankle": "foot.*", "foot": "toe.*", "eye": "eye.*"},
                **{"collar": "shoulder.*", "shoulder": "upper_arm.*", "elbow": "forearm.*", "wrist": "hand.*"},
                **{f"{finger}{n}": f"f_{finger}.0{n}.*" for finger in _FINGERS[:4] for n in (1, 2, 3)},
                **{f"thumb{n}": f"thumb.0{n}.*" for n in (1, 2, 3)},
            },
            "L",
            "R",
        ),
    },
)
MAKEHUMAN = Rig(
    "MakeHuman",
    {
        **{"pelvis": "root", "neck": "neck01", "head": "head", "jaw": "jaw"},
        **_both(
            {
                **{"hip": "upperleg01.*", "knee": "lowerleg01.*", "ankle": "foot.*", "foot": "toe3-1.*"},
                **{"collar": "clavicle.*", "shoulder": "upperarm01.*", "elbow": "lowerarm01.*", "wrist": "wrist.*"},
                "eye": "eye.*",
                **{
                    f"{finger}{n}": f"finger{number}-{n}.*"
                    for number, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"), start=1)
                    for n in (1, 2, 3)
                },
            },
            "L",
            "R",
        ),
    },
)
_BIPED_FINGERS = {
    f"{finger}{n}": f"* Finger{number}{'' if n == 1 else n - 1}"
    for number, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"))
    for n in (1, 2, 3)
}
BIPED = Rig(
    "3ds Max Biped",
    {
        **{"pelvis": "Pelvis", "neck": "Neck", "head": "Head"},
        **_both(
            {
                **{"hip": "* Thigh", "knee": "* Calf", "ankle": "* Foot", "foot": "* Toe0"},
                **{"collar": "* Clavicle", "shoulder": "* UpperArm", "elbow": "* Forearm", "wrist": "* Hand"},
                **_BIPED_FINGERS,
            },
            "L",
            "R",
        ),
    },
)
_MIXAMO = {**HUMAN_IK.joints, "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck"}
# SMPL-X name -> name to write. What has none, jaw and eyes, is left out.
WRITTEN: dict[str, Mapping[str, str]] = {
    "smplx": SMPLX.joints,
    "mixamo": {ours: f"mixamorig:{name}" for ours, name in _MIXAMO.items()},
    "beat": {**_MIXAMO, "spine3": "Spine3"},  # where its arms hang; it has a bone more below
}
# Of two that fit alike the first is taken.
RIGS = (SMPLX, SMPL, HUMAN_IK, HUMANOID, VROID, UNREAL, RIGIFY, MAKEHUMAN, BIPED, BANDAI_NAMCO, CMU, CGSPEED, POSER)


class Named(NamedTuple):
    rig: Rig
    joints: dict[str, int]  # SMPL-X name -> place of the joint in the file


def by_name(names: Sequence[str], parents: Sequence[int]) -> Named | None:
    """The rig most of whose joints a skeleton has, None where none has arms and legs in it that hang together.

    Case, separators, namespaces ("mixamorig:Hips"), "DEF-" and "Bip01 ", numbers behind all names ("Hips_01",
    "Head_06") and a beginning that all share ("m_avg_L_Hip") do not matter.
    """
    fitting = [named for named in _fits(names) if _has_limbs(named.joints, parents)]
    if not fitting:
        return None
    best = max(fitting, key=lambda named: len(named.joints))
    return Named(best.rig, anatomy.trunk(parents, best.joints) | best.joints)


def nearest(names: Sequence[str]) -> Named | None:
    """The rig most of whose joints a skeleton has, whichever these are; None where it has none of any."""
    best = max(_fits(names), key=lambda named: len(named.joints))
    return best if best.joints else None


def _fits(names: Sequence[str]) -> list[Named]:
    places = {name: j for j, name in reversed(list(enumerate(_plain(names))))}
    return [
        Named(rig, {ours: places[_letters(name)] for ours, name in rig.joints.items() if _letters(name) in places})
        for rig in RIGS
    ]


def _plain(names: Sequence[str]) -> list[str]:
    short = [_PREFIX.sub("", re.split(r"[:|]", name)[-1]) for name in names]
    if sum(bool(_NUMBERED.search(name)) for name in short) > _NEARLY_ALL * len(short):
        short = [_NUMBERED.sub("", name) for name in short]
    columns = zip(*short[1:], strict=False)  # the root often has a name of its own
    shared = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, columns))
    prefix = short[-1][:shared] if len(short) > 2 else ""
    return [_letters(name.removeprefix(prefix)) for name in short]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _has_limbs(joints: Mapping[str, int], parents: Sequence[int]) -> bool:
    for side in ("left", "right"):
        for chain in _CHAINS:
            limb = [joints.get(f"{side}_{joint}", -1) for joint in chain]
            if min(limb) < 0 or not all(_hangs_on(b, a, parents) for a, b in pairwise(limb)):
                return False
    return True


def _hangs_on(j: int, above: int, parents: Sequence[int]) -> bool:
    while j > above:
        j = parents[j]
    return j == above
