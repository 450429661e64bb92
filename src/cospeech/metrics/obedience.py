"""Is a motion what was asked for? One criterion for each thing to ask, of the frames in which it was asked.

Joints are those of the mannequin, `body.joint_transforms`: T frames, y up, metres. Where a limit comes from:

[1] clips of Bandai Namco's motion dataset with such captions; how many of them meet it, `cospeech bench --obedience
    --data DATA` tells
[2] planted actions with such captions (`data.actions`), which meet it all (`tests/recipes/test_obedience_table.py`)
[3] Norkin & White 2016, Measurement of Joint Motion: 45 degrees of forward bend are half of what people can
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cospeech import skeleton
from cospeech.body import JointTransforms
from cospeech.skeleton import INDEX

ABOVE, OTHER = 0.60, 0.10  # shares of frames with the named wrist, and with the other one, above the chest
WALK_M_S, RUN_M_S = 0.4, 1.5  # [1]: people walk at 1 to 1.5, and the slowest styles at half a metre a second
TURN_DEG = 40.0  # [1] and [2] turn by about 90
BOW_DEG = 30.0  # [2], [3]
CROUCH_M = 0.15  # [2]: the pelvis lower than in standing
NEAR_M, CLAPS = 0.16, 2  # [2]: wrists when palms meet; how often
STRAIGHT_DEG, CURLED_DEG = 35.0, 50.0  # [2]: bend of the index finger, and least bend of the three beside it
POINTING = 0.25  # share of the frames


class Obeyed(NamedTuple):
    value: float  # what was measured
    done: bool


def hand_up(transforms: JointTransforms, poses: np.ndarray, fps: float, side: str) -> Obeyed:
    """The named wrist is above the chest in most frames, the other is not."""
    share = dict(zip(("left", "right"), wrists_up(transforms), strict=True))
    other = share["right" if side == "left" else "left"]
    return Obeyed(share[side], share[side] >= ABOVE and other <= OTHER)


def wrists_up(transforms: JointTransforms) -> tuple[float, float]:
    """Shares of the frames in which the left and the right wrist are above the chest."""
    chest = transforms.positions[:, INDEX["spine3"], 1]
    left, right = (float((transforms.positions[:, INDEX[f"{s}_wrist"], 1] > chest).mean()) for s in ("left", "right"))
    return left, right


def walks_forward(transforms: JointTransforms, poses: np.ndarray, fps: float) -> Obeyed:
    """Metres a second that the pelvis gets ahead, where ahead is where it faces."""
    speed = _ahead(transforms, fps)
    return Obeyed(speed, speed >= WALK_M_S)


def runs(transforms: JointTransforms, poses: np.ndarray, fps: float) -> Obeyed:
    speed = _ahead(transforms, fps)
    return Obeyed(speed, speed >= RUN_M_S)


def turns(transforms: JointTransforms, poses: np.ndarray, fps: float, side: str) -> Obeyed:
    """Degrees that the pelvis has turned to the named side at most."""
    facing = transforms.rotations[:, INDEX["pelvis"], :, 2]
    heading = np.degrees(np.unwrap(np.arctan2(facing[:, 0], facing[:, 2])))  # left is positive
    turned = (heading - heading[0]) * (1 if side == "left" else -1)
    return Obeyed(float(turned.max(initial=0)), bool(turned.max(initial=0) >= TURN_DEG))


def bows(transforms: JointTransforms, poses: np.ndarray, fps: float) -> Obeyed:
    """Degrees that the trunk leans forward at most, from the pelvis to the neck."""
    trunk = transforms.positions[:, INDEX["neck"]] - transforms.positions[:, INDEX["pelvis"]]
    facing = transforms.rotations[:, INDEX["pelvis"], :, 2] * [1, 0, 1]
    facing = facing / np.linalg.norm(facing, axis=1, keepdims=True).clip(1e-9)
    lean = np.degrees(np.arctan2((trunk * facing).sum(axis=1), trunk[:, 1]))
    return Obeyed(float(lean.max(initial=0)), bool(lean.max(initial=0) >= BOW_DEG))


def crouches(transforms: JointTransforms, poses: np.ndarray, fps: float) -> Obeyed:
    """Metres that the pelvis is below where it is in standing, at most."""
    standing = skeleton.REST_PELVIS[1] + skeleton.REST_TRANSLATION[1]
    lower = float(max(standing - transforms.positions[:, 0, 1].min(initial=np.inf), 0.0))
    return Obeyed(lower, lower >= CROUCH_M)


def claps(transforms: JointTransforms, poses: np.ndarray, fps: float) -> Obeyed:
    """How often the wrists come together."""
    left, right = (transforms.positions[:, INDEX[f"{side}_wrist"]] for side in ("left", "right"))
    near = np.linalg.norm(left - right, axis=1) < NEAR_M
    count = int((near[1:] & ~near[:-1]).sum())
    return Obeyed(count, count >= CLAPS)


def points(transforms: JointTransforms, poses: np.ndarray, fps: float) -> Obeyed:
    """Share of the frames in which an index finger is straight and the three beside it are curled."""
    share = 0.0
    for side in ("left", "right"):
        bend = {
            finger: np.degrees(np.linalg.norm(poses[:, [INDEX[f"{side}_{finger}{n}"] for n in (1, 2)]], axis=-1)).sum(1)
            for finger in ("index", "middle", "ring", "pinky")
        }
        curled = np.min([bend[finger] for finger in ("middle", "ring", "pinky")], axis=0) > CURLED_DEG
        share = max(share, float(((bend["index"] < STRAIGHT_DEG) & curled).mean()))
    return Obeyed(share, share >= POINTING)


CRITERIA: dict[str, Callable[[JointTransforms, np.ndarray, float], Obeyed]] = {  # key of `recipes/paraphrases.json`
    "right_hand_up": lambda transforms, poses, fps: hand_up(transforms, poses, fps, "right"),
    "left_hand_up": lambda transforms, poses, fps: hand_up(transforms, poses, fps, "left"),
    "walks_forward": walks_forward,
    "runs": runs,
    "turns_left": lambda transforms, poses, fps: turns(transforms, poses, fps, "left"),
    "bows": bows,
    "points": points,
    "claps": claps,
    "crouches": crouches,
}


def _ahead(transforms: JointTransforms, fps: float) -> float:
    """Metres a second."""
    step = np.diff(transforms.positions[:, 0], axis=0) * [1, 0, 1]
    facing = transforms.rotations[:-1, INDEX["pelvis"], :, 2] * [1, 0, 1]
    facing = facing / np.linalg.norm(facing, axis=1, keepdims=True).clip(1e-9)
    return float((step * facing).sum(axis=1).mean() * fps) if len(step) else 0.0
