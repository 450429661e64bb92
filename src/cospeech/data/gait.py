"""People who walk or run: one cycle of a real gait, repeated at any pace, out of standing and back into it.

The cycles are `gaits.npz`, made by `scripts/bake_gaits.py` from the CMU Graphics Lab motion capture database
(mocap.cs.cmu.edu, created with funding from NSF EIA-0196217; free for any use, not to be sold by itself).
"""

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import numpy as np

from cospeech import rotation, skeleton
from cospeech.body import mannequin
from cospeech.data.arms import Track
from cospeech.motion import Motion

FPS = 30  # of the cycles
START_S = 0.8  # from standing to full pace, or back,
STOP_S = 1.5  # for which they wait until the feet pass each other: so long at most
PACES = {"walk": (0.85, 1.15), "run": (0.95, 1.2)}  # cycles in the time of the captured one,
LENGTHS = {"walk": (0.85, 1.1), "run": (0.95, 1.1)}  # and their strides


class Cycle(NamedTuple):
    poses: np.ndarray  # (N, 22, 3) of the joints of the body
    offsets: np.ndarray  # (N, 3) metres, the pelvis less its even progress
    stride_m: float  # progress along +z in one cycle
    passing: float  # part of the cycle, below a half, at which the feet pass each other; again half a cycle later


@cache
def cycle(name: Literal["walk", "run"]) -> Cycle:
    with files("cospeech.data").joinpath("gaits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return Cycle(*(arrays[f"{name}_{key}"] for key in ("poses", "offsets", "stride", "passing")))


def go(
    name: Literal["walk", "run"], over: Motion, begin: int, end: int, swings: bool, rng: np.random.Generator
) -> Motion:
    """Somebody who stands goes forward between two frames.

    Args:
        over: Facing +z; what legs do not need goes on as before.
        end: Frame from which on they slow down to stand; beyond the last: they do not.
        swings: Arms, trunk and head go with the legs; False: they go on as before.
    """
    gait, fps = cycle(name), over.fps
    pace, length = rng.uniform(*PACES[name]), rng.uniform(*LENGTHS[name])
    first = rng.integers(2) / 2  # with either foot
    ends = range(end, end + round(len(gait.poses) / pace * fps / FPS / 2)) if end < len(over) else [end]
    tried = [_phases(gait, len(over), begin, last, pace, first, fps) for last in ends]
    moving, at, _ = min(tried, key=lambda phases: phases.late)
    place = (at % 1.0) * len(gait.poses)
    before, share = place.astype(int) % len(gait.poses), (place % 1.0)[:, None]
    after = (before + 1) % len(gait.poses)
    quaternions = rotation.axis_angle_to_quaternion(gait.poses.astype(np.float64))
    walking = rotation.slerp(quaternions[before], quaternions[after], share[..., None])  # (T, 22, 4)
    offsets = (1 - share) * gait.offsets[before] + share * gait.offsets[after]

    joints = np.array([j for j in range(22) if swings or j in skeleton.LOWER])
    poses = over.poses.astype(np.float64)
    standing = rotation.axis_angle_to_quaternion(poses[:, joints])
    poses[:, joints] = rotation.quaternion_to_axis_angle(
        rotation.slerp(standing, walking[:, joints], moving[..., None])
    )
    speed_m = gait.stride_m * length * pace / len(gait.poses) * FPS / fps  # in a frame
    translation = over.translation.astype(np.float64)
    rest = mannequin().joints[0]
    here = over.translation[min(max(begin, 0), len(over) - 1)] * [1, 0, 1] - rest * [0, 1, 0]  # to stand in a place
    translation += moving * (offsets + here - translation)
    translation[:, 2] += np.cumsum(moving[:, 0] * speed_m)
    return replace(over, poses=poses, translation=translation)


class _Phases(NamedTuple):
    moving: np.ndarray  # (T, 1) 0: stands, 1: walks
    at: np.ndarray  # (T,) cycles
    late: float  # how far from passing each other the feet are halfway out of walking, cycles


def _phases(gait: Cycle, num_frames: int, begin: int, end: int, pace: float, first: float, fps: float) -> _Phases:
    """When the legs are where. They come out of standing, and go back, while the feet pass each other."""
    track, change = Track(np.zeros(1)), round(START_S * fps)
    track.go([1.0], begin, begin + change)
    track.go([0.0], end, end + change)
    moving = track.values(num_frames)
    at = np.cumsum(pace * (0.5 + 0.5 * moving[:, 0])) * FPS / fps / len(gait.poses)
    at += first + gait.passing - at[min(begin + change // 2, num_frames - 1)]
    late = (at[min(end + change // 2, num_frames - 1)] - gait.passing) % 0.5
    return _Phases(moving, at, min(late, 0.5 - late))
