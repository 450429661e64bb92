"""Speech of many voices, rates, pitches and languages, spoken by espeak-ng. For training only.

espeak-ng is a system program (GPL-3); its output belongs to whoever runs it. The sentences were written for this
project.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np

from cospeech.errors import DataError
from cospeech.prosody import SAMPLE_RATE
from cospeech.speech import Speech

VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f2", "f3", "f4", "f5", "klatt2")
HELD_OUT = ("m7", "f5")  # variants that only speak in the validation split


def monologues(count: int, seed: int) -> Iterator[tuple[str, Speech]]:
    """Monologues of three to five sentences with pauses, each with its own voice: (voice name, speech at 16 kHz)."""
    sentences = json.loads((files("cospeech.data") / "sentences.json").read_text(encoding="utf-8"))
    languages = list(sentences)
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        language = str(rng.choice(languages, p=[0.35, 0.25, 0.12, 0.1, 0.1, 0.08]))
        variant = VARIANTS[number % len(VARIANTS)]
        rate, pitch = int(rng.integers(125, 200)), int(rng.integers(25, 75))
        pieces = [_pause(0.4 + rng.exponential(0.4))]
        for sentence in rng.permutation(sentences[language])[: rng.integers(3, 6)]:
            pieces.append(speak(str(sentence), f"{language}+{variant}", rate, pitch))
            pieces.append(_pause(0.25 + rng.exponential(0.55)))
        samples = np.concatenate(pieces)
        hiss = 10 ** rng.uniform(-4.5, -2.5) * rng.standard_normal(len(samples))
        yield f"{language}+{variant}", Speech(samples + hiss.astype(np.float32), SAMPLE_RATE)


def speak(text: str, voice: str, rate: int, pitch: int) -> np.ndarray:
    """Speak a text: (N,) samples at 16 kHz.

    Args:
        voice: espeak-ng language and variant, such as "en-us+f3".
        rate: Words a minute.
        pitch: 0 to 99.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise DataError("espeak-ng is needed to speak the training sentences: apt-get install espeak-ng")
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        command = [program, "-v", voice, "-s", str(rate), "-p", str(pitch), "-w", str(wav), text]
        subprocess.run(command, check=True, capture_output=True)
        return Speech.load(wav).resample(SAMPLE_RATE).samples


def _pause(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
