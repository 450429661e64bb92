"""Acclaim motion capture, .amc with its skeleton in an .asf file beside it, as the CMU database has them.

A bone begins where its parent ends and turns about axes of its own: with C the rotation of its `axis`, and M that of
its degrees of freedom, it is turned by C M C^-1 relative to its parent. So all bones are world-aligned where nothing is
turned, as `direction` and `length` have them. Angles apply in the order in which they are named, about fixed axes:
"rx ry rz" is Rz @ Ry @ Rx. Lengths divided by the `length` of the units are inches. The frame rate is said nowhere.

Source: Lander 1998, Working with Motion Capture File Formats, Game Developer 5(1); the files of mocap.cs.cmu.edu.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cospeech import rotation
from cospeech.capture import Capture
from cospeech.errors import DataError

_INCH = 0.0254  # metres
_ROOT = "root"
_AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True, eq=False)
class _Bone:
    tip: np.ndarray  # (3,) metres from its beginning, where nothing is turned
    axis: np.ndarray  # (3, 3) C
    channels: tuple[str, ...] = ()  # of "rx", "ry", "rz"; of the root "tx", "ty", "tz", too
    start: np.ndarray | None = None  # (3,) metres, of the root


@dataclass(frozen=True, eq=False)
class _Skeleton:
    bones: dict[str, _Bone]
    parents: dict[str, str]  # of all but the root; parents before children
    metres: float  # in a unit of length


def read(path: str | Path) -> Capture:
    """Read an .amc file, lengths in metres. Joints are where bones begin and have their names.

    Its skeleton is the .asf file of the same name, else of the name up to the last underscore (02_01.amc: 02.asf), else
    the only one in the folder.
    """
    path = Path(path)
    frames, beside = _text(path), _skeleton_of(path)
    try:
        skeleton = _skeleton(_text(beside))
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"{beside}: not a readable ASF file: {_reason(error)}.") from error
    try:
        values = _values(frames, skeleton)
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: not a readable AMC file of {beside.name}: {_reason(error)}.") from error
    names = (_ROOT, *skeleton.parents)
    bones = [skeleton.bones[name] for name in names]
    parents = (-1, *(names.index(parent) for parent in skeleton.parents.values()))
    offsets = np.array([bones[parent].tip if parent >= 0 else bones[0].start for parent in parents])
    rotations = np.stack([_turned(values[name], bone) for name, bone in zip(names, bones, strict=True)], axis=1)
    positions = np.tile(offsets, (len(rotations), 1, 1))
    for n, channel in enumerate(bones[0].channels):
        if channel[0] == "t":
            positions[:, 0, _AXES[channel[1]]] += values[_ROOT][:, n] * skeleton.metres
    return Capture(names, parents, offsets, rotations, positions)


def _skeleton_of(path: Path) -> Path:
    names = (f"{path.stem}.asf", f"{path.stem.rpartition('_')[0]}.asf")
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    others = sorted(path.parent.glob("*.asf"))
    if len(others) != 1:
        raise DataError(f"{path}: its skeleton is missing. Put the .asf file beside it, as {names[0]}.")
    return others[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    return "it ends in the middle" if isinstance(error, IndexError) else str(error)


def _turned(values: np.ndarray, bone: _Bone) -> np.ndarray:
    """(T, 3, 3) relative to the parent, of (T, channels) radians."""
    matrices = np.broadcast_to(np.eye(3), (len(values), 3, 3))
    for n, channel in enumerate(bone.channels):
        if channel[0] == "r":
            matrices = rotation.axis_angle_to_matrix(values[:, n, None] * np.eye(3)[_AXES[channel[1]]]) @ matrices
    return bone.axis @ matrices @ bone.axis.T


# --- the skeleton -----------------------------------------------------------------------------------------------------


def _skeleton(text: str) -> _Skeleton:
    sections: dict[str, list[list[str]]] = {}
    section: list[list[str]] = []  # what comes before the first goes nowhere
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words and words[0].startswith(":"):
            section = sections.setdefault(words[0].lower(), [])
        elif words:
            section.append(words)
    units = {words[0].lower(): words[1] for words in sections[":units"]}
    metres = _INCH / float(units.get("length", "1"))
    radians = np.pi / 180 if units.get("angle", "deg").lower().startswith("deg") else 1.0
    root = {words[0].lower(): words[1:] for words in sections[":root"]}
    axis = _rotation(root.get("orientation", ["0"] * 3), root["axis"][0], radians)
    start = metres * _numbers(root.get("position", ["0"] * 3))
    bones = {_ROOT: _Bone(np.zeros(3), axis, _channels(root["order"]), start)}
    for entry in _entries(sections[":bonedata"]):
        tip = metres * float(entry["length"][0]) * rotation.unit(_numbers(entry["direction"]))
        axis = _rotation(entry["axis"][:3], entry["axis"][3], radians)
        bones[entry["name"][0]] = _Bone(tip, axis, _channels(entry.get("dof", ())))
    hangs = {child: words[0] for words in sections[":hierarchy"] for child in words[1:]}
    parents: dict[str, str] = {}
    above = [_ROOT]
    for parent in above:  # grows
        children = [child for child, name in hangs.items() if name == parent and child not in parents]
        parents |= dict.fromkeys(children, parent)
        above += children
    if lost := bones.keys() ^ {_ROOT, *parents}:
        raise ValueError(f"bone {min(lost)} is not both described and part of the hierarchy")
    return _Skeleton(bones, parents, metres)


def _entries(lines: Sequence[list[str]]) -> Iterator[dict[str, list[str]]]:
    """What stands between each begin and end."""
    entry: dict[str, list[str]] = {}
    for words in lines:
        if words[0].lower() == "begin":
            entry = {}
        elif words[0].lower() == "end":
            yield entry
        else:
            entry.setdefault(words[0].lower(), words[1:])  # limits go on over several lines, which begin with "("


def _channels(words: Sequence[str]) -> tuple[str, ...]:
    channels = tuple(word.lower() for word in words)
    if unknown := [channel for channel in channels if channel[:1] not in ("r", "t") or channel[1:] not in _AXES]:
        raise ValueError(f"unknown degree of freedom {unknown[0]!r}")
    return channels


def _rotation(angles: Sequence[str], order: str, radians: float) -> np.ndarray:
    """(3, 3), about fixed axes in an order such as "XYZ", first about x."""
    matrix = np.eye(3)
    for angle, axis in zip(_numbers(angles), order.lower(), strict=True):
        matrix = rotation.axis_angle_to_matrix(radians * angle * np.eye(3)[_AXES[axis]]) @ matrix
    return matrix


def _numbers(words: Sequence[str]) -> np.ndarray:
    numbers = np.array([float(word) for word in words])
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise ValueError(f"expected three numbers, found {' '.join(words)!r}")
    return numbers


# --- its motion -------------------------------------------------------------------------------------------------------


def _values(text: str, skeleton: _Skeleton) -> dict[str, np.ndarray]:
    """Bone -> (T, channels), angles in radians."""
    rows: dict[str, list[list[float]]] = {name: [] for name in skeleton.bones}
    degrees, num_frames = True, 0
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].startswith(":"):
            degrees = degrees and words[0].lower() != ":radians"
        elif len(words) == 1 and words[0].isdecimal():
            num_frames += 1
        elif words[0] not in rows:
            raise ValueError(f"line {number} names a bone {words[0]!r} that the skeleton has not")
        elif len(rows[words[0]]) != num_frames - 1 or len(words) - 1 != len(skeleton.bones[words[0]].channels):
            raise ValueError(f"line {number}: not one row of {len(skeleton.bones[words[0]].channels)} numbers a frame")
        else:
            rows[words[0]].append([float(word) for word in words[1:]])
    if num_frames == 0:
        raise ValueError("no frames")
    values: dict[str, np.ndarray] = {}
    for name, bone in skeleton.bones.items():
        found = rows[name] if bone.channels else [[]] * num_frames
        if len(found) != num_frames:
            raise ValueError(f"bone {name} has {len(found)} rows in {num_frames} frames")
        values[name] = np.array(found, dtype=np.float64).reshape(num_frames, len(bone.channels))
        if not np.isfinite(values[name]).all():
            raise ValueError(f"bone {name} has NaN or infinite numbers")
        for n, channel in enumerate(bone.channels):
            if channel[0] == "r" and degrees:
                values[name][:, n] = np.radians(values[name][:, n])
    return values
