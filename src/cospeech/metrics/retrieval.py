"""How well sentences find motions, and motions sentences, in a space of both.

[1] Petrovich et al. 2023, TMR, arXiv:2305.00976, section 4.2: the protocols

Axes: N pairs of a motion and a sentence.
"""

from collections.abc import Iterator

import numpy as np

CUTOFFS = (1, 2, 3, 5, 10)
SAME = 0.95  # similarity of two sentences above which finding either is right
SUBSET, BATCH = 100, 32


def ranks(similarity: np.ndarray, right: np.ndarray | None = None) -> np.ndarray:
    """(N,) how many of the found come before the first right one, 0 where that is the best; ties count half.

    Args:
        similarity: (N, N), row i of query i to everything there is.
        right: (N, N) bool: what is right for each query; None: its own alone.
    """
    right = np.eye(len(similarity), dtype=bool) if right is None else right
    best = np.where(right, similarity, -np.inf).max(axis=1, keepdims=True)
    ahead = (similarity > best) & ~right
    level = (similarity == best) & ~right
    return ahead.sum(axis=1) + 0.5 * level.sum(axis=1)


def recalls(found: np.ndarray) -> dict[str, float]:
    """Percent of the queries found among the first 1, 2, 3, 5 and 10, and the median rank, which begins with 1."""
    values = {f"R@{cutoff}": 100 * float((found < cutoff).mean()) for cutoff in CUTOFFS}
    return values | {"MedR": float(np.median(found)) + 1}


def protocols(
    motions: np.ndarray, texts: np.ndarray, alike: np.ndarray | None = None, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Protocol of [1] -> "text to motion" and "motion to text" -> `recalls`.

    (a) all: among all pairs. (b) all with threshold: finding a sentence that says the same is right as well.
    (c) dissimilar subset: among 100 pairs whose sentences differ most. (d) small batches: among 32 at a time, the mean
    over batches of all pairs, as HumanML3D's evaluation does it.

    Args:
        motions, texts: (N, D) embeddings; their cosine is compared.
        alike: (N, N) similarity of the sentences, 0 to 1, from a sentence encoder; without it (b) and (c) are left out.
        seed: Of the order of pairs in (d).
    """
    similarity = _unit(texts) @ _unit(motions).T  # (N, N) of sentence i to motion j
    found = {"all": _both_ways(similarity)}
    if alike is not None:
        found["all with threshold"] = _both_ways(similarity, alike >= SAME)
        subset = dissimilar(alike, SUBSET)
        found["dissimilar subset"] = _both_ways(similarity[np.ix_(subset, subset)])
    order = np.random.default_rng(seed).permutation(len(similarity))
    small = [_both_ways(similarity[np.ix_(batch, batch)]) for batch in batches(order)]
    if small:
        found["small batches"] = {
            way: {name: float(np.mean([batch[way][name] for batch in small])) for name in small[0][way]}
            for way in small[0]
        }
    return found


def dissimilar(alike: np.ndarray, count: int) -> np.ndarray:
    """Numbers of `count` sentences as different from each other as a greedy choice makes them: furthest first."""
    chosen = [int(alike.sum(axis=1).argmin())]
    nearest = alike[chosen[0]].copy()
    while len(chosen) < min(count, len(alike)):
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, alike[chosen[-1]])
    return np.array(sorted(chosen))


def _both_ways(similarity: np.ndarray, right: np.ndarray | None = None) -> dict[str, dict[str, float]]:
    return {
        "text to motion": recalls(ranks(similarity, right)),
        "motion to text": recalls(ranks(similarity.T, None if right is None else right.T)),
    }


def batches(order: np.ndarray) -> Iterator[np.ndarray]:
    """An order of pairs, 32 at a time; the last ones, which are fewer, are left out."""
    for start in range(0, len(order) - BATCH + 1, BATCH):
        yield order[start : start + BATCH]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
