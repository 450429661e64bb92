"""Smooth random wandering, for all that is alive and never quite still."""

import numpy as np


def smooth_noise(num_frames: int, channels: int, seconds: float, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(num_frames, channels) Gaussian noise of unit variance that changes over about `seconds`."""
    frames = seconds * fps / 2
    reach = int(np.ceil(4 * frames))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    kernel /= np.sqrt(np.sum(kernel**2))
    white = rng.standard_normal((channels, num_frames + 2 * reach))
    return np.stack([np.convolve(row, kernel, mode="valid") for row in white], axis=1)
