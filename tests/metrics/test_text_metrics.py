import numpy as np
import pytest

from cospeech.metrics import text


def test_motions_that_are_their_sentences_are_found_first(rng):
    texts = rng.normal(size=(80, 8))
    assert text.r_precision(texts, texts, seed=0) == (1, 1, 1)
    assert text.matching_score(texts, texts) == 0
    assert text.matching_score(texts, texts + np.array([3, 4, 0, 0, 0, 0, 0, 0])) == pytest.approx(5)


def test_by_chance_one_two_and_three_of_32_are_found(rng):
    texts, motions = rng.normal(size=(2, 32 * 200, 6))
    found = text.r_precision(texts, motions, seed=1)
    np.testing.assert_allclose(found, [1 / 32, 2 / 32, 3 / 32], atol=0.01)
    assert text.r_precision(texts[:31], motions[:31], seed=1) != found
    assert np.isnan(text.r_precision(texts[:31], motions[:31], seed=1)).all()


def test_r_precision_by_a_plain_reference(rng):
    texts = rng.normal(size=(64, 5))
    motions = texts + rng.normal(size=(64, 5))
    order = np.random.default_rng(7).permutation(64)
    hits = np.zeros(3)
    for batch in (order[:32], order[32:]):
        for i in batch:
            nearest = sorted(batch, key=lambda j: np.linalg.norm(texts[i] - motions[j]))[:3]
            hits += [i in nearest[:top] for top in (1, 2, 3)]
    np.testing.assert_allclose(text.r_precision(texts, motions, seed=7), hits / 64)


def test_diversity_and_multimodality_of_two_points_by_hand():
    """Pairs are of one point half of the time, and else as far apart as the points are."""
    motions = np.zeros((4000, 3))
    motions[::2, 0] = 2
    assert text.diversity(motions, seed=0, pairs=4000) == pytest.approx(1, abs=0.05)
    assert text.diversity(motions[::2], seed=0) == 0
    of_texts = np.repeat(np.arange(50.0)[:, None, None], 30, axis=1)  # sentences far apart, their motions the same
    assert text.multimodality(of_texts, seed=0) == 0
    of_texts[:, ::2] += 2
    assert text.multimodality(of_texts, seed=0) == pytest.approx(1, abs=0.5)


def test_replications_give_the_mean_and_its_interval(rng):
    texts = rng.normal(size=(96, 8))
    motions = texts + 0.7 * rng.normal(size=(96, 8))
    found = [text.scores(texts, motions, texts, seed) for seed in range(text.REPLICATIONS)]
    shown = text.over_replications(found)
    assert set(shown) == {
        *(f"R-precision top {top}" for top in (1, 2, 3)),
        *("matching score", "FID", "diversity"),
    }
    values = [each["diversity"] for each in found]
    assert shown["diversity"].value == pytest.approx(np.mean(values))
    assert shown["diversity"].high - shown["diversity"].value == pytest.approx(1.96 * np.std(values) / np.sqrt(20))
    assert shown["FID"].low == pytest.approx(shown["FID"].high)  # nothing in it is random
    assert shown["R-precision top 1"].value <= shown["R-precision top 3"].value
