"""Arms and hands that make planned gestures.

A hand moves in submovements of least jerk that overlap: before one has ended the next begins, so a hand slows down
between a preparation and its stroke but need not stop [1, 2]. Both arms follow by inverse kinematics.

[1] Flash & Hogan 1985, Journal of Neuroscience 5(7)   [2] Flash & Henis 1991, Journal of Cognitive Neuroscience 3(3)

Targets are those of the left wrist, metres from the shoulder in the chest's frame (x outwards, y up, z forwards); the
right arm uses their mirror image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from cospeech import ik, rotation, skeleton
from cospeech.body import mannequin
from cospeech.data.noise import smooth_noise
from cospeech.data.planning import KINDS, Persona, Stroke, Unit
from cospeech.smoothing import smooth

# Curl of index, middle, ring and little finger and of the thumb (0 straight, 1 a fist), then how far they are spread:
# at 0 they are fanned, as in the rest pose; at -0.13 they touch.
SHAPES = {
    "relaxed": (0.36, 0.44, 0.50, 0.54, 0.30, -0.11),
    "open": (0.08, 0.11, 0.14, 0.17, 0.04, 0.0),
    "loose": (0.22, 0.31, 0.38, 0.43, 0.18, -0.09),
    "flat": (0.03, 0.03, 0.03, 0.03, 0.25, -0.13),
    "point": (0.04, 0.80, 0.90, 0.92, 0.70, -0.1),
    "count": (0.05, 0.10, 0.85, 0.90, 0.75, 0.06),
    "pinch": (0.48, 0.40, 0.34, 0.32, 0.62, -0.04),
    "fist": (0.95, 0.98, 1.00, 1.00, 0.70, -0.1),
}
RESTS = {  # wrist target and palm while the hands rest
    "sides": ((0.09, -0.50, 0.05), (-1.0, 0.0, -0.1)),
    "front": ((-0.09, -0.42, 0.22), (-0.7, 0.3, -0.6)),
    "belly": ((-0.07, -0.32, 0.25), (-0.75, 0.35, -0.5)),
}
_LONGEST_M = 0.44  # stroke
_INERTIA_S = 0.03  # submovements that meet are rounded off by the mass of the arm
_TWIST_MIDDLE, _TWIST_REACH = np.radians(-60), np.radians(110)  # of the forearm
_FIST = (1.25, 1.5, 0.9)  # flexion of the three joints of a finger at curl 1, radians
# Hands in the air never hold quite still: deviation and seconds of their wandering, and of the curling of fingers.
_WANDER = ((0.055, 0.9), (0.02, 0.45))
_FIDGET = ((0.22, 1.5), (0.33, 0.5))
_FIDGET_SHARE = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.12])  # fingers curl, they hardly spread


@dataclass
class Track:
    """A vector that is moved about: each move starts from where the moves before it will end."""

    goal: np.ndarray
    moves: list[tuple[float, float, np.ndarray, np.ndarray]] = field(default_factory=list)
    start: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.goal

    def go(self, to, begin: float, end: float, bow: float | Sequence[float] | np.ndarray = 0.0) -> None:
        """Move to a value between two frames; halfway the path is off the straight line by `bow`."""
        to = np.asarray(to, float)
        self.moves.append((begin, max(end - begin, 3.0), to - self.goal, np.zeros_like(to) + bow))
        self.goal = to

    def values(self, num_frames: int) -> np.ndarray:
        """(num_frames, D)."""
        values = np.tile(self.start, (num_frames, 1))
        for begin, length, change, bow in self.moves:
            first, last = max(int(np.ceil(begin)), 0), min(int(np.ceil(begin + length)), num_frames)
            if first < num_frames:
                t = ((np.arange(first, last) - begin) / length)[:, None]
                values[first:last] += minimum_jerk(t) * change + 16 * (t * (1 - t)) ** 2 * bow
                values[last:] += change
        return values


def minimum_jerk(t: np.ndarray) -> np.ndarray:
    """Path of least jerk from 0 at t = 0 to 1 at t = 1, at rest at both ends [1]."""
    t = np.clip(t, 0, 1)
    return t**3 * (10 - 15 * t + 6 * t**2)


@dataclass
class Arm:
    """What one arm is told to do."""

    side: str
    wrist: Track  # (3,) metres
    palm: Track  # (3,) direction
    shape: Track  # (6,) as in SHAPES
    flex: Track  # (1,) of the wrist towards the palm, radians
    free: float = 0.0  # frame from which on the hand has nothing to do
    up: bool = False  # not at rest

    @classmethod
    def at_rest(cls, side: str, persona: Persona, rng: np.random.Generator) -> "Arm":
        wrist, palm = RESTS[persona.rest]
        wrist = np.array(wrist) + rng.normal(scale=[0.015, 0.012, 0.015])
        palm = np.array(palm) + rng.normal(scale=0.1, size=3)
        shape = np.array(SHAPES["relaxed"]) * rng.uniform(0.7, 1.2)
        return cls(side, Track(wrist), Track(palm), Track(shape), Track(np.zeros(1)))


def plant_arms(
    poses: np.ndarray, units: Sequence[Unit], fps: float, persona: Persona, rng: np.random.Generator
) -> None:
    """Set collars, shoulders, elbows, wrists and fingers (T, 55, 3) of both arms, in place."""
    num_frames = len(poses)
    up = np.zeros(num_frames)  # 1 while the hands are up
    arms = [Arm.at_rest(side, persona, rng) for side in ("left", "right")]
    for unit, following in zip_longest(units, units[1:]):
        for arm in arms:
            _gesture(arm, unit, fps, persona, rng)
        begin = max(int(unit.strokes[0].frame - 0.5 * fps), 0)
        up[begin : unit.end] = 1
        if following and following.strokes[0].frame - unit.end < 1.3 * fps:
            continue  # not worth going back for
        pause_s = rng.uniform(0.0, 0.15)
        waits = following is not None and following.strokes[0].frame - unit.end < 4.5 * fps and rng.random() < 0.75
        for arm in arms:
            begin = max(unit.end, arm.free) + pause_s * fps
            if waits:
                _wait(arm, begin, begin + rng.uniform(0.5, 0.8) * fps, rng)
            else:
                _retract(arm, begin, begin + rng.uniform(0.6, 0.9) * fps, persona, rng)
    gate = 0.08 + 0.92 * _smooth_gate(up, fps)
    for arm in arms:
        wrist, palm, shape, flex = (track.values(num_frames) for track in (arm.wrist, arm.palm, arm.shape, arm.flex))
        for values, wandering, share in ((wrist, _WANDER, np.ones(3)), (shape, _FIDGET, _FIDGET_SHARE)):
            for deviation, seconds in wandering:
                noise = smooth_noise(num_frames, values.shape[1], seconds, fps, rng)
                values += deviation * share * gate[:, None] * noise
        wrist = smooth(wrist, _INERTIA_S * fps, "values")
        wrist = _not_quite_straight(_below_the_face(wrist))
        swivel = 0.25 * smooth_noise(num_frames, 1, 2.5, fps, rng)[:, 0] + rng.normal(scale=0.15)
        pose_arm(poses, arm.side, wrist, palm, shape, flex[:, 0], swivel)


def _gesture(arm: Arm, unit: Unit, fps: float, persona: Persona, rng: np.random.Generator) -> None:
    style = rng.normal(scale=[0.04, 0.045, 0.035])  # this unit's place in the air
    for stroke in unit.strokes:
        if arm.side not in stroke.hands:
            if rng.random() < 0.65 and not stroke.first:  # the other hand goes along a little
                _beat(arm, stroke, 0.35, fps, rng)
        elif stroke.beat:
            _beat(arm, stroke, 1.0, fps, rng)
        else:
            _make(arm, stroke, style, fps, rng)


def _make(arm: Arm, stroke: Stroke, style: np.ndarray, fps: float, rng: np.random.Generator) -> None:
    """Preparation, stroke and recoil."""
    kind = KINDS[stroke.kind]
    start, end = np.array(kind.start), np.array(kind.end)
    middle = (start + end) / 2 + style + rng.normal(scale=0.02, size=3)
    reach = stroke.size * rng.uniform(0.85, 1.15) * (end - start)
    reach *= min(1.0, _LONGEST_M / np.linalg.norm(reach))
    start, end = middle - reach / 2, middle + reach / 2
    length = rng.uniform(0.32, 0.42) * fps * np.sqrt(np.linalg.norm(reach) / 0.25)
    lag = rng.uniform(0, 1.2) if arm.side != stroke.hands[0] else 0.0
    begin, finish = stroke.frame + lag - length / 2, stroke.frame + lag + length / 2
    palm = np.array(kind.palm) + rng.normal(scale=0.15, size=3)
    shape = np.array(SHAPES[kind.shape]) * rng.uniform(0.7, 1.25, size=6)
    if begin - arm.free > 0.12 * fps:
        longest_s = 0.5 if stroke.first else 0.8
        prepare = max(begin - rng.uniform(0.4, longest_s) * fps, arm.free - 0.08 * fps)
        arm.wrist.go(start, prepare, begin + 0.06 * fps, bow=[0.0, 0.02, 0.02])
        arm.palm.go(0.6 * palm + 0.4 * arm.palm.goal, prepare, begin)
        arm.shape.go(0.4 * shape + rng.uniform(0.6, 1.1) * np.array(SHAPES["relaxed"]), prepare, begin)
        arm.flex.go([-0.3 * stroke.size], prepare, begin)
    elif np.linalg.norm(arm.wrist.goal - end) < 0.6 * np.linalg.norm(reach):
        start, end = end, start  # no time to go back first: this time the other way round
    arm.wrist.go(end, begin, finish, bow=np.array(kind.bow) * stroke.size + rng.normal(scale=0.012, size=3))
    arm.palm.go(palm, begin - 0.05 * fps, finish)
    arm.shape.go(shape, begin - 0.03 * fps, finish + 0.05 * fps)
    arm.flex.go([0.25 * stroke.size * rng.uniform(0.3, 1.2)], begin + 0.03 * fps, finish + 0.05 * fps)
    settle = finish + rng.uniform(0.4, 0.8) * fps
    recoil = rng.uniform(0.15, 0.4) * (start - end) + rng.normal(scale=0.02, size=3)
    arm.wrist.go(end + recoil, finish - 0.08 * fps, settle)
    arm.flex.go([0.05], finish, settle)
    arm.shape.go(0.7 * shape + 0.4 * np.array(SHAPES["relaxed"]), finish, settle)
    arm.free, arm.up = finish, True


def _beat(arm: Arm, stroke: Stroke, share: float, fps: float, rng: np.random.Generator) -> None:
    """Down or up and back where the hand is."""
    begin, finish = stroke.frame - 0.14 * fps, stroke.frame + 0.14 * fps
    if begin < arm.free - 0.05 * fps:
        return
    way = rng.normal([0.0, -1.0, 0.2], [0.35, 0.2, 0.35])
    step = share * stroke.size * rng.uniform(0.06, 0.12) * way / np.linalg.norm(way)
    here, flex = arm.wrist.goal, 0.18 * share * stroke.size
    arm.wrist.go(here + step, begin, finish)
    arm.wrist.go(here + 0.15 * step, finish - 0.03 * fps, finish + rng.uniform(0.2, 0.35) * fps)
    shape = arm.shape.goal
    arm.shape.go(shape + rng.normal(-0.08, 0.06, size=6) * share, begin, finish)
    arm.shape.go(shape, finish, finish + rng.uniform(0.2, 0.4) * fps)
    arm.flex.go(arm.flex.goal + flex, begin, finish)
    arm.flex.go(arm.flex.goal - flex, finish, finish + 0.3 * fps)
    arm.free = finish


def _wait(arm: Arm, begin: float, end: float, rng: np.random.Generator) -> None:
    """Hands that are up sink a little and stay for what comes: a pause need not end in rest (McNeill's holds)."""
    if arm.up:
        arm.wrist.go(arm.wrist.goal - [0.0, rng.uniform(0.01, 0.06), rng.uniform(0.0, 0.03)], begin, end)
        arm.shape.go(0.5 * arm.shape.goal + 0.5 * np.array(SHAPES["relaxed"]), begin, end)
        arm.flex.go([0.0], begin, end)


def _retract(arm: Arm, begin: float, end: float, persona: Persona, rng: np.random.Generator) -> None:
    rest = Arm.at_rest(arm.side, persona, rng)
    arm.wrist.go(rest.wrist.goal, begin, end, bow=[0.02, 0.0, 0.02])
    arm.palm.go(rest.palm.goal, begin, end)
    arm.shape.go(rest.shape.goal, begin, end)
    arm.flex.go([0.0], begin, end)
    arm.free, arm.up = end, False


def _below_the_face(wrist: np.ndarray) -> np.ndarray:
    """Wrist targets (T, 3) lowered, softly, where the hand would hide the face; out to the side it may be higher."""
    height = -0.13 + 0.9 * np.clip(wrist[:, 0] + 0.02, 0, 0.3)
    beyond = np.maximum(wrist[:, 1] - height, 0)
    wrist = wrist.copy()
    wrist[:, 1] += 0.04 * np.tanh(beyond / 0.04) - beyond
    return wrist


def _not_quite_straight(wrist: np.ndarray) -> np.ndarray:
    """Wrist targets (T, 3) drawn in, softly, where the arm would be straight: nobody gestures with locked elbows."""
    rest = mannequin().joints
    bones = rest[[skeleton.INDEX[f"left_{name}"] for name in ("shoulder", "elbow", "wrist")]]
    length = np.linalg.norm(np.diff(bones, axis=0), axis=-1).sum()
    distance = np.linalg.norm(wrist, axis=-1, keepdims=True) / length
    free, give = 0.85, 0.11
    beyond = np.maximum(distance - free, 0)
    return wrist * (np.minimum(distance, free) + give * np.tanh(beyond / give)) / distance


def _smooth_gate(up: np.ndarray, fps: float) -> np.ndarray:
    """0 and 1 with slopes of half a second."""
    kernel = np.hanning(round(0.5 * fps) + 2)[1:-1]
    return np.convolve(up, kernel / kernel.sum(), "same")[: len(up)] if len(up) >= len(kernel) else up


def pose_arm(
    poses: np.ndarray,
    side: str,
    wrist: np.ndarray,
    palm: np.ndarray,
    shape: np.ndarray,
    flex: np.ndarray,
    swivel: np.ndarray,
) -> None:
    """Rotations of one arm (T, 55, 3), in place. The chest is the frame of reference: it is enough that the arm hangs
    from it.

    Args:
        wrist: (T, 3) targets, metres from the shoulder, for the left arm; mirrored for the right.
        palm: (T, 3) where the palm looks, likewise.
        shape: (T, 6) curls and spread, as in `SHAPES`.
        flex: (T,) of the wrist towards the palm, radians.
        swivel: (T,) of the elbow about the line from shoulder to wrist, radians outwards.
    """
    out = 1.0 if side == "left" else -1.0
    flip = np.array([out, 1.0, 1.0])
    rest = mannequin().joints.astype(np.float64)
    shoulder, elbow, hand = (rest[skeleton.INDEX[f"{side}_{name}"]] for name in ("shoulder", "elbow", "wrist"))
    upper, lower = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(hand - elbow))

    lift = np.clip((wrist[:, 1] + 0.25) / 0.3, 0, 1) * 0.2  # the collar rises with the hand
    forth = -0.1 * np.clip((wrist[:, 2] - 0.3) / 0.2, 0, 1)
    collar = rotation.axis_angle_to_matrix(np.stack([0 * lift, out * forth, out * lift], axis=-1))

    root = np.zeros_like(wrist)
    pole = np.stack([0.45 + np.sin(swivel), -np.cos(swivel), np.full_like(swivel, -0.45)], axis=-1) * flip
    middle, end = ik.two_bone(root, wrist * flip, pole, upper, lower)
    first, second = middle - root, end - middle
    hinge = np.cross(first, second)  # of the elbow; at rest it is -y for the left arm, +y for the right
    hinge_rest = np.array([0.0, -out, 0.0])
    upper_turn = ik.turn_frame(elbow - shoulder, hinge_rest, first, hinge)
    lower_turn = ik.turn_frame(hand - elbow, hinge_rest, second, hinge)
    hand_turn = ik.turn_frame([out, 0, 0], [0, 1, 0], second, -(palm * flip))

    # Half of the forearm's twist goes to the elbow joint, as muscles do it, so that the wrist does not wring.
    twist = _twist(np.swapaxes(lower_turn, -1, -2) @ hand_turn)
    possible = _possible_twist(twist)
    hand_turn = hand_turn @ _about_x(possible - twist)
    lower_turn = lower_turn @ _about_x(possible / 2)
    bend = np.zeros_like(wrist)
    bend[:, 2] = -out * flex
    hand_turn = hand_turn @ rotation.axis_angle_to_matrix(bend)
    chain = {
        "collar": collar,
        "shoulder": np.swapaxes(collar, -1, -2) @ upper_turn,
        "elbow": np.swapaxes(upper_turn, -1, -2) @ lower_turn,
        "wrist": np.swapaxes(lower_turn, -1, -2) @ hand_turn,
    }
    for name, matrix in chain.items():
        poses[:, skeleton.INDEX[f"{side}_{name}"]] = rotation.matrix_to_axis_angle(matrix)
    _pose_fingers(poses, side, shape, rest)


def _twist(turn: np.ndarray) -> np.ndarray:
    """(T,) radians by which rotations (T, 3, 3) turn about x, -pi to pi."""
    quaternion = rotation.axis_angle_to_quaternion(rotation.matrix_to_axis_angle(turn))
    twist = 2 * np.arctan2(quaternion[:, 1], quaternion[:, 0])
    return (twist + np.pi) % (2 * np.pi) - np.pi


def _possible_twist(twist: np.ndarray) -> np.ndarray:
    """The twist of a forearm that comes near to a wanted one, without a jump wherever that goes.

    Zero is the T pose with palms down. Forearm and shoulder together turn some 220 degrees; what is wanted on the far
    side of that leads back to the middle.
    """
    off = (twist - _TWIST_MIDDLE + np.pi) % (2 * np.pi) - np.pi
    beyond = np.abs(off) > _TWIST_REACH
    back = np.sign(off) * _TWIST_REACH * (np.pi - np.abs(off)) / (np.pi - _TWIST_REACH)
    return _TWIST_MIDDLE + np.where(beyond, back, off)


def _about_x(angle: np.ndarray) -> np.ndarray:
    return rotation.axis_angle_to_matrix(np.stack([angle, 0 * angle, 0 * angle], axis=-1))


def _pose_fingers(poses: np.ndarray, side: str, shape: np.ndarray, rest: np.ndarray) -> None:
    out = 1.0 if side == "left" else -1.0
    curls = np.clip(shape[:, :5], -0.05, 1.1)
    fans = {"index": 1.0, "middle": 0.3, "ring": -0.4, "pinky": -1.0}
    for column, (finger, fan) in enumerate(fans.items()):
        for n, full in enumerate(_FIST):
            joint = skeleton.INDEX[f"{side}_{finger}{n + 1}"]
            poses[:, joint, 2] = -out * full * curls[:, column]  # about z, towards the palm
            poses[:, joint, 1] = -out * fan * shape[:, 5] * (n == 0)
    for n, amount in enumerate((0.35, 0.5, 0.6)):
        joint = skeleton.INDEX[f"{side}_thumb{n + 1}"]
        child = rest[joint + 1] - rest[joint] if n < 2 else rest[joint] - rest[joint - 1]
        axis = np.cross(child, np.array([0.4 * out, -1.0, -0.6]))
        poses[:, joint] = (amount * curls[:, 4])[:, None] * axis / np.linalg.norm(axis)
