"""Motion: what a body, its hands and its face do over time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from cospeech import rotation, skeleton
from cospeech.errors import MotionError

NUM_EXPRESSIONS = 100
NUM_BETAS = 300
MAX_FPS = 1000


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion of T frames. y is up, the body faces +z at rest, metres and radians throughout.

    Args:
        poses: (T, 55, 3) axis-angle of each SMPL-X joint relative to its parent, in `skeleton.JOINTS` order.
            Finger rotations are total: zero is the flat hand, no mean hand pose is added.
        translation: (T, 3) metres. The pelvis is at `skeleton.REST_PELVIS + translation`, as in SMPL-X.
        fps: Frames a second. Frame t shows the time t / fps.
        expressions: (T, 100) FLAME expression coefficients; None means zeros.
        face: (T, 52) ARKit face weights 0..1 in `skeleton.ARKIT` order, or None where nobody knows the face.
        betas: (300,) SMPL-X body shape; None means zeros, the average body.
        metadata: Where the motion comes from, as text: model, licence, seed, version. Writers pass it on.

    Arrays are converted to float32 and made read-only. `len(motion)` is T.
    """

    poses: np.ndarray
    translation: np.ndarray
    fps: float = 30.0
    expressions: np.ndarray = None  # type: ignore[assignment]  # an array after __post_init__
    face: np.ndarray | None = None
    betas: np.ndarray = None  # type: ignore[assignment]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num_frames = len(self.poses)
        shapes = {
            "poses": (num_frames, skeleton.NUM_JOINTS, 3),
            "translation": (num_frames, 3),
            "expressions": (num_frames, NUM_EXPRESSIONS),
            "face": (num_frames, len(skeleton.ARKIT)),
            "betas": (NUM_BETAS,),
        }
        _check_fps(self.fps)
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                if name == "face":
                    continue
                value = np.zeros(shape, np.float32)
            array = np.array(value, dtype=np.float32)
            if array.shape != shape:
                raise MotionError(f"`{name}` has shape {array.shape}, expected {shape}.")
            if not np.isfinite(array).all():
                raise MotionError(f"`{name}` contains NaN or infinity.")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "fps", float(self.fps))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    def __len__(self) -> int:
        return len(self.poses)

    def __repr__(self) -> str:
        face = "" if self.face is None else ", with face"
        return f"Motion({len(self)} frames, {self.duration_s:.2f} s at {self.fps:g} fps{face})"

    @property
    def duration_s(self) -> float:
        return len(self) / self.fps

    def with_face(self, face: np.ndarray) -> "Motion":
        """The motion with ARKit weights (T, 52); the jaw joint opens with jawOpen."""
        poses = self.poses.copy()
        poses[:, skeleton.JAW] = 0
        poses[:, skeleton.JAW, 0] = skeleton.JAW_OPEN_RADIANS * np.asarray(face)[:, skeleton.JAW_OPEN]
        return replace(self, poses=poses, face=face)

    def shown_face(self) -> np.ndarray | None:
        """(T, 52) ARKit weights that a body can show: the face, or where there is none jawOpen as the jaw joint turns.

        None where neither moves.
        """
        if self.face is not None:
            return self.face
        opening = (self.poses[:, skeleton.JAW, 0] / skeleton.JAW_OPEN_RADIANS).clip(0, 1)
        if not opening.any():
            return None
        face = np.zeros((len(self), len(skeleton.ARKIT)), np.float32)
        face[:, skeleton.JAW_OPEN] = opening
        return face

    def __getitem__(self, seconds: slice) -> "Motion":
        """`motion[2.0:5.0]` is the motion from second 2 to second 5; both ends are optional."""
        if not isinstance(seconds, slice) or seconds.step is not None:
            raise TypeError("A motion is sliced by seconds: motion[start_s:end_s].")
        start_s = 0.0 if seconds.start is None else float(seconds.start)
        end_s = self.duration_s if seconds.stop is None else float(seconds.stop)
        if start_s < 0 or end_s < start_s:
            raise MotionError(f"Cannot cut from {start_s:g} s to {end_s:g} s: need 0 <= start <= end.")
        frames = slice(round(start_s * self.fps), round(end_s * self.fps))
        return self._over_time(lambda array: array[frames])

    def join(self, *others: "Motion") -> "Motion":
        """This motion followed by the others, which must have its frame rate. Body shape and metadata are kept.

        Nothing is blended. A part without a face gets a resting one when another part has a face.
        """
        parts = (self, *others)
        if any(part.fps != self.fps for part in parts):
            raise MotionError("Cannot join motions of different frame rates: resample them first.")
        with_face = any(part.face is not None for part in parts)
        return replace(
            self,
            poses=np.concatenate([part.poses for part in parts]),
            translation=np.concatenate([part.translation for part in parts]),
            expressions=np.concatenate([part.expressions for part in parts]),
            face=np.concatenate([_face_or_rest(part) for part in parts]) if with_face else None,
        )

    def resample(self, fps: float) -> "Motion":
        """The same motion at another frame rate, exactly round(duration * fps) frames.

        Rotations follow the shortest arc between frames, everything else the straight line.
        """
        _check_fps(fps)
        if fps == self.fps or len(self) == 0:
            return replace(self, fps=fps)
        num_frames = max(1, round(self.duration_s * fps))
        at = np.minimum(np.arange(num_frames) * (self.fps / fps), len(self) - 1)
        before = np.floor(at).astype(int)
        after = np.minimum(before + 1, len(self) - 1)
        weight = (at - before).astype(np.float32)

        def linear(array: np.ndarray) -> np.ndarray:
            return array[before] + weight[:, None] * (array[after] - array[before])

        quaternions = rotation.axis_angle_to_quaternion(self.poses)
        poses = rotation.slerp(quaternions[before], quaternions[after], weight[:, None, None])
        return replace(
            self,
            poses=rotation.quaternion_to_axis_angle(poses),
            translation=linear(self.translation),
            expressions=linear(self.expressions),
            face=None if self.face is None else linear(self.face),
            fps=fps,
        )

    def mirror(self) -> "Motion":
        """Left and right exchanged. ARKit sides swap; FLAME expressions, which have no sides, become zero."""
        return replace(
            self,
            poses=self.poses[:, skeleton.MIRROR] * np.array([1, -1, -1], np.float32),
            translation=self.translation * np.array([-1, 1, 1], np.float32),
            expressions=np.zeros_like(self.expressions),
            face=None if self.face is None else self.face[:, skeleton.ARKIT_MIRROR],
        )

    def with_metadata(self, entries: Mapping[str, str] | Iterable[tuple[str, str]]) -> "Motion":
        return replace(self, metadata={**self.metadata, **dict(entries)})

    def _over_time(self, change) -> "Motion":
        return replace(
            self,
            poses=change(self.poses),
            translation=change(self.translation),
            expressions=change(self.expressions),
            face=None if self.face is None else change(self.face),
        )


def _check_fps(fps: float) -> None:
    if not 0 < fps <= MAX_FPS:
        raise MotionError(f"`fps` must be above 0 and at most {MAX_FPS}, got {fps}.")


def _face_or_rest(motion: Motion) -> np.ndarray:
    return np.zeros((len(motion), len(skeleton.ARKIT)), np.float32) if motion.face is None else motion.face
