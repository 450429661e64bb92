"""What every aligner takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cospeech.speech import Speech
from cospeech.text import Word

Progress = Callable[[float], None]  # called with the share that is done, 0 to 1


@dataclass(frozen=True)
class Alignment:
    """Words, and phones where the aligner gives them, with their times: in order, not overlapping, without pauses."""

    words: tuple[Word, ...]
    phones: tuple[Word, ...] = ()
    missing: tuple[Word, ...] = ()  # of the transcript, not found between these times
    unscripted: tuple[Word, ...] = ()  # speech between these times that the transcript lacks, with what it sounds like
    language: str | None = None  # code such as "en", where a recogniser knows it

    @property
    def tiers(self) -> dict[str, tuple[Word, ...]]:
        """What belongs into a TextGrid."""
        return {"words": self.words} | ({"phones": self.phones} if self.phones else {})


class Aligner(Protocol):
    """Finds the words of a transcript in a recording."""

    def align(self, speech: Speech, transcript: str, progress: Progress | None = None) -> Alignment:
        """Raises `DataError` for a transcript that cannot be read, or of which nothing is found."""
        ...


class Recogniser(Protocol):
    """Understands a recording without a transcript."""

    def recognise(self, speech: Speech, progress: Progress | None = None) -> Alignment:
        """Raises `DataError` where no word is understood."""
        ...
