import sys

import numpy as np
import parity
import published_metrics as published
import pytest

from cospeech.errors import DataError, MissingExtra
from cospeech.metrics import frechet
from cospeech.metrics.frechet import frechet_distance, frechet_estimate


@pytest.fixture(scope="module")
def latents():
    arrays = published.arrays()
    return arrays["latent_A"], arrays["latent_B"]


def test_published_values(latents):
    wanted = published.VALUES["synthetic"]
    assert frechet_distance(*latents, "published") == pytest.approx(wanted["frechet_A_B"], rel=1e-6)
    # of the same set nothing is left but rounding, whose sign the published value shows
    assert frechet_distance(latents[0], latents[0], "published") == pytest.approx(wanted["frechet_A_A"], abs=1e-5)
    a, b = (parity._random(name).standard_normal(shape) for name, shape in (("g1", (400, 24)), ("g2", (380, 24))))
    wanted = published.VALUES["frechet_gaussian"]["value"]
    for protocol in ("published", "corrected"):
        assert frechet_distance(a, b * 1.3 + 0.2, protocol) == pytest.approx(wanted, rel=1e-6)


def test_by_the_corrected_protocol_a_set_is_nowhere_but_where_it_is_even_if_it_is_small(latents):
    assert frechet_distance(*latents) == pytest.approx(published.VALUES["synthetic"]["frechet_A_B"], rel=1e-5)
    assert abs(frechet_distance(latents[0], latents[0])) < 1e-8


def test_a_shifted_copy_is_the_squared_shift_away(rng):
    a = rng.normal(size=(500, 4))
    for protocol in ("published", "corrected"):
        assert frechet_distance(a, a + np.array([3, 0, 0, 0]), protocol) == pytest.approx(9)


def test_widened_by_a_factor_it_is_the_difference_of_deviations(rng):
    a = rng.normal(size=(500, 4))
    wanted = np.trace(np.cov(a, rowvar=False))  # (2 s - s)^2, summed
    assert frechet_distance(a, 2 * (a - a.mean(0)) + a.mean(0)) == pytest.approx(wanted)


def test_a_root_with_a_large_imaginary_part_is_1e10_and_one_that_is_not_finite_is_tried_again(rng, monkeypatch):
    linalg = pytest.importorskip("scipy.linalg")
    a, b = rng.normal(size=(2, 50, 3))
    monkeypatch.setattr(linalg, "sqrtm", lambda product: np.eye(3) * (1 + 0.002j))
    assert frechet_distance(a, b, "published") == 1e10
    monkeypatch.setattr(linalg, "sqrtm", lambda product: np.eye(3) * (1 + 0.001j))
    assert frechet_distance(a, b, "published") < 1e3
    tried = []

    def singular(product):
        tried.append(product)
        return np.full((3, 3), np.nan) if len(tried) == 1 else np.eye(3)

    monkeypatch.setattr(linalg, "sqrtm", singular)
    assert np.isfinite(frechet_distance(a, b, "published"))
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    np.testing.assert_allclose(tried[1], (cov_a + 1e-6 * np.eye(3)) @ (cov_b + 1e-6 * np.eye(3)))


def test_the_interval_holds_the_value_and_narrows_with_clips(rng):
    real = [rng.normal(size=(20, 3)) for _ in range(40)]
    made = [each * 1.5 + 0.3 * rng.normal(size=3) for each in real]
    many, few = frechet_estimate(made, real), frechet_estimate(made[:10], real[:10])
    assert many.low < many.value < many.high
    assert many.high - many.low < few.high - few.low
    assert many.value == frechet_distance(np.concatenate(made), np.concatenate(real))
    alone = frechet_estimate(made[:1], real[:1])
    assert np.isnan(alone.low)


def test_draws_are_those_of_any_run_of_as_many_clips(rng):
    real = [rng.normal(size=(n, 3)) for n in (5, 9, 0, 7, 8)]
    one, other = ([each + shift for each in real] for shift in (1.0, 2.0))
    samples = frechet.resampled(one, real, 30)
    np.testing.assert_allclose(samples, 3, atol=1e-6)  # whichever clips are drawn, they are shifted by 1 in three
    np.testing.assert_allclose(frechet.resampled(other, real, 30), 12, atol=1e-6)
    np.testing.assert_array_equal(frechet.resampled_each([other, one], real, 30)[1], samples)
    estimates = frechet.frechet_estimates([one, other], real, 30)
    assert estimates == [frechet_estimate(each, real, 30) for each in (one, other)]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "2 embeddings or more"),
        (np.zeros((5, 3)), np.zeros((0, 3)), "2 embeddings or more"),
        (np.full((5, 3), np.nan), np.zeros((5, 3)), "NaN"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "two embedders"),
    ],
)
def test_what_cannot_be_compared_is_said(a, b, message):
    with pytest.raises(DataError, match=message):
        frechet_distance(a, b)


def test_runs_of_other_clips_and_a_missing_scipy_are_said(rng, monkeypatch):
    clips = [rng.normal(size=(5, 3)) for _ in range(3)]
    with pytest.raises(DataError, match="3 clips cannot be paired with 2"):
        frechet.resampled(clips, clips[:2])
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    with pytest.raises(MissingExtra, match="metrics"):
        frechet_distance(clips[0], clips[1], "published")


def test_inputs_stay_as_they_are(latents):
    before = [each.copy() for each in latents]
    for protocol in ("published", "corrected"):
        frechet_distance(*latents, protocol)
    for each, was in zip(latents, before, strict=True):
        assert np.array_equal(each, was)
