"""Train the denoiser over the latents of trained tokenizers.

A run ends with `denoiser.safetensors` (averaged weights) in its directory. Clips with speech are used, and where the
denoiser takes styles also those without; latents of a part that a clip does not have are zero and count in no loss.
Latents are computed once: clips are encoded whole, from each of their first frames in turn so that windows may begin at
any frame.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cospeech import features, positions, prosody
from cospeech.config import load_json
from cospeech.data.store import Store
from cospeech.data.stored import StoredClip
from cospeech.data.windows import Windows
from cospeech.errors import CheckpointError, ConfigError
from cospeech.formats.output import replacing
from cospeech.models.sentence import SentenceEncoder
from cospeech.models.syntalker import Denoiser, DenoiserConfig, FrameEncoderConfig
from cospeech.models.tokenizer import Tokenizer
from cospeech.nn.diffusion import add_noise, cosine_schedule, x0_loss
from cospeech.quirks import check as check_quirks
from cospeech.recipes import distil, vocabulary
from cospeech.recipes.loop import Run, Training
from cospeech.recipes.tmr import Space
from cospeech.recipes.tokenizer import Mirror, TrainTokenizer, part_vectors, versions


@dataclass(frozen=True)
class TrainDiffusion:
    """Args:
    tokenizers: Part -> run directory of its training; all of them made of the same `motion`.
    sources: Share of the windows from each source.
    beta: Of the loss, see `x0_loss`.
    weights: Of body parts in the loss; 1 for those not named.
    audio_dropout: Share of the windows whose speech is not heard, for guidance (Ho & Salimans 2022).
    sentences: Run directory of `recipes.distil`; styles are those of captions.
    tmr: Run directory of `recipes.tmr` instead; styles are those of motions, and of captions.
    caption_share: With `tmr`: how often the style of a captioned window is its caption's, not its motion's.
    style_dropout: Share of the windows whose style is not read.
    audio_dropout_under_style: `audio_dropout` of the windows whose style is read; None: the same.
    vocabulary: Folder of `recipes.vocabulary`, for a denoiser that reads words.
    quirks: Of `cospeech.quirks`, those of hearing, for a denoiser that hears samples.
    any_frame: Windows begin at any frame, not only at every fourth. Four times the latents to keep.
    mirror: Which clips are learned from mirrored as well: all, those without speech, none.
    silent_share: Share of the windows without speech; `sources` then share those with speech and those without, each by
        itself. None: windows come as `sources` say.
    """

    store: Path
    tokenizers: dict[str, Path]
    sources: dict[str, float]
    model: DenoiserConfig
    training: Training
    beta: float = 1.0
    weights: dict[str, float] = field(default_factory=dict)
    audio_dropout: float = 0.1
    sentences: Path | None = None
    tmr: Path | None = None
    caption_share: float = 0.0
    style_dropout: float = 0.3
    audio_dropout_under_style: float | None = None
    vocabulary: Path | None = None
    quirks: tuple[str, ...] = ()
    any_frame: bool = True
    mirror: Mirror = "all"
    silent_share: float | None = None

    def __post_init__(self) -> None:
        if self.sentences is not None and self.tmr is not None:
            raise ConfigError("Styles come from `sentences` or from `tmr`, not from both.")
        if (self.sentences is None and self.tmr is None) != (self.model.style_dim is None):
            raise ConfigError(
                "A denoiser with `style_dim` needs `sentences` or `tmr`, one without has no use for them."
            )
        if (self.vocabulary is None) != (self.model.words is None):
            raise ConfigError("A denoiser with `words` needs a `vocabulary`, one without has no use for it.")
        frames = isinstance(self.model.audio, FrameEncoderConfig)
        if frames and (self.model.words is not None or self.quirks):
            raise ConfigError("A denoiser that hears features of frames reads no `words` and has no `quirks`.")
        check_quirks(self.quirks)
        if self.caption_share and self.tmr is None:
            raise ConfigError("`caption_share` is for styles from `tmr`.")
        if self.audio_dropout_under_style is not None and self.model.style_dim is None:
            raise ConfigError("`audio_dropout_under_style` is for a denoiser with styles.")
        if self.silent_share and self.model.style_dim is None:
            raise ConfigError(
                "A denoiser without styles learns from clips with speech alone: `silent_share` must be 0."
            )
        for part in self.weights:
            if part not in self.model.parts:
                raise ConfigError(f"`weights` name `{part}`; parts are {', '.join(self.model.parts)}.")

    def check_tokenizers(self, configs: Mapping[str, TrainTokenizer]) -> None:
        """Raise `ConfigError` where these are not what the denoiser is to be trained over."""
        for part, config in configs.items():
            for name, theirs, ours in (
                ("code_dim", config.model.quantizer.code_dim, self.model.code_dim),
                ("frames_per_step", config.model.frames_per_step, self.model.frames_per_step),
                ("motion", config.motion, next(iter(configs.values())).motion),
            ):
                if theirs != ours:
                    raise ConfigError(f"The tokenizer of `{part}` has {name} {theirs}, the denoiser needs {ours}.")


@dataclass(frozen=True, eq=False)
class TrainedTokenizer:
    """What the training of a tokenizer left in its run directory."""

    model: Tokenizer
    mean: Tensor  # (C,)
    std: Tensor  # (C,)
    motion: str  # what its vectors are made of

    @classmethod
    def load(cls, run: Path) -> "TrainedTokenizer":
        config = load_json(TrainTokenizer, run / "config.json")
        model = Tokenizer(config.model)
        try:
            model.load_state_dict(load_file(run / "tokenizer.safetensors"))
            statistics = load_file(run / "statistics.safetensors")
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"{run}: holds no finished tokenizer ({error}). Train it first.") from error
        return cls(model.eval().requires_grad_(False), statistics["mean"], statistics["std"], config.motion)

    @torch.no_grad()
    def encode(self, vector: np.ndarray) -> Tensor:
        """(T, C) not normalised -> (S, D) latents."""
        return self.model.encode((torch.from_numpy(vector)[None] - self.mean) / self.std)[0]


class Encoded(NamedTuple):
    """A clip from one of its first frames on."""

    latents: np.ndarray  # (S, C) divided by `latent_scale`
    known: np.ndarray  # (S, C) 0 or 1
    first: int  # frame


class Item(NamedTuple):
    encoded: Encoded
    hears: Callable[[int], tuple[Tensor, Tensor | None]] | None  # frame -> audio and words of a window; None: nothing
    captions: tuple[str, ...]
    vectors: Tensor | None  # (T, 623) normalised for `tmr`


class Batch(NamedTuple):
    x0: Tensor  # (B, S, C)
    known: Tensor  # (B, S, C)
    audio: Tensor  # (B, T, F) or (B, N, 2)
    words: Tensor | None  # (B, T)
    heard: Tensor  # (B,) bool: there is speech
    captions: list[str]  # "" where a window has none
    vectors: Tensor | None  # (B, T, 623)


def train(config: TrainDiffusion, directory: Path) -> None:
    model = config.model
    runs = {part: config.tokenizers[part] for part in model.parts}
    config.check_tokenizers({part: load_json(TrainTokenizer, run / "config.json") for part, run in runs.items()})
    tokenizers = {part: TrainedTokenizer.load(run) for part, run in runs.items()}
    words = vocabulary.load(config.vocabulary) if config.vocabulary else None
    styles = Styles.of(config)
    items, sources = _items(config, tokenizers, words, styles)
    lengths = [{"latents": item.encoded.latents} for item in items]
    windows = Windows(lengths, sources, _shares(config, sources), model.window_steps)
    schedule = cosine_schedule(model.num_timesteps)

    run = Run(directory, config, config.training, partial(_network, config, words))
    styles = styles and styles.to(run.device)
    weights = [config.weights.get(part, 1.0) for part in model.parts for _ in range(model.code_dim)]
    weights = torch.tensor(weights, device=run.device)  # (C,)
    for _ in run.steps():
        batch = _batch(model, items, windows.cuts(config.training.batch_size, *run.key()), run)
        x0, noise = batch.x0, torch.randn_like(batch.x0)
        t = torch.randint(model.num_timesteps, (len(x0),), device=run.device)
        deaf = torch.full((len(x0),), config.audio_dropout, device=run.device)
        style = has_style = None
        if styles:
            style, there = styles(batch, np.random.default_rng((*run.key(), 2)))  # not those that chose the windows
            has_style = there & (torch.rand(len(x0), device=run.device) >= config.style_dropout)
            if config.audio_dropout_under_style is not None:
                deaf[has_style] = config.audio_dropout_under_style
        has_audio = batch.heard & (torch.rand(len(x0), device=run.device) >= deaf)
        noisy = add_noise(x0, t, noise, schedule) * batch.known
        seed = x0[:, : model.seed_steps]
        predicted = run.model(noisy, t, batch.audio, batch.words, seed, has_audio, style, has_style)
        run.update(x0_loss(predicted.float(), x0, batch.known * weights, config.beta))

    if run.fabric.is_global_zero:
        run.plain.load_state_dict(run.averaged())
        with replacing(directory / "denoiser.safetensors") as path:
            save_file(run.plain.denoiser.cpu().state_dict(), path)
    run.fabric.barrier()  # nobody reads what is not written yet


class _TrainingStep(nn.Module):
    """All that has gradients in one forward, as data-parallel wrappers want it."""

    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        audio: Tensor,
        words: Tensor | None,
        seed: Tensor,
        has_audio: Tensor,
        style: Tensor | None,
        has_style: Tensor | None,
    ) -> Tensor:
        return self.denoiser(x_t, t, self.denoiser.condition(audio, words, seed, style, has_audio, has_style))


def _network(config: TrainDiffusion, words: vocabulary.Words | None) -> _TrainingStep:
    denoiser = Denoiser(config.model)
    if words is not None:
        table = denoiser.speech_encoder.word_table.weight
        if table.shape != words.vectors.shape:
            there, wanted = tuple(words.vectors.shape), tuple(table.shape)
            raise ConfigError(f"{config.vocabulary}: has vectors {there}, `words` of the model says {wanted}.")
        table.data.copy_(words.vectors)
    return _TrainingStep(denoiser)


# --- what windows are cut from --------------------------------------------------------------------------------------


def _items(
    config: TrainDiffusion,
    tokenizers: dict[str, TrainedTokenizer],
    words: vocabulary.Words | None,
    styles: "Styles | None",
) -> tuple[list[Item], list[str]]:
    """All that is learned from, and the source of each."""
    items, sources = [], []
    for clip in Store(config.store).clips("train"):
        speaks = "speech" in clip.info.has
        if config.sources.get(clip.info.source, 0) == 0 or not (speaks or (styles and styles.has(clip))):
            continue
        if config.silent_share == 0 and not speaks:
            continue
        hears = _hears(clip, config, words) if speaks else None
        for version in versions(clip, config.mirror):
            vectors = styles.vectors(version) if styles else None
            for encoded in encode_clip(version, tokenizers, config.model, config.any_frame):
                items.append(Item(encoded, hears, version.info.captions, vectors))
                sources.append(clip.info.source if speaks or config.silent_share is None else _silent(clip.info.source))
    return items, sources


def _silent(source: str) -> str:
    return f"{source} without speech"


def _shares(config: TrainDiffusion, sources: Sequence[str]) -> dict[str, float]:
    """Share of the windows from each of the sources that `_items` tells apart."""
    if config.silent_share is None:
        return config.sources
    shares: dict[str, float] = {}
    for name, whole in ((str, 1 - config.silent_share), (_silent, config.silent_share)):
        there = {name(source): share for source, share in config.sources.items() if name(source) in sources}
        shares |= {source: whole * share / sum(there.values()) for source, share in there.items()}
    return shares


def _hears(
    clip: StoredClip, config: TrainDiffusion, words: vocabulary.Words | None
) -> Callable[[int], tuple[Tensor, Tensor | None]]:
    length = config.model.window_frames
    if isinstance(config.model.audio, FrameEncoderConfig):
        heard = torch.tensor(clip.speech)
        return lambda first: (heard[None, first : first + length], None)
    from cospeech.hearing import SampleHearing  # needs packages that read sound
    from cospeech.speech import Speech

    if len(clip.samples) == 0:
        raise ConfigError(f"{config.store}: was prepared without recordings, which this denoiser hears.")
    speech = Speech(clip.samples, prosody.SAMPLE_RATE, clip.info.words)
    rows = words.rows if words else None
    return SampleHearing(speech, config.model, len(clip.poses), rows, config.quirks).window


def encode_clip(
    clip: StoredClip, tokenizers: dict[str, TrainedTokenizer], model: DenoiserConfig, any_frame: bool = True
) -> list[Encoded]:
    """The latents of a clip from its first frame on, and with `any_frame` from each of the next ones of a step."""
    motion = next(iter(tokenizers.values())).motion
    vectors = part_vectors(clip, motion, list(tokenizers))
    num_frames = min(len(vector) for vector in vectors.values())
    found = []
    for first in range(min(model.frames_per_step if any_frame else 1, num_frames)):
        num_steps = (num_frames - first) // model.frames_per_step
        frames = slice(first, first + num_steps * model.frames_per_step)
        latents, known = [], []
        for part, tokenizer in tokenizers.items():
            has = features.layout(part).recorded in clip.info.has
            latents.append(tokenizer.encode(vectors[part][frames]).numpy() * (has / model.latent_scale))
            known.append(np.full_like(latents[-1], has))
        found.append(Encoded(np.concatenate(latents, axis=1), np.concatenate(known, axis=1), first))
    return found


def _batch(model: DenoiserConfig, items: Sequence[Item], cuts: Sequence[tuple[int, int]], run: Run) -> Batch:
    chosen = [(items[i], at, items[i].encoded.first + at * model.frames_per_step) for i, at in cuts]
    rng = np.random.default_rng((*run.key(), 1))
    steps = [slice(at, at + model.window_steps) for _, at, _ in chosen]
    x0, known = (
        torch.from_numpy(
            np.stack([getattr(item.encoded, name)[s] for (item, *_), s in zip(chosen, steps, strict=True)])
        )
        for name in ("latents", "known")
    )
    nothing = None
    audio, words = [], []
    for item, _, frame in chosen:
        if item.hears is None:
            nothing = nothing or _silence(model)
        of_window = nothing if item.hears is None else item.hears(frame)
        audio.append(of_window[0])
        words.append(of_window[1])
    vectors = None
    if chosen[0][0].vectors is not None:
        vectors = torch.stack([item.vectors[frame : frame + model.window_frames] for item, _, frame in chosen])
    return Batch(
        x0.to(run.device),
        known.to(run.device),
        torch.cat(audio).to(run.device),
        torch.cat(words).to(run.device) if model.words is not None else None,
        torch.tensor([item.hears is not None for item, *_ in chosen], device=run.device),
        [str(rng.choice(item.captions)) if item.captions else "" for item, *_ in chosen],
        None if vectors is None else vectors.to(run.device),
    )


def _silence(model: DenoiserConfig) -> tuple[Tensor, Tensor | None]:
    """What is given of a window without speech, none of which is read."""
    words = torch.zeros(1, model.window_frames, dtype=torch.int64)
    if isinstance(model.audio, FrameEncoderConfig):
        return torch.zeros(1, model.window_frames, model.audio.channels), words
    from cospeech.hearing import num_samples

    return torch.zeros(1, num_samples(model.window_frames), model.audio.channels), words


# --- styles ---------------------------------------------------------------------------------------------------------


class Styles:
    """What windows are told to look like. Axes: B windows, D numbers of a style."""

    def __init__(
        self, width: int, of_captions: Callable[[Sequence[str]], Tensor], space: Space | None, caption_share: float
    ):
        self.width, self.of_captions, self.space, self.caption_share = width, of_captions, space, caption_share
        self._known: dict[str, Tensor] = {}
        self.device = torch.device("cpu")

    @classmethod
    def of(cls, config: TrainDiffusion) -> "Styles | None":
        if config.sentences is not None:
            return cls.of_sentences(distil.load(config.sentences))
        if config.tmr is None:
            return None
        from cospeech.sentences import Sentences  # needs packages that split words

        space = Space.load(config.tmr)
        if config.caption_share == 0:
            return cls(config.model.style_dim, _reads_nothing, space, 0.0)
        read = Sentences(space.text_encoder, space.word_pieces)
        return cls(
            config.model.style_dim,
            lambda texts: torch.stack([read(text) for text in texts]),
            space,
            config.caption_share,
        )

    @classmethod
    def of_sentences(cls, encoder: SentenceEncoder) -> "Styles":
        return cls(encoder.config.style_dim, lambda texts: encoder(texts).style, None, 1.0)

    def to(self, device: torch.device) -> "Styles":
        self.device = device
        if self.space is not None:
            self.space.motion_encoder.to(device)
        return self

    def has(self, clip: StoredClip) -> bool:
        return self.space is not None or bool(clip.info.captions)

    def vectors(self, clip: StoredClip) -> Tensor | None:
        """(T, 623) normalised; None where styles are not of motions."""
        if self.space is None:
            return None
        return self.space.normalised(positions.vectors(clip.poses, clip.translation))

    @torch.no_grad()
    def __call__(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(B, D) styles, and (B,) bool, False where a window has none."""
        captioned = np.array([bool(text) for text in batch.captions])
        told = captioned & (rng.random(len(captioned)) < self.caption_share)
        new = [text for text in dict.fromkeys(np.array(batch.captions)[told].tolist()) if text not in self._known]
        if new:
            self._known |= dict(zip(new, self.of_captions(new).to(self.device), strict=True))
        if self.space is not None:
            styles = self.space.motion_encoder(batch.vectors).mean
            there = torch.ones(len(styles), dtype=torch.bool, device=self.device)
        else:
            styles = torch.zeros(len(told), self.width, device=self.device)
            there = torch.from_numpy(told).to(self.device)
        for row in np.flatnonzero(told):
            styles[row] = self._known[batch.captions[row]]
        return styles, there


def _reads_nothing(_: Sequence[str]) -> Tensor:
    raise AssertionError("no caption is read")
