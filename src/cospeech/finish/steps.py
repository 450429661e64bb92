"""When and where feet stand, and the steps between: found in the paths of the feet, and mended where feet slide.

After Ikemoto et al. 2006, Knowing When to Put Your Foot Down, I3D. A foot's place is that of its ball.
"""

from typing import NamedTuple

import numpy as np

from cospeech.smoothing import smooth

LOW_M, LEAVES_M = 0.05, 0.08  # a foot comes to stand below the first and leaves above the second, above standing height
SLOW_M_S, FAST_M_S = 0.1, 0.15  # likewise, over the floor, of somebody who stays where they are
SLIDES = 0.45  # that part of the body's speed more, as the feet of networks slide where they should stand
STANDS_S = 0.15  # at least
STEPS_S = 0.3  # a foot takes at least so long to get to another place
GAP_S = 0.4  # in which no foot stands, at most, for one of two to be taken for standing
SAME_M = 0.04  # places that are nearer to each other are one
CREEPS_M = 0.06  # a standing foot that strays farther makes a step


class Stand(NamedTuple):
    """One foot stands in the frames `start` to `stop` - 1."""

    start: int
    stop: int
    place: np.ndarray  # (2,) x and z of the ball of the foot
    heading: float  # radians about y


def find_stands(ball: np.ndarray, foot: np.ndarray, standing_m: float, pace: np.ndarray, fps: float) -> list[Stand]:
    """When and where one foot stands.

    Args:
        ball: (T, 3) the path of the ball of the foot, metres.
        foot: (T, 3, 3) rotations of the ankle from the rest pose.
        standing_m: How high the ball is while the foot stands.
        pace: (T,) metres a second at which the body goes.
    """
    height = ball[:, 1] - standing_m
    place = ball[:, [0, 2]]
    speed = np.linalg.norm(np.gradient(smooth(place, 0.03 * fps), axis=0), axis=1) * fps if len(place) > 1 else [0]
    speed = np.asarray(speed)
    speed = speed - SLIDES * pace
    runs = _runs((height < LEAVES_M) & (speed < FAST_M_S))
    comes = np.concatenate([[0], np.cumsum((height < LOW_M) & (speed < SLOW_M_S))])
    shortest, step = max(round(STANDS_S * fps), 1), max(round(STEPS_S * fps), 2)
    runs = [(a, b) for a, b in runs if comes[b] > comes[a] and (b - a >= shortest or b - a == len(ball))]
    runs = [piece for run in runs for piece in _creeping(place, *run, step, shortest)]
    merged: list[tuple[int, int]] = []
    for a, b in runs:
        if merged and a - merged[-1][1] < step and _apart(place, merged[-1], (a, b)) < SAME_M:
            merged[-1] = (merged[-1][0], b)
        else:
            merged.append((a, b))
    for k in range(len(merged) - 1):  # time to step from one to the next
        (a, b), (c, d) = merged[k : k + 2]
        missing = max(step - (c - b), 0)
        merged[k] = (a, max(b - missing // 2, min(a + 1, b)))
        merged[k + 1] = (min(c + missing - missing // 2, max(d - 1, c)), d)
    forwards = foot[..., 2]  # where +z of the rest pose points
    stands = []
    for a, b in (run for run in merged if run[1] - run[0] > shortest // 2 or len(merged) == 1):
        x, _, z = forwards[a:b].mean(axis=0)
        stands.append(Stand(a, b, place[a:b].mean(axis=0), float(np.arctan2(x, z))))
    return stands


def in_turn(stands: list[list[Stand]], fps: float) -> list[list[Stand]]:
    """Both feet's stands, with the steps of one foot put off while the other makes one, so that shuffling is no hop.

    Only the quickest steps are put off: who takes longer really leaves the floor.
    """
    longest = round(STEPS_S * fps)
    turned = [list(of_side) for of_side in stands]
    steps = sorted((of_side[k].stop, side, k) for side, of_side in enumerate(stands) for k in range(len(of_side) - 1))
    free = [0, 0]  # when the last step of each foot is over
    for _, side, k in steps:
        one, two = turned[side][k : k + 2]
        late = free[1 - side] - one.stop
        if late > 0 and two.start - one.stop <= longest and two.start + late < two.stop - longest:
            turned[side][k : k + 2] = one._replace(stop=one.stop + late), two._replace(start=two.start + late)
        free[side] = turned[side][k + 1].start
    return turned


def without_gaps(stands: list[list[Stand]], flies: np.ndarray, fps: float) -> list[list[Stand]]:
    """Both feet's stands, of which one begins when the other ends, where none of them stands for a moment in a walk.

    Args:
        flies: (T,) bool: the body is off the floor.
    """
    longest = round(GAP_S * fps)
    longer = [list(of_side) for of_side in stands]
    standing = np.zeros(len(flies), dtype=bool)
    for of_side in stands:
        for one in of_side:
            standing[one.start : one.stop] = True
    for a, b in _runs(~standing):
        if b - a > longest or flies[a:b].any():
            continue
        ends = [(side, k) for side in range(2) for k, one in enumerate(longer[side]) if one.stop == a]
        begins = [(side, k) for side in range(2) for k, one in enumerate(longer[side]) if one.start == b]
        in_turn = [(one, other) for one in ends for other in begins if one[0] != other[0]]
        if in_turn:
            (side, i), (other, k) = in_turn[0]
            longer[side][i] = longer[side][i]._replace(stop=(a + b) // 2 + 1)
            longer[other][k] = longer[other][k]._replace(start=(a + b) // 2)
        elif b == len(flies):
            for side, k in ends:
                longer[side][k] = longer[side][k]._replace(stop=b)
        elif a == 0:
            for side, k in begins:
                longer[side][k] = longer[side][k]._replace(start=0)
    return longer


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First frames, and frames after the last, of the runs of True in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _creeping(place: np.ndarray, start: int, stop: int, step: int, shortest: int) -> list[tuple[int, int]]:
    """A run of standing, cut where the foot is fastest until in no piece it strays from its place."""
    todo, pieces = [(start, stop)], []
    while todo:
        a, b = todo.pop()
        strays = np.linalg.norm(place[a:b] - place[a:b].mean(axis=0), axis=1).max()
        room = shortest + step // 2
        if strays < CREEPS_M or b - a < 2 * room + 1:
            pieces.append((a, b))
            continue
        # fastest over the length of a step, so that pieces end where the foot is slow
        moved = np.linalg.norm(place[a + step : b] - place[a : b - step], axis=1) if b - a > step else np.zeros(1)
        inside = moved[room - step // 2 : len(moved) - room + step // 2]
        cut = a + room + int(np.argmax(inside)) if len(inside) else (a + b) // 2
        todo += [(a, cut), (cut, b)]
    return sorted(pieces)


def _apart(place: np.ndarray, one: tuple[int, int], other: tuple[int, int]) -> float:
    return float(np.linalg.norm(place[slice(*one)].mean(axis=0) - place[slice(*other)].mean(axis=0)))
