"""L1 diversity: how far joints are from where they are on average.

Source: Li et al. 2021, Audio2Gestures, arXiv:2108.06720; as SynTalker, arXiv:2410.00464, and MambaTalk,
arXiv:2403.09471, compute it. It measures how large a motion is, not how various: who waves the same wave all along is
as diverse as who never does the same twice. `gesture.recurrence` tells them apart.
"""

import numpy as np

from cospeech.metrics.interval import Ratio


def deviations(positions: np.ndarray) -> np.ndarray:
    """(T, 55, 3) joints -> (T, 55, 3) |coordinate - its mean over the clip|, metres.

    The published code leaves these in the place of the joints that it was given, see `beat.beat_consistency`.
    """
    return np.abs(positions - positions.mean(axis=0))


def l1_diversity(positions: np.ndarray) -> Ratio:
    """Sum of all deviations of a frame, metres, averaged over all frames of all clips; 0 for a body that never moves.

    To be compared with real motion of the same clips on the same body; neither more nor less is better by itself. The
    same by either protocol.

    Args:
        positions: (T, 55, 3) joints of a body whose translation is zero, at least one frame.
    """
    return Ratio(float(deviations(positions.astype(np.float64)).sum()), len(positions))
