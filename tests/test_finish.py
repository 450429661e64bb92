import numpy as np
import pytest

from cospeech import skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.finish import stand
from cospeech.motion import Motion

LEGS = [[skeleton.INDEX[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle")] for side in ("left", "right")]


def moving(num_frames, translation, swing=0.0):
    """Thighs swing against each other, knees bend as they go forwards, soles stay level: a stiff walk."""
    poses = np.zeros((num_frames, 55, 3))
    phase = 2 * np.pi * np.arange(num_frames) / 30
    for (hip, knee, ankle), turn in zip(LEGS, (phase, phase + np.pi), strict=True):
        poses[:, hip, 0] = -swing * np.sin(turn)
        poses[:, knee, 0] = 2 * swing * np.clip(np.cos(turn), 0, None)
        poses[:, ankle, 0] = -poses[:, hip, 0] - poses[:, knee, 0]
    return Motion(poses, np.broadcast_to(skeleton.REST_TRANSLATION + translation, (num_frames, 3)))


def balls(motion):
    return joint_positions(mannequin(), motion.poses, motion.translation)[:, [10, 11]]


def test_who_stands_does_not_drift():
    drift = np.linspace(0, 1, 90)[:, None] * [0.3, 0.05, -0.4]
    fixed = stand(moving(90, drift))
    np.testing.assert_allclose(fixed.translation, np.tile(skeleton.REST_TRANSLATION, (90, 1)), atol=1e-6)


def test_feet_slide_less_and_the_walker_gets_ahead():
    walk = moving(150, np.zeros(3), swing=0.35)
    fixed = stand(walk)

    def slide(motion):
        feet = balls(motion)
        speed = np.linalg.norm(np.diff(feet[..., [0, 2]], axis=0), axis=-1)
        return np.where(feet[1:, :, 1].argmin(axis=1) == 0, speed[:, 0], speed[:, 1]).mean()

    assert slide(fixed) < 0.5 * slide(walk)
    assert fixed.translation[-1, 2] - fixed.translation[0, 2] > 0.5  # forwards, which is +z
    assert abs(fixed.translation[-1, 0]) < 0.05


def test_the_lower_foot_is_on_the_floor():
    floating = moving(60, [0, 0.2, 0], swing=0.3)
    standing = balls(moving(1, np.zeros(3)))[0, 0, 1]
    assert balls(stand(floating))[..., 1].min(axis=1) == pytest.approx(standing, abs=0.025)


def test_it_starts_where_the_motion_starts():
    start = stand(moving(30, [2.0, 0, -1.0])).translation[0]
    np.testing.assert_allclose(start[[0, 2]], [2.0, -1.0], atol=1e-6)


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_short_motions(num_frames):
    assert len(stand(moving(num_frames, np.zeros(3)))) == num_frames


def test_poses_and_face_stay(rng):
    motion = Motion(rng.normal(size=(20, 55, 3)) * 0.1, np.zeros((20, 3)), face=rng.uniform(size=(20, 52)))
    fixed = stand(motion)
    np.testing.assert_array_equal(fixed.poses, motion.poses)
    np.testing.assert_array_equal(fixed.face, motion.face)
