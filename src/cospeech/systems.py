"""What a checkpoint of each of the systems consists of: its `config.json`, its networks, its statistics."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from cospeech import features, humanml3d, quirks, skeleton
from cospeech.errors import ConfigError
from cospeech.guidance import GuidanceConfig
from cospeech.models import mambatalk
from cospeech.models.embedder import EmbedderConfig
from cospeech.models.mambatalk import Autoencoder, AutoencoderConfig, MambaTalk, MambaTalkConfig, speaker_row
from cospeech.models.sentence import SentenceConfig, SentenceEncoder
from cospeech.models.syntalker import Denoiser, DenoiserConfig
from cospeech.models.talker import Talker, TalkerConfig
from cospeech.models.tmr import MotionEncoder, TmrConfig
from cospeech.models.tokenizer import Tokenizer, TokenizerConfig
from cospeech.motion import MAX_FPS

# Statistics that a checkpoint may hold besides: how fast the joints were, m/s, in what it has learned from. No network
# asks for it; `cospeech evaluate --joint-speed` does.
FOR_MEASURES: dict[str, tuple[int, ...]] = {"joint_speed": (skeleton.NUM_JOINTS,)}


@dataclass(frozen=True)
class SynTalkerModel:
    """Latent diffusion over the body parts' tokenizers."""

    name: str
    licence: str
    denoiser: DenoiserConfig
    tokenizers: dict[str, TokenizerConfig]  # one for each of `denoiser.parts`
    fps: float = 30.0
    steps: int = 25  # diffusion steps unless the user says otherwise
    snap: bool = True  # latents to codes before they are decoded, as published; False: what stands still stands stiller
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    finish: bool = True  # `cospeech.finish` unless the user says otherwise
    motion: Literal["rotations", "humanml3d"] = "rotations"  # what the vectors of body parts are made of
    tmr: TmrConfig | None = None  # the space that styles come from,
    sentences: SentenceConfig | None = None  # or the encoder that makes them, which is one of the networks
    quirks: tuple[str, ...] = ()  # behaviours of a published system that its weights need, see `cospeech.quirks`
    architecture: Literal["syntalker"] = "syntalker"

    def __post_init__(self) -> None:
        if set(self.tokenizers) != set(self.denoiser.parts):
            raise ConfigError(f"`tokenizers` are {sorted(self.tokenizers)}, `parts` are {sorted(self.denoiser.parts)}.")
        quirks.check(self.quirks)
        for part, tokenizer in self.tokenizers.items():
            if tokenizer.channels != self.channels(part):
                raise ConfigError(f"The tokenizer of `{part}` has {tokenizer.channels} channels.")
            if tokenizer.quantizer.code_dim != self.denoiser.code_dim:
                raise ConfigError(f"The tokenizer of `{part}` has codes of width {tokenizer.quantizer.code_dim}.")
            if tokenizer.frames_per_step != self.denoiser.frames_per_step:
                raise ConfigError(f"The tokenizer of `{part}` has {tokenizer.frames_per_step} frames a step.")
        if self.sentences is not None and self.sentences.style_dim != self.denoiser.style_dim:
            raise ConfigError(
                f"`sentences` makes styles of {self.sentences.style_dim} numbers, the denoiser reads "
                f"{self.denoiser.style_dim}."
            )
        if not 0 < self.fps <= MAX_FPS:
            raise ConfigError(f"`fps` must be above 0 and at most {MAX_FPS}, got {self.fps}.")
        if not 1 <= self.steps <= self.denoiser.num_timesteps:
            raise ConfigError(f"`steps` must be 1 to {self.denoiser.num_timesteps}, got {self.steps}.")

    def channels(self, part: str) -> int:
        """Width of the vector of a body part."""
        if self.motion == "rotations":
            return features.layout(part).channels
        if part not in humanml3d.PARTS:
            raise ConfigError(f"Unknown body part `{part}`. Known parts: {', '.join(humanml3d.PARTS)}.")
        return len(humanml3d.PARTS[part])

    @property
    def num_words(self) -> int | None:
        """Rows of the table of words; None: it reads none."""
        return None if self.denoiser.words is None else self.denoiser.words.num_words

    def statistics_shapes(self) -> dict[str, tuple[int, ...]]:
        """What `statistics.safetensors` must hold.

        For each part `{part}.mean` and `{part}.std` (channels,), with which vectors are normalised, and `rest` (P, C),
        the latents, divided by `latent_scale`, of a person at rest: the seed of the first window. With a text-motion
        space also `tmr.mean` and `tmr.std` (623,), with which motions come into it.
        """
        shapes: dict[str, tuple[int, ...]] = {"rest": (self.denoiser.seed_steps, self.denoiser.channels)}
        for part in self.denoiser.parts:
            channels = self.channels(part)
            shapes |= {f"{part}.mean": (channels,), f"{part}.std": (channels,)}
        if self.tmr is not None:
            shapes |= {"tmr.mean": (humanml3d.CHANNELS,), "tmr.std": (humanml3d.CHANNELS,)}
        return shapes

    def build(self) -> "SynTalkerNetworks":
        return SynTalkerNetworks(self)


class SynTalkerNetworks(nn.Module):
    """All networks of one checkpoint; its state dict is `model.safetensors`."""

    def __init__(self, config: SynTalkerModel):
        super().__init__()
        self.denoiser = Denoiser(config.denoiser)
        self.tokenizers = nn.ModuleDict({part: Tokenizer(config.tokenizers[part]) for part in config.denoiser.parts})
        if config.tmr is not None:
            self.motion_encoder = MotionEncoder(config.tmr)
        if config.sentences is not None:
            self.sentences = SentenceEncoder(config.sentences)


@dataclass(frozen=True)
class MambaTalkModel:
    """A network that chooses one code a frame for every body part, and the autoencoders whose codes they are."""

    name: str
    licence: str
    network: MambaTalkConfig
    autoencoders: dict[str, AutoencoderConfig]  # one for each part, and `translation`
    fps: float = 30.0
    finish: bool = False  # `cospeech.finish` unless the user says otherwise
    speaker: int = 2  # number in BEAT2 of the one it has learned most of
    quirks: tuple[str, ...] = ()  # as in `SynTalkerModel`
    architecture: Literal["mambatalk"] = "mambatalk"

    def __post_init__(self) -> None:
        needed = [*mambatalk.PARTS, mambatalk.TRANSLATION]
        if set(self.autoencoders) != set(needed):
            raise ConfigError(f"`autoencoders` are {sorted(self.autoencoders)}, needed are {sorted(needed)}.")
        quirks.check(self.quirks)
        for part, autoencoder in self.autoencoders.items():
            codes = None if part == mambatalk.TRANSLATION else self.network.num_codes
            if autoencoder.num_codes != codes:
                raise ConfigError(f"The autoencoder of `{part}` has {autoencoder.num_codes} codes instead of {codes}.")
            if part != mambatalk.TRANSLATION and autoencoder.width != self.network.code_dim:
                raise ConfigError(f"The autoencoder of `{part}` has codes of width {autoencoder.width}.")
            if autoencoder.channels != mambatalk.AUTOENCODERS[part].channels:
                raise ConfigError(f"The autoencoder of `{part}` has {autoencoder.channels} channels.")
        speaker_row(self.speaker, self.network.num_speakers)
        if self.fps != 30:
            raise ConfigError(f"`fps` of MambaTalk is 30, got {self.fps}.")

    @property
    def num_words(self) -> int:
        return self.network.num_words

    def statistics_shapes(self) -> dict[str, tuple[int, ...]]:
        """`rest` (4, 337): rotations, translation and contacts of a person at rest, the seed of the first window."""
        return {"rest": (self.network.seed_frames, self.network.motion_channels)}

    def build(self) -> "MambaTalkNetworks":
        return MambaTalkNetworks(self)


class MambaTalkNetworks(nn.Module):
    """All networks of one checkpoint; its state dict is `model.safetensors`."""

    def __init__(self, config: MambaTalkModel):
        super().__init__()
        self.network = MambaTalk(config.network)
        self.autoencoders = nn.ModuleDict({part: Autoencoder(each) for part, each in config.autoencoders.items()})


@dataclass(frozen=True)
class TalkerModel:
    """State spaces that choose the codes of the body parts' tokenizers, step by step."""

    name: str
    licence: str
    talker: TalkerConfig
    tokenizers: dict[str, TokenizerConfig]  # one for each of `talker.parts`
    fps: float = 30.0
    finish: bool = True  # `cospeech.finish` unless the user says otherwise
    quirks: tuple[str, ...] = ()  # none: it is no published system
    architecture: Literal["talker"] = "talker"

    def __post_init__(self) -> None:
        if set(self.tokenizers) != set(self.talker.parts):
            raise ConfigError(f"`tokenizers` are {sorted(self.tokenizers)}, `parts` are {sorted(self.talker.parts)}.")
        for part, tokenizer in self.tokenizers.items():
            if tokenizer.channels != features.layout(part).channels:
                raise ConfigError(f"The tokenizer of `{part}` has {tokenizer.channels} channels.")
            quantizer = tokenizer.quantizer
            theirs = quantizer.code_dim, quantizer.num_codes, tokenizer.frames_per_step
            if theirs != (self.talker.code_dim, self.talker.num_codes, self.talker.frames_per_step):
                raise ConfigError(f"The tokenizer of `{part}` has other codes than the talker chooses.")
            if quantizer.num_stages < self.talker.num_stages:
                raise ConfigError(f"The tokenizer of `{part}` has {quantizer.num_stages} stages of codes.")
        if self.quirks:
            raise ConfigError("A talker has no quirks.")
        if not 0 < self.fps <= MAX_FPS:
            raise ConfigError(f"`fps` must be above 0 and at most {MAX_FPS}, got {self.fps}.")

    @property
    def num_words(self) -> None:
        return None

    def statistics_shapes(self) -> dict[str, tuple[int, ...]]:
        """For each part `{part}.mean` and `{part}.std` (channels,), with which vectors are normalised."""
        shapes: dict[str, tuple[int, ...]] = {}
        for part in self.talker.parts:
            channels = features.layout(part).channels
            shapes |= {f"{part}.mean": (channels,), f"{part}.std": (channels,)}
        return shapes

    def build(self) -> "TalkerNetworks":
        return TalkerNetworks(self)


class TalkerNetworks(nn.Module):
    """All networks of one checkpoint; its state dict is `model.safetensors`."""

    def __init__(self, config: TalkerModel):
        super().__init__()
        self.talker = Talker(config.talker)
        self.tokenizers = nn.ModuleDict({part: Tokenizer(config.tokenizers[part]) for part in config.talker.parts})


@dataclass(frozen=True)
class EmbedderModel:
    """What motions are compared in, by the Fréchet gesture distance. It makes none."""

    name: str
    licence: str
    network: EmbedderConfig
    architecture: Literal["embedder"] = "embedder"


Model = SynTalkerModel | MambaTalkModel | TalkerModel  # what `config.json` holds, told apart by `architecture`


@torch.inference_mode()
def mean_pose_latents(tokenizers: nn.ModuleDict, config: DenoiserConfig) -> Tensor:
    """(P, C) latents of somebody who stays in the mean pose of the training data, whose normalised vectors are zero.

    The rest pose of the body itself, arms stretched out to the sides, is nothing that a window ever began with.
    """
    latents = []
    for network in tokenizers.values():
        still = torch.zeros(1, config.window_frames, network.config.channels)
        latents.append(network.encode(still)[0] / config.latent_scale)
    middle = (config.window_steps - config.seed_steps) // 2  # away from the ends, where the encoder sees padding
    return torch.cat(latents, dim=-1)[middle : middle + config.seed_steps].clone()
