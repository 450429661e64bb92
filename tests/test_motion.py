import numpy as np
import pytest

from cospeech import rotation, skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.errors import MotionError
from cospeech.motion import Motion


@pytest.fixture
def motion(rng):
    def smooth(*shape):
        return np.cumsum(rng.normal(size=shape), axis=0) * 0.02

    return Motion(smooth(90, 55, 3), smooth(90, 3), face=rng.uniform(size=(90, 52)), metadata={"model": "none"})


def test_a_motion_cannot_be_changed(motion):
    with pytest.raises(ValueError, match="read-only"):
        motion.poses[0] = 1
    with pytest.raises(AttributeError):
        motion.fps = 60


def test_a_motion_does_not_share_memory_with_its_maker():
    poses = np.zeros((2, 55, 3), np.float32)
    motion = Motion(poses, np.zeros((2, 3)))
    poses[:] = 1
    assert motion.poses.max() == 0


def test_slices_are_in_seconds(motion):
    part = motion[1.0:2.5]
    assert len(part) == 45
    np.testing.assert_array_equal(part.poses, motion.poses[30:75])
    assert len(motion[:]) == 90
    with pytest.raises(MotionError):
        motion[2.0:1.0]
    with pytest.raises(TypeError):
        motion[3]


def test_cut_and_joined_is_the_same(motion):
    again = motion[:1.0].join(motion[1.0:2.0], motion[2.0:])
    np.testing.assert_array_equal(again.poses, motion.poses)
    np.testing.assert_array_equal(again.face, motion.face)
    assert again.metadata == motion.metadata


@pytest.mark.parametrize("fps", [24, 25, 29.97, 50, 60, 120])
def test_resampling_keeps_the_duration(motion, fps):
    again = motion.resample(fps)
    assert len(again) == round(motion.duration_s * fps)


def test_twice_the_rate_keeps_every_frame(motion):
    twice = motion.resample(60)
    there, back = (rotation.axis_angle_to_matrix(m) for m in (motion.poses, twice.poses[::2]))
    np.testing.assert_allclose(back, there, atol=1e-5)
    np.testing.assert_allclose(twice.translation[::2], motion.translation, atol=1e-6)


def test_the_mirror_image_has_mirrored_joints(motion):
    """Not only the numbers: each left joint is where the right one was, on the other side of the body's middle."""
    body = mannequin("light")
    middle = body.joints[0, 0]
    joints, mirrored = (joint_positions(body, m.poses, m.translation) for m in (motion, motion.mirror()))
    expected = joints[:, skeleton.MIRROR] * [-1, 1, 1] + [2 * middle, 0, 0]
    np.testing.assert_allclose(mirrored, expected, atol=2e-3)
    np.testing.assert_array_equal(motion.mirror().mirror().poses, motion.poses)
    left, right = (motion.mirror().face[:, skeleton.ARKIT_INDEX[f"eyeBlink{side}"]] for side in ("Left", "Right"))
    np.testing.assert_array_equal(left, motion.face[:, skeleton.ARKIT_INDEX["eyeBlinkRight"]])
    np.testing.assert_array_equal(right, motion.face[:, skeleton.ARKIT_INDEX["eyeBlinkLeft"]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"poses": np.zeros((3, 54, 3))}, "poses"),
        ({"translation": np.zeros((2, 3))}, "translation"),
        ({"translation": np.full((3, 3), np.nan)}, "NaN"),
        ({"face": np.zeros((3, 51))}, "face"),
        ({"fps": 0}, "fps"),
    ],
)
def test_arrays_that_do_not_fit_are_named(change, message):
    good = {"poses": np.zeros((3, 55, 3)), "translation": np.zeros((3, 3))}
    with pytest.raises(MotionError, match=message):
        Motion(**{**good, **change})


def test_what_a_body_can_show_of_a_face(rng):
    poses = np.zeros((4, 55, 3), np.float32)
    still = Motion(poses, np.zeros((4, 3)), 30)
    assert still.shown_face() is None
    face = rng.uniform(size=(4, 52)).astype(np.float32)
    np.testing.assert_array_equal(still.with_face(face).shown_face(), face)
    poses[:, skeleton.JAW, 0] = [0, 0.15, 0.3, -0.1]
    shown = Motion(poses, np.zeros((4, 3)), 30).shown_face()
    np.testing.assert_allclose(shown[:, skeleton.JAW_OPEN], [0, 0.5, 1, 0], atol=1e-6)
    assert not np.delete(shown, skeleton.JAW_OPEN, axis=1).any()
