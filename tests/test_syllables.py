import numpy as np
import pytest

from cospeech import prosody
from cospeech.prosody import SAMPLE_RATE
from cospeech.syllables import find_syllables

SPOKEN_S = (0.5, 0.75, 1.0, 1.25, 1.5, 2.6, 2.85, 3.1)


def voice(times_s, loudness, pitch_hz=120.0, seconds=4.0, length_s=0.05):
    """Bell-shaped syllables of a buzzing voice."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = sum(a * np.exp(-(((at - t) / length_s) ** 2)) for t, a in zip(times_s, loudness, strict=True))
    pulses = np.diff(np.floor(at * pitch_hz), prepend=0.0)
    return (envelope * np.convolve(pulses, [1, -0.9, 0.5, -0.3], "same")).astype(np.float32)


def syllables_of(samples):
    return find_syllables(prosody.speech_features(samples, round(len(samples) / SAMPLE_RATE * 30)))


def test_each_syllable_is_found_where_it_is():
    found = syllables_of(voice(SPOKEN_S, np.ones(8)))
    np.testing.assert_allclose(found.frames / 30, SPOKEN_S, atol=0.04)


@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_the_loud_ones_are_stressed_however_loud_the_recording(gain):
    loudness = np.array([0.4, 1.0, 0.4, 0.4, 1.0, 1.0, 0.4, 0.4])
    found = syllables_of(gain * voice(SPOKEN_S, loudness))
    np.testing.assert_array_equal(found.stressed, loudness == 1.0)
    assert found.prominence[found.stressed].min() > found.prominence[~found.stressed].max()


def test_noise_has_no_syllables(rng):
    assert len(syllables_of(0.1 * rng.standard_normal(2 * SAMPLE_RATE).astype(np.float32)).frames) == 0


@pytest.mark.parametrize("num_frames", [1, 30])
def test_silence_has_none(num_frames):
    found = find_syllables(prosody.speech_features(np.zeros(100, np.float32), num_frames))
    assert len(found.frames) == len(found.stressed) == len(found.prominence) == 0


def test_stresses_are_apart(speech):
    heard = prosody.speech_features(speech.resample(SAMPLE_RATE).samples, speech.num_frames(30))
    found = find_syllables(heard)
    assert np.diff(found.frames[found.stressed]).min(initial=99) >= 9
