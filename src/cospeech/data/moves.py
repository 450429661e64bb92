"""A table of actions: where hands, head, trunk, pelvis and feet go when somebody waves, crouches or steps aside.

Only the actions of the right side are written down; those of the left are their mirror images. "Right" is the
person's own right. Hands as in `arms`: metres from the shoulder in the chest's frame, x outwards, y up, z forwards.
Pelvis and feet: metres from where they were, x to the left, y up, z forwards, for a body that faces +z.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Literal

import numpy as np

from cospeech.data.arms import SHAPES
from cospeech.data.planning import Vector


@dataclass(frozen=True)
class Key:
    """Where parts of the body go, and in how many seconds. Parts that are not named stay where they are.

    goals:
        right, left: (14,) a hand, made by `_hand`.
        head, trunk: (3,) nod, turn to the left, tilt to the right: a rotation vector in radians, on top of what else
            they do; of the trunk it is shared by the joints of the spine.
        shoulders: (1,) how far they are lifted, radians.
        pelvis: (6,) x, y, z metres and pitch, yaw, roll radians.
        right_foot, left_foot: (5,) x, y, z metres and heading, pitch radians.
    """

    seconds: float
    goals: dict[str, np.ndarray]


@dataclass(frozen=True)
class Action:
    parts: tuple[str, ...]  # of upper, hands, lower: which carry it
    keys: tuple[Key, ...]
    cycle: tuple[Key, ...] = ()  # repeated
    times: tuple[int, int] = (1, 1)
    freedom: float = 0.025  # deviation of the wrists from where they should be, metres; small where they touch
    side: str = ""  # left or right, if it has one
    brief: bool = False  # nobody holds it for long: who goes on does it again
    gait: Literal["", "walk", "run"] = ""  # instead of keys
    phrases: tuple[str, ...] = ()  # verbs in the infinitive behind "~"; {the} stands for the, their, your ...

    def with_free_hands(self) -> "Action":
        """The same without what it asks of the hands."""
        keys, cycle = (
            tuple(
                Key(key.seconds, {part: goal for part, goal in key.goals.items() if part not in ("right", "left")})
                for key in some
            )
            for some in (self.keys, self.cycle)
        )
        return replace(self, keys=keys, cycle=cycle)

    @property
    def walks(self) -> bool:
        return any(name.endswith("_foot") for key in self.keys for name in key.goals)


_SHAPES = {
    **SHAPES,
    "one": (0.02, 0.92, 1.00, 1.00, 0.85, 0.0),
    "two": (0.02, 0.02, 0.98, 1.00, 0.85, 0.14),
    "three": (0.02, 0.02, 0.03, 0.98, 0.85, 0.14),
    "thumb": (0.98, 1.00, 1.00, 1.00, -0.05, 0.0),
    "beckon": (0.75, 0.80, 0.85, 0.88, 0.25, 0.0),
}


def _hand(
    wrist: Vector, palm: Vector, shape: str = "loose", flex: float = 0.0, swivel: float = 0.0
) -> tuple[float, ...]:
    """(14,) wrist, palm, curls and spread of `arms.SHAPES`, flex and swivel, in the units of `arms.pose_arm`."""
    return (*wrist, *palm, *_SHAPES[shape], flex, swivel)


def _key(seconds: float, **goals: Sequence[float]) -> Key:
    if "both" in goals:
        goals["right"] = goals["left"] = goals.pop("both")
    return Key(seconds, {name: np.array(goal, float) for name, goal in goals.items()})


UPPER, HANDS, LOWER = ("upper",), ("upper", "hands"), ("lower",)
_TABLE = {
    "raise_{side}_hand": Action(UPPER, (_key(1.05, right=_hand((0.07, 0.45, 0.10), (0, 0, 1), "open", 0, 0.5)),)),
    "raise_both_hands": Action(UPPER, (_key(1.05, both=_hand((0.08, 0.44, 0.10), (0, 0, 1), "open", 0, 0.5)),)),
    "wave_{side}_hand": Action(
        HANDS,
        (_key(0.95, right=_hand((0.24, 0.19, 0.18), (0, 0, 1), "open", 0, 0.3)),),
        (
            _key(0.24, right=_hand((0.33, 0.14, 0.17), (0, 0, 1), "open", 0, 0.3)),
            _key(0.24, right=_hand((0.16, 0.21, 0.19), (0, 0, 1), "open", 0, 0.3)),
        ),
        (2, 5),
    ),
    "wave_both_hands": Action(
        HANDS,
        (_key(0.95, both=_hand((0.24, 0.19, 0.18), (0, 0, 1), "open", 0, 0.3)),),
        (
            _key(0.26, both=_hand((0.33, 0.14, 0.17), (0, 0, 1), "open", 0, 0.3)),
            _key(0.26, both=_hand((0.16, 0.21, 0.19), (0, 0, 1), "open", 0, 0.3)),
        ),
        (2, 5),
    ),
    "point_forward_{side}": Action(HANDS, (_key(0.75, right=_hand((-0.03, -0.06, 0.47), (-0.5, -0.9, 0), "one")),)),
    "point_up_{side}": Action(HANDS, (_key(0.95, right=_hand((0.20, 0.20, 0.20), (-0.5, 0, 0.9), "one", 0, 0.1)),)),
    "point_down_{side}": Action(HANDS, (_key(0.7, right=_hand((0.07, -0.38, 0.30), (-0.6, -0.3, -0.6), "one")),)),
    "point_aside_{side}": Action(
        HANDS, (_key(0.95, right=_hand((0.46, -0.04, 0.14), (0, -0.9, 0.5), "one"), head=(0, -0.25, 0)),)
    ),
    "stretch_arm_aside_{side}": Action(UPPER, (_key(1, right=_hand((0.49, 0, 0.06), (0, -1, 0.1), "flat")),)),
    "stretch_arm_forward_{side}": Action(UPPER, (_key(0.8, right=_hand((0, -0.02, 0.49), (0, -1, 0.1), "flat")),)),
    "spread_arms": Action(UPPER, (_key(0.95, both=_hand((0.42, -0.06, 0.20), (-0.2, 0.3, 1), "open")),)),
    "offer_{side}_palm": Action(HANDS, (_key(0.7, right=_hand((0.08, -0.22, 0.37), (-0.2, 1, 0.1), "open")),)),
    "offer_both_palms": Action(HANDS, (_key(0.7, both=_hand((0.10, -0.23, 0.35), (-0.2, 1, 0.1), "open")),)),
    "cross_arms": Action(
        UPPER,
        (
            _key(
                0.9,
                right=_hand((-0.28, -0.20, 0.195), (-0.1, -0.1, -1), "loose", 0.55, 0.2),
                left=_hand((-0.27, -0.25, 0.15), (-0.1, -0.1, -1), "loose", 0.5, 0.2),
            ),
        ),
        freedom=0.006,
    ),
    "hands_on_hips": Action(
        UPPER, (_key(0.8, both=_hand((0.06, -0.36, 0.02), (-0.9, -0.5, -0.3), "loose", -0.5, 1)),), freedom=0.006
    ),
    "{side}_hand_on_hip": Action(
        UPPER, (_key(0.8, right=_hand((0.06, -0.36, 0.02), (-0.9, -0.5, -0.3), "loose", -0.5, 1)),), freedom=0.006
    ),
    "clap": Action(
        HANDS,
        (_key(0.6, both=_hand((-0.02, -0.18, 0.33), (-1, 0.1, 0), "flat", -0.45, 0.2)),),
        (
            _key(0.16, both=_hand((-0.152, -0.18, 0.34), (-1, 0.1, 0), "flat", -0.45, 0.2)),
            _key(0.18, both=_hand((-0.02, -0.18, 0.33), (-1, 0.1, 0), "flat", -0.45, 0.2)),
        ),
        (3, 7),
        freedom=0.006,
    ),
    "thumb_up_{side}": Action(HANDS, (_key(0.7, right=_hand((0.02, -0.14, 0.37), (-1, 0, 0), "thumb")),)),
    "fist_{side}": Action(
        HANDS,
        (
            _key(0.85, right=_hand((0.17, 0.05, 0.22), (-0.5, 0, 0.8), "loose")),
            _key(0.3, right=_hand((0.17, 0.05, 0.22), (-0.5, 0, 0.8), "fist")),
        ),
    ),
    "shake_fist_{side}": Action(
        HANDS,
        (_key(0.85, right=_hand((0.16, 0.06, 0.21), (-0.6, 0, 0.7), "fist")),),
        (
            _key(0.18, right=_hand((0.14, -0.02, 0.31), (-0.6, -0.2, 0.7), "fist")),
            _key(0.2, right=_hand((0.16, 0.07, 0.21), (-0.6, 0, 0.7), "fist")),
        ),
        (2, 5),
    ),
    "count_{side}": Action(
        HANDS,
        (
            _key(0.85, right=_hand((0.06, 0.02, 0.25), (-0.2, 0, 1), "one")),
            _key(0.3, right=_hand((0.06, -0.01, 0.27), (-0.2, 0, 1), "one")),
            _key(0.35, right=_hand((0.07, 0.03, 0.25), (-0.2, 0, 1), "two")),
            _key(0.3, right=_hand((0.07, 0, 0.27), (-0.2, 0, 1), "two")),
            _key(0.35, right=_hand((0.08, 0.04, 0.25), (-0.2, 0, 1), "three")),
            _key(0.3, right=_hand((0.08, 0.01, 0.27), (-0.2, 0, 1), "three")),
        ),
        brief=True,
    ),
    "{side}_hand_on_chest": Action(
        UPPER, (_key(0.75, right=_hand((-0.04, -0.15, 0.19), (-0.1, 0, -1), "flat", 0.15, 0.5)),), freedom=0.006
    ),
    "fold_hands": Action(
        UPPER,
        (
            _key(
                0.8,
                right=_hand((-0.10, -0.33, 0.27), (-0.4, 0, -0.9), "relaxed", 0.2, 0.1),
                left=_hand((-0.11, -0.34, 0.23), (-0.4, 0.2, -0.9), "relaxed", 0.2, 0.1),
            ),
        ),
        freedom=0.005,
    ),
    "arms_down": Action(UPPER, (_key(0.8, both=_hand((0.125, -0.48, 0.06), (-1, 0, -0.1), "relaxed")),), freedom=0.008),
    "shrug": Action(
        UPPER,
        (_key(0.65, both=_hand((0.22, -0.26, 0.22), (0.1, 1, 0.2), "open"), shoulders=(0.32,), head=(0, 0, 0.14)),),
        brief=True,
    ),
    "salute_{side}": Action(
        HANDS, (_key(0.95, right=_hand((0.035, 0.165, 0.12), (-0.4, -0.8, 0.4), "flat", 0, 1.3)),), freedom=0.006
    ),
    "chop_{side}": Action(
        HANDS,
        (_key(0.7, right=_hand((0.06, -0.04, 0.29), (-1, 0, 0), "flat")),),
        (
            _key(0.26, right=_hand((0.02, -0.30, 0.38), (-1, 0, 0), "flat")),
            _key(0.34, right=_hand((0.06, -0.06, 0.29), (-1, 0, 0), "flat")),
        ),
        (1, 4),
    ),
    "push_away": Action(
        HANDS,
        (
            _key(0.6, both=_hand((0.02, -0.14, 0.22), (0, -0.9, 0.5), "open", -0.6, 0.8)),
            _key(0.5, both=_hand((0.02, -0.06, 0.46), (0, -1, 0.2), "open", -0.85, 0.8), trunk=(0.1, 0, 0)),
        ),
        brief=True,
    ),
    "stop_{side}": Action(HANDS, (_key(0.8, right=_hand((0, -0.01, 0.42), (0, -1, 0.2), "flat", -0.85, 0.8)),)),
    "beckon_{side}": Action(
        HANDS,
        (_key(0.7, right=_hand((0.06, -0.12, 0.35), (-0.3, 0.9, -0.3), "open")),),
        (
            _key(0.28, right=_hand((0.04, -0.05, 0.27), (-0.3, 0.7, -0.7), "beckon", 0.5)),
            _key(0.28, right=_hand((0.06, -0.12, 0.35), (-0.3, 0.9, -0.3), "open")),
        ),
        (2, 4),
    ),
    "scratch_head_{side}": Action(
        HANDS,
        (_key(1.1, right=_hand((0.04, 0.295, 0.06), (-0.7, -0.7, 0), "loose", 0.3, 1.1), head=(0.08, 0, 0.05)),),
        (
            _key(0.17, right=_hand((0.04, 0.315, 0.08), (-0.7, -0.7, 0), "beckon", 0.35, 1.1)),
            _key(0.17, right=_hand((0.04, 0.285, 0.05), (-0.7, -0.7, 0), "loose", 0.25, 1.1)),
        ),
        (2, 5),
        freedom=0.006,
    ),
    "{side}_hand_to_chin": Action(
        HANDS,
        (_key(0.8, right=_hand((-0.09, -0.045, 0.225), (-0.3, 0.3, -0.9), "pinch", 0.3, 0.1), head=(0.06, 0, -0.04)),),
        freedom=0.006,
    ),
    "look_{side}": Action(UPPER, (_key(0.55, head=(0, -0.85, 0), trunk=(0, -0.12, 0)),)),
    "look_up": Action(UPPER, (_key(0.55, head=(-0.55, 0, 0), trunk=(-0.06, 0, 0)),)),
    "look_down": Action(UPPER, (_key(0.55, head=(0.6, 0, 0), trunk=(0.08, 0, 0)),)),
    "look_around": Action(
        UPPER,
        (_key(0.6, head=(0, -0.75, 0), trunk=(0, -0.1, 0)), _key(0.9, head=(-0.05, 0.75, 0), trunk=(0, 0.1, 0))),
        brief=True,
    ),
    "tilt_head_{side}": Action(UPPER, (_key(0.5, head=(0, 0, 0.42)),)),
    "nod": Action(
        UPPER, (_key(0.2, head=(-0.08, 0, 0)),), (_key(0.22, head=(0.30, 0, 0)), _key(0.24, head=(-0.04, 0, 0))), (2, 5)
    ),
    "shake_head": Action(
        UPPER,
        (_key(0.25, head=(0, -0.35, 0)),),
        (_key(0.32, head=(0, 0.38, 0)), _key(0.32, head=(0, -0.38, 0))),
        (2, 4),
    ),
    "lean_forward": Action(
        UPPER,
        (
            _key(
                0.95,
                trunk=(0.40, 0, 0),
                head=(-0.20, 0, 0),
                pelvis=(0, -0.01, -0.05, 0.18, 0, 0),
                both=_hand((0.08, -0.41, 0.27), (-1, 0, 0), "relaxed"),
            ),
        ),
    ),
    "lean_back": Action(
        UPPER, (_key(0.9, trunk=(-0.30, 0, 0), head=(0.10, 0, 0), pelvis=(0, -0.01, 0.05, -0.08, 0, 0)),)
    ),
    "lean_{side}": Action(
        UPPER,
        (
            _key(
                0.95,
                trunk=(0, 0, 0.42),
                head=(0, 0, 0.10),
                pelvis=(0.03, -0.01, 0, 0, 0, 0.05),
                right=_hand((0.26, -0.42, 0.07), (-1, 0, -0.1), "relaxed"),
                left=_hand((0.03, -0.49, 0.07), (-1, 0, -0.1), "relaxed"),
            ),
        ),
    ),
    "twist_{side}": Action(
        UPPER, (_key(0.9, trunk=(0, -0.65, 0), head=(0, -0.25, 0), pelvis=(0, -0.005, 0, 0, -0.2, 0)),)
    ),
    "bow": Action(
        ("upper", "lower"),
        (
            _key(
                1.1,
                trunk=(0.55, 0, 0),
                head=(0.30, 0, 0),
                pelvis=(0, -0.03, -0.13, 0.55, 0, 0),
                both=_hand((0.02, -0.20, 0.42), (-1, 0.1, 0), "relaxed"),
            ),
        ),
        brief=True,
    ),
    "crouch": Action(
        LOWER,
        (
            _key(0.5, both=_hand((0.14, -0.40, 0.26), (-0.9, -0.3, 0), "relaxed")),
            _key(
                1.1,
                pelvis=(0, -0.33, -0.19, 0.58, 0, 0),
                trunk=(0.30, 0, 0),
                head=(-0.45, 0, 0),
                both=_hand((0.06, -0.21, 0.39), (-0.8, -0.6, 0), "relaxed"),
            ),
        ),
    ),
    "bend_knees": Action(LOWER, (_key(0.8, pelvis=(0, -0.12, -0.05, 0.12, 0, 0), trunk=(0.05, 0, 0)),)),
    "do_squats": Action(
        LOWER,
        (_key(0.7, pelvis=(0, -0.03, 0, 0, 0, 0), both=_hand((-0.02, -0.12, 0.47), (-0.2, -1, 0), "flat")),),
        (
            _key(0.65, pelvis=(0, -0.27, -0.17, 0.45, 0, 0), trunk=(0.22, 0, 0), head=(-0.3, 0, 0)),
            _key(0.65, pelvis=(0, -0.03, 0, 0, 0, 0), trunk=(0, 0, 0), head=(0, 0, 0)),
        ),
        (2, 2),
    ),
    "step_{side}": Action(
        LOWER,
        (
            _key(0.4, pelvis=(0.07, -0.01, 0, 0, 0, 0.03)),
            _key(0.45, right_foot=(-0.28, 0, 0, 0, 0), pelvis=(-0.04, -0.04, 0, 0, 0, 0)),
            _key(0.45, pelvis=(-0.34, -0.02, 0, 0, 0, -0.03)),
            _key(0.45, left_foot=(-0.28, 0, 0, 0, 0), pelvis=(-0.34, -0.01, 0, 0, 0, -0.03)),
            _key(0.4, pelvis=(-0.28, 0, 0, 0, 0, 0)),
        ),
    ),
    "step_forward": Action(
        LOWER,
        (
            _key(0.4, pelvis=(0.07, -0.01, 0.01, 0, 0, 0.03)),
            _key(0.45, right_foot=(0, 0, 0.25, 0, 0), pelvis=(0.05, -0.03, 0.08, 0, 0, 0)),
            _key(0.45, pelvis=(-0.06, -0.03, 0.21, 0, 0, -0.03)),
            _key(0.45, left_foot=(0, 0, 0.25, 0, 0), pelvis=(-0.06, -0.01, 0.25, 0, 0, -0.03)),
            _key(0.4, pelvis=(0, 0, 0.25, 0, 0, 0)),
        ),
    ),
    "step_back": Action(
        LOWER,
        (
            _key(0.4, pelvis=(0.07, -0.01, 0, 0, 0, 0.03)),
            _key(0.45, right_foot=(0, 0, -0.24, 0, 0), pelvis=(0.05, -0.03, -0.09, 0, 0, 0)),
            _key(0.45, pelvis=(-0.06, -0.025, -0.20, 0, 0, -0.03)),
            _key(0.45, left_foot=(0, 0, -0.24, 0, 0), pelvis=(-0.06, -0.01, -0.24, 0, 0, -0.03)),
            _key(0.4, pelvis=(0, 0, -0.24, 0, 0, 0)),
        ),
    ),
    "spread_legs": Action(
        LOWER,
        (
            _key(0.4, pelvis=(0.07, -0.01, 0, 0, 0, 0.03)),
            _key(0.45, right_foot=(-0.26, 0, 0, -0.1, 0), pelvis=(0, -0.03, 0, 0, 0, 0)),
            _key(0.5, pelvis=(-0.13, -0.045, 0, 0, 0, 0)),
        ),
    ),
    "shift_weight_{side}": Action(LOWER, (_key(0.9, pelvis=(-0.085, -0.015, 0, 0, 0, -0.07), trunk=(0, 0, 0.07)),)),
    "raise_{side}_knee": Action(
        LOWER, (_key(0.55, pelvis=(0.10, -0.005, 0, 0, 0, 0.02)), _key(0.65, right_foot=(0.02, 0.36, 0.16, 0, 0.35)))
    ),
    "kick_{side}": Action(
        LOWER,
        (
            _key(0.5, pelvis=(0.10, -0.01, 0, 0, 0, 0.02)),
            _key(0.45, right_foot=(0.02, 0.20, -0.20, 0, 0.7)),
            _key(0.55, right_foot=(0.02, 0.26, 0.45, 0, -0.1), trunk=(-0.06, 0, 0)),
        ),
        brief=True,
    ),
    "turn_{side}": Action(
        LOWER,
        (
            _key(0.32, pelvis=(0.08, -0.01, 0, 0, -0.1, 0.03)),
            _key(0.36, right_foot=(0.03, 0, -0.08, -0.8, 0), pelvis=(0.06, -0.02, 0, 0, -0.3, 0)),
            _key(0.3, pelvis=(-0.04, -0.015, -0.06, 0, -0.5, 0)),
            _key(0.36, left_foot=(-0.03, 0, 0.08, -0.8, 0), pelvis=(-0.03, -0.015, -0.05, 0, -0.75, 0)),
            _key(0.3, pelvis=(0.055, -0.015, 0.055, 0, -0.9, 0)),
            _key(0.36, right_foot=(0.11, 0, -0.11, -1.57, 0), pelvis=(0.045, -0.02, 0.045, 0, -1.1, 0)),
            _key(0.3, pelvis=(0, -0.015, -0.07, 0, -1.3, 0)),
            _key(0.36, left_foot=(-0.11, 0, 0.11, -1.57, 0), pelvis=(0, -0.01, -0.05, 0, -1.48, 0)),
            _key(0.3, pelvis=(0, 0, 0, 0, -1.57, 0)),
        ),
    ),
    "stand_still": Action(LOWER, ()),
    "walk_forward": Action(LOWER, (), gait="walk"),
    "run": Action(LOWER, (), gait="run"),
}

_PHRASES = json.loads((files("cospeech.data") / "phrases.json").read_text(encoding="utf-8"))

ACTIONS: dict[str, Action] = {
    key.format(side=side): replace(action, side=side if "{side}" in key else "", phrases=tuple(_PHRASES[key]))
    for key, action in _TABLE.items()
    for side in ("right", "left")
}
