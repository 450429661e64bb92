"""A talker: state spaces that hear the speech, know what the body did, and choose the next codes of every body part.

MambaTalk's means, state spaces and one choice of a code for each part of the body, in the service of a model that needs
no window: it goes on from step to step as long as the speech lasts, and remembers by its states alone.

[1] Xu et al. 2024, MambaTalk, arXiv:2403.09471
[2] Zhang et al. 2023, T2M-GPT, arXiv:2301.06052 (codes drawn one after another)
[3] Guo et al. 2024, MoMask, arXiv:2312.00063 (the codes of a step, coarse to fine)
[4] Ho & Salimans 2022, Classifier-free diffusion guidance, arXiv:2207.12598

Axes: B clips, S latent steps, T frames, F features of a frame, P body parts, Q stages of codes that are chosen,
K codes, D width of a code, C = P D latent channels, W width of the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.errors import ConfigError
from cospeech.models.mambatalk import MambaStack
from cospeech.models.syntalker import FrameEncoder, FrameEncoderConfig
from cospeech.nn.ssm import MambaState


@dataclass(frozen=True)
class TalkerConfig:
    """Args:
    parts: Body parts in the order in which their codes are chosen.
    num_stages: Of a tokenizer's codes that are chosen; what they leave over is added as it is to be expected.
    temperature: Part -> how freely its codes are drawn: 1 as likely as the network says, 0 the likeliest.
    nucleus: Codes that are unlikely are not drawn: of the likeliest as many as have this probability together.
    speech: How much further than without speech the choice goes with it [4]; 1: as the network says.
    """

    parts: tuple[str, ...]
    audio: FrameEncoderConfig = field(default_factory=lambda: FrameEncoderConfig(width=128, depth=4, kernel=9))
    code_dim: int = 32  # D
    num_codes: int = 128  # K
    num_stages: int = 2  # Q
    width: int = 256  # W
    mlp_width: int = 512
    num_states: int = 8
    depth: int = 4
    frames_per_step: int = 4
    temperature: dict[str, float] = field(default_factory=dict)
    nucleus: float = 0.95
    speech: float = 1.5

    def __post_init__(self) -> None:
        if not self.parts or len(set(self.parts)) != len(self.parts):
            raise ConfigError(f"`parts` must name each body part once, got {list(self.parts)}.")
        for name in (
            "code_dim",
            "num_codes",
            "num_stages",
            "width",
            "mlp_width",
            "num_states",
            "depth",
            "frames_per_step",
        ):
            if not 1 <= getattr(self, name) <= 65536:
                raise ConfigError(f"`{name}` must be positive and of a sane size, got {getattr(self, name)}.")
        if unknown := set(self.temperature) - set(self.parts):
            raise ConfigError(f"`temperature` names {sorted(unknown)}, which are no parts.")
        if any(value < 0 for value in self.temperature.values()) or not 0 < self.nucleus <= 1 or self.speech < 0:
            raise ConfigError("`temperature` and `speech` must not be negative, `nucleus` between 0 and 1.")

    @property
    def channels(self) -> int:
        return len(self.parts) * self.code_dim

    @property
    def halo_frames(self) -> int:
        """Frames on either side that are heard when the speech of a step is encoded."""
        return self.audio.depth * (self.audio.kernel // 2)


class Told(NamedTuple):
    """What is said about a sequence whose codes are known: a training step."""

    logits: Tensor  # (B, S, P, Q, K)
    rest: Tensor  # (B, S, C) what the codes leave over of the latents


class Talker(nn.Module):
    def __init__(self, config: TalkerConfig):
        super().__init__()
        self.config = config
        width, code_dim = config.width, config.code_dim
        num_choices = len(config.parts) * config.num_stages
        self.audio = FrameEncoder(config.audio, config.frames_per_step)
        self.embed_audio = nn.Linear(config.audio.width, width)
        self.embed_past = nn.Linear(config.channels, width)
        self.stack = MambaStack(width, config.mlp_width, config.depth, num_states=config.num_states)
        self.choose = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.num_codes)) for _ in range(num_choices)
        )
        self.tell = nn.ModuleList(nn.Linear(code_dim, width) for _ in range(num_choices))  # what was chosen
        self.rest = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, code_dim))
            for _ in config.parts
        )

    def forward(self, features: Tensor, has_audio: Tensor, before: Tensor, chosen: Tensor) -> Told:
        """
        Args:
            features: (B, T, F) speech at the motion's frame rate.
            has_audio: (B,) bool; False where the speech is not to be heard.
            before: (B, C) vectors of the codes before the first step.
            chosen: (B, S, P, Q, D) vectors of the codes of every step.
        """
        vectors = chosen.sum(dim=3).flatten(2)  # (B, S, C)
        past = torch.cat([before[:, None], vectors[:, :-1]], dim=1)
        h = self.stack(self.embed_audio(self.audio(features, has_audio)) + self.embed_past(past))
        logits, rest = [], []
        for p, of_rest in enumerate(self.rest):
            for q in range(self.config.num_stages):
                i = p * self.config.num_stages + q
                logits.append(self.choose[i](h))
                h = h + self.tell[i](chosen[:, :, p, q])
            rest.append(of_rest(h))
        shape = (len(self.config.parts), self.config.num_stages)
        return Told(torch.stack(logits, dim=2).unflatten(2, shape), torch.cat(rest, dim=-1))

    def hear(self, features: Tensor) -> Tensor:
        """(1, T, F) speech -> (2, S, W): heard, and not heard."""
        has_audio = torch.tensor([True, False], device=features.device)
        return self.embed_audio(self.audio(features.expand(2, -1, -1), has_audio))

    def step(
        self,
        heard: Tensor,
        past: Tensor,
        codebooks: Sequence[Tensor],
        noise: Tensor,
        states: Sequence[MambaState] | None = None,
    ) -> tuple[Tensor, Tensor, list[MambaState]]:
        """Choose the codes of one step.

        Args:
            heard: (2, 1, W) from `hear`.
            past: (C,) vectors of the codes of the step before.
            codebooks: Of every part (Q, K, D), those of its tokenizer.
            noise: (P, Q, K) standard Gumbel numbers.
            states: From the step before.

        Returns:
            (C,) latents, (C,) vectors of the codes, states.
        """
        h, after = self.stack.piece(heard + self.embed_past(past), states)  # (2, 1, W)
        latents, vectors = [], []
        for p, part in enumerate(self.config.parts):
            total = past.new_zeros(self.config.code_dim)
            for q in range(self.config.num_stages):
                i = p * self.config.num_stages + q
                with_speech, without = self.choose[i](h)[:, 0]
                logits = without + self.config.speech * (with_speech - without)
                vector = codebooks[p][q, self._draw(logits, noise[p, q], self.config.temperature.get(part, 1.0))]
                h, total = h + self.tell[i](vector), total + vector
            latents.append(total + self.rest[p](h)[0, 0])
            vectors.append(total)
        return torch.cat(latents), torch.cat(vectors), after

    def _draw(self, logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
        """(K,) -> () the number of a code."""
        if temperature == 0:
            return logits.argmax()
        logits = logits / temperature
        likely, order = logits.softmax(dim=-1).sort(descending=True)
        beyond = likely.cumsum(dim=-1) - likely >= self.config.nucleus  # the first one never is
        return (logits + noise).index_fill(0, order[beyond], -torch.inf).argmax()


def losses(told: Told, codes: Tensor, latents: Tensor, vectors: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Terms of the loss of a training step, means over what is known.

    Args:
        codes: (B, S, P, Q) int64.
        latents: (B, S, C).
        vectors: (B, S, C) of the codes.
        known: (B, P) 0 or 1.
    """
    of_code = F.cross_entropy(told.logits.flatten(0, 3), codes.flatten(), reduction="none").view_as(codes)
    share = known[:, None, :, None].expand_as(of_code)
    missed = (told.rest - (latents - vectors)).square().unflatten(-1, (known.shape[1], -1)).mean(dim=-1)  # (B, S, P)
    return {
        "codes": (of_code * share).sum() / share.sum(),
        "rest": (missed * known[:, None]).sum() / known[:, None].expand_as(missed).sum(),
    }
