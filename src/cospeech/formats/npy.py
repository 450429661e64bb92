"""Positions of joints as a numpy array, as SynTalker's system T writes them.

(T, 52, 3) float32 metres, y up: SMPL-X's joints without jaw and eyes.
"""

from pathlib import Path

import numpy as np

from cospeech.formats.output import replacing

SUFFIX = ".npy"


def write(joints: np.ndarray, path: str | Path) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, joints.astype(np.float32))
