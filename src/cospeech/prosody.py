"""What the body follows in a voice, frame by frame: spectrum, loudness, onsets, melody, voicing.

[1] Boersma 1993, Accurate short-term analysis of the fundamental frequency, IFA Proceedings 17: the autocorrelation of
    a windowed signal over that of the window
[2] Mauch & Dixon 2014, pYIN: pitch as the hidden state of a Markov chain
[3] ITU-R BS.1770: level as the mean power of what is not silence

Nothing here depends on how loud the recording is, and nothing jumps: features drive a diffusion model, and a value that
flips with the noise of the recording would make the motion depend on that noise. So thresholds are ramps, the floor of
a logarithm is a sum, and the pitch is an expectation.

Axes: T frames, M mel bands, K bins of the spectrum, P pitches.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SAMPLE_RATE = 16_000

# Columns of `speech_features`. Each is about -2..2 in speech, by the constants below, never by statistics of a file.
NUM_MELS = 64
MELS = slice(0, NUM_MELS)  # log power of each band
ENERGY = 64  # log power of all bands together
ONSET = 65  # how much louder the bands are than a frame ago; 0 where nothing rises
PITCH = 66  # octaves above the median pitch of the recording; 0 where unvoiced
VOICING = 67  # 0 unvoiced .. 1 voiced
NUM_FEATURES = 68

_WINDOW = 1024  # samples, 64 ms: holds four periods of the lowest pitch
_NUM_BINS = _WINDOW + 1  # padded to twice the window, so that the autocorrelation does not wrap around
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7200.0  # clear of rumble and of the resampler's slope below 8 kHz
_BLOCK_FRAMES = 512

_QUIETEST_LEVEL = 1e-9  # mean power, -90 dB full scale: below the rounding of 16 bits nobody speaks
_GATE_DB = -10.0  # of the mean power: quieter frames are pauses
_FLOOR_DB = -40.0  # of the level of the voice: above the rounding to 16 bits of a recording made 30 dB too quiet
_MEL_CENTRE_DB, _MEL_SCALE_DB = -20.0, 15.0
_ENERGY_CENTRE_DB, _ENERGY_SCALE_DB = -10.0, 12.0
_ONSET_SCALE_DB = 6.0

_LOWEST_PITCH_HZ, _HIGHEST_PITCH_HZ = 60.0, 500.0
_PITCHES_PER_OCTAVE = 24
_PITCH_BAND_HZ = (50.0, 900.0)  # first harmonics; above, the autocorrelation follows formants
_OCTAVE_COST = 0.02  # of the strength per octave: of two equal peaks the shorter period is the true one, as in [1]
_SHARPNESS = 25.0  # log-likelihood of a strength of 1
_GLIDE_OCTAVES = 0.08  # spread of the change of pitch in 1/30 s
_JUMP = 1e-4  # chance of any other change: a new phrase
_QUIET_DB = -30.0  # of the level of the voice: a frame this quiet is heard half as strong
_VOICED_STRENGTH = (0.45, 0.75)  # from unvoiced to voiced
_PITCH_SCALE, _PITCH_RANGE = 0.5, 1.0  # octaves


def speech_features(
    samples: np.ndarray, num_frames: int, fps: float = 30.0, progress: Callable[[float], None] | None = None
) -> np.ndarray:
    """Features of a voice at the times t / fps, exactly: no hop is rounded, so nothing drifts.

    The level of the voice and its median pitch are those of all `samples`: what is said later shifts the features of
    what is said now, all frames alike, by 0.2 where it raises the level by 3 dB. Otherwise nothing looks far ahead.

    Args:
        samples: (N,) float32 at 16 kHz. Before and after them there is silence.
        num_frames: T.
        fps: Frames a second.
        progress: Called with the fraction done.

    Returns:
        (T, 68) float32; `MELS`, `ENERGY`, `ONSET`, `PITCH` and `VOICING` name the columns.
    """
    mels = np.empty((num_frames, NUM_MELS), np.float32)
    strengths = np.empty((num_frames, len(_pitches())), np.float32)
    done = 0
    for power in _spectra(samples, num_frames, fps):  # (n, K)
        rows = slice(done, done := done + len(power))
        mels[rows] = power @ _mel_filters().T
        strengths[rows] = _pitch_strengths(power)
        if progress:
            progress(0.9 * done / num_frames)

    energy = mels.sum(axis=1)
    level = _voice_level(energy)
    features = np.zeros((num_frames, NUM_FEATURES), np.float32)
    # A band holds a small part of the power: its share is measured against the mean band, not the whole.
    mel_db = _decibels(mels, level / NUM_MELS)
    energy_db = _decibels(energy, level)
    features[:, MELS] = (mel_db - _MEL_CENTRE_DB) / _MEL_SCALE_DB
    features[:, ENERGY] = (energy_db - _ENERGY_CENTRE_DB) / _ENERGY_SCALE_DB
    features[1:, ONSET] = np.diff(mel_db, axis=0).clip(min=0).mean(axis=1) / _ONSET_SCALE_DB
    strengths *= (energy / (energy + level * np.float32(10 ** (_QUIET_DB / 10))))[:, None]
    octaves, strength = _track_pitch(strengths, fps)
    voicing = _ramp(strength, *_VOICED_STRENGTH)
    melody = (octaves - _weighted_median(octaves, voicing)).clip(-_PITCH_RANGE, _PITCH_RANGE)
    features[:, PITCH] = voicing * melody / _PITCH_SCALE
    features[:, VOICING] = voicing
    if progress:
        progress(1.0)
    return features


def energy_envelope(samples: np.ndarray, num_frames: int, fps: float = 30.0) -> np.ndarray:
    """How loud a voice is at the times t / fps: (N,) samples at 16 kHz -> (num_frames,) float32.

    The root mean square over 64 ms, as a multiple of that of the whole recording without its pauses: 0 in silence,
    about 1 in speech however loud it was recorded.
    """
    energy = np.concatenate([power @ _mel_filters().sum(axis=0) for power in _spectra(samples, num_frames, fps)])
    return np.sqrt(energy / _voice_level(energy))


def band_decibels(features: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """(T,) how loud the bands between two frequencies are together, in decibels of the voice's level; -40 in silence.

    Args:
        features: (T, 68) `speech_features`.
    """
    centres = _mel_edges_hz()[1:-1]
    bands = features[:, MELS][:, (low_hz <= centres) & (centres <= high_hz)] * _MEL_SCALE_DB + _MEL_CENTRE_DB
    return 10 * np.log10((10 ** (bands / 10)).sum(axis=1) / NUM_MELS)


def _spectra(samples: np.ndarray, num_frames: int, fps: float) -> Iterator[np.ndarray]:
    """Blocks (n, K) of the power spectra of windows centred on t / fps, scaled so that a row sums to a mean power."""
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    window /= np.sqrt(window @ window * _WINDOW)
    for first in range(0, num_frames, _BLOCK_FRAMES):
        frames = np.arange(first, min(first + _BLOCK_FRAMES, num_frames))
        starts = np.rint(frames * (SAMPLE_RATE / fps)).astype(np.int64) - _WINDOW // 2
        begin, end = starts[0], starts[-1] + _WINDOW
        inside = samples[max(begin, 0) : max(end, 0)]
        padded = np.zeros(end - begin, np.float32)
        padded[max(-begin, 0) : max(-begin, 0) + len(inside)] = inside
        windows = sliding_window_view(padded, _WINDOW)[starts - begin] * window
        spectrum = np.fft.rfft(windows, n=2 * _WINDOW)  # (n, K)
        yield spectrum.real**2 + spectrum.imag**2


def _mel_edges_hz() -> np.ndarray:
    """(M + 2,) evenly spaced in mel, 2595 log10(1 + Hz / 700): band m rises from edge m to m + 1 and ends at m + 2."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    return 700 * (10 ** (np.linspace(low, high, NUM_MELS + 2) / 2595) - 1)


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    """(M, K) triangles of height 1."""
    edges = _mel_edges_hz()
    bins = np.linspace(0, SAMPLE_RATE / 2, _NUM_BINS)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.minimum(rising, falling).clip(min=0).astype(np.float32)


def _voice_level(energy: np.ndarray) -> np.ndarray:
    """The mean power of the frames that are not pauses, (T,) -> (): twice gated, as in [3]."""
    level = energy.mean(dtype=np.float64)
    for _ in range(2):
        level = energy[energy >= level * 10 ** (_GATE_DB / 10)].mean(dtype=np.float64)
    return np.float32(max(level, _QUIETEST_LEVEL))


def _decibels(power: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Decibels above the level, with a floor that is added: 0 at the level, -40 in silence."""
    return 10 * np.log10(power / level + np.float32(10 ** (_FLOOR_DB / 10)))


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high`, smooth between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


@lru_cache(maxsize=1)
def _pitches() -> np.ndarray:
    """(P,) log2 of the pitches in Hz, evenly spaced."""
    low, high = np.log2(_LOWEST_PITCH_HZ), np.log2(_HIGHEST_PITCH_HZ)
    return np.linspace(low, high, round((high - low) * _PITCHES_PER_OCTAVE) + 1)


def _pitch_strengths(power: np.ndarray) -> np.ndarray:
    """How periodic each frame is at each pitch, (n, K) -> (n, P), 1 for a perfect tone: equation 9 of [1]."""
    low, high = _PITCH_BAND_HZ
    bins = np.linspace(0, SAMPLE_RATE / 2, _NUM_BINS)
    band = _ramp(bins, low / 2, low) * (1 - _ramp(bins, high, 1.5 * high))
    correlation = np.fft.irfft(power * band.astype(np.float32), axis=1)  # (n, 2 * _WINDOW)
    window = np.hanning(_WINDOW + 1)[:-1]
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, n=2 * _WINDOW)) ** 2)

    lags = SAMPLE_RATE / 2 ** _pitches()  # (P,)
    whole = np.floor(lags).astype(int)
    part = (lags - whole).astype(np.float32)
    between = (1 - part) * correlation[:, whole] + part * correlation[:, whole + 1]
    of_window_there = np.interp(lags, np.arange(_WINDOW), of_window[:_WINDOW]) / of_window[0]
    power_in_band = np.maximum(correlation[:, :1], np.finfo(np.float32).tiny)
    return between / power_in_band / of_window_there.astype(np.float32)


def _track_pitch(strengths: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Expected pitch in log2 Hz and expected strength of every frame, (T, P) -> (T,), (T,).

    Forward and backward pass through a Markov chain over pitches [2], all frames heard. Unvoiced frames say little, and
    get a pitch between their neighbours'.
    """
    pitches = _pitches()
    distance = np.abs(pitches[:, None] - pitches)
    change = np.exp(-0.5 * (distance / (_GLIDE_OCTAVES * np.sqrt(30 / fps))) ** 2)
    change = (1 - _JUMP) * change / change.sum(axis=1, keepdims=True) + _JUMP / len(pitches)
    likelihood = strengths + _OCTAVE_COST * (pitches - pitches[0])
    likelihood = np.exp(_SHARPNESS * (likelihood - likelihood.max(axis=1, keepdims=True)))

    forward = np.empty_like(likelihood)
    state = np.full(len(pitches), 1 / len(pitches))
    for t in range(len(likelihood)):
        state = (state @ change) * likelihood[t]
        forward[t] = state = state / state.sum()
    state = np.ones(len(pitches))
    for t in range(len(likelihood) - 1, -1, -1):
        forward[t] *= state
        state = change @ (state * likelihood[t])
        state /= state.sum()
    posterior = forward / forward.sum(axis=1, keepdims=True)
    return posterior @ pitches, (posterior * strengths).sum(axis=1)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return values[order[np.searchsorted(share, share[-1] / 2)]]
