"""A user's own recordings with their motion, and with their words where there are any.

Layout: recordings in the folder, or in `wave16k` in it; beside each, under the same stem, its motion (.npz, .bvh,
.amc), its words with times (.TextGrid) or at least what is said (.txt, .lab). Motion may lie in `smplxflame_30` and
TextGrids in `textgrid`, as in BEAT2. Which recordings are for what is in `train_test_split.csv` or, as MambaTalk has
it, `test.csv`, with the columns id and type, and speaker if you like.
"""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cospeech import mocap, prosody, skeleton
from cospeech.audio import SUFFIXES
from cospeech.data.beat2 import FPS, SPLIT_FILE, with_jaw
from cospeech.data.clips import Clip, Job, pack, words_of
from cospeech.data.stored import SPLITS, StoredClip
from cospeech.errors import ConfigError, DataError
from cospeech.formats import npz
from cospeech.motion import Motion
from cospeech.speech import Speech

LICENCE = "not stated"
TEST_SHARE = 0.1
TEST_FILE = "test.csv"  # of MambaTalk: what it does not list is for training
_MOTION = (".npz", ".bvh", ".amc")  # of two the first is taken: it needs no retargeting
_TRANSCRIPT = (".txt", ".lab")
_APART_S = 5.0  # motion and recording differ by less: the longer one is cut. As in BEAT2
_STILL = 0.01  # radians or metres, between the 5th and the 95th percentile: not recorded


class Take(NamedTuple):
    """A recording and what belongs to it."""

    name: str
    split: str = "train"
    speaker: str = ""
    recording: Path | None = None
    motion: Path | None = None
    words: Path | None = None
    transcript: Path | None = None
    unlisted: str = ""  # the table of splits that does not have it


def takes(source: Path, test_share: float | None = None, speaker_prefix: bool = False) -> list[Take]:
    """The recordings of a folder, in the order of their names, and what has but a row of its table or a motion.

    Args:
        test_share: Where no table says what is for testing: so much of it, chosen by a hash of each name, so that a
            recording stays on its side when others come or go. None: `TEST_SHARE`.
        speaker_prefix: Speakers are the beginnings of names, to the first "_". Else those of the table, if any.

    Raises:
        ConfigError: there is a table, and a share besides.
        DataError: there are no recordings, or the table makes no sense.
    """
    if test_share is not None and not 0 <= test_share <= 1:
        raise ConfigError(f"--test-share {test_share:g}: must be between 0 and 1.")
    folder = source / "wave16k" if (source / "wave16k").is_dir() else source
    recordings = [path for path in _listed(folder) if path.suffix.lower() in SUFFIXES]
    if not recordings:
        raise DataError(f"{folder}: no recordings in it. Looked for {', '.join(SUFFIXES)}.")
    table = next((source / name for name in (SPLIT_FILE, TEST_FILE) if (source / name).is_file()), None)
    if table and test_share is not None:
        raise ConfigError(f"--test-share: {table} says which recordings are for testing. Leave one of them out.")
    rows = _table(table) if table else {}
    share = 0.0 if table else TEST_SHARE if test_share is None else test_share
    folders = [source / name for name in ("textgrid", "smplxflame_30") if (source / name).is_dir()]
    others = [path for each in folders for path in _listed(each)]
    files = {(path.stem, path.suffix.lower()): path for path in (*others, *_listed(folder))}

    def take(name: str, recording: Path | None = None) -> Take:
        row = rows.get(name, _Row("test" if _hashed(name) < share else "train"))
        motion, transcript = (
            next((files[name, suffix] for suffix in suffixes if (name, suffix) in files), None)
            for suffixes in (_MOTION, _TRANSCRIPT)
        )
        return Take(
            name=name,
            split=row.split,
            speaker=name.partition("_")[0] if speaker_prefix else row.speaker,
            recording=recording,
            motion=motion,
            words=files.get((name, ".textgrid")),
            transcript=transcript,
            unlisted=SPLIT_FILE if table and table.name == SPLIT_FILE and name not in rows else "",
        )

    named = rows.keys() | {stem for stem, suffix in files if suffix in _MOTION}
    lost = sorted(named - {recording.stem for recording in recordings})
    return [*(take(recording.stem, recording) for recording in recordings), *(take(name) for name in lost)]


def jobs(takes: Sequence[Take], licence: str = LICENCE, language: str = "") -> list[Job]:
    """A clip of each."""
    return [Job(f"folder/{take.name}", partial(read, take, licence, language), _settings(take)) for take in takes]


def _settings(take: Take) -> str:
    motion = take.motion.suffix if take.motion else "no motion"
    return f"{take.split}, {take.speaker}, {motion}, {'words' if take.words else 'no words'}"


def summary(takes: Sequence[Take]) -> str:
    """What there is, for whoever looks at the store."""
    splits = ", ".join(f"{sum(take.split == split for take in takes)} {split}" for split in SPLITS)
    speakers = len({take.speaker for take in takes if take.speaker})
    return f"{splits}, {speakers} speakers"


def notes(takes: Sequence[Take]) -> list[str]:
    """What could be better."""
    recorded = [take for take in takes if take.recording and take.motion]
    folders = [take.recording.parent for take in recorded if take.recording and take.transcript and not take.words]
    found = []
    if folders:
        folder = folders[0]
        found.append(
            f"{len(folders)} clips have a transcript, but nobody knows when each word is said: "
            f"`cospeech align {folder} {folder}` finds out; then prepare another store"
        )
    for split, purpose in (("train", "training"), ("test", "testing")):
        if recorded and not any(take.split == split for take in recorded):
            found.append(
                f"nothing is for {purpose}: --test-share, or {TEST_FILE} with columns id and type, changes that"
            )
    return found


def read(take: Take, licence: str, language: str) -> Iterator[StoredClip]:
    """One clip: motion as it is or retargeted, recording at 16 kHz, words where their times are known.

    Raises:
        DataError: a file is missing or damaged, or files do not belong together.
    """
    if take.recording is None:
        raise DataError("there is no recording of it")
    if take.unlisted:
        raise DataError(f"{take.unlisted} does not list it")
    if take.motion is None:
        raise DataError(f"there is no motion of it ({', '.join(_MOTION)}), and nothing is learned from speech alone")
    speech = Speech.load(take.recording)
    if take.words:
        speech = Speech(speech.samples, speech.rate, words_of(take.words, speech.duration_s))
    speech = speech.resample(prosody.SAMPLE_RATE)
    if take.motion.suffix.lower() == ".npz":
        motion = npz.read(take.motion)
    else:
        motion = mocap.read(take.motion, duration_s=speech.duration_s)
    motion = motion.resample(FPS)
    if abs(motion.duration_s - speech.duration_s) > _APART_S:
        raise DataError(f"its motion lasts {motion.duration_s:.1f} s and its recording {speech.duration_s:.1f} s")
    has = _has(motion)
    motion = motion if "face" in has else with_jaw(motion)
    clip = Clip(f"folder/{take.name}", take.split, motion, speech, (), licence, has)
    yield pack(clip, "folder", take.speaker, language)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}). Name the folder of your recordings.") from None


def _hashed(name: str) -> float:
    """From 0 to 1, the same for a name wherever it is."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8


class _Row(NamedTuple):
    split: str
    speaker: str = ""


def _table(path: Path) -> dict[str, _Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                (row["id"].strip(), _Row(row["type"].strip(), (row.get("speaker") or "").strip()))
                for row in csv.DictReader(file, skipinitialspace=True)
            ]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{path}: is not a table with the columns id and type.") from None
    table: dict[str, _Row] = {}
    for name, row in rows:
        if row.split not in SPLITS:
            raise DataError(f"{path}: {name!r} is of type {row.split!r}. Types are {', '.join(SPLITS)}.")
        if table.setdefault(name, row) != row:
            raise DataError(f"{path}: has {name!r} twice, as {table[name].split} and as {row.split}. Remove one.")
    return table


def _has(motion: Motion) -> frozenset[str]:
    """What moves."""
    parts = {
        "upper": motion.poses[:, skeleton.UPPER],
        "hands": motion.poses[:, skeleton.HANDS],
        "lower": np.concatenate([motion.poses[:, skeleton.LOWER], motion.translation[:, None]], axis=1),
    }
    ranges = {part: np.ptp(np.percentile(array, [5, 95], axis=0), axis=0).max() for part, array in parts.items()}
    moves = {part for part, most in ranges.items() if most > _STILL}
    if not moves:
        raise DataError("its motion does not move")
    return frozenset(moves | {"speech"} | ({"face"} if motion.face is not None and motion.face.any() else set()))
