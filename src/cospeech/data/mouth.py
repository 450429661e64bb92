"""Shapes of a mouth that speaks, from timed phones or from the sound of a voice.

Every phone has a shape, and neighbours overlap by dominance functions [1]: what matters to a phone, such as rounding to
/w/, it imposes on its neighbours; what does not, it takes from them. Lips that must meet, do.

Without phones the shapes are heard: opening from the first formant, rounding and spreading from the second [2], closed
lips in dips without high frequencies [3]. Of three such closures two are other sounds: where phones are known, give
them.

[1] Cohen & Massaro 1993, Modeling coarticulation in synthetic visual speech, Models and Techniques in Computer
    Animation
[2] Peterson & Barney 1952, Control methods used in a study of the vowels, JASA 24(2)
[3] Blumstein & Stevens 1979, Acoustic invariance in speech production, JASA 66(4)

Axes: T frames, H hops of 10 ms, N phones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cospeech import prosody, text
from cospeech.data.voices import Phone
from cospeech.smoothing import ease, smooth


class Mouth(NamedTuple):
    """Shape of a mouth over time, each (T,) from 0 to 1."""

    opening: np.ndarray  # of the jaw, 1 for /a/
    rounding: np.ndarray  # 1 for /u/
    spreading: np.ndarray  # 1 for a smiled /i/
    closed: np.ndarray  # lips meet: /p b m/
    teeth: np.ndarray  # lower lip under the upper teeth: /f v/
    tongue: np.ndarray  # between the teeth: /th/


class Shape(NamedTuple):
    """Shape of a mouth at a phone, as in `Mouth`."""

    opening: float
    rounding: float
    spreading: float
    closed: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0


class Sound(NamedTuple):
    shape: Shape
    dominance: tuple[float, float, float]  # over the opening, rounding and spreading of its neighbours, as in [1]


_VOWEL = (1.0, 1.0, 1.0)
_SOUNDS = {  # letters of the IPA -> shape
    "a ɑ ɐ ä": Sound(Shape(1.0, 0.0, 0.15), _VOWEL),
    "æ": Sound(Shape(0.95, 0.0, 0.4), _VOWEL),
    "ɒ": Sound(Shape(0.85, 0.35, 0.0), _VOWEL),
    "ɛ ʌ ε": Sound(Shape(0.7, 0.0, 0.4), _VOWEL),
    "ɔ": Sound(Shape(0.7, 0.5, 0.0), _VOWEL),
    "œ ɶ": Sound(Shape(0.65, 0.5, 0.0), _VOWEL),
    "e": Sound(Shape(0.5, 0.0, 0.6), _VOWEL),
    "o ɤ ø ɵ ɞ": Sound(Shape(0.5, 0.75, 0.0), _VOWEL),
    "ə ɜ ɘ ᵻ": Sound(Shape(0.45, 0.05, 0.15), (0.5, 0.3, 0.3)),
    "ɚ ɝ": Sound(Shape(0.4, 0.35, 0.0), (0.8, 0.6, 0.6)),
    "ɪ ɨ": Sound(Shape(0.35, 0.0, 0.5), _VOWEL),
    "ʊ ʏ": Sound(Shape(0.35, 0.6, 0.0), _VOWEL),
    "i": Sound(Shape(0.25, 0.0, 0.85), _VOWEL),
    "u y": Sound(Shape(0.25, 0.95, 0.0), (1.0, 1.4, 1.0)),
    "ɯ": Sound(Shape(0.25, 0.3, 0.1), _VOWEL),
    "p b m ɓ": Sound(Shape(0.1, 0.0, 0.0, closed=1.0), (1.2, 0.1, 0.2)),
    "f v ɱ": Sound(Shape(0.2, 0.0, 0.1, teeth=1.0), (1.2, 0.3, 0.3)),
    "ʋ β ɸ": Sound(Shape(0.2, 0.1, 0.0, teeth=0.6), (1.0, 0.3, 0.3)),
    "w ʍ ɥ": Sound(Shape(0.15, 1.0, 0.0), (0.8, 2.0, 1.0)),
    "ʃ ʒ": Sound(Shape(0.2, 0.65, 0.0), (1.2, 1.2, 0.8)),
    "ʂ ʐ": Sound(Shape(0.2, 0.3, 0.1), (1.2, 0.6, 0.6)),
    "ɕ ʑ": Sound(Shape(0.2, 0.1, 0.5), (1.2, 0.6, 0.8)),
    "s z": Sound(Shape(0.17, 0.0, 0.4), (1.3, 0.2, 0.5)),
    "t d n ɬ ɮ ʈ ɖ ɳ": Sound(Shape(0.25, 0.0, 0.15), (0.6, 0.1, 0.2)),
    "l r ɾ ɫ ɭ ɽ": Sound(Shape(0.3, 0.0, 0.15), (0.4, 0.1, 0.2)),
    "ɹ ɻ": Sound(Shape(0.2, 0.45, 0.0), (0.6, 0.7, 0.5)),
    "θ ð": Sound(Shape(0.2, 0.0, 0.15, tongue=1.0), (0.8, 0.2, 0.2)),
    "j ʝ ɲ ç c ɟ": Sound(Shape(0.25, 0.0, 0.5), (0.5, 0.2, 0.6)),
    "k g ɡ ŋ x ɣ ɴ": Sound(Shape(0.33, 0.0, 0.1), (0.3, 0.05, 0.1)),
    "q ɢ χ ʁ ʀ h ɦ ħ ʔ ʕ": Sound(Shape(0.4, 0.0, 0.1), (0.1, 0.05, 0.05)),
}
_LETTERS = {letter: sound for letters, sound in _SOUNDS.items() for letter in letters.split()}
_ARPABET = dict(
    **{"AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d"},
    **{"DH": "ð", "EH": "ɛ", "ER": "ɚ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ"},
    **{"K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s"},
    **{"SH": "ʃ", "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ"},
)
_REST = Sound(Shape(0.0, 0.0, 0.0), _VOWEL)
_UNKNOWN = _LETTERS["ə"]
PAUSES = ("", "sil", "sp", "SIL", "SP")
_REACH_S = np.array([0.055, 0.08, 0.07])  # within which the dominance of a phone falls to 1/e
_NEIGHBOURS = np.arange(-4, 5)
_RAMP_S = 0.045  # in which lips come together or part


def _sounds(phone: Phone) -> list[Sound]:
    """The shapes a phone goes through, two for a diphthong."""
    name = _ARPABET.get(phone.text.rstrip("012"), phone.text)
    return [_LETTERS[letter] for letter in name if letter in _LETTERS] or [_UNKNOWN]


def spoken(phones: Sequence[Phone], num_frames: int, fps: float) -> Mouth:
    """Mouth shapes (T,) of timed phones; between them, at rest."""
    spans: list[tuple[float, float, Sound]] = [(-1.0, -1.0, _REST)]
    for phone in phones:
        if phone.text in PAUSES:
            continue
        if phone.start_s - spans[-1][1] > 0.1:
            spans.append((max(spans[-1][1] + 0.04, -1.0), phone.start_s - 0.04, _REST))
        shapes = _sounds(phone)
        edges = np.linspace(phone.start_s, phone.end_s, len(shapes) + 1).tolist()
        spans += zip(edges[:-1], edges[1:], shapes, strict=True)
    end_s = max(spans[-1][1], num_frames / fps)
    spans += [(spans[-1][1] + 0.04, end_s + 1, _REST), (end_s + 1, end_s + 2, _REST)]

    begin, end = (np.array([span[i] for span in spans]) for i in (0, 1))  # (N,)
    targets = np.array([span[2].shape for span in spans])  # (N, 6)
    dominance = np.array([span[2].dominance for span in spans])  # (N, 3)
    at = np.arange(num_frames) / fps
    near = (np.searchsorted(begin, at, side="right") - 1)[:, None] + _NEIGHBOURS  # (T, 9)
    near = near.clip(0, len(spans) - 1)
    middle, half = (begin + end) / 2, (end - begin) / 4
    distance = (np.abs(at[:, None] - middle[near]) - half[near]).clip(min=0)  # from the inner half of the phone
    weights = dominance[near] * np.exp(-distance[..., None] / _REACH_S)  # (T, 9, 3)
    shape = (weights * targets[near][..., :3]).sum(axis=1) / weights.sum(axis=1).clip(min=1e-9)

    opening, rounding, spreading = shape.T
    closed, teeth, tongue = (_contact(begin, end, strength, at, fps) for strength in targets[:, 3:].T)
    return Mouth(opening, rounding, spreading, closed, teeth, tongue)


def _contact(begin: np.ndarray, end: np.ndarray, strength: np.ndarray, at: np.ndarray, fps: float) -> np.ndarray:
    """(T,) how far lips or tongue have come to what they touch during some of N spans.

    At least one frame sees every contact. The last of a stop is its release.
    """
    touching = np.flatnonzero(strength)
    result = np.zeros(len(at))
    for i in touching:
        until = begin[i] + 0.8 * (end[i] - begin[i])
        first, last = np.searchsorted(at, [begin[i] - 2 * _RAMP_S, until + 2 * _RAMP_S])
        outside = np.maximum(begin[i] - at[first:last], at[first:last] - until) - 0.5 / fps
        result[first:last] = np.maximum(result[first:last], strength[i] * ease(1 - outside / _RAMP_S))
    return result


# --- mouth shapes of a sound ------------------------------------------------------------------------------------

_HOP, _WINDOW = 160, 512  # samples: 10 and 32 ms
_BANDS_HZ = {  # where vowels and consonants differ
    "closed": (150, 420),
    "open": (580, 1100),
    "back": (650, 1300),
    "front": (1700, 2700),
    "sh": (2000, 4000),
    "s": (4500, 7500),
}


def heard(samples: np.ndarray, num_frames: int, fps: float) -> Mouth:
    """Mouth shapes (T,) guessed from the sound of a voice, about as large as those of phones."""
    num_hops = len(samples) // _HOP + 1
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    windows = sliding_window_view(padded, _WINDOW)[::_HOP][:num_hops] * np.hanning(_WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(windows)) ** 2  # (H, 257)
    hz = np.linspace(0, prosody.SAMPLE_RATE / 2, power.shape[1])
    bands = np.stack([power[:, (hz >= low) & (hz < high)].mean(axis=1) for low, high in _BANDS_HZ.values()], axis=1)
    loudness = power[:, (hz > 100) & (hz < 4000)].sum(axis=1)
    level = loudness[loudness >= 0.1 * loudness.mean()].mean() if loudness.any() else 1.0
    loud = 10 * np.log10(loudness / level + 1e-6)  # (H,)
    voiced = (loud > -20) & (bands[:, 0] > bands[:, 5])
    decibels = 10 * np.log10(bands + 1e-4 * level / len(hz))
    if voiced.any():  # the voice's own timbre, and the microphone's, are no mouth shape
        decibels = decibels - decibels[voiced].mean(axis=0)
    band = dict(zip(_BANDS_HZ, decibels.T, strict=True))

    low = ease((band["open"] - band["closed"] + 12) / 24)  # high first formant: 1
    front = (band["front"] - band["back"]) / 10
    hissing = ease((np.maximum(band["s"], band["sh"]) - band["closed"] - 8) / 14)
    hushed = hissing * ease((band["sh"] - band["s"] + 6) / 8)
    opening = (0.18 + 0.58 * low) * (1 - 0.6 * hissing)
    rounding = np.clip(-0.5 * front * (1.2 - low) + 0.07, 0, 0.95) * (1 - hissing) + 0.5 * hushed
    spreading = np.clip(0.4 * front + 0.15, 0, 0.85) * (1 - hissing) + 0.3 * hissing * (1 - hushed)
    speaking = ease((loud + 26) / 10)
    at = np.arange(num_frames) / fps
    hops = np.arange(num_hops) * _HOP / prosody.SAMPLE_RATE
    opening, rounding, spreading = (
        np.interp(at, hops, smooth(shape * speaking, 3.0, "values")) for shape in (opening, rounding, spreading)
    )
    begin, end, strength = _dips(loud, voiced, high=(band["sh"] + band["s"]) / 2, middle=band["back"])
    closed = _contact(begin, end, strength, at, fps)
    return Mouth(opening, rounding, spreading, closed, np.zeros(num_frames), np.zeros(num_frames))


def _dips(
    loud: np.ndarray, voiced: np.ndarray, high: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where lips may have closed, dips of 50 to 140 ms inside speech: seconds of begin and end, and strength.

    A lip's closure and release lack high frequencies; those of the tongue do not [3].

    Args:
        loud: (H,) dB; `voiced`: (H,) bool; `high`, `middle`: (H,) dB about the mean of the voice.
    """
    level = smooth(loud, 1.0, "values")
    lowest = np.flatnonzero((level[1:-1] <= level[:-2]) & (level[1:-1] < level[2:])) + 1
    dips = []
    for hop in lowest:
        before, after = level[max(hop - 12, 0) : hop + 1][::-1], level[hop : hop + 13]
        around = min(before.max(), after.max())
        if around < -16 or around - level[hop] < 5:
            continue
        rim = (level[hop] + around) / 2
        left, right = hop - int(np.argmax(before > rim)), hop + int(np.argmax(after > rim))
        labial = middle[right] - 0.5 * (high[hop] + high[right])
        if 5 <= right - left <= 14 and voiced[max(left - 4, 0) : left + 1].any() and voiced[right : right + 6].any():
            dips.append((0.01 * (left + 1), 0.01 * (right + 1), float(ease((labial - 4) / 16))))
    begin, end, strength = np.array(dips).reshape(-1, 3).T
    return begin, end, strength


def read_phones(path: Path) -> tuple[Phone, ...]:
    """The tier "phones" of a TextGrid as BEAT2 and the Montreal Forced Aligner write it; empty where there is none."""
    phones = text.read_tiers(path).get("phones", ())
    return tuple(Phone(phone.text.strip(), phone.start_s, phone.end_s) for phone in phones)
