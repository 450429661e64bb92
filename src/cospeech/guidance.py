"""Which predictions of a denoiser are mixed, and how, for every latent channel.

[1] Ho & Salimans 2022, Classifier-free diffusion guidance, arXiv:2207.12598
[2] Chen et al. 2024, SynTalker, arXiv:2410.00464: each body part under its own prompt, then put together

Axes: R predictions (rows of one batch), C latent channels, D numbers of a style.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from cospeech.models.syntalker import DenoiserConfig

PROMPT_STRENGTH = 4.0  # of [2]


class Guidance(NamedTuple):
    has_audio: Tensor  # (R,) bool
    style: Tensor | None  # (R, D)
    has_style: Tensor | None  # (R,) bool
    mix: Tensor  # (R, C): the result is the sum over rows of mix * prediction

    def __call__(self, predictions: Tensor) -> Tensor:
        """(R, S, C) -> (1, S, C)."""
        if len(self.mix) == 1:
            return predictions
        return torch.einsum("rsc,rc->sc", predictions, self.mix)[None]


def plain(config: DenoiserConfig) -> Guidance:
    """One prediction: with speech, without a style."""
    return Guidance(torch.tensor([True]), None, None, torch.ones(1, config.channels))


def by_speech(config: DenoiserConfig, strength: float) -> Guidance:
    """Further than with no speech the motion goes with it, `strength` times: equation 6 of [1]."""
    if strength == 1:
        return plain(config)
    mix = torch.tensor([strength, 1 - strength])[:, None].expand(-1, config.channels)
    return Guidance(torch.tensor([True, False]), None, None, mix.contiguous())


def by_styles(config: DenoiserConfig, styles: Mapping[str, Tensor], strength: float = PROMPT_STRENGTH) -> Guidance:
    """Some body parts follow a style. Of these, only the upper body follows the speech as well, as published in [2].

    With a: speech, u: neither, s: style alone, a part gets a; with a style a + w (s - u) if it is the upper body, else
    u + w (s - u). Equal styles share their row.

    Args:
        styles: Part -> (D,) style.
        strength: w.
    """
    if not styles:
        return plain(config)
    rows: list[Tensor] = []
    of_part: dict[str, int] = {}
    for part, style in styles.items():
        same = next((i for i, row in enumerate(rows) if torch.equal(row, style)), None)
        if same is None:
            same, rows = len(rows), [*rows, style]
        of_part[part] = 2 + same
    mix = torch.zeros(2 + len(rows), len(config.parts), config.code_dim)
    for i, part in enumerate(config.parts):
        keeps_speech = part == "upper" or part not in styles
        mix[0, i] = keeps_speech
        if part in styles:
            mix[1, i] = (0 if keeps_speech else 1) - strength
            mix[of_part[part], i] = strength
    style = torch.stack([torch.zeros_like(rows[0])] * 2 + rows)
    has_style = torch.tensor([False, False] + [True] * len(rows))
    return Guidance(torch.tensor([True] + [False] * (1 + len(rows))), style, has_style, mix.flatten(1))
