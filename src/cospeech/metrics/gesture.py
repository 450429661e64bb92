"""Do hands and jaw follow the speech, and do they move as people's do?

Wrists are those in the frame of the chest, `physics.wrists_in_chest`, so that walking and turning count for nothing.
Of the real minute (BEAT2 2_scott_0_1_1) `recipes/real_minute.json` holds every measure.

Axes: T frames, W = 2 wrists, N strokes.
"""

import numpy as np

SMOOTHING = np.hanning(7)[1:-1] / np.hanning(7).sum()  # five frames, of speeds before peaks are sought
STROKE_M_S = 0.8
APART_S = 0.2  # two peaks
WINDOW_S, OFFSETS, LAG_S = 4.0, 10, 0.25  # of `follows`


def wrist_speed(wrists: np.ndarray, fps: float) -> np.ndarray:
    """(T, W, 3) metres -> (T - 1, W) metres a second, smoothed over five frames; T at least 2.

    The first and the last value are repeated beyond the ends, so that a cut through a movement is no peak.
    """
    speed = np.linalg.norm(np.diff(wrists, axis=0), axis=-1) * fps
    padded = np.pad(speed, ((2, 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(side, SMOOTHING, "valid") for side in padded.T], axis=1)


def peaks(speed: np.ndarray, fps: float, above: float = STROKE_M_S) -> np.ndarray:
    """Frames (N,) at which a speed (T,) is highest, at least `above` and 0.2 s apart; of two near ones the higher."""
    inner = np.flatnonzero((speed[1:-1] >= speed[:-2]) & (speed[1:-1] > speed[2:]) & (speed[1:-1] > above)) + 1
    kept: list[int] = []
    for frame in inner[np.argsort(-speed[inner], kind="stable")]:
        if all(abs(frame - other) >= APART_S * fps for other in kept):
            kept.append(int(frame))
    return np.array(sorted(kept), int)


def rest_share(speed: np.ndarray, speaking: np.ndarray) -> float:
    """Share of the frames with speech in which the faster wrist goes below 0.15 m/s; NaN where nobody speaks.

    A person who talks: a few %.

    Args:
        speed: (T - 1, W) `wrist_speed`.
        speaking: (T,) bool.
    """
    inside = speed.max(axis=1)[speaking[1:]]
    return float((inside < 0.15).mean()) if len(inside) else np.nan


def recurrence(wrists: np.ndarray, fps: float) -> float:
    """How alike the two most alike seconds are: metres, root mean square over both wrists (T, W, 3); more is better.

    Every frame begins a second. Seconds that overlap do not count, nor those in which the hands rest (mean speed below
    0.15 m/s). Infinite where there are no two. For a minute: takes memory by the square of T.
    """
    length = round(fps)
    speed = np.linalg.norm(np.diff(wrists, axis=0), axis=-1).mean(axis=-1) * fps
    starts = np.array([s for s in range(len(wrists) - length + 1) if speed[s : s + length - 1].mean() > 0.15], int)
    paths = wrists.reshape(len(wrists), -1).astype(np.float64)[starts[:, None] + np.arange(length)]
    paths = paths.reshape(len(starts), length * int(np.prod(wrists.shape[1:])))
    squared = (paths**2).sum(axis=1)[:, None] + (paths**2).sum(axis=1) - 2 * paths @ paths.T
    apart = np.abs(starts[:, None] - starts) >= length
    return float(np.sqrt(squared[apart].clip(min=0).min() / (2 * length))) if apart.any() else np.inf


def diversity(wrists: np.ndarray) -> float:
    """Mean distance of the wrists (T, W, 3) from their mean places, metres; 0 for a body that never moves.

    As L1 diversity, Li et al. 2021, arXiv:2108.06720, of wrists alone.
    """
    return float(np.linalg.norm(wrists - wrists.mean(axis=0), axis=-1).mean())


def strokes_that_differ(a: np.ndarray, b: np.ndarray, fps: float) -> float:
    """Share of the strokes of one motion that another of the same speech does not make as well.

    The same stroke is within 0.2 s, of the same hand, its velocity within 45 degrees. 0 for two equal motions.

    Args:
        a, b: (T, W, 3) wrists.
    """
    velocities = [np.diff(wrists, axis=0) * fps for wrists in (a, b)]
    own = differing = 0
    for hand in range(a.shape[1]):
        here, there = (peaks(wrist_speed(w[:, [hand]], fps)[:, 0], fps) for w in (a, b))
        for frame in here:
            way = velocities[0][frame, hand]
            near = [velocities[1][f, hand] for f in there if abs(f - frame) <= APART_S * fps]
            cosines = [way @ v / max(np.linalg.norm(way) * np.linalg.norm(v), 1e-9) for v in near]
            own, differing = own + 1, differing + (max(cosines, default=-1) < np.cos(np.pi / 4))
    return differing / own if own else np.nan


def follows(signal: np.ndarray, sound: np.ndarray, fps: float) -> tuple[float, int]:
    """In how many of all pairs a motion correlates better with its own sound than with another: (won, pairs).

    The recording is cut into windows of four seconds from ten offsets; a pair is a window of motion with its own
    sound and that of another window, each at the best lag within a quarter second. By chance half are won; a tie is
    half a win, so that who does not move is at chance, too.

    Args:
        signal: (T,) of the motion, such as the acceleration of the wrists or the opening of the jaw.
        sound: (T,) of the speech, such as its energy.
    """
    length, reach = round(WINDOW_S * fps), int(LAG_S * fps)
    won, pairs = 0.0, 0
    for offset in np.linspace(0, length, OFFSETS, endpoint=False).astype(int):
        starts = np.arange(offset + reach, len(signal) - length - reach + 1, length)
        if len(starts) > 1:
            match = _best_matches(signal, sound, starts, length, reach)
            own = np.diag(match)[:, None]
            won += float((own > match).sum()) + 0.5 * float((own == match).sum() - len(starts))
            pairs += len(starts) * (len(starts) - 1)
    return won, pairs


def _best_matches(signal: np.ndarray, sound: np.ndarray, starts: np.ndarray, length: int, reach: int) -> np.ndarray:
    """(S, S) correlation of each window of the signal with each of the sound, at the best lag."""
    lags = np.arange(-reach, reach + 1)
    moved = _centred(np.lib.stride_tricks.sliding_window_view(signal.astype(np.float64), length)[starts])  # (S, N)
    heard = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), length)
    heard = _centred(heard[starts[:, None] + lags])  # (S, L, N)
    return np.einsum("in,jln->ijl", moved, heard, optimize=True).max(axis=2)


def _centred(windows: np.ndarray) -> np.ndarray:
    """(..., N) without their means, of unit length; zero where nothing changes."""
    windows = windows - windows.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(windows, axis=-1, keepdims=True)
    return np.where(lengths > 1e-9, windows / np.maximum(lengths, 1e-9), 0.0)


def stress_offset(strokes: np.ndarray, stresses: np.ndarray, fps: float) -> float:
    """Median seconds from a stroke (N,) to the nearest stressed syllable (M,), both in frames; 0 is together."""
    if len(strokes) == 0 or len(stresses) == 0:
        return np.nan
    return float(np.median(np.abs(strokes[:, None] - stresses).min(axis=1))) / fps


def wrist_acceleration(wrists: np.ndarray, fps: float) -> np.ndarray:
    """(T, W, 3) -> (T,) metres a second squared, of the wrist that has more of it; 0 at both ends."""
    acceleration = np.zeros(len(wrists))
    acceleration[1:-1] = np.linalg.norm(np.diff(wrists, 2, axis=0), axis=-1).max(axis=1) * fps**2
    return acceleration
