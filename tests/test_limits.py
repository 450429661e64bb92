import numpy as np
import pytest

from cospeech import limits, skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.skeleton import INDEX


def one(joint, *axis_angle):
    poses = np.zeros((1, 55, 3))
    poses[0, INDEX[joint]] = axis_angle
    return poses


def test_a_turn_about_one_axis_has_that_coordinate(rng):
    for axis in range(3):
        poses = np.zeros((1, 55, 3))
        poses[..., axis] = 0.7
        np.testing.assert_allclose(limits.coordinates(poses), poses, atol=1e-9)


def test_inside_nothing_changes_and_outside_comes_to_the_end_of_the_range(rng):
    inside = rng.uniform(
        -0.08, 0.08, size=(200, 55, 3)
    )  # the narrowest range is 5 degrees, hyperextension of the elbow
    np.testing.assert_array_equal(limits.clamp(inside), inside)
    wild = rng.normal(size=(200, 55, 3))
    clamped = limits.clamp(wild)
    assert limits.excess(wild).max() > 0.5
    assert limits.excess(clamped).max() < limits.SOFT + 1e-6
    free = [j for j in range(55) if j not in limits.LIMITED]
    np.testing.assert_array_equal(clamped[:, free], wild[:, free])


@pytest.mark.parametrize(
    ("joint", "turn", "degrees"),
    [
        ("left_elbow", (0, -3.0, 0), -145),
        ("right_elbow", (0, 3.0, 0), 145),
        ("left_knee", (-1.0, 0, 0), -16),
        ("right_wrist", (0, 0, 2.0), 76),
    ],
)
def test_known_ends(joint, turn, degrees):
    clamped = limits.clamp(one(joint, *turn))[0, INDEX[joint]]
    assert np.degrees(clamped.sum()) == pytest.approx(degrees, abs=0.6)


def test_both_sides_have_mirrored_ranges(rng):
    poses = rng.normal(size=(50, 55, 3))
    mirrored = poses[:, skeleton.MIRROR] * [1, -1, -1]
    np.testing.assert_allclose(limits.excess(mirrored), limits.excess(poses)[:, skeleton.MIRROR], atol=1e-9)


def test_an_elbow_that_bends_aside_becomes_a_hinge_and_moves_nothing(rng):
    poses = np.zeros((100, 55, 3))
    poses[:, INDEX["left_shoulder"]] = rng.uniform(-0.5, 0.5, (100, 3))
    poses[:, INDEX["left_elbow"]] = np.stack(
        [np.zeros(100), rng.uniform(-1.2, -0.6, 100), rng.uniform(-0.5, 0.5, 100)], axis=1
    )
    assert limits.excess(poses)[:, INDEX["left_elbow"]].max() > 0.1
    hinged = limits.hinged(poses)
    assert limits.excess(hinged)[:, INDEX["left_elbow"]].max() < 1e-6
    before, after = (joint_positions(mannequin(), p, np.zeros((100, 3))) for p in (poses, hinged))
    np.testing.assert_allclose(after, before, atol=1e-6)
