"""What a motion capture file says: a skeleton of any joints, and how it moves."""

from dataclasses import dataclass

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
