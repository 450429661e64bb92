"""Inverse kinematics of a limb of two bones, and the rotations that put bones where they should be."""

import numpy as np

from cospeech import rotation
from cospeech.rotation import cross


def two_bone(
    root: np.ndarray, target: np.ndarray, pole: np.ndarray, first: float, second: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle joint and the end of a limb go.

    Args:
        root, target: (..., 3) where the limb begins and where its end should be. A target out of reach is
            approached as far as 99.9 % of the limb's length.
        pole: (..., 3) direction towards which the middle joint points, not parallel to the limb.
        first, second: Lengths of the two bones, metres.

    Returns:
        middle (..., 3) and end (..., 3), the target or the nearest point in reach on the way to it.
    """
    reach = target - root
    distance = np.linalg.norm(reach, axis=-1, keepdims=True)
    along = reach / np.maximum(distance, 1e-9)
    distance = np.clip(distance, abs(first - second) * 1.001 + 1e-6, (first + second) * 0.999)
    foot = (first**2 - second**2 + distance**2) / (2 * distance)  # of the middle joint's perpendicular
    height = np.sqrt(np.maximum(first**2 - foot**2, 0))
    aside = pole - np.sum(pole * along, axis=-1, keepdims=True) * along
    aside = aside / np.maximum(np.linalg.norm(aside, axis=-1, keepdims=True), 1e-9)
    return root + foot * along + height * aside, root + distance * along


def bend(first: np.ndarray, second: np.ndarray, hinge: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """By how much to turn the second bone of a limb about its hinge so that the limb gets so long.

    Needs no pole and keeps the plane of the limb, unlike `two_bone`; to be followed by a turn of the whole limb.

    Args:
        first, second: (..., 3) the bones, from their beginning to their end.
        hinge: (..., 3) unit axis about which a positive angle bends the limb.
        distance: (...) wanted from the beginning of the first to the end of the second bone; out of reach, the
            nearest possible.

    Returns:
        (...) radians; of the two solutions the one in which the limb is bent the right way.
    """
    along = np.sum(first * hinge, axis=-1) * np.sum(second * hinge, axis=-1)
    cosine = np.sum(first * second, axis=-1) - along  # first . turned second = along + cosine cos + sine sin
    sine = np.sum(first * cross(hinge, second), axis=-1)
    wanted = (distance**2 - np.sum(first**2, axis=-1) - np.sum(second**2, axis=-1)) / 2 - along
    most = np.maximum(np.hypot(cosine, sine), 1e-12)
    return np.arctan2(sine, cosine) + np.arccos((wanted / most).clip(-1, 1))


def frame(along: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(..., 3, 3) right-handed frame whose columns are `along`, the part of `up` normal to it, and their cross."""
    x = along / np.linalg.norm(along, axis=-1, keepdims=True)
    y = up - np.sum(up * x, axis=-1, keepdims=True) * x
    y = y / np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), 1e-9)
    return np.stack([x, y, cross(x, y)], axis=-1)


def turn_frame(rest_along, rest_up, along, up) -> np.ndarray:
    """(..., 3, 3) global rotation that takes a rest frame onto a wanted frame."""
    rest = frame(np.asarray(rest_along, np.float64), np.asarray(rest_up, np.float64))
    return frame(along, up) @ np.swapaxes(rest, -1, -2)


def swing(matrices: np.ndarray, rest: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotations, turned by the least that makes them carry the `rest` direction to `direction`."""
    return rotation.rotation_between(matrices @ rest, direction) @ matrices


def twist(matrices: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(..., 1) radians by which each rotation (..., 3, 3) turns about a unit axis (3,), between -pi and pi."""
    quaternions = rotation.matrix_to_quaternion(matrices)
    angle = 2 * np.arctan2(quaternions[..., 1:] @ axis, quaternions[..., 0])
    return angle[..., None]


def between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """(..., 3, 3) the rotation a share of the shortest way from `a` to `b`."""
    quaternions = rotation.slerp(rotation.matrix_to_quaternion(a), rotation.matrix_to_quaternion(b), share)
    return rotation.quaternion_to_matrix(quaternions)


def best_rotation(rest: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotations that carry K directions at rest (K, 3) as nearly as possible to `vectors` (..., K, 3).

    Source: Kabsch 1976, Acta Crystallographica A32.
    """
    u, _, vt = np.linalg.svd(np.swapaxes(vectors, -1, -2) @ rest)
    proper = np.ones(u.shape[:-1])
    proper[..., 2] = np.linalg.det(u @ vt)  # a mirror image would fit points in a plane just as well
    return (u * proper[..., None, :]) @ vt
