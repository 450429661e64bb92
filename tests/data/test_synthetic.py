import numpy as np
import pytest

from cospeech import skeleton
from cospeech.body import joint_positions, joint_transforms, mannequin
from cospeech.data import synthetic
from cospeech.motion import Motion
from cospeech.speech import Speech

RATE = 16_000
LOUD_S = (1.0, 1.9, 2.6, 3.5, 4.4, 5.1)  # syllables; then silence to the end


@pytest.fixture
def speech(rng):
    at = np.arange(10 * RATE) / RATE
    envelope = sum(np.exp(-(((at - middle) / 0.09) ** 2)) for middle in LOUD_S)
    return Speech(0.3 * envelope * np.sign(np.sin(2 * np.pi * 120 * at)) * rng.uniform(0.5, 1, len(at)), RATE)


@pytest.fixture
def idle():
    rest = np.tile(skeleton.REST_TRANSLATION, (120, 1))
    return [Motion(np.zeros((120, 55, 3)), rest)]


@pytest.fixture
def planted(speech, idle):
    return synthetic.plant(speech, idle, seed=3)


def wrists_in_chest(motion):
    transforms = joint_transforms(mannequin("light"), motion.poses, motion.translation)
    chest, joints = transforms.rotations[:, skeleton.INDEX["spine3"]], transforms.positions
    return np.einsum("tji,tkj->tki", chest, joints[:, skeleton.WRISTS] - joints[:, [skeleton.INDEX["spine3"]]])


def test_as_long_as_the_speech(planted, speech):
    assert len(planted.motion) == speech.num_frames(30) == 300


def test_strokes_fall_on_loud_syllables(planted):
    frames = np.array([stroke.frame for stroke in planted.strokes])
    assert len(frames) >= 3
    nearest = np.abs(frames[:, None] / 30 - np.array(LOUD_S)).min(axis=1)
    assert nearest.max() < 0.08


def test_hands_are_still_in_silence_and_move_in_speech(planted):
    speed = np.linalg.norm(np.diff(wrists_in_chest(planted.motion), axis=0), axis=-1).max(axis=-1) * 30
    assert speed[30:160].mean() > 4 * speed[240:].mean()
    assert speed[240:].mean() > 0  # but nobody freezes


def test_the_jaw_follows_the_sound(planted):
    jaw = planted.motion.face[:, skeleton.JAW_OPEN]
    for middle in LOUD_S:
        assert jaw[round(middle * 30)] > 0.25
    assert jaw[240:].max() < 0.05
    np.testing.assert_allclose(planted.motion.poses[:, skeleton.JAW, 0], 0.30 * jaw, atol=1e-6)


def test_eyes_blink(planted):
    blink = planted.motion.face[:, skeleton.ARKIT_INDEX["eyeBlinkLeft"]]
    assert blink.max() == 1
    assert np.median(blink) == 0


def test_same_seed_same_motion_other_seed_other_motion(speech, idle, planted):
    again, other = synthetic.plant(speech, idle, seed=3).motion, synthetic.plant(speech, idle, seed=4).motion
    np.testing.assert_array_equal(again.poses, planted.motion.poses)
    assert np.abs(wrists_in_chest(other) - wrists_in_chest(again)).max() > 0.05


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_wrist_goes_where_the_hand_is_planned(side):
    """Against forward kinematics: the target is metres from the shoulder, outwards, up and forwards."""
    target = np.array([[0.05, -0.3, 0.3], [-0.1, -0.2, 0.35], [0.3, -0.1, 0.1]])
    poses = np.zeros((3, 55, 3), np.float32)
    synthetic._pose_arm(poses, side, target, palm=np.array([[-0.8, -0.6, 0.0]] * 3), shape=np.zeros((3, 8)))
    joints = joint_positions(mannequin("light"), poses, np.zeros((3, 3)))
    wrist = joints[:, skeleton.INDEX[f"{side}_wrist"]] - joints[:, skeleton.INDEX[f"{side}_shoulder"]]
    np.testing.assert_allclose(wrist, target * [1 if side == "left" else -1, 1, 1], atol=1e-3)


def test_minimum_jerk_starts_and_ends_at_rest():
    t = np.linspace(0, 1, 1001)
    path = synthetic.minimum_jerk(t)
    speed = np.gradient(path, t)
    np.testing.assert_allclose([path[0], path[-1], path[500]], [0, 1, 0.5])
    assert speed[0] < 1e-2
    assert speed[-1] < 1e-2
    assert speed.max() == pytest.approx(1.875, abs=1e-3)  # 15/8 of the mean speed
