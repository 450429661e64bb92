"""What every corpus reader yields, and how the packed corpora are stored."""

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cospeech.errors import DataError
from cospeech.motion import Motion
from cospeech.speech import Speech


@dataclass(frozen=True)
class Caption:
    text: str
    source: str  # who wrote it: a recipe may drop captions whose licence it cannot carry


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of a corpus: motion, speech or both.

    Args:
        id: Unique over all corpora: "corpus/clip".
        split: train, val or test.
        motion: None for speech alone.
        speech: None for motion alone; as long as the motion where there are both.
        licence: Name of the licence the data is under.
        has: What is recorded: of "upper", "hands", "lower", "face", "speech". The rest of `motion` is at rest.
        tags: Facts by which recipes may leave clips out, such as "scenery" (climbing on things nobody sees).
    """

    id: str
    split: str
    motion: Motion | None
    speech: Speech | None
    captions: tuple[Caption, ...]
    licence: str
    has: frozenset[str]
    tags: frozenset[str] = frozenset()


def read_packed(motions: Path, labels: Path) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """A corpus packed end to end: the arrays of an npz file, and one JSON object a clip from a text file.

    Each label has the `id` of a clip among the `clip_names`, whose frames lie from `clip_start`, `clip_len` long.
    """
    try:
        clips = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
        with motions.open("rb") as file, np.load(file, allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
        missing = {clip["id"] for clip in clips} - set(arrays["clip_names"].tolist())
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{motions.parent}: cannot read {motions.name} and {labels.name}: {error}. "
            "Name the folder of the packed corpus."
        ) from None
    if missing:
        raise DataError(
            f"{labels}: tells of {len(missing)} clips that {motions.name} lacks, such as {min(missing)}. "
            "Take both files from the same version of the corpus."
        )
    return arrays, clips
