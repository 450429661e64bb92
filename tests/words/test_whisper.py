"""The adapter to faster-whisper, against a stand-in for that package: Whisper itself is not run here."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from cospeech import Speech
from cospeech.errors import DataError, MissingExtra
from cospeech.text import Word
from cospeech.words import whisper
from cospeech.words.whisper import Whisper

SPOKEN = [(" Hallo,", 0.2, 0.6), (" schöne", 0.6, 1.0), (" Welt!", 0.95, 1.4), (" —", 1.4, 1.5), (" Ende", 1.9, 2.2)]


class StandIn:
    """Takes what faster_whisper.WhisperModel takes, and understands the same words in every recording."""

    def __init__(self, name: str, *, device: str, local_files_only: bool):
        if name == "small" and local_files_only:
            raise OSError("cannot find the snapshot on the disk.\nmore lines")
        if name == "nonsense":
            raise ValueError("Invalid model size 'nonsense', expected one of: tiny, base")
        assert device == "auto"

    def transcribe(self, samples, *, language, word_timestamps, vad_filter, condition_on_previous_text):
        assert samples.dtype == np.float32
        assert word_timestamps
        if language == "xx":
            raise ValueError("'xx' is not a valid language code")
        words = [] if np.abs(samples).max() == 0 else [SimpleNamespace(word=w, start=s, end=e) for w, s, e in SPOKEN]
        segments = (SimpleNamespace(words=words[i : i + 3], end=2.5) for i in (0, 3))
        return segments, SimpleNamespace(language=language or "de")


@pytest.fixture(autouse=True)
def faster_whisper(monkeypatch):
    module = ModuleType("faster_whisper")
    module.WhisperModel = StandIn
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    monkeypatch.setattr(whisper, "find_spec", lambda name: name)


@pytest.fixture
def talk():
    return Speech(np.sin(np.arange(2 * 22_050)), 22_050)


def test_words_are_plain_in_order_and_end_with_the_recording(talk):
    told = []
    heard = Whisper("base").recognise(talk, told.append)
    assert heard.words == (
        Word("hallo", 0.2, 0.6),
        Word("schöne", 0.6, 1.0),
        Word("welt", 1.0, 1.4),  # Whisper lets words overlap; a tier cannot
        Word("ende", 1.9, 2.0),
    )
    assert heard.language == "de"
    assert told == [1.0, 1.0]


def test_a_transcript_gets_the_times(talk):
    found = Whisper("base").align(talk, "Hallo, schönste Welt - und Ende.")
    assert [word.text for word in found.words] == ["hallo", "schönste", "welt", "ende"]
    assert found.words[1] == Word("schönste", 0.6, 1.0)
    assert [word.text for word in found.missing] == ["und"]


@pytest.mark.parametrize(
    ("model", "language", "text", "message"),
    [
        (None, None, "hallo", "To have it downloaded, name it: --model small"),
        ("nonsense", None, "hallo", "expected one of: tiny, base. Check the name"),
        ("base", "xx", "hallo", "not a valid language code"),
        ("base", None, " ,.", "has no words"),
    ],
)
def test_what_cannot_work_is_one_line(talk, model, language, text, message):
    with pytest.raises(DataError, match=message) as error:
        Whisper(model, language).align(talk, text)
    assert "\n" not in str(error.value)


def test_silence_is_said(talk):
    with pytest.raises(DataError, match="No words can be understood"):
        Whisper("base").recognise(Speech(np.zeros(16_000), 16_000))


def test_it_is_here_only_with_its_weights_and_its_package(monkeypatch):
    assert Whisper("base").is_here
    assert not Whisper().is_here
    monkeypatch.setattr(whisper, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"cospeech\[whisper\]"):
        Whisper("base")
