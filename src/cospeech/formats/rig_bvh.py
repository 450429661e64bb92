"""A character that is bones alone, .bvh: read as it rests, and written with a movement in it.

What was read from a .bvh file keeps its joints, names, offsets, end sites and the order of its channels. Of any other
character the bones are written as it stands: nothing is turned there, and all joints have the axes of the world.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from cospeech import rotation
from cospeech.capture import Bones, Movement
from cospeech.errors import DataError
from cospeech.formats import bvh
from cospeech.formats.output import replacing

_ROWS = 1024  # of the table of numbers, made at a time
_ROTATIONS = ("Zrotation", "Xrotation", "Yrotation")
_POSITIONS = ("Xposition", "Yposition", "Zposition")
_AXES = "XYZ"


@dataclass(frozen=True, eq=False)
class RiggedBvh:
    path: Path
    bvh: bvh.Bvh
    bones: Bones
    frame: np.ndarray  # (channels of all joints,) the numbers of the file's frame in which it stands like `bones`

    def write(self, path: str | Path, movement: Movement, face: object = None) -> None:
        """Write the skeleton with a movement. There is no place for a face."""
        starts = np.cumsum([0, *(len(channels) for channels in self.bvh.channels)])
        constants = [
            dict(zip(c, self.frame[a:b], strict=True))
            for c, (a, b) in zip(self.bvh.channels, pairwise(starts), strict=True)
        ]
        moving = dict(zip(movement.joints, movement.rotations, strict=True))
        channels = tuple(
            _channels(own, turns=j in moving, travels=j == movement.root) for j, own in enumerate(self.bvh.channels)
        )
        above = self.bones.parents[movement.root]
        path_there = movement.path
        if above >= 0:
            path_there = (path_there - self.bones.positions[above]) @ self.bones.rotations[above]
        columns = []
        for j, names in enumerate(channels):
            numbers = dict(zip(_POSITIONS, self.bvh.offsets[j], strict=True)) | constants[j]
            numbers |= _degrees(moving[j], names) if j in moving else {}
            numbers |= dict(zip(_POSITIONS, path_there.T, strict=True)) if j == movement.root else {}
            columns += [numbers[name] for name in names]
        lines = _hierarchy(self.bvh.names, self.bvh.parents, self.bvh.offsets, channels, self.bvh.tips)
        _write(path, lines, columns, movement)


def read(path: str | Path, posed: bool = False) -> RiggedBvh:
    """The skeleton of a file.

    Args:
        posed: As it stands in the first frame, for skeletons whose bones lie anyhow where nothing is turned.
    """
    path = Path(path)
    parsed = bvh.parse(path)
    if not parsed.names:
        raise DataError(f"{path}: it has no joints.")
    if posed:
        capture = parsed.capture()
        local, places, frame = capture.rotations[0], capture.positions[0], parsed.values[0]
    else:
        local, places = np.tile(np.eye(3), (len(parsed.names), 1, 1)), parsed.offsets
        frame = [
            offset[_AXES.index(name[0])] if name in _POSITIONS else 0.0
            for channels, offset in zip(parsed.channels, parsed.offsets, strict=True)
            for name in channels
        ]
    rotations, positions = local.copy(), places.astype(np.float64)
    for j, parent in enumerate(parsed.parents):
        if parent >= 0:
            rotations[j] = rotations[parent] @ local[j]
            positions[j] = positions[parent] + rotations[parent] @ places[j]
    tops = list(range(len(parsed.parents)))
    for j, parent in enumerate(parsed.parents):
        tops[j] = tops[parent] if parent >= 0 else j
    skeletons = tuple(tuple(j for j, top in enumerate(tops) if top == root) for root in dict.fromkeys(tops))
    bones = Bones(parsed.names, parsed.parents, rotations, positions, skeletons)
    return RiggedBvh(path, parsed, bones, np.asarray(frame, np.float64))


def write_bones(path: str | Path, bones: Bones, joints: Sequence[int], movement: Movement, scale: float = 1.0) -> None:
    """Write the joints of a character of any format, with a movement.

    Args:
        joints: Those to write, parents before children: one tree, in which each hangs on the nearest above it.
        scale: Of lengths: 100 makes centimetres of metres.
    """
    place = {j: n for n, j in enumerate(joints)}
    parents = [place.get(bones.nearest_above(j, place), -1) for j in joints]
    at = bones.positions[list(joints)] * scale
    offsets = np.array([at[n] - (at[parent] if parent >= 0 else 0) for n, parent in enumerate(parents)])
    moving = dict(zip(movement.joints, movement.rotations, strict=True))
    channels = tuple(
        _channels(_ROTATIONS, True, parent < 0 or joints[n] == movement.root) for n, parent in enumerate(parents)
    )
    columns = []
    for n, j in enumerate(joints):
        turned = dict.fromkeys(_ROTATIONS, 0.0)
        if j in moving:
            above = bones.parents[j]
            before = bones.rotations[above] if above >= 0 else np.eye(3)
            turned = _degrees(moving[j], _ROTATIONS, before, bones.rotations[j].T)
        placed = dict(zip(_POSITIONS, offsets[n], strict=True))
        if j == movement.root:
            above = at[parents[n]] if parents[n] >= 0 else 0
            placed = dict(zip(_POSITIONS, (movement.path * scale - above).T, strict=True))
        columns += [(turned | placed)[name] for name in channels[n]]
    with_child = set(parents)
    tips = {n: tuple(offsets[n]) for n in range(len(joints)) if n not in with_child}
    names = [bones.names[j] for j in joints]
    _write(path, _hierarchy(names, parents, offsets, channels, tips), columns, movement)


def _channels(own: Sequence[str], turns: bool, travels: bool) -> tuple[str, ...]:
    """The channels of a joint: its own, with all that are needed to turn it and to let it travel."""
    turning = [name for name in own if name.endswith("rotation")]
    if turns and sorted(turning) != sorted(_ROTATIONS):
        own = [*(name for name in own if name.endswith("position")), *_ROTATIONS]
    if travels and sum(name.endswith("position") for name in own) != 3:
        own = [*_POSITIONS, *(name for name in own if name.endswith("rotation"))]
    return tuple(own)


def _degrees(
    quaternions: np.ndarray, channels: Sequence[str], before: np.ndarray | None = None, after: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Channel -> (T,) degrees of rotations (T, 4), between two constant ones (3, 3)."""
    turning = [name for name in channels if name.endswith("rotation")]
    matrices = rotation.quaternion_to_matrix(quaternions.astype(np.float64))
    if before is not None:
        matrices = before @ matrices @ after
    angles = np.degrees(bvh.euler(matrices, "".join(name[0] for name in turning)))
    return dict(zip(turning, angles.T, strict=True))


def _hierarchy(
    names: Sequence[str],
    parents: Sequence[int],
    offsets: np.ndarray,
    channels: Sequence[Sequence[str]],
    tips: Mapping[int, Sequence[float]],
) -> list[str]:
    """The lines of the first part of a file. A joint is followed by all below it."""
    lines = ["HIERARCHY"]
    above: list[int] = []  # joints whose braces are open

    def close() -> None:
        j = above.pop()
        if j in tips:
            inside = "\t" * (len(above) + 1)
            lines.extend(inside + line for line in ("End Site", "{", f"\tOFFSET {_numbers(tips[j])}", "}"))
        lines.append("\t" * len(above) + "}")

    for j, parent in enumerate(parents):
        while above and above[-1] != parent:
            close()
        inside = "\t" * len(above)
        joint = (
            f"{'JOINT' if above else 'ROOT'} {names[j]}",
            "{",
            f"\tOFFSET {_numbers(offsets[j])}",
            f"\tCHANNELS {' '.join([str(len(channels[j])), *channels[j]])}",
        )
        lines.extend(inside + line for line in joint)
        above.append(j)
    while above:
        close()
    return lines


def _numbers(vector: Iterable[float]) -> str:
    return " ".join(f"{value:.6f}" for value in vector)


def _write(path: str | Path, lines: Sequence[str], columns: list, movement: Movement) -> None:
    row = " ".join(["%.5f"] * len(columns))
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in (*lines, "MOTION", f"Frames: {len(movement)}"))
        file.write(f"Frame Time: {1 / movement.fps:.10f}\n")
        for start in range(0, len(movement), _ROWS):
            part = slice(start, min(start + _ROWS, len(movement)))
            table = np.empty((part.stop - start, len(columns)))
            for n, column in enumerate(columns):
                table[:, n] = column[part] if np.ndim(column) else column
            file.writelines(row % tuple(numbers) + "\n" for numbers in table.tolist())
