"""Slow, middling and quick movement apart: what a distance over whole motions cannot see.

Of the power of human motion nearly all is slow. A Fréchet distance of whole motions hardly notices that a model leaves
out its strokes, or trembles. So the distance is computed three times, over motions that have one band each.

How they are cut, and why so: rotations, not positions, are filtered, since the embedder reads rotations. A filtered
matrix or 6-D vector is no rotation any more and nothing an embedder has ever seen; so the slow band is a rotation by
itself, and what is quicker is a rotation vector from it, which is small, adds up, and can be filtered like any number:

    rotation = slow . exp(middle + quick)

Everything is in exactly one band. A quicker band is shown as a body that moves by it alone about one pose, the same for
both sets that are compared, so that it tells nothing about postures. The filter has no phase (a motion that is late is
not another motion) and is a product in the frequency domain, where bands add up to the whole. Beyond its ends a clip
goes on as its point reflection, and then back in time: neither a jump from the end to the beginning nor a corner at
the ends of slow movement, which is most of all there is, fills the quicker bands.

Axes: T frames, J = 55 joints.
"""

from typing import NamedTuple

import numpy as np

from cospeech import rotation

EDGES_HZ = (1.0, 3.0, 15.0)  # slow below the first: posture and weight; up to the second strokes; then snaps and noise
_SOFT = 1.2  # a band fades from an edge divided by this to the edge times this
_PERIODS = 3  # of the edge by which a clip is continued


class Bands(NamedTuple):
    """(T, 55, 3) axis-angle each."""

    slow: np.ndarray  # 0 to 1 Hz
    middle: np.ndarray  # 1 to 3 Hz
    quick: np.ndarray  # 3 to 15 Hz


def split(poses: np.ndarray, fps: float, about: np.ndarray) -> Bands:
    """The motion three times, each time with one band of its movement.

    Args:
        poses: (T, 55, 3) axis-angle.
        about: (55, 3) the pose about which the quicker bands move: `mean_pose` of the real motions for all of them.
    """
    low_hz, high_hz, top_hz = EDGES_HZ
    rotations = rotation.axis_angle_to_matrix(poses.astype(np.float64))
    quaternions = rotation.axis_angle_to_quaternion(poses.astype(np.float64))
    # Of the two quaternions of a rotation the one near that of the frame before.
    turned = np.sign((quaternions[1:] * quaternions[:-1]).sum(axis=-1))
    quaternions[1:] *= np.cumprod(np.where(turned == 0, 1, turned), axis=0)[..., None]
    slow = rotation.quaternion_to_matrix(low_pass(quaternions, fps, low_hz))
    beside = np.swapaxes(slow, -1, -2) @ rotations
    vectors = rotation.matrix_to_axis_angle(beside)
    middle = low_pass(vectors, fps, high_hz)
    quick = low_pass(vectors, fps, top_hz) - middle
    pose = rotation.axis_angle_to_matrix(about.astype(np.float64))
    shown = (slow, *(pose @ rotation.axis_angle_to_matrix(each) for each in (middle, quick)))
    return Bands(*(rotation.matrix_to_axis_angle(each).astype(np.float32) for each in shown))


def mean_pose(poses: np.ndarray) -> np.ndarray:
    """(T, 55, 3) -> (55, 3): the mean of the 6-D rotations, made a rotation."""
    mean = rotation.axis_angle_to_rotation_6d(poses.astype(np.float64)).mean(axis=0)
    return rotation.rotation_6d_to_axis_angle(mean)


def low_pass(values: np.ndarray, fps: float, edge_hz: float) -> np.ndarray:
    """(T, ...) -> (T, ...) without what is quicker. Nothing is where the edge is at half the frame rate or above."""
    if len(values) == 0 or edge_hz * _SOFT > fps / 2:
        return values
    beyond = min(len(values) - 1, round(_PERIODS * fps / edge_hz))
    around = [(beyond, beyond)] + [(0, 0)] * (values.ndim - 1)
    longer = np.pad(values, around, mode="reflect", reflect_type="odd") if beyond else values
    frequencies = np.fft.rfftfreq(2 * len(longer), 1 / fps)
    octaves = np.log(np.maximum(frequencies, 1e-9) / edge_hz) / np.log(_SOFT)
    kept = 0.5 - 0.5 * np.sin(np.pi / 2 * octaves.clip(-1, 1))
    spectrum = np.fft.rfft(np.concatenate([longer, longer[::-1]]), axis=0)
    spectrum *= kept.reshape(-1, *[1] * (values.ndim - 1))
    return np.fft.irfft(spectrum, n=2 * len(longer), axis=0)[beyond : beyond + len(values)]
