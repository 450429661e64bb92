"""Motions written as .bvh files of other skeletons: other names, rest poses, axes and units."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cospeech import skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.formats import bvh
from cospeech.motion import Motion
from cospeech.rotation import axis_angle_to_matrix
from cospeech.skeleton import INDEX, JOINTS, PARENTS

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from y up


def about(axis: str, degrees: float) -> np.ndarray:
    return axis_angle_to_matrix(np.radians(degrees) * np.eye(3)["xyz".index(axis)])


def hanging_arms(degrees: float) -> dict[str, np.ndarray]:
    """Rest frames of a skeleton whose arms point down by so much: 45 is an A pose."""
    fingers = {JOINTS[j].partition("_")[2] for j in skeleton.HANDS}
    arms = ("shoulder", "elbow", "wrist", *fingers)
    sides = (("left", about("z", degrees)), ("right", about("z", -degrees)))
    return {f"{side}_{joint}": turn for side, turn in sides for joint in arms}


def all_along_x() -> dict[str, np.ndarray]:
    """Rest frames of a skeleton whose bones all lie along x where nothing is turned: no pose of a person."""
    rest = mannequin("light").joints
    frames = {}
    for j, name in enumerate(JOINTS):
        child = next((k for k in range(len(JOINTS)) if PARENTS[k] == j), None)
        along = rest[child] - rest[j] if child is not None else rest[j] - rest[PARENTS[j]]
        x = along / np.linalg.norm(along)
        z = np.cross(x, [0.3, 0.4, 0.5])
        z /= np.linalg.norm(z)
        frames[name] = np.stack([x, np.cross(z, x), z], axis=-1)
    return frames


def write(
    path: Path,
    motion: Motion,
    names: Mapping[str, str],
    frames: Mapping[str, np.ndarray] | None = None,
    metres: float = 0.01,
    turn: np.ndarray | None = None,
    promised: int | None = None,
) -> Path:
    """The mannequin's joints that have a name, root first.

    Args:
        frames: SMPL-X name -> (3, 3) global rotation of the file's joint where ours is the identity.
        metres: In a unit of the file.
        turn: (3, 3) from our world to that of the file.
        promised: Frames in the header, if not those of the motion.
    """
    rest = mannequin("light").joints.astype(float)
    turn = np.eye(3) if turn is None else turn
    frame = {name: (frames or {}).get(name, np.eye(3)) for name in names}
    world = joint_transforms(mannequin("light"), motion.poses.astype(float), motion.translation.astype(float))
    turned = {name: turn @ world.rotations[:, INDEX[name]] @ frame[name] for name in names}
    parent = {name: _nearest(name, names) for name in names}
    children = {name: [child for child in names if parent[child] == name] for name in names}
    lines, columns = ["HIERARCHY"], []

    def add(name: str, depth: int) -> None:
        above = parent[name]
        offset = np.zeros(3) if above is None else frame[above].T @ (rest[INDEX[name]] - rest[INDEX[above]]) / metres
        if above is None:
            columns.append(world.positions[:, INDEX[name]] @ turn.T / metres)
            local = turned[name]
        else:
            local = np.swapaxes(turned[above], -1, -2) @ turned[name]
        columns.append(np.degrees(bvh.euler_zxy(local[:, None]))[:, 0])
        position = "6 Xposition Yposition Zposition" if above is None else "3"
        lines.extend([f"{'ROOT' if above is None else 'JOINT'} {names[name]}", "{", "OFFSET " + _row(offset)])
        lines.append(f"CHANNELS {position} Zrotation Xrotation Yrotation")
        for child in children[name]:
            add(child, depth + 1)
        lines.extend(["}"] if children[name] else ["End Site", "{", "OFFSET 0 0 0", "}", "}"])

    add(next(name for name in names if parent[name] is None), 0)
    rows = [_row(row) for row in np.concatenate(columns, axis=1)]
    lines += ["MOTION", f"Frames: {promised or len(rows)}", f"Frame Time: {1 / motion.fps:.9f}", *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def _nearest(name: str, names: Mapping[str, str]) -> str | None:
    j = PARENTS[INDEX[name]]
    while j >= 0 and JOINTS[j] not in names:
        j = PARENTS[j]
    return JOINTS[j] if j >= 0 else None


def _row(numbers) -> str:
    return " ".join(f"{number:.7f}" for number in numbers)
