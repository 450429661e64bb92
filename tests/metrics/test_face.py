import numpy as np
import pytest

from cospeech import skeleton
from cospeech.metrics import face

FPS = 30.0
CLOSE = skeleton.ARKIT_INDEX["mouthClose"]


def still(num_frames):
    return np.zeros((num_frames, 52), np.float32)


def test_a_blink_needs_both_eyes_and_counts_once():
    weights = still(60)
    left, right = skeleton.ARKIT_INDEX["eyeBlinkLeft"], skeleton.ARKIT_INDEX["eyeBlinkRight"]
    weights[10:14, left] = 1.0  # a wink
    assert face.num_blinks(weights) == 0
    weights[12:16, right] = 0.8
    weights[40:43, [left, right]] = 0.9
    assert face.num_blinks(weights) == 2
    weights[0, [left, right]] = 1.0  # begins with closed eyes
    assert face.num_blinks(weights) == 3


def test_only_the_inside_of_long_pauses_counts():
    speaking = np.ones(90, bool)
    speaking[20:50] = False  # a second
    speaking[60:66] = False  # a stop
    np.testing.assert_array_equal(np.flatnonzero(face.pauses(speaking, FPS)), np.arange(24, 46))


def test_lips_over_an_open_jaw_may_touch():
    weights = still(3)
    weights[:, skeleton.JAW_OPEN] = [0.0, 0.4, 0.4]
    weights[2, CLOSE] = 0.4
    assert face.lips_apart(weights).tolist() == [False, True, False]


@pytest.mark.parametrize("names", [("p", "b", "m"), ("P", "B", "M"), ("pʰ", "mː", "b")])
def test_closures_that_stay_open_are_counted(names):
    weights = still(60)
    weights[:, skeleton.JAW_OPEN] = 0.4
    weights[16, CLOSE] = 0.4  # one frame is enough
    times_s = ((0.5, 0.6), (1.0, 1.1), (1.95, 2.5))  # the last ends after the motion
    phones = [(name, *times) for name, times in zip(names, times_s, strict=True)]
    assert face.open_closures(weights, [*phones, ("a", 1.2, 1.5)], FPS) == (1, 2)
