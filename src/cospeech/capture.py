"""Skeletons of any joints, as files have them: one that moves (a capture), and one that waits to be moved."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Capture:
    """T frames of a skeleton of J joints, lengths in the unit of the file."""

    names: tuple[str, ...]  # parents before children
    parents: tuple[int, ...]  # -1 for a root
    offsets: np.ndarray  # (J, 3) from the parent where nothing is turned
    rotations: np.ndarray  # (T, J, 3, 3) of each joint relative to its parent
    positions: np.ndarray  # (T, J, 3) of each joint in its parent's frame

    def __len__(self) -> int:
        return len(self.rotations)

    def unturned(self) -> np.ndarray:
        """(J, 3) where the joints are when nothing is turned and the root is at the origin."""
        places = np.zeros_like(self.offsets)
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                places[j] = places[parent] + self.offsets[j]
        return places


@dataclass(frozen=True, eq=False)
class Bones:
    """A character of J joints as it stands in its file, in the axes and the unit of the file."""

    names: tuple[str, ...]  # parents before children
    parents: tuple[int, ...]  # -1 for a root
    rotations: np.ndarray  # (J, 3, 3) of each joint in the world
    positions: np.ndarray  # (J, 3) of each joint in the world
    skeletons: tuple[tuple[int, ...], ...]  # the joints that may be a person's, of each person there may be
    humanoid: Mapping[str, int] = field(default_factory=dict)  # bone of VRM -> joint, of files that say so
    uneven: frozenset[int] = frozenset()  # joints scaled unevenly in the world, mirrored or sheared

    def nearest_above(self, j: int, among: Container[int]) -> int:
        """The nearest joint above one, of some; -1 where there is none."""
        j = self.parents[j]
        while j >= 0 and j not in among:
            j = self.parents[j]
        return j

    def is_below(self, j: int, above: int) -> bool:
        """Whether a joint hangs on another, or is it."""
        while j > above:
            j = self.parents[j]
        return j == above

    def path(self, above: int, j: int) -> list[int]:
        """The joints from below one, or from the root of all (-1), down to another; none if that is not below."""
        joints: list[int] = []
        while j > above:
            joints.append(j)
            j = self.parents[j]
        return joints[::-1] if j == above else []

    def common(self, joints: Sequence[int]) -> int:
        """The nearest joint that all hang on; -1 where they hang on several roots."""
        above = joints[0]
        while above >= 0 and not all(self.is_below(j, above) for j in joints):
            above = self.parents[above]
        return above


@dataclass(frozen=True, eq=False)
class Movement:
    """How some joints of `Bones` move in T frames; all others stay as they are in their parents."""

    fps: float
    joints: tuple[int, ...]
    rotations: (
        np.ndarray
    )  # (joints, T, 4) float32 quaternions (w, x, y, z) relative to the parent, without flips of sign
    root: int  # the joint that travels
    path: np.ndarray  # (T, 3) of it in the world
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.path)
