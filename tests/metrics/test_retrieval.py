import numpy as np
import pytest

from cospeech.metrics import retrieval
from cospeech.metrics.retrieval import dissimilar, protocols, ranks, recalls


def test_ranks_by_hand():
    similarity = np.array([[0.9, 0.1, 0.2], [0.8, 0.5, 0.6], [0.3, 0.3, 0.3]])
    assert ranks(similarity).tolist() == [0, 2, 1]  # the last ties with both others
    same = np.eye(3, dtype=bool)
    same[1, 0] = True
    assert ranks(similarity, same).tolist() == [0, 0, 1]


def test_recalls_by_hand():
    found = recalls(np.array([0, 1, 4, 20]))
    assert found == {"R@1": 25, "R@2": 50, "R@3": 50, "R@5": 75, "R@10": 75, "MedR": 3.5}


def test_equal_embeddings_find_each_other_in_every_protocol(rng):
    vectors = rng.normal(size=(130, 16))
    found = protocols(vectors, 3 * vectors, alike=np.eye(130))
    assert list(found) == ["all", "all with threshold", "dissimilar subset", "small batches"]
    for ways in found.values():
        for way in ("text to motion", "motion to text"):
            assert ways[way] == dict.fromkeys((f"R@{k}" for k in retrieval.CUTOFFS), 100) | {"MedR": 1}


def test_chance_is_chance(rng):
    found = protocols(rng.normal(size=(320, 8)), rng.normal(size=(320, 8)))
    assert list(found) == ["all", "small batches"]
    assert found["all"]["text to motion"]["MedR"] == pytest.approx(160, abs=30)
    assert found["small batches"]["motion to text"]["R@1"] == pytest.approx(100 / 32, abs=3)


def test_of_sentences_that_say_the_same_either_is_right(rng):
    vectors = rng.normal(size=(40, 8))
    swapped = vectors.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    alike = np.eye(40)
    alike[0, 1] = alike[1, 0] = 0.96
    found = protocols(swapped, vectors, alike)
    assert found["all"]["text to motion"]["R@1"] == 95
    assert found["all with threshold"]["text to motion"]["R@1"] == 100


def test_the_dissimilar_subset_leaves_out_doubles(rng):
    vectors = np.repeat(rng.normal(size=(10, 12)), 3, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert sorted(dissimilar(vectors @ vectors.T, 10) // 3) == list(range(10))
    assert len(dissimilar(vectors @ vectors.T, 100)) == 30
