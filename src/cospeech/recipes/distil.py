"""Train the small sentence encoder of the starters: to find alike what a large one finds alike [1].

And to tell left from right, which the large one hardly does, actions from each other [2], and what asks for a motion
from what does not. What it reads: the captions of actions and clips, everyday sentences, and the words that the large
one knows, by themselves and in short sentences, so that words that no caption has are understood, too.

    python -m cospeech.recipes.distil --run runs/starter/sentences

measures a finished training on the sentences that were kept from it: of a caption's phrase in all its forms.

[1] Park et al. 2019, Relational knowledge distillation, arXiv:1904.05068
[2] Wang et al. 2018, CosFace: Large Margin Cosine Loss for Deep Face Recognition, arXiv:1801.09414, equation 4
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
from torch import Tensor, nn

from cospeech import checkpoint
from cospeech.config import load_json
from cospeech.data import actions, everyday
from cospeech.data.store import Store
from cospeech.errors import CheckpointError
from cospeech.formats.output import replacing
from cospeech.models.minilm import CONFIG, MiniLM
from cospeech.models.sentence import SentenceConfig, SentenceEncoder
from cospeech.recipes import command
from cospeech.recipes.loop import Run, Training

SAME, OTHER = 0.95, 0.5  # how alike sentences are that ask for the same, at least, and for different things, at most
SHARPNESS, MARGIN, APART = 16.0, 0.2, 0.1  # s and m of [2], and weight of that loss
EVERYDAY = 10_000  # tries; many are equal
NOTHING = "nothing"
STRANGE, RELATED = (
    0.35,
    0.6,
)  # how alike a word's sentence is to a caption: below it asks for nothing, above for a motion
WORD_SENTENCES = ("a person {}s", "someone {}s slowly", "{} forward", "{} the hand", "{} with both arms", "start to {}")
RESULT = "sentences.safetensors"


@dataclass(frozen=True)
class Distil:
    """Args:
    teacher: Folder or hub id of a sentence encoder in the format of sentence-transformers, such as all-MiniLM-L6-v2.
    store: Whose captions are read besides those of all actions.
    """

    teacher: Path
    store: Path
    training: Training
    model: SentenceConfig = field(default_factory=SentenceConfig)
    vocabulary: int = 12_000  # the most frequent words of the teacher, which are read, too
    held_out: float = 0.1  # share of the phrases that are not learned from but measured on


class Text(NamedTuple):
    text: str
    asks: str  # what for: an action, "" where nobody knows which, or NOTHING
    phrase: str  # sentences made of the same one are learned from together or not at all


def texts(store: Path) -> list[Text]:
    """Every caption, and sentences that ask for nothing; in an order that does not change."""
    known = {caption.text: Text(caption.text, caption.action, caption.phrase) for caption in actions.captions()}
    for info in Store(store).infos:
        for caption in info.captions:
            known.setdefault(caption, Text(caption, "", caption))
    talk = everyday.sentences(np.random.default_rng(0))
    for _ in range(EVERYDAY):
        text = next(talk)
        known.setdefault(text, Text(text, NOTHING, text))
    return sorted(known.values())


def of_words(vocabulary: Sequence[str], most: int) -> list[str]:
    """Each of the most frequent words by itself and in a sentence; the order is that of a BERT's vocabulary."""
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2][:most]
    return [
        text for n, word in enumerate(words) for text in (word, WORD_SENTENCES[n % len(WORD_SENTENCES)].format(word))
    ]


class Learned(NamedTuple):
    """What is learned from. Axes: N sentences, D numbers of the teacher."""

    texts: list[Text]
    teacher: Tensor  # (N, D) unit vectors
    asks: Tensor  # (N,) 1: for a motion, 0: for none, nan: nobody knows
    action: Tensor  # (N,) number of the action that is asked for, -1: for none or nobody knows
    captions: int  # the first so many are no sentences of words


def learned(config: Distil) -> Learned:
    corpus, _ = divided(texts(config.store), config.held_out)
    teacher = load_teacher(config.teacher)
    words = [Text(text, "", text) for text in of_words(teacher.vocabulary, config.vocabulary)]
    vectors = torch.from_numpy(teacher([each.text for each in [*corpus, *words]]))
    asks = torch.tensor([float(each.asks != NOTHING) for each in corpus])
    nearest = (vectors[len(corpus) :] @ vectors[: len(corpus)][asks > 0].mT).max(dim=1).values
    of_word = torch.full((len(words),), torch.nan)
    of_word[nearest < STRANGE], of_word[nearest > RELATED] = 0.0, 1.0
    names = {name: number for number, name in enumerate(actions.ACTIONS)}
    action = torch.tensor([names.get(each.asks, -1) for each in [*corpus, *words]])
    return Learned([*corpus, *words], vectors, torch.cat([asks, of_word]), action, len(corpus))


def train(config: Distil, directory: Path) -> None:
    data = learned(config)
    run = Run(directory, config, config.training, lambda: _Student(config.model))
    half = config.training.batch_size // 2
    for _ in run.steps():
        rng = np.random.default_rng(run.key())
        chosen = rng.choice(data.captions, min(half, data.captions), replace=False)
        if data.captions < len(data.texts):
            chosen = np.concatenate([chosen, rng.integers(data.captions, len(data.texts), half)])
        batch = [data.texts[i] for i in chosen]
        teacher, asks, action = (each[chosen].to(run.device) for each in (data.teacher, data.asks, data.action))
        style, motion, meaning, cosines = run.model([spoiled(each.text, rng) for each in batch])
        wanted, counts = alike(teacher, [each.asks for each in batch])
        relation = (style @ style.mT / config.model.style_dim - wanted)[counts].square().mean()
        known = ~asks.isnan()
        motion = F.binary_cross_entropy_with_logits(motion[known], asks[known])
        meaning = 1 - (meaning * teacher).sum(dim=1).mean()
        apart = _apart(cosines[action >= 0], action[action >= 0])
        loss = relation + 0.1 * motion + 0.3 * meaning + APART * apart
        run.update(loss, relation=relation, motion=motion, meaning=meaning, apart=apart)

    if run.fabric.is_global_zero:
        run.plain.load_state_dict(run.averaged())
        with replacing(directory / RESULT) as path:
            save_file(run.plain.encoder.cpu().state_dict(), path)
    run.fabric.barrier()  # nobody reads what is not written yet


class _Student(nn.Module):
    """The encoder, and what helps it to learn: to say what the teacher would, and which action is meant."""

    def __init__(self, config: SentenceConfig):
        super().__init__()
        self.encoder = SentenceEncoder(config)
        self.meaning = nn.Linear(config.width, CONFIG.width)
        self.actions = nn.Linear(config.style_dim, len(actions.ACTIONS), bias=False)

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Style (N, S), asks for a motion (N,), what the teacher would say (N, D), cosines to actions (N, A)."""
        encoded = self.encoder.encode(texts)
        style, motion = self.encoder.read(encoded)
        cosines = F.normalize(style, dim=1) @ F.normalize(self.actions.weight, dim=1).mT
        return style, motion, F.normalize(self.meaning(encoded), dim=1), cosines


def load_teacher(name_or_path: Path) -> MiniLM:
    """The large encoder of a folder or hub id."""
    return MiniLM.load(checkpoint.folder(name_or_path, ["model.safetensors", "tokenizer.json"]))


def load(run: Path) -> SentenceEncoder:
    """The encoder that a training left in its run directory."""
    encoder = SentenceEncoder(load_json(Distil, run / "config.json").model)
    try:
        encoder.load_state_dict(load_file(run / RESULT))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{run}: holds no finished sentence encoder ({error}). Train it first.") from error
    return encoder.eval().requires_grad_(False)


def divided(corpus: Sequence[Text], held_out: float) -> tuple[list[Text], list[Text]]:
    """Sentences to learn from, and sentences to measure on."""
    rng = np.random.default_rng(1)
    out = {phrase: rng.random() < held_out for phrase in sorted({each.phrase for each in corpus})}
    return [t for t in corpus if not out[t.phrase]], [t for t in corpus if out[t.phrase]]


def alike(teacher: Tensor, asks: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(B, B) how alike sentences are to be, and which pairs count: all but each with itself."""
    wanted = teacher @ teacher.mT
    names = np.array(asks)
    of_action = (names != "") & (names != NOTHING)
    both = torch.from_numpy(of_action[:, None] & of_action).to(wanted.device)
    same = torch.from_numpy(names[:, None] == names).to(wanted.device)
    wanted = torch.where(both & same, wanted.clamp(min=SAME), wanted)
    wanted = torch.where(both & ~same, wanted.clamp(max=OTHER), wanted)
    return wanted, ~torch.eye(len(names), dtype=torch.bool, device=wanted.device)


def _apart(cosines: Tensor, action: Tensor) -> Tensor:
    """The loss of [2]: sentences (N, A cosines) are nearer to their action (N,) than to any other, by a margin."""
    own = F.one_hot(action, cosines.shape[1])
    return F.cross_entropy(SHARPNESS * (cosines - MARGIN * own), action, reduction="sum") / max(len(action), 1)


def spoiled(text: str, rng: np.random.Generator) -> str:
    """The sentence, now and then with a slip of the fingers."""
    if len(text) < 4 or rng.random() > 0.1:
        return text
    at = int(rng.integers(len(text) - 1))
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :] if rng.random() < 0.5 else text[:at] + text[at + 1 :]


class Lost(NamedTuple):
    """What is measured of held-out sentences, of the teacher and of the student."""

    understood: tuple[float, float]  # share of the captions whose nearest learned caption is of the same action
    sided: tuple[float, float]  # share of those of one side whose nearest learned caption is not of the other one
    told: float  # share of the sentences of which the student knows whether they ask for a motion
    apart: float  # mean distance between the student's cosines of two sentences and those it was to learn


def measure(run: Path) -> Lost:
    """Args:
    run: Run directory of a finished training.
    """
    config = load_json(Distil, run / "config.json")
    corpus, kept = divided(texts(config.store), config.held_out)
    corpus = [each for each in corpus if each.asks not in ("", NOTHING)]
    captions = [each for each in kept if each.asks not in ("", NOTHING)]
    teacher, student = load_teacher(config.teacher), load(run)
    found = {}
    for name, embed in (("teacher", teacher), ("student", lambda some: student(some).style.numpy())):
        near = embed([each.text for each in captions]) @ embed([each.text for each in corpus]).T
        found[name] = [corpus[i].asks for i in near.argmax(axis=1)]
    understood, sided = [], []
    for name in ("teacher", "student"):
        pairs = list(zip(captions, found[name], strict=True))
        understood.append(np.mean([each.asks == asks for each, asks in pairs]))
        of_side = [(each.asks, asks) for each, asks in pairs if _other_side(each.asks) != each.asks]
        sided.append(np.mean([asks != _other_side(own) for own, asks in of_side]))
    motion = student([each.text for each in kept]).motion.numpy() > 0
    told = np.mean([asks == (each.asks != NOTHING) for each, asks in zip(kept, motion, strict=True)])
    wanted, counts = alike(torch.from_numpy(teacher([each.text for each in kept])), [each.asks for each in kept])
    style = student([each.text for each in kept]).style
    apart = (style @ style.mT / style.shape[1] - wanted)[counts].abs().mean()
    return Lost(tuple(map(float, understood)), tuple(map(float, sided)), float(told), float(apart))


def _other_side(action: str) -> str:
    swapped = {"left": "right", "right": "left"}
    return "_".join(swapped.get(word, word) for word in action.split("_"))


def show(run: Path) -> None:
    """Print what the small encoder understands, and the large one, of sentences that neither has seen.

    Args:
        run: Run directory of a finished training.
    """
    lost = measure(run)
    print("| held-out sentences | teacher | student |\n|---|---|---|")
    print(f"| nearest caption is of the same action | {lost.understood[0]:.3f} | {lost.understood[1]:.3f} |")
    print(f"| nearest caption is not of the other side | {lost.sided[0]:.3f} | {lost.sided[1]:.3f} |")
    print(f"| knows whether a motion is asked for | | {lost.told:.3f} |")
    print(f"| mean error of cosines | | {lost.apart:.3f} |")


if __name__ == "__main__":
    command.run(show)
