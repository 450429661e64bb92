"""Random windows of clips, drawn so that a step's batch depends on the seed and the step number alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cospeech.errors import DataError


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of equal length out of clips of several sources.

    Args:
        clips: For each clip named arrays (T, C), all of one length.
        sources: Source of each clip.
        weights: Share of the windows that each source gets; within a source long clips get more. A source that is
            not named gets none.
        num_frames: Length of a window; shorter clips are left out.
    """

    clips: Sequence[Mapping[str, np.ndarray]]
    sources: Sequence[str]
    weights: Mapping[str, float]
    num_frames: int
    _starts: np.ndarray = field(init=False)  # how many windows each clip has
    _cumulative: np.ndarray = field(init=False)  # of the clips' shares of the windows

    def __post_init__(self) -> None:
        starts = np.array([len(next(iter(clip.values()))) - self.num_frames + 1 for clip in self.clips]).clip(min=0)
        share = np.zeros(len(self.clips))
        for source, weight in self.weights.items():
            here = starts * (np.array(self.sources) == source)
            if weight > 0 and here.sum() == 0:
                raise DataError(f"No clip of source `{source}` has {self.num_frames} frames. Its weight must be 0.")
            share += weight * here / max(here.sum(), 1)
        if share.sum() == 0:
            raise DataError("The sum of the source weights is zero: there is nothing to train on.")
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_cumulative", np.cumsum(share / share.sum()))

    def cuts(self, size: int, *key: int) -> list[tuple[int, int]]:
        """Clip and first frame of each window; the same `key`, such as seed, step and rank, gives the same windows."""
        rng = np.random.default_rng(key)
        chosen = np.searchsorted(self._cumulative, rng.random(size) * self._cumulative[-1])
        return [(int(i), int(rng.integers(self._starts[i]))) for i in chosen]

    def batch(self, size: int, *key: int) -> dict[str, np.ndarray]:
        """(size, num_frames, C) arrays of the windows that `cuts` draws."""
        cuts = [(self.clips[i], at) for i, at in self.cuts(size, *key)]
        names = cuts[0][0].keys()
        return {name: np.stack([clip[name][at : at + self.num_frames] for clip, at in cuts]) for name in names}
