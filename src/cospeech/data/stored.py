"""A clip as a store holds it."""

import re
from dataclasses import dataclass, field, replace

import numpy as np

from cospeech.motion import NUM_BETAS, Motion
from cospeech.text import Word

SPLITS = ("train", "val", "test")
_OTHER_SIDE = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}
_SIDE_WORDS = re.compile(r"\b(?:left|right|clockwise|counterclockwise)(?=\b|wards?\b)", re.IGNORECASE)


@dataclass(frozen=True)
class ClipInfo:
    id: str
    split: str  # train, val or test
    source: str  # which corpus: one row of the recipe's data table
    licence: str
    num_frames: int
    has: tuple[str, ...]  # what is real in it: upper, hands, lower, face, speech; the rest is zeros
    captions: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()  # with times, where they are known
    num_samples: int = 0  # of the recording, where it is kept
    has_expressions: bool = False  # of FLAME
    speaker: str = ""  # of BEAT2: their number
    language: str = ""


@dataclass(frozen=True, eq=False)
class StoredClip:
    """One clip at 30 fps. Out of a store its arrays are read-only."""

    info: ClipInfo
    poses: np.ndarray  # (T, 55, 3) axis-angle
    translation: np.ndarray  # (T, 3) metres
    face: np.ndarray  # (T, 52) ARKit weights
    speech: np.ndarray  # (T, 68) `prosody.speech_features`
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))  # (N,) of the recording, 16 kHz
    expressions: np.ndarray | None = None  # (T, 100) of FLAME, where they are kept
    betas: np.ndarray = field(default_factory=lambda: np.zeros(NUM_BETAS, np.float32))  # (300,) of SMPL-X

    def mirrored(self) -> "StoredClip":
        """The same clip with left and right exchanged, in its captions too; speech has no sides."""
        motion = Motion(self.poses, self.translation, face=self.face).mirror()
        captions = tuple(mirrored_caption(text) for text in self.info.captions)
        info = replace(self.info, captions=captions, has_expressions=False)  # those of FLAME cannot be mirrored
        return replace(
            self, info=info, poses=motion.poses, translation=motion.translation, face=motion.face, expressions=None
        )


def mirrored_caption(text: str) -> str:
    """A caption of the mirrored motion: "raises the left hand" for "raises the right hand"."""
    return _SIDE_WORDS.sub(lambda found: _OTHER_SIDE[found[0].lower()], text)
