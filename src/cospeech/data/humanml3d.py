"""HumanML3D: sentences about motions of AMASS and of HumanAct12, and copies of both with left and right exchanged.

Guo et al. 2022, doi 10.1109/CVPR52688.2022.00509. Layout: `index.csv` says which frames of which motion are meant, in a
folder `HUMANML3D` or beside it are `train.txt`, `val.txt`, `test.txt` and `texts/*.txt`, and `pose_data/humanact12` has
positions of joints. A copy is called M and the name of its original.

The published copies are those of positions, and exchange the wrong fingers; here the rotations are mirrored.
Source of the frames that are left out in front: SynTalker, arXiv:2410.00464, its preprocessing.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from cospeech import positions
from cospeech.body import mannequin
from cospeech.data import amass
from cospeech.data.clips import Caption, Clip, Job, pack
from cospeech.data.stored import SPLITS, StoredClip
from cospeech.errors import DataError, MotionError
from cospeech.formats.npy import read_numbers
from cospeech.motion import Motion

SOURCE = "humanml3d"
FPS = 30
_INDEX = "index.csv"
_INDEX_FPS = 20  # of the motions that `index.csv` counts the frames of, every so many of what was recorded
_HUMANACT12 = "humanact12"
_HUMANACT12_LICENCE = "HumanAct12: non-commercial research; cite HumanML3D and HumanAct12"
_LEADING_S = {  # what people do before a take begins
    "Eyes_Japan_Dataset": 3.0,
    "MPI_HDM05": 3.0,
    "TotalCapture": 1.0,
    "MPI_Limits": 1.0,
    "Transitions_mocap": 0.5,
}
_MISSING_S = 1.0  # of a stretch at most: beyond, it is one of another recording


class Row(NamedTuple):
    """Of `index.csv`."""

    path: str  # "CMU/01/01_01_poses.npy"
    start: int  # frames
    end: int  # -1: to the end


class Text(NamedTuple):
    """What is said of a clip, or of a part of it."""

    caption: str
    start_s: float
    end_s: float  # 0: of the whole clip


class Take(NamedTuple):
    name: str  # "M000012"
    split: str
    row: Row
    motion: amass.Take | Path  # of AMASS, or positions of HumanAct12
    captions: tuple[str, ...]
    part_s: tuple[float, float] | None = None  # from, to

    @property
    def id(self) -> str:
        part = "" if self.part_s is None else "/{:g}-{:g}".format(*self.part_s)
        return f"{SOURCE}/{self.name}{part}"


def jobs(source: Path, motions: Path, smplh: Path | None = None) -> list[Job]:
    """All clips of `index.csv`, their mirrored copies, and the parts of them that have captions of their own.

    A clip without a caption of the whole is there, too: parts are not cut out of it.

    Args:
        motions: Folder of AMASS, as SMPL-H or SMPL-X.
        smplh: As of `amass.jobs`.

    Raises:
        DataError: there is no such folder, or its lists are damaged or contradict each other.
    """
    rows = _rows(source / _INDEX)
    folder = next((f for f in (source / "HumanML3D", source) if (f / "train.txt").is_file()), source)
    splits = _splits(folder)
    known = {take.name: take for take in amass.takes(motions, smplh)}
    listed = [(name, row) for original, row in rows.items() for name, row in ((original, row), (f"M{original}", row))]
    made: list[Job] = []
    for name, row in listed:
        if name not in splits:
            made.append(_left_out(name, f"is in none of {', '.join(f'{split}.txt' for split in SPLITS)}"))
            continue
        try:
            motion = _motion(row, source, known)
            texts = _texts(folder / "texts" / f"{name}.txt")
        except DataError as error:
            made.append(_left_out(name, str(error)))
            continue
        by_part: dict[tuple[float, float] | None, list[str]] = defaultdict(list, {None: []})
        for text in texts:
            by_part[(text.start_s, text.end_s) if text.end_s else None].append(text.caption)
        some = [Take(name, splits[name], row, motion, tuple(said), part) for part, said in by_part.items()]
        made += [Job(take.id, partial(read, take), f"{take.split} {take.row} {take.captions}") for take in some]
    unknown = sorted(splits.keys() - {name for name, _ in listed})
    return made + [_left_out(name, f"is in {splits[name]}.txt, but not in {_INDEX}") for name in unknown]


def _left_out(name: str, reason: str) -> Job:
    return Job(f"{SOURCE}/{name}", partial(_refuse, reason), "left out")


def _refuse(reason: str) -> NoReturn:
    raise DataError(reason)


def _rows(path: Path) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, line in enumerate(csv.DictReader(file), 2):
                name = line["new_name"].removesuffix(".npy")
                if name in rows:
                    raise DataError(f"{path}: line {number}: a second {name}. Names must be unique.")
                try:
                    frames = int(line["start_frame"]), int(line["end_frame"])
                except (TypeError, ValueError):
                    raise DataError(f"{path}: line {number}: start_frame and end_frame must be numbers.") from None
                rows[name] = Row(line["source_path"].removeprefix("./").removeprefix("pose_data/"), *frames)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Give the folder of HumanML3D.") from None
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{path}: is no table of source_path, start_frame, end_frame and new_name.") from None
    return rows


def _splits(folder: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        try:
            names = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}). It says which clips are for what.") from None
        if double := sorted(splits.keys() & set(names)):
            raise DataError(f"{path}: has {double[0]}, which is in {splits[double[0]]}.txt, too.")
        splits |= dict.fromkeys(names, split)
    return splits


def _motion(row: Row, source: Path, known: dict[str, amass.Take]) -> amass.Take | Path:
    if row.path.startswith(_HUMANACT12):
        path = source / "pose_data" / row.path
        if not path.is_file():
            raise DataError(f"{path} is missing: unpack pose_data/{_HUMANACT12}.zip of HumanML3D")
        return path
    name = amass.take_name(Path(row.path))
    if name not in known:
        raise DataError(f"the motion {name} of AMASS is missing")
    return known[name]


def _texts(path: Path) -> list[Text]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        texts = []
        for line in filter(str.strip, lines):
            caption, _, start_s, end_s = line.split("#")
            # the published texts say nan for 0
            seconds = [0.0 if math.isnan(second) else second for second in (float(start_s), float(end_s))]
            texts.append(Text(caption.strip(), *seconds))
    except OSError as error:
        raise DataError(f"texts/{path.name}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise DataError(f"texts/{path.name}: has a line that is not like caption#words#from#to") from None
    return texts


def read(take: Take) -> Iterator[StoredClip]:
    """One clip.

    Raises:
        DataError: its motion is missing, damaged or too short for it.
    """
    if isinstance(take.motion, Path):
        motion, doubt, licence = _humanact12(take.motion), "", _HUMANACT12_LICENCE
    else:
        motion = _stretch(amass.load(take.motion), take.row, _LEADING_S.get(take.motion.subset, 0.0))
        doubt, licence = take.motion.doubt, f"captions MIT; {take.motion.licence}"
    if take.part_s is not None:
        start_s, end_s = take.part_s[0], min(take.part_s[1], motion.duration_s)
        if not 0 <= start_s < end_s:
            raise DataError(f"{take.id}: no such part: the clip lasts {motion.duration_s:.1f} s")
        motion = motion[start_s:end_s]
    if take.name.startswith("M"):
        motion = motion.mirror()
    captions = tuple(Caption(text, SOURCE) for text in take.captions)
    clip = Clip(take.id, take.split, motion, None, captions, licence, amass.recorded(motion))
    yield pack(clip, SOURCE + doubt)


def _stretch(motion: Motion, row: Row, leading_s: float) -> Motion:
    """The frames that a row means, at 30 frames a second."""
    frame_s = max(1, int(motion.fps / _INDEX_FPS)) / motion.fps
    start_s = leading_s * _INDEX_FPS * frame_s + row.start * frame_s
    end_s = start_s + (row.end - row.start) * frame_s if row.end >= 0 else motion.duration_s
    if start_s >= motion.duration_s or end_s > motion.duration_s + _MISSING_S:
        raise DataError(
            f"{row.path}: seconds {start_s:.1f} to {end_s:.1f} are wanted of a motion of {motion.duration_s:.1f} s: "
            "another recording, or a wrong frame rate (--smplh knows the right ones)"
        )
    return motion.resample(FPS)[start_s:end_s]


def _humanact12(path: Path) -> Motion:
    """Positions of SMPL's 24 joints, 20 frames a second, x to the right."""
    joints = read_numbers(path)
    if joints.ndim != 3 or joints.shape[1] < len(positions.BODY) or joints.shape[2] != 3:
        raise DataError(f"{path.name}: has shape {joints.shape}, expected (frames, 24, 3)")
    joints = joints[:, : len(positions.BODY)] * np.array([-1, 1, 1], np.float32)
    ahead = np.cross(joints[:, 1] - joints[:, 2], [0, 1, 0])  # of hips whose left is left
    if ((joints[:, 10] - joints[:, 7]) * ahead).sum() < 0:
        raise DataError(f"{path.name}: its toes point backwards: left and right are exchanged")
    try:
        poses, translation = positions.to_poses(joints, mannequin("light").joints)
    except MotionError as error:
        raise DataError(f"{path.name}: {error}") from None
    return Motion(poses, translation, _INDEX_FPS).resample(FPS)
