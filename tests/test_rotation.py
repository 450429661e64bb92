import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity import load

from cospeech import rotation

ANGLES = st.floats(-np.pi, np.pi)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_published_conversions(convert):
    io = load("rotations_io.npz")
    matrix = rotation.axis_angle_to_matrix(convert(io["axis_angle"]))
    np.testing.assert_allclose(matrix, io["matrix"], atol=1e-5)
    np.testing.assert_allclose(rotation.matrix_to_rotation_6d(matrix), io["rot6d"], atol=1e-5)
    back = rotation.axis_angle_to_matrix(rotation.matrix_to_axis_angle(matrix))
    np.testing.assert_allclose(back, io["matrix"], atol=1e-5)
    np.testing.assert_allclose(rotation.rotation_6d_to_matrix(convert(io["raw6"])), io["raw6_matrix"], atol=1e-5)


@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 55)])
def test_6d_gives_rotations_and_round_trips(shape):
    r = rotation.rotation_6d_to_matrix(torch.randn(*shape, 6, dtype=torch.float64))
    torch.testing.assert_close(r @ r.mT, torch.eye(3, dtype=r.dtype).expand_as(r))
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(shape, dtype=r.dtype))
    torch.testing.assert_close(rotation.rotation_6d_to_matrix(rotation.matrix_to_rotation_6d(r)), r)


@given(ANGLES, st.sampled_from(np.eye(3).tolist()))
def test_a_turn_about_an_axis_is_the_textbook_matrix(angle, axis):
    k = np.array(axis)
    skew = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    rodrigues = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
    np.testing.assert_allclose(rotation.axis_angle_to_matrix(angle * k), rodrigues, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-7, 1e-4, 3.0, np.pi - 1e-6, np.pi])
def test_axis_angle_round_trips_at_every_size(angle, rng):
    axis = rng.normal(size=(50, 3))
    vectors = angle * axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    matrix = rotation.axis_angle_to_matrix(vectors)
    back = rotation.axis_angle_to_matrix(rotation.matrix_to_axis_angle(matrix))
    np.testing.assert_allclose(back, matrix, atol=1e-9)


def test_gradients_are_finite_at_the_identity():
    vector = torch.zeros(4, 3, requires_grad=True)
    rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(vector)).sum().backward()
    assert torch.isfinite(vector.grad).all()


def test_slerp_goes_the_short_way_at_constant_speed():
    start = rotation.axis_angle_to_quaternion(np.array([0.0, 0.0, 0.2]))
    end = -rotation.axis_angle_to_quaternion(np.array([0.0, 0.0, 1.0]))  # the same rotation, other sign
    middle = rotation.slerp(start, end, np.array([0.25]))
    np.testing.assert_allclose(rotation.quaternion_to_axis_angle(middle), [0, 0, 0.4], atol=1e-12)


def test_rotation_between_turns_one_direction_onto_the_other(rng):
    a, b = rng.normal(size=(2, 100, 3))
    b[:3] = -a[:3]  # opposite: any half turn will do
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    matrix = rotation.rotation_between(a, b)
    np.testing.assert_allclose((matrix @ a[..., None])[..., 0], b, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=1e-6)
