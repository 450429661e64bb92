import numpy as np
import pytest

from cospeech import collision, limits, rotation, skeleton
from cospeech.body import joint_positions, joint_transforms, mannequin
from cospeech.data import gait, standing
from cospeech.finish import finish, steady
from cospeech.finish.ranges import FINGER_RAD_S
from cospeech.metrics import physics
from cospeech.motion import Motion
from cospeech.smoothing import smooth

INDEX = skeleton.INDEX
LEGS = [[INDEX[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle")] for side in ("left", "right")]


def moving(num_frames, translation, swing=0.0):
    """Thighs swing against each other, knees bend as they go forwards, soles stay level: a stiff walk."""
    poses = np.zeros((num_frames, 55, 3))
    phase = 2 * np.pi * np.arange(num_frames) / 30
    for (hip, knee, ankle), turn in zip(LEGS, (phase, phase + np.pi), strict=True):
        poses[:, hip, 0] = -swing * np.sin(turn)
        poses[:, knee, 0] = 2 * swing * np.clip(np.cos(turn), 0, None)
        poses[:, ankle, 0] = -poses[:, hip, 0] - poses[:, knee, 0]
    return Motion(poses, np.broadcast_to(skeleton.REST_TRANSLATION + translation, (num_frames, 3)))


def talking(num_frames, seed=0, fps=30.0, sway=0.03, noise=0.01):
    """Arms hang and gesture, the trunk and the legs sway, and everything is a little wrong, as from a network."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_frames) / fps

    def waves(size, count):
        hz, phase = rng.uniform(0.1, 0.5, (2, count, 3)) * [[[1]], [[12]]]
        return size * np.sin(2 * np.pi * hz * time[:, None, None] + phase)  # (T, count, 3)

    poses = waves(sway, 55)
    poses[:, [INDEX["left_shoulder"], INDEX["right_shoulder"]], 2] += [-1.2, 1.2]
    poses[:, [INDEX["left_elbow"], INDEX["right_elbow"]], 1] += [-0.6, 0.6]
    poses[:, skeleton.HANDS] *= 3
    poses[:, skeleton.FEET] += smooth(rng.normal(size=(num_frames, 4, 3)) * noise, 2.0)
    drift = time[:, None] * [0.02, 0.005, -0.015]
    face = rng.uniform(size=(num_frames, 52))
    return Motion(poses, skeleton.REST_TRANSLATION + drift + waves(0.01, 1)[:, 0], fps, face=face)


def joints(motion):
    return joint_positions(mannequin(), motion.poses.astype(np.float64), motion.translation.astype(np.float64))


def transforms(motion):
    return joint_transforms(mannequin(), motion.poses.astype(np.float64), motion.translation.astype(np.float64))


def balls(motion):
    return joints(motion)[:, [10, 11]]


@pytest.fixture(scope="module")
def talk():
    return talking(300)


@pytest.fixture(scope="module")
def finished(talk):
    return finish(talk)


# --- feet -------------------------------------------------------------------------------------------------------


def test_who_stands_does_not_drift():
    drift = np.linspace(0, 1, 90)[:, None] * [0.3, 0.05, -0.4]
    fixed = finish(moving(90, drift))
    np.testing.assert_allclose(fixed.translation, np.tile(skeleton.REST_TRANSLATION, (90, 1)), atol=1e-5)


def test_feet_slide_less_and_the_walker_gets_ahead():
    walk = moving(150, np.zeros(3), swing=0.35)
    fixed = finish(walk)

    def slide(motion):
        feet = balls(motion)
        speed = np.linalg.norm(np.diff(feet[..., [0, 2]], axis=0), axis=-1)
        return np.where(feet[1:, :, 1].argmin(axis=1) == 0, speed[:, 0], speed[:, 1]).mean()

    assert slide(fixed) < 0.5 * slide(walk)
    assert fixed.translation[-1, 2] - fixed.translation[0, 2] > 0.5  # forwards, which is +z
    assert abs(fixed.translation[-1, 0]) < 0.05


def test_of_who_walks_with_too_short_strides_a_foot_stands_at_any_time():
    """As networks walk, which blur many gaits into one: the legs do not get as far as the body, and both feet slide."""
    walk = gait.go(
        "walk", standing.stand(150, 30, np.random.default_rng(0), still=True), 10, 150, True, np.random.default_rng(1)
    )
    poses = walk.poses.copy()
    poses[30:, skeleton.LOWER[1:]] *= 0.6
    short = Motion(poses, walk.translation)

    def slides(motion):
        speed = np.linalg.norm(np.diff(joints(motion)[45:, skeleton.FEET][..., [0, 2]], axis=0), axis=-1) * 30
        return speed.min(axis=1)

    fixed = finish(short)
    assert np.median(slides(short)) > 0.2
    assert np.median(slides(fixed)) < 0.01
    assert slides(fixed).mean() < 0.05
    assert fixed.translation[-1, 2] - fixed.translation[45, 2] > 0.3 * (
        short.translation[-1, 2] - short.translation[45, 2]
    )


def test_who_crouches_low_lifts_the_heels_and_keeps_the_hands_outside():
    share = np.sin(np.pi * np.arange(120) / 119)[:, None]  # down and up again, arms hanging straight
    poses = np.zeros((120, 55, 3))
    for hip, knee, ankle in LEGS:
        poses[:, [hip, knee, ankle], 0] = share * [-1.6, 2.3, -0.7]
    poses[:, [INDEX["left_shoulder"], INDEX["right_shoulder"]], 2] = [-1.45, 1.45]
    poses[:, INDEX["spine1"], 0] = 0.4 * share[:, 0]
    low = finish(Motion(poses, np.tile(skeleton.REST_TRANSLATION, (120, 1))))
    ankles = [leg[2] for leg in LEGS]
    assert np.degrees(limits.excess(poses)[:, ankles].max()) > 5
    assert np.degrees(limits.excess(low.poses)[:, ankles].max()) < 1
    assert joints(low)[60, 0, 1] < 0.6 * joints(low)[0, 0, 1]  # it is low
    heels = joints(low)[:, ankles, 1]
    assert heels[60].min() > heels[0].max() + 0.01
    assert physics.below_floor_cm(joints(low)) < 1e-3
    assert physics.slide_cm_s(joints(low), 30) < 1
    assert physics.hands_inside_share(transforms(low)) == 0


def test_who_crouches_with_knees_apart_brings_them_together():
    share = np.sin(np.pi * np.arange(120) / 119)[:, None]
    poses = np.zeros((120, 55, 3))
    bent = rotation.axis_angle_to_matrix(share * [-1.2, 0, 0])
    for (hip, knee, ankle), outwards in zip(LEGS, (0.9, -0.9), strict=True):
        turned = rotation.axis_angle_to_matrix(share * [0, outwards, 0]) @ bent
        poses[:, hip] = rotation.matrix_to_axis_angle(turned)
        poses[:, [knee, ankle], 0] = share * [1.9, -0.7]
    together = finish(Motion(poses, np.tile(skeleton.REST_TRANSLATION, (120, 1))))
    hips, knees, ankles = (list(side) for side in zip(*LEGS, strict=True))
    assert np.degrees(limits.excess(poses)[:, hips].max()) > 5
    assert np.degrees(limits.excess(together.poses)[:, hips].max()) < 0.6
    found = joints(together)
    assert found[60, 0, 1] < 0.85 * found[0, 0, 1]  # it is still low
    assert np.ptp(found[60, knees, 0]) > np.ptp(found[60, ankles, 0]) + 0.1  # and its knees are apart
    assert physics.below_floor_cm(found) < 1e-3


def test_feet_of_who_stands_hold_their_places(talk, finished):
    before, after = joints(talk), joints(finished)
    assert physics.slide_cm_s(before, 30) > 2
    assert physics.slide_cm_s(after, 30) < 0.05
    assert physics.contact_share(after) == 1
    reached_m = [physics.root_drift(each[:, 0], 30) * 5 / 60 for each in (after, before)]  # in ten seconds
    assert reached_m[0] < 0.03 < reached_m[1]


def test_no_foot_is_below_the_floor_and_soles_that_carry_are_flat(finished):
    positions, rotations = joints(finished), transforms(finished).rotations
    assert physics.below_floor_cm(positions) < 1e-3
    np.testing.assert_allclose(rotations[:, skeleton.FEET, 1, 1], 1, atol=1e-5)  # ankles and toes are level


def test_a_walker_keeps_to_the_floor():
    walk = moving(150, np.linspace(0, 1, 150)[:, None] * [0, 0.15, 3.0], swing=0.35)
    assert physics.below_floor_cm(joints(finish(walk))) < 1e-3


def test_the_lower_foot_is_on_the_floor():
    floating = moving(60, [0, 0.2, 0], swing=0.3)
    standing = balls(moving(1, np.zeros(3)))[0, 0, 1]
    assert balls(finish(floating))[..., 1].min(axis=1) == pytest.approx(standing, abs=0.025)


def test_who_runs_flies_between_the_steps():
    stands = standing.stand(150, 30, np.random.default_rng(0), still=True)
    runs = gait.go("run", stands, 10, 150, True, np.random.default_rng(1))
    finished = finish(runs)
    speed, before = (np.diff(m.translation[60:, 2]).mean() * 30 for m in (finished, runs))
    assert 0.9 * before < speed < 1.05 * before
    feet = joint_positions(mannequin(), finished.poses, finished.translation)[60:, skeleton.FEET, 1]
    lowest = (feet - feet.min(axis=0)).min(axis=1)
    assert 0.1 < (lowest > 0.03).mean() < 0.5


def test_a_foot_that_creeps_away_makes_a_step():
    motion = moving(120, np.zeros(3))
    poses = motion.poses.copy()
    poses[:, INDEX["left_hip"], 2] = 0.3 / (1 + np.exp(-(np.arange(120) - 60) / 8))  # 25 cm aside in a second
    feet = balls(finish(Motion(poses, motion.translation)))[:, 0]
    speed = np.linalg.norm(np.diff(feet[:, [0, 2]], axis=0), axis=-1) * 30
    assert np.linalg.norm(feet[-1] - feet[0]) > 0.15
    low = feet[1:, 1] < feet[0, 1] + 0.002
    assert np.count_nonzero(speed > 0.01) < 45
    assert speed[low].mean() < 0.05
    assert feet[:, 1].max() > feet[0, 1] + 0.02


def test_knees_do_not_snap(talk, finished):
    speed = physics.angular_speed(finished.poses, 30)[:, [INDEX["left_knee"], INDEX["right_knee"]]]
    assert speed.max() < 1.5
    hips, ankles = (joints(finished)[:, [leg[k] for leg in LEGS]] for k in (0, 2))
    rest = mannequin().joints.astype(np.float64)
    full = sum(np.linalg.norm(rest[a] - rest[b]) for a, b in (LEGS[0][:2], LEGS[0][1:]))
    assert np.linalg.norm(hips - ankles, axis=-1).max() < 0.9985 * full


def test_it_starts_where_the_motion_starts():
    start = finish(moving(30, [2.0, 0, -1.0])).translation[0]
    np.testing.assert_allclose(start[[0, 2]], [2.0, -1.0], atol=1e-6)


# --- hands ------------------------------------------------------------------------------------------------------


def test_a_hand_in_the_thigh_goes_around_it_smoothly():
    poses = np.zeros((90, 55, 3))
    poses[:, INDEX["left_shoulder"], 2] = -1.25
    poses[:, INDEX["right_shoulder"], 2] = 1.25 + 0.4 * np.sin(np.pi * np.arange(90) / 90) ** 2
    motion = Motion(poses, np.tile(skeleton.REST_TRANSLATION, (90, 1)))
    before, after = transforms(motion), transforms(finish(motion))
    assert collision.depths(before)[:, 1].max() > 0.01
    assert collision.depths(after).max() == 0
    np.testing.assert_allclose(
        after.positions[:, INDEX["left_wrist"]], before.positions[:, INDEX["left_wrist"]], atol=1e-3
    )
    wrists = physics.wrists_in_chest(after)
    assert physics.mean_jerk(wrists, 30) < physics.mean_jerk(physics.wrists_in_chest(before), 30) + 5


def test_hands_do_not_pass_through_each_other():
    poses = np.zeros((60, 55, 3))
    for side, mirror in (("left", [1, 1, 1]), ("right", [1, -1, -1])):  # palm in palm before the chest
        poses[:, INDEX[f"{side}_shoulder"]] = np.multiply([0.32, -1.16, -0.52], mirror)
        poses[:, INDEX[f"{side}_elbow"]] = np.multiply([0, -1.83, 0], mirror)
    motion = Motion(poses, np.tile(skeleton.REST_TRANSLATION, (60, 1)))

    def depth(motion):
        posed = transforms(motion)
        points = collision.hand_points(posed)
        ways = [
            collision.ways_out(collision.volumes()[name], posed, points[:, 1 - side])
            for side, name in enumerate(collision.PALMS)
        ]
        return np.linalg.norm(ways, axis=-1).max()

    assert depth(motion) > 0.015
    assert depth(finish(motion)) < 0.005


# --- ranges and speeds ------------------------------------------------------------------------------------------


def test_joints_come_inside_their_ranges_softly():
    poses = np.zeros((60, 55, 3))
    poses[:, INDEX["left_elbow"], 1] = 0.8 * np.sin(np.arange(60) / 8)  # bends the wrong way half of the time
    fixed = finish(Motion(poses, np.tile(skeleton.REST_TRANSLATION, (60, 1)))).poses
    assert physics.limit_violation_share(poses) > 0
    assert physics.limit_violation_share(fixed) == 0
    right_way = poses[:, INDEX["left_elbow"], 1] < -0.7
    np.testing.assert_allclose(fixed[right_way, INDEX["left_elbow"]], poses[right_way, INDEX["left_elbow"]], atol=2e-3)
    wrong = np.diff(np.clip(poses[:, INDEX["left_elbow"], 1], None, limits.HIGH[INDEX["left_elbow"], 1]), n=3)
    assert np.abs(np.diff(fixed[:, INDEX["left_elbow"], 1], n=3)).max() < np.abs(wrong).max()


def test_a_finger_that_jumps_is_slowed_without_lag_and_others_stay():
    jumping, calm = INDEX["left_index1"], INDEX["left_ring1"]
    poses = np.zeros((60, 55, 3))
    poses[30:, jumping, 2] = -1.2
    poses[:, calm, 2] = -0.3 * np.sin(np.arange(60) / 5)
    fixed = finish(Motion(poses, np.tile(skeleton.REST_TRANSLATION, (60, 1)))).poses
    assert physics.angular_speed(poses[:, skeleton.HANDS], 30).max() > 30
    assert physics.angular_speed(fixed[:, skeleton.HANDS], 30).max() <= FINGER_RAD_S
    assert fixed[29:31, jumping, 2].mean() == pytest.approx(-0.6, abs=1e-3)  # half-way where it was half-way
    np.testing.assert_allclose(fixed[:, calm], poses[:, calm], atol=1e-6)


def test_arms_that_are_right_stay_as_they_are(talk, finished):
    assert physics.limit_violation_share(talk.poses) == 0
    np.testing.assert_allclose(finished.poses[:, skeleton.UPPER], talk.poses[:, skeleton.UPPER], atol=1e-6)
    np.testing.assert_allclose(finished.poses[:, skeleton.HANDS], talk.poses[:, skeleton.HANDS], atol=1e-6)


# --- the whole --------------------------------------------------------------------------------------------------


def test_a_finished_motion_stays(finished):
    apart = np.linalg.norm(joints(finish(finished)) - joints(finished), axis=-1)
    assert apart.mean() < 1e-3
    assert apart.max() < 5e-3


@pytest.mark.parametrize("num_frames", [0, 1, 2, 3, 7])
def test_short_motions(num_frames):
    motion = talking(num_frames)
    assert len(finish(motion)) == num_frames
    if num_frames:
        assert physics.below_floor_cm(joints(finish(motion))) < 1e-3


@pytest.mark.parametrize("fps", [5.0, 24.0, 60.0, 120.0])
def test_any_frame_rate(fps):
    fixed = finish(talking(round(6 * fps), fps=fps))
    assert physics.below_floor_cm(joints(fixed)) < 1e-3
    assert physics.slide_cm_s(joints(fixed), fps) < 0.5


def test_chunks_leave_no_seam(monkeypatch, talk, finished):
    for module in ("feet", "hands", "ranges"):
        monkeypatch.setattr(f"cospeech.finish.{module}._CHUNK", 64)
    np.testing.assert_allclose(finish(talk).poses, finished.poses, atol=1e-6)


def test_face_stays_and_the_input_too():
    motion = talking(40)
    poses = motion.poses.copy()
    fixed = finish(motion)
    np.testing.assert_array_equal(fixed.face, motion.face)
    np.testing.assert_array_equal(fixed.poses[:, skeleton.JAW], motion.poses[:, skeleton.JAW])
    np.testing.assert_array_equal(motion.poses, poses)


def test_feet_that_slide_together_step_in_turn():
    poses = np.zeros((120, 55, 3))
    apart = 0.12 / (1 + np.exp(-(np.arange(120) - 60) / 2))
    poses[:, INDEX["left_hip"], 2], poses[:, INDEX["right_hip"], 2] = apart, -apart
    feet = balls(finish(Motion(poses, np.tile(skeleton.REST_TRANSLATION, (120, 1)))))
    assert np.linalg.norm(feet[-1, 0] - feet[-1, 1]) > np.linalg.norm(feet[0, 0] - feet[0, 1]) + 0.1
    raised = feet[..., 1] > feet[0, 0, 1] + 0.002
    assert raised.any(axis=0).all()
    assert not raised.all(axis=1).any()


def test_steady_takes_the_tremble_and_leaves_the_stroke():
    """Half the power is left at 7.4 Hz: a stroke of 2 Hz stays, a tremble of 12 Hz goes."""
    time = np.arange(300) / 30
    amplitudes = {}
    for hz in (2.0, 7.4, 12.0):
        poses = np.zeros((300, 55, 3))
        poses[:, INDEX["left_elbow"], 1] = 0.2 * np.sin(2 * np.pi * hz * time)
        made = steady(Motion(poses, np.zeros((300, 3)))).poses[30:-30, INDEX["left_elbow"], 1]
        amplitudes[hz] = np.sqrt(2) * made.std() / 0.2
    assert amplitudes[2.0] > 0.96
    assert amplitudes[7.4] == pytest.approx(np.sqrt(0.5), abs=0.05)  # the kernel ends somewhere
    assert amplitudes[12.0] < 0.55


def test_steady_leaves_the_legs_and_short_motions():
    still = talking(300)
    np.testing.assert_array_equal(steady(still).poses[:, skeleton.LOWER], still.poses[:, skeleton.LOWER])
    for num_frames in (0, 1, 2):
        assert len(steady(talking(num_frames))) == num_frames
