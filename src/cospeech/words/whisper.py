"""Words by Whisper, through faster-whisper: any language, better at understanding than at exact times.

[1] Radford et al. 2022, Robust speech recognition via large-scale weak supervision, arXiv:2212.04356
[2] https://github.com/SYSTRAN/faster-whisper: MIT, neither torch nor a system program; word times from attention
"""

from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cospeech.audio import SAMPLE_RATE
from cospeech.errors import DataError, MissingExtra
from cospeech.speech import Speech
from cospeech.text import Word
from cospeech.words.alignment import Alignment, Progress
from cospeech.words.anchors import key, transferred

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

DEFAULT_MODEL = "small"


class Whisper:
    """Aligner and recogniser.

    Args:
        model: A size such as "base" or "large-v3", a folder with a model in CTranslate2's format, or the hub id of one.
            None: `DEFAULT_MODEL`, if it is on this machine already: nothing is downloaded that nobody named.
        language: Code such as "de". None: Whisper listens for it.
    """

    def __init__(self, model: str | None = None, language: str | None = None):
        if find_spec("faster_whisper") is None:
            raise MissingExtra("faster-whisper", "whisper")
        self.model, self.language = model, language

    def recognise(self, speech: Speech, progress: Progress | None = None) -> Alignment:
        """The words as Whisper writes them, in small letters, without punctuation."""
        samples = speech.resample(SAMPLE_RATE).samples
        try:
            segments, about = self._network.transcribe(
                samples, language=self.language, word_timestamps=True, vad_filter=True, condition_on_previous_text=False
            )
        except ValueError as error:  # an unknown language
            raise DataError(f"Whisper: {error}") from None
        words: list[Word] = []
        for segment in segments:  # decoded as they are asked for
            for word in segment.words or ():
                start_s = max(float(word.start), words[-1].end_s if words else 0.0)
                end_s = min(max(float(word.end), start_s), speech.duration_s)
                if key(word.word) and start_s < speech.duration_s:
                    words.append(Word(_written(word.word), start_s, max(start_s, end_s)))
            if progress:
                progress(min(1.0, segment.end / speech.duration_s))
        if not words:
            raise DataError("No words can be understood in it.")
        return Alignment(tuple(words), language=about.language)

    def align(self, speech: Speech, transcript: str, progress: Progress | None = None) -> Alignment:
        """What Whisper understands gives the transcript its times; words are separated by spaces."""
        words = [_written(word) for word in transcript.split() if key(word)]
        if not words:
            raise DataError("The transcript has no words.")
        alignment = transferred(self.recognise(speech, progress).words, words)
        if not alignment.words:
            raise DataError(f"None of the {len(words)} words of the transcript can be found in the sound.")
        return alignment

    @property
    def is_here(self) -> bool:
        """Whether it can be used without downloading anything."""
        try:
            return self._network is not None
        except DataError:
            return False

    @cached_property
    def _network(self) -> "WhisperModel":
        from faster_whisper import WhisperModel

        name = self.model or DEFAULT_MODEL
        try:
            return WhisperModel(name, device="auto", local_files_only=self.model is None)
        except (OSError, ValueError, RuntimeError) as error:  # not on this machine, no network, unknown, damaged
            reason = str(error).partition("\n")[0].rstrip(".")
            advice = "Check the name" if self.model else f"To have it downloaded, name it: --model {name}"
            raise DataError(f"Whisper's model {name} cannot be loaded: {reason}. {advice}.") from None


def _written(word: str) -> str:
    """Small letters, without the punctuation around them."""
    letters = [i for i, letter in enumerate(word) if letter.isalnum()]
    return word[letters[0] : letters[-1] + 1].lower()
