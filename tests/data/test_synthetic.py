import numpy as np
import pytest

from cospeech import skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.data import synthetic
from cospeech.metrics import face, gesture, physics
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


def wrists(motion):
    return physics.wrists_in_chest(joint_transforms(mannequin("light"), motion.poses, motion.translation))


def test_as_long_as_the_speech(planted, speech):
    assert len(planted.motion) == speech.num_frames(30) == 300


def test_strokes_fall_on_syllables_and_hands_are_fast_there(speech, idle):
    found = []
    for seed in range(6):
        planted = synthetic.plant(speech, idle, seed)
        speed = gesture.wrist_speed(wrists(planted.motion), 30).max(axis=1)
        fastest = gesture.peaks(speed, 30, above=0.3)
        for stroke in planted.strokes:
            assert np.abs(stroke.frame / 30 - np.array(LOUD_S)).min() < 0.08
            found.append(np.abs(fastest - stroke.frame).min(initial=99))
    assert len(found) >= 12
    assert np.median(found) <= 2


def test_hands_are_still_in_silence_and_move_in_speech(planted):
    speed = np.linalg.norm(np.diff(wrists(planted.motion), axis=0), axis=-1).max(axis=-1) * 30
    assert speed[30:160].mean() > 4 * speed[240:].mean()
    assert speed[240:].mean() > 0  # but nobody freezes


def test_the_jaw_follows_the_sound(planted):
    jaw = planted.motion.face[:, skeleton.JAW_OPEN]
    for middle in LOUD_S:
        assert jaw[round(middle * 30)] > 0.1  # how wide differs from syllable to syllable
    assert jaw[240:].max() < 0.05
    np.testing.assert_allclose(planted.motion.poses[:, skeleton.JAW, 0], 0.30 * jaw, atol=1e-6)


def test_eyes_blink(planted):
    assert face.num_blinks(planted.motion.face) >= 1


def test_same_seed_same_motion_other_seed_other_motion(speech, idle, planted):
    again, other = synthetic.plant(speech, idle, seed=3).motion, synthetic.plant(speech, idle, seed=4).motion
    np.testing.assert_array_equal(again.poses, planted.motion.poses)
    assert np.abs(wrists(other) - wrists(again)).max() > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_feet_stand_hands_stay_outside_and_joints_in_range(speech, seed):
    motion = synthetic.plant(speech, (), seed).motion
    transforms = joint_transforms(mannequin("light"), motion.poses, motion.translation)
    assert physics.contact_share(transforms.positions) > 0.9
    assert physics.slide_cm_s(transforms.positions, 30) < 0.5
    assert physics.hands_inside_share(transforms) < 0.01
    assert physics.limit_violation_share(motion.poses) < 0.001
    assert physics.below_floor_cm(transforms.positions) < 0.1


def test_silence_from_beginning_to_end():
    motion = synthetic.plant(Speech(np.zeros(3 * RATE, np.float32), RATE), (), 0).motion
    assert len(motion) == 90
    assert motion.face[:, skeleton.JAW_OPEN].max() < 0.05
    assert gesture.wrist_speed(wrists(motion), 30).max() < 0.15
