"""Gaussian diffusion of latents with a network that predicts the clean sample.

[1] Ho et al. 2020, DDPM, arXiv:2006.11239
[2] Nichol and Dhariwal 2021, Improved DDPM, arXiv:2102.09672, equation 17 (cosine schedule), section 4 (fewer steps)

Axes: B clips, S latent steps, C latent channels. `x0` is clean, `x_t` has been through t + 1 noising steps.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cospeech.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Schedule:
    """Noise levels of the steps, float64. `timesteps[i]` is what the network is told at step i."""

    betas: np.ndarray  # (N,) variance added by step i to its predecessor
    timesteps: np.ndarray  # (N,) int64, ascending

    @property
    def num_steps(self) -> int:
        return len(self.betas)

    @property
    def signal(self) -> np.ndarray:
        """(N,) alpha-bar: the share of the variance that is still signal, falling from 1 towards 0."""
        return np.cumprod(1 - self.betas)

    @property
    def previous_signal(self) -> np.ndarray:
        return np.append(1.0, self.signal[:-1])

    @property
    def posterior_mean(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) weights of x0 and of x_t in the mean of x_{t-1} given both: [1] equation 7."""
        rest = 1 - self.signal
        of_clean = self.betas * np.sqrt(self.previous_signal) / rest
        return of_clean, (1 - self.previous_signal) * np.sqrt(1 - self.betas) / rest

    @property
    def posterior_variance(self) -> np.ndarray:
        """(N,) variance of x_{t-1} given x0 and x_t; the first, which is 0, takes the second's value as in [2]."""
        variance = self.betas * (1 - self.previous_signal) / (1 - self.signal)
        variance[0] = variance[min(1, self.num_steps - 1)]
        return variance


def cosine_schedule(num_steps: int = 1000) -> Schedule:
    """The schedule of [2]: alpha-bar falls as a squared cosine, each beta at most 0.999."""
    u = np.arange(num_steps + 1) / num_steps
    signal = np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
    return Schedule(np.minimum(1 - signal[1:] / signal[:-1], 0.999), np.arange(num_steps))


def respace(schedule: Schedule, num_steps: int) -> Schedule:
    """The same process in fewer, evenly spaced steps: 50 of 1000 keeps timesteps 0, 20, ..., 980."""
    if not 1 <= num_steps <= schedule.num_steps:
        raise ConfigError(f"Sampling takes 1 to {schedule.num_steps} steps, got {num_steps}.")
    kept = np.arange(num_steps) * schedule.num_steps // num_steps
    signal = schedule.signal[kept]
    return Schedule(1 - signal / np.append(1.0, signal[:-1]), schedule.timesteps[kept])


def add_noise(x0: Tensor, t: Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """Draw x_t given x0, [1] equation 4.

    Args:
        x0, noise: (B, S, C).
        t: (B,) int64 step numbers, 0 to `schedule.num_steps` - 1.
    """
    of_clean, of_noise = np.sqrt(schedule.signal), np.sqrt(1 - schedule.signal)
    weights = torch.as_tensor(np.stack([of_clean, of_noise]), dtype=x0.dtype, device=x0.device)[:, t, None, None]
    return weights[0] * x0 + weights[1] * noise  # (B, 1, 1) each


def x0_loss(predicted: Tensor, x0: Tensor, mask: Tensor | None = None, beta: float = 1.0) -> Tensor:
    """Smooth L1 distance between predicted and true clean latents.

    Args:
        predicted, x0: (B, S, C).
        mask: (B, S, 1) or (B, S, C), 0 where a latent is padding or belongs to a part that was not captured;
            elsewhere its weight.
        beta: Where the distance turns from square to straight; published: 1. What is straight leads to the median
            instead of the mean, and what is rare, such as a blink, gets lost; a large beta is the squared error.

    Returns:
        (), each clip's mean over what its mask keeps, averaged over the clips that keep something.
    """
    loss = F.smooth_l1_loss(predicted, x0, reduction="none", beta=beta)
    if mask is None:
        return loss.mean()
    mask = mask.to(loss.dtype).expand_as(loss)
    kept = mask.sum(dim=(1, 2))  # (B,)
    per_clip = (loss * mask).sum(dim=(1, 2)) / kept.clamp(min=1)
    return per_clip.sum() / (kept > 0).sum().clamp(min=1)
