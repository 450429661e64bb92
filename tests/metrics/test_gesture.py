import numpy as np
import pytest

from cospeech.metrics import gesture

FPS = 30.0


def swing(num_frames, hz, metres=0.2):
    """(T, 2, 3) both wrists to and fro."""
    at = np.arange(num_frames) / FPS
    return metres * np.sin(2 * np.pi * hz * at)[:, None, None] * np.array([1.0, 0, 0]) * np.ones((1, 2, 1))


def test_speed_of_a_steady_wrist():
    wrists = np.zeros((60, 2, 3))
    wrists[:, 0, 0] = np.arange(60) * 0.5 / FPS
    speed = gesture.wrist_speed(wrists, FPS)
    np.testing.assert_allclose(speed[5:-5], [[0.5, 0.0]] * 49, atol=1e-9)


def test_a_cut_through_a_movement_is_no_peak():
    wrists = np.zeros((30, 2, 3))
    wrists[:, 0, 0] = np.cumsum(np.linspace(0.05, 0, 30))  # 1.5 m/s and slower from there
    speed = gesture.wrist_speed(wrists, FPS).max(axis=1)
    assert speed[0] > 1.3
    assert len(gesture.peaks(speed, FPS)) == len(gesture.peaks(speed[::-1], FPS)) == 0
    assert gesture.wrist_speed(wrists[:2], FPS).shape == (1, 2)


def test_peaks_are_counted_and_of_near_ones_the_higher_stays():
    speed = np.zeros(100)
    speed[[20, 50, 53, 80]] = [1.0, 1.2, 1.5, 0.5]
    np.testing.assert_array_equal(gesture.peaks(speed, FPS), [20, 53])
    np.testing.assert_array_equal(gesture.peaks(speed, FPS, above=0.3), [20, 53, 80])


def test_a_swing_makes_two_strokes_a_period():
    speed = gesture.wrist_speed(swing(600, 0.75), FPS).max(axis=1)
    assert len(gesture.peaks(speed, FPS)) == pytest.approx(2 * 0.75 * 20, abs=1)


def test_rest_share():
    speed = np.full((100, 2), 0.05)
    speed[:50, 0] = 1.0
    speaking = np.ones(101, bool)
    assert gesture.rest_share(speed, speaking) == 0.5
    speaking[51:] = False
    assert gesture.rest_share(speed, speaking) == 0.0
    assert np.isnan(gesture.rest_share(speed, np.zeros(101, bool)))


def test_what_follows_the_sound_wins_all_pairs_and_what_does_not_half(rng):
    sound = np.convolve(rng.standard_normal(3000), np.hanning(15), "same")
    won, pairs = gesture.follows(np.roll(sound, 4), sound, FPS)  # a lag within a quarter second
    assert won == pairs > 1000
    unrelated = [np.convolve(rng.standard_normal(3000), np.hanning(15), "same") for _ in range(10)]
    counts = np.array([gesture.follows(signal, sound, FPS) for signal in unrelated])
    assert counts[:, 0].sum() / counts[:, 1].sum() == pytest.approx(0.5, abs=0.05)


def test_who_does_not_move_is_at_chance(rng):
    won, pairs = gesture.follows(np.zeros(900), rng.standard_normal(900), FPS)
    assert won == pairs / 2 > 0


def test_too_short_to_compare():
    assert gesture.follows(np.zeros(150), np.zeros(150), FPS) == (0, 0)


def test_recurrence_finds_the_same_second_again(rng):
    wrists = np.cumsum(rng.normal(scale=0.02, size=(600, 2, 3)), axis=0)
    fresh = gesture.recurrence(wrists, FPS)
    wrists[403:433] = wrists[101:131]
    assert gesture.recurrence(wrists, FPS) < 1e-3 < 0.03 < fresh
    assert gesture.recurrence(np.zeros((600, 2, 3)), FPS) == np.inf


def test_the_same_motion_makes_the_same_strokes():
    a = swing(300, 0.75)
    assert gesture.strokes_that_differ(a, a, FPS) == 0
    assert gesture.strokes_that_differ(a, -a, FPS) == 1  # at the same times the other way
    assert gesture.strokes_that_differ(a, np.zeros_like(a), FPS) == 1
    assert np.isnan(gesture.strokes_that_differ(np.zeros_like(a), a, FPS))


def test_stress_offset_is_the_median_distance():
    strokes, stresses = np.array([10, 40, 71]), np.array([10, 43, 70])
    assert gesture.stress_offset(strokes, stresses, FPS) == pytest.approx(1 / 30)
    assert np.isnan(gesture.stress_offset(strokes, np.zeros(0, int), FPS))


def test_diversity_of_a_swing():
    assert gesture.diversity(np.ones((10, 2, 3))) == 0
    assert gesture.diversity(swing(4000, 0.75)) == pytest.approx(0.2 * 2 / np.pi, rel=0.01)


def test_acceleration_of_a_swing():
    hz = 0.5
    peak = gesture.wrist_acceleration(swing(600, hz), FPS).max()
    assert peak == pytest.approx(0.2 * (2 * np.pi * hz) ** 2, rel=0.01)
