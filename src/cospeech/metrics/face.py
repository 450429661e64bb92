"""Does a face live: blinks, and lips that close in pauses and where they must.

Axes: T frames; faces are (T, 52) ARKit weights in the order of `skeleton.ARKIT`.
"""

from collections.abc import Sequence

import numpy as np

from cospeech import skeleton

CLOSED = 0.5  # of both eyelids
APART = 0.08  # jawOpen less mouthClose, above which lips do not touch
LIPS = ("p", "b", "m")  # first letters of the sounds that are made with closed lips, in IPA; in ARPABET capitals


def num_blinks(face: np.ndarray) -> int:
    """How often both eyes close. People who talk: 8 to 30 times a minute.

    Source: Bentivoglio et al. 1997, Analysis of blink rate patterns in normal subjects, Movement Disorders 12(6).
    """
    lids = face[:, [skeleton.ARKIT_INDEX["eyeBlinkLeft"], skeleton.ARKIT_INDEX["eyeBlinkRight"]]]
    closed = lids.min(axis=1) > CLOSED
    return int(np.count_nonzero(closed[1:] & ~closed[:-1]) + closed[0])


def pauses(speaking: np.ndarray, fps: float, shortest_s: float = 0.4, edge_s: float = 0.15) -> np.ndarray:
    """(T,) bool: the inside of the pauses of a recording, of those that are long enough for a mouth to close.

    Args:
        speaking: (T,) bool.
        edge_s: How far from the speech on either side.
    """
    marks = np.flatnonzero(np.diff(np.concatenate([[True], speaking, [True]]).astype(int)))
    inside = np.zeros(len(speaking), bool)
    for begin, end in marks.reshape(-1, 2):
        if end - begin >= shortest_s * fps:
            inside[begin + round(edge_s * fps) : end - round(edge_s * fps)] = True
    return inside


def lips_apart(face: np.ndarray) -> np.ndarray:
    """(T,) bool. In ARKit `mouthClose` brings the lips together over an open jaw."""
    return face[:, skeleton.JAW_OPEN] - face[:, skeleton.ARKIT_INDEX["mouthClose"]] > APART


def open_closures(face: np.ndarray, phones: Sequence[tuple[str, float, float]], fps: float) -> tuple[int, int]:
    """In how many of all /p b m/ the lips never meet: (open, all). None should; by chance many do not.

    Args:
        phones: What is said, from which second to which second.
    """
    apart = lips_apart(face)
    met = []
    for text, start_s, end_s in phones:
        first, last = round(start_s * fps), round(end_s * fps)
        if text[:1].lower() in LIPS and last < len(face):
            met.append(not apart[first : max(last, first + 1)].all())
    return len(met) - sum(met), len(met)
