"""Samplers: functions of a network that predicts the clean latents.

[1] Ho et al. 2020, DDPM, arXiv:2006.11239, algorithm 2
[2] Song et al. 2021, DDIM, arXiv:2010.02502, equations 12 and 16

`denoise(x_t, t) -> x0` sees (B, S, C) latents and (B,) original timesteps. Every sampler draws one tensor of noise to
start from and one more per step, also where it is not used, so that a seed means the same noise for all of them, and
with `normals` the same as in the published code, which has its channels first.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from cospeech.nn.diffusion import Schedule

Denoise = Callable[[Tensor, Tensor], Tensor]


def normals(
    shape: Sequence[int], generator: torch.Generator, device: torch.device | str | None = None
) -> Iterator[Tensor]:
    """Endless standard normal tensors of shape (B, S, C), drawn as (B, C, S) on the generator's device."""
    batch, steps, channels = shape
    while True:
        drawn = torch.randn((batch, channels, steps), generator=generator, device=generator.device)
        yield drawn.mT.contiguous().to(device)


def ddpm(denoise: Denoise, noise: Iterator[Tensor], schedule: Schedule) -> Tensor:
    """Ancestral sampling [1] with the posterior's variance.

    Args:
        noise: Gives (B, S, C) standard normal tensors: `normals`, or a stored sequence.
        schedule: All steps, or `respace`d to fewer.
    """
    of_clean, of_noisy = schedule.posterior_mean
    deviation = schedule.posterior_variance**0.5
    x = next(noise)
    for i in reversed(range(schedule.num_steps)):
        x0 = denoise(x, _timestep(schedule, i, x))
        x = float(of_clean[i]) * x0 + float(of_noisy[i]) * x
        fresh = next(noise)
        if i > 0:
            x = x + float(deviation[i]) * fresh
    return x


def ddim(denoise: Denoise, noise: Iterator[Tensor], schedule: Schedule, eta: float = 0.0) -> Tensor:
    """Implicit sampling [2]: deterministic given its start at eta 0, as noisy as `ddpm` at eta 1.

    Args:
        noise: Gives (B, S, C) standard normal tensors: `normals`, or a stored sequence.
        schedule: Usually `respace`d to 50 steps or fewer.
    """
    signals, previous_signals = schedule.signal, schedule.previous_signal
    x = next(noise)
    for i in reversed(range(schedule.num_steps)):
        signal = signals[i]
        previous = np.float32(previous_signals[i])  # the published code rounds it before it takes 1 - previous
        sigma = eta * np.sqrt((1 - previous) / (1 - signal) * (1 - signal / previous))
        x0 = denoise(x, _timestep(schedule, i, x))
        direction = (x * float(signal**-0.5) - x0) / float((1 / signal - 1) ** 0.5)  # the noise left beside x0
        x = float(previous**0.5) * x0 + float((1 - previous - sigma**2) ** 0.5) * direction
        fresh = next(noise)
        if i > 0:
            x = x + float(sigma) * fresh
    return x


def _timestep(schedule: Schedule, i: int, x: Tensor) -> Tensor:
    return torch.full((x.shape[0],), int(schedule.timesteps[i]), dtype=torch.int64, device=x.device)
