"""A body carried by feet that stand still on the floor, y = 0.

1. The path of the pelvis is made anew from the legs: the foot that carries the body does not move over the floor.
   While both are off the floor, or land and take off, as in running, the body flies on as it did.
2. While a foot is low and slow it has one place and one heading, and its sole is flat unless it rolls over the ball
   (`steps`).
3. The pelvis goes where the places of the feet put it, and low enough for both legs to reach them.
4. Each leg is bent and turned so that the foot is where it was planned; its knee stays a hinge. In a deep
   crouch heels rise from the floor, the pelvis stays higher and knees come together, as far as ankles and hips cannot
   bend or spread.

After Kovar et al. 2002, Footskate Cleanup for Motion Capture Editing, SCA. Sides: left, right.
"""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cospeech import ik, limits, rotation, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.finish.steps import Stand, find_stands, in_turn, without_gaps
from cospeech.skeleton import INDEX
from cospeech.smoothing import cover, ease, highest, smooth

CARRIES_M = 0.03  # a joint that much higher than the lowest one carries 1/e of what that one does,
CARRIES_M_S = 0.3  # and so does one that is that much faster than the slowest one
FLIES_M = (0.04, 0.08)  # clearance of the lower foot at which the body does not fly yet, and at which it does
SKIMS_M_S = (0.4, 0.8)  # likewise, speed over the floor of the slowest foot joint of one who lands or takes off,
RUNS_M_S = (1.25, 1.6)  # if the body goes as fast as this
FLOOR_S = 1.0
PATH_SMOOTHING_S = 0.06  # standard deviations
HEIGHT_SMOOTHING_S = 0.15
PACE_S = 0.3

BLEND_S = 0.15  # before and after standing
RISE_S = 0.2  # from when a foot comes to stand until it carries as much as the other
CROUCH_ROUNDS = 4  # a heel that rises changes the whole leg
RISES_M_RAD = 0.3  # of the pelvis, for hips to be bent less: a little under the length of the thigh
CLOSES = 0.6  # turn of a knee round the line from ankle to hip, for a bent thigh to be spread less: sin(a) / a or so
STEP_HEIGHT, HIGHEST_STEP_M = 0.25, 0.05  # of a step's length, and at most
FLAT, ROLLING = np.radians((15, 35))  # tilts of the foot at which its sole is still put flat, and no longer
# A leg is stretched to the first part of its length, farther only if it was before, and to the second at most: near
# full length a millimetre is several degrees of the knee.
EASY, STRETCHED = 0.985, 0.998

_CHUNK = 4096  # frames whose joints are computed at a time
_HIPS, _KNEES, _ANKLES, _BALLS = (
    [INDEX[f"{side}_{joint}"] for side in ("left", "right")] for joint in ("hip", "knee", "ankle", "foot")
)
_LEGS = [INDEX["pelvis"], *_HIPS, *_KNEES, *_ANKLES, *_BALLS]
_PELVIS, _HIP, _KNEE, _ANKLE, _BALL = 0, slice(1, 3), slice(3, 5), slice(5, 7), slice(7, 9)  # in _LEGS


class Legs(NamedTuple):
    positions: np.ndarray  # (T, 9, 3) of _LEGS, with the pelvis at skeleton.REST_PELVIS
    rotations: np.ndarray  # (T, 9, 3, 3) from the rest pose, in world axes


class Plan(NamedTuple):
    """Where both feet should be. Axes: T frames, 2 sides."""

    balls: np.ndarray  # (T, 2, 3)
    feet: np.ndarray  # (T, 2, 3, 3) rotations of the ankle joints
    toes: np.ndarray  # (T, 2, 3, 3) rotations of the joints at the balls
    knees: np.ndarray  # (T, 2) radians by which knees go round the line from ankle to hip


def stand(poses: np.ndarray, translation: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Legs and path of a body whose feet stand. For standing and walking; starts at its place.

    Args:
        poses: (T, 55, 3) axis-angle, T at least 1.
        translation: (T, 3) metres; where it starts is used, and how it goes on while no foot is on the floor.

    Returns:
        poses of which the legs have changed, and translation.
    """
    legs = _legs(poses)
    path, flies = _carried_path(legs, translation.astype(np.float64), fps)
    height, pace = _rest()[0][_BALL][:, 1], _slowest(path[:, None], fps, PACE_S)
    stands = [
        find_stands(legs.positions[:, ball] + path, legs.rotations[:, ankle], height[side], pace * (1 - flies), fps)
        for side, (ball, ankle) in enumerate(((_BALL.start, _ANKLE.start), (_BALL.start + 1, _ANKLE.start + 1)))
    ]
    path, stands = _settled(without_gaps(in_turn(stands, fps), flies > 0.5, fps), legs, path, fps)
    plan = _plan(stands, legs, path, fps)
    path[:, 1] -= cover(_out_of_reach(legs, path, plan), HEIGHT_SMOOTHING_S * fps)
    solved = _solve(poses, legs, path, plan)
    for _ in range(CROUCH_ROUNDS):
        hips, ankles = (_too_far_bent(solved, joints, fps) for joints in (_HIPS, _ANKLES))
        spread = _too_far_spread(solved, fps)
        if not hips.any() and not ankles.any() and not spread.any():
            break
        path[:, 1] += RISES_M_RAD * hips.max(axis=1)
        lift = rotation.axis_angle_to_matrix(ankles[..., None] * [1.0, 0.0, 0.0])  # of the heel, about the ball
        plan = plan._replace(feet=plan.feet @ lift, knees=plan.knees - CLOSES * spread)
        solved = _solve(poses, legs, path, plan)
    path[:, [0, 2]] += translation[0, [0, 2]] - path[0, [0, 2]]
    return solved, path


@cache
def _rest() -> tuple[np.ndarray, np.ndarray]:
    """(9, 3) joints of the legs in standing, and (2, 2, 8, 3) points under the feet.

    The points are, of the sides' feet and toes, the outermost of the vertices near the floor, relative to their joint.
    """
    body = mannequin()
    vertices = body.vertices + skeleton.REST_TRANSLATION
    joints = (body.joints + skeleton.REST_TRANSLATION).astype(np.float64)
    angle = np.arange(8) * np.pi / 4
    directions = np.stack([np.cos(angle), np.zeros(8), np.sin(angle)])
    points = np.zeros((2, 2, 8, 3))
    for side in range(2):
        for part, joint in enumerate((_ANKLES[side], _BALLS[side])):
            own = vertices[body.weight_indices[:, 0] == joint]
            own = own[own[:, 1] < own[:, 1].min() + 0.01]
            points[side, part] = own[(own @ directions).argmax(axis=0)] - joints[joint]
            points[side, part, :, 1] = -joints[joint, 1]  # the sole is flat in standing
    return joints[_LEGS], points


def _legs(poses: np.ndarray) -> Legs:
    """Forward kinematics of the legs with the pelvis at rest, a chunk of frames at a time."""
    body = mannequin()
    parts = [
        joint_transforms(body, chunk, np.zeros((len(chunk), 3), chunk.dtype))
        for chunk in np.split(poses, range(_CHUNK, len(poses), _CHUNK))
    ]
    return Legs(
        np.concatenate([part.positions[:, _LEGS] for part in parts]).astype(np.float64),
        np.concatenate([part.rotations[:, _LEGS] for part in parts]).astype(np.float64),
    )


def _carried_path(legs: Legs, translation: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) the translation with which the foot that carries the body keeps its place, starting at x = z = 0.

    And (T,) how much the body flies, 0 to 1.

    The feet that carry are low and, as far as a first such path can tell, slow. The lowest joint is on the floor but
    while the body flies.
    """
    feet = np.concatenate([legs.positions[:, _ANKLE], legs.positions[:, _BALL]], axis=1)  # (T, 4, 3)
    standing = np.concatenate([_rest()[0][_ANKLE], _rest()[0][_BALL]])
    height = feet[..., 1] - standing[:, 1]
    lowest = height.min(axis=1)
    above = (height - lowest[:, None]) / CARRIES_M
    above = np.maximum(above[1:], above[:-1])  # (T - 1, 4)
    clear, flies = _flight(feet + translation[:, None], translation, lowest + translation[:, 1], fps)
    flying = np.minimum(flies[1:], flies[:-1])[:, None]
    points = np.concatenate([feet[..., [0, 2]], -translation[:, None, [0, 2]]], axis=1)
    level = np.zeros((len(feet), 2))
    for _ in range(2):
        moves = smooth(np.diff(feet[..., [0, 2]] + level[:, None], axis=0), PATH_SMOOTHING_S * fps)
        speed = np.linalg.norm(moves, axis=-1) * fps
        carries = np.exp(-above - (speed - speed.min(axis=1, keepdims=True)) / CARRIES_M_S)
        carries *= (1 - flying) / carries.sum(axis=1, keepdims=True)
        level = _against(points, np.concatenate([carries, flying], axis=1))
    path = smooth(np.insert(level, 1, clear - lowest, axis=1), PATH_SMOOTHING_S * fps)
    return path - path[0] * [1, 0, 1], flies


def _flight(feet: np.ndarray, translation: np.ndarray, height: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the lowest foot's height (T,): what of it counts, metres, and how much the body flies, 0 to 1.

    The floor is where the lowest foot was in the second around, as networks do not know heights to the centimetre. A
    runner also flies while no joint of the feet (T, 4, 3) is slow.
    """
    clear = height + highest(-height, round(FLOOR_S * fps / 2))
    body, slowest = _slowest(translation[:, None], fps), _slowest(feet, fps)
    off_the_floor, runs, fast = (
        ease((value - low) / (high - low))
        for value, (low, high) in ((clear, FLIES_M), (body, RUNS_M_S), (slowest, SKIMS_M_S))
    )
    flies = np.maximum(off_the_floor, runs * fast)
    return clear * flies, flies


def _slowest(points: np.ndarray, fps: float, smoothing_s: float = PATH_SMOOTHING_S) -> np.ndarray:
    """(T,) speed over the floor, m/s, of the slowest of (T, P, 3)."""
    if len(points) < 2:
        return np.zeros(len(points))
    moves = np.gradient(points[..., [0, 2]], axis=0)
    return np.linalg.norm(smooth(moves, smoothing_s * fps), axis=-1).min(axis=1) * fps


def _against(points: np.ndarray, carries: np.ndarray) -> np.ndarray:
    """(T, 2) a path from zero on which points (T, P, 2) of the body stay in place, each as much as it carries.

    Args:
        carries: (T - 1, P) weights from frame to frame, above 0.
    """
    steps = np.diff(points, axis=0) * (carries / carries.sum(axis=1, keepdims=True))[..., None]
    return -np.concatenate([np.zeros((1, 2)), np.cumsum(steps.sum(axis=1), axis=0)])


def _settled(
    stands: list[list[Stand]], legs: Legs, path: np.ndarray, fps: float
) -> tuple[np.ndarray, list[list[Stand]]]:
    """The path and the places of the feet, once it is known which feet stand: only those carry, and they stay in place.

    Returns:
        path (T, 3), the old one in frames in which no foot stands, and stands at their places on it.
    """
    balls = legs.positions[:, _BALL][..., [0, 2]]  # (T, 2, 2)
    weight = np.full((len(path), 3), 1e-3)  # of left foot, right foot, and of the old path
    rise = round(RISE_S * fps) + 1
    for side in range(2):
        for a, b, *_ in stands[side]:
            inside = np.arange(b - a)
            weight[a:b, side] += ease((np.minimum(inside, inside[::-1]) + 1) / rise)
    weight[:, :2] -= 1e-3 - 1e-9
    points = np.concatenate([balls, -path[:, None, [0, 2]]], axis=1)
    level = _against(points, np.minimum(weight[1:], weight[:-1]))
    balls = balls + level[:, None]
    stands = [
        [one._replace(place=balls[one.start : one.stop, side].mean(axis=0)) for one in stands[side]]
        for side in range(2)
    ]
    off = np.zeros((len(path), 2))  # from their places
    for side in range(2):
        for a, b, place, _ in stands[side]:
            off[a:b] += weight[a:b, side, None] * (place - balls[a:b, side])
    share = weight[:, :2].sum(axis=1)
    known = np.flatnonzero(share > 1e-3)
    if len(known):
        off = off[known] / share[known, None]
        level = level + np.stack([np.interp(np.arange(len(path)), known, axis) for axis in off.T], axis=1)
    return np.insert(smooth(level, PATH_SMOOTHING_S * fps), 1, path[:, 1], axis=1), stands


# --- where feet should be ---------------------------------------------------------------------------------------


def _plan(stands: list[list[Stand]], legs: Legs, path: np.ndarray, fps: float) -> Plan:
    balls = legs.positions[:, _BALL] + path[:, None]
    feet, toes = legs.rotations[:, _ANKLE].copy(), legs.rotations[:, _BALL].copy()
    for side in range(2):
        if stands[side]:
            held, heading = _held(stands[side], len(balls), fps)
            balls[:, side] = _planned_ball(stands[side], balls[:, side], held)
            level = rotation.axis_angle_to_matrix(heading[:, None] * [0.0, 1.0, 0.0])
            tilt = np.arccos(feet[:, side, 1, 1].clip(-1, 1))
            flat = held * smooth(1 - ease((tilt - FLAT) / (ROLLING - FLAT)), 0.05 * fps)
            feet[:, side] = _between(feet[:, side], level, flat)
            toes[:, side] = _between(toes[:, side], level, held)
    lowest = np.minimum(*(_soles(balls, feet, toes, part).min(axis=-1) for part in range(2)))  # (T, 2)
    balls[..., 1] -= np.minimum(lowest, 0)
    standing = _rest()[0]
    ankles = _ankles(balls, feet)
    below = np.minimum(balls[..., 1] - standing[_BALL, 1], ankles[..., 1] - standing[_ANKLE, 1])
    balls[..., 1] -= np.minimum(below, 0)
    return Plan(balls, feet, toes, np.zeros(balls.shape[:2]))


def _held(stands: list[Stand], num_frames: int, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """(T,) 1 while a foot stands, falling to 0 around it; and the heading of the nearest stand."""
    held, heading = np.zeros(num_frames), np.zeros(num_frames)
    reach = max(round(BLEND_S * fps), 1)
    borders = [0, *((one.stop + two.start) // 2 for one, two in pairwise(stands)), num_frames]
    for k, (start, stop, _, angle) in enumerate(stands):
        near = np.arange(borders[k], borders[k + 1])
        distance = np.maximum(np.maximum(start - near, near - (stop - 1)), 0)
        held[near], heading[near] = ease(1 - distance / (reach + 1)), angle
    return held, heading


def _planned_ball(stands: list[Stand], ball: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(T, 3) the path of one ball: at its places while it stands, between them moved with them and lifted."""
    height = _rest()[0][_BALL][0, 1]
    num_frames = len(ball)
    targets = [np.array([one.place[0], height, one.place[1]]) for one in stands]
    move, nearest, lift = np.zeros((num_frames, 3)), np.zeros((num_frames, 3)), np.zeros(num_frames)
    first, last = stands[0].start, stands[-1].stop
    move[:first], nearest[:first] = targets[0] - ball[first], targets[0]
    move[last:], nearest[last:] = targets[-1] - ball[last - 1], targets[-1]
    for k, one in enumerate(stands):
        move[one.start : one.stop] = targets[k] - ball[one.start : one.stop]
        nearest[one.start : one.stop] = targets[k]
        if k + 1 == len(stands):
            continue
        gap = slice(one.stop, stands[k + 1].start)
        share = (np.arange(gap.stop - gap.start) + 1) / (gap.stop - gap.start + 1)
        before, after = targets[k] - ball[gap.start - 1], targets[k + 1] - ball[gap.stop]
        move[gap] = before + ease(share)[:, None] * (after - before)
        nearest[gap] = np.where(share[:, None] < 0.5, targets[k], targets[k + 1])
        length = np.linalg.norm(targets[k + 1] - targets[k])
        lift[gap] = min(STEP_HEIGHT * length, HIGHEST_STEP_M) * np.sin(np.pi * share) ** 2
    planned = ball + move
    planned += held[:, None] * (nearest - planned)
    planned[:, 1] = height + np.hypot(np.maximum(planned[:, 1] - height, 0), lift)
    return planned


def _between(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotations, `a` where weight (T,) is 0 and `b` where it is 1."""
    a, b = rotation.matrix_to_quaternion(a), rotation.matrix_to_quaternion(b)
    return rotation.quaternion_to_matrix(rotation.slerp(a, b, weight[:, None]))


def _soles(balls: np.ndarray, feet: np.ndarray, toes: np.ndarray, part: int) -> np.ndarray:
    """(T, 2, 8) heights of the points under the feet (part 0) or the toes (part 1)."""
    points = _rest()[1][:, part]  # (2, 8, 3)
    joint, turned = (_ankles(balls, feet), feet) if part == 0 else (balls, toes)
    return joint[..., None, 1] + np.einsum("tsj,spj->tsp", turned[..., 1, :], points)


def _ankles(balls: np.ndarray, feet: np.ndarray) -> np.ndarray:
    """(T, 2, 3) where the ankles are when the balls are there and the feet are turned so."""
    standing = _rest()[0]
    return balls - (feet @ (standing[_BALL] - standing[_ANKLE])[..., None])[..., 0]


# --- legs that reach them ---------------------------------------------------------------------------------------


def _out_of_reach(legs: Legs, path: np.ndarray, plan: Plan) -> np.ndarray:
    """(T,) metres by which the pelvis is too high for its legs to reach both feet, 0 where it is not."""
    hips, full = legs.positions[:, _HIP], _full_length()
    before = np.linalg.norm(legs.positions[:, _ANKLE] - hips, axis=-1)
    longest = before.clip(EASY * full, STRETCHED * full)  # (T, 2)
    way = hips + path[:, None] - _ankles(plan.balls, plan.feet)  # (T, 2, 3)
    highest = np.sqrt(np.maximum(longest**2 - np.sum(way[..., [0, 2]] ** 2, axis=-1), 0))
    return np.maximum(way[..., 1] - highest, 0).max(axis=1)


def _too_far_bent(poses: np.ndarray, joints: list[int], fps: float) -> np.ndarray:
    """(T, 2) radians by which two joints are bent forwards beyond their ranges, and smoothly towards that around it."""
    bent = (limits.LOW - limits.coordinates(poses))[:, joints, limits.X]
    return cover(np.where(bent > limits.SOFT, bent, 0), BLEND_S * fps)


def _too_far_spread(poses: np.ndarray, fps: float) -> np.ndarray:
    """(T, 2) radians by which thighs are spread or turned out to the left beyond their ranges, and around it.

    To the right they are negative.
    """
    angles, axes = limits.coordinates(poses)[:, _HIPS], slice(limits.Y, None)
    left, right = angles - limits.HIGH[_HIPS], limits.LOW[_HIPS] - angles
    left, right = (far[..., axes].max(axis=-1) for far in (left, right))
    left, right = (cover(np.where(far > limits.SOFT, far, 0), BLEND_S * fps) for far in (left, right))
    return left - right


def _full_length() -> np.ndarray:
    """(2,) metres from hip to ankle of a straight leg."""
    bones = np.diff(_rest()[0][[[1, 2], [3, 4], [5, 6]]], axis=0)
    return np.linalg.norm(bones, axis=-1).sum(axis=0)


def _solve(poses: np.ndarray, legs: Legs, path: np.ndarray, plan: Plan) -> np.ndarray:
    """(T, 55, 3) poses whose feet are as planned: the knee bends, then the leg turns about the hip, then the foot."""
    standing = _rest()[0]
    local = rotation.axis_angle_to_matrix(poses[:, _KNEES].astype(np.float64))  # (T, 2, 3, 3)
    thigh = np.broadcast_to(standing[_KNEE] - standing[_HIP], (*local.shape[:2], 3))
    shank = (local @ (standing[_ANKLE] - standing[_KNEE])[..., None])[..., 0]  # in the frame of the thigh
    wanted = _ankles(plan.balls, plan.feet) - legs.positions[:, _HIP] - path[:, None]
    hinge = np.array([1.0, 0.0, 0.0])
    distance = np.minimum(np.linalg.norm(wanted, axis=-1), STRETCHED * _full_length())
    bend = rotation.axis_angle_to_matrix(ik.bend(thigh, shank, hinge, distance)[..., None] * hinge)
    knees = bend @ local
    hips = legs.rotations[:, _HIP]
    reach = (hips @ (thigh + (bend @ shank[..., None])[..., 0])[..., None])[..., 0]
    hips = rotation.rotation_between(reach, wanted) @ hips
    upwards = -wanted / np.linalg.norm(wanted, axis=-1, keepdims=True)
    hips = rotation.axis_angle_to_matrix(plan.knees[..., None] * upwards) @ hips
    feet, toes = plan.feet, plan.toes
    solved = poses.copy()
    pelvis = legs.rotations[:, [_PELVIS]]
    for joints, above, turned in ((_HIPS, pelvis, hips), (_ANKLES, hips @ knees, feet), (_BALLS, feet, toes)):
        solved[:, joints] = rotation.matrix_to_axis_angle(np.swapaxes(above, -1, -2) @ turned)
    solved[:, _KNEES] = rotation.matrix_to_axis_angle(knees)
    return solved
