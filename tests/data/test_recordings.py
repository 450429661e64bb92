import numpy as np
import pytest

from cospeech import prosody
from cospeech.data.recordings import Recording, vary
from cospeech.data.voices import Phone
from cospeech.speech import Speech

RATE = 16_000
VOWELS_S = np.arange(0.5, 7.5, 0.5)


@pytest.fixture
def recording(rng):
    """A vowel every half second, with a pause of a second in the middle."""
    vowels = VOWELS_S[(VOWELS_S < 3) | (VOWELS_S > 4)]
    at = np.arange(8 * RATE) / RATE
    envelope = sum(np.exp(-(((at - middle) / 0.06) ** 2)) for middle in vowels)
    samples = 0.3 * envelope * np.sign(np.sin(2 * np.pi * 120 * at))
    phones = tuple(Phone("AA1", middle - 0.05, middle + 0.05) for middle in vowels)
    return Recording("a", Speech(samples, RATE), phones)


@pytest.mark.parametrize("seed", range(5))
def test_phones_stay_on_their_sounds(recording, seed):
    varied = vary(recording, np.random.default_rng(seed))
    assert len(varied.phones) == len(recording.phones)
    envelope = prosody.energy_envelope(varied.speech.samples, varied.speech.num_frames(100), 100)
    at = np.array([(phone.start_s + phone.end_s) / 2 for phone in varied.phones])
    assert envelope[np.rint(at * 100).astype(int)].min() > 0.8 * envelope.max()


def test_speed_and_pauses_vary(recording):
    lengths = [vary(recording, np.random.default_rng(seed)).speech.duration_s for seed in range(12)]
    assert max(lengths) > 9.4  # more than the slowest speed alone
    assert len(set(lengths)) == 12


def test_the_same_chance_the_same_recording(recording):
    first, second = (vary(recording, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first.speech.samples, second.speech.samples)
    assert first.phones == second.phones


def test_a_recording_without_phones(recording):
    assert vary(Recording("b", recording.speech), np.random.default_rng(0)).phones == ()
