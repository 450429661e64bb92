"""Words with times: Praat TextGrid files in and out, and the word of every motion frame."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from cospeech.errors import DataError

# The first rows of every published word table. A pause is the empty word and has a row of its own.
PAD, START, END, UNKNOWN = range(4)
PAUSE = ""

# All that counts in a TextGrid, long or short: free-standing numbers, flags, and strings with doubled quotes.
# The long format's names ("xmin =", "intervals [3]:") are comments to Praat as well.
_TOKEN = re.compile(r'"(?:[^"]|"")*"|<[^>\s]*>|(?<!\S)[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\S)')


@dataclass(frozen=True)
class Word:
    """A word as spoken, from `start_s` to `end_s` seconds into the recording."""

    text: str
    start_s: float
    end_s: float

    @property
    def is_pause(self) -> bool:
        return not self.text.strip()

    def __post_init__(self) -> None:
        if not 0 <= self.start_s <= self.end_s < float("inf"):
            raise DataError(f"The word {self.text!r} cannot last from {self.start_s:g} to {self.end_s:g} s.")


def read_words(path: Path) -> tuple[Word, ...]:
    """The words of a TextGrid in Praat's long or short text format, UTF-8 or UTF-16; a pause is a word without text.

    They are taken from the interval tier named "words" ("speaker - words" counts), else from the first, as they stand,
    with their spaces.
    """
    tiers = read_tiers(path)
    name = next((name for name in tiers if name.lower().split(" - ")[-1] == "words"), next(iter(tiers)))
    words = tuple(tiers[name])
    if sum(" " in word.text.strip() for word in words) > sum(not word.is_pause for word in words) / 2:
        raise DataError(f'{path}: no TextGrid with words: its tier "{name}" holds sentences: align them first.')
    return words


def read_tiers(path: Path) -> dict[str, list[Word]]:
    """All interval tiers of a TextGrid by name, at least one, pauses included. Formats as in `read_words`."""
    text = read_text(path, "TextGrid")
    try:
        tiers = _interval_tiers(text)
        if not tiers:
            raise DataError("it has no interval tier")
        return tiers
    except (DataError, ValueError, StopIteration) as error:
        reason = str(error).rstrip(".") or "it ends in the middle"
        raise DataError(f"{path}: not a Praat TextGrid with words: {reason}.") from None


def read_text(path: Path, kind: str = "text") -> str:
    """A text file in UTF-8, or in UTF-16 with its mark. `kind` is what an error calls it."""
    try:
        raw = Path(path).read_bytes()
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a {kind} in UTF-8 or UTF-16. Save it as a plain text file.") from None


def write_words(path: Path, words: Sequence[Word], duration_s: float) -> None:
    """Write a TextGrid with one tier "words", as `write_tiers` does."""
    write_tiers(path, {"words": words}, duration_s)


def write_tiers(path: Path, tiers: Mapping[str, Sequence[Word]], duration_s: float) -> None:
    """Write a TextGrid in Praat's long format, UTF-8: tiers by name, each from 0 to `duration_s`, pauses empty.

    The words, or phones, of a tier may not overlap. Times are written to a microsecond.
    """
    for words in tiers.values():
        for before, word in pairwise(words):
            if word.start_s < before.end_s:
                raise DataError(
                    f"The word {word.text!r} at {word.start_s:g} s begins before the one in front of it ends."
                )
    end_s = max([duration_s, *(words[-1].end_s for words in tiers.values() if words)])
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end_s:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for tier, (name, words) in enumerate(tiers.items(), start=1):
        intervals = with_pauses(words, end_s)
        lines += [
            f"    item [{tier}]:",
            '        class = "IntervalTier"',
            f'        name = "{name}"',
            "        xmin = 0",
        ]
        lines += [f"        xmax = {end_s:.6f}", f"        intervals: size = {len(intervals)}"]
        for number, interval in enumerate(intervals, start=1):
            mark = interval.text.replace('"', '""')
            lines += [f"        intervals [{number}]:", f"            xmin = {interval.start_s:.6f}"]
            lines += [f"            xmax = {interval.end_s:.6f}", f'            text = "{mark}"']
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def word_indices(words: Sequence[Word], num_frames: int, fps: float, vocabulary: Mapping[str, int]) -> np.ndarray:
    """The vocabulary index of what is being said at every frame, (num_frames,) int64.

    Frame t looks at the time t / fps and takes the first of the words that hold it; both their ends count. A pause is
    looked up as the empty word, a word that consists of one space is `PAD`, what the vocabulary lacks is `UNKNOWN`, and
    so is what neither word nor pause covers. A recording without words is all `PAD`, as in training.

    Source: the published loaders of SynTalker and MambaTalk, which do not change case or punctuation.
    """
    if not words:
        return np.full(num_frames, PAD, np.int64)
    times = np.arange(num_frames) / fps
    indices = np.full(num_frames, UNKNOWN, np.int64)
    for word in reversed(words):  # so that the first of several has the last say
        inside = slice(np.searchsorted(times, word.start_s, "left"), np.searchsorted(times, word.end_s, "right"))
        indices[inside] = PAD if word.text == " " else vocabulary.get(word.text, UNKNOWN)
    return indices


def with_pauses(words: Sequence[Word], duration_s: float) -> list[Word]:
    """The same words, which may overlap, with a `PAUSE` wherever nothing is said, up to `duration_s` at least."""
    intervals: list[Word] = []
    end_s = 0.0
    for word in words:
        if word.start_s > end_s:
            intervals.append(Word(PAUSE, end_s, word.start_s))
        intervals.append(word)
        end_s = max(end_s, word.end_s)
    if end_s < duration_s or not intervals:
        intervals.append(Word(PAUSE, end_s, max(end_s, duration_s)))
    return intervals


def _interval_tiers(text: str) -> dict[str, list[Word]]:
    """All interval tiers by name, pauses included. The first of two tiers of one name counts."""
    tokens = iter(_TOKEN.findall(text))
    if '"TextGrid"' not in (next(tokens), next(tokens)):
        raise ValueError("it does not begin as one")
    next(tokens), next(tokens), next(tokens)  # start, end, <exists>
    tiers: dict[str, list[Word]] = {}
    for _ in range(int(next(tokens))):
        kind, name = _string(next(tokens)), _string(next(tokens))
        next(tokens), next(tokens)  # start, end
        size = int(next(tokens))
        if kind == "IntervalTier":
            intervals = []
            for _ in range(size):
                start, end, mark = next(tokens), next(tokens), next(tokens)
                intervals.append(Word(_string(mark), float(start), float(end)))
            tiers.setdefault(name, intervals)
        else:
            for _ in range(2 * size):  # points: time, mark
                next(tokens)
    return tiers


def _string(token: str) -> str:
    if not token.startswith('"'):
        raise ValueError(f"a text was expected where {token} stands")
    return token[1:-1].replace('""', '"')
