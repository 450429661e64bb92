"""Train a talker over the tokenizers of a starter, from its run to a finished checkpoint: `cospeech.models.talker`.

    cospeech train starter-mambatalk runs/starter runs/talker

A run ends with `talker.safetensors` (averaged weights) in its directory, `checkpoint` beside it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cospeech import checkpoint as checkpoints
from cospeech import features
from cospeech.checkpoint import Checkpoint
from cospeech.config import load_json
from cospeech.data.store import Store
from cospeech.data.stored import StoredClip
from cospeech.data.windows import Windows
from cospeech.errors import ConfigError
from cospeech.formats.output import replacing
from cospeech.models.talker import Talker, TalkerConfig, losses
from cospeech.recipes.diffusion import TrainedTokenizer
from cospeech.recipes.loop import Run, Training, is_finished
from cospeech.recipes.starter import PARTS, STARTERS, made_as, measures, of_speakers
from cospeech.recipes.tokenizer import Mirror, TrainTokenizer, part_vectors, versions
from cospeech.systems import TalkerModel

RESULT = "talker.safetensors"


@dataclass(frozen=True)
class TrainTalker:
    """Args:
    tokenizers: Part -> run directory.
    sources: Share of the windows from each source.
    window_steps: Latent steps of a window.
    audio_dropout: Part of the windows whose speech is not heard.
    rest_weight: Of what the codes leave over, next to the choice of codes.
    """

    store: Path
    tokenizers: dict[str, Path]
    sources: dict[str, float]
    model: TalkerConfig
    training: Training
    window_steps: int = 64
    audio_dropout: float = 0.1
    rest_weight: float = 1.0
    mirror: Mirror = "all"


class Item(NamedTuple):
    """A clip from one of its first frames on."""

    latents: np.ndarray  # (S, C)
    codes: np.ndarray  # (S, P, Q)
    known: np.ndarray  # (P,) 0 or 1
    features: np.ndarray  # (T, F)


class Batch(NamedTuple):
    features: Tensor  # (B, T, F)
    latents: Tensor  # (B, S, C)
    codes: Tensor  # (B, S, P, Q)
    before: Tensor  # (B, P, Q), -1 where the clip begins
    known: Tensor  # (B, P)


def train(config: TrainTalker, directory: Path) -> None:
    model = config.model
    tokenizers = {part: TrainedTokenizer.load(config.tokenizers[part]) for part in model.parts}
    check_tokenizers(
        model, {part: load_json(TrainTokenizer, config.tokenizers[part] / "config.json") for part in tokenizers}
    )
    items, sources = _items(config, tokenizers)
    windows = Windows([{"latents": item.latents} for item in items], sources, config.sources, config.window_steps)

    run = Run(directory, config, config.training, lambda: Talker(model))
    codebooks = torch.stack([each.model.quantizer.codebooks[: model.num_stages] for each in tokenizers.values()])
    codebooks = codebooks.to(run.device)  # (P, Q, K, D)
    for _ in run.steps():
        batch = _batch(config, items, windows.cuts(config.training.batch_size, *run.key()), run.device)
        chosen = vectors_of(codebooks, batch.codes)  # (B, S, P, Q, D)
        before = vectors_of(codebooks, batch.before).sum(dim=2).flatten(1)
        has_audio = torch.rand(len(before), device=run.device) >= config.audio_dropout
        told = run.model(batch.features, has_audio, before, chosen)
        vectors = chosen.sum(dim=3).flatten(2)
        terms = losses(told, batch.codes, batch.latents, vectors, batch.known)
        run.update(terms["codes"] + config.rest_weight * terms["rest"], **terms)

    if run.fabric.is_global_zero:
        with replacing(directory / RESULT) as path:
            save_file({name: tensor.contiguous() for name, tensor in run.averaged().items()}, path)
    run.fabric.barrier()  # nobody reads what is not written yet


def check_tokenizers(model: TalkerConfig, configs: dict[str, TrainTokenizer]) -> None:
    """Raise `ConfigError` for tokenizers whose codes are not those that the model chooses."""
    for part, config in configs.items():
        quantizer = config.model.quantizer
        theirs = quantizer.code_dim, quantizer.num_codes, config.model.frames_per_step
        if (
            theirs != (model.code_dim, model.num_codes, model.frames_per_step)
            or quantizer.num_stages < model.num_stages
        ):
            raise ConfigError(f"The tokenizer of `{part}` has other codes than the model chooses.")


def vectors_of(codebooks: Tensor, codes: Tensor) -> Tensor:
    """(..., P, Q) codes -> (..., P, Q, D) their vectors, zeros for -1.

    Args:
        codebooks: (P, Q, K, D).
    """
    parts, stages = (torch.arange(size, device=codes.device) for size in codes.shape[-2:])
    vectors = codebooks[parts[:, None], stages, codes.clamp(min=0)]
    return vectors * (codes >= 0)[..., None]


@torch.no_grad()
def _items(config: TrainTalker, tokenizers: dict[str, TrainedTokenizer]) -> tuple[list[Item], list[str]]:
    items, sources = [], []
    for clip in Store(config.store).clips("train"):
        if "speech" not in clip.info.has or config.sources.get(clip.info.source, 0) == 0:
            continue
        for version in versions(clip, config.mirror):
            for first in range(config.model.frames_per_step):
                if len(clip.poses) - first >= config.model.frames_per_step:
                    items.append(_encoded(version, config.model, tokenizers, first))
                    sources.append(clip.info.source)
    return items, sources


def _encoded(clip: StoredClip, model: TalkerConfig, tokenizers: dict[str, TrainedTokenizer], first: int) -> Item:
    num_steps = (len(clip.poses) - first) // model.frames_per_step
    frames = slice(first, first + num_steps * model.frames_per_step)
    vectors = part_vectors(clip, "rotations", model.parts)
    latents, codes = [], []
    for part, tokenizer in tokenizers.items():
        latent = tokenizer.encode(vectors[part][frames])
        latents.append(latent.numpy())
        codes.append(tokenizer.model.quantizer.encode(latent)[:, : model.num_stages].numpy())
    known = [features.layout(part).recorded in clip.info.has for part in model.parts]
    return Item(
        np.concatenate(latents, axis=1),
        np.stack(codes, axis=1).astype(np.int16),
        np.array(known, np.float32),
        clip.speech[frames],
    )


def _batch(config: TrainTalker, items: Sequence[Item], cuts: Sequence[tuple[int, int]], device: torch.device) -> Batch:
    steps = [(items[i], slice(at, at + config.window_steps)) for i, at in cuts]
    per_step = config.model.frames_per_step
    nothing = np.full(steps[0][0].codes.shape[1:], -1)
    parts = (
        [item.features[s.start * per_step : s.stop * per_step] for item, s in steps],
        [item.latents[s] for item, s in steps],
        [item.codes[s].astype(np.int64) for item, s in steps],
        [item.codes[s.start - 1].astype(np.int64) if s.start else nothing for item, s in steps],
        [item.known for item, _ in steps],
    )
    return Batch(*(torch.from_numpy(np.stack(part)).to(device) for part in parts))


# --- the one that is shipped ----------------------------------------------------------------------------------------

NAME = "starter-mambatalk"
# Of a width at which it has less than 12 MB together with the tokenizers.
MODEL = TalkerConfig(parts=PARTS, width=224, mlp_width=448, temperature={"face": 0.0})


@dataclass(frozen=True)
class MakeTalker:
    starter: Path  # the run directory of either starter: store and tokenizers
    out: Path
    steps: int = 12_000
    batch: int = 32
    accelerator: str = "auto"


def make(config: MakeTalker) -> Path:
    """Train it if that is not done yet; returns the directory of the finished checkpoint."""
    checkpoints.check_target(config.out / "checkpoint")
    training = Training(config.steps, config.batch, lr=1e-3, weight_decay=0.01, accelerator=config.accelerator)
    runs = {part: config.starter / part for part in MODEL.parts}
    store = config.starter / "store"
    whole = TrainTalker(store, runs, of_speakers(STARTERS[made_as(store)].shares["diffusion"]), MODEL, training)
    run = config.out / "talker"
    if not is_finished(run, whole, RESULT):
        train(whole, run)
    return export(config.out)


def export(out: Path) -> Path:
    """Put talker and tokenizers together as one checkpoint directory."""
    settings = load_json(TrainTalker, out / "talker" / "config.json")
    starter = made_as(settings.store)
    tokenizers = {part: TrainedTokenizer.load(settings.tokenizers[part]) for part in settings.model.parts}
    of_parts = {part: each.model.config for part, each in tokenizers.items()}
    config = TalkerModel(NAME, STARTERS[starter].licence, settings.model, of_parts)
    networks = config.build()
    networks.talker.load_state_dict(load_file(out / "talker" / RESULT))
    statistics: dict[str, Tensor] = {}
    for part, each in tokenizers.items():
        networks.tokenizers[part].load_state_dict(each.model.state_dict())
        statistics |= {f"{part}.mean": each.mean, f"{part}.std": each.std}
    directory = out / "checkpoint"
    unmeasured = Checkpoint(config, networks.eval().requires_grad_(False), statistics)
    checkpoints.save(unmeasured, directory)
    checkpoints.save(replace(unmeasured, card=_card(out, directory, settings, starter)), directory)
    return directory


def _card(out: Path, directory: Path, settings: TrainTalker, starter: str) -> str:
    versions = json.loads((out / "talker" / "versions.json").read_text())
    folder = files("cospeech.recipes")
    networks = checkpoints.load(directory).networks
    return Template((folder / "starter_mambatalk_card.md").read_text(encoding="utf-8")).substitute(
        name=NAME,
        starter=starter,
        data=(folder / STARTERS[starter].data).read_text(encoding="utf-8").strip(),
        parameters=f"{sum(p.numel() for p in networks.parameters()) / 1e6:.1f} million",
        steps=settings.training.steps,
        machine=f"Trained on {versions['device']}.",
        measures=measures(directory),
    )
