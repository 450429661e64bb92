"""What a model is given of a recording: the features, or samples and words, of one window after another.

Axes: T frames of a window, F features of a frame, N samples of a window.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from cospeech import prosody, wav2vec2, waveform
from cospeech.models.mambatalk import MambaTalkConfig
from cospeech.models.syntalker import DenoiserConfig
from cospeech.speech import Speech
from cospeech.text import UNKNOWN, word_indices
from cospeech.wav2vec2 import Recogniser

_PUBLISHED_FPS = 30
_WHOLE_STEP = waveform.SAMPLE_RATE // _PUBLISHED_FPS  # 533 samples, where 533.3 are a frame


class Heard(NamedTuple):
    audio: Tensor  # (1, T, F) features, (1, N, 2) amplitude and onsets, or (1, N, 3) amplitude, characters, samples
    words: Tensor | None  # (1, T) int64 rows of the word table


class Hearing(Protocol):
    def window(self, start: int) -> Heard:
        """What is heard in the window that begins with the frame `start`; beyond the recording there is silence."""


class FrameHearing:
    """Features at the motion's frame rate, see `prosody`."""

    def __init__(self, speech: Speech, window_frames: int, fps: float, num_frames: int):
        self.window_frames = window_frames
        samples = speech.resample(prosody.SAMPLE_RATE).samples
        self.features = torch.from_numpy(prosody.speech_features(samples, num_frames, fps))

    def window(self, start: int) -> Heard:
        return Heard(self.features[None, start : start + self.window_frames], None)


def num_samples(window_frames: int) -> int:
    """How many samples the published systems hear in a window: 68 224 of SynTalker, 34 112 of MambaTalk."""
    return window_frames * _WHOLE_STEP


class Samples:
    """A recording at 16 kHz, window by window.

    Args:
        num_samples: Of a window.
        quirks: Of the model; "double-resampling" and "audio-step-533" are heard here.
    """

    def __init__(self, speech: Speech, num_samples: int, quirks: tuple[str, ...]):
        self.num_samples = num_samples
        self.whole_steps = "audio-step-533" in quirks
        self.samples = waveform.resample(speech.samples, speech.rate, twice="double-resampling" in quirks)
        self._norm: wav2vec2.Norm | None = None

    def span(self, start: int) -> tuple[int, int]:
        """First sample of the window that begins with the frame `start`, and the first after it."""
        first = start * _WHOLE_STEP if self.whole_steps else round(start * waveform.SAMPLE_RATE / _PUBLISHED_FPS)
        return first, first + self.num_samples

    def normalised(self, first: int, last: int) -> np.ndarray:
        """As wav2vec 2.0 hears them, between two samples; no more than there are."""
        if self._norm is None:
            self._norm = wav2vec2.Norm(self.samples)
        return self._norm(self.samples[first:last])

    def amplitude(self, first: int, last: int) -> np.ndarray:
        """That of the whole recording between two samples, zeros beyond its end."""
        begin = max(min(first, len(self.samples) - waveform.AMPLITUDE_WINDOW), 0)
        ahead = self.samples[begin : last + waveform.AMPLITUDE_WINDOW - 1]
        piece = waveform.amplitude(ahead)[first - begin : min(last, len(self.samples)) - begin]
        return np.pad(piece, (0, last - first - len(piece)))


class _Words:
    """Rows of the word table, frame by frame."""

    def __init__(self, speech: Speech, num_frames: int, vocabulary: Mapping[str, int] | None):
        if speech.words and vocabulary is not None:
            rows = word_indices(speech.words, num_frames, _PUBLISHED_FPS, vocabulary)
        else:
            rows = np.full(num_frames, UNKNOWN)  # something is said, nobody says what
        self.rows = torch.from_numpy(rows)

    def window(self, start: int, num_frames: int) -> Tensor:
        return self.rows[None, start : start + num_frames]


class SampleHearing:
    """Amplitude and onsets at 16 kHz, and words, as SynTalker hears.

    Args:
        vocabulary: Word -> row of the table; None: no word is known.
        quirks: Of the model; "onset-positions" is heard here, and others by the samples.
    """

    def __init__(
        self,
        speech: Speech,
        config: DenoiserConfig,
        num_frames: int,
        vocabulary: Mapping[str, int] | None,
        quirks: tuple[str, ...],
    ):
        self.window_frames = config.window_frames
        self.sound = Samples(speech, num_samples(config.window_frames), quirks)
        onsets = waveform.onset_frames(self.sound.samples)
        self.onsets = onsets if "onset-positions" in quirks else onsets * waveform.ONSET_HOP
        self.words = _Words(speech, num_frames, vocabulary) if config.words is not None else None

    def window(self, start: int) -> Heard:
        first, last = self.sound.span(start)
        heard = np.zeros((last - first, 2), np.float32)
        heard[:, 0] = self.sound.amplitude(first, last)
        onsets = self.onsets[slice(*np.searchsorted(self.onsets, (first, last)))]
        heard[onsets - first, 1] = 1
        words = None if self.words is None else self.words.window(start, self.window_frames)
        return Heard(torch.from_numpy(heard)[None], words)


class CharacterHearing:
    """Amplitude, characters and samples at 16 kHz, and words, as MambaTalk hears.

    Args:
        characters: (L,) heard in the whole recording, or what hears them.
        vocabulary, quirks: As of `SampleHearing`.
        window_samples: Of a window; None: as in generation. In training they are 34 133.
    """

    def __init__(
        self,
        speech: Speech,
        config: MambaTalkConfig,
        num_frames: int,
        characters: np.ndarray | Recogniser,
        vocabulary: Mapping[str, int] | None,
        quirks: tuple[str, ...],
        window_samples: int | None = None,
    ):
        self.window_frames = config.window_frames
        self.sound = Samples(speech, window_samples or num_samples(config.window_frames), quirks)
        if isinstance(characters, Recogniser):
            characters = characters.characters(self.sound.normalised(0, len(self.sound.samples)))
        self.characters = characters
        # The samples are shared out among the characters, as evenly as whole numbers allow.
        count = len(self.characters)
        self.begins = np.arange(count) * len(self.sound.samples) // count
        self.words = _Words(speech, num_frames, vocabulary)

    def window(self, start: int) -> Heard:
        first, last = self.sound.span(start)
        heard = np.zeros((last - first, 3), np.float32)
        heard[:, 0] = self.sound.amplitude(first, last)
        there = np.arange(first, min(last, len(self.sound.samples)))
        heard[: len(there), 1] = self.characters[np.searchsorted(self.begins, there, "right") - 1]
        heard[: len(there), 2] = self.sound.normalised(first, last)
        return Heard(torch.from_numpy(heard)[None], self.words.window(start, self.window_frames))
