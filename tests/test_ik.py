import numpy as np

from cospeech import ik
from cospeech.rotation import axis_angle_to_matrix


def test_bones_keep_their_length_and_reach_the_target(rng):
    root = rng.normal(size=(200, 3))
    direction = rng.normal(size=(200, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    target = root + direction * rng.uniform(0.1, 0.5, size=(200, 1))
    middle, end = ik.two_bone(root, target, rng.normal(size=(200, 3)), 0.3, 0.25)
    np.testing.assert_allclose(end, target, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(middle - root, axis=-1), 0.3, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(end - middle, axis=-1), 0.25, atol=1e-9)


def test_the_middle_joint_points_to_the_pole():
    middle, _ = ik.two_bone(np.zeros(3), np.array([0.4, 0, 0]), np.array([0.3, -1.0, 0]), 0.3, 0.25)
    assert middle[1] < -0.1
    assert abs(middle[2]) < 1e-9


def test_a_target_out_of_reach_is_approached_in_its_direction():
    middle, end = ik.two_bone(np.zeros(3), np.array([0, 0, 9.0]), np.array([0, -1.0, 0]), 0.3, 0.25)
    np.testing.assert_allclose(end, [0, 0, 0.55 * 0.999], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(middle), 0.3, atol=1e-9)


def test_turn_frame_takes_rest_directions_onto_wanted_ones(rng):
    along, up = rng.normal(size=(2, 50, 3))
    turn = ik.turn_frame([1, 0, 0], [0, 1, 0], along, up)
    np.testing.assert_allclose(turn @ [1, 0, 0], along / np.linalg.norm(along, axis=-1, keepdims=True), atol=1e-9)
    assert (np.sum((turn @ [0, 1, 0]) * up, axis=-1) > 0).all()
    np.testing.assert_allclose(np.linalg.det(turn), 1, atol=1e-9)


def test_bend_gives_the_limb_its_length_and_keeps_its_plane(rng):
    first, second = np.array([0, -0.38, 0.01]), np.array([0.02, -0.41, -0.03])
    hinge = np.array([1.0, 0, 0])
    distance = rng.uniform(0.3, 0.78, 200)
    angle = ik.bend(np.tile(first, (200, 1)), np.tile(second, (200, 1)), np.tile(hinge, (200, 1)), distance)
    turned = axis_angle_to_matrix(angle[:, None] * hinge) @ second
    np.testing.assert_allclose(np.linalg.norm(first + turned, axis=-1), distance, atol=1e-9)
    assert (turned[:, 2] < 0).all()  # a knee that bends about +x takes the foot backwards
    np.testing.assert_allclose(turned[:, 0], second[0], atol=1e-12)


def test_bend_leaves_a_limb_of_the_right_length_and_straightens_one_too_short():
    first, second = np.array([0.0, -0.4, 0]), np.array([0.0, -0.3, -0.2])
    hinge = np.array([1.0, 0, 0])
    assert abs(ik.bend(first, second, hinge, np.linalg.norm(first + second))) < 1e-9
    straight = axis_angle_to_matrix(ik.bend(first, second, hinge, np.array(9.0)) * hinge) @ second
    np.testing.assert_allclose(straight / np.linalg.norm(straight), [0, -1, 0], atol=1e-9)
