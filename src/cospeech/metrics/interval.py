"""How sure a value is, and whether two runs differ: the bootstrap over clips.

[1] Efron & Tibshirani 1993, An introduction to the bootstrap, chapters 13 and 16

Measures of a clip are numbers, of which the mean counts, or `Ratio`s, of which the sums are divided. The bootstrap asks
what the value would be for other clips of the same kind: it draws as many of them as there are, some several times, a
thousand times over. Of few clips, less than `FEW`, its intervals are too narrow. Its p would be, too: three clips that
agree by chance, as one time in four they do, it takes for certain. So no p is smaller than the least that signs of
paired differences can have, one in 2^(N-1) for N clips.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

SAMPLES = 1000
FEW = 10
LOW, HIGH = 0.025, 0.975


class Ratio(NamedTuple):
    """Counts that are added up over clips before they are divided; NaN where there was nothing to measure."""

    count: float
    of: float

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else np.nan


class Estimate(NamedTuple):
    value: float
    low: float  # 95 % interval
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return ""
        return f"{self.value:.3g}" + ("" if self.low == self.high else f" [{self.low:.3g}, {self.high:.3g}]")


class Difference(NamedTuple):
    """Of a second run from a first one."""

    value: float
    low: float  # 95 % interval
    high: float
    p: float  # how often chance makes as much of nothing; of six clips or more below 0.05 where zero is outside


def estimate(values: Sequence[float | Ratio], never: Callable | None = None) -> Estimate:
    """Mean of values, or ratio of sums, and its 95 % interval.

    Args:
        never: `min` or `max`: the worst value instead, which has no interval.
    """
    pairs = _pairs(values)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) == 0:
        return Estimate(np.nan, np.nan, np.nan)
    if never:
        worst = float(never(pairs[:, 0] / pairs[:, 1]))
        return Estimate(worst, worst, worst)
    drawn = np.random.default_rng(0).integers(len(pairs), size=(SAMPLES, len(pairs)))
    return Estimate(float(_divided(pairs.sum(axis=0))), *_interval(_divided(pairs[drawn].sum(axis=1))))


def around(value: float, samples: np.ndarray) -> Estimate:
    """A value that is no mean over clips, of resampled ones: their spread, around the value.

    Samples of what grows as clips get fewer, as a Fréchet distance does, lie above the value: clips that are drawn
    twice are as good as fewer clips. That shift is no uncertainty and is taken off.
    """
    return Estimate(value, *_interval(value + samples - samples.mean()))


def difference(first: Sequence[float | Ratio], second: Sequence[float | Ratio]) -> Difference:
    """How much a second run has more of a measure than a first one has on the same clips: a paired bootstrap.

    It asks of the very value that a table shows, be it a mean or a ratio of sums. A test of ranks, such as Wilcoxon's,
    asks of the median of differences instead, and can find the second run ahead where the table finds it behind. Clips
    that either run has no value for are left out. NaN where none is left.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} clips are not the same clips.")
    both = np.stack([_pairs(first), _pairs(second)], axis=1)  # (N, 2 runs, 2)
    both = both[np.isfinite(both).all(axis=(1, 2))]
    if len(both) == 0:
        return Difference(np.nan, np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(0).integers(len(both), size=(SAMPLES, len(both)))
    ours, theirs = (_divided(both[drawn].sum(axis=1)[:, run]) for run in (1, 0))
    value = _divided(both.sum(axis=0)[1]) - _divided(both.sum(axis=0)[0])
    return _difference(float(value), ours - theirs, len(both))


def difference_around(
    first: float, second: float, first_samples: np.ndarray, second_samples: np.ndarray, clips: int
) -> Difference:
    """As `difference`, of values as `around` takes them; sample by sample both are of the same clips, so many."""
    samples = second_samples - first_samples
    return _difference(second - first, second - first + samples - samples.mean(), clips)


def _difference(value: float, samples: np.ndarray, clips: int) -> Difference:
    beyond = min((samples <= 0).mean(), (samples >= 0).mean())  # chance enough that the sign is another one
    return Difference(
        value, *_interval(samples), p=float(min(1.0, max(2 * beyond, 1 / len(samples), 2.0 ** (1 - clips))))
    )


def _pairs(values: Sequence[float | Ratio]) -> np.ndarray:
    """(N, 2) counts and of what."""
    return np.array([v if isinstance(v, Ratio) else (v, 1.0) for v in values], float).reshape(-1, 2)


def _divided(pairs: np.ndarray) -> np.ndarray:
    return pairs[..., 0] / np.maximum(pairs[..., 1], 1e-12)


def _interval(samples: np.ndarray) -> list[float]:
    return np.quantile(samples, [LOW, HIGH]).tolist()
