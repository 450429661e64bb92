"""A space of motions and sentences, small enough to be trained for a moment on a few made-up clips."""

import numpy as np

from cospeech.data.store import ClipInfo, StoredClip
from cospeech.models.tmr import DistilBertConfig, TmrConfig
from cospeech.recipes.loop import Training
from cospeech.skeleton import INDEX, REST_TRANSLATION

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "raises", "the", "left", "right", "arm", "bows", "a", "person"]
MODEL = TmrConfig(width=32, depth=1, heads=2, mlp_width=32, text=DistilBertConfig(len(WORDS), 16, 12, 1, 2, 16))
TRAINING = Training(steps=120, batch_size=6, lr=3e-3, warmup_steps=5, accelerator="cpu", precision="32-true")


def clip(number: int, joint: str, axis: int, caption: str) -> StoredClip:
    poses = np.zeros((90, 55, 3))
    poses[:, INDEX[joint], axis] = np.sin(np.linspace(0, 3 + 0.2 * number, 90))
    info = ClipInfo(f"clip {number}", "train", "made up", "none", 90, ("upper",), (caption, f"a person {caption}"))
    return StoredClip(info, poses, np.tile(REST_TRANSLATION, (90, 1)), np.zeros((90, 52)), np.zeros((90, 68)))
