"""Motion <-> .bvh, the skeleton file that every animation tool reads.

Written: T pose at rest, centimetres, y up, all 55 joints under their SMPL-X names, or all but jaw and eyes under those
of Mixamo or BEAT; the root has six channels and its
position is that of the pelvis, every other joint three rotations, in the order Z X Y. Of the six orders that one
comes least near gimbal lock in real gestures: between two frames of the BEAT2 minute no channel moves further than
20.3 degrees, where with X Y Z it is 82.6 and with Z Y X 90.4. The format has no place for metadata.

Read: any hierarchy into a `Bvh`; `read` makes a `Motion` of one that has the joints of `skeleton.JOINTS`,
`cospeech.mocap` of all others.
Hand-written because the format is a page long and the readers on PyPI pull in more than they save.

Source: Meredith and Maddock 2001, Motion Capture File Formats Explained, University of Sheffield, CS-01-11.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cospeech import rigs, rotation, skeleton
from cospeech.body import Body, mannequin
from cospeech.capture import Capture
from cospeech.errors import CospeechWarning, DataError
from cospeech.formats.output import replacing
from cospeech.motion import Motion

_CM = 100.0  # centimetres in a metre
_AXES = {"X": 0, "Y": 1, "Z": 2}
_TIPS = {  # where the last bone of a chain ends, centimetres from its joint; fingers repeat the bone before
    "head": (0.0, 18.0, 0.0),
    "jaw": (0.0, -2.0, 8.0),
    "left_eye": (0.0, 0.0, 3.0),
    "right_eye": (0.0, 0.0, 3.0),
    "left_foot": (0.0, 0.0, 7.0),
    "right_foot": (0.0, 0.0, 7.0),
}


def write(motion: Motion, path: str | Path, body: Body | None = None, layout: str = "smplx") -> None:
    """Write a motion on the skeleton of a body, the mannequin unless given.

    Args:
        layout: Whose names its joints have, of `rigs.WRITTEN`.
    """
    joints, names = (body or mannequin("light")).joints, rigs.WRITTEN[layout]
    written = [j for j in _depth_first() if skeleton.JOINTS[j] in names]
    values = np.empty((len(motion), 3 + len(written) * 3))
    values[:, :3] = (motion.translation + joints[0]) * _CM  # of the pelvis
    for place, j in enumerate(written):  # joint by joint: the matrices of an hour would fill the memory
        matrices = rotation.axis_angle_to_matrix(motion.poses[:, j : j + 1].astype(np.float64))
        values[:, 3 + 3 * place : 6 + 3 * place] = np.rad2deg(euler_zxy(matrices))[:, 0]
    row = " ".join(["%.5f"] * values.shape[1])
    with replacing(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        header = ("HIERARCHY", *_hierarchy(joints, names), "MOTION", f"Frames: {len(motion)}")
        file.writelines(line + "\n" for line in (*header, f"Frame Time: {1 / motion.fps:.10f}"))
        file.writelines(row % tuple(frame.tolist()) + "\n" for frame in values)


def read(path: str | Path) -> Motion:
    """Read a motion from a file with the joints of `skeleton.JOINTS` in a T pose, in centimetres, in any order."""
    bvh = parse(path)
    if reason := why_other(bvh):
        raise DataError(f"{path}: {reason}. Retarget its motion to SMPL-X joints first.")
    warn_if_short(bvh, path)
    return to_motion(bvh)


def why_other(bvh: "Bvh") -> str:
    """What tells a skeleton from the one written here. Empty for that one."""
    place = {name: j for j, name in enumerate(bvh.names)}
    missing = [name for name in skeleton.JOINTS if name not in place]
    if missing:
        return f"is of another skeleton, without a joint {missing[0]}"
    for j, name in enumerate(skeleton.JOINTS):
        parent = bvh.parents[place[name]]
        expected = "nothing" if j == 0 else skeleton.JOINTS[skeleton.PARENTS[j]]
        found = "nothing" if parent < 0 else bvh.names[parent]
        if found != expected:
            return f"joint {name} hangs on {found}, in SMPL-X on {expected}"
    for side, out in (("left", 1), ("right", -1)):
        forearm, shin = bvh.offsets[place[f"{side}_wrist"]], bvh.offsets[place[f"{side}_ankle"]]
        if forearm[0] * out < 0.8 * np.linalg.norm(forearm) or -shin[1] < 0.8 * np.linalg.norm(shin):
            return "its rest pose is not a T pose facing +z"
    return ""


def to_motion(bvh: "Bvh") -> Motion:
    """The motion of a file about whose skeleton `why_other` says nothing."""
    order = [bvh.names.index(name) for name in skeleton.JOINTS]
    return Motion(
        poses=rotation.matrix_to_axis_angle(bvh.rotations()[:, order]),
        translation=bvh.positions()[:, order[0]] / _CM - skeleton.REST_PELVIS,
        fps=bvh.fps,
    )


def warn_if_short(bvh: "Bvh", path: str | Path) -> None:
    """Warn of a file that was cut short, or thinned out with the old header, as some files of BEAT are."""
    held, promised = len(bvh.values), bvh.num_promised
    if held < promised:
        warnings.warn(
            f"{path}: promises {promised} frames and holds {held}: those are used, at the {bvh.fps:g} a second of its "
            f"header. If it was thinned out, its rate is near {bvh.fps * held / promised:.3g}: say so (--source-fps).",
            CospeechWarning,
            stacklevel=3,
        )


@dataclass(frozen=True, eq=False)
class Bvh:
    """What a .bvh file says: J joints and T frames, lengths in the unit of the file (usually centimetres)."""

    names: tuple[str, ...]  # J, parents before children
    parents: tuple[int, ...]  # -1 for a root
    offsets: np.ndarray  # (J, 3) from the parent, at rest
    channels: tuple[tuple[str, ...], ...]  # of each joint, such as ("Zrotation", "Xrotation", "Yrotation")
    values: np.ndarray  # (T, channels of all joints), rotations in degrees
    fps: float
    num_promised: int  # frames by the header; more than T where the file was cut short or thinned out
    tips: Mapping[int, tuple[float, ...]] = field(default_factory=dict)  # joint -> where its last bone ends, from it

    def capture(self) -> Capture:
        return Capture(self.names, self.parents, self.offsets, self.rotations(), self.positions())

    def rotations(self) -> np.ndarray:
        """(T, J, 3, 3) each joint relative to its parent."""
        matrices = np.tile(np.eye(3), (len(self.values), len(self.names), 1, 1))
        column = 0
        for j, channels in enumerate(self.channels):
            for channel in channels:
                if channel.endswith("rotation"):  # channels apply from left to right: R = R1 @ R2 @ R3
                    axis_angle = np.zeros((len(self.values), 3))
                    axis_angle[:, _AXES[channel[0]]] = np.deg2rad(self.values[:, column])
                    matrices[:, j] = matrices[:, j] @ rotation.axis_angle_to_matrix(axis_angle)
                column += 1
        return matrices

    def positions(self) -> np.ndarray:
        """(T, J, 3) each joint relative to its parent: its position channels, or its offset where it has none."""
        positions = np.tile(self.offsets, (len(self.values), 1, 1))
        column = 0
        for j, channels in enumerate(self.channels):
            for channel in channels:
                if channel.endswith("position"):
                    positions[:, j, _AXES[channel[0]]] = self.values[:, column]
                column += 1
        return positions


def parse(path: str | Path) -> Bvh:
    """Read any .bvh file."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    if not text.lstrip().upper().startswith("HIERARCHY"):
        raise DataError(f"{path}: not a BVH file: it does not begin with HIERARCHY.")
    try:
        return _parse(text)
    except (ValueError, IndexError, KeyError) as error:
        reason = "it ends in the middle" if isinstance(error, IndexError) else error
        raise DataError(f"{path}: not a readable BVH file: {reason}.") from error


def euler_zxy(matrices: np.ndarray) -> np.ndarray:
    """(T, J, 3, 3) R = Rz @ Rx @ Ry -> (T, J, 3) radians about z, x, y, as of `euler`."""
    return euler(matrices, "ZXY")


def euler(matrices: np.ndarray, order: str) -> np.ndarray:
    """Rotations over time as angles that do not jump.

    Args:
        matrices: (T, ..., 3, 3), the product of rotations about three different axes.
        order: The axes, such as "ZXY" for R = Rz @ Rx @ Ry.

    Returns:
        (T, ..., 3) radians about these axes. Each is the triple nearest to that of the frame before among all that give
        the same rotation: (a, b, c), (a + pi, pi - b, c + pi), and either plus whole turns.
    """
    m = matrices
    i, j, k = (_AXES[axis] for axis in order)
    sign = 1 if (j - i) % 3 == 1 else -1  # of a cyclic order, of the others
    b = np.arcsin(np.clip(sign * m[..., i, k], -1, 1))
    a = np.arctan2(-sign * m[..., j, k], m[..., k, k])
    c = np.arctan2(-sign * m[..., i, j], m[..., i, i])
    locked = np.abs(m[..., i, k]) > 1 - 1e-12  # only a + c or a - c is defined: leave all of it to a
    a = np.where(locked, np.arctan2(sign * m[..., k, j], m[..., j, j]), a)
    c = np.where(locked, 0.0, c)
    angles = np.stack([a, b, c], axis=-1)
    other = np.stack([a + np.pi, np.pi - b, c + np.pi], axis=-1)
    # How far two frames are apart depends only on whether both or neither take the other triple, because taking it
    # moves the outer two alike and mirrors the middle one. So each frame can be asked alone, and the answers added up.
    stay = (_wrapped(angles[1:] - angles[:-1]) ** 2).sum(-1)
    switch = (_wrapped(other[1:] - angles[:-1]) ** 2).sum(-1)
    switched = np.cumsum(switch < stay, axis=0) % 2 == 1  # (T - 1, ...)
    angles[1:] = np.where(switched[..., None], other[1:], angles[1:])
    return np.unwrap(angles, axis=0)


def _wrapped(angles: np.ndarray) -> np.ndarray:
    return (angles + np.pi) % (2 * np.pi) - np.pi


def _children(parent: int) -> list[int]:
    return [j for j in range(skeleton.NUM_JOINTS) if skeleton.PARENTS[j] == parent]


def _depth_first(root: int = 0) -> list[int]:
    """The joints in the order in which the file names them."""
    return [root, *(j for child in _children(root) for j in _depth_first(child))]


def _hierarchy(joints: np.ndarray, names: Mapping[str, str], j: int = 0, depth: int = 0) -> list[str]:
    """The lines of joint `j` and of all below it that have a name."""
    parent = skeleton.PARENTS[j]
    # The root's offset is zero: some readers add it to the position channels and some do not.
    offset = (joints[j] - joints[parent]) * _CM if j else np.zeros(3)
    position = "6 Xposition Yposition Zposition" if j == 0 else "3"
    inside = "\t" * (depth + 1)
    lines = [
        f"{'JOINT' if j else 'ROOT'} {names[skeleton.JOINTS[j]]}",
        "{",
        f"\tOFFSET {_numbers(offset)}",
        f"\tCHANNELS {position} Zrotation Xrotation Yrotation",
    ]
    lines = [*("\t" * depth + line for line in lines)]
    children = [child for child in _children(j) if skeleton.JOINTS[child] in names]
    for child in children:
        lines += _hierarchy(joints, names, child, depth + 1)
    if not children:
        tip = _TIPS.get(skeleton.JOINTS[j], tuple(offset))
        lines += [inside + line for line in ("End Site", "{", f"\tOFFSET {_numbers(tip)}", "}")]
    return [*lines, "\t" * depth + "}"]


def _numbers(vector) -> str:
    return " ".join(f"{value:.6f}" for value in vector)


def _parse(text: str) -> Bvh:
    header = re.match(r".*?\bFrame\s+Time:\s*\S+", text, re.DOTALL | re.IGNORECASE)
    if not header:
        raise ValueError("no frame time")
    words = header[0].split()
    names, parents, offsets, channels = [], [], [], []
    tips: dict[int, tuple[float, ...]] = {}
    above: list[int] = []  # the joints whose braces are open; -1 is an end site
    at = 1
    while words[at].upper() != "MOTION":
        word = words[at].upper()
        if word in ("ROOT", "JOINT"):
            named = words.index("{", at)  # names may have spaces
            names.append(" ".join(words[at + 1 : named]))
            parents.append(above[-1] if above else -1)
            offsets.append((0.0, 0.0, 0.0))
            channels.append(())
            above.append(len(names) - 1)
            at = named + 1
        elif word == "END":
            above.append(-1)
            at = words.index("{", at) + 1
        elif word == "OFFSET":
            offset = tuple(float(number) for number in words[at + 1 : at + 4])
            if above[-1] >= 0:
                offsets[above[-1]] = offset
            elif len(above) > 1:
                tips[above[-2]] = offset
            at += 4
        elif word == "CHANNELS":
            count = int(words[at + 1])
            if count < 0:
                raise ValueError(f"{count} channels")
            channels[above[-1]] = tuple(_channel(name) for name in words[at + 2 : at + 2 + count])
            at += 2 + count
        elif word == "}":
            above.pop()
            at += 1
        else:
            raise ValueError(f"unexpected {words[at]!r} in the hierarchy")
    # MOTION Frames: T Frame Time: s, then the numbers
    num_frames, frame_time_s = int(words[at + 2]), float(words[at + 5])
    if num_frames < 0 or not 0 < frame_time_s < np.inf:
        raise ValueError(f"{num_frames} frames of {frame_time_s} seconds")
    width = sum(len(each) for each in channels)
    rows = [np.array(line.split(), dtype=np.float64) for line in text[header.end() :].splitlines()]
    numbers = np.concatenate([np.empty(0), *rows])
    if len(numbers) > num_frames * width or (num_frames and len(numbers) < max(width, 1)):
        raise ValueError(f"{num_frames} frames of {width} channels promised, {len(numbers)} numbers found")
    values = numbers[: len(numbers) // max(width, 1) * width].reshape(-1, max(width, 1))
    if not np.isfinite(numbers).all() or not np.isfinite(offsets).all():
        raise ValueError("NaN or infinite numbers")
    fps = 1 / frame_time_s
    if abs(fps - round(fps)) < 1e-4 * fps:  # 0.033333 means 30 frames a second, 0.033367 means 29.97
        fps = round(fps)
    return Bvh(tuple(names), tuple(parents), np.array(offsets), tuple(channels), values, fps, num_frames, tips)


def _channel(name: str) -> str:
    axis, kind = name[:1].upper(), name[1:].lower()
    if axis not in _AXES or kind not in ("position", "rotation"):
        raise ValueError(f"unknown channel {name!r}")
    return axis + kind
