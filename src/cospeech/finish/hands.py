"""Hands kept out of trunk, head, thighs and each other.

A wrist is moved by the way out of the volume (`collision`) that its hand is deepest in. The way is spread over time,
so that a hand takes a detour and does not bounce, and the arm follows: the elbow bends, then the arm turns about the
shoulder, and keeps its swivel.
"""

import numpy as np

from cospeech import collision, ik, rotation
from cospeech.body import JointTransforms, joint_transforms, mannequin
from cospeech.skeleton import INDEX, WRISTS
from cospeech.smoothing import cover, ease, smooth

MARGIN_M = 0.008  # of flesh around the joints
DETOUR_S = 0.12  # standard deviation of the spreading over time
STRAIGHT = (0.95, 0.99)  # parts of its length at which an arm can still be stretched, and cannot
LONGEST_WAY = 3.0  # of the shortest one
_ROUNDS = 6  # pushing out of one volume may push into another
_CHUNK = 1024  # frames at a time
_HINGES = np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])  # about which left and right elbow bend
_COLLARS, _SHOULDERS, _ELBOWS = (
    [INDEX[f"{side}_{joint}"] for side in ("left", "right")] for joint in ("collar", "shoulder", "elbow")
)
_ARMS = (*_COLLARS, *_SHOULDERS, *_ELBOWS, *WRISTS)


def push_out(poses: np.ndarray, translation: np.ndarray, fps: float) -> np.ndarray:
    """(T, 55, 3) poses with the hands outside; only shoulders and elbows change."""
    for _ in range(_ROUNDS):
        way = np.concatenate(
            [
                _ways_out(joint_transforms(mannequin(), poses[at], translation[at].astype(poses.dtype)))
                for at in _chunks(len(poses))
            ]
        )  # (T, 2, 3)
        if np.linalg.norm(way, axis=-1).max() < 1e-4:
            break
        poses = _moved(poses, np.stack([_detour(way[:, side], DETOUR_S * fps) for side in range(2)], axis=1))
    return poses


def _chunks(num_frames: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, num_frames, _CHUNK)]


def _ways_out(transforms: JointTransforms) -> np.ndarray:
    """(T, 2, 3) the way out for the deepest point of each hand, zero for a hand that is outside."""
    points = collision.hand_points(transforms)  # (T, 2, 21, 3)
    volumes = collision.volumes()
    flat = points.reshape(len(points), -1, 3)
    ways = [
        collision.ways_out(volumes[name], transforms, flat, MARGIN_M).reshape(points.shape) for name in collision.TRUNK
    ]
    out = _deepest(np.concatenate(ways, axis=2))
    depth = [
        np.linalg.norm(collision.ways_out(volumes[name], transforms, points[:, 1 - side]), axis=-1).max(axis=-1)
        for side, name in enumerate(collision.PALMS)
    ]
    # Hands part along the line between them: the ways out of one palm and of the other may lead to the same side.
    between = points[:, 1].mean(axis=1) - points[:, 0].mean(axis=1)
    between /= np.maximum(np.linalg.norm(between, axis=-1, keepdims=True), 1e-6)
    apart = np.maximum(*depth)[:, None] / 2 * between
    out[:, 0] -= apart
    out[:, 1] += apart
    return _within_reach(out, transforms)


def _within_reach(ways: np.ndarray, transforms: JointTransforms) -> np.ndarray:
    """(T, 2, 3) ways out of the same volumes that do not lead away from the shoulder where the arm is straight."""
    shoulder, elbow, wrist = (transforms.positions[:, joints] for joints in (_SHOULDERS, _ELBOWS, WRISTS))
    full = np.linalg.norm(elbow - shoulder, axis=-1) + np.linalg.norm(wrist - elbow, axis=-1)
    reach = wrist - shoulder
    length = np.linalg.norm(reach, axis=-1)
    straight = ease((length / full - STRAIGHT[0]) / (STRAIGHT[1] - STRAIGHT[0]))[..., None]
    along = reach / length[..., None]
    away = np.maximum(np.sum(ways * along, axis=-1, keepdims=True), 0)
    turned = ways - straight * away * along
    # A way that is askew to the shortest one is longer.
    depth, left = (np.linalg.norm(each, axis=-1, keepdims=True) for each in (ways, turned))
    return turned * (depth / np.maximum(left, depth / LONGEST_WAY + 1e-9)) ** 2


def _deepest(ways: np.ndarray) -> np.ndarray:
    """(T, S, P, 3) -> (T, S, 3) the longest of P."""
    longest = np.sum(ways**2, axis=-1).argmax(axis=-1)
    return np.take_along_axis(ways, longest[..., None, None], axis=2)[:, :, 0]


def _detour(way: np.ndarray, deviation: float) -> np.ndarray:
    """(T, 3) a smooth path that goes nowhere less far than (T, 3), which is zero where the hand is outside."""
    depth = np.linalg.norm(way, axis=-1)
    inside = np.flatnonzero(depth)
    if len(inside) == 0:
        return way
    # outside, the direction is that of the nearest frame inside
    nearest = inside[np.searchsorted((inside[1:] + inside[:-1]) / 2, np.arange(len(way)))]
    direction = smooth(way[nearest] / depth[nearest, None], deviation)
    # where it turns round, the path goes through zero and does not jump
    direction = direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 0.7)
    return cover(depth, deviation)[:, None] * direction


def _moved(poses: np.ndarray, move: np.ndarray) -> np.ndarray:
    """(T, 55, 3) poses with the wrists moved by (T, 2, 3) metres as far as arms reach."""
    poses = poses.copy()
    frames = np.flatnonzero(np.linalg.norm(move, axis=-1).max(axis=1) > 1e-5)
    for at in np.split(frames, range(_CHUNK, len(frames), _CHUNK)):
        transforms = joint_transforms(mannequin(), poses[at], np.zeros((len(at), 3), poses.dtype))
        rotations, positions = (array[:, _ARMS].astype(np.float64) for array in transforms)
        collar, shoulder = rotations[:, 0:2], rotations[:, 2:4]
        root, middle, end = positions[:, 2:4], positions[:, 4:6], positions[:, 6:8]
        # in the frame of the upper arm; a straight arm has no plane and bends about the hinge of its elbow
        upper, lower = (np.swapaxes(shoulder, -1, -2) @ bone[..., None] for bone in (middle - root, end - middle))
        upper, lower = upper[..., 0], lower[..., 0]
        hinge = rotation.cross(upper, lower)
        hinge = hinge / np.linalg.norm(upper, axis=-1, keepdims=True) / np.linalg.norm(lower, axis=-1, keepdims=True)
        hinge = hinge + 0.1 * _HINGES
        hinge = hinge / np.linalg.norm(hinge, axis=-1, keepdims=True)
        wanted = end + move[at] - root
        distance = np.linalg.norm(wanted, axis=-1)
        bend = rotation.axis_angle_to_matrix(ik.bend(upper, lower, hinge, distance)[..., None] * hinge)
        reach = upper + (bend @ lower[..., None])[..., 0]
        turned = rotation.rotation_between((shoulder @ reach[..., None])[..., 0], wanted) @ shoulder
        elbows = rotation.axis_angle_to_matrix(poses[at][:, _ELBOWS].astype(np.float64))
        for joints, local in ((_SHOULDERS, np.swapaxes(collar, -1, -2) @ turned), (_ELBOWS, bend @ elbows)):
            poses[at[:, None], joints] = rotation.matrix_to_axis_angle(local)
    return poses
