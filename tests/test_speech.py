import numpy as np
import pytest
import soundfile

from cospeech import Speech
from cospeech.errors import AudioError, DataError
from cospeech.text import Word, write_words

WORDS = (Word("so", 0.1, 0.3), Word("there", 0.3, 0.8))


def test_load_reads_samples_rate_and_words(tmp_path, rng):
    samples = rng.uniform(-0.5, 0.5, 22_050).astype(np.float32)
    soundfile.write(tmp_path / "talk.wav", samples, 22_050, subtype="FLOAT")
    write_words(tmp_path / "talk.TextGrid", WORDS, 1.0)
    speech = Speech.load(str(tmp_path / "talk.wav"), words=str(tmp_path / "talk.TextGrid"))
    np.testing.assert_array_equal(speech.samples, samples)
    assert (speech.rate, speech.duration_s) == (22_050, 1.0)
    assert speech.words == (Word("", 0, 0.1), *WORDS, Word("", 0.8, 1.0))
    assert Speech.load(tmp_path / "talk.wav", words=WORDS).words == WORDS
    assert Speech.load(tmp_path / "talk.wav").words == ()


def test_load_passes_errors_on(tmp_path, speech_wav):
    with pytest.raises(AudioError, match="no such file"):
        Speech.load(tmp_path / "missing.wav")
    with pytest.raises(DataError, match="cannot be read"):
        Speech.load(speech_wav, words=tmp_path / "missing.TextGrid")


@pytest.mark.parametrize(
    ("samples", "rate", "what"),
    [
        (np.zeros((100, 2)), 16_000, "one axis"),
        (np.zeros(0), 16_000, "no samples"),
        (np.array([0.0, np.nan]), 16_000, "NaN or infinite"),
        (np.array([0.0, np.inf]), 16_000, "NaN or infinite"),
        (np.zeros(100), 0, "positive"),
    ],
)
def test_samples_that_are_no_recording(samples, rate, what):
    with pytest.raises(AudioError, match=what):
        Speech(samples, rate)


@pytest.mark.parametrize(("count", "frames"), [(1, 1), (800, 2), (16_000, 30), (68_800, 129), (1_016_480, 1906)])
def test_frames_cover_the_recording_exactly(count, frames):
    assert Speech(np.zeros(count), 16_000).num_frames(30) == frames


def test_resampling_keeps_words_and_duration():
    speech = Speech(np.zeros(44_100), 44_100, WORDS).resample(16_000)
    assert (speech.duration_s, speech.rate, speech.words) == (1.0, 16_000, WORDS)
