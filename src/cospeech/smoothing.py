"""Smoothing over time, of any columns."""

from typing import Literal

import numpy as np


def smooth(values: np.ndarray, deviation: float, edges: Literal["slopes", "values"] = "slopes") -> np.ndarray:
    """Gaussian smoothing of (T, ...) over time.

    Args:
        deviation: Standard deviation in frames.
        edges: What is taken to lie beyond the ends. slopes: the values there go on as they came, mirrored in value as
            well as in time. values: the first and the last value are held, as by scipy.ndimage.gaussian_filter1d with
            mode="nearest".
    """
    reach = reach_of(deviation, len(values)) if edges == "slopes" else int(4 * deviation + 0.5)
    if reach < 1:
        return values
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    columns = values.reshape(len(values), -1)
    how = {"mode": "reflect", "reflect_type": "odd"} if edges == "slopes" else {"mode": "edge"}
    padded = np.pad(columns, ((reach, reach), (0, 0)), **how)
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1).reshape(values.shape)


def cover(values: np.ndarray, deviation: float) -> np.ndarray:
    """A smooth curve that is nowhere below (T, ...), which is nowhere below 0: the highest in reach, then `smooth`."""
    reach = reach_of(deviation, len(values))
    if reach < 1:
        return values
    padded = np.pad(values, [(reach, reach)] + [(0, 0)] * (values.ndim - 1), mode="edge")
    return smooth(highest(padded, reach), deviation)[reach:-reach]


def highest(values: np.ndarray, reach: int) -> np.ndarray:
    """(T, ...) the highest of so many frames to each side; beyond the ends the first and the last value are held."""
    padded = np.pad(values, [(reach, reach)] + [(0, 0)] * (values.ndim - 1), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).max(axis=-1)


def reach_of(deviation: float, num_frames: int) -> int:
    """Frames to each side that `smooth` looks at where it keeps slopes, and `cover`."""
    return min(int(np.ceil(3 * deviation)), num_frames - 1)


def ease(share: np.ndarray) -> np.ndarray:
    """From 0 at 0 to 1 at 1 without a corner, constant outside."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)
