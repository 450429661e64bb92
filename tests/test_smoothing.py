import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from cospeech.smoothing import cover, ease, smooth


def test_held_edges_are_those_of_scipy(rng):
    values = rng.normal(size=(60, 2, 3))
    for deviation in (0.7, 3.0, 20.0):
        expected = gaussian_filter1d(values, deviation, axis=0, mode="nearest")
        np.testing.assert_allclose(smooth(values, deviation, "values"), expected, atol=1e-12)


def test_slopes_are_kept_and_what_covers_is_nowhere_below(rng):
    line = np.linspace(0, 5, 50)
    np.testing.assert_allclose(smooth(line, 4.0), line, atol=1e-12)
    assert abs(smooth(line, 4.0, "values")[0]) > 0.1
    values = rng.uniform(size=40)
    assert (cover(values, 3.0) >= values - 1e-12).all()


def test_ease():
    assert ease(np.array([-1, 0, 0.5, 1, 2])).tolist() == pytest.approx([0, 0, 0.5, 1, 1])
