"""SynTalker's denoiser: latents of all body parts, denoised under speech, the last latents before, and a style.

[1] Chen et al. 2024, SynTalker, arXiv:2410.00464
[2] Tevet et al. 2022, MDM, arXiv:2209.14916 (the network predicts the clean sample)

Axes: B clips, S latent steps, C latent channels of all parts, P seed steps, T = 4 S frames, N samples, W width,
A width of the speech encoding.

What does not depend on the diffusion step (speech, seed, style) enters once per window through `condition`; `forward`
then costs the transformer only. The published network multiplies one matrix with a concatenation of inputs; here the
same matrix is kept and its column blocks are applied where their input is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.errors import CheckpointError, ConfigError
from cospeech.nn import published
from cospeech.nn.layers import (
    FrozenTransformerBlock,
    TransformerBlock,
    WaveformBlock,
    rotary_table,
    rotate,
    sinusoids,
    waveform_block_names,
)
from cospeech.nn.packed import PackedLinear


@dataclass(frozen=True)
class WaveformEncoderConfig:
    """Strided convolutions over samples: 128 vectors for 68 224 to 68 266 samples, as published."""

    channels: int = 2  # amplitude and onsets at 16 kHz
    width: int = 256  # A; the first blocks have a quarter and a half of it
    kind: Literal["waveform"] = "waveform"


@dataclass(frozen=True)
class FrameEncoderConfig:
    """Convolutions over speech features that already come at the motion's frame rate, the last with a stride."""

    channels: int = 68  # features per frame
    width: int = 256  # A
    depth: int = 3
    kernel: int = 5
    kind: Literal["frames"] = "frames"


@dataclass(frozen=True)
class WordsConfig:
    num_words: int = 11195  # rows of the table; row 0 means silence
    embedding_dim: int = 300
    width: int = 256


@dataclass(frozen=True)
class DenoiserConfig:
    parts: tuple[str, ...]  # body parts in the order of their channels
    audio: WaveformEncoderConfig | FrameEncoderConfig
    words: WordsConfig | None = None
    style_dim: int | None = None  # width of a text or style vector; None: the network has no such input
    code_dim: int = 512  # latent channels of one part
    latent_scale: float = 5.0  # tokenizer latents are divided by it to have about unit variance
    speech_width: int = 256  # of audio and words together
    width: int = 512  # W
    depth: int = 8
    heads: int = 4
    mlp_width: int = 1024
    rotary_groups: int = 8
    drop_path: float = 0.1
    num_timesteps: int = 1000
    window_steps: int = 32  # S
    seed_steps: int = 4  # P
    frames_per_step: int = 4

    def __post_init__(self) -> None:
        if not self.parts or len(set(self.parts)) != len(self.parts):
            raise ConfigError(f"`parts` must name each body part once, got {list(self.parts)}.")
        for name in ("code_dim", "speech_width", "width", "depth", "heads", "mlp_width", "rotary_groups"):
            if not 1 <= getattr(self, name) <= 65536:
                raise ConfigError(f"`{name}` must be positive and of a sane size, got {getattr(self, name)}.")
        if not 1 <= self.num_timesteps <= 100_000 or self.frames_per_step < 1 or not self.latent_scale > 0:
            raise ConfigError("`num_timesteps`, `frames_per_step` and `latent_scale` must be positive.")
        if self.width % self.heads:
            raise ConfigError(f"`width` {self.width} is not a multiple of `heads` {self.heads}.")
        if self.width % (2 * self.rotary_groups):
            raise ConfigError(f"`width` {self.width} is not a multiple of twice `rotary_groups` {self.rotary_groups}.")
        if not 0 < self.seed_steps < self.window_steps:
            raise ConfigError(f"`seed_steps` must lie between 0 and `window_steps`, got {self.seed_steps}.")

    @property
    def channels(self) -> int:
        return len(self.parts) * self.code_dim

    @property
    def window_frames(self) -> int:
        return self.window_steps * self.frames_per_step

    @property
    def hop_frames(self) -> int:
        """From the beginning of a window to that of the next."""
        return self.window_frames - self.seed_frames

    @property
    def seed_frames(self) -> int:
        return self.seed_steps * self.frames_per_step


_PARTS = ("upper", "hands", "lower")
# Released with [1]. S follows speech alone, T reads text as well.
SYSTEM_S = DenoiserConfig(parts=_PARTS, audio=WaveformEncoderConfig(), words=WordsConfig())
SYSTEM_T = replace(SYSTEM_S, style_dim=256, latent_scale=10.0)


class Conditions(NamedTuple):
    """What a window is denoised under. Rows of several may be concatenated and denoised as one batch."""

    context: Tensor  # (B, S, W) added to what the latents and the diffusion step bring


class Denoiser(nn.Module):
    timestep_table: Tensor  # (num_timesteps, W)
    rotary_cos: Tensor  # (S, W / rotary_groups / 2)
    rotary_sin: Tensor

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.speech_encoder = SpeechEncoder(config)
        self.embed_seed = nn.Linear(config.seed_steps * config.channels, width)
        self.embed_timestep = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_latents = nn.Linear(config.channels, width)
        self.join = nn.Linear(width + width + config.speech_width, width)  # of seed + timestep, latents, speech
        if config.style_dim is not None:
            self.join_style = nn.Linear(width + config.style_dim, width)
            self.no_style = nn.Parameter(torch.zeros(config.style_dim))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, config.mlp_width, config.drop_path) for _ in range(config.depth)
        )
        self.out = nn.Linear(width, config.channels)
        cos, sin = rotary_table(config.window_steps, width // config.rotary_groups)
        self.register_buffer("timestep_table", sinusoids(config.num_timesteps, width), persistent=False)
        self.register_buffer("rotary_cos", cos, persistent=False)
        self.register_buffer("rotary_sin", sin, persistent=False)

    def forward(self, x_t: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        """Predict the clean latents.

        Args:
            x_t: (B, S, C) noisy latents, divided by `latent_scale`.
            t: (B,) int64 original timesteps, 0 to 999.
            conditions: From `condition`, B or 1 rows.

        Returns:
            (B, S, C) the clean latents, divided by `latent_scale`.
        """
        of_step, of_latents, _ = self._join_blocks()
        timestep = self.embed_timestep(self.timestep_table[t])  # (B, W)
        h = F.linear(self.embed_latents(x_t), of_latents) + F.linear(timestep, of_step)[:, None]  # (B, S, W)
        if self.config.style_dim is not None:
            h = F.linear(h, self.join_style.weight[:, : self.config.width])
        h = h + conditions.context
        # On the hidden sequence, once, instead of on queries and keys: the network was published so.
        h = rotate(h, self.rotary_cos[: h.shape[1]], self.rotary_sin[: h.shape[1]])
        for block in self.blocks:
            h = block(h)
        return self.out(h)

    def condition(
        self,
        audio: Tensor,
        words: Tensor | None,
        seed: Tensor,
        style: Tensor | None = None,
        has_audio: Tensor | None = None,
        has_style: Tensor | None = None,
    ) -> Conditions:
        """Everything that stays the same over the diffusion steps of one window.

        Args:
            audio, words, has_audio: See `encode_speech`.
            seed, style, has_style: See `combine`.
        """
        return self.combine(self.encode_speech(audio, words, has_audio), seed, style, has_style)

    def encode_speech(self, audio: Tensor, words: Tensor | None = None, has_audio: Tensor | None = None) -> Tensor:
        """Encode a window of speech; it may serve several seeds and styles.

        Args:
            audio: (B, N, 2) samples or (B, T, F) features per frame, as `config.audio` says.
            words: (B, T) int64 rows of the word table; None where the network reads no words.
            has_audio: (B,) bool; False for a clip without speech, whose `audio` and `words` are not read.

        Returns:
            (B, S, A).
        """
        return self.speech_encoder(audio, words, has_audio)

    def combine(
        self, speech: Tensor, seed: Tensor, style: Tensor | None = None, has_style: Tensor | None = None
    ) -> Conditions:
        """Join encoded speech with the other conditions.

        Args:
            speech: (B, S, A) from `encode_speech`.
            seed: (B, P, C) the last latents before the window, divided by `latent_scale`.
            style: (B, style_dim) text or style vectors; None: no style.
            has_style: (B,) bool; False for a clip whose `style` is not read.
        """
        of_step, _, of_speech = self._join_blocks()
        seed = F.linear(self.embed_seed(seed.flatten(1)), of_step)  # (B, W)
        context = F.linear(speech, of_speech, self.join.bias) + seed[:, None]  # (B, S, W)
        if self.config.style_dim is None:
            return Conditions(context)
        of_hidden, of_style = self.join_style.weight.split([self.config.width, self.config.style_dim], dim=1)
        no_style = self.no_style.expand(len(context), -1)
        style = no_style if style is None else style
        if has_style is not None:
            style = torch.where(has_style[:, None], style, no_style)
        style = F.linear(style, of_style, self.join_style.bias)
        return Conditions(F.linear(context, of_hidden) + style[:, None])

    def _join_blocks(self) -> tuple[Tensor, Tensor, Tensor]:
        """Columns of `join` for seed and timestep, for the latents, and for the speech."""
        width = self.config.width
        of_step, of_latents, of_speech = self.join.weight.split([width, width, self.config.speech_width], dim=1)
        return of_step, of_latents, of_speech


class FrozenDenoiser(nn.Module):
    """`Denoiser.forward` for generating: matrices that follow each other are one, and all are packed for the processor.

    The conditions still come from the `Denoiser` that it was made of.
    """

    @torch.inference_mode()
    def __init__(self, denoiser: Denoiser, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.dtype = dtype
        of_step, of_latents, _ = denoiser._join_blocks()
        if denoiser.config.style_dim is not None:
            of_hidden = denoiser.join_style.weight[:, : denoiser.config.width]
            of_step, of_latents = of_hidden @ of_step, of_hidden @ of_latents
        embed = denoiser.embed_latents
        self.latents = PackedLinear(of_latents @ embed.weight, of_latents @ embed.bias, dtype)
        steps = denoiser.embed_timestep(denoiser.timestep_table)
        self.timesteps = F.linear(steps, of_step)  # (num_timesteps, W)
        self.rotary_cos, self.rotary_sin = denoiser.rotary_cos, denoiser.rotary_sin
        self.blocks = nn.ModuleList(FrozenTransformerBlock(block, dtype) for block in denoiser.blocks)
        self.out = PackedLinear(denoiser.out.weight, denoiser.out.bias, dtype)

    def forward(self, x_t: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        """See `Denoiser.forward`. Everything is float32 outside."""
        h = self.latents(x_t.to(self.dtype)) + (self.timesteps[t][:, None] + conditions.context)
        h = rotate(h, self.rotary_cos[: h.shape[1]], self.rotary_sin[: h.shape[1]])
        for block in self.blocks:
            h = block(h)
        return self.out(h.to(self.dtype)).float()


class SpeechEncoder(nn.Module):
    """Sound and words -> one vector per latent step."""

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        self.frames_per_step = config.frames_per_step
        if isinstance(config.audio, WaveformEncoderConfig):
            self.audio: WaveformEncoder | FrameEncoder = WaveformEncoder(config.audio)
        else:
            self.audio = FrameEncoder(config.audio, config.frames_per_step)
        self.word_table: nn.Embedding | None = None
        fused = config.audio.width
        if config.words is not None:
            self.word_table = nn.Embedding(config.words.num_words, config.words.embedding_dim)
            self.embed_words = nn.Linear(config.words.embedding_dim, config.words.width)
            fused += config.words.width
        self.fuse = nn.Linear(fused, config.speech_width)

    def forward(self, audio: Tensor, words: Tensor | None, has_audio: Tensor | None) -> Tensor:
        fused = self.audio(audio, has_audio)
        if isinstance(self.audio, WaveformEncoder):
            # Averaged here: all that follows is linear, so the result is the published one at a quarter's cost.
            fused = self._per_step(fused)  # (B, S, A)
        if self.word_table is not None:
            if words is None:
                raise ValueError("This network reads words: `words` (B, T) is needed.")
            if has_audio is not None:
                words = words * has_audio[:, None]  # row 0 means silence
            fused = torch.cat([fused, self.embed_words(self._per_step(self.word_table(words)))], dim=-1)
        return self.fuse(fused)

    def _per_step(self, frames: Tensor) -> Tensor:
        return frames.unflatten(1, (-1, self.frames_per_step)).mean(dim=2)  # (B, T, A) -> (B, S, A)


class WaveformEncoder(nn.Module):
    STRIDES = (5, 6, 1, 6, 1, 3)
    PADDINGS = (1700, 0, 7, 0, 7, 0)  # the first makes 128 vectors of 68 224 samples

    def __init__(self, config: WaveformEncoderConfig):
        super().__init__()
        quarter, half = config.width // 4, config.width // 2
        widths = (config.channels, quarter, quarter, quarter, half, half, config.width)
        self.blocks = nn.Sequential(
            *(WaveformBlock(*args) for args in zip(widths[:-1], widths[1:], self.STRIDES, self.PADDINGS, strict=True))
        )

    def forward(self, samples: Tensor, has_audio: Tensor | None = None) -> Tensor:  # (B, N, 2) -> (B, T, A)
        if has_audio is not None:
            samples = torch.where(has_audio[:, None, None], samples, 0.0)  # no speech is silence, as published
        return self.blocks(samples.mT).mT


class FrameEncoder(nn.Module):
    def __init__(self, config: FrameEncoderConfig, frames_per_step: int):
        super().__init__()
        self.first = nn.Conv1d(config.channels, config.width, config.kernel, padding="same")
        self.rest = nn.ModuleList(
            nn.Conv1d(config.width, config.width, config.kernel, padding="same") for _ in range(config.depth - 1)
        )
        # Where within a step something is heard matters: a mean over the step would lose it.
        self.last = nn.Conv1d(config.width, config.width, frames_per_step, stride=frames_per_step)
        self.no_audio = nn.Parameter(torch.zeros(config.width))

    def forward(self, features: Tensor, has_audio: Tensor | None = None) -> Tensor:  # (B, T, F) -> (B, S, A)
        h = F.gelu(self.first(features.mT))  # (B, A, T)
        for convolution in self.rest:
            h = h + F.gelu(convolution(h))
        h = self.last(h).mT
        return h if has_audio is None else torch.where(has_audio[:, None, None], h, self.no_audio)


def rename_published(state: Mapping[str, object], config: DenoiserConfig) -> dict[str, Tensor]:
    """Tensors of a released `last_*.bin` under our names, for `Denoiser(config).load_state_dict`.

    Raises:
        CheckpointError: naming each tensor that is missing, unknown or of another shape.
    """
    renamed = published.rename(state, *_published(config))
    if config.style_dim is not None:
        renamed["no_style"] = published.unwrap(state)[_NO_STYLE][0]
    return renamed


def published_shapes(config: DenoiserConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released `last_*.bin`, without `module.`."""
    return published.shapes(*_published(config))


_NO_STYLE = "uncon_text_embeddings"  # one row of a table here, a vector there


def _published(config: DenoiserConfig) -> tuple[dict[str, str], nn.Module, dict[str, tuple[int, ...]]]:
    """Published name -> our name; our network without memory; published name -> shape of what is not taken as it is."""
    model = published.meta(lambda: Denoiser(config))
    audio = model.speech_encoder.audio
    if config.words is None or not isinstance(audio, WaveformEncoder):
        raise CheckpointError("Released SynTalker weights read samples and words; the config has another input.")
    table, group = (5000, 1, config.width), config.width // config.rotary_groups
    others: dict[str, tuple[int, ...]] = {
        # Never read: position tables are computed here; the others belong to inputs that the network dropped.
        "sequence_pos_encoder.pe": table,
        "embed_timestep.sequence_pos_encoder.pe": table,
        "rel_pos.inv_freq": (group // 2,),
        "embed_style.weight": (64, 6),
        "embed_style.bias": (64,),
    }
    layers = {
        "text_encoder_body": "speech_encoder.embed_words",
        "mix_audio_text": "speech_encoder.fuse",
        "embed_text": "embed_seed",
        "embed_timestep.time_embed.0": "embed_timestep.0",
        "embed_timestep.time_embed.2": "embed_timestep.2",
        "input_process.poseEmbedding": "embed_latents",
        "input_process2": "join",
        "output_process.poseFinal": "out",
    }
    names = {"text_pre_encoder_body.weight": "speech_encoder.word_table.weight"}
    if config.style_dim is not None:
        layers["input_process3"] = "join_style"
        others |= {"uncon_audio_embeddings": (1, config.audio.width), _NO_STYLE: (1, config.style_dim)}
    for i in range(config.depth):
        theirs, ours = f"mytimmblocks.{i}", f"blocks.{i}"
        layers |= {f"{theirs}.norm1": f"{ours}.attention_norm", f"{theirs}.norm2": f"{ours}.mlp_norm"}
        layers |= {f"{theirs}.mlp.fc1": f"{ours}.mlp.0", f"{theirs}.mlp.fc2": f"{ours}.mlp.2"}
        layers[f"{theirs}.attn.proj"] = f"{ours}.attention.out"
        names[f"{theirs}.attn.qkv.weight"] = f"{ours}.attention.qkv.weight"
    names |= {f"{their}.{kind}": f"{our}.{kind}" for their, our in layers.items() for kind in ("weight", "bias")}
    for i, block in enumerate(audio.blocks):
        names |= waveform_block_names(f"WavEncoder.feat_extractor.{i}", f"speech_encoder.audio.blocks.{i}", block)
    return names, model, others
