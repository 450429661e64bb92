"""What a model is given of a recording: the features, or samples and words, of one window after another.

Axes: T frames of a window, F features of a frame, N samples of a window.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from cospeech import prosody, waveform
from cospeech.models.syntalker import DenoiserConfig
from cospeech.speech import Speech
from cospeech.text import UNKNOWN, word_indices

_PUBLISHED_FPS = 30
_WHOLE_STEP = waveform.SAMPLE_RATE // _PUBLISHED_FPS  # 533 samples, where 533.3 are a frame


class Heard(NamedTuple):
    audio: Tensor  # (1, T, F) features or (1, N, 2) amplitude and onsets
    words: Tensor | None  # (1, T) int64 rows of the word table


class Hearing(Protocol):
    def window(self, start: int) -> Heard:
        """What is heard in the window that begins with the frame `start`; beyond the recording there is silence."""


class FrameHearing:
    """Features at the motion's frame rate, see `prosody`."""

    def __init__(self, speech: Speech, config: DenoiserConfig, fps: float, num_frames: int):
        self.window_frames = config.window_frames
        samples = speech.resample(prosody.SAMPLE_RATE).samples
        self.features = torch.from_numpy(prosody.speech_features(samples, num_frames, fps))

    def window(self, start: int) -> Heard:
        return Heard(self.features[None, start : start + self.window_frames], None)


def num_samples(config: DenoiserConfig) -> int:
    """How many samples the published systems hear in a window: 68 224."""
    return config.window_frames * _WHOLE_STEP


class SampleHearing:
    """Amplitude and onsets at 16 kHz, and words, as the published systems hear.

    Args:
        vocabulary: Word -> row of the table; None: no word is known.
        quirks: Of the model; "double-resampling", "onset-positions" and "audio-step-533" are heard here.
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
        self.num_samples = num_samples(config)
        self.whole_steps = "audio-step-533" in quirks
        samples = waveform.resample(speech.samples, speech.rate, twice="double-resampling" in quirks)
        self.samples = samples
        onsets = waveform.onset_frames(samples)
        self.onsets = onsets if "onset-positions" in quirks else onsets * waveform.ONSET_HOP
        self.words = None
        if config.words is not None:
            if speech.words and vocabulary is not None:
                rows = word_indices(speech.words, num_frames, _PUBLISHED_FPS, vocabulary)
            else:
                rows = np.full(num_frames, UNKNOWN)  # something is said, nobody says what
            self.words = torch.from_numpy(rows)

    def window(self, start: int) -> Heard:
        first = start * _WHOLE_STEP if self.whole_steps else round(start * waveform.SAMPLE_RATE / _PUBLISHED_FPS)
        heard = np.zeros((self.num_samples, 2), np.float32)
        last = first + self.num_samples
        heard[:, 0] = self.amplitude(first, last)
        onsets = self.onsets[slice(*np.searchsorted(self.onsets, (first, last)))]
        heard[onsets - first, 1] = 1
        words = None if self.words is None else self.words[None, start : start + self.window_frames]
        return Heard(torch.from_numpy(heard)[None], words)

    def amplitude(self, first: int, last: int) -> np.ndarray:
        """That of the whole recording between two samples, zeros beyond its end."""
        begin = max(min(first, len(self.samples) - waveform.AMPLITUDE_WINDOW), 0)
        ahead = self.samples[begin : last + waveform.AMPLITUDE_WINDOW - 1]
        piece = waveform.amplitude(ahead)[first - begin : min(last, len(self.samples)) - begin]
        return np.pad(piece, (0, last - first - len(piece)))
