"""BEAT2: speech of named speakers with SMPL-X motion.

Liu et al. 2024, EMAGE, arXiv:2401.00374. Layout of a folder: `smplxflame_30/*.npz`, `wave16k/*.wav`,
`textgrid/*.TextGrid`, files of one take under one stem, and in a whole corpus `train_test_split.csv`, one such folder
for each language. A take without motion gives speech alone.
"""

import csv
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cospeech import prosody, skeleton
from cospeech.data.clips import Clip, Job, pack, words_of
from cospeech.data.stored import SPLITS, StoredClip
from cospeech.errors import DataError
from cospeech.formats import npz
from cospeech.motion import Motion
from cospeech.speech import Speech

LICENCE = "BEAT2: non-commercial, with attribution"
HAS = frozenset({"upper", "hands", "lower", "speech"})  # of the face only the jaw is known
# The one real take that travels with this project is never trained on as a whole: (split, from second, to second).
REAL_MINUTE = "2_scott_0_1_1"
REAL_MINUTE_SPLITS = (("train", 0.0, 48.0), ("test", 52.0, 63.5))
SPLIT_FILE = "train_test_split.csv"
ADDITIONAL = "additional"  # what the split file calls takes that may be trained on, too
FPS = 30
_FOLDERS = ("smplxflame_30", "wave16k")
_APART_S = 5.0  # motion and recording of a take differ by less: the longer one is cut


def clips(folder: str | Path) -> Iterator[Clip]:
    """All takes, in the order of their names; the real minute comes as its train and its test part.

    `face` of the motion holds jawOpen alone, read off the jaw joint (`skeleton.JAW_OPEN_RADIANS`).

    Args:
        folder: With `wave16k` and, for some or all takes, `smplxflame_30` and `textgrid`.
    """
    folder = Path(folder)
    recordings = sorted((folder / "wave16k").glob("*.wav"))
    if not recordings:
        raise DataError(f"{folder}: no wave16k/*.wav in it. Give the folder that holds `wave16k` and `smplxflame_30`.")
    for recording in recordings:
        take = recording.stem
        words = folder / "textgrid" / f"{take}.TextGrid"
        speech = Speech.load(recording, words=words if words.is_file() else ())
        path = folder / "smplxflame_30" / f"{take}.npz"
        if not path.is_file():
            yield Clip(f"beat2/{take}", "train", None, speech, (), LICENCE, frozenset({"speech"}))
            continue
        motion = with_jaw(npz.read(path))
        parts = REAL_MINUTE_SPLITS if take == REAL_MINUTE else (("train", 0.0, motion.duration_s),)
        for split, start_s, end_s in parts:
            heard = speech.cut(start_s, end_s)
            yield Clip(f"beat2/{take}/{split}", split, motion[start_s:end_s], heard, (), LICENCE, HAS)


def with_jaw(motion: Motion) -> Motion:
    """The motion with a face that has jawOpen alone, read off the jaw joint (`skeleton.JAW_OPEN_RADIANS`)."""
    face = motion.shown_face()
    return replace(motion, face=np.zeros((len(motion), len(skeleton.ARKIT)), np.float32) if face is None else face)


# --- whole corpora ----------------------------------------------------------------------------------------------------


class Take(NamedTuple):
    folder: Path
    name: str  # "2_scott_0_1_1": number and name of the speaker, and what they were recorded as
    split: str
    language: str

    @property
    def speaker(self) -> str:
        """Their number in BEAT2, which counts on through all languages."""
        return self.name.partition("_")[0]


def jobs(
    source: Path, languages: Collection[str] = (), speakers: Collection[int] = (), additional: bool = False
) -> list[Job]:
    """The takes of a corpus, as its split file has them.

    Args:
        source: Folder of a language, such as beat_english_v2.0.0, or the one with those folders.
        languages: Of those folders, such as english. Empty: all there are.
        speakers: Their numbers. Empty: all.
        additional: Train on what the split file calls additional, too.

    Raises:
        DataError: there is no such folder or split file, or nothing is left.
    """
    takes = [
        Take(folder, name, "train" if split == ADDITIONAL else split, _language(folder))
        for folder in _language_folders(source, languages)
        for name, split in _rows(folder).items()
        if _is_by(name, speakers) and (additional or split != ADDITIONAL)
    ]
    if not takes:
        whose = f" of the speakers {', '.join(map(str, speakers))}" if speakers else ""
        raise DataError(f"{source}: {SPLIT_FILE} has no takes{whose} for {', '.join(SPLITS)}.")
    return [Job(f"beat2/{take.name}", partial(read, take), take.split) for take in takes]


def notes(
    source: Path, languages: Collection[str] = (), speakers: Collection[int] = (), additional: bool = False
) -> list[str]:
    """Which takes are no jobs although nothing is wrong with them; arguments as of `jobs`."""
    found = []
    for folder in _language_folders(source, languages):
        rows = _rows(folder)
        extra = [name for name, split in rows.items() if split == ADDITIONAL and _is_by(name, speakers)]
        if extra and not additional:
            found.append(f"{folder.name}: takes that are called additional: {_such_as(extra)}; --additional takes them")
        motions = sorted(path.stem for path in (folder / _FOLDERS[0]).glob("*.npz"))
        if unlisted := [name for name in motions if name not in rows and _is_by(name, speakers)]:
            found.append(f"{folder.name}: takes that {SPLIT_FILE} does not list: {_such_as(unlisted)}")
    return found


def _such_as(names: list[str]) -> str:
    return f"{len(names)}, such as {names[0]}"


def _is_by(name: str, speakers: Collection[int]) -> bool:
    return not speakers or name.partition("_")[0] in map(str, speakers)


def _language_folders(source: Path, languages: Collection[str]) -> list[Path]:
    found = [folder for folder in (source, *sorted(source.glob("*"))) if all((folder / n).is_dir() for n in _FOLDERS)]
    if not found:
        raise DataError(f"{source}: neither it nor a folder in it has both {' and '.join(_FOLDERS)}. See docs/data.md.")
    there = {_language(folder) for folder in found}
    if missing := set(languages) - there:
        raise DataError(f"{source}: has no {', '.join(sorted(missing))}. There is {', '.join(sorted(there))}.")
    return [folder for folder in found if not languages or _language(folder) in languages]


def _language(folder: Path) -> str:
    """Of folders such as beat_english_v2.0.0."""
    found = re.fullmatch(r"beat_([a-z]+)_v.*", folder.resolve().name)
    return found[1] if found else "english"


def _rows(folder: Path) -> dict[str, str]:
    """Take -> train, val, test or additional, as the split file has them."""
    path, rows = folder / SPLIT_FILE, dict[str, str]()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            for row in table:
                name, split = row["id"].strip(), (row["type"] or "").strip()
                line = f"{path}: line {table.line_num}"
                if not re.fullmatch(r"[0-9]+_[\w-]+", name):
                    raise DataError(f"{line}: {name!r} is not the name of a take, such as 2_scott_0_1_1.")
                if split not in (*SPLITS, ADDITIONAL):
                    known = ", ".join((*SPLITS, ADDITIONAL))
                    raise DataError(f"{line}: {name} is of type {split!r}. Types are {known}.")
                if rows.setdefault(name, split) != split:
                    raise DataError(f"{line}: {name} for the second time, as {split} after {rows[name]}. Remove one.")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). It says which takes are for training.") from None
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{path}: is not a table with the columns id and type.") from None
    return rows


def read(take: Take) -> Iterator[StoredClip]:
    """One clip: motion, expressions and shape as they are, recording at 16 kHz, words; of the face the jaw alone.

    Raises:
        DataError: a file is missing or damaged, or files do not belong together.
    """
    paths = [
        take.folder / kind / f"{take.name}{suffix}" for kind, suffix in zip(_FOLDERS, (".npz", ".wav"), strict=True)
    ]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path.parent.name}/{path.name} is missing")
    words = take.folder / "textgrid" / f"{take.name}.TextGrid"
    motion = with_jaw(npz.read(paths[0])).resample(FPS)
    speech = Speech.load(paths[1])
    if words.is_file():
        speech = Speech(speech.samples, speech.rate, words_of(words, speech.duration_s))
    speech = speech.resample(prosody.SAMPLE_RATE)
    if abs(motion.duration_s - speech.duration_s) > _APART_S:
        raise DataError(f"its motion lasts {motion.duration_s:.1f} s and its recording {speech.duration_s:.1f} s")
    clip = Clip(f"beat2/{take.name}", take.split, motion, speech, (), LICENCE, HAS)
    yield pack(clip, "beat2", take.speaker, take.language)
