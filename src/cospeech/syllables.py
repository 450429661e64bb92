"""Where the syllables of a voice are, and which are stressed; in any language.

A syllable has one nucleus: a voiced peak of the energy between 300 and 2500 Hz [1] with a dip on either side [2].
Stressed are those that stand out from their neighbours by loudness, length and melody [3].

[1] Mermelstein 1975, Automatic segmentation of speech into syllabic units, JASA 58(4)
[2] de Jong & Wempe 2009, Praat script to detect syllable nuclei, Behavior Research Methods 41(2)
[3] Kochanski et al. 2005, Loudness predicts prominence, JASA 118(2): loudness first, then length, then pitch
"""

from typing import NamedTuple

import numpy as np

from cospeech import prosody

_BAND_HZ = (300.0, 2500.0)
_DIP_DB = 2.0  # of the valley between two nuclei, below the lower of them, as in [2]
_FAINT_DB = -24.0  # of the voice's level: nothing fainter is a nucleus
_VOICED = 0.3
_BODY_DB = 6.0  # a syllable lasts while it is no more than that below its nucleus
_SHARES = (0.6, 0.25, 0.15)  # of loudness, length and melody in prominence
_NEARBY_S = 1.0  # a syllable is compared with those that near on either side
_APART_S = 0.3  # two stressed syllables are at least that far apart


class Syllables(NamedTuple):
    frames: np.ndarray  # (N,) int, the loudest frame of each nucleus, ascending
    prominence: np.ndarray  # (N,) in standard deviations above the syllables nearby
    stressed: np.ndarray  # (N,) bool


def find_syllables(features: np.ndarray, fps: float = 30.0) -> Syllables:
    """Syllables of a voice.

    Args:
        features: (T, 68) `prosody.speech_features`.
        fps: Their frames a second.
    """
    level = _smooth(prosody.band_decibels(features, *_BAND_HZ))
    nuclei, valleys = _peaks_and_valleys(level, _DIP_DB)
    voicing = np.maximum.reduce([np.roll(features[:, prosody.VOICING], shift) for shift in (-1, 0, 1)])
    real = (level[nuclei] > _FAINT_DB) & (voicing[nuclei] > _VOICED)
    nuclei = nuclei[real]
    spans = list(zip(np.append(0, valleys)[real], np.append(valleys, len(level))[real], strict=True))
    length = [np.count_nonzero(level[a:b] > level[f] - _BODY_DB) for f, (a, b) in zip(nuclei, spans, strict=True)]
    melody = [np.abs(features[a:b, prosody.PITCH]).max() for a, b in spans]
    prominence = np.zeros(len(nuclei))
    for share, values in zip(_SHARES, (level[nuclei], length, melody), strict=True):
        prominence += share * _stand_out(nuclei, np.asarray(values, float), _NEARBY_S * fps)
    return Syllables(nuclei, prominence, _stressed(nuclei, prominence, _APART_S * fps))


def _smooth(values: np.ndarray) -> np.ndarray:
    """(T,) with a short triangle, edges repeated."""
    padded = np.pad(values, 1, mode="edge")
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4


def _peaks_and_valleys(values: np.ndarray, depth: float) -> tuple[np.ndarray, np.ndarray]:
    """Peaks that rise `depth` above the valleys beside them, and those valleys: N and N - 1 frames."""
    peaks: list[int] = []
    valleys: list[int] = []
    high = low = 0
    rising = True
    for t in range(len(values)):
        if rising:
            high = t if values[t] > values[high] else high
            if values[t] < values[high] - depth:
                peaks.append(high)
                low, rising = t, False
        else:
            low = t if values[t] < values[low] else low
            if values[t] > values[low] + depth:
                valleys.append(low)
                high, rising = t, True
    if rising and len(values) and (not valleys or values[high] > values[valleys[-1]] + depth):
        peaks.append(high)
    return np.array(peaks, int), np.array(valleys[: max(len(peaks) - 1, 0)], int)


def _stand_out(frames: np.ndarray, values: np.ndarray, reach: float) -> np.ndarray:
    """How far each value lies above the mean of those within `reach` frames, in deviations of all of them."""
    near = np.abs(frames[:, None] - frames) <= reach
    around = (near @ values) / near.sum(axis=1).clip(min=1)
    return (values - around) / max(values.std(), 1e-6) if len(values) else values


def _stressed(frames: np.ndarray, prominence: np.ndarray, apart: float) -> np.ndarray:
    """Syllables that no more prominent one is near, and that are not below the usual."""
    rival = np.abs(frames[:, None] - frames) < apart
    strongest = np.where(rival, prominence, -np.inf).max(axis=1, initial=-np.inf)
    return (prominence >= strongest) & (prominence > -0.25)
