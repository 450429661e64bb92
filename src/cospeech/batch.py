"""Which recordings to read and which files to write: one recording, a folder of them, or a list."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cospeech.audio import SUFFIXES
from cospeech.errors import AudioError, FormatError

TRANSCRIPTS = (".txt", ".lab")


@dataclass(frozen=True)
class Job:
    audio: Path
    out: Path
    words: Path | None = None  # TextGrid that belongs to it


def jobs(audio: Path, out: Path, suffix: str) -> list[Job]:
    """What `cospeech generate AUDIO OUT` has to do.

    Args:
        audio: A recording, a folder (its recordings, not those of folders in it), or a list with one recording a line,
            relative to the list: a .txt file, or a .csv file with the recording in the first column. A .csv file that
            begins with "id,type" is one of BEAT2, as MambaTalk reads it: its tests are meant, with their recordings in
            the folder wave16k beside it and their TextGrids, if any, in textgrid.
        out: A file for one recording, else a folder.
        suffix: Of the files in the folder.
    """
    if is_one(audio):
        return _not_onto_themselves([Job(audio, out)])
    tests: list[str] = []
    if audio.is_dir():
        recordings = sorted(path for path in audio.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        if not recordings:
            raise AudioError(f"{audio}: no recordings in this folder. Looked for {', '.join(SUFFIXES)}.")
    elif tests := _tests(audio):
        recordings = [_there(audio.parent / "wave16k" / f"{name}.wav", audio) for name in tests]
    else:
        recordings = _listed(audio)
    if out.suffix and not out.is_dir():
        raise FormatError(f"{out}: {audio} names several recordings, so OUT must be a folder.")
    outs = [out / f"{recording.stem}.{suffix.removeprefix('.')}" for recording in recordings]
    names = Counter(path.name.casefold() for path in outs)  # some file systems do not know capitals
    double = [path.name for path in outs if names[path.name.casefold()] > 1]
    if double:
        raise FormatError(f"{out}: two recordings would both become {double[0]}. Rename one.")
    grids = [audio.parent / "textgrid" / f"{path.stem}.TextGrid" if tests else None for path in recordings]
    words = [grid if grid and grid.is_file() else None for grid in grids]
    return _not_onto_themselves([Job(*each) for each in zip(recordings, outs, words, strict=True)])


def is_one(audio: Path) -> bool:
    """Whether this is one recording, not a folder or a list of some."""
    try:
        return not audio.is_dir() and audio.suffix.lower() not in (".txt", ".csv")
    except OSError as error:  # such as a name that is too long
        raise AudioError(f"{audio}: {error.strerror}.") from None


def words_of(jobs: list[Job], words: Path | None) -> list[Path | tuple[()]]:
    """The TextGrid of each recording, its own if none is given; an empty tuple where there is none.

    Args:
        words: A TextGrid for one recording, or a folder with one of the same name for every recording.
    """
    if words is None:
        return [job.words or () for job in jobs]
    if not words.is_dir():
        if len(jobs) > 1:
            raise FormatError(f"{words}: for several recordings give the folder that holds a TextGrid for each.")
        return [words]
    grids = [words / f"{job.audio.stem}.TextGrid" for job in jobs]
    missing = [grid.name for grid in grids if not grid.is_file()]
    if missing:
        raise FormatError(f"{words}: {missing[0]} is not in it ({len(missing)} of {len(grids)} are not).")
    return list(grids)


def transcripts_of(jobs: list[Job], transcript: Path | None) -> list[Path | None]:
    """The transcript of each recording, .txt or .lab; None where there is none.

    Args:
        transcript: A transcript for one recording, or a folder with one of the same name for every recording. None:
            that of the same name beside each recording, if there is one.
    """
    if transcript is not None and not transcript.is_dir():
        if len(jobs) > 1:
            raise FormatError(f"{transcript}: for several recordings give the folder that holds a transcript for each.")
        return [transcript]
    found = [_transcript(transcript or job.audio.parent, job.audio.stem) for job in jobs]
    missing = [job.audio.stem for job, path in zip(jobs, found, strict=True) if path is None]
    if transcript is not None and missing:
        raise FormatError(
            f"{transcript}: {missing[0]}.txt (or .lab) is not in it ({len(missing)} of {len(found)} are not)."
        )
    return found


def _transcript(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in TRANSCRIPTS if (path := folder / f"{stem}{suffix}").is_file()), None)


def _not_onto_themselves(jobs: list[Job]) -> list[Job]:
    recordings = {job.audio.resolve() for job in jobs}
    for job in jobs:
        if job.out.resolve() in recordings:
            raise FormatError(f"{job.out}: is a recording that is read. Write elsewhere.")
    return jobs


def _tests(path: Path) -> list[str]:
    """The ids of type "test" in a .csv file with the header "id,type"; none of another file."""
    if path.suffix.lower() != ".csv":
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []  # for `_listed` to say
    if [cell.lower() for cell in header] != ["id", "type"]:
        return []
    names = [row[0] for row in rows if len(row) > 1 and row[1] == "test"]
    if not names:
        raise AudioError(f"{path}: names no recording of type test.")
    return names


def _there(recording: Path, path: Path) -> Path:
    if not recording.is_file():
        raise AudioError(f"{path}: names {recording.stem!r}, but there is no {recording}.")
    return recording


def _listed(path: Path) -> list[Path]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file) if path.suffix.lower() == ".csv" else ([line] for line in file)
            names = [row[0].strip() for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AudioError(f"{path}: cannot be read as a list of recordings ({error}).") from None
    recordings = [path.parent / name for name in names if name and not name.startswith("#")]
    missing = [recording.name for recording in recordings if not recording.is_file()]
    if missing:
        raise AudioError(
            f"{path}: lists {missing[0]!r}, which does not exist ({len(missing)} of {len(recordings)} do not). "
            "One recording a line, relative to the list, no header."
        )
    if not recordings:
        raise AudioError(f"{path}: lists no recordings.")
    return recordings
