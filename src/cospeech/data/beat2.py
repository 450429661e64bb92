"""BEAT2: speech of named speakers with SMPL-X motion.

Liu et al. 2024, EMAGE, arXiv:2401.00374. Layout of a folder: `smplxflame_30/*.npz`, `wave16k/*.wav`,
`textgrid/*.TextGrid`, files of one take under one stem. A take without motion gives speech alone.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from cospeech import skeleton
from cospeech.data.clips import Clip
from cospeech.errors import DataError
from cospeech.formats import npz
from cospeech.motion import Motion
from cospeech.speech import Speech

LICENCE = "BEAT2: non-commercial, with attribution"
HAS = frozenset({"upper", "hands", "lower", "speech"})  # of the face only the jaw is known
# The one real take that travels with this project is never trained on as a whole: (split, from second, to second).
REAL_MINUTE = "2_scott_0_1_1"
REAL_MINUTE_SPLITS = (("train", 0.0, 48.0), ("test", 52.0, 63.5))


def clips(folder: str | Path) -> Iterator[Clip]:
    """All takes, in the order of their names; the real minute comes as its train and its test part.

    `face` of the motion holds jawOpen alone, read off the jaw joint (`skeleton.JAW_OPEN_RADIANS`).

    Args:
        folder: With `wave16k` and, for some or all takes, `smplxflame_30` and `textgrid`.
    """
    folder = Path(folder)
    recordings = sorted((folder / "wave16k").glob("*.wav"))
    if not recordings:
        raise DataError(f"{folder}: no wave16k/*.wav in it. Give the folder that holds `wave16k` and `smplxflame_30`.")
    for recording in recordings:
        take = recording.stem
        words = folder / "textgrid" / f"{take}.TextGrid"
        speech = Speech.load(recording, words=words if words.is_file() else ())
        path = folder / "smplxflame_30" / f"{take}.npz"
        if not path.is_file():
            yield Clip(f"beat2/{take}", "train", None, speech, (), LICENCE, frozenset({"speech"}))
            continue
        motion = with_jaw(npz.read(path))
        parts = REAL_MINUTE_SPLITS if take == REAL_MINUTE else (("train", 0.0, motion.duration_s),)
        for split, start_s, end_s in parts:
            heard = speech.cut(start_s, end_s)
            yield Clip(f"beat2/{take}/{split}", split, motion[start_s:end_s], heard, (), LICENCE, HAS)


def with_jaw(motion: Motion) -> Motion:
    """The motion with a face that has jawOpen alone, read off the jaw joint (`skeleton.JAW_OPEN_RADIANS`)."""
    face = motion.shown_face()
    return replace(motion, face=np.zeros((len(motion), len(skeleton.ARKIT)), np.float32) if face is None else face)
