"""The words of a store and their vectors, for denoisers that read words.

    python -m cospeech.recipes.vocabulary beat2.store cc.en.300.vec --out words

Rows 0 to 3 of the table are those of every published one: padding, which is what a pause is here, start, end, and
whatever is not known. A folder holds `vocabulary.json` (word -> row) and `vectors.safetensors`.

[1] Bojanowski et al. 2017, Enriching word vectors with subword information, arXiv:1607.04606: fastText, whose files of
    vectors have a line for each word, after one that tells how many there are and of how many numbers
"""

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cospeech.data.store import Store
from cospeech.errors import DataError
from cospeech.formats.output import replacing
from cospeech.recipes import command
from cospeech.text import PAD, PAUSE, UNKNOWN


class Words(NamedTuple):
    rows: dict[str, int]  # word -> row
    vectors: Tensor  # (V, D)


def load(folder: Path) -> Words:
    try:
        rows = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        vectors = load_file(folder / "vectors.safetensors")["vectors"]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise DataError(f"{folder}: holds no vocabulary ({error}). `cospeech.recipes.vocabulary` makes one.") from error
    return Words(rows, vectors)


def make(store: Path, vectors: Path | None = None, /, *, out: Path, width: int = 300, least: int = 1) -> Words:
    """Collect the words of a store's training clips and give each a vector.

    Args:
        store: Clips with words.
        vectors: Text file of fastText vectors. Words that it lacks, and all words without it, get random ones: normal
            with a variance of 1 / width, as the published tables give the rows that are no words.
        out: Folder to write.
        width: Numbers of a vector, where there is no file that tells.
        least: How often a word has to be said.
    """
    said = Counter(
        word.text for clip in Store(store).infos if clip.split == "train" for word in clip.words if not word.is_pause
    )
    words = sorted(word for word, count in said.items() if count >= least)
    if not words:
        raise DataError(f"{store}: no training clip has words.")
    found = _read(vectors, set(words)) if vectors else {}
    width = len(next(iter(found.values()))) if found else width
    rng = np.random.default_rng(0)
    table = rng.normal(scale=width**-0.5, size=(UNKNOWN + 1 + len(words), width)).astype(np.float32)
    rows = {PAUSE: PAD} | {word: row for row, word in enumerate(words, start=UNKNOWN + 1)}
    for word, vector in found.items():
        table[rows[word]] = vector
    made = Words(rows, torch.from_numpy(table))
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "vectors.safetensors") as path:
        save_file({"vectors": made.vectors}, path)
    with replacing(out / "vocabulary.json") as path:
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=0), encoding="utf-8")
    of_file = f"{len(found)} of them with vectors of {vectors}" if vectors else "all with random vectors"
    print(f"{out}: {len(words)} words, {of_file}")
    return made


def _read(path: Path, wanted: set[str]) -> dict[str, np.ndarray]:
    """Word -> (D,) of the wanted words that the file has, or has in small letters."""
    found: dict[str, np.ndarray] = {}
    small: dict[str, list[str]] = {}
    for word in wanted:
        small.setdefault(word.lower(), []).append(word)
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            header = next(lines, "").split()
            if len(header) != 2 or not header[1].isdigit():
                raise ValueError("its first line is not how many words there are, and of how many numbers")
            width = int(header[1])
            for line in lines:
                word, _, numbers = line.partition(" ")
                if word not in wanted and word not in small:
                    continue
                vector = np.array(numbers.split(), np.float32)
                if vector.shape != (width,) or not np.isfinite(vector).all():
                    raise ValueError(f"the vector of {word[:40]!r} is not {width} numbers")
                for each in small.get(word, ()):
                    found.setdefault(each, vector)
                if word in wanted:
                    found[word] = vector
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as word vectors: {error}.") from None
    return found


if __name__ == "__main__":
    command.run(make)
