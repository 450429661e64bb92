"""MambaTalk: the motion of each body part as one code a frame, and a network of state spaces that chooses the codes.

[1] Xu et al. 2024, MambaTalk, arXiv:2403.09471
[2] Liu et al. 2024, EMAGE, arXiv:2401.00374: the autoencoders, the encoder of samples, hiding motion behind a mask
[3] van den Oord et al. 2017, VQ-VAE, arXiv:1711.00937

Axes: B clips, T frames of a window, C channels of motion, D width of a code, K codes, N samples, W width of the
network, A width of what is heard.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.errors import ConfigError
from cospeech.nn import published
from cospeech.nn.convolution import FrozenWaveformBlock
from cospeech.nn.layers import SLOPE, FrameBlock, PostNormBlock, WaveformBlock, frame_convolution, sinusoids
from cospeech.nn.packed import pack
from cospeech.nn.quantize import Codebook, Coded
from cospeech.nn.ssm import Mamba, MambaState

BODY = ("upper", "hands", "lower")
PARTS = ("face", *BODY)
TRANSLATION = "translation"  # whose autoencoder makes steps in x and z, and the height, of what the legs do
MOTION_CHANNELS = 337


@dataclass(frozen=True)
class AutoencoderConfig:
    channels: int  # C of one body part
    width: int = 256  # of hidden convolutions and codes, D
    depth: int = 2  # stages of encoder and decoder
    num_codes: int | None = 256  # K; None: what the encoder gives goes into the decoder as it is

    def __post_init__(self) -> None:
        for name in ("channels", "width", "depth", "num_codes"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= 65536:
                raise ConfigError(f"`{name}` must be positive and of a sane size, got {value}.")

    @property
    def halo(self) -> int:
        """Frames on either side of one frame that the decoder sees when it makes it."""
        return 4 + self.depth + 1  # two residual blocks, the stages, the last convolution


AUTOENCODERS = {
    "face": AutoencoderConfig(106),
    "upper": AutoencoderConfig(78),
    "hands": AutoencoderConfig(180),
    "lower": AutoencoderConfig(61, depth=4),
    TRANSLATION: AutoencoderConfig(61, depth=4, num_codes=None),
}  # released with [1]


class Autoencoder(nn.Module):
    """One code for each frame, of a window in time around it."""

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        self.encoder = MotionEncoder(config.channels, config.width, config.depth)
        self.codebook = None if config.num_codes is None else Codebook(config.num_codes, config.width)
        self.decoder = MotionDecoder(config)

    def forward(self, motion: Tensor) -> tuple[Tensor, Coded | None]:
        """Encode, quantize and decode (B, T, C): a training step."""
        latents = self.encoder(motion)
        coded = None if self.codebook is None else self.codebook(latents)
        return self.decoder(latents if coded is None else coded.latents), coded

    def encode(self, motion: Tensor) -> Tensor:
        """(B, T, C) -> (B, T) the nearest codes."""
        return self.codebook.nearest(self.encoder(motion))

    def decode(self, codes: Tensor) -> Tensor:
        """(B, T) -> (B, T, C)."""
        return self.decoder(self.codebook.vectors[codes])

    def decode_long(self, codes: Tensor, chunk: int = 1024) -> Tensor:
        """`decode` for sequences of any length: the same frames, memory for `chunk` only besides the result."""
        return torch.cat([self._part(codes, start, chunk) for start in range(0, codes.shape[1], chunk)], dim=1)

    def _part(self, codes: Tensor, start: int, count: int) -> Tensor:
        left = max(start - self.config.halo, 0)
        motion = self.decode(codes[:, left : start + count + self.config.halo])
        return motion[:, start - left : start - left + count]

    def translate_long(self, motion: Tensor, chunk: int = 1024) -> Tensor:
        """Encode and decode (B, T, C) without codes, of any length, as `decode_long` does."""
        halo, pieces = 3 * self.config.depth + self.config.halo, []
        for start in range(0, motion.shape[1], chunk):
            left = max(start - halo, 0)
            piece = self.decoder(self.encoder(motion[:, left : start + chunk + halo]))
            pieces.append(piece[:, start - left : start - left + chunk])
        return torch.cat(pieces, dim=1)


class MotionEncoder(nn.Module):
    def __init__(self, channels: int, width: int, depth: int):
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(frame_convolution(width if i else channels, width), nn.LeakyReLU(SLOPE), FrameBlock(width))
            for i in range(depth)
        )

    def forward(self, motion: Tensor) -> Tensor:  # (B, T, C) -> (B, T, D)
        h = motion.mT
        for stage in self.stages:
            h = stage(h)
        return h.mT


class MotionDecoder(nn.Module):
    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        width, channels = config.width, config.channels
        self.blocks = nn.Sequential(FrameBlock(width), FrameBlock(width))
        self.stages = nn.ModuleList(
            frame_convolution(width, width if i < config.depth - 1 else channels) for i in range(config.depth)
        )
        self.last = frame_convolution(channels, channels)

    def forward(self, latents: Tensor) -> Tensor:  # (B, T, D) -> (B, T, C)
        h = self.blocks(latents.mT)
        for stage in self.stages:
            h = F.leaky_relu(stage(h), SLOPE)
        return self.last(h).mT


@dataclass(frozen=True)
class MambaTalkConfig:
    """The network that chooses codes. What it is named by is the published one."""

    num_words: int = 11195  # rows of the table
    word_dim: int = 300
    audio_channels: dict[str, int] = field(default_factory=lambda: {"face": 3, "body": 2})  # the first ones, each
    num_speakers: int = 25
    motion_channels: int = MOTION_CHANNELS  # 55 rotations of 6, translation, four contacts
    audio_width: int = 512  # A
    motion_width: int = 256
    width: int = 768  # W
    heads: int = 4
    depth: int = 8  # of the attention between motion and what is heard
    face_depth: int = 4  # Mamba layers of the face
    code_dim: int = 256  # D
    num_codes: int = 256  # K; published networks have one width for both
    dropout: float = 0.1
    window_frames: int = 64  # T
    seed_frames: int = 4  # of which the motion is known
    kind: Literal["mambatalk"] = "mambatalk"

    def __post_init__(self) -> None:
        sizes = (
            "num_words",
            "word_dim",
            "num_speakers",
            "audio_width",
            "motion_width",
            "width",
            "code_dim",
            "num_codes",
        )
        for name in (*sizes, "heads", "depth", "face_depth"):
            if not 1 <= getattr(self, name) <= 1_000_000:
                raise ConfigError(f"`{name}` must be positive and of a sane size, got {getattr(self, name)}.")
        if set(self.audio_channels) != {"face", "body"} or not all(1 <= n <= 3 for n in self.audio_channels.values()):
            raise ConfigError(f"`audio_channels` must be 1 to 3 for face and body, got {self.audio_channels}.")
        if self.motion_channels != MOTION_CHANNELS or self.window_frames != 64:
            raise ConfigError(f"`motion_channels` must be {MOTION_CHANNELS}, `window_frames` 64: others are not built.")
        if self.width % self.heads or self.width % 8:
            raise ConfigError(f"`width` {self.width} must be a multiple of `heads` {self.heads} and of 8.")
        if not 0 < self.seed_frames < self.window_frames:
            raise ConfigError(f"`seed_frames` must lie between 0 and `window_frames`, got {self.seed_frames}.")

    @property
    def hop_frames(self) -> int:
        """From the beginning of a window to that of the next."""
        return self.window_frames - self.seed_frames


# Speakers of BEAT2 who share a row of the table with another; everybody else has that of their number, less one.
_SHARED = {30: 8, 28: 14, 27: 19}


def speaker_row(number: int, num_speakers: int) -> int:
    """Row of the table of a speaker of BEAT2."""
    row = _SHARED.get(number, number) - 1
    if not 0 <= row < num_speakers:
        raise ConfigError(f"`speaker` must be the number of a speaker of BEAT2, 1 to {num_speakers}, got {number}.")
    return row


class Heard(NamedTuple):
    """A window of speech, encoded: all that does not depend on the motion before it."""

    face: Tensor  # (B, T, A) scanned
    body: Tensor  # (B, depth, T, 2 W) what each block of the body attends to


class Chosen(NamedTuple):
    latents: dict[str, Tensor]  # part -> (B, T, D), what is said about its code's vector
    logits: dict[str, Tensor]  # part -> (B, T, K), and about its number


class MambaTalk(nn.Module):
    def __init__(self, config: MambaTalkConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.ears = nn.ModuleDict({of: Ear(config, channels) for of, channels in config.audio_channels.items()})
        self.speakers = nn.ModuleDict({of: nn.Embedding(config.num_speakers, width) for of in config.audio_channels})
        self.global_scan = GlobalScan(config)
        self.local_scan = LocalScan(config)
        self.classify = nn.ModuleDict({part: _mlp(config.code_dim, width, config.num_codes) for part in PARTS})

    def forward(self, audio: Tensor, words: Tensor, speaker: Tensor, motion: Tensor, hidden: Tensor) -> Chosen:
        """Choose the codes of a window.

        Args:
            audio: (B, N, 3) amplitude, characters heard, samples at 16 kHz; N is 34 112 or 34 133.
            words: (B, T) int64 rows of the word table.
            speaker: (B,) int64.
            motion: (B, T, C) 6-D rotations of all 55 joints, translation in metres, contact of both ankles and feet.
            hidden: (B, T, C) bool, True where `motion` is not to be read.
        """
        latents = self.move(self.hear(audio, words), speaker, motion, hidden)
        return Chosen(latents, {part: self.classify[part](latent) for part, latent in latents.items()})

    def hear(self, audio: Tensor, words: Tensor) -> Heard:
        """Several windows of speech may be heard at once. Arguments as of `forward`."""
        face, body = (self.ears[of](audio, words) for of in ("face", "body"))  # (B, T, A)
        return Heard(self.global_scan.face(face), self.local_scan.listen(body))

    def move(self, heard: Heard, speaker: Tensor, motion: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """Part -> (B, T, D) what is said about its code's vector. Arguments as of `forward`."""
        face, body = (self.speakers[of](speaker)[:, None] for of in ("face", "body"))  # (B, 1, W)
        around, features = self.global_scan(motion, hidden, body, heard.face)
        return self.local_scan(around, features, face, body, heard.body)


class Ear(nn.Module):
    """Sound and words -> what is heard; each channel takes as much of both as they say."""

    def __init__(self, config: MambaTalkConfig, channels: int):
        super().__init__()
        self.channels = channels
        self.audio = WaveformEncoder(channels, config.audio_width)
        self.word_table = nn.Embedding(config.num_words, config.word_dim)
        self.embed_words = nn.Linear(config.word_dim, config.audio_width)
        self.weigh = nn.Linear(2 * config.audio_width, 2 * config.audio_width)

    def forward(self, audio: Tensor, words: Tensor) -> Tensor:  # (B, N, 3), (B, T) -> (B, T, A)
        sound = self.audio(audio[..., : self.channels])
        words = self.embed_words(self.word_table(words))
        weights = self.weigh(torch.cat([words, sound], dim=-1)).unflatten(-1, (-1, 2)).softmax(dim=-1)
        return sound * weights[..., 0] + words * weights[..., 1]


class WaveformEncoder(nn.Module):
    """Strided convolutions over samples, whose results at three depths are joined."""

    STRIDES = (5, 6, 1, 6, 1, 3)
    PADDINGS = (1600, 0, 7, 0, 7, 0)  # the first makes 64 vectors of 34 112 samples

    def __init__(self, channels: int, width: int):
        super().__init__()
        quarter, half = width // 4, width // 2
        widths = (channels, quarter, quarter, quarter, half, half, width)
        self.blocks = nn.ModuleList(
            WaveformBlock(*sizes) for sizes in zip(widths, widths[1:], self.STRIDES, self.PADDINGS, strict=False)
        )
        self.early = nn.Sequential(WaveformBlock(quarter, half, 6, 0), WaveformBlock(half, width, 3, 0))
        self.late = WaveformBlock(half, width, 3, 0)
        self.out = nn.Linear(3 * width, width)

    def forward(self, samples: Tensor) -> Tensor:  # (B, N, channels) -> (B, T, A)
        after = [samples.mT]
        for block in self.blocks:
            after.append(block(after[-1]))
        return self.out(torch.cat([self.early(after[3]), self.late(after[5]), after[6]], dim=1).mT)


class GlobalScan(nn.Module):
    """The motion that is known and what is heard, over the whole window."""

    def __init__(self, config: MambaTalkConfig):
        super().__init__()
        width, motion_width, audio_width = config.width, config.motion_width, config.audio_width
        self.unknown = nn.Parameter(torch.zeros(1, 1, config.motion_channels))  # stands where motion is hidden
        self.motion_encoder = MotionEncoder(config.motion_channels, motion_width, depth=3)
        self.motion_mlp = _mlp(motion_width, width, motion_width)
        self.widen_motion = nn.Linear(motion_width, width)
        self.place = Place(config)
        self.speaker_block = PostNormBlock(width, config.heads, width, config.dropout)
        self.motion_block = PostNormBlock(width, config.heads, width, config.dropout)
        self.face = MambaStack(audio_width, 2 * audio_width, depth=1, width_out=audio_width)
        self.body = MambaStack(motion_width, width, depth=1, width_out=motion_width)
        self.out = nn.Linear(audio_width + motion_width, width)

    def forward(self, motion: Tensor, hidden: Tensor, speaker: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            motion, hidden: As of `MambaTalk`.
            speaker: (B, 1, W).
            face: (B, T, A) what it hears, scanned.

        Returns:
            (B, T, W) motion, and (B, T, W) motion with what is heard.
        """
        motion = self.motion_encoder(torch.where(hidden, self.unknown, motion))  # (B, T, motion_width)
        if self.training:  # what is dropped out is another in each frame
            speaker = speaker.expand(-1, motion.shape[1], -1)
        # Otherwise one frame is enough: a speaker who stays the same pays attention to nothing but themselves.
        around = self.speaker_block(speaker) + self.widen_motion(self.motion_mlp(motion))
        around = self.motion_block(self.place(around))
        return around, self.out(torch.cat([face, self.body(motion)], dim=-1))


class LocalScan(nn.Module):
    """Each part of the body on its own, the parts of the body next to what the others do."""

    def __init__(self, config: MambaTalkConfig):
        super().__init__()
        width = config.width
        self.place = Place(config)
        self.widen = nn.Linear(config.audio_width, width)
        self.attend = nn.ModuleList(
            PostNormBlock(width, config.heads, width, config.dropout, cross=True) for _ in range(config.depth)
        )
        self.latent = nn.ModuleDict({part: _mlp(width, width, width) for part in BODY})
        self.join = nn.ModuleDict({part: nn.Linear(2 * width, width) for part in PARTS})
        self.scan = nn.ModuleDict({"face": MambaStack(width, width, config.face_depth, width_out=width)})
        self.mix = nn.ModuleDict({part: PostNormBlock(width, 8, width, config.dropout) for part in BODY})
        self.scan.update({part: MambaStack(width, width, depth=1) for part in BODY})
        for part in BODY:
            _start_small(self.mix[part], depth=1)
        self.narrow = nn.ModuleDict({part: nn.Linear(width, config.code_dim) for part in PARTS})

    def listen(self, heard: Tensor) -> Tensor:
        """(B, T, A) heard by the body -> (B, depth, T, 2 W) what each block attends to."""
        heard = self.widen(heard)
        return torch.stack([block.remember(heard) for block in self.attend], dim=1)

    def forward(self, around: Tensor, features: Tensor, face: Tensor, body: Tensor, heard: Tensor) -> dict[str, Tensor]:
        """Part -> (B, T, D) latents.

        Args:
            around, features: (B, T, W) from `GlobalScan`.
            face, body: (B, 1, W) the speaker.
            heard: From `listen`.
        """
        found = self.place(around)
        for block, memory in zip(self.attend, heard.unbind(1), strict=True):
            found = block(found, memory)
        found = around + found
        of_part = {part: self.latent[part](found) for part in BODY}
        place = self.place(face.expand_as(features))
        states = {"face": self.scan["face"](self.join["face"](torch.cat([place, features], dim=-1)))}
        for part in BODY:
            others = sum(of_part[other] for other in BODY if other != part)
            joined = torch.cat([self.place(of_part[part] + body), others], dim=-1)
            states[part] = self.scan[part](self.mix[part](self.join[part](joined))) + of_part[part]
        return {part: self.narrow[part](state) for part, state in states.items()}


class MambaStack(nn.Module):
    """Layers of Mamba, each with a gated MLP, and a projection after them where they have another width outside."""

    def __init__(self, width: int, mlp_width: int, depth: int, width_out: int | None = None, num_states: int = 16):
        super().__init__()
        self.layers = nn.ModuleList(MambaBlock(width, mlp_width, num_states) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Identity() if width_out is None else nn.Linear(width, width_out)
        _start_small(self, depth)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, W)
        return self.piece(x)[0]

    def piece(self, x: Tensor, states: Sequence[MambaState | None] | None = None) -> tuple[Tensor, list[MambaState]]:
        """The same of a piece of a sequence, and the states to give with the piece that follows."""
        after = []
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            x, state = layer(x, state)
            after.append(state)
        return self.out(self.norm(x)), after


class MambaBlock(nn.Module):
    def __init__(self, width: int, mlp_width: int, num_states: int):
        super().__init__()
        inner = -(-mlp_width // 128) * 128
        self.mamba_norm, self.mamba = nn.LayerNorm(width), Mamba(width, num_states)
        self.mlp_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * inner, bias=False)  # value, gate
        self.narrow = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, state: MambaState | None) -> tuple[Tensor, MambaState]:
        scanned, state = self.mamba.piece(self.mamba_norm(x), state)
        x = x + scanned
        value, gate = self.widen(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.narrow(value * F.silu(gate)), state


@torch.no_grad()
def _start_small(module: nn.Module, depth: int) -> None:
    """What layers add to their input begins small, the more so the more layers there are; biases begin at zero.

    Source: the initialisation of Mamba's language models. The biases of step sizes keep their own.
    """
    for name, linear in module.named_modules():
        if not isinstance(linear, nn.Linear) or name.endswith("mamba.step"):
            continue
        if linear.bias is not None:
            linear.bias.zero_()
        in_stack = name.endswith(("mamba.narrow", "narrow")) and isinstance(module, MambaStack)
        if in_stack or (name == "out" and isinstance(module, PostNormBlock)):
            nn.init.kaiming_uniform_(linear.weight, a=5**0.5)
            linear.weight /= (2 * depth) ** 0.5


class Place(nn.Module):
    """Adds where in the window a frame is."""

    table: Tensor  # (T, W)

    def __init__(self, config: MambaTalkConfig):
        super().__init__()
        self.register_buffer("table", sinusoids(config.window_frames, config.width), persistent=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, W)
        return self.dropout(x + self.table[: x.shape[1]])


def _mlp(width_in: int, width: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width), nn.LeakyReLU(SLOPE), nn.Linear(width, width_out))


def freeze(network: MambaTalk, dtype: torch.dtype = torch.float32) -> None:
    """Make a network quick for generating on a processor: it gives the same, and can no longer learn or be saved.

    Args:
        dtype: bfloat16 does the products in it, but for the last ones before the choice of a code; what is added up,
            scanned and normalised stays in float32.
    """
    for last in (network.local_scan.narrow, network.classify):
        pack(last)
    for ear in network.ears.values():
        ear.audio.blocks = nn.ModuleList(FrozenWaveformBlock(block, dtype) for block in ear.audio.blocks)
        ear.audio.early = nn.Sequential(*(FrozenWaveformBlock(block, dtype) for block in ear.audio.early))
        ear.audio.late = FrozenWaveformBlock(ear.audio.late, dtype)
    pack(network, dtype)


# What our names are in the published files, one after another: patterns and what stands in their place.
_NETWORK_NAMES = (
    (r"^ears\.(\w+)\.word_table", r"text_pre_encoder_\1"),
    (r"^ears\.(\w+)\.embed_words", r"text_encoder_\1"),
    (r"^ears\.(\w+)\.weigh", r"at_attn_\1"),
    (r"^ears\.(\w+)\.audio\.blocks", r"audio_pre_encoder_\1.feat_extractor"),
    (r"^ears\.(\w+)\.audio\.early", r"audio_pre_encoder_\1.multi_scale.0"),
    (r"^ears\.(\w+)\.audio\.late", r"audio_pre_encoder_\1.multi_scale.1.0"),
    (r"^ears\.(\w+)\.audio\.out", r"audio_pre_encoder_\1.out"),
    (r"^speakers\.", "speaker_encoder_"),
    (r"\.unknown$", ".learnable_query"),
    (r"\.motion_mlp\.", ".motion_proj1.mlp."),
    (r"\.widen_motion\.", ".motion_proj2."),
    (r"\.speaker_block\.", ".body_q_self_attn.layers.0."),
    (r"\.motion_block\.", ".motion_self_encoder.layers.0."),
    (r"^global_scan\.(face|body)\.", r"global_scan.\1_scan."),
    (r"^local_scan\.widen\.", "local_scan.body_proj."),
    (r"\.attend\.(\d+)\.mlp_norm\.", r".motion_cross_attn.layers.\1.norm3."),
    (r"\.attend\.", ".motion_cross_attn.layers."),
    (r"\.latent\.(\w+)\.", r".motion2latent_\1.mlp."),
    (r"\.join\.(\w+)\.", r".\1_proj."),
    (r"\.mix\.(\w+)\.", r".\1_scan.attention.layers.0."),
    (r"^local_scan\.scan\.(\w+)\.", r"local_scan.\1_scan."),
    (r"^local_scan\.narrow\.(\w+)\.", r"local_scan.motion_down_\1."),
    (r"^classify\.(\w+)\.", r"local_scan.\1_classifier.mlp."),
    # a layer of Mamba
    (r"(_scan\.layers\.\d+)\.widen\.", r"\1.mlp.fc1."),
    (r"(_scan\.layers\.\d+)\.narrow\.", r"\1.mlp.fc2."),
    (r"(_scan\.layers\.\d+)\.mlp_norm\.", r"\1.norm2."),
    (r"\.mamba_norm\.", ".norm."),
    (r"\.mamba\.widen\.", ".mixer.in_proj."),
    (r"\.mamba\.convolution\.", ".mixer.conv1d."),
    (r"\.mamba\.select\.", ".mixer.x_proj."),
    (r"\.mamba\.step\.", ".mixer.dt_proj."),
    (r"\.mamba\.log_decay$", ".mixer.A_log"),
    (r"\.mamba\.skip$", ".mixer.D"),
    (r"\.mamba\.narrow\.", ".mixer.out_proj."),
    (r"(_scan)\.norm\.", r"\1.norm_f."),
    # a block of attention
    (r"\.qkv\.", ".self_attn.in_proj_"),
    (r"(layers\.\d+)\.out\.", r"\1.self_attn.out_proj."),
    (r"\.cross_out\.", ".multihead_attn.out_proj."),
    (r"\.cross_norm\.", ".norm2."),
    (r"(attn|encoder|attention)(\.layers\.\d+)\.norm\.", r"\1\2.norm1."),
    (r"(layers\.\d+)\.mlp_norm\.", r"\1.norm2."),
    (r"(layers\.\d+)\.widen\.", r"\1.linear1."),
    (r"(layers\.\d+)\.narrow\.", r"\1.linear2."),
    # a block of the encoder of samples
    (r"\.first\.0\.", ".conv1."),
    (r"\.first\.1\.", ".bn1."),
    (r"\.second\.0\.", ".conv2."),
    (r"\.second\.1\.", ".bn2."),
    (r"\.shortcut\.", ".downsample."),
)
_AUTOENCODER_NAMES = (
    (r"^codebook\.vectors$", "quantizer.embedding.weight"),
    (r"^decoder\.blocks\.", "decoder.main."),
    (r"^decoder\.stages\.(\d+)\.", lambda found: f"decoder.main.{2 * int(found[1]) + 2}."),
)
_ENCODER_NAMES = (
    (r"\.stages\.(\d+)\.([02])\.", lambda found: f".main.{3 * int(found[1]) + int(found[2])}."),
    (r"\.first\.(\w+)$", r".model.0.\1"),
    (r"\.second\.(\w+)$", r".model.2.\1"),
)


def rename_published(state: Mapping[str, object], config: MambaTalkConfig) -> dict[str, Tensor]:
    """Tensors of a released `mambatalk_*.bin` under our names, for `MambaTalk(config).load_state_dict`.

    Raises:
        CheckpointError: naming each tensor that is missing, unknown or of another shape.
    """
    renamed = published.rename(state, *_published(config))
    for name, tensor in published.unwrap(state).items():
        if joined := re.fullmatch(r"local_scan\.motion_cross_attn\.layers\.(\d+)\.multihead_attn\.in_proj_(\w+)", name):
            block = f"local_scan.attend.{joined[1]}"
            query, memory = tensor.tensor_split([config.width])
            renamed |= {f"{block}.query.{joined[2]}": query, f"{block}.memory.{joined[2]}": memory}
    return renamed


def published_shapes(config: MambaTalkConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released `mambatalk_*.bin`."""
    return published.shapes(*_published(config))


def rename_published_autoencoder(state: Mapping[str, object], config: AutoencoderConfig) -> dict[str, Tensor]:
    """As `rename_published`, of a released autoencoder."""
    return published.rename(state, *_published_autoencoder(config))


def published_autoencoder_shapes(config: AutoencoderConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released autoencoder."""
    return published.shapes(*_published_autoencoder(config))


def _published(config: MambaTalkConfig) -> tuple[dict[str, str], nn.Module, dict[str, tuple[int, ...]]]:
    """Published name -> our name; our network, without memory; published name -> shape of the others."""
    network = published.meta(lambda: MambaTalk(config))
    taken = [name for name in network.state_dict() if not re.search(r"attend\.\d+\.(query|memory)\.", name)]
    names = {_rewritten(name, (*_NETWORK_NAMES, *_ENCODER_NAMES)): name for name in taken}
    width = config.width
    others = {f"{scan}.position_embeddings.pe": (1, 2 * config.window_frames, width) for scan in _SCANS}
    for i in range(config.depth):  # query, key and value in one
        joined = f"local_scan.motion_cross_attn.layers.{i}.multihead_attn.in_proj"
        others |= {f"{joined}_weight": (3 * width, width), f"{joined}_bias": (3 * width,)}
    twin = "global_scan.body_q_self_attn."  # of the speaker of the face, whose result is left
    for theirs, ours in names.items():
        if theirs.startswith(twin):
            others[theirs.replace("body_q", "face_q")] = tuple(network.get_parameter(ours).shape)
    return names, network, others


_SCANS = ("global_scan", "local_scan")


def _published_autoencoder(config: AutoencoderConfig) -> tuple[dict[str, str], nn.Module]:
    network = published.meta(lambda: Autoencoder(config))
    last = (r"^decoder\.last\.", f"decoder.main.{2 * config.depth + 2}.")
    patterns = (*_AUTOENCODER_NAMES, last, *_ENCODER_NAMES)
    return {_rewritten(name, patterns): name for name in network.state_dict()}, network


def _rewritten(name: str, patterns: Iterable[tuple[str, str | Callable[[re.Match[str]], str]]]) -> str:
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name
