"""Amplitude and onsets of a recording, sample by sample: what the published systems listen to.

[1] Liu et al. 2024, EMAGE, arXiv:2401.00374; SynTalker, arXiv:2410.00464, and MambaTalk, arXiv:2403.09471, took it over
[2] McFee et al. 2015, librosa, doi 10.25080/Majora-7b98e3ed-003: its resampling and its onset detector with their
    defaults, of which only what these features need is here
[3] Boeck, Krebs & Schedl 2012, ISMIR: onsets are where the spectral flux stands out from its neighbourhood

Axes: N samples, T frames of the onset detector, M mel bands, K bins of the spectrum.
"""

from functools import lru_cache
from math import ceil

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cospeech import audio

SAMPLE_RATE = 16_000
ONSET_HOP = 512  # samples between frames of the onset detector
AMPLITUDE_WINDOW = 1024  # samples, looking ahead

_LOADED_AT = 22_050  # the rate at which the published loaders read every file before they go on to 16 kHz
_FFT = 2048
_NUM_MELS = 128
_QUIETEST_POWER = 1e-10
_RANGE_DB = 80.0  # nothing is further below the loudest
_BEFORE, _AFTER = 3, 4  # frames, 0.1 s: the neighbourhood of a frame, itself counted as after
_ABOVE = 0.07  # of the range of the flux: by how much an onset exceeds its neighbourhood
_BLOCK = 1024  # frames analysed at a time


def resample(samples: np.ndarray, rate: int, twice: bool) -> np.ndarray:
    """(N,) float32 at any rate -> 16 kHz, `twice`: by way of 22.05 kHz, where each time a part of a sample counts."""
    if twice:
        samples, rate = audio.resample(samples, rate, _LOADED_AT, ceil), _LOADED_AT
    return audio.resample(samples, rate, SAMPLE_RATE, ceil)


def resampled_length(num_samples: int, rate: int, twice: bool) -> int:
    """How many samples `resample` gives."""
    for new_rate in (_LOADED_AT, SAMPLE_RATE) if twice else (SAMPLE_RATE,):
        if rate != new_rate:
            num_samples, rate = max(1, ceil(num_samples * (new_rate / rate))), new_rate
    return num_samples


def amplitude(samples: np.ndarray) -> np.ndarray:
    """(N,) -> (N,) the largest |sample| of the next 1024, itself counted; the last 1023 repeat the one before them."""
    largest = np.abs(samples)
    width = 1
    while width < AMPLITUDE_WINDOW:  # each round doubles how far ahead a value looks
        np.maximum(largest[:-width], largest[width:], out=largest[:-width])
        width *= 2
    whole = len(samples) - AMPLITUDE_WINDOW + 1  # windows that do not reach over the end
    if whole > 0:
        largest[whole:] = largest[whole - 1]
    return largest


def onset_frames(samples: np.ndarray) -> np.ndarray:
    """Where sounds begin in (N,) samples at 16 kHz: ascending indices of frames, `ONSET_HOP` samples apart."""
    flux = spectral_flux(samples)
    flux = flux - flux.min()
    if not flux.any():
        return np.empty(0, np.int64)
    flux = flux / (flux.max() + np.finfo(np.float32).tiny)
    padded = np.pad(flux.astype(np.float64), (_BEFORE, _AFTER - 1))
    count = np.pad(np.ones(len(flux)), (_BEFORE, _AFTER - 1))  # fewer neighbours at the ends
    width = _BEFORE + _AFTER
    mean = sliding_window_view(padded, width).sum(axis=1) / sliding_window_view(count, width).sum(axis=1)
    return np.flatnonzero(flux >= mean + _ABOVE)


def spectral_flux(samples: np.ndarray) -> np.ndarray:
    """By how many decibels the mel bands rise from frame to frame, (N,) at 16 kHz -> (T,), T = N // ONSET_HOP + 1."""
    mels = np.concatenate(list(_mel_powers(samples)))  # (T, M)
    loudest = 10 * np.log10(max(mels.max(), _QUIETEST_POWER))
    flux = np.zeros(len(mels), np.float32)
    late = _FFT // (2 * ONSET_HOP)  # frames: a window is heard at its centre, what is new comes in at its end
    for start in range(0, len(mels) - 1, _BLOCK):
        block = mels[start : start + _BLOCK + 1]
        decibels = np.maximum(10 * np.log10(np.maximum(block, _QUIETEST_POWER)), loudest - _RANGE_DB)
        rise = np.maximum(np.diff(decibels, axis=0), 0).mean(axis=1)
        rows = flux[start + 1 + late : start + 1 + late + len(rise)]
        rows[:] = rise[: len(rows)]
    return flux


def _mel_powers(samples: np.ndarray):
    """(N,) -> blocks of (n, M): power in mel bands of windows centred on every `ONSET_HOP`-th sample."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    num_frames = len(samples) // ONSET_HOP + 1
    for start in range(0, num_frames, _BLOCK):
        count = min(_BLOCK, num_frames - start)
        first = start * ONSET_HOP - _FFT // 2
        length = (count - 1) * ONSET_HOP + _FFT
        inside = samples[max(first, 0) : max(first + length, 0)]
        before = max(-first, 0)
        piece = np.pad(inside, (before, length - before - len(inside)))
        frames = sliding_window_view(piece, _FFT)[::ONSET_HOP]  # (n, 2048)
        spectrum = np.fft.rfft(frames * window, axis=1)
        yield (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ _mel_filters().T


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    """(M, K) triangles of unit area, evenly spaced on Slaney's mel scale from 0 to 8 kHz."""
    top = _hertz_to_mel(np.array(SAMPLE_RATE / 2))
    edges = _mel_to_hertz(np.linspace(0, top, _NUM_MELS + 2))  # (M + 2,)
    bins = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return (np.minimum(rising, falling).clip(min=0) * area[:, None]).astype(np.float32)


# Slaney's Auditory Toolbox (1998): linear up to 1 kHz at 15 mels, logarithmic above.
_LINEAR_HZ = 200 / 3
_BREAK_HZ = 1000.0
_STEP = np.log(6.4) / 27


def _hertz_to_mel(hertz: np.ndarray) -> np.ndarray:
    above = _BREAK_HZ / _LINEAR_HZ + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _STEP
    return np.where(hertz < _BREAK_HZ, hertz / _LINEAR_HZ, above)


def _mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    at_break = _BREAK_HZ / _LINEAR_HZ
    above = _BREAK_HZ * np.exp(_STEP * (np.maximum(mel, at_break) - at_break))
    return np.where(mel < at_break, mel * _LINEAR_HZ, above)
