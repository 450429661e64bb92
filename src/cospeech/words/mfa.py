"""Words and phones by the Montreal Forced Aligner, a program of its own: the most exact, with models of many languages.

[1] McAuliffe et al. 2017, Montreal Forced Aligner: trainable text-speech alignment using Kaldi, Interspeech
[2] https://montreal-forced-aligner.readthedocs.io: `mfa align_one SOUND TEXT DICTIONARY ACOUSTIC_MODEL OUTPUT`
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import soundfile

from cospeech.audio import SAMPLE_RATE
from cospeech.errors import ConfigError, DataError
from cospeech.speech import Speech
from cospeech.text import read_tiers
from cospeech.words.alignment import Alignment, Progress
from cospeech.words.anchors import key
from cospeech.words.english import spoken

DEFAULT_MODEL = "english_us_arpa"


class Mfa:
    """Aligner.

    Args:
        model: Name of the acoustic model and of the dictionary, or both with a comma between: names that
            `mfa model download` knows, or files. None: `DEFAULT_MODEL`.
    """

    def __init__(self, model: str | None = None):
        self.program = shutil.which("mfa")
        if self.program is None:
            raise ConfigError(
                "The program `mfa` is not installed: conda install -c conda-forge montreal-forced-aligner. "
                "Or use --aligner pocketsphinx."
            )
        acoustic, _, dictionary = (model or DEFAULT_MODEL).partition(",")
        self.acoustic, self.dictionary = acoustic, dictionary or acoustic

    def align(self, speech: Speech, transcript: str, progress: Progress | None = None) -> Alignment:
        """Run `mfa align_one`. Words that its dictionary lacks get their time, but no phones."""
        said = spoken(transcript) if self.acoustic.startswith("english") else transcript.split()
        if not any(map(key, said)):
            raise DataError("The transcript has no words.")
        with tempfile.TemporaryDirectory(prefix="cospeech-mfa-") as name:
            folder = Path(name)
            sound, text, out = folder / "speech.wav", folder / "speech.lab", folder / "speech.TextGrid"
            soundfile.write(sound, speech.resample(SAMPLE_RATE).samples, SAMPLE_RATE)
            text.write_text(" ".join(said), encoding="utf-8")
            command = [self.program, "align_one", sound, text, self.dictionary, self.acoustic, out]
            run = subprocess.run(
                [*map(str, command), "--output_format", "long_textgrid"], capture_output=True, text=True, check=False
            )
            if run.returncode or not out.is_file():
                reason = (run.stderr.strip() or run.stdout.strip() or f"exit code {run.returncode}").splitlines()[-1]
                raise DataError(
                    f"mfa failed: {reason.strip()} (its models: mfa model download acoustic {self.acoustic}; "
                    f"mfa model download dictionary {self.dictionary})"
                )
            tiers = read_tiers(out)
        if progress:
            progress(1.0)
        words = tuple(word for word in tiers.get("words", ()) if not word.is_pause)
        if not words:
            raise DataError("mfa finds no word of the transcript in the sound.")
        phones = tuple(phone for phone in tiers.get("phones", ()) if not phone.is_pause)
        return Alignment(words, phones)
