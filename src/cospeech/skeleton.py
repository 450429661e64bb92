"""The SMPL-X skeleton: joint names, parents, body parts. The only place with joint numbers.

Order and names are those of the SMPL-X body model (Pavlakos et al. 2019, arXiv:1904.05866): 22 body joints,
jaw and eyes, then three joints a finger, left hand first. Joint j owns axis-angle columns 3j..3j+2.
"""

import numpy as np

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")

JOINTS: tuple[str, ...] = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle"),
    *("right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("jaw", "left_eye", "right_eye"),
    *(f"{side}_{finger}{n}" for side in ("left", "right") for finger in _FINGERS for n in (1, 2, 3)),
)
NUM_JOINTS = len(JOINTS)  # 55
INDEX: dict[str, int] = {name: j for j, name in enumerate(JOINTS)}

PARENTS: tuple[int, ...] = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15),
    *(20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38),
    *(21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53),
)

# Body parts as in SynTalker system S and MambaTalk; jaw and eyes belong to the face.
UPPER: tuple[int, ...] = (3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
HANDS: tuple[int, ...] = tuple(range(25, 55))
LOWER: tuple[int, ...] = (0, 1, 2, 4, 5, 7, 8, 10, 11)
JAW, LEFT_EYE, RIGHT_EYE = INDEX["jaw"], INDEX["left_eye"], INDEX["right_eye"]
FEET: tuple[int, ...] = (7, 8, 10, 11)  # left ankle, right ankle, left foot, right foot: the contact joints
WRISTS: tuple[int, int] = (INDEX["left_wrist"], INDEX["right_wrist"])

MIRROR: tuple[int, ...] = tuple(
    INDEX[name.replace("left_", "right_") if name.startswith("left_") else name.replace("right_", "left_")]
    for name in JOINTS
)

# Rest pelvis of the SMPL-X neutral model and of the shipped body, metres, in the body's own frame:
# the pelvis of a posed body is REST_PELVIS + translation.
REST_PELVIS = np.array([0.003, -0.351, 0.012], dtype=np.float32)
# With this translation the rest pose stands with its soles on the floor y = 0, as BEAT2 motion does.
REST_TRANSLATION = np.array([0.0, 1.307, 0.0], dtype=np.float32)

ARKIT: tuple[str, ...] = (  # the 52 face shapes of Apple ARKit, in LiveLink order; `Motion.face` columns
    *("eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft"),
    *("eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight"),
    *("eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose"),
    *("mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight"),
    *("mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft"),
    *("mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft"),
    *("mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)
ARKIT_INDEX: dict[str, int] = {name: i for i, name in enumerate(ARKIT)}
JAW_OPEN = ARKIT_INDEX["jawOpen"]
JAW_OPEN_RADIANS = 0.30  # rotation of the jaw joint about +x at jawOpen = 1


def _other_side(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


ARKIT_MIRROR: tuple[int, ...] = tuple(ARKIT_INDEX[_other_side(name)] for name in ARKIT)
