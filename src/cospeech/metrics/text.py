"""How well motions made from sentences fit them: the evaluation of HumanML3D.

[1] Guo et al. 2022, Generating diverse and natural 3D human motions from text, doi 10.1109/CVPR52688.2022.00509
[2] Lee et al. 2019, Dancing to music, arXiv:1911.02001: multimodality

Embeddings come from an encoder of texts and motions that was trained for this, [1]'s or `models.tmr`: values of
different encoders cannot be compared. What is random is evaluated twenty times, see `over_replications`.

Axes: N pairs of a sentence and the motion made from it, D numbers of an embedding, R motions of one sentence.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from cospeech.metrics.frechet import frechet_distance
from cospeech.metrics.interval import Estimate
from cospeech.metrics.retrieval import batches, ranks
from cospeech.quirks import Protocol

REPLICATIONS = 20
PAIRS = 300  # of `diversity`
PAIRS_OF_TEXT = 10  # of `multimodality`


def scores(
    texts: np.ndarray, motions: np.ndarray, real: np.ndarray, seed: int, protocol: Protocol = "corrected"
) -> dict[str, float]:
    """One replication.

    Args:
        texts, motions: (N, D) embeddings of pairs.
        real: (M, D) embeddings of the real motions.
        seed: Of the batches and of the pairs of `diversity`: another one in each replication.
        protocol: Of the Fréchet distance.
    """
    found = {f"R-precision top {top + 1}": value for top, value in enumerate(r_precision(texts, motions, seed))}
    found["matching score"] = matching_score(texts, motions)
    found["FID"] = frechet_distance(motions, real, protocol)
    found["diversity"] = diversity(motions, seed)
    return found


def r_precision(texts: np.ndarray, motions: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Share of sentences whose own motion is the nearest, among the nearest two, three, of 32; higher is better.

    By chance 1, 2 and 3 of 32. Distances are Euclidean. What fills no batch is left out; NaN of less than 32 pairs.
    """
    order = np.random.default_rng(seed).permutation(len(texts))
    found = [ranks(-_distances(texts[batch], motions[batch])) for batch in batches(order)]
    if not found:
        return np.nan, np.nan, np.nan
    ahead = np.concatenate(found)
    first, second, third = (float((ahead < top).mean()) for top in (1, 2, 3))
    return first, second, third


def matching_score(texts: np.ndarray, motions: np.ndarray) -> float:
    """Mean Euclidean distance of a sentence from its motion; 0 if they are the same, lower is better."""
    return float(np.linalg.norm(texts - motions, axis=1).mean())


def diversity(motions: np.ndarray, seed: int, pairs: int = PAIRS) -> float:
    """Mean distance of motions drawn at random; to be compared with that of the real ones. 0 if all are one.

    Of fewer than 300 motions each is in one pair.
    """
    rng = np.random.default_rng(seed)
    first, second = (rng.permutation(len(motions))[:pairs] for _ in range(2))
    return float(np.linalg.norm(motions[first] - motions[second], axis=1).mean())


def multimodality(motions: np.ndarray, seed: int, pairs: int = PAIRS_OF_TEXT) -> float:
    """Mean distance of motions made from the same sentence; 0 if each sentence has but one motion [2].

    Args:
        motions: (texts, R, D); [1] makes 30 motions of each of 100 sentences.
    """
    rng = np.random.default_rng(seed)
    first, second = (rng.permutation(motions.shape[1])[:pairs] for _ in range(2))
    return float(np.linalg.norm(motions[:, first] - motions[:, second], axis=2).mean())


def over_replications(found: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    """Mean and 95 % interval, 1.96 deviations divided by the root of how many there are: as [1] prints them."""
    estimates = {}
    for name in found[0]:
        values = np.array([each[name] for each in found])
        reach = 1.96 * values.std() / np.sqrt(len(values))
        estimates[name] = Estimate(float(values.mean()), float(values.mean() - reach), float(values.mean() + reach))
    return estimates


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None] - b[None], axis=2)
