import os
from pathlib import Path

import numpy as np
import pytest

from cospeech import load_motion, positions
from cospeech.body import joint_positions, joint_transforms, mannequin
from cospeech.errors import MotionError
from cospeech.rotation import axis_angle_to_matrix
from cospeech.skeleton import HANDS, INDEX, PARENTS, REST_TRANSLATION
from cospeech.smoothing import smooth

BODY = mannequin("light")
REST = BODY.joints


@pytest.fixture
def moving(rng) -> tuple[np.ndarray, np.ndarray]:
    """Poses (60, 55, 3) that turn and bend every joint, and a path."""
    poses = smooth(rng.normal(scale=1.2, size=(60, 55, 3)), 6.0)
    poses[:, [INDEX["jaw"], INDEX["left_eye"], INDEX["right_eye"]]] = 0
    return poses, np.linspace([0, 1.3, 0], [1, 1.4, 2], 60)


@pytest.mark.parametrize("joints", [positions.JOINTS, positions.BODY], ids=["hands", "body"])
def test_joints_come_out_where_they_were(moving, joints):
    poses, path = moving
    wanted = joint_positions(BODY, poses, path)[:, joints]
    found = joint_positions(BODY, *positions.to_poses(wanted, REST))[:, joints]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_rotations_of_joints_with_several_children_are_exact(moving):
    poses, path = moving
    wanted = joint_transforms(BODY, poses, path)
    found = joint_transforms(BODY, *positions.to_poses(wanted.positions[:, positions.JOINTS], REST))
    for name in ("pelvis", "spine3", "left_wrist", "right_wrist"):
        np.testing.assert_allclose(found.rotations[:, INDEX[name]], wanted.rotations[:, INDEX[name]], atol=1e-4)


def test_the_rest_pose_is_no_rotation():
    poses, translation = positions.to_poses((REST + REST_TRANSLATION)[None, positions.JOINTS], REST)
    np.testing.assert_allclose(poses, 0, atol=1e-5)
    np.testing.assert_allclose(translation, REST_TRANSLATION[None], atol=1e-6)


def test_half_of_a_hand_s_turn_about_the_forearm_is_the_elbow_s():
    poses = np.zeros((1, 55, 3))
    poses[0, INDEX["left_wrist"], 0] = 1.0
    path = REST_TRANSLATION[None]
    found, _ = positions.to_poses(joint_positions(BODY, poses, path)[:, positions.JOINTS], REST)
    forearm = REST[INDEX["left_wrist"]] - REST[INDEX["left_elbow"]]
    along = found[0, INDEX["left_elbow"]] @ forearm / np.linalg.norm(forearm)
    assert 0.45 < along < 0.55


def test_fingertips_bend_with_their_fingers():
    poses = np.zeros((1, 55, 3))
    poses[0, INDEX["right_index2"], 2] = 0.9
    found, _ = positions.to_poses(joint_positions(BODY, poses, REST_TRANSLATION[None])[:, positions.JOINTS], REST)
    np.testing.assert_allclose(np.linalg.norm(found[0, INDEX["right_index3"]]), 0.6, atol=0.01)
    assert np.abs(found[0, INDEX["right_middle1"]]).max() < 1e-4


def test_hands_that_nobody_knows_go_with_the_forearm_and_stay_flat(moving):
    poses, path = moving
    found, _ = positions.to_poses(joint_positions(BODY, poses, path)[:, positions.BODY], REST)
    np.testing.assert_allclose(found[:, HANDS], 0, atol=1e-5)


def test_a_body_half_as_tall_moves_the_same_way(moving):
    poses, path = moving
    wanted = joint_positions(BODY, poses, path)[:, positions.JOINTS]
    found, translation = positions.to_poses(wanted / 2, REST)
    same, same_translation = positions.to_poses(wanted, REST)
    np.testing.assert_allclose(axis_angle_to_matrix(found), axis_angle_to_matrix(same), atol=1e-4)
    np.testing.assert_allclose(translation, same_translation, atol=1e-5)


def test_no_frames():
    poses, translation = positions.to_poses(np.zeros((0, 52, 3)), REST)
    assert poses.shape == (0, 55, 3)
    assert translation.shape == (0, 3)


@pytest.mark.parametrize(
    ("joints", "says"),
    [
        (np.zeros((4, 24, 3)), "22 or 52"),
        (np.zeros((4, 66)), "22 or 52"),
        (np.full((4, 22, 3), np.nan), "NaN"),
        (np.zeros((4, 22, 3)), "no length"),
    ],
)
def test_what_is_not_positions_is_refused(joints, says):
    with pytest.raises(MotionError, match=says):
        positions.to_poses(joints, REST)


@pytest.mark.data
def test_rotations_of_the_real_minute_come_back():
    """Of joints with children, against the world: how a bone twists, positions do not say."""
    path = Path(os.environ["COSPEECH_DATA"]) / "beat2_scott" / "smplxflame_30" / "2_scott_0_1_1.npz"
    motion = load_motion(path)
    wanted = joint_transforms(BODY, motion.poses, motion.translation)
    poses, translation = positions.to_poses(wanted.positions[:, positions.JOINTS], REST)
    found = joint_transforms(BODY, poses, translation)
    apart = np.linalg.norm(found.positions - wanted.positions, axis=-1)[:, positions.JOINTS]
    assert apart.mean() < 0.0005
    with_children = [j for j in positions.JOINTS if j in PARENTS and j != INDEX["head"]]
    cosine = (np.einsum("tjab,tjab->tj", found.rotations, wanted.rotations) - 1) / 2
    assert np.median(np.degrees(np.arccos(cosine.clip(-1, 1)))[:, with_children]) < 5
