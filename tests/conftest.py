import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cospeech import Speech

pytest_plugins = ("local_host", "readers", "small_tmr")

# For networks this small, threads that wait for each other cost more than they save; here and in what tests start.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# librosa's compiled functions crash when several test processes have written them to one cache at the same time.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ["NUMBA_CACHE_DIR"] = str(Path(__file__).parents[1] / ".pytest_cache" / "numba" / _WORKER)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def speech() -> Speech:
    """Three seconds of something like speech: syllables of changing vowels, with a pause in the middle."""
    return Speech(speech_like(3.0), 16_000)


@pytest.fixture(scope="session")
def speech_wav(speech, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "talk.wav"
    soundfile.write(path, speech.samples, speech.rate)
    return path


@pytest.fixture(scope="session")
def jfk_flac() -> Path:
    """Eleven seconds of a human voice."""
    return Path(__file__).parents[1] / "examples" / "jfk.flac"


def speech_like(duration_s: float, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """(N,) samples of a buzzing voice: harmonics of a falling melody, weighted by the formants of random vowels.

    Five syllables a second; the third of every four half seconds is silent.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(round(duration_s * rate)) / rate
    syllable = (time * 5).astype(int)
    vowels = np.array([[730, 1090], [270, 2290], [300, 870], [530, 1840], [570, 840]])  # Peterson and Barney 1952
    formants = vowels[rng.integers(len(vowels), size=syllable.max() + 1)][syllable]  # (N, 2) Hz
    pitch = 130 - 15 * (time % 2) + 10 * rng.random(syllable.max() + 1)[syllable]
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    samples = np.zeros(len(time))
    for harmonic in range(1, 30):
        resonance = 1 / (1 + ((harmonic * pitch[:, None] - formants) / 90) ** 2)
        samples += resonance.sum(axis=1) / harmonic**0.5 * np.sin(harmonic * phase)
    envelope = np.sin(np.pi * (time * 5 % 1)) ** 0.7 * (time % 2 // 0.5 != 2)
    return (0.2 * samples * envelope + 1e-4 * rng.standard_normal(len(time))).astype(np.float32)
