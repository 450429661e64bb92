"""Words with times: a transcript is found in a recording, or the recording is understood.

Everything happens on this machine. Whoever aligns is chosen by name; English works offline with what the extra `align`
installs.
"""

import shutil
import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cospeech.errors import ConfigError, CospeechWarning, DataError
from cospeech.speech import Speech
from cospeech.text import read_text
from cospeech.words.alignment import Aligner, Alignment, Progress, Recogniser
from cospeech.words.mfa import Mfa
from cospeech.words.sphinx import PocketSphinx
from cospeech.words.whisper import Whisper

__all__ = [
    "Aligner",
    "AlignerName",
    "Alignment",
    "Recogniser",
    "aligner",
    "find_words",
    "read_transcript",
    "recogniser",
]

AlignerName = Literal["auto", "pocketsphinx", "whisper", "mfa"]


def find_words(
    speech: Speech,
    transcript: str | None,
    name: AlignerName = "auto",
    model: str | None = None,
    language: str | None = None,
    progress: Progress | None = None,
) -> Alignment:
    """The words of a recording with their times.

    Args:
        speech: The recording.
        transcript: What is said in it. None: it is understood first, by Whisper where that is installed.
        name: Who aligns. "auto" is the Montreal Forced Aligner where it is installed, else PocketSphinx for English and
            Whisper for other languages.
        model: Of Whisper, or with "mfa" of that. None: the usual one, if it is on this machine.
        language: Code such as "de". None: English, but Whisper listens for it.
        progress: Called with the share that is done, 0 to 1.
    """
    if transcript is not None:
        return aligner(name, model, language).align(speech, transcript, progress)
    listener = recogniser(name, model, language)
    if isinstance(listener, PocketSphinx):
        rough = "the built-in recogniser is rough: it gets rhythm and pauses, and many words wrong"
        advice = "Give a transcript, or pip install 'cospeech[whisper]'"
        warnings.warn(CospeechWarning(f"There is no transcript, and {rough}. {advice}."), stacklevel=2)
    heard = listener.recognise(speech, progress)
    if name == "whisper" or (name == "auto" and heard.language != "en"):
        return heard
    exact = aligner(name, model if name == "mfa" else None, heard.language)
    return heard if exact is listener else exact.align(speech, " ".join(word.text for word in heard.words), progress)


@lru_cache(maxsize=8)  # models are loaded once for many recordings
def aligner(name: AlignerName, model: str | None = None, language: str | None = None) -> Aligner:
    """Who finds the words of a transcript, see `find_words`."""
    english = language in (None, "en")
    if name == "auto":
        if english and shutil.which("mfa"):
            return aligner("mfa")
        if english and (find_spec("pocketsphinx") or not find_spec("faster_whisper")):
            return _pocketsphinx()
        name = "whisper"
    if name == "mfa":
        if model is None and not english:
            raise ConfigError(f"--language {language}: name mfa's model of it as well, as in --model german_mfa.")
        return Mfa(model)
    if name == "whisper":
        return Whisper(model, language)
    if model is not None:
        raise ConfigError(f"--model {model}: PocketSphinx has only the model inside its package. Leave --model out.")
    if not english:
        raise ConfigError(f"--language {language}: PocketSphinx knows English only. Use --aligner whisper.")
    return _pocketsphinx()


@lru_cache(maxsize=8)
def recogniser(name: AlignerName, model: str | None = None, language: str | None = None) -> Recogniser:
    """Who understands a recording before `name` aligns it: Whisper if it is there, else PocketSphinx for English."""
    if name == "whisper" or (name == "auto" and model) or language not in (None, "en"):
        return Whisper(None if name == "mfa" else model, language)
    if find_spec("faster_whisper") and (whisper := Whisper(None, language)).is_here:
        return whisper
    return _pocketsphinx()


@lru_cache(maxsize=1)
def _pocketsphinx() -> PocketSphinx:
    return PocketSphinx()


def read_transcript(path: Path) -> str:
    """What is said in a recording, from a text file."""
    text = read_text(path, "transcript")
    if not text.strip():
        raise DataError(f"{path}: is empty. Write down what is said, or leave the transcript out.")
    return text
