import ctypes

import numpy as np
import pytest

from cospeech.recipes.bench_align import main, spoken, word_start_errors

try:
    ctypes.CDLL("libespeak-ng.so.1")
except OSError:
    pytest.skip("espeak-ng is not installed", allow_module_level=True)


def test_words_of_espeak_begin_where_their_sound_does():
    speech, words = spoken(["Stop. Wait. Something is wrong."], "en-us+f2", pause_s=0.5)
    assert [word.text for word in words] == ["Stop", "Wait", "Something", "is", "wrong"]
    level = [np.abs(speech.cut(word.start_s, word.end_s).samples).max() for word in words]
    before = np.abs(speech.cut(0, words[0].start_s).samples).max()
    assert words[0].start_s == pytest.approx(0.5, abs=0.01)
    assert before < 0.01 < min(level)


@pytest.mark.parametrize(("sentences", "words"), [(3, 80), pytest.param(16, 500, marks=pytest.mark.slow)])
def test_the_built_in_aligner_is_exact_to_fifty_milliseconds(sentences, words):
    """By voices of two kinds; the whole table is what `main` prints."""
    errors = np.concatenate([word_start_errors(voice, sentences, "pocketsphinx") for voice in ("en-us+f2", "en+m1")])
    assert len(errors) > words
    assert np.isfinite(errors).mean() > 0.99
    size = np.abs(errors[np.isfinite(errors)])
    assert np.median(size) < 0.05
    assert np.percentile(size, 90) < 0.1
    assert abs(np.median(errors[np.isfinite(errors)])) < 0.01  # neither early nor late


def test_the_table_names_every_voice(capsys, monkeypatch):
    monkeypatch.setattr("cospeech.recipes.bench_align.VOICES", ("en-us+f2",))
    main(sentences=1)
    printed = capsys.readouterr().out
    assert "en-us+f2" in printed
    assert "< 50 ms" in printed
