import librosa
import numpy as np
import parity
import pytest
from conftest import speech_like
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cospeech import waveform


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_resampling_twice_is_that_of_the_published_loaders(rate):
    samples = speech_like(1.37, rate)
    loaded = librosa.resample(samples, orig_sr=rate, target_sr=22_050) if rate != 22_050 else samples
    expected = librosa.resample(loaded, orig_sr=22_050, target_sr=16_000)
    np.testing.assert_array_equal(waveform.resample(samples, rate, twice=True), expected)


@pytest.mark.parametrize("num_samples", [15_999, 16_001, 992_000, 1_007_999])
def test_a_part_of_a_sample_counts_as_published(num_samples):
    samples = np.zeros(num_samples, np.float32)
    loaded = librosa.resample(samples, orig_sr=16_000, target_sr=22_050)
    expected = len(librosa.resample(loaded, orig_sr=22_050, target_sr=16_000))
    assert len(waveform.resample(samples, 16_000, twice=True)) == expected


@given(st.integers(1, 3000), st.sampled_from([8_000, 16_000, 22_050, 44_100]), st.booleans())
def test_the_length_is_known_beforehand(num_samples, rate, twice):
    samples = waveform.resample(np.zeros(num_samples, np.float32), rate, twice)
    assert len(samples) == waveform.resampled_length(num_samples, rate, twice)


def test_features_are_the_published_ones():
    """The stored numbers are of ten seconds, of which four are stored: near their end the windows look further."""
    published = parity.load("audio_features_io.npz")
    samples = published["wav_first4s"]
    whole = (len(samples) - 1024) // 160
    np.testing.assert_array_equal(waveform.amplitude(samples)[::160][:whole], published["amplitude_every_160"][:whole])
    found = waveform.onset_frames(samples)
    assert set(published["onset_frames"][published["onset_frames"] < 100]) <= set(found)


def slow_amplitude(samples: np.ndarray) -> np.ndarray:
    if len(samples) < 1024:
        return np.array([np.abs(samples[i:]).max() for i in range(len(samples))])
    values = [np.abs(samples[i : i + 1024]).max() for i in range(len(samples) - 1023)]
    return np.array(values + [values[-1]] * 1023)


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_amplitude_equals_a_slow_search(num_samples, seed):
    samples = np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)
    before = samples.copy()
    np.testing.assert_array_equal(waveform.amplitude(samples), slow_amplitude(samples))
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("duration_s", [0.2, 0.5, 4.0, 70.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_onsets_are_those_of_librosa(duration_s, seed):
    samples = speech_like(duration_s, seed=seed)
    np.testing.assert_allclose(
        waveform.spectral_flux(samples), librosa.onset.onset_strength(y=samples, sr=16_000), atol=1e-4
    )
    np.testing.assert_array_equal(waveform.onset_frames(samples), librosa.onset.onset_detect(y=samples, sr=16_000))


@given(arrays(np.float32, st.integers(1, 5000), elements=st.floats(-1, 1, width=32)))
def test_any_samples_have_onsets_in_order(samples):
    onsets = waveform.onset_frames(samples)
    assert (np.diff(onsets) > 0).all()
    assert ((onsets >= 0) & (onsets <= len(samples) // waveform.ONSET_HOP)).all()


def test_silence_has_no_onset():
    assert len(waveform.onset_frames(np.zeros(16_000, np.float32))) == 0
