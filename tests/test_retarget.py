from itertools import pairwise

import numpy as np
import pytest

from cospeech import skeleton
from cospeech.body import joint_transforms, mannequin, skin
from cospeech.errors import MotionError
from cospeech.motion import Motion
from cospeech.retarget import REQUIRED, forward_kinematics, positions_to_poses
from cospeech.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from cospeech.skeleton import INDEX, JOINTS, REST_TRANSLATION

LIMBS = [
    [f"{side}_{joint}" for joint in limb]
    for side in ("left", "right")
    for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
]
HELPFUL = (*REQUIRED, "spine2", "head", "left_foot", "right_foot")
ROTATED = ("pelvis", "spine3", "neck", "head", *(f"{s}_{j}" for s in ("left", "right") for j in ("shoulder", "wrist")))


@pytest.fixture(scope="module")
def body():
    return mannequin("light")


@pytest.fixture
def gesture() -> Motion:
    return swaying()


def swaying(num_frames: int = 90, turn: float = 0.0) -> Motion:
    """Slow, smooth, of the whole body: walks a little, bends elbows and knees the way they bend, turns the wrists."""
    time = np.arange(num_frames)[:, None] / 30
    poses = np.zeros((num_frames, skeleton.NUM_JOINTS, 3))

    def move(joint: str, middle, swing, phase: float) -> None:
        poses[:, INDEX[joint]] = np.array(middle) + np.array(swing) * np.sin(2 * time + phase)

    poses[:, 0, 1] = turn
    move("spine1", [0.05, 0, 0], [0.03, 0.05, 0.04], 0)
    move("spine2", [0.05, 0, 0], [0.03, 0.05, 0.04], 0)
    move("spine3", [0.05, 0, 0], [0.03, 0.05, 0.04], 0)
    move("neck", [0, 0, 0], [0.1, 0.1, 0.05], 1)
    move("head", [0, 0, 0], [0.1, 0.1, 0.05], 1)
    for side, sign, phase in (("left", 1, 0.0), ("right", -1, 2.0)):
        move(f"{side}_shoulder", [0.1, -0.3 * sign, -1.0 * sign], [0.2, 0.3, 0.3], phase)
        move(f"{side}_elbow", [0, -1.2 * sign, 0], [0, 0.5, 0], phase)
        move(f"{side}_wrist", [0.2, 0, 0], [0.5, 0.2, 0.2], phase)
        move(f"{side}_hip", [-0.3, 0, 0], [0.2, 0, 0.05], phase)
        move(f"{side}_knee", [0.5, 0, 0], [0.2, 0, 0], phase)
        move(f"{side}_ankle", [-0.2, 0, 0], [0.1, 0, 0], phase)
    path = axis_angle_to_matrix(np.array([0, turn, 0])) @ np.array([[0.3], [0], [0.5]])  # metres a second
    translation = time * path.T + [0, 0.02, 0] * np.sin(time) + REST_TRANSLATION
    return Motion(poses, translation)


def tracked(motion: Motion, body, scale: float = 1.0, names=JOINTS[:22]):
    """Positions and global rotations of a motion's joints, by name, as another skeleton would give them."""
    transforms = joint_transforms(body, motion.poses.astype(np.float64), motion.translation.astype(np.float64))
    positions = {name: scale * transforms.positions[:, INDEX[name]] for name in names}
    rotations = {name: transforms.rotations[:, INDEX[name]] for name in names}
    return positions, rotations


def retarget(body, positions, rotations=None, **options) -> Motion:
    return Motion(*positions_to_poses(positions, body.joints, rotations, **options))


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.degrees(np.arccos(cosine.clip(-1, 1)))


def degrees_turned(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle of the rotation between matrices, (..., 3, 3) -> (...)."""
    return np.degrees(np.linalg.norm(matrix_to_axis_angle(np.swapaxes(a, -1, -2) @ b), axis=-1))


def bones(positions) -> dict[tuple[str, str], np.ndarray]:
    return {(a, b): positions[b] - positions[a] for limb in LIMBS for a, b in pairwise(limb)}


@pytest.mark.parametrize("with_rotations", [False, True])
@pytest.mark.parametrize("scale", [1.0, 100.0, 0.7])
def test_limbs_point_where_they_pointed(body, gesture, with_rotations, scale):
    positions, rotations = tracked(gesture, body, scale)
    known = {name: rotations[name] for name in ROTATED} if with_rotations else None
    back = retarget(body, positions, known, facing=None)
    for bone, direction in bones(tracked(back, body)[0]).items():
        assert degrees_between(direction, bones(positions)[bone]).max() < 1, bone


def test_what_is_required_is_enough(body, gesture):
    positions, _ = tracked(gesture, body, names=REQUIRED)
    back = retarget(body, positions, facing=None)
    for bone, direction in bones(tracked(back, body)[0]).items():
        assert degrees_between(direction, bones(positions)[bone]).max() < 1, bone


def test_known_rotations_come_back_and_hinges_are_found_without(body, gesture):
    positions, truth = tracked(gesture, body)
    known = {name: truth[name] for name in (*ROTATED, "left_hip", "right_hip", "left_ankle", "right_ankle")}
    back = tracked(retarget(body, positions, known, facing=None), body)[1]
    for name in known:
        assert degrees_turned(back[name], truth[name]).max() < 1, name
    # From positions alone: elbows and knees that bend like hinges show how shoulders and hips are twisted.
    alone = tracked(retarget(body, positions, facing=None), body)[1]
    for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip"):
        assert np.median(degrees_turned(alone[name], truth[name])) < 15, name


def test_fingers_jaw_and_eyes_rest(body, gesture):
    back = retarget(body, *tracked(gesture, body))
    assert not back.poses[:, 22:].any()
    assert len(back) == len(gesture)


@pytest.mark.parametrize("with_rotations", [False, True])
def test_smooth_motion_stays_smooth(body, gesture, with_rotations):
    positions, rotations = tracked(gesture, body)
    back = retarget(body, positions, {name: rotations[name] for name in ROTATED} if with_rotations else None)
    turned = axis_angle_to_matrix(back.poses)
    assert degrees_turned(turned[1:], turned[:-1]).max() < 8
    assert np.abs(np.diff(back.translation, n=2, axis=0)).max() < 0.005


def test_a_straight_arm_neither_jumps_nor_spins(body):
    """An elbow that passes through straight, with a millimetre of noise: its plane means nothing there."""
    time = np.linspace(-1, 1, 61)
    poses = np.zeros((61, skeleton.NUM_JOINTS, 3))
    poses[:, INDEX["left_shoulder"], 2] = -0.8
    poses[:, INDEX["left_elbow"], 1] = -0.6 * np.abs(time) ** 2
    positions, _ = tracked(Motion(poses, np.tile(REST_TRANSLATION, (61, 1))), body)
    noise = np.random.default_rng(0).normal(0, 0.001, (61, 3))
    positions["left_elbow"] = positions["left_elbow"] + noise
    shoulder = axis_angle_to_matrix(retarget(body, positions).poses[:, INDEX["left_shoulder"]])
    assert degrees_turned(shoulder[1:], shoulder[:-1]).max() < 10
    expected = axis_angle_to_matrix(poses[:, INDEX["left_shoulder"]])
    assert degrees_turned(shoulder, expected).max() < 20


def test_a_t_pose_stays_one(body):
    rest = Motion(np.zeros((5, skeleton.NUM_JOINTS, 3)), np.tile(REST_TRANSLATION, (5, 1)))
    positions, rotations = tracked(rest, body)
    for known in (None, rotations):
        back = retarget(body, positions, known)
        np.testing.assert_allclose(np.degrees(back.poses), 0, atol=1)
        np.testing.assert_allclose(back.translation, rest.translation, atol=0.01)


@pytest.mark.parametrize("turn", [0.0, 1.0, -2.5])
def test_facing(body, turn):
    positions, rotations = tracked(swaying(turn=turn), body)
    for known in (None, rotations):
        for facing in (0.0, 0.7):
            ahead = axis_angle_to_matrix(retarget(body, positions, known, facing=facing).poses[0, 0])[:, 2]
            assert np.arctan2(ahead[0], ahead[2]) == pytest.approx(facing, abs=1e-5)
        kept = axis_angle_to_matrix(retarget(body, positions, known, facing=None).poses[0, 0])[:, 2]
        assert np.arctan2(kept[0], kept[2]) == pytest.approx(turn, abs=0.15)
    # The path turns with the body: brought to +z, it has the angle to the body that it had.
    ahead = retarget(body, positions, rotations, facing=0.0).translation
    expected = swaying().translation - swaying().translation[0]
    np.testing.assert_allclose(ahead[:, [0, 2]], expected[:, [0, 2]], atol=0.05)
    assert not ahead[0, [0, 2]].any()


def test_the_pelvis_travels_in_proportion_to_the_legs(body, gesture):
    positions, rotations = tracked(gesture, body, scale=100)
    back = retarget(body, positions, rotations, facing=None)
    travelled = gesture.translation - gesture.translation[0]
    np.testing.assert_allclose((back.translation - back.translation[0])[:, [0, 2]], travelled[:, [0, 2]], atol=0.005)


def test_feet_reach_the_floor_and_do_not_sink(body, gesture):
    positions, rotations = tracked(gesture, body)
    back = retarget(body, {name: array + np.array([3, 5, -2]) for name, array in positions.items()}, rotations)
    lowest = skin(body, back.poses, back.translation)[..., 1].min(axis=1)
    assert abs(np.percentile(lowest, 5)) < 0.02
    assert lowest.min() > -0.03


def test_toes_bend_where_stiff_ones_would_reach_through_the_floor(body):
    """Rising on the balls of both feet and back down."""
    lift = 0.8 * np.sin(np.linspace(0, np.pi, 60)) ** 2
    poses = np.zeros((60, skeleton.NUM_JOINTS, 3))
    poses[:, [INDEX["left_ankle"], INDEX["right_ankle"]], 0] = lift[:, None]
    ankle, ball = (body.joints[INDEX[f"left_{joint}"]] for joint in ("ankle", "foot"))
    sole = ball * [0, 0, 1] - [0, REST_TRANSLATION[1], 0] - ankle * [0, 1, 1]  # from the ankle to below the ball
    dropped = (axis_angle_to_matrix(poses[:, INDEX["left_ankle"]]) @ sole)[:, 1] - sole[1]
    motion = Motion(poses, REST_TRANSLATION - dropped[:, None] * np.array([0, 1, 0]))  # the balls stay on the floor
    back = retarget(body, *tracked(motion, body))
    stiff, bent = (skin(body, m.poses, m.translation)[..., 1].min(axis=1) for m in (motion, back))
    assert stiff.min() < -0.035
    assert bent.min() > -0.015
    toes = back.poses[:, [INDEX["left_foot"], INDEX["right_foot"]], 0]
    assert toes[30].max() < -0.3
    np.testing.assert_allclose(toes[[0, -1]], 0, atol=0.05)


def test_a_foot_drawn_steeper_than_ours_is_still_flat(body):
    rest = Motion(np.zeros((20, skeleton.NUM_JOINTS, 3)), np.tile(REST_TRANSLATION, (20, 1)))
    positions, _ = tracked(rest, body, names=HELPFUL)
    for side in ("left", "right"):
        positions[f"{side}_foot"] = positions[f"{side}_foot"] - [0, 0.05, 0]
    ankle = tracked(retarget(body, positions), body)[1]["left_ankle"]
    assert degrees_between(ankle[:, :, 1], np.array([0, 1.0, 0])).max() < 3


def test_the_hand_s_turn_is_shared_with_the_forearm(body):
    """Half of a roll about the forearm goes to the elbow, or the skin of the wrist would wring."""
    rest = Motion(np.zeros((1, skeleton.NUM_JOINTS, 3)), REST_TRANSLATION[None])
    positions, rotations = tracked(rest, body)
    rotations["left_wrist"] = axis_angle_to_matrix(np.array([[1.0, 0, 0]]))
    poses = retarget(body, positions, rotations).poses[0]
    assert poses[INDEX["left_elbow"], 0] == pytest.approx(np.sin(1.0) / 2, abs=0.02)
    assert poses[INDEX["left_wrist"], 0] == pytest.approx(1 - np.sin(1.0) / 2, abs=0.02)


def test_missing_joints_are_named(body, gesture):
    positions, _ = tracked(gesture, body)
    del positions["left_knee"], positions["neck"]
    with pytest.raises(MotionError, match="left_knee, neck"):
        positions_to_poses(positions, body.joints)


def test_forward_kinematics_is_that_of_the_body(body, gesture):
    expected = joint_transforms(body, gesture.poses, gesture.translation)
    local = axis_angle_to_matrix(gesture.poses)
    parents = np.array(skeleton.PARENTS)
    offsets = body.joints - body.joints[parents]
    matrices, positions = forward_kinematics(local, skeleton.REST_PELVIS + gesture.translation, parents, offsets)
    np.testing.assert_allclose(matrices, expected.rotations, atol=1e-5)
    np.testing.assert_allclose(positions, expected.positions, atol=1e-5)
    np.testing.assert_array_equal(local, axis_angle_to_matrix(gesture.poses))
