"""Do sentences find their motions? A text-motion space measured by the protocols of its paper, see `metrics.retrieval`.

python -m cospeech.recipes.retrieval runs/tmr store --similar all-MiniLM-L6-v2
python -m cospeech.recipes.retrieval syntalker-t store --split test
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tyro.conf import arg

from cospeech import positions
from cospeech.data.store import Store
from cospeech.data.stored import StoredClip
from cospeech.errors import DataError
from cospeech.metrics import retrieval
from cospeech.models.minilm import MiniLM
from cospeech.motion import Motion
from cospeech.pipeline import load_pipeline
from cospeech.recipes import command
from cospeech.recipes.tmr import MOTION_ENCODER, Space
from cospeech.sentences import Sentences

Embed = tuple[Callable[[StoredClip | Motion], np.ndarray], Callable[[str], np.ndarray]]  # of a motion, of a sentence


def measure(
    model: Annotated[Path, arg(metavar="MODEL")],
    store: Annotated[Path, arg(metavar="STORE")],
    /,
    split: str = "test",
    similar: Path | None = None,
) -> None:
    """Print recall and median rank, both ways, in every protocol. The first caption of each clip is its sentence.

    Args:
        model: The run of a `cospeech train tmr`, or a checkpoint that reads text.
        store: Clips with captions.
        split: Which of them: train, val or test.
        similar: Folder of a sentence encoder in the format of sentence-transformers: adds the two protocols that have
            to know which sentences are alike.
    """
    of_clip, of_text = load(model)
    clips = [clip for clip in Store(store).clips(split) if clip.info.captions]
    if not clips:
        raise DataError(f"{store}: no clip of the split {split} has a caption.")
    texts = [clip.info.captions[0] for clip in clips]
    motions = np.stack([of_clip(clip) for clip in track(clips, "motions")])
    sentences = np.stack([of_text(text) for text in track(texts, "sentences")])
    alike = _alike(similar, texts)
    table = Table("protocol", "", *retrieval.recalls(np.zeros(1)), title=f"{model}: {len(clips)} pairs")
    for protocol, ways in retrieval.protocols(motions, sentences, alike).items():
        for way, values in ways.items():
            table.add_row(protocol, way, *(f"{value:.2f}" for value in values.values()))
    Console().print(table)


def load(model: Path) -> Embed:
    """The encoders of either."""
    return trained(model) if (model / MOTION_ENCODER).is_file() else published(model)


def trained(run: Path) -> Embed:
    """The encoders that a training of `recipes.tmr` left."""
    space = Space.load(run)
    sentences = Sentences(space.text_encoder, space.word_pieces)

    def of_clip(clip: StoredClip | Motion) -> np.ndarray:
        normal = space.normalised(positions.vectors(clip.poses, clip.translation))
        return space.motion_encoder(normal[None]).mean[0].numpy()

    return of_clip, lambda text: sentences(text).numpy()


def published(model: Path) -> Embed:
    """Those of an imported system T."""
    pipeline, sentences = load_pipeline(model), Sentences.load(model)
    return lambda clip: pipeline.style_of(positions.vectors(clip.poses, clip.translation)), lambda text: sentences(
        text
    ).numpy()


def _alike(folder: Path | None, texts: Sequence[str]) -> np.ndarray | None:
    """(N, N), 1 for the same and 0 for sentences that have nothing in common, as the paper scales it."""
    if folder is None:
        return None
    embedded = MiniLM.load(folder)(texts)
    return (embedded @ embedded.T + 1) / 2


if __name__ == "__main__":
    command.run(measure)
