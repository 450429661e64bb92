"""Which predictions of a denoiser are mixed, and how, for every latent step and channel of a window.

[1] Ho & Salimans 2022, Classifier-free diffusion guidance, arXiv:2207.12598
[2] Chen et al. 2024, SynTalker, arXiv:2410.00464: each body part under its own prompt, then put together

Axes: R predictions (rows of one batch), S latent steps, C latent channels, D numbers of a style.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from cospeech.errors import ConfigError
from cospeech.models.syntalker import DenoiserConfig


@dataclass(frozen=True)
class GuidanceConfig:
    """How far a model goes after what it is given.

    Args:
        speech: How much further than with no speech the motion goes with it, equation 6 of [1]; 1: as the network says.
        speech_of: That of body parts that need another one.
        prompt: The same of a text prompt of strength 1.
        prompt_of: That of body parts that need another one.
        hears_under_prompt: The body parts that follow the speech also while they follow a prompt.
        hands_go_along: A prompt of the upper body is for the hands as well, where they have none: fingers that point or
            clench belong to what the arms do.
    """

    speech: float = 1.0
    speech_of: dict[str, float] = field(default_factory=dict)
    prompt: float = 4.0
    prompt_of: dict[str, float] = field(default_factory=dict)
    hears_under_prompt: tuple[str, ...] = ("upper",)
    hands_go_along: bool = False

    def __post_init__(self) -> None:
        for name, value in {"speech": self.speech, "prompt": self.prompt, **self.speech_of, **self.prompt_of}.items():
            if not 0 <= value <= 10:
                raise ConfigError(f"`{name}` of `guidance` must be 0 to 10, got {value}.")


class Guidance(NamedTuple):
    has_audio: Tensor  # (R,) bool
    style: Tensor | None  # (R, D)
    has_style: Tensor | None  # (R,) bool
    mix: Tensor  # (R, S or 1, C): the result is the sum over rows of mix * prediction

    def __call__(self, predictions: Tensor) -> Tensor:
        """(R, S, C) -> (1, S, C)."""
        if len(self.mix) == 1:  # there is nothing to mix it with: its factors are 1
            return predictions
        return (predictions * self.mix).sum(dim=0, keepdim=True)


class Styled(NamedTuple):
    """A style that a body part follows in a window."""

    style: Tensor  # (D,)
    strength: float  # of which 1 is the model's own
    weight: Tensor  # (S,) 0 to 1: how much of it is in the part


def plain(config: DenoiserConfig) -> Guidance:
    """One prediction: with speech, without a style."""
    return Guidance(torch.tensor([True]), None, None, torch.ones(1, 1, config.channels))


def mixed(config: DenoiserConfig, guidance: GuidanceConfig, styles: Mapping[str, list[Styled]]) -> Guidance:
    """What each body part follows in one window: the speech, and the styles it is given.

    With a: speech, u: neither, s: style alone, a part gets u + g (a - u), where g is the model's guidance by speech.
    With a style it gets that and w (s - u) if it hears under prompts, else u + w (s - u) [2]. In between, as much of
    both as the style's weight says. Equal styles share their prediction, and what no part needs is not predicted.

    Args:
        styles: Part -> styles, whose weights together are at most 1 at every step.
    """
    if not any(styles.values()) and guidance.speech == 1 and not guidance.speech_of:
        return plain(config)
    rows: list[Tensor] = []
    steps = config.window_steps
    mix = torch.zeros(2, steps, len(config.parts), config.code_dim)  # speech, neither; rows of styles follow
    of_style: list[Tensor] = []
    for i, part in enumerate(config.parts):
        by_speech = guidance.speech_of.get(part, guidance.speech)
        hears, neither = torch.full((steps,), by_speech), torch.full((steps,), 1 - by_speech)
        for styled in styles.get(part, ()):
            row = next((n for n, other in enumerate(rows) if torch.equal(other, styled.style)), len(rows))
            if row == len(rows):
                rows.append(styled.style)
                of_style.append(torch.zeros(steps, len(config.parts), config.code_dim))
            far = guidance.prompt_of.get(part, guidance.prompt) * styled.strength * styled.weight
            of_style[row][:, i] += far[:, None]
            neither = neither - far
            if part not in guidance.hears_under_prompt:
                deaf = by_speech * min(styled.strength, 1.0) * styled.weight  # a weak prompt leaves some speech
                hears, neither = hears - deaf, neither + deaf
        mix[0, :, i], mix[1, :, i] = hears[:, None], neither[:, None]
    mix = torch.cat([mix, torch.stack(of_style)] if rows else [mix]).flatten(2)
    needed = mix.flatten(1).any(dim=1)
    has_audio = torch.tensor([True, False] + [False] * len(rows))[needed]
    if not rows:
        return Guidance(has_audio, None, None, mix[needed])
    style = torch.stack([torch.zeros_like(rows[0])] * 2 + rows)[needed]
    has_style = torch.tensor([False, False] + [True] * len(rows))[needed]
    return Guidance(has_audio, style, has_style, mix[needed])
