import os
from pathlib import Path

import numpy as np
import parity
import pytest

from cospeech import humanml3d, positions
from cospeech.body import joint_positions, mannequin
from cospeech.rotation import axis_angle_to_matrix
from cospeech.skeleton import PARENTS
from cospeech.smoothing import smooth


def test_joints_are_the_published_ones():
    published = parity.load("recover_from_ric_io.npz")
    found = humanml3d.joint_positions(published["data"])
    np.testing.assert_allclose(found, published["joints52"], atol=parity.TOLERANCE)


def test_parts_share_all_columns_without_overlap(rng):
    assert {part: len(columns) for part, columns in humanml3d.PARTS.items()} == {
        "upper": 156,
        "hands": 360,
        "lower": 107,
    }
    assert sorted(np.concatenate(list(humanml3d.PARTS.values()))) == list(range(623))
    whole = rng.standard_normal((5, 623)).astype(np.float32)
    parts = {part: whole[:, columns] for part, columns in humanml3d.PARTS.items()}
    np.testing.assert_array_equal(humanml3d.join(parts), whole)


def test_columns_of_a_part_come_joint_by_joint():
    first = humanml3d.PARTS["upper"][:12]  # of joint 3: position, rotation, velocity
    assert first.tolist() == [10, 11, 12, *range(169, 175), 472, 473, 474]
    assert humanml3d.PARTS["lower"][:11].tolist() == [0, 1, 2, 3, 619, 620, 621, 622, 463, 464, 465]


def test_a_walk_turned_round_by_hand():
    """One step ahead, a quarter turn to the left, one step ahead: each leads to the next frame."""
    vectors = np.zeros((4, 623), np.float32)
    vectors[:, 3] = 0.9
    vectors[0, 2] = 1.0
    vectors[1, 0] = -np.pi / 4  # half the angle
    vectors[2, 2] = 1.0
    root = humanml3d.joint_positions(vectors)[:, 0]
    np.testing.assert_allclose(root[:, 1], 0.9, atol=1e-6)
    np.testing.assert_allclose(root[:3, [0, 2]], [[0, 0], [0, 1], [0, 1]], atol=1e-6)
    assert np.linalg.norm(root[3] - root[2]) == np.float32(1)
    assert abs(root[3, 0]) == np.float32(1)


def test_no_frames_and_one_frame():
    assert humanml3d.joint_positions(np.zeros((0, 623), np.float32)).shape == (0, 52, 3)
    for num_frames in (0, 1):
        for count, channels in ((22, 263), (52, 623)):
            joints = humanml3d.placed(np.ones((num_frames, count, 3)) * np.arange(count)[:, None])
            assert humanml3d.features(joints).shape == (0, channels)
    assert humanml3d.joint_positions(np.ones((1, 623), np.float32))[0, 0].tolist() == [0, 1, 0]


@pytest.fixture
def walk(rng) -> np.ndarray:
    """(90, 52, 3): the mannequin turns, walks and moves all its joints."""
    poses = smooth(rng.normal(scale=1.5, size=(90, 55, 3)), 8.0)
    poses[:, 0] = [0, 0.8, 0]
    poses[:, 0, 1] += np.linspace(0, 1.5, 90)
    translation = np.linspace([1.0, 1.4, 2.0], [2.0, 1.4, 4.0], 90)
    return joint_positions(mannequin("light"), poses, translation)[:, positions.JOINTS]


@pytest.mark.parametrize("count", [22, 52])
def test_placed_joints_stand_at_the_origin_and_look_ahead(walk, count):
    placed = humanml3d.placed(walk[:, :count])
    assert placed[..., 1].min() == 0
    np.testing.assert_allclose(placed[0, 0, [0, 2]], 0, atol=1e-9)
    across = placed[0, 2] - placed[0, 1] + placed[0, 17] - placed[0, 16]
    assert across[0] < -0.1
    assert abs(across[2]) < 1e-6
    bones = np.linalg.norm(placed[:, 1] - placed[:, 0], axis=-1)
    np.testing.assert_allclose(bones, np.linalg.norm(walk[:, 1] - walk[:, 0], axis=-1), atol=1e-6)


def test_other_bones_point_the_same_way_and_the_path_grows_with_the_legs(walk):
    joints = walk[:, :22]
    parents = [0, *PARENTS[1:22]]
    twice = humanml3d.with_bones(joints, 2 * np.linalg.norm(joints[0] - joints[0, parents], axis=-1))
    np.testing.assert_allclose(twice, 2 * joints, atol=1e-5)
    changed = humanml3d.with_bones(joints, humanml3d.BONE_LENGTHS)
    bones, before = changed - changed[:, parents], joints - joints[:, parents]
    np.testing.assert_allclose(
        np.linalg.norm(bones, axis=-1), np.broadcast_to(humanml3d.BONE_LENGTHS, (90, 22)), atol=1e-9
    )
    np.testing.assert_allclose(np.cross(bones, before), 0, atol=1e-9)
    assert humanml3d.with_bones(joints[:0], humanml3d.BONE_LENGTHS).shape == (0, 22, 3)


def test_features_and_back(walk):
    placed = humanml3d.placed(walk)
    vectors = humanml3d.features(placed)
    assert vectors.shape == (89, 623)
    np.testing.assert_allclose(humanml3d.joint_positions(vectors), placed[:-1], atol=1e-5)
    assert humanml3d.features(placed[:, :22]).shape == (89, 263)


def test_the_rotations_of_a_chain_lead_to_its_joints(walk):
    """By hand, for the left arm: it begins with the root's rotation, though it hangs on the chest."""
    placed = humanml3d.placed(walk)
    vectors = humanml3d.features(placed).astype(float)
    first_columns = np.swapaxes(vectors[:, 157:463].reshape(-1, 51, 2, 3), -1, -2)
    local = np.concatenate([first_columns, np.cross(*np.moveaxis(first_columns, -1, 0))[..., None]], axis=-1)
    turn = np.cumsum(np.append(0, 2 * vectors[:-1, 0]))
    turned = axis_angle_to_matrix(turn[:, None] * [0, 1, 0])
    for parent, j, at_rest in ((9, 13, [1, 0, 0]), (13, 16, [0, -1, 0]), (16, 18, [0, -1, 0]), (18, 20, [0, -1, 0])):
        turned = turned @ local[:, j - 1]
        bone = placed[:-1, j] - placed[:-1, parent]
        np.testing.assert_allclose(turned @ at_rest, bone / np.linalg.norm(bone, axis=1, keepdims=True), atol=1e-5)


def test_contacts_and_velocities(walk):
    placed = humanml3d.placed(walk)
    placed[:, [7, 10]] = placed[0, [7, 10]]  # the left foot stands
    placed[:, [8, 11]] = placed[0, [8, 11]] + 0.05 * np.arange(90)[:, None, None]
    vectors = humanml3d.features(placed)
    np.testing.assert_array_equal(vectors[:, 619:], np.tile([1, 1, 0, 0], (89, 1)))
    speed = np.linalg.norm(vectors[:, 463:619].reshape(-1, 52, 3), axis=-1)
    np.testing.assert_allclose(speed, np.linalg.norm(np.diff(placed, axis=0), axis=-1), atol=1e-6)


@pytest.mark.data
def test_the_published_vectors_come_out_of_the_published_joints():
    """Up to the last frames, whose heading was smoothed with one more frame than is published."""
    folder = Path(os.environ["COSPEECH_DATA"]) / "humanml3d_samples"
    joints, published = (np.load(folder / kind / "012314.npy") for kind in ("new_joints", "new_joint_vecs"))
    vectors = humanml3d.features(joints)
    np.testing.assert_allclose(vectors[:80], published[:80], atol=2e-5)
    np.testing.assert_allclose(vectors, published[: len(vectors)], atol=0.02)
