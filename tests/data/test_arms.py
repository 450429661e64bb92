import numpy as np
import pytest

from cospeech import limits, skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.data import arms
from cospeech.data.arms import Track
from cospeech.data.planning import KINDS, Persona, Stroke, Unit
from cospeech.metrics import gesture

FPS = 30


def shape(num_frames, name="relaxed"):
    return np.tile(arms.SHAPES[name], (num_frames, 1))


def test_minimum_jerk_starts_and_ends_at_rest():
    t = np.linspace(0, 1, 1001)
    path = arms.minimum_jerk(t)
    speed = np.gradient(path, t)
    np.testing.assert_allclose([path[0], path[-1], path[500]], [0, 1, 0.5])
    assert max(speed[0], speed[-1]) < 1e-2
    assert speed.max() == pytest.approx(1.875, abs=1e-3)  # 15/8 of the mean speed


def test_moves_that_overlap_end_at_the_last_goal():
    track = Track(np.zeros(2))
    track.go([1.0, 0.0], 2, 12)
    track.go([1.0, 3.0], 8, 20, bow=[0.5, 0.0])
    values = track.values(30)
    np.testing.assert_allclose(values[:3], 0)
    np.testing.assert_allclose(values[20:], [[1.0, 3.0]] * 10)
    assert values[14, 0] == pytest.approx(1.5)  # the bow, halfway
    np.testing.assert_allclose(track.values(10), values[:10])  # a motion that ends before its moves do


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_wrist_goes_where_it_is_sent(side):
    """Against forward kinematics: the target is metres from the shoulder, outwards, up and forwards."""
    target = np.array([[0.05, -0.3, 0.3], [-0.1, -0.2, 0.35], [0.3, -0.1, 0.1]])
    poses = np.zeros((3, 55, 3), np.float32)
    palm = np.array([[-0.8, -0.6, 0.0]] * 3)
    arms.pose_arm(poses, side, target, palm, shape(3), np.zeros(3), np.array([0.0, 0.3, -0.3]))
    joints = joint_positions(mannequin("light"), poses, np.zeros((3, 3)))
    wrist = joints[:, skeleton.INDEX[f"{side}_wrist"]] - joints[:, skeleton.INDEX[f"{side}_shoulder"]]
    np.testing.assert_allclose(wrist, target * [1 if side == "left" else -1, 1, 1], atol=1e-3)


def test_the_arms_mirror_each_other():
    both = np.zeros((4, 55, 3))
    for side in ("left", "right"):
        target = np.tile([0.05, -0.25, 0.3], (4, 1))
        arms.pose_arm(both, side, target, np.tile([-0.5, 0.5, 0.3], (4, 1)), shape(4), np.full(4, 0.2), np.full(4, 0.1))
    mirrored = both[:, skeleton.MIRROR] * [1, -1, -1]
    np.testing.assert_allclose(mirrored, both, atol=1e-6)


def test_a_fist_is_closed_and_an_open_hand_is_not():
    tips = {}
    for name in ("fist", "open"):
        poses = np.zeros((1, 55, 3))
        target, palm = np.array([[0.0, -0.2, 0.3]]), np.array([[-1.0, 0.0, 0.0]])
        arms.pose_arm(poses, "left", target, palm, shape(1, name), np.zeros(1), np.zeros(1))
        joints = joint_positions(mannequin("light"), poses, np.zeros((1, 3)))[0]
        tips[name] = np.linalg.norm(joints[skeleton.INDEX["left_middle3"]] - joints[skeleton.INDEX["left_wrist"]])
    assert tips["fist"] < 0.75 * tips["open"]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_stroke_is_fastest_on_its_syllable(kind, rng):
    stroke = Stroke(60, kind, ("right", "left"), 1.0, True, False)
    persona = Persona.random(rng)
    poses = np.zeros((120, 55, 3))
    arms.plant_arms(poses, [Unit((stroke,), 75)], FPS, persona, rng)
    joints = joint_positions(mannequin("light"), poses, np.zeros((120, 3)))
    speed = gesture.wrist_speed(joints[:, skeleton.WRISTS], FPS)
    for hand in speed.T:
        assert np.abs(gesture.peaks(hand, FPS, 0.4) - 60).min() <= 3
    assert limits.excess(poses)[:, limits.LIMITED].max() < np.radians(12)
    assert speed[:25].max() < 0.35  # nothing before the preparation
