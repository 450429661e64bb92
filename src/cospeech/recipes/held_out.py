"""Speech of voices that no starter learned from, human and synthetic, and the excerpts that measures are taken on.

    python -m cospeech.recipes.held_out --data DATA --out excerpts

writes six excerpts, to be looked at and listened to.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from cospeech import prosody
from cospeech.data import voices
from cospeech.data.voices import Phone
from cospeech.errors import DataError
from cospeech.recipes import command
from cospeech.speech import Speech

EXCERPT_S = 10.0
HOP_S, COPIES = 1.0, 3  # of human voices, for there are few: excerpts overlap, and each has three seeds
MONOLOGUES = 144  # of which those of held-out voices are used
FOR_MEASURES, FOR_CHOICES = 1, 3  # seeds of monologues: what settings are chosen on is not what is reported


class Voice(NamedTuple):
    """What one speaker says: one recording."""

    name: str
    speech: Speech
    phones: tuple[Phone, ...] = ()  # empty where nobody knows them


class Excerpt(NamedTuple):
    voice: str
    speech: Speech
    seed: int
    phones: tuple[Phone, ...] = ()


def human_voices(data: Path | None) -> list[Voice]:
    """Recordings that no starter was trained on.

    Args:
        data: Folder with `speech/librispeech`; None: only the recording in the package.
    """
    package = [Voice("jfk", Speech.load(Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg"))))]
    if data is None:
        return package
    folder = data / "speech" / "librispeech"
    paths = sorted((*folder.glob("*.ogg"), *folder.glob("*.flac")))
    if not paths:
        raise DataError(f"{folder}: no recordings (*.ogg, *.flac). Give the folder that holds `speech/librispeech`.")
    return [*package, *(Voice(path.stem, Speech.load(path)) for path in paths)]


def synthetic_voices(seed: int = FOR_MEASURES) -> list[Voice]:
    """Monologues of voices that no starter was trained on, some in languages that none was trained on.

    The sentences are those of the training; what is new is who says them, and how.
    """
    spoken = voices.monologues(MONOLOGUES, seed=seed)
    return [Voice(*monologue) for monologue in spoken if voices.is_held_out(monologue[0])]


def excerpts(speakers: Sequence[Voice], hop_s: float = EXCERPT_S, copies: int = 1) -> list[Excerpt]:
    """Ten seconds at a time, each with a seed of its own and the phones that lie in it."""
    found: list[Excerpt] = []
    for name, speech, phones in speakers:
        for start_s in np.arange(0, speech.duration_s - EXCERPT_S + 1e-6, hop_s).tolist():
            cut, end_s = speech.cut(start_s, start_s + EXCERPT_S), start_s + EXCERPT_S
            inside = [phone for phone in phones if phone.start_s >= start_s and phone.end_s <= end_s]
            said = tuple(Phone(text, begin - start_s, end - start_s) for text, begin, end in inside)
            found += [Excerpt(name, cut, len(found) + copy, said) for copy in range(copies)]
    return found


def recordings(speakers: Sequence[Voice], copies: int = 1) -> list[Excerpt]:
    """All that each voice says, each copy with a seed of its own."""
    return [
        Excerpt(voice.name, voice.speech, copies * i + copy, voice.phones)
        for i, voice in enumerate(speakers)
        for copy in range(copies)
    ]


def of_another_voice(cuts: Sequence[Excerpt]) -> list[int]:
    """For each excerpt another one, each once: so far down the list, round it, that most voices and sounds differ."""

    def differ(shift: int) -> tuple[int, int]:
        pairs = [(one, cuts[(i + shift) % len(cuts)]) for i, one in enumerate(cuts)]
        return sum(a.voice != b.voice for a, b in pairs), sum(a.speech is not b.speech for a, b in pairs)

    shift = max(range(1, len(cuts)), key=differ, default=0)
    return [(i + shift) % len(cuts) for i in range(len(cuts))]


def joined(speakers: Sequence[Voice]) -> Speech:
    """All that voices say, one after the other."""
    parts = [speaker.speech.resample(prosody.SAMPLE_RATE).samples for speaker in speakers]
    return Speech(np.concatenate(parts), prosody.SAMPLE_RATE)


def write(data: Path, out: Path) -> None:
    """Write three human excerpts and three in languages that no starter was trained on or that are not English.

    Args:
        data: Folder with `speech/librispeech`.
        out: Folder for the wavs.
    """
    out.mkdir(parents=True, exist_ok=True)
    spoken = {
        voice.name.split("+")[0]: voice for voice in reversed(synthetic_voices()) if not voice.name.startswith("en")
    }
    unheard = sorted(spoken, key=lambda language: (language not in voices.HELD_OUT, language))
    for voice in [*human_voices(data)[1:4], *(spoken[language] for language in unheard[:3])]:
        cut = excerpts([voice])[0].speech
        path = out / f"{voice.name}.wav"
        soundfile.write(path, cut.samples, cut.rate)
        print(f"wrote {path}")


if __name__ == "__main__":
    command.run(write)
