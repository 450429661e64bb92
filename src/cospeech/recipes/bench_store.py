"""How fast corpora become stores, and how fast stores are read, on this machine.

    python -m cospeech.recipes.bench_store

Makes a folder in the layout of BEAT2 out of planted motion on the recording in the package, prepares it with all cores,
and reads random training windows of 128 frames with their sound on one core.
"""

import os
import time
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from cospeech.data import beat2, prepare, synthetic
from cospeech.data.store import Store
from cospeech.formats import npz
from cospeech.recipes import command
from cospeech.speech import Speech
from cospeech.text import Word, write_words

WINDOW_FRAMES, SAMPLES_PER_FRAME = 128, 16_000 / 30


def corpus(folder: Path, minutes: int) -> None:
    """Takes of a minute, all the same, as links to one."""
    speech = Speech.load(Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg"))).resample(16_000)
    talk = Speech(np.resize(speech.samples, 60 * speech.rate), speech.rate)
    first = "1_talk_0_1_1"
    for kind in ("smplxflame_30", "wave16k", "textgrid"):
        (folder / kind).mkdir(parents=True)
    npz.write(synthetic.plant(talk, (), 0).motion, folder / "smplxflame_30" / f"{first}.npz")
    soundfile.write(folder / "wave16k" / f"{first}.wav", talk.samples, talk.rate)
    write_words(folder / "textgrid" / f"{first}.TextGrid", [Word("ask", t, t + 0.3) for t in range(1, 59)], 60)
    names = [f"1_talk_0_{n}_{n}" for n in range(1, minutes + 1)]
    for name in names[1:]:
        for path in sorted(folder.glob(f"*/{first}.*")):
            os.link(path, path.with_stem(name))
    (folder / beat2.SPLIT_FILE).write_text("id,type\n" + "".join(f"{name},train\n" for name in names), encoding="utf-8")


def show(minutes: int = 60, windows: int = 20_000) -> None:
    """Print seconds of preparing, and windows read in a second.

    Args:
        minutes: Of motion that are prepared.
        windows: That are read.
    """
    with TemporaryDirectory() as temporary:
        source, path = Path(temporary, "beat_english_v2.0.0"), Path(temporary, "store")
        corpus(source, minutes)
        workers = os.cpu_count() or 1
        begun = time.perf_counter()
        prepare.run(beat2.jobs(source), path, "bench", workers)
        seconds = time.perf_counter() - begun
        print(f"prepared {minutes} minutes in {seconds:.1f} s with {workers} processes")
        store, rng = Store(path), np.random.default_rng(0)
        total = 0.0
        begun = time.perf_counter()
        for _ in range(windows):
            clip = store.clip(int(rng.integers(len(store.infos))))
            first = int(rng.integers(clip.info.num_frames - WINDOW_FRAMES))
            heard = slice(round(first * SAMPLES_PER_FRAME), round((first + WINDOW_FRAMES) * SAMPLES_PER_FRAME))
            for array in (clip.poses, clip.translation, clip.face):
                total += float(np.array(array[first : first + WINDOW_FRAMES])[0].sum())
            total += float(np.array(clip.samples[heard])[0])
        seconds = time.perf_counter() - begun
        print(f"read {windows / seconds:,.0f} windows a second on one core (checksum {total:.3g})")


if __name__ == "__main__":
    command.run(show)
