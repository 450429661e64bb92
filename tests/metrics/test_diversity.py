import numpy as np
import pytest

from cospeech.metrics.diversity import deviations, l1_diversity
from cospeech.metrics.interval import estimate


def test_joints_that_jump_between_two_places_are_half_their_distance_from_the_mean():
    positions = np.zeros((10, 55, 3))
    positions[::2, 7, 1] = 0.4
    positions[::2, 8, 2] = 0.2
    assert l1_diversity(positions).value == pytest.approx(0.3)
    assert deviations(positions)[:, 7, 1] == pytest.approx(0.2)
    assert l1_diversity(positions + 5).value == pytest.approx(0.3)


def test_clips_count_by_their_frames():
    small, large = np.zeros((30, 55, 3)), np.zeros((10, 55, 3))
    large[::2, 0, 0] = 2
    assert estimate([l1_diversity(small), l1_diversity(large)]).value == pytest.approx(0.25)
