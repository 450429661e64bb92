"""Does a face live: blinks, and lips that close.

Axes: T frames; faces are (T, 52) ARKit weights in the order of `skeleton.ARKIT`.
"""

import numpy as np

from cospeech import skeleton

CLOSED = 0.5  # of both eyelids


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
