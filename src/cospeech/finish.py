"""The finish of generated motion: feet that stand where they stand.

A network predicts the path of the pelvis and the pose of the legs apart, with small errors that add up: the body
drifts and its feet slide and float. Here the path is made anew from the legs: the foot that carries the body does not
move over the floor.
"""

from dataclasses import replace

import numpy as np

from cospeech import skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.motion import Motion

_CARRIES_M = 0.015  # a joint that much higher than the lowest one carries 1/e of what that one does
_SMOOTHING_S = 0.06  # standard deviation of the smoothing of the path
_CHUNK = 4096  # frames whose joints are computed at a time


def stand(motion: Motion) -> Motion:
    """Move the body so that the foot that carries it keeps its place on the floor, y = 0; poses stay.

    Starts where the motion starts. For walking and standing; somebody who jumps is pulled down.
    """
    if len(motion) == 0:
        return motion
    body = mannequin()
    standing = joint_positions(body, np.zeros((1, skeleton.NUM_JOINTS, 3)), skeleton.REST_TRANSLATION[None])[0]
    feet = np.concatenate(
        [
            joint_positions(body, poses, np.zeros((len(poses), 3)))[:, skeleton.FEET]
            for poses in np.split(motion.poses, range(_CHUNK, len(motion), _CHUNK))
        ]
    )  # (T, 4, 3) ankles and balls of the feet, relative to where the pelvis is
    height = feet[..., 1] - standing[list(skeleton.FEET), 1]  # (T, 4) above where they are in standing
    lowest = height.min(axis=1)
    carries = np.exp(-(height - lowest[:, None]) / _CARRIES_M)
    carries = carries / carries.sum(axis=1, keepdims=True)
    steps = np.diff(feet[..., [0, 2]], axis=0)  # (T - 1, 4, 2)
    path = np.zeros((len(motion), 2))
    path[1:] = -np.cumsum((steps * np.minimum(carries[1:], carries[:-1])[..., None]).sum(axis=1), axis=0)
    deviation = _SMOOTHING_S * motion.fps
    translation = np.stack([path[:, 0], -lowest, path[:, 1]], axis=1)
    translation = np.stack([_smooth(axis, deviation) for axis in translation.T], axis=1)
    translation[:, [0, 2]] += motion.translation[0, [0, 2]] - translation[0, [0, 2]]
    return replace(motion, translation=translation)


def _smooth(values: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian smoothing of (T,), edges mirrored in value as well as in time, so that slopes are kept."""
    reach = min(int(np.ceil(4 * deviation)), len(values) - 1)
    if reach < 1:
        return values
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(values, reach, mode="reflect", reflect_type="odd")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")
