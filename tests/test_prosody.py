import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from conftest import speech_like

from cospeech import audio, prosody
from cospeech.prosody import ENERGY, MELS, NUM_MELS, ONSET, PITCH, VOICING, energy_envelope, speech_features

RATE = prosody.SAMPLE_RATE
OCTAVE = 2.0  # of the column PITCH


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return speech_like(10.0)


@pytest.fixture(scope="module")
def features(voice) -> np.ndarray:
    return speech_features(voice, 300)


def buzz(pitch_hz: np.ndarray) -> np.ndarray:
    """Smoothed pulses at a pitch given for every sample: a voice without formants."""
    phase = np.cumsum(pitch_hz) / RATE
    pulses = np.diff(np.floor(phase), prepend=0.0)
    return np.convolve(pulses, np.hanning(15), "same").astype(np.float32)


def test_loudness_does_not_matter(voice, features):
    quiet = voice * np.float32(10 ** (-30 / 20))
    np.testing.assert_allclose(speech_features(quiet, 300), features, atol=1e-3)
    np.testing.assert_allclose(energy_envelope(quiet, 300), energy_envelope(voice, 300), rtol=1e-3, atol=1e-6)


def test_the_sample_rate_of_the_recording_does_not_matter(voice, features):
    studio = audio.resample(voice, RATE, 48_000)
    np.testing.assert_allclose(speech_features(audio.resample(studio, 48_000, RATE), 300), features, atol=0.01)


def test_sixteen_bits_at_minus_30_db_keep_pauses_and_melody(voice, features):
    coarse = np.round(voice * 10 ** (-30 / 20) * 2**15) / 2**15
    heard = speech_features(coarse.astype(np.float32), 300)
    pauses = features[:, ENERGY] < -1
    assert 0.1 < pauses.mean() < 0.5
    np.testing.assert_allclose(heard[pauses, ENERGY], features[pauses, ENERGY], atol=0.1)
    np.testing.assert_allclose(heard[:, [PITCH, VOICING]], features[:, [PITCH, VOICING]], atol=0.05)
    assert np.sqrt(np.mean((heard - features) ** 2)) < 0.2


@pytest.mark.parametrize("count", [0, 1, 100, RATE])
def test_digital_silence_is_quiet_and_finite(count):
    features = speech_features(np.zeros(count, np.float32), 30)
    np.testing.assert_allclose(features[:, MELS], (-40 + 20) / 15, rtol=1e-5)
    np.testing.assert_allclose(features[:, ENERGY], (-40 + 10) / 12, rtol=1e-5)
    assert not features[:, ONSET:].any()
    assert not energy_envelope(np.zeros(count, np.float32), 30).any()


def test_after_the_recording_comes_silence(voice):
    longer = speech_features(voice[: 2 * RATE], 90)
    np.testing.assert_allclose(longer[63:, ENERGY], (-40 + 10) / 12, rtol=1e-5)
    assert not longer[63:, VOICING].any()
    padded = speech_features(np.pad(voice[: 2 * RATE], (0, RATE)), 90)
    np.testing.assert_array_equal(longer, padded)


def test_what_comes_later_only_moves_the_references(voice):
    """Level and median pitch are those of the whole recording: documented, and little else may look ahead."""
    alone = speech_features(voice, 300)[:295]
    same = speech_features(np.concatenate([voice, speech_like(10.0, seed=3)]), 600)[:295]
    np.testing.assert_allclose(same, alone, atol=0.02)

    louder = speech_features(np.concatenate([voice, 2 * speech_like(10.0, seed=3)]), 600)[:295]
    loud = alone[:, ENERGY] > 0
    drop = (alone - louder)[loud, ENERGY]
    assert 0 < drop.mean() < 6 / 15
    np.testing.assert_allclose(drop, drop.mean(), atol=0.01)
    np.testing.assert_allclose(louder[loud, VOICING], alone[loud, VOICING], atol=0.1)  # the quiet count for less


def test_a_syllable_is_heard_at_its_time_however_long_the_recording():
    """At 29.97 frames a second and ten minutes a rounded hop would be seconds off."""
    fps, at_s = 29.97, 599.0
    samples = np.zeros(600 * RATE, np.float32)
    start = round((at_s - 0.05) * RATE)
    samples[start : start + RATE // 10] = np.hanning(RATE // 10) * np.sin(np.arange(RATE // 10) * 0.2)
    envelope = energy_envelope(samples, round(600 * fps), fps)
    assert np.argmax(envelope) / fps == pytest.approx(at_s, abs=0.5 / fps)


@pytest.mark.parametrize("hz", [70, 100, 150, 220, 300, 380])
def test_pitch_of_pulse_trains(hz):
    """Two pulse trains in turn: the difference in octaves comes out, an octave at most, and both are voiced."""
    reference = 170.0
    pitch = np.repeat([reference, hz, reference], [2 * RATE, RATE, 2 * RATE])
    features = speech_features(buzz(pitch), 150)
    assert features[[*range(5, 55), *range(65, 85), *range(95, 145)], VOICING].min() > 0.9
    np.testing.assert_allclose(features[5:55, PITCH], 0, atol=0.05)
    np.testing.assert_allclose(features[65:85, PITCH], np.log2(hz / reference).clip(-1, 1) * OCTAVE, atol=0.05)


def test_pitch_follows_a_glide():
    octaves = np.linspace(-0.5, 0.5, 4 * RATE)
    features = speech_features(buzz(150 * 2**octaves), 120)
    expected = octaves[:: RATE * 4 // 120] * OCTAVE
    np.testing.assert_allclose(features[4:116, PITCH], expected[4:116], atol=0.08)


def test_noise_and_quiet_hum_are_unvoiced(rng):
    noise = speech_features(0.1 * rng.standard_normal(3 * RATE).astype(np.float32), 90)
    assert noise[:, VOICING].mean() < 0.1
    hum = buzz(np.full(4 * RATE, 120.0)) * np.repeat([1.0, 0.003], 2 * RATE)
    voicing = speech_features(hum.astype(np.float32), 120)[:, VOICING]
    assert voicing[5:55].min() > 0.9
    assert voicing[65:115].max() < 0.1


def test_onsets_are_where_clicks_are(rng):
    samples = 1e-3 * rng.standard_normal(3 * RATE)
    frames = np.array([20, 41, 70])
    for frame in frames:
        start = round(frame / 30 * RATE)
        samples[start : start + 800] += 0.3 * rng.standard_normal(800) * np.exp(-np.arange(800) / 200)
    onset = speech_features(samples.astype(np.float32), 90)[:, ONSET]
    assert (onset >= 0).all()
    near = np.abs(np.arange(90)[:, None] - frames).min(axis=1) <= 1
    assert onset[2:][~near[2:]].max() < 0.5 * min(onset[f - 1 : f + 2].max() for f in frames)


def test_a_steady_tone_has_no_onsets():
    assert speech_features(buzz(np.full(3 * RATE, 125.0)), 90)[3:85, ONSET].max() < 0.02


def test_mels_are_those_of_librosa(voice):
    librosa = pytest.importorskip("librosa")
    hop, fps = 512, RATE / 512
    with warnings.catch_warnings():  # librosa's own, about what it imports
        warnings.simplefilter("ignore")
        power = librosa.feature.melspectrogram(
            **{"y": voice, "sr": RATE, "n_fft": 2048, "win_length": 1024, "hop_length": hop, "pad_mode": "constant"},
            **{"n_mels": NUM_MELS, "fmin": 60.0, "fmax": 7200.0, "htk": True, "norm": None},
        ).T
    energy = power.sum(axis=1)
    level = energy.mean()
    for _ in range(2):
        level = energy[energy >= level / 10].mean()
    expected = (10 * np.log10(power / (level / NUM_MELS) + 1e-4) + 20) / 15
    ours = speech_features(voice, len(power), fps)[:, MELS]
    np.testing.assert_allclose(ours, expected, atol=0.02)


def test_the_envelope_is_one_in_speech_and_zero_in_silence(voice):
    envelope = energy_envelope(np.pad(voice, (0, RATE)), 330)
    np.testing.assert_allclose(envelope[303:], 0, atol=1e-6)
    speaking = envelope > 0.4
    assert np.sqrt(np.mean(envelope[speaking] ** 2)) == pytest.approx(1, abs=0.1)


def test_envelope_and_energy_tell_the_same(voice, features):
    decibels = 20 * np.log10(energy_envelope(voice, 300).clip(1e-3))
    loud = decibels > -20
    np.testing.assert_allclose(features[loud, ENERGY], (decibels[loud] + 10) / 12, atol=0.01)


def test_progress_rises_to_one(voice):
    told: list[float] = []
    speech_features(np.tile(voice, 4), 1200, progress=told.append)
    assert told == sorted(told)
    assert len(told) > 2
    assert told[-1] == 1


def seconds_of(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def test_a_minute_takes_a_moment():
    """0.06 s on one core of 2024; ten times that is still a hundred times faster than real time."""
    minute = speech_like(60.0)
    assert min(seconds_of(lambda: speech_features(minute, 1800)) for _ in range(2)) < 0.6
