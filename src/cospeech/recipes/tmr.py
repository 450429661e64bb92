"""Train a space of motions and sentences, TMR [1], with the settings that SynTalker's was trained with [2].

A run ends with `motion_encoder.safetensors`, `text_encoder.safetensors` (averaged weights), `statistics.safetensors`
and `word_pieces.txt` in its directory; `recipes.retrieval` measures it.

[1] Petrovich et al. 2023, arXiv:2305.00976   [2] Chen et al. 2024, SynTalker, arXiv:2410.00464, section 3.2
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cospeech import checkpoint, positions
from cospeech.config import load_json
from cospeech.data.store import Store
from cospeech.errors import CheckpointError, DataError
from cospeech.formats.output import replacing
from cospeech.models import tmr
from cospeech.models.tmr import MotionDecoder, MotionEncoder, TextEncoder, TmrConfig
from cospeech.recipes import distil
from cospeech.recipes.loop import Run, Training
from cospeech.word_pieces import Pieces

MOTION_ENCODER, TEXT_ENCODER = "motion_encoder.safetensors", "text_encoder.safetensors"
STATISTICS = "statistics.safetensors"
FILES = (MOTION_ENCODER, TEXT_ENCODER, STATISTICS, checkpoint.WORD_PIECES)  # of a finished run


@dataclass(frozen=True)
class TrainTmr:
    """Args:
    store: Clips with captions.
    distilbert: Folder or hub id of `distilbert-base-uncased`: model.safetensors and vocab.txt.
    similar: Folder or hub id of a sentence encoder in the format of sentence-transformers, such as all-MiniLM-L6-v2:
        captions that it finds more alike than `alike` are no negatives of each other. None: only equal ones are not.
    """

    store: Path
    distilbert: Path
    training: Training
    similar: Path | None = None
    model: TmrConfig = field(default_factory=TmrConfig)
    shortest: int = 40  # frames; longer clips are cut at random to `longest`
    longest: int = 300
    reconstruction: float = 1.0  # weights of the losses
    divergence: float = 1e-5
    latent: float = 1e-5
    contrast: float = 0.1
    temperature: float = 0.1
    alike: float = 0.85


class Item(NamedTuple):
    vectors: np.ndarray  # (T, 623) normalised
    captions: tuple[str, ...]


class Batch(NamedTuple):
    motion: Tensor  # (B, T, 623), zero where padded
    valid: Tensor  # (B, T) bool
    pieces: Tensor  # (B, L)
    read: Tensor  # (B, L) bool
    same: Tensor  # (B, B) bool: captions that say the same


def train(config: TrainTmr, directory: Path) -> None:
    distilbert = checkpoint.folder(config.distilbert, ["model.safetensors", "vocab.txt"])
    word_pieces = checkpoint.read_word_pieces(distilbert / "vocab.txt", config.model)
    language = _language(distilbert, config.model)
    items, mean, std = clips(config)
    similarity = _similarity(config, items)
    split = Pieces(word_pieces, config.model.text.max_pieces)

    run = Run(directory, config, config.training, lambda: _TrainingStep(config, language))
    for _ in run.steps():
        batch = draw(items, config, split, similarity, *run.key())
        losses = run.model(*(tensor.to(run.device) for tensor in batch))
        run.update(losses["loss"], **{name: loss for name, loss in losses.items() if name != "loss"})

    if run.fabric.is_global_zero:
        step = run.plain.cpu().eval()
        step.load_state_dict(run.averaged())
        for name, network in ((MOTION_ENCODER, step.motion_encoder), (TEXT_ENCODER, step.text_encoder)):
            with replacing(directory / name) as path:
                save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, path)
        with replacing(directory / STATISTICS) as path:
            save_file({"mean": torch.from_numpy(mean), "std": torch.from_numpy(std)}, path)
        with replacing(directory / checkpoint.WORD_PIECES) as path:
            shutil.copy(distilbert / "vocab.txt", path)
    run.fabric.barrier()  # nobody reads what is not written yet


class _TrainingStep(nn.Module):
    """All that has gradients in one forward, as data-parallel wrappers want it."""

    def __init__(self, config: TrainTmr, language: dict[str, Tensor]):
        super().__init__()
        self.config = config
        self.motion_encoder = MotionEncoder(config.model)
        self.text_encoder = TextEncoder(config.model)
        self.text_encoder.language.load_state_dict(language)
        self.text_encoder.language.requires_grad_(False)
        self.decoder = MotionDecoder(config.model)

    def forward(self, motion: Tensor, valid: Tensor, pieces: Tensor, read: Tensor, same: Tensor) -> dict[str, Tensor]:
        of_motion, of_text = self.motion_encoder(motion, valid), self.text_encoder(pieces, read)
        config, drawn = self.config, [tmr.sample(gaussian) for gaussian in (of_motion, of_text)]
        rebuilt = [_rebuilding(self.decoder(each, valid), motion, valid) for each in drawn]
        losses = {
            "motion_to_motion": rebuilt[0],
            "text_to_motion": rebuilt[1],
            "divergence": tmr.divergence(of_motion, of_text) + tmr.divergence(of_text, of_motion),
            "latent": F.smooth_l1_loss(drawn[1], drawn[0]),
            "contrast": tmr.contrast(of_motion.mean, of_text.mean, same, config.temperature),
        }
        weights = (config.reconstruction, config.reconstruction, config.divergence, config.latent, config.contrast)
        loss = sum(weight * each for weight, each in zip(weights, losses.values(), strict=True))
        return {"loss": loss, **losses}


def _rebuilding(made: Tensor, motion: Tensor, valid: Tensor) -> Tensor:
    """Smooth L1 over the frames that are there."""
    return F.smooth_l1_loss(made[valid], motion[valid])


@dataclass(frozen=True, eq=False)
class Space:
    """What a training left in its run directory."""

    config: TmrConfig
    motion_encoder: MotionEncoder
    text_encoder: TextEncoder
    mean: Tensor  # (623,)
    std: Tensor  # (623,)
    word_pieces: list[str]

    @classmethod
    def load(cls, run: Path) -> "Space":
        config = load_json(TrainTmr, run / "config.json").model
        networks = {MOTION_ENCODER: MotionEncoder(config), TEXT_ENCODER: TextEncoder(config)}
        try:
            for name, network in networks.items():
                network.load_state_dict(load_file(run / name))
                network.eval().requires_grad_(False)
            statistics = load_file(run / STATISTICS)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"{run}: holds no finished space of motions ({error}). Train it first.") from error
        pieces = checkpoint.read_word_pieces(run / checkpoint.WORD_PIECES, config)
        return cls(config, *networks.values(), statistics["mean"], statistics["std"], pieces)

    def normalised(self, vectors: np.ndarray) -> Tensor:
        """(T, 623)."""
        return ((torch.from_numpy(vectors) - self.mean) / self.std).float()


def clips(config: TrainTmr) -> tuple[list[Item], np.ndarray, np.ndarray]:
    """Captioned clips as normalised vectors, and the mean and standard deviation (623,) of all their frames."""
    found = []
    for clip in Store(config.store).clips("train"):
        for version in (clip, clip.mirrored()):
            if version.info.captions and len(version.poses) > config.shortest:
                vectors = positions.vectors(version.poses, version.translation)
                found.append(Item(vectors, version.info.captions))
    if not found:
        raise DataError(f"{config.store}: no clip of {config.shortest} frames or more has a caption.")
    frames = np.concatenate([item.vectors for item in found])
    mean, std = frames.mean(axis=0), frames.std(axis=0).clip(1e-3)
    return [Item((item.vectors - mean) / std, item.captions) for item in found], mean, std


def draw(items: Sequence[Item], config: TrainTmr, split: Pieces, similarity: dict | None, *key: int) -> Batch:
    """A batch of different clips, each with one of its captions; the same key gives the same."""
    rng = np.random.default_rng(key)
    size = min(config.training.batch_size, len(items))
    chosen = [items[i] for i in rng.choice(len(items), size, replace=False)]
    texts = [str(rng.choice(item.captions)) for item in chosen]
    motions = []
    for item in chosen:
        length = min(len(item.vectors), config.longest) // 4 * 4
        start = int(rng.integers(len(item.vectors) - length + 1))
        motions.append(torch.from_numpy(item.vectors[start : start + length]).float())
    motion = nn.utils.rnn.pad_sequence(motions, batch_first=True)
    valid = torch.arange(motion.shape[1]) < torch.tensor([len(each) for each in motions])[:, None]
    if similarity is None:
        same = np.array([[a == b for b in texts] for a in texts])
    else:
        embedded = np.stack([similarity[text] for text in texts])
        same = embedded @ embedded.T > config.alike
    return Batch(motion, valid, *split(texts), torch.from_numpy(same))


def _language(distilbert: Path, config: TmrConfig) -> dict[str, Tensor]:
    path = distilbert / "model.safetensors"
    try:
        return tmr.rename_distilbert(load_file(path), config)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error}).") from None
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _similarity(config: TrainTmr, items: Sequence[Item]) -> dict[str, np.ndarray] | None:
    """Caption -> unit vector of a sentence encoder."""
    if config.similar is None:
        return None
    encoder = distil.load_teacher(config.similar)
    texts = sorted({caption for item in items for caption in item.captions})
    return dict(zip(texts, encoder(texts), strict=True))
