import json
from importlib.resources import files

import numpy as np
import pytest

from cospeech.body import joint_transforms, mannequin
from cospeech.data import actions
from cospeech.metrics import obedience
from cospeech.motion import Motion
from cospeech.skeleton import REST_TRANSLATION

ACTED = {
    "right_hand_up": ("raise_right_hand", "wave_right_hand"),
    "left_hand_up": ("raise_left_hand", "wave_left_hand"),
    "turns_left": ("turn_left",),
    "bows": ("bow",),
    "points": ("point_forward_right", "point_up_left"),
    "claps": ("clap",),
    "crouches": ("crouch",),
}


def measured(name: str, motion: Motion) -> obedience.Obeyed:
    transforms = joint_transforms(mannequin("light"), motion.poses, motion.translation)
    return obedience.CRITERIA[name](transforms, motion.poses, motion.fps)


@pytest.mark.parametrize(("wanted", "action"), [(w, a) for w, names in ACTED.items() for a in names])
def test_planted_actions_are_what_they_are_and_no_other(wanted, action):
    done = []
    for seed in range(3):
        performed = actions.perform(action, 150, 30, np.random.default_rng(seed))
        motion = performed.motion[performed.start / 30 : performed.end / 30]
        done.append({name for name in obedience.CRITERIA if measured(name, motion).done})
    assert all(wanted in each for each in done)
    beside = {"points": {"right_hand_up", "left_hand_up"}, "crouches": {"bows"}}.get(wanted, set())
    beside |= {"points"} if "hand" in wanted else set()
    for each in done:  # who points may have a hand up, who crouches leans forward; else one thing is not another
        assert each - {wanted} <= beside


def walking(speed: float, degrees: float = 0.0) -> Motion:
    """A body that glides ahead, which is `degrees` to the left of +z."""
    angle = np.radians(degrees)
    poses = np.zeros((90, 55, 3))
    poses[:, 0, 1] = angle
    way = np.array([np.sin(angle), 0, np.cos(angle)])
    return Motion(poses, REST_TRANSLATION + np.arange(90)[:, None] / 30 * speed * way)


def test_walking_and_running_are_ahead_wherever_that_is():
    for degrees in (0, 130):
        assert measured("walks_forward", walking(1.2, degrees)).value == pytest.approx(1.2, rel=1e-4)
        assert measured("walks_forward", walking(1.2, degrees)).done
        assert not measured("runs", walking(1.2, degrees)).done
        assert measured("runs", walking(2.5, degrees)).done
    backwards = walking(-1.2)
    assert not measured("walks_forward", backwards).done
    assert not any(measured(name, walking(0)).done for name in obedience.CRITERIA)


def test_both_hands_up_is_not_one_hand_up():
    poses = np.zeros((30, 55, 3))
    poses[:, 16, 2], poses[:, 17, 2] = 1.2, -1.2
    both = Motion(poses, np.tile(REST_TRANSLATION, (30, 1)))
    for side in ("left", "right"):
        found = measured(f"{side}_hand_up", both)
        assert found.value == 1
        assert not found.done


def test_everything_that_is_asked_has_a_criterion():
    asked = json.loads((files("cospeech.recipes") / "paraphrases.json").read_text(encoding="utf-8"))
    assert len(asked) >= 40
    assert {item["wanted"] for item in asked} == set(obedience.CRITERIA)
    assert len({item["text"] for item in asked}) == len(asked)
    assert {item["part"] for item in asked} <= {"upper", "hands", "lower", "whole"}
