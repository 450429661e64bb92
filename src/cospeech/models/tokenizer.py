"""RVQ-VAE: the motion of one body part <-> a short sequence of latents and codes.

[1] Zhang et al. 2023, T2M-GPT, arXiv:2301.06052 (the convolutional encoder and decoder)
[2] Guo et al. 2024, MoMask, arXiv:2312.00063 (residual codes of motion)
[3] Chen et al. 2024, SynTalker, arXiv:2410.00464 (one tokenizer per body part)

Axes: B clips, T frames, C features per frame, S latent steps, D code width, Q stages.
A latent here is continuous, what the encoder gives; `decode` snaps latents to codes before it decodes them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.errors import ConfigError
from cospeech.nn import published
from cospeech.nn.quantize import QuantizerConfig, ResidualQuantizer


@dataclass(frozen=True)
class TokenizerConfig:
    channels: int  # C, features per frame of one body part
    width: int = 512  # channels of the hidden convolutions
    downsamplings: int = 2  # stride-2 stages
    depth: int = 3  # residual blocks per stage
    dilation_growth: int = 3  # dilations are its powers, the largest first
    dropout: float = 0.2  # inside residual blocks
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)

    def __post_init__(self) -> None:
        for name in ("channels", "width", "downsamplings", "depth", "dilation_growth"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be positive, got {getattr(self, name)}.")

    @property
    def frames_per_step(self) -> int:
        return 2**self.downsamplings

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(self.dilation_growth**i for i in reversed(range(self.depth)))

    @property
    def halo_steps(self) -> int:
        """Latent steps on either side that the decoder sees when it makes the frames of one step."""
        frames, reach = self.frames_per_step, self.frames_per_step  # in frames; the first convolution sees one step
        for _ in range(self.downsamplings):
            reach += frames * sum(self.dilations)  # the residual blocks of a stage,
            frames //= 2
            reach += frames  # and the convolution after its upsampling
        reach += 2 * frames
        return math.ceil(reach / self.frames_per_step)


_PUBLISHED_QUANTIZER = QuantizerConfig(replace_with="first", straight_through="per_stage")
# Released with [3]; S follows speech alone (rotations), T reads text as well (HumanML3D features of 52 joints).
S_UPPER = TokenizerConfig(channels=78, quantizer=_PUBLISHED_QUANTIZER)
S_HANDS = TokenizerConfig(channels=180, quantizer=_PUBLISHED_QUANTIZER)
S_LOWER = TokenizerConfig(channels=54, quantizer=_PUBLISHED_QUANTIZER)
S_LOWER_TRANS = TokenizerConfig(channels=57, quantizer=_PUBLISHED_QUANTIZER)
T_UPPER = TokenizerConfig(channels=156, quantizer=_PUBLISHED_QUANTIZER)
T_HANDS = TokenizerConfig(channels=360, quantizer=_PUBLISHED_QUANTIZER)
T_LOWER = TokenizerConfig(channels=107, quantizer=_PUBLISHED_QUANTIZER)


class Reconstruction(NamedTuple):
    motion: Tensor  # (B, T, C)
    codes: Tensor  # (B, S, Q) int64, -1 where training skipped the stage
    loss: Tensor  # () commitment
    perplexity: Tensor  # () codes in use, 1 to K


class Tokenizer(nn.Module):
    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = ResidualQuantizer(config.quantizer)
        self.decoder = Decoder(config)

    def forward(self, motion: Tensor) -> Reconstruction:
        """Encode, quantize and decode (B, T, C), T a multiple of `frames_per_step`: a training step."""
        quantized = self.quantizer(self.encode(motion))
        return Reconstruction(self.decoder(quantized.latents), quantized.codes, quantized.loss, quantized.perplexity)

    def encode(self, motion: Tensor) -> Tensor:
        """(B, T, C) -> (B, S, D) continuous latents, not snapped to codes; frames beyond S steps are left out."""
        return self.encoder(motion)

    def encode_codes(self, motion: Tensor) -> Tensor:
        """(B, T, C) -> (B, S, Q) the nearest code of every stage."""
        return self.quantizer.encode(self.encode(motion))

    def decode_codes(self, codes: Tensor) -> Tensor:
        """(B, S, Q) -> (B, T, C)."""
        return self.decoder(self.quantizer.decode(codes))

    def decode(self, latents: Tensor, snap: bool = True) -> Tensor:
        """(B, S, D) continuous latents -> (B, T, C): snapped to the nearest codes first, as in [3], or as they are."""
        return self.decode_codes(self.quantizer.encode(latents)) if snap else self.decoder(latents)

    def decode_long(self, latents: Tensor, snap: bool = True, chunk_steps: int = 256) -> Tensor:
        """`decode` for sequences of any length: the same frames, memory for `chunk_steps` only besides the result."""
        halo, frames = self.config.halo_steps, self.config.frames_per_step
        length = latents.shape[1]
        chunks = []
        for start in range(0, length, chunk_steps):
            end, left = min(start + chunk_steps, length), max(start - halo, 0)
            motion = self.decode(latents[:, left : end + halo], snap)
            chunks.append(motion[:, (start - left) * frames : (end - left) * frames])
        return torch.cat(chunks, dim=1) if chunks else latents.new_zeros(latents.shape[0], 0, self.config.channels)


class Encoder(nn.Module):
    def __init__(self, config: TokenizerConfig):
        super().__init__()
        width = config.width
        self.first = nn.Conv1d(config.channels, width, 3, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv1d(width, width, 4, stride=2, padding=1), _residual_blocks(config))
            for _ in range(config.downsamplings)
        )
        self.last = nn.Conv1d(width, config.quantizer.code_dim, 3, padding=1)

    def forward(self, motion: Tensor) -> Tensor:  # (B, T, C) -> (B, S, D)
        h = F.relu(self.first(motion.mT))  # (B, width, T)
        for stage in self.stages:
            h = stage(h)  # halves T
        return self.last(h).mT


class Decoder(nn.Module):
    def __init__(self, config: TokenizerConfig):
        super().__init__()
        width = config.width
        self.first = nn.Conv1d(config.quantizer.code_dim, width, 3, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(_residual_blocks(config), nn.Upsample(scale_factor=2), nn.Conv1d(width, width, 3, padding=1))
            for _ in range(config.downsamplings)
        )
        self.middle = nn.Conv1d(width, width, 3, padding=1)
        self.last = nn.Conv1d(width, config.channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:  # (B, S, D) -> (B, T, C)
        h = F.relu(self.first(latents.mT))  # (B, width, S)
        for stage in self.stages:
            h = stage(h)  # doubles S
        return self.last(F.relu(self.middle(h))).mT


class ResidualBlock(nn.Module):
    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.dilated = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # (B, width, T)
        return x + self.dropout(self.mix(F.relu(self.dilated(F.relu(x)))))


def _residual_blocks(config: TokenizerConfig) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(config.width, dilation, config.dropout) for dilation in config.dilations))


def rename_published(state: Mapping[str, object], config: TokenizerConfig) -> dict[str, Tensor]:
    """Tensors of a released `net_*.pth` under our names, for `Tokenizer(config).load_state_dict`.

    Raises:
        CheckpointError: naming each tensor that is missing, unknown or of another shape.
    """
    names, model, codebooks = _published(config)
    renamed = published.rename(state, names, model, codebooks)
    tensors = published.unwrap(state)
    renamed["quantizer.codebooks"] = torch.stack([tensors[key] for key in codebooks])
    return renamed


def published_shapes(config: TokenizerConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released `net_*.pth`."""
    return published.shapes(*_published(config))


def _published(config: TokenizerConfig) -> tuple[dict[str, str], nn.Module, dict[str, tuple[int, ...]]]:
    """Published name -> our name; our network, without memory; published name -> shape of the codebooks."""
    quantizer = config.quantizer
    codebooks = {f"quantizer.layers.{q}.codebook": (quantizer.num_codes, quantizer.code_dim)
                 for q in range(quantizer.num_stages)}  # fmt: skip
    return _published_names(config), published.meta(lambda: Tokenizer(config)), codebooks


def _published_names(config: TokenizerConfig) -> dict[str, str]:
    last = config.downsamplings + 2
    layers = {"encoder.model.0": "encoder.first", f"encoder.model.{last}": "encoder.last"}
    layers |= {"decoder.model.0": "decoder.first", f"decoder.model.{last}": "decoder.middle"}
    layers[f"decoder.model.{last + 2}"] = "decoder.last"
    for i in range(config.downsamplings):
        layers[f"encoder.model.{i + 2}.0"] = f"encoder.stages.{i}.0"
        layers[f"decoder.model.{i + 2}.2"] = f"decoder.stages.{i}.2"
        for j in range(config.depth):
            for theirs, ours in (("conv1", "dilated"), ("conv2", "mix")):
                layers[f"encoder.model.{i + 2}.1.model.{j}.{theirs}"] = f"encoder.stages.{i}.1.{j}.{ours}"
                layers[f"decoder.model.{i + 2}.0.model.{j}.{theirs}"] = f"decoder.stages.{i}.0.{j}.{ours}"
    return {f"{their}.{kind}": f"{our}.{kind}" for their, our in layers.items() for kind in ("weight", "bias")}
