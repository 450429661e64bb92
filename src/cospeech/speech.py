"""Speech: a recording and, when known, its words with times."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cospeech import audio
from cospeech.errors import AudioError
from cospeech.text import Word, read_words


@dataclass(frozen=True, eq=False)
class Speech:
    """A recording of one speaker.

    Args:
        samples: (N,) float32 mono samples, nominally -1..1.
        rate: Samples a second.
        words: The words with their times, in order; a pause is a word without text. Empty when unknown.
    """

    samples: np.ndarray
    rate: int
    words: tuple[Word, ...] = ()

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples, dtype=np.float32)
        if samples.ndim != 1:
            raise AudioError(f"`samples` must be mono, one axis, got shape {samples.shape}.")
        if self.rate < 1:
            raise AudioError(f"`rate` must be positive, got {self.rate}.")
        if len(samples) == 0:
            raise AudioError("The recording has no samples.")
        if not np.isfinite(samples).all():
            raise AudioError("The recording contains NaN or infinite samples: re-export it.")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate", int(self.rate))
        object.__setattr__(self, "words", tuple(self.words))

    @classmethod
    def load(cls, path: str | Path, words: str | Path | Sequence[Word] = (), longest_s: float = math.inf) -> "Speech":
        """Read a recording: wav, flac, mp3, ogg, m4a and what else the decoders know, any rate and channels.

        Args:
            path: The recording. Its content decides how it is decoded, not its suffix.
            words: A TextGrid file, or words with times.
            longest_s: What lasts longer is an `AudioError`, as soon as so much is decoded.
        """
        samples, rate = audio.decode(Path(path), longest_s)
        return cls(samples, rate, read_words(Path(words)) if isinstance(words, str | Path) else tuple(words))

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate

    def __repr__(self) -> str:
        return (
            f"Speech({self.duration_s:.2f} s at {self.rate} Hz, {sum(not word.is_pause for word in self.words)} words)"
        )

    def cut(self, start_s: float, end_s: float) -> "Speech":
        """The recording from one second to another, with the words that lie in it, times from the new beginning."""
        samples = self.samples[round(start_s * self.rate) : round(end_s * self.rate)]
        inside = [word for word in self.words if word.start_s >= start_s and word.end_s <= end_s]
        words = [replace(word, start_s=word.start_s - start_s, end_s=word.end_s - start_s) for word in inside]
        return Speech(samples, self.rate, tuple(words))

    def resample(self, rate: int) -> "Speech":
        """The same recording at another sample rate."""
        return Speech(audio.resample(self.samples, self.rate, rate), rate, self.words)

    def num_frames(self, fps: float) -> int:
        """How many motion frames cover the recording: round(duration * fps), at least one."""
        return max(1, round(self.duration_s * fps))
