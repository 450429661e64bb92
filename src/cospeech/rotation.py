"""Rotations as axis-angle, matrix, 6-D and quaternion; pure functions of any leading axes.

Every function takes and returns numpy arrays or torch tensors (gradients pass), chosen by the input, so that
preparation, training and file formats share one definition. Matrices act on column vectors: v' = R @ v.
Quaternions are (w, x, y, z) of unit length.
"""

from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor

_SMALL = 1e-6  # radians: below it the Taylor series of sin(x/2)/x is exact to rounding


def array_namespace(*arrays: Array) -> ModuleType:
    """numpy for numpy arrays, torch for tensors: both speak the Python array API as far as it is used here."""
    if all(isinstance(array, np.ndarray) or np.isscalar(array) for array in arrays):
        return np
    import torch  # already loaded by whoever made the tensor

    return torch


def axis_angle_to_quaternion(axis_angle: Array) -> Array:
    """(..., 3) rotation vectors in radians -> (..., 4) quaternions."""
    xp = array_namespace(axis_angle)
    angle = xp.sqrt(xp.sum(axis_angle * axis_angle, axis=-1, keepdims=True) + 1e-30)
    small = angle < _SMALL
    safe = xp.where(small, xp.ones_like(angle), angle)
    scale = xp.where(small, 0.5 - angle * angle / 48, xp.sin(angle / 2) / safe)
    return xp.concat([xp.cos(angle / 2), axis_angle * scale], axis=-1)


def quaternion_to_axis_angle(quaternion: Array) -> Array:
    """(..., 4) quaternions, not necessarily of positive w -> (..., 3) rotation vectors of length at most pi."""
    xp = array_namespace(quaternion)
    q = xp.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    vector = q[..., 1:]
    norm = xp.sqrt(xp.sum(vector * vector, axis=-1, keepdims=True) + 1e-30)
    angle = 2 * xp.atan2(norm, q[..., :1])
    small = angle < _SMALL
    safe = xp.where(small, xp.ones_like(norm), norm)
    return vector * xp.where(small, xp.full_like(norm, 2.0), angle / safe)


def quaternion_to_matrix(quaternion: Array) -> Array:
    """(..., 4) quaternions of any positive length -> (..., 3, 3) rotation matrices."""
    xp = array_namespace(quaternion)
    w, x, y, z = (quaternion[..., i] for i in range(4))
    s = 2 / xp.sum(quaternion * quaternion, axis=-1)
    rows = [
        xp.stack([1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)], axis=-1),
        xp.stack([s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)], axis=-1),
        xp.stack([s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)], axis=-1),
    ]
    return xp.stack(rows, axis=-2)


def matrix_to_quaternion(matrix: Array) -> Array:
    """(..., 3, 3) rotation matrices -> (..., 4) quaternions with w >= 0.

    Of the four ways to read a quaternion off a matrix the best conditioned is taken for each matrix.
    Source: Shepperd 1978, Journal of Guidance and Control 1(3).
    """
    xp = array_namespace(matrix)
    m = matrix
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    squared = xp.stack([1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], axis=-1)
    candidates = xp.stack(
        [
            xp.stack([squared[..., 0], a, b, c], axis=-1),
            xp.stack([a, squared[..., 1], d, e], axis=-1),
            xp.stack([b, d, squared[..., 2], f], axis=-1),
            xp.stack([c, e, f, squared[..., 3]], axis=-1),
        ],
        axis=-2,
    )  # row i is the quaternion times twice its own component i
    best = xp.argmax(squared, axis=-1)[..., None]
    quaternion = xp.zeros_like(candidates[..., 0, :])
    for i in range(4):
        quaternion = xp.where(best == i, candidates[..., i, :], quaternion)
    quaternion = quaternion / xp.sqrt(xp.sum(quaternion * quaternion, axis=-1, keepdims=True))
    return xp.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def axis_angle_to_matrix(axis_angle: Array) -> Array:
    """(..., 3) rotation vectors in radians -> (..., 3, 3) rotation matrices."""
    return quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def matrix_to_axis_angle(matrix: Array) -> Array:
    """(..., 3, 3) rotation matrices -> (..., 3) rotation vectors of length at most pi."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def matrix_to_rotation_6d(matrix: Array) -> Array:
    """(..., 3, 3) rotation matrices -> (..., 6): their first two *rows*, as in PyTorch3D, not columns."""
    return matrix[..., :2, :].reshape((*matrix.shape[:-2], 6))


def rotation_6d_to_matrix(d6: Array) -> Array:
    """Orthonormalise the 6-D rotation representation by Gram-Schmidt.

    Args:
        d6: (..., 6) the first two *rows* of a rotation matrix, not necessarily unit length.

    Returns:
        (..., 3, 3) rotation matrices, determinant +1. Inverse of `matrix_to_rotation_6d`.

    Source: Zhou et al. 2019, arXiv:1812.07035, section B. Rows, as in PyTorch3D, not columns.
    """
    xp = array_namespace(d6)
    first = unit(d6[..., :3])
    second = d6[..., 3:]
    second = unit(second - xp.sum(first * second, axis=-1, keepdims=True) * first)
    return xp.stack([first, second, cross(first, second)], axis=-2)


def axis_angle_to_rotation_6d(axis_angle: Array) -> Array:
    """(..., 3) rotation vectors in radians -> (..., 6)."""
    return matrix_to_rotation_6d(axis_angle_to_matrix(axis_angle))


def rotation_6d_to_axis_angle(d6: Array) -> Array:
    """(..., 6) -> (..., 3) rotation vectors of length at most pi."""
    return matrix_to_axis_angle(rotation_6d_to_matrix(d6))


def slerp(a: Array, b: Array, t: Array) -> Array:
    """Interpolate on the shorter arc from rotation `a` to rotation `b`.

    Args:
        a, b: (..., 4) quaternions.
        t: (..., 1) or broadcastable, 0 gives `a`, 1 gives `b`.

    Source: Shoemake 1985, SIGGRAPH.
    """
    xp = array_namespace(a, b)
    dot = xp.sum(a * b, axis=-1, keepdims=True)
    b = xp.where(dot < 0, -b, b)
    dot = xp.clip(xp.abs(dot), 0.0, 1.0)
    angle = xp.acos(dot)
    near = angle < 1e-4  # there the straight line is the arc to rounding
    sine = xp.where(near, xp.ones_like(angle), xp.sin(angle))
    weight_a = xp.where(near, 1 - t, xp.sin((1 - t) * angle) / sine)
    weight_b = xp.where(near, t + 0 * angle, xp.sin(t * angle) / sine)
    return unit(weight_a * a + weight_b * b)


def without_flips(quaternions: np.ndarray) -> np.ndarray:
    """(T, ..., 4) quaternions over time, of the two signs of each the one nearer to that of the frame before.

    q and -q are one rotation, but a player that interpolates them number by number would spin between the two.
    """
    turned_over = (quaternions[1:] * quaternions[:-1]).sum(axis=-1) < 0
    signs = np.where(np.cumsum(turned_over, axis=0) % 2, -1.0, 1.0)
    return np.concatenate([quaternions[:1], quaternions[1:] * signs[..., None]])


def rotation_between(a: Array, b: Array) -> Array:
    """The smallest rotation that turns direction `a` onto direction `b`.

    Args:
        a, b: (..., 3) directions of any length. Opposite directions turn about an arbitrary normal axis.

    Returns:
        (..., 3, 3) rotation matrices R with R @ a parallel to b.
    """
    xp = array_namespace(a, b)
    a, b = unit(a), unit(b)
    normal = cross(a, b)
    real = 1 + xp.sum(a * b, axis=-1, keepdims=True)
    smallest = xp.argmin(xp.abs(a), axis=-1)[..., None]  # the axis least parallel to `a` is safe to cross with
    axes = xp.stack([xp.where(smallest == i, xp.ones_like(real), xp.zeros_like(real))[..., 0] for i in range(3)], -1)
    opposite = real < 1e-6
    quaternion = xp.concat(
        [xp.where(opposite, xp.zeros_like(real), real), xp.where(opposite, cross(a, axes), normal)], -1
    )
    return quaternion_to_matrix(quaternion)


def cross(a: Array, b: Array) -> Array:
    """Cross product of (..., 3) vectors, broadcasting."""
    xp = array_namespace(a, b)
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def unit(vector: Array) -> Array:
    """(..., 3) of length one, whatever it was; zero stays zero."""
    xp = array_namespace(vector)
    norm = xp.sqrt(xp.sum(vector * vector, axis=-1, keepdims=True))
    return vector / xp.clip(norm, 1e-12, None)
