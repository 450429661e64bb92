"""Joints that stay in their ranges of motion, do not tremble, and turn no faster than people turn them.

[1] Winter 2009, Biomechanics and Motor Control of Human Movement, chapter 3: what people do on purpose lies below some
    6 Hz, and captured motion is low-passed accordingly
"""

import numpy as np

from cospeech import limits
from cospeech.rotation import axis_angle_to_quaternion, quaternion_to_axis_angle
from cospeech.skeleton import HANDS, UPPER, WRISTS
from cospeech.smoothing import cover, smooth

# A turn of least jerk is 15/8 times as fast in its middle as on average: a wrist turns by 45 and a finger joint by 35
# degrees in a sixth of a second.
WRIST_RAD_S = 9.0
FINGER_RAD_S = 7.0
_STEADY_S = 0.018  # deviation of a Gaussian that has half its power left at 7.4 Hz
_SMOOTHINGS_S = (0.04, 0.08, 0.16, 0.32)  # stronger and stronger, until a joint is slow enough
_CORNER_S = 0.06  # smoothing of a joint that meets the end of its range or leaves it
_CHUNK = 4096  # frames at a time


def limit_range(poses: np.ndarray, fps: float) -> np.ndarray:
    """(T, 55, 3) poses within the ranges of `limits`; a joint that meets the end of its range comes to it softly."""
    inside, outside = poses.copy(), np.zeros(poses.shape[:2], dtype=bool)
    for start in range(0, len(poses), _CHUNK):
        at = slice(start, start + _CHUNK)
        hinged = limits.hinged(poses[at])
        inside[at] = limits.clamp(hinged)
        outside[at] = limits.excess(hinged) > 1e-3  # radians; hinged elbows are exactly at the end of their play
    corners = outside[1:] != outside[:-1]  # (T - 1, 55)
    for joint in np.flatnonzero(corners.any(axis=0)):
        quaternions = _continuous(axis_angle_to_quaternion(inside[:, joint].astype(np.float64)))
        inside[:, joint] = quaternion_to_axis_angle(_smoothed(quaternions, corners[:, joint], _CORNER_S * fps))
    return inside


def steady(poses: np.ndarray, fps: float) -> np.ndarray:
    """(T, 55, 3) poses, trunk, arms and fingers low-passed [1]: networks add noise that people have not."""
    poses = poses.copy()
    for joint in (*UPPER, *HANDS):
        quaternions = smooth(_continuous(axis_angle_to_quaternion(poses[:, joint].astype(np.float64))), _STEADY_S * fps)
        poses[:, joint] = quaternion_to_axis_angle(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True))
    return poses


def limit_speed(poses: np.ndarray, fps: float) -> np.ndarray:
    """Smooth the joints of wrists and fingers in (T, 55, 3) poses around the moments in which they are too fast.

    Smoothing takes from both sides of such a moment, so that nothing comes later than it did.
    """
    poses = poses.copy()
    for joint in (*WRISTS, *HANDS):
        limit = WRIST_RAD_S if joint in WRISTS else FINGER_RAD_S
        quaternions = _continuous(axis_angle_to_quaternion(poses[:, joint].astype(np.float64)))
        slowed = _slowed(quaternions, limit / fps, fps)
        if slowed is not quaternions:
            poses[:, joint] = quaternion_to_axis_angle(slowed)
    return poses


def _slowed(quaternions: np.ndarray, limit: float, fps: float) -> np.ndarray:
    """(T, 4) unit quaternions, smoothed where they turn by more than `limit` radians from frame to frame."""
    for smoothing_s in _SMOOTHINGS_S:
        apart = np.linalg.norm(np.diff(quaternions, axis=0), axis=-1)
        too_fast = 4 * np.arcsin(np.minimum(apart / 2, 1)) > limit  # (T - 1,)
        if not too_fast.any():
            break
        quaternions = _smoothed(quaternions, too_fast, smoothing_s * fps)
    return quaternions


def _smoothed(quaternions: np.ndarray, steps: np.ndarray, deviation: float) -> np.ndarray:
    """(T, 4) unit quaternions, smoothed around those of the steps from frame to frame that are True in (T - 1,)."""
    frames = np.zeros(len(quaternions))
    frames[1:] = steps
    frames[:-1] = np.maximum(frames[:-1], steps)
    weight = cover(frames, deviation)[:, None]
    quaternions = quaternions + weight * (smooth(quaternions, deviation) - quaternions)
    return quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """(T, ..., 4) with the signs that make each the nearer one to the frame before."""
    turned = np.sum(quaternions[1:] * quaternions[:-1], axis=-1, keepdims=True) < 0
    signs = np.cumprod(np.where(turned, -1, 1), axis=0)
    return np.concatenate([quaternions[:1], quaternions[1:] * signs])
