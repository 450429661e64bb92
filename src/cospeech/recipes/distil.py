"""Train the small sentence encoder of the starters: to find alike what a large one finds alike [1].

And to tell left from right, which the large one hardly does, and what asks for a motion from what does not.

[1] Park et al. 2019, Relational knowledge distillation, arXiv:1904.05068
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cospeech.config import load_json
from cospeech.data import actions, everyday
from cospeech.data.store import Store
from cospeech.errors import CheckpointError
from cospeech.formats.output import replacing
from cospeech.models.minilm import MiniLM
from cospeech.models.sentence import SentenceConfig, SentenceEncoder
from cospeech.recipes.loop import Run, Training

SAME, OTHER = 0.95, 0.5  # how alike sentences are that ask for the same, at least, and for different things, at most
EVERYDAY = 4000
RESULT = "sentences.safetensors"


@dataclass(frozen=True)
class Distil:
    """Args:
    teacher: Folder of a sentence encoder in the format of sentence-transformers, such as all-MiniLM-L6-v2.
    store: Whose captions are read besides those of all actions.
    """

    teacher: Path
    store: Path
    training: Training
    model: SentenceConfig = field(default_factory=SentenceConfig)
    held_out: float = 0.1  # share of the sentences that are not learned from but measured on


class Text(NamedTuple):
    text: str
    asks: str  # what for: an action, "" where nobody knows which, or "nothing"


def texts(store: Path) -> list[Text]:
    """Every caption, and as many sentences that ask for nothing; in an order that does not change."""
    known = {caption.text: caption.action for caption in actions.captions()}
    for info in Store(store).infos:
        for caption in info.captions:
            known.setdefault(caption, "")
    talk = everyday.sentences(np.random.default_rng(0))
    for _ in range(EVERYDAY):
        known.setdefault(next(talk), "nothing")
    return [Text(text, asks) for text, asks in sorted(known.items())]


def train(config: Distil, directory: Path) -> None:
    corpus = texts(config.store)
    learned, _ = divided(corpus, config.held_out)
    teacher = torch.from_numpy(MiniLM.load(config.teacher)([each.text for each in learned]))
    run = Run(directory, config, config.training, lambda: SentenceEncoder(config.model))
    for _ in run.steps():
        rng = np.random.default_rng(run.key())
        chosen = rng.choice(len(learned), min(config.training.batch_size, len(learned)), replace=False)
        batch = [learned[i] for i in chosen]
        found = run.model([spoiled(each.text, rng) for each in batch])
        wanted, known = alike(teacher[chosen], [each.asks for each in batch])
        apart = (found.style @ found.style.mT - wanted.to(run.device)).square()
        relation = apart[known.to(run.device)].mean()
        asks = torch.tensor([float(each.asks != "nothing") for each in batch], device=run.device)
        motion = F.binary_cross_entropy_with_logits(found.motion, asks)
        run.update(relation + 0.1 * motion, relation=relation, motion=motion)

    if run.fabric.is_global_zero:
        run.plain.load_state_dict(run.averaged())
        with replacing(directory / RESULT) as path:
            save_file(run.plain.cpu().state_dict(), path)


def load(run: Path) -> SentenceEncoder:
    """The encoder that a training left in its run directory."""
    encoder = SentenceEncoder(load_json(Distil, run / "config.json").model)
    try:
        encoder.load_state_dict(load_file(run / RESULT))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{run}: holds no finished sentence encoder ({error}). Train it first.") from error
    return encoder


def divided(corpus: Sequence[Text], held_out: float) -> tuple[list[Text], list[Text]]:
    """Sentences to learn from, and sentences to measure on."""
    out = np.random.default_rng(1).random(len(corpus)) < held_out
    return [t for t, o in zip(corpus, out, strict=True) if not o], [t for t, o in zip(corpus, out, strict=True) if o]


def alike(teacher: Tensor, asks: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(B, B) how alike sentences are to be, and which pairs count: all but each with itself."""
    wanted = teacher @ teacher.mT
    names = np.array(asks)
    of_action = (names != "") & (names != "nothing")
    both = torch.from_numpy(of_action[:, None] & of_action)
    same = torch.from_numpy(names[:, None] == names)
    wanted = torch.where(both & same, wanted.clamp(min=SAME), wanted)
    wanted = torch.where(both & ~same, wanted.clamp(max=OTHER), wanted)
    return wanted, ~torch.eye(len(names), dtype=torch.bool)


def spoiled(text: str, rng: np.random.Generator) -> str:
    """The sentence, now and then with a slip of the fingers."""
    if len(text) < 4 or rng.random() > 0.1:
        return text
    at = int(rng.integers(len(text) - 1))
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :] if rng.random() < 0.5 else text[:at] + text[at + 1 :]
