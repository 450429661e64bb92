"""Recordings of real voices, and one made into several: other speakers by another speed, other rhythms by pauses."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cospeech import prosody
from cospeech.data import mouth
from cospeech.data.voices import Phone
from cospeech.prosody import SAMPLE_RATE
from cospeech.speech import Speech

_FPS = 30
_QUIET = 0.06  # of the voice's level
_EVERY_S = 1.5  # no two pauses are made longer that near to each other


@dataclass(frozen=True, eq=False)
class Recording:
    name: str
    speech: Speech
    phones: tuple[Phone, ...] = ()  # in order; empty where nobody knows them
    licence: str = ""  # empty: whatever is made of it may be used for anything

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """A sound file, with the phones of the TextGrid beside it, if it has one."""
        grid = path.with_suffix(".TextGrid")
        return cls(path.stem, Speech.load(path), mouth.read_phones(grid) if grid.is_file() else ())


def vary(recording: Recording, rng: np.random.Generator) -> Recording:
    """Up to a sixth faster or slower, pitch and formants with it, and some of the pauses made longer.

    A pause is filled with silence or with what the room sounds like. Returns 16 kHz without words.
    """
    faster = rng.uniform(0.86, 1.16)
    speech = recording.speech
    samples = Speech(speech.samples, round(speech.rate * faster)).resample(SAMPLE_RATE).samples
    envelope = prosody.energy_envelope(samples, len(samples) * _FPS // SAMPLE_RATE, _FPS)
    quiet = envelope < _QUIET
    pieces, begin, last = [], 0, -np.inf
    cuts_s, added_s = [], [0.0]  # where pauses came in, and how much in all up to there
    for frame in np.flatnonzero(quiet & np.roll(quiet, 3) & np.roll(quiet, -3)):
        if frame - last > _EVERY_S * _FPS and rng.random() < 0.4:
            cut, last = round(frame / _FPS * SAMPLE_RATE), frame
            pause = _pause(samples[max(cut - 1600, 0) : cut + 1600], rng)
            pieces += [samples[begin:cut], pause]
            cuts_s.append(frame / _FPS)
            added_s.append(added_s[-1] + len(pause) / SAMPLE_RATE)
            begin = cut

    def moved(second: float) -> float:
        second = second / faster
        return second + added_s[int(np.searchsorted(cuts_s, second))]

    spoken = [phone for phone in recording.phones if phone.text not in mouth.PAUSES]
    phones = tuple(Phone(phone.text, moved(phone.start_s), moved(phone.end_s)) for phone in spoken)
    changed = Speech(np.concatenate([*pieces, samples[begin:]]), SAMPLE_RATE)
    return replace(recording, speech=changed, phones=phones)


def _pause(around: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    num_samples = int(min(rng.lognormal(np.log(0.9), 0.7), 4.0) * SAMPLE_RATE)
    if rng.random() < 0.4 or len(around) == 0:
        return np.zeros(num_samples, np.float32)
    room = min(float(np.sqrt(np.mean(around**2))), 3e-3)
    return room * rng.standard_normal(num_samples).astype(np.float32)
