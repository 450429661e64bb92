import numpy as np
import pytest

from cospeech import skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.metrics import physics

STANDING = np.zeros((60, 55, 3))


def posed(poses, translation=skeleton.REST_TRANSLATION):
    translation = np.broadcast_to(np.asarray(translation, np.float64), (len(poses), 3))
    return joint_transforms(mannequin(), poses, translation)


def test_jerk_of_a_cubic_is_six_times_its_factor():
    time = np.arange(40) / 30
    path = np.stack([0.5 * time**3, time**2, time], axis=-1)[:, None]
    assert physics.mean_jerk(path, 30) == pytest.approx(3.0)
    assert physics.mean_jerk(path[:, :, 1:], 30) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("fps", [30, 60])
def test_tremor_share_is_the_power_of_velocity_in_the_band(fps):
    time = np.arange(10 * fps) / fps
    slow = np.sin(2 * np.pi * 2 * time) / 2  # of the same velocity
    fast = np.sin(2 * np.pi * 10 * time) / 10
    path = np.zeros((len(time), 1, 3))
    path[:, 0, 0] = slow
    assert physics.tremor_share(path, fps) < 1e-3
    path[:, 0, 0] = fast
    assert physics.tremor_share(path, fps) > 0.999
    path[:, 0, 1] = slow
    assert physics.tremor_share(path, fps) == pytest.approx(0.5, abs=0.1)  # differences weaken what is fast


def test_who_stands_touches_the_floor_and_slides_as_the_body_does():
    assert physics.contact_share(posed(STANDING).positions) == 1
    sliding = posed(STANDING, skeleton.REST_TRANSLATION + np.arange(60)[:, None] * [0.001, 0, 0]).positions
    assert physics.slide_cm_s(sliding, 30) == pytest.approx(3.0, rel=1e-3)
    assert physics.root_drift(sliding[:, 0], 30) == pytest.approx(1.8, rel=1e-3)
    there_and_back = np.concatenate([sliding[:, 0], sliding[::-1, 0]])
    assert physics.root_drift(there_and_back, 30) > 0.4
    hovering = posed(STANDING, skeleton.REST_TRANSLATION + np.array([0, 0.03, 0])).positions
    assert physics.contact_share(hovering) == 0
    assert physics.slide_cm_s(hovering, 30) == 0
    assert physics.below_floor_cm(hovering) == 0
    sunk = posed(STANDING, skeleton.REST_TRANSLATION - np.array([0, 0.013, 0])).positions
    assert physics.below_floor_cm(sunk) == pytest.approx(1.3, abs=1e-4)


def test_a_raised_leg_halves_contact():
    poses = STANDING.copy()
    poses[:, skeleton.INDEX["left_hip"], 0] = -1.0
    assert physics.contact_share(posed(poses).positions) == 0.5


def test_hands_inside_counts_frames():
    poses = STANDING.copy()
    poses[:, skeleton.INDEX["left_shoulder"], 2] = -1.2
    poses[:15, skeleton.INDEX["left_shoulder"], 2] = -1.6
    assert physics.hands_inside_share(posed(poses)) == 0.25


def test_wrists_in_the_chest_do_not_feel_where_the_body_goes(rng):
    turned = STANDING.copy()
    turned[:, 0] = rng.normal(size=(60, 3))
    there = physics.wrists_in_chest(posed(turned, rng.normal(size=(60, 3))))
    np.testing.assert_allclose(there, physics.wrists_in_chest(posed(STANDING)), atol=1e-6)


def test_limits_and_speeds():
    poses = STANDING.copy()
    poses[:30, skeleton.INDEX["left_knee"], 0] = -0.8
    assert physics.limit_violation_share(poses) == pytest.approx(0.5 / 51)
    turning = STANDING.copy()
    turning[:, skeleton.HANDS[0], 2] = 0.05 * np.arange(60)
    assert physics.angular_speed(turning[:, skeleton.HANDS], 30).max() == pytest.approx(1.5)


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_short_motions_score_zero(num_frames):
    short = posed(np.zeros((num_frames, 55, 3)))
    wrists = physics.wrists_in_chest(short)
    assert physics.mean_jerk(wrists, 30) == physics.tremor_share(wrists, 30) == 0
    assert physics.slide_cm_s(short.positions, 30) == physics.below_floor_cm(short.positions) == 0
    assert physics.root_drift(short.positions[:, 0], 30) == 0
    assert physics.hands_inside_share(short) == physics.limit_violation_share(np.zeros((num_frames, 55, 3))) == 0


def test_a_jump_at_a_seam_is_told_from_what_is_rough_everywhere(rng):
    time = np.arange(300) / 30
    path = np.zeros((300, 2, 3))
    path[:, 0, 1] = np.sin(2 * np.pi * time)  # at most 39 m/s^2, ever again
    seams = np.array([75, 150, 225])
    assert physics.seam_jump(path, seams, 30).value < 1.2
    jumping = path.copy()
    for seam in seams:
        jumping[seam:, 1, 0] += 0.2
    found = physics.seam_jump(jumping, seams, 30)
    assert found.value > 5
    assert found.count == pytest.approx(0.2 * 900, rel=0.1)
    assert physics.seam_jump(jumping, seams + 20, 30).value < 1
    rough = rng.normal(size=(3000, 1, 3))
    assert physics.seam_jump(rough, np.arange(50, 2950, 50), 30).value == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("num_frames", "seams"), [(0, [1]), (3, [1]), (50, []), (6, [3])])
def test_without_seams_or_anything_between_there_is_no_jump(num_frames, seams):
    assert np.isnan(physics.seam_jump(np.zeros((num_frames, 2, 3)), np.array(seams), 30).value)
