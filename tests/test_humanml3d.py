import numpy as np
import parity

from cospeech import humanml3d


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
    assert humanml3d.joint_positions(np.ones((1, 623), np.float32))[0, 0].tolist() == [0, 1, 0]
