import numpy as np
import pytest

from cospeech import collision
from cospeech.body import joint_transforms, mannequin
from cospeech.skeleton import INDEX


@pytest.fixture(scope="module")
def rest():
    return joint_transforms(mannequin(), np.zeros((1, 55, 3)), np.zeros((1, 3)))


def inside(rest, points, margin=0.0):
    ways = [collision.ways_out(collision.volumes()[name], rest, points, margin) for name in collision.TRUNK]
    return np.linalg.norm(ways, axis=-1).max(axis=0)


def test_the_skin_of_trunk_head_and_thighs_is_the_surface_of_the_volumes(rest):
    owners = [INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "head", "left_hip", "right_hip")]
    body = mannequin()
    skin = body.vertices[np.isin(body.weight_indices[:, 0], owners)][None].astype(np.float64)
    assert 0.3 < (inside(rest, skin) > 0).mean() < 0.7
    assert (inside(rest, skin, 0.02) > 0).mean() > 0.9
    assert (inside(rest, skin, -0.03) > 0).mean() < 0.15


def test_joints_of_the_trunk_are_inside_and_hands_of_the_t_pose_outside(rest):
    for name in ("spine1", "spine3", "head"):
        assert inside(rest, rest.positions[:, [INDEX[name]]])[0, 0] > 0.03
    assert collision.depths(rest).max() == 0


def test_the_way_out_ends_at_the_surface(rest, rng):
    volume = collision.volumes()["left thigh"]
    points = rest.positions[:, [INDEX["left_knee"]]] + rng.uniform(-0.15, 0.15, (1, 500, 3)) + [0, 0.2, 0]
    ways = collision.ways_out(volume, rest, points)
    assert (np.linalg.norm(ways, axis=-1) > 0).any()
    assert np.linalg.norm(collision.ways_out(volume, rest, points + ways), axis=-1).max() < 1e-6


def test_volumes_go_with_their_joints(rng):
    poses = np.zeros((1, 55, 3))
    poses[0, INDEX["left_hip"]] = [-1.2, 0.1, 0.2]
    posed = joint_transforms(mannequin(), poses, np.array([[0.3, 0.1, 2.0]]))
    middle = (posed.positions[:, [INDEX["left_hip"]]] + posed.positions[:, [INDEX["left_knee"]]]) / 2
    assert np.linalg.norm(collision.ways_out(collision.volumes()["left thigh"], posed, middle)) > 0.03


def test_hand_points_are_the_joints_and_then_the_fingertips(rest):
    points = collision.hand_points(rest)
    assert points.shape == (1, 2, 21, 3)
    np.testing.assert_array_equal(points[0, 0, 0], rest.positions[0, INDEX["left_wrist"]])
    left = mannequin().vertices[mannequin().weight_indices[:, 0] == INDEX["left_middle3"]]
    assert points[0, 0, 16:, 0].max() == pytest.approx(left[:, 0].max(), abs=0.003)  # the longest finger
    np.testing.assert_allclose(points[0, 0, 16:] * [-1, 1, 1], points[0, 1, 16:], atol=0.008)
