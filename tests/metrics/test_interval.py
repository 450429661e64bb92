import numpy as np
import pytest

from cospeech.metrics import interval
from cospeech.metrics.interval import Estimate, Ratio, difference, estimate


def test_ratios_are_added_up_before_they_are_divided():
    assert estimate([Ratio(1, 1), Ratio(0, 3)]).value == 0.25
    assert estimate([2.0, 4.0]).value == 3.0
    assert np.isnan(Ratio(1, 0).value)


def test_of_what_must_never_happen_the_worst_counts():
    assert estimate([0.0, 0.0, 3.0], max) == Estimate(3.0, 3.0, 3.0)
    assert estimate([0.06, 0.028, np.inf], min).value == 0.028
    assert str(Estimate(3.0, 3.0, 3.0)) == "3"


def test_what_could_not_be_measured_does_not_count():
    assert estimate([2.0, np.nan, np.inf]).value == 2.0
    assert estimate([Ratio(1, 2), Ratio(np.nan, np.nan)]).value == 0.5
    assert np.isnan(estimate([np.nan]).value)
    assert np.isnan(estimate([]).value)


def test_the_interval_is_that_of_the_mean(rng):
    values = rng.normal(5, 2, size=400).tolist()
    found = estimate(values)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(4 * 2 / 20, rel=0.15)  # two standard errors on either side


def test_what_differs_on_every_clip_is_sure_although_clips_differ_more(rng):
    """Unpaired, the interval of the difference would be that of the clips: 0.4 wide and more."""
    first = rng.normal(5, 2, size=100)
    second = first + 0.1 + 0.01 * rng.normal(size=100)
    found = difference(first.tolist(), second.tolist())
    assert found.value == pytest.approx(0.1, abs=0.01)
    assert 0 < found.low < found.value < found.high < 0.2
    assert found.p == pytest.approx(1 / interval.SAMPLES)
    back = difference(second.tolist(), first.tolist())
    assert back.value == pytest.approx(-found.value)


def test_the_same_run_twice_does_not_differ_and_chance_seldom_does(rng):
    values = rng.normal(size=50).tolist()
    assert difference(values, values) == (0, 0, 0, 1)
    found = [difference(*rng.normal(size=(2, 40)).tolist()) for _ in range(200)]
    assert sum(each.p < 0.05 for each in found) / 200 == pytest.approx(0.05, abs=0.05)
    assert all((each.p < 0.05) == (each.low > 0 or each.high < 0) for each in found if abs(each.p - 0.05) > 0.01)


def test_differences_are_those_of_what_is_shown_and_of_clips_that_both_have():
    first, second = [Ratio(1, 1), Ratio(0, 3), Ratio(5, 1)], [Ratio(2, 1), Ratio(1, 3), Ratio(np.nan, np.nan)]
    assert difference(first, second).value == pytest.approx(3 / 4 - 1 / 4)
    assert np.isnan(difference([np.nan], [1.0]).p)
    with pytest.raises(ValueError, match="not the same clips"):
        difference([1.0], [1.0, 2.0])


def test_samples_that_lie_above_the_value_tell_how_wide_not_where(rng):
    samples = 7 + rng.normal(size=1000)
    found = interval.around(5.0, samples)
    assert found.value == 5
    assert (found.low + found.high) / 2 == pytest.approx(5, abs=0.2)
    assert found.high - found.low == pytest.approx(3.92, rel=0.1)
    apart = interval.difference_around(5.0, 6.0, samples, samples + 1, clips=50)
    assert apart[:3] == pytest.approx((1, 1, 1))
    assert apart.p == pytest.approx(1e-3)
    assert interval.difference_around(5.0, 6.0, samples, samples + 1, clips=3).p == 0.25


def test_few_clips_are_no_proof_however_alike_they_are(rng):
    assert [difference([0.0] * n, [1.0] * n).p for n in (1, 2, 3, 6)] == [1, 0.5, 0.25, 2**-5]
    chance = [difference(*rng.normal(size=(2, 4)).tolist()).p for _ in range(100)]
    assert min(chance) > 0.05
