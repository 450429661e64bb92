"""Means and deviations of the channels that networks see, and how fast joints are on average, of any clips."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from cospeech import positions, rotation, skeleton
from cospeech.body import Body, joint_positions
from cospeech.data.store import Store
from cospeech.data.stored import StoredClip
from cospeech.errors import DataError
from cospeech.features import translation_to_channels
from cospeech.formats import npy

FPS = 30
_CHUNK = 4096  # frames at a time


@dataclass
class Sums:
    """Of (N, C) rows that come piece by piece; in double precision, so that hours lose nothing."""

    count: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(1))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def add(self, rows: np.ndarray) -> None:
        for start in range(0, len(rows), _CHUNK):
            piece = rows[start : start + _CHUNK].astype(np.float64)
            self.count += len(piece)
            self.total = self.total + piece.sum(axis=0)
            self.squares = self.squares + np.square(piece).sum(axis=0)

    @property
    def mean(self) -> np.ndarray:
        return self.total / self.count

    @property
    def std(self) -> np.ndarray:
        return np.sqrt(np.maximum(self.squares / self.count - self.mean**2, 0))


def statistics(clips: Iterable[StoredClip], body: Body) -> dict[str, np.ndarray]:
    """One pass over clips, one at a time. All are of whole frames, none counts for more than its length.

    Args:
        body: Whose joints are measured; those of the published statistics are the average SMPL-X body's.

    Returns:
        float32: `rotations.mean` and `.std` (330,) of the 6-D rotations of the 55 joints, `translation.mean` and `.std`
        (3,) of step in x, height and step in z, `humanml3d.mean` and `.std` (623,), and `joint_speed` (55,) metres a
        second, the mean over frames by central differences [1].

    [1] What beat consistency divides speeds by; see `metrics.beat`.
    """
    rotations, translation, vectors, speed = Sums(), Sums(), Sums(), Sums()
    for clip in clips:
        if clip.info.num_frames < 2:
            continue
        rotations.add(rotation.axis_angle_to_rotation_6d(clip.poses).reshape(len(clip.poses), -1))
        translation.add(translation_to_channels(clip.translation))
        vectors.add(positions.vectors(clip.poses, clip.translation))
        _add_speeds(speed, clip, body)
    if not rotations.count:
        raise DataError("There are no clips of at least two frames to measure.")
    sums = {"rotations": rotations, "translation": translation, "humanml3d": vectors}
    found = {f"{name}.{kind}": getattr(each, kind) for name, each in sums.items() for kind in ("mean", "std")}
    return {name: array.astype(np.float32) for name, array in (found | {"joint_speed": speed.mean}).items()}


def joint_speed(clips: Iterable[StoredClip], body: Body) -> np.ndarray:
    """The `joint_speed` of `statistics` alone."""
    speed = Sums()
    for clip in clips:
        _add_speeds(speed, clip, body)
    if not speed.count:
        raise DataError("There are no clips of at least two frames to measure.")
    return speed.mean.astype(np.float32)


def joint_speed_of(store: Store, body: Body, progress: Callable[[float], None] = lambda share: None) -> np.ndarray:
    """The `joint_speed` of the clips of a store that are for training, or where there are none of all."""
    moving = [n for n, info in enumerate(store.infos) if info.num_frames > 1 and {"upper", "lower"} & {*info.has}]
    chosen = [n for n in moving if store.infos[n].split == "train"] or moving

    def clips() -> Iterator[StoredClip]:
        for count, number in enumerate(chosen, 1):
            yield store.clip(number)
            progress(count / len(chosen))

    return joint_speed(clips(), body)


def read_joint_speed(path: Path) -> np.ndarray:
    """(55,) m/s of BEAT2's `mean_vel_smplxflame_30.npy`, of `cospeech statistics`, or of a checkpoint's statistics."""
    if path.suffix == ".npy":
        speeds = npy.read_numbers(path)
    else:
        try:
            speeds = load_file(path)["joint_speed"]
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(f"{path}: is neither .npy nor what `cospeech statistics` writes ({error}).") from None
    if speeds.shape != (skeleton.NUM_JOINTS,) or not np.isfinite(speeds).all() or (speeds < 0).any():
        raise DataError(f"{path}: must hold {skeleton.NUM_JOINTS} speeds, one of each joint, in metres a second.")
    return speeds.astype(np.float32)


def _add_speeds(speed: Sums, clip: StoredClip, body: Body) -> None:
    num_frames = clip.info.num_frames
    for start in range(0, num_frames if num_frames > 1 else 0, _CHUNK):
        first, last = max(start - 1, 0), min(start + _CHUNK + 1, num_frames)  # a frame more, for the differences
        joints = joint_positions(body, clip.poses[first:last], clip.translation[first:last])
        if len(joints) > 1:
            speeds = np.linalg.norm(np.gradient(joints, axis=0), axis=-1) * FPS
            speed.add(speeds[start - first : start - first + _CHUNK])
