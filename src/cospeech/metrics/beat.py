"""Beat consistency: does the body pause when a sound begins?

[1] Li et al. 2022, Danceformer, arXiv:2103.10206; Liu et al. 2022, BEAT, arXiv:2203.05297, section 5.1
[2] SynTalker, arXiv:2410.00464, and MambaTalk, arXiv:2403.09471: EMAGE's code, arXiv:2401.00374

A motion beat is a frame in which a joint is slower than in the seven frames before and after it. Of every onset of the
speech the nearest motion beat counts, of 13 joints of the upper body. It is a recall, so that who never stops
trembling has beats everywhere and scores high: chance is the value of real motion that is shifted in time.

The first and the last two seconds are left out: in the first ones the published systems are shown the real motion.

Axes: T frames at 30 fps, J = 55 joints, N onsets.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cospeech import skeleton, waveform
from cospeech.metrics.diversity import deviations
from cospeech.metrics.interval import Ratio
from cospeech.quirks import Protocol

FPS = 30
LEFT_OUT = 60  # frames at either end
REACH = 7  # frames on either side in which a beat is the slowest
MOVING = 0.3  # of a joint's mean speed: who is slower does not pause, but rests
SIGMA_S = 0.3


def beat_consistency(
    positions: np.ndarray, onsets: np.ndarray, mean_speeds: np.ndarray, protocol: Protocol = "corrected"
) -> Ratio:
    """0 to 1, higher is better; clips count by their frames less those left out.

    Args:
        positions: (T, 55, 3) joints, metres, of a body whose translation is zero.
        onsets: (N,) seconds, from `onset_times` with the same protocol.
        mean_speeds: (55,) m/s, `mean_joint_speeds` of real motion; published: `mean_vel_smplxflame_30.npy` of BEAT2.
        protocol: "published" measures, in place of positions, how far coordinates are from their means, without
            sign, because L1 diversity, which [2] computes before, overwrites the array of positions with them: a joint
            that goes through its mean place at full speed has a beat there. And see `motion_beats`.

    Returns:
        NaN for a clip without an onset (where [2] divides by zero) or with no frames but those left out.
    """
    scored = len(positions) - 2 * LEFT_OUT
    if len(onsets) == 0 or scored < 1:
        return Ratio(np.nan, np.nan)
    beats = motion_beats(deviations(positions) if protocol == "published" else positions, mean_speeds, protocol)
    return Ratio(alignment(beats, onsets) * scored, scored)


def onset_times(samples: np.ndarray, rate: int, num_frames: int, protocol: Protocol = "corrected") -> np.ndarray:
    """(N,) seconds at which sounds begin, from the first frame that is not left out.

    Args:
        samples: (M,) float32 of the whole recording, at any rate.
        num_frames: T of the motion.
        protocol: "published" resamples by way of 22.05 kHz, as its loader does, and looks for onsets in a piece cut out
            of the recording, which begins with a click where it cuts through a sound, and where levels are those of the
            piece. Where the recording is longer than the motion, the piece ends less than two seconds before the
            motion's end, or with it. "corrected" looks in the whole recording and keeps what is in the frames.
    """
    samples = waveform.resample(samples, rate, twice=protocol == "published")
    skipped_s, per_frame = LEFT_OUT / FPS, waveform.SAMPLE_RATE / FPS
    if protocol == "published":
        skipped = int(LEFT_OUT * per_frame)
        samples = samples[: int(per_frame * num_frames)][skipped : max(len(samples) - skipped, 0)]
        return _onsets(samples)
    found = _onsets(samples) - skipped_s
    return found[(found >= 0) & (found < num_frames / FPS - 2 * skipped_s)]


def _onsets(samples: np.ndarray) -> np.ndarray:
    return waveform.onset_frames(samples) * waveform.ONSET_HOP / waveform.SAMPLE_RATE


def mean_joint_speeds(clips: Iterable[np.ndarray]) -> np.ndarray:
    """(55,) m/s over all frames of all clips (T, 55, 3)."""
    total, frames = np.zeros(skeleton.NUM_JOINTS), 0
    for positions in clips:
        total, frames = total + _speeds(positions).sum(axis=0), frames + len(positions)
    return total / max(frames, 1)


def motion_beats(points: np.ndarray, mean_speeds: np.ndarray, protocol: Protocol = "corrected") -> list[np.ndarray]:
    """Of each of the 55 joints the frames in which it pauses, counted from the first that is not left out.

    Args:
        points: (T, 55, 3) metres.
        protocol: A joint must move faster than 0.3 of its mean speed to pause. "published" asks that of the frame two
            seconds before, as it takes a number counted from the first frame that is not left out for one counted from
            the first of all.
    """
    speeds = _speeds(points) / np.maximum(mean_speeds, 1e-12)  # (T, J)
    inner = speeds[LEFT_OUT : len(speeds) - LEFT_OUT]
    if len(inner) == 0:
        return [np.zeros(0, int)] * points.shape[1]
    padded = np.pad(inner, ((REACH, REACH), (0, 0)), mode="edge")
    around = sliding_window_view(padded, 2 * REACH + 1, axis=0)  # (T - 120, J, 15)
    slowest = (inner < around[..., :REACH].min(axis=-1)) & (inner < around[..., REACH + 1 :].min(axis=-1))
    moving = (speeds[: len(inner)] if protocol == "published" else inner) > MOVING
    return [np.flatnonzero(joint) for joint in (slowest & moving).T]


def alignment(beats: Sequence[np.ndarray], onsets: np.ndarray) -> float:
    """Mean over the joints of the upper body and over onsets (N,) of how near the nearest motion beat is, 0 to 1."""
    return float(np.mean([_nearness(beats[joint] / FPS, onsets) for joint in skeleton.UPPER]))


def _nearness(beats_s: np.ndarray, onsets: np.ndarray) -> float:
    if len(beats_s) == 0:
        return 0.0
    after = np.searchsorted(beats_s, onsets)
    near = np.stack([beats_s[np.minimum(after, len(beats_s) - 1)], beats_s[np.maximum(after - 1, 0)]])
    apart = np.abs(near - onsets).min(axis=0)
    return float(np.exp(-(apart**2) / (2 * SIGMA_S**2)).mean())


def _speeds(points: np.ndarray) -> np.ndarray:
    """(T, J) m/s by central differences, at the ends to the one neighbour; 0 of a single frame."""
    if len(points) < 2:
        return np.zeros(points.shape[:2])
    return np.linalg.norm(np.gradient(points, 1 / FPS, axis=0), axis=-1)
