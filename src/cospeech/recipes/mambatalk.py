"""Train MambaTalk from a store to a finished checkpoint, or one of its autoencoders, with the published settings.

    cospeech train mambatalk STORE runs/m --vocabulary words --wav2vec2 facebook/wav2vec2-base-960h
    cospeech train autoencoder mambatalk/upper runs/upper --store STORE

The five autoencoders come first, then the network that chooses their codes. In each of its steps it is asked three
times: with the first frames of the motion known, and twice with a random part of it, which grows smaller as the
training goes on.

Xu et al. 2024, MambaTalk, arXiv:2403.09471, and the settings of its code. An epoch is there a window every 20 frames of
every clip; here windows are drawn at random, as many.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cospeech import checkpoint as checkpoints
from cospeech import features, prosody, quirks, wav2vec2
from cospeech.body import mannequin
from cospeech.checkpoint import Checkpoint
from cospeech.config import changed, load_json
from cospeech.data.statistics import joint_speed_of
from cospeech.data.store import Store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.data.windows import Windows
from cospeech.errors import CheckpointError, ConfigError, DataError
from cospeech.formats.output import replacing
from cospeech.models.mambatalk import (
    AUTOENCODERS,
    BODY,
    PARTS,
    TRANSLATION,
    Autoencoder,
    MambaTalk,
    MambaTalkConfig,
    speaker_row,
)
from cospeech.recipes import autoencoder, loop, vocabulary
from cospeech.recipes.autoencoder import Protocol, TrainAutoencoder
from cospeech.recipes.loop import Run, Training, is_finished
from cospeech.recipes.plan import by_frames, epochs, licence_of, of_network, training_clips, windows_of
from cospeech.systems import MambaTalkModel
from cospeech.wav2vec2 import Recogniser

if TYPE_CHECKING:
    from cospeech.speech import Speech

EVERY_FRAMES = 20  # from one window of an epoch to the next
EPOCHS = {"face": 800, "upper": 500, "hands": 800, "lower": 800, TRANSLATION: 800, "network": 200}
RESULT = "network.safetensors"
TRAINED_SAMPLES = 34_133  # of a window in training; in generation it has 21 less
LATENTS = 3.0  # weight of what is said about a code's vector, where its number counts 1
FIRST_HIDDEN = 0.05  # part of the motion that is hidden at random in the beginning; in the end all of it


@dataclass(frozen=True)
class TrainMambaTalk:
    """Args:
    autoencoders: Part -> run directory.
    vocabulary: Folder of `recipes.vocabulary`.
    wav2vec2: Folder of the model that hears characters.
    speaker: Number in BEAT2 of the speaker of every clip that does not come from there.
    """

    store: Path
    autoencoders: dict[str, Path]
    sources: dict[str, float]
    model: MambaTalkConfig
    training: Training
    vocabulary: Path
    wav2vec2: Path
    speaker: int = 2
    quirks: tuple[str, ...] = ()  # of hearing: "double-resampling"

    def __post_init__(self) -> None:
        quirks.check(self.quirks)
        speaker_row(self.speaker, self.model.num_speakers)


class Item(NamedTuple):
    """A clip, as much as it is learned from."""

    motion: np.ndarray  # (T, 337)
    latents: dict[str, np.ndarray]  # part -> (T, D) vectors of its codes
    codes: dict[str, np.ndarray]  # part -> (T,)
    hears: Callable[[int], tuple[Tensor, Tensor]]  # frame -> (1, N, 3) sound and (1, T) words of a window
    speaker: int  # row


class Batch(NamedTuple):
    motion: Tensor  # (B, T, 337)
    latents: dict[str, Tensor]
    codes: dict[str, Tensor]
    audio: Tensor
    words: Tensor
    speaker: Tensor


def train(config: TrainMambaTalk, directory: Path) -> None:
    """The network that chooses codes."""
    model = config.model
    check(config)
    run = Run(directory, config, config.training, partial(_network, config))  # whose processes wait for each other
    items = _items(config, directory)
    lengths = [{"motion": item.motion} for item in items]
    sources = [clip.source for clip in training_clips(config.store) if _usable(clip)]
    windows = Windows(lengths, sources, config.sources, model.window_frames)

    for step in run.steps():
        batch = _batch(items, windows.cuts(config.training.batch_size, *run.key()), model, run.device)
        hidden = _hidden(model, batch.motion, step / config.training.steps)
        terms = run.model(batch, hidden)
        run.update(torch.stack([*terms.values()]).sum(), **terms)

    if run.fabric.is_global_zero:
        run.plain.load_state_dict(run.averaged())
        with replacing(directory / RESULT) as path:
            save_file(run.plain.network.cpu().state_dict(), path)
    run.fabric.barrier()  # nobody reads what is not written yet


class _TrainingStep(nn.Module):
    """All that has gradients in one forward, as data-parallel wrappers want it."""

    def __init__(self, network: MambaTalk):
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, hidden: Sequence[Tensor]) -> dict[str, Tensor]:
        """Terms of the loss.

        Args:
            hidden: (B, T, 337) bool for each time the network is asked; the first time it generates: the number of the
                face's code, which nobody will ask for, does not count.
        """
        terms: dict[str, Tensor] = {}
        for i, each in enumerate(hidden):
            chosen = self.network(batch.audio, batch.words, batch.speaker, batch.motion, each)
            for part in PARTS:
                latents = LATENTS * F.mse_loss(chosen.latents[part], batch.latents[part])
                terms[f"{part} latents"] = terms.get(f"{part} latents", 0) + latents
                if i > 0 or part in BODY:
                    codes = F.cross_entropy(chosen.logits[part].mT, batch.codes[part])
                    terms[f"{part} codes"] = terms.get(f"{part} codes", 0) + codes
        return terms


def _hidden(model: MambaTalkConfig, motion: Tensor, done: float) -> list[Tensor]:
    """What is hidden, each time the network is asked; `done` is the part of the training that is over."""
    generating = torch.ones_like(motion, dtype=torch.bool)
    generating[:, : model.seed_frames] = False
    random = torch.rand_like(motion) < FIRST_HIDDEN + (1 - FIRST_HIDDEN) * done
    return [generating, random, random]


def _network(config: TrainMambaTalk) -> _TrainingStep:
    network = MambaTalk(config.model)
    vectors = vocabulary.load(config.vocabulary).vectors
    for ear in network.ears.values():
        if ear.word_table.weight.shape != vectors.shape:
            there, wanted = tuple(vectors.shape), tuple(ear.word_table.weight.shape)
            raise ConfigError(f"{config.vocabulary}: has vectors {there}, `num_words` of the model says {wanted}.")
        ear.word_table.weight.data.copy_(vectors)
    if config.training.processes > 1 and config.training.accelerator != "cpu" and torch.cuda.is_available():
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # as published
    return _TrainingStep(network)


# --- what windows are cut from --------------------------------------------------------------------------------------


def load_autoencoder(run: Path) -> Autoencoder:
    """The result of a run of `recipes.autoencoder`."""
    config = load_json(TrainAutoencoder, run / "config.json")
    model = Autoencoder(config.model)
    try:
        model.load_state_dict(load_file(run / autoencoder.RESULT))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{run}: holds no finished autoencoder ({error}). Train it first.") from error
    return model.eval().requires_grad_(False)


def _usable(info: ClipInfo) -> bool:
    return "speech" in info.has and info.has_expressions


@torch.no_grad()
def _items(config: TrainMambaTalk, directory: Path) -> list[Item]:
    trained = {part: load_autoencoder(config.autoencoders[part]) for part in PARTS}
    words = vocabulary.load(config.vocabulary)
    characters = _characters(config, directory)
    items = []
    for clip in Store(config.store).clips("train"):
        if not _usable(clip.info):
            continue
        codes, latents = {}, {}
        for part, network in trained.items():
            codes[part] = network.encode(torch.from_numpy(autoencoder.vectors_of(clip, part))[None])[0]
            latents[part] = network.codebook.vectors[codes[part]].numpy()
        motion = features.body_channels(clip.poses, clip.translation)
        numbers = {part: each.numpy() for part, each in codes.items()}
        hears = _hears(clip, config, characters[clip.info.id], words)
        items.append(Item(motion, latents, numbers, hears, _row(clip.info, config)))
    return items


def check(config: TrainMambaTalk) -> None:
    """Raise an error of the user's for what would be missed only when the autoencoders are trained."""
    there = [info for info in training_clips(config.store) if _usable(info)]
    if not there:
        raise DataError(f"{config.store}: no training clip has speech and expressions of FLAME.")
    for info in there:
        if not info.num_samples:
            raise DataError(f"{config.store}: was prepared without recordings, which MambaTalk hears: {info.id}.")
        _row(info, config)
    Recogniser.load(checkpoints.folder(config.wav2vec2, wav2vec2.FILES))


def _characters(config: TrainMambaTalk, directory: Path) -> dict[str, np.ndarray]:
    """Clip -> the characters heard in it: by one process, once for all starts of a run."""
    path = directory / "characters.safetensors"

    def hear() -> None:
        from cospeech import hearing  # needs packages that read sound

        if path.is_file():
            return
        device = "cuda" if config.training.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
        recogniser = Recogniser.load(checkpoints.folder(config.wav2vec2, wav2vec2.FILES), device)
        heard = {}
        for clip in Store(config.store).clips("train"):
            if _usable(clip.info):
                sound = hearing.Samples(_speech(clip), TRAINED_SAMPLES, config.quirks)
                heard[clip.info.id] = torch.from_numpy(recogniser.characters(sound.normalised(0, len(sound.samples))))
        directory.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file(heard, temporary)

    loop.once(hear)
    return {name: each.numpy() for name, each in load_file(path).items()}


def _row(info: ClipInfo, config: TrainMambaTalk) -> int:
    """Row of the speaker of a clip: those of BEAT2 begin with their number."""
    corpus, _, take = info.id.partition("/")
    number = take.partition("_")[0]
    known = corpus == "beat2" and number.isdecimal()
    return speaker_row(int(number) if known else config.speaker, config.model.num_speakers)


def _speech(clip: StoredClip) -> "Speech":
    from cospeech.speech import Speech

    return Speech(clip.samples, prosody.SAMPLE_RATE, clip.info.words)


def _hears(
    clip: StoredClip, config: TrainMambaTalk, characters: np.ndarray, words: vocabulary.Words
) -> Callable[[int], tuple[Tensor, Tensor]]:
    from cospeech.hearing import CharacterHearing

    speech, length = _speech(clip), len(clip.poses)
    hearing = CharacterHearing(speech, config.model, length, characters, words.rows, config.quirks, TRAINED_SAMPLES)
    return hearing.window


def _batch(
    items: Sequence[Item], cuts: Sequence[tuple[int, int]], model: MambaTalkConfig, device: torch.device
) -> Batch:
    chosen = [(items[i], slice(at, at + model.window_frames)) for i, at in cuts]

    def stacked(of: Callable[[Item], np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack([of(item)[frames] for item, frames in chosen])).to(device)

    heard = [item.hears(frames.start) for item, frames in chosen]
    audio, words = (torch.cat(each).to(device) for each in zip(*heard, strict=True))
    return Batch(
        stacked(lambda item: item.motion),
        {part: stacked(lambda item, part=part: item.latents[part]) for part in PARTS},
        {part: stacked(lambda item, part=part: item.codes[part]) for part in PARTS},
        audio,
        words,
        torch.tensor([item.speaker for item, _ in chosen], device=device),
    )


# --- the published settings -----------------------------------------------------------------------------------------


def autoencoder_config(
    part: str, store: Path, protocol: Protocol = "corrected", settings: Sequence[str] = ()
) -> TrainAutoencoder:
    """Args:
    settings: What is to be otherwise, as in `config.changed`.
    """
    training = Training(
        steps=1,
        batch_size=64,
        lr=1.5e-4,
        warmup_steps=0,
        schedule="drops",
        final_lr=0.1,
        drops=() if part == "upper" else (780 / 800,),
        betas=(0.5, 0.999),
        clip_norm=None,
        average=0.0,
        precision="32-true",
    )
    there = [info for info in training_clips(store) if autoencoder.usable(info, part)]
    sources = by_frames(there, f"{store}: no training clip has what the part `{part}` learns from.")
    config = TrainAutoencoder(store, part, sources, AUTOENCODERS[part], training, protocol=protocol)
    config = changed(config, settings)
    return epochs(config, EPOCHS[part], windows_of(there, config.window_frames, EVERY_FRAMES), settings)


def named(name: str, store: Path, protocol: Protocol, settings: Sequence[str] = ()) -> TrainAutoencoder:
    """The published settings of an autoencoder, such as "mambatalk/upper"."""
    known = [f"mambatalk/{part}" for part in AUTOENCODERS]
    if name not in known:
        raise ConfigError(f"Unknown settings `{name}` of an autoencoder with --store. Known: {', '.join(known)}.")
    return autoencoder_config(name.removeprefix("mambatalk/"), store, protocol, settings)


def network_config(
    store: Path, runs: dict[str, Path], words: Path, hears: Path, settings: Sequence[str] = ()
) -> TrainMambaTalk:
    """Args:
    runs: Part -> run directory of its autoencoder.
    words, hears: `vocabulary` and `wav2vec2` of `TrainMambaTalk`.
    settings: What is to be otherwise, as in `config.changed`.
    """
    training = Training(
        steps=1,
        batch_size=64,
        lr=2.5e-4,
        warmup_steps=0,
        schedule="drops",
        betas=(0.5, 0.999),
        clip_norm=0.99,
        average=0.0,
        precision="32-true",
    )
    table = vocabulary.load(words).vectors
    model = replace(MambaTalkConfig(), num_words=len(table), word_dim=table.shape[1])
    there = [info for info in training_clips(store) if _usable(info)]
    sources = by_frames(there, f"{store}: no training clip has speech and expressions of FLAME.")
    config = changed(TrainMambaTalk(store, runs, sources, model, training, words, hears), settings)
    return epochs(config, EPOCHS["network"], windows_of(there, config.model.window_frames, EVERY_FRAMES), settings)


# --- all of it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MakeMambaTalk:
    """Args:
    settings: What is to be otherwise than published: "tokenizer.training.steps=1000", "network.training.batch_size=16";
        `tokenizer` is the autoencoder of every part.
    together: Autoencoders trained at a time; with several devices one after the other.
    """

    store: Path
    out: Path
    vocabulary: Path
    wav2vec2: Path = Path(wav2vec2.NAME)
    protocol: Protocol = "corrected"
    settings: tuple[str, ...] = ()
    together: int = 2


def make(config: MakeMambaTalk) -> Path:
    """Train what is not trained yet; returns the directory of the finished checkpoint."""
    for setting in config.settings:
        if setting.partition(".")[0] not in ("tokenizer", "network"):
            raise ConfigError(f"`{setting}` is neither a setting of `tokenizer` nor one of `network`.")
    checkpoints.check_target(config.out / "checkpoint")
    store, out = config.store, config.out
    runs, run = {part: out / part for part in AUTOENCODERS}, out / "network"
    of_parts = of_network("tokenizer", config.settings)
    configs = {part: autoencoder_config(part, store, config.protocol, of_parts) for part in AUTOENCODERS}
    settings = of_network("network", config.settings)
    whole = network_config(store, runs, config.vocabulary, config.wav2vec2, settings)
    check(whole)
    for training in (whole.training, *(each.training for each in configs.values())):
        loop.check(training)
    left = [part for part in configs if not is_finished(runs[part], configs[part], autoencoder.RESULT)]
    if left and run.is_dir():
        raise ConfigError(f"{run}: was trained over other autoencoders than those trained now. Remove it.")
    several = any(each.training.processes > 1 for each in configs.values())
    jobs = [(autoencoder.train, configs[part], runs[part]) for part in left]
    loop.train_together(jobs, 1 if several else config.together)
    if not is_finished(run, whole, RESULT):
        train(whole, run)
    loop.once(partial(export, out))
    return out / "checkpoint"


def export(out: Path) -> None:
    """Put the trained networks together as one checkpoint directory, `out`/checkpoint."""
    settings = load_json(TrainMambaTalk, out / "network" / "config.json")
    trained = {part: load_autoencoder(run) for part, run in settings.autoencoders.items()}
    config = MambaTalkModel(
        name="mambatalk retrained",
        licence=licence_of(settings.store),
        network=settings.model,
        autoencoders={part: each.config for part, each in trained.items()},
        speaker=_most_heard(settings),
        quirks=settings.quirks,
    )
    networks = config.build()
    networks.network.load_state_dict(load_file(out / "network" / RESULT))
    for part, each in trained.items():
        networks.autoencoders[part].load_state_dict(each.state_dict())
    statistics = {
        "rest": features.standing(settings.model.seed_frames),
        "joint_speed": joint_speed_of(Store(settings.store), mannequin("light")),
    }
    made = Checkpoint(
        config,
        networks.eval().requires_grad_(False),
        {name: torch.from_numpy(array) for name, array in statistics.items()},
        _card(config, settings),
        vocabulary.load(settings.vocabulary).rows,
        recogniser=Recogniser.load(checkpoints.folder(settings.wav2vec2, wav2vec2.FILES)),
    )
    checkpoints.save(made, out / "checkpoint", torch.float32)  # in half precision it would choose a few other codes


def _most_heard(settings: TrainMambaTalk) -> int:
    """Number in BEAT2 of the speaker of most frames."""
    frames: Counter[int] = Counter()
    for info in training_clips(settings.store):
        if _usable(info):
            frames[_row(info, settings) + 1] += info.num_frames
    return frames.most_common(1)[0][0]


def _card(config: MambaTalkModel, settings: TrainMambaTalk) -> str:
    shares = "".join(f"- {source}: {share:.0%}\n" for source, share in settings.sources.items())
    return f"""# {config.name}

MambaTalk, arXiv:2403.09471, trained anew by `cospeech train` with {settings.training.steps} steps of its network. It
hears with {wav2vec2.NAME} (Apache-2.0), which is in the folder wav2vec2.

**Licence: {config.licence}.** Weights carry the terms of what they learned from.

Shares of the windows:

{shares}"""
