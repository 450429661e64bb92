"""Fréchet distance between Gaussians fitted to two sets of embeddings.

[1] Heusel et al. 2017, arXiv:1706.08500; as Fréchet gesture distance (FGD) Yoon et al. 2020, arXiv:2009.02119
[2] SynTalker, arXiv:2410.00464, and MambaTalk, arXiv:2403.09471: EMAGE's code, arXiv:2401.00374

Axes: N embeddings, D numbers each.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cospeech.errors import DataError, MissingExtra
from cospeech.metrics.interval import Estimate, around
from cospeech.quirks import Protocol

Clips = Sequence[np.ndarray]  # embeddings of each clip
SAMPLES = 100  # of the bootstrap: each costs three decompositions of (D, D)


def frechet_distance(a: np.ndarray, b: np.ndarray, protocol: Protocol = "corrected") -> float:
    """|difference of means|^2 + trace of cov_a + cov_b - 2 (cov_a cov_b)^1/2, of embeddings (N, D) and (M, D).

    0 for equal statistics, lower is better. Comparable for the same embedder and number of embeddings alone: of fewer
    it is larger, by about the variance times D / N.

    Args:
        protocol: "published" takes the root of the product as [2] does, with scipy's Schur method, which gives a
            complex root of what is singular, as every product is of fewer embeddings than D. What is imaginary is
            dropped up to 0.001 on the diagonal and makes a distance of 1e10 above; 1e-6 is added to both diagonals
            where the root is not finite. Rounding makes it slightly negative at times. "corrected" takes it from
            factors of the covariances, which are real.

    Raises:
        DataError: there are less than two embeddings on a side, or some are not finite.
        MissingExtra: scipy is missing, for "published".
    """
    a, b = (_checked(each) for each in (a, b))
    if a.shape[1] != b.shape[1]:
        raise DataError(f"Embeddings of {a.shape[1]} and of {b.shape[1]} numbers: these are of two embedders.")
    if protocol == "published":
        return _published(*_fitted(a), *_fitted(b))
    return _distance(_rooted(*_fitted(a)), _rooted(*_fitted(b)))


def resampled(made: Clips, real: Clips, samples: int = SAMPLES) -> np.ndarray:
    """(samples,) distances of clips drawn with replacement, for `interval.around` and `interval.difference_around`.

    Args:
        made, real: Embeddings (N, D) of each clip; the same clips on both sides, and the same ones are drawn. So are
            they of another run of as many clips.
    """
    return resampled_each([made], real, samples)[0]


def resampled_each(runs: Sequence[Clips], real: Clips, samples: int = SAMPLES) -> np.ndarray:
    """(runs, samples): `resampled` of several runs, for which the real side is fitted once."""
    for made in runs:
        if len(made) != len(real):
            raise DataError(f"{len(made)} clips cannot be paired with {len(real)} real ones.")
    drawn = np.random.default_rng(0).multinomial(len(real), np.full(len(real), 1 / len(real)), size=samples)
    sides = [_fitted_to_drawn([_checked(each, 0) for each in side], drawn) for side in (real, *runs)]
    distances = np.zeros((len(runs), samples))
    for sample, (fitted, *others) in enumerate(zip(*sides, strict=True)):
        theirs = _rooted(*fitted)
        distances[:, sample] = [_distance(_rooted(*ours), theirs) for ours in others]
    return distances


def frechet_estimate(made: Clips, real: Clips, samples: int = SAMPLES) -> Estimate:
    """The corrected distance and its 95 % interval over clips; arguments as of `resampled`."""
    return frechet_estimates([made], real, samples)[0]


def frechet_estimates(runs: Sequence[Clips], real: Clips, samples: int = SAMPLES) -> list[Estimate]:
    """`frechet_estimate` of each of several runs."""
    values = [frechet_distance(np.concatenate(made), np.concatenate(real)) for made in runs]
    if len(real) < 2:
        return [Estimate(value, np.nan, np.nan) for value in values]
    found = [around(*each) for each in zip(values, resampled_each(runs, real, samples), strict=True)]
    return [each._replace(low=max(each.low, 0.0)) for each in found]


def _checked(embeddings: np.ndarray, least: int = 2) -> np.ndarray:
    if embeddings.ndim != 2 or len(embeddings) < least:
        raise DataError(f"A Fréchet distance needs {least} embeddings or more on either side, got {embeddings.shape}.")
    if not np.isfinite(embeddings).all():
        raise DataError("Embeddings contain NaN or infinity: a motion they are of does, or the embedder is damaged.")
    return embeddings.astype(np.float64)


def _fitted(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D)."""
    centred = embeddings - embeddings.mean(axis=0)
    return embeddings.mean(axis=0), centred.T @ centred / (len(embeddings) - 1)


def _fitted_to_drawn(clips: Sequence[np.ndarray], drawn: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`_fitted` to each row of (samples, clips) numbers of how often clips count, from sums over each clip."""
    middle = np.concatenate(clips).mean(axis=0)
    clips = [clip - middle for clip in clips]
    totals = drawn @ [len(clip) for clip in clips]
    sums = drawn @ np.stack([clip.sum(axis=0) for clip in clips])
    products = np.zeros((len(drawn), len(middle) ** 2))
    for start in range(0, len(clips), _TOGETHER):
        of_clips = np.stack([(clip.T @ clip).ravel() for clip in clips[start : start + _TOGETHER]])
        products += drawn[:, start : start + _TOGETHER] @ of_clips
    for total, added, product in zip(totals, sums, products, strict=True):
        mean = added / max(total, 1)
        yield mean + middle, (product.reshape(len(middle), -1) - np.outer(mean, added)) / max(total - 1, 1)


_TOGETHER = 32  # clips whose products are in memory at a time


class _Rooted(NamedTuple):
    mean: np.ndarray  # (D,)
    root: np.ndarray  # (D, D), of which root @ root.T is the covariance
    variance: float  # trace of the covariance


def _rooted(mean: np.ndarray, cov: np.ndarray) -> _Rooted:
    values, vectors = np.linalg.eigh(cov)
    return _Rooted(mean, vectors * np.sqrt(values.clip(min=0)), float(np.trace(cov)))


def _distance(a: _Rooted, b: _Rooted) -> float:
    # With cov = root root^T the roots of the eigenvalues of cov_a cov_b are the singular values of root_a^T root_b: no
    # digits are lost to the root of what is zero but for rounding.
    cross = np.linalg.svd(a.root.T @ b.root, compute_uv=False).sum()
    return float(max(((a.mean - b.mean) ** 2).sum() + a.variance + b.variance - 2 * cross, 0.0))


def _published(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    try:
        from scipy.linalg import sqrtm
    except ModuleNotFoundError as error:
        raise MissingExtra("scipy", "metrics") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the product is singular
        root = sqrtm(cov_a @ cov_b)
        if not np.isfinite(root).all():
            offset = 1e-6 * np.eye(len(cov_a))
            root = sqrtm((cov_a + offset) @ (cov_b + offset))
    if np.iscomplexobj(root) and not (np.abs(np.diagonal(root).imag) <= 1e-3).all():
        return 1e10
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(root.real))
