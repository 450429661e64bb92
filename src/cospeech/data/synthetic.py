"""A synthetic corpus: recordings in, motion with planted gestures out.

No free corpus of speech and full-body motion exists, so one is made. Gestures are planned the way people place them:
a gesture phrase has a preparation, a stroke whose end falls on a stressed syllable, a hold, and a retraction when the
speaker pauses [1, 2]; strokes fall on energy peaks, not on every syllable [3]; hands move along minimum-jerk paths
[4]. They are realised by inverse kinematics of both arms over the legs and trunk of real standing people.

[1] McNeill 1992, Hand and Mind   [2] Kendon 2004, Gesture   [3] Loehr 2012, Laboratory Phonology 3(1)
[4] Flash and Hogan 1985, Journal of Neuroscience 5(7)

Left-arm targets are metres from the shoulder in the chest's frame (x outwards, y up, z forwards); the right arm uses
their mirror image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cospeech import ik, prosody, rotation, skeleton
from cospeech.body import mannequin
from cospeech.errors import DataError
from cospeech.motion import Motion
from cospeech.speech import Speech

FPS = 30
QUICKEST_S = 0.15  # between two keys of an arm
PAUSE_S = 0.7  # a longer silence ends a gesture phrase


@dataclass(frozen=True)
class HandShape:
    """Flexion of the three joints of each finger, radians; `spread` fans the fingers out."""

    index: tuple[float, float, float]
    others: tuple[float, float, float]
    thumb: float
    spread: float


SHAPES = {
    "relaxed": HandShape((0.35, 0.45, 0.25), (0.5, 0.6, 0.3), 0.25, 0.0),
    "open": HandShape((0.08, 0.12, 0.06), (0.14, 0.18, 0.1), 0.0, 0.12),
    "loose": HandShape((0.2, 0.3, 0.2), (0.35, 0.5, 0.25), 0.15, 0.05),
    "point": HandShape((0.05, 0.08, 0.05), (1.1, 1.3, 0.7), 0.6, 0.0),
    "fist": HandShape((1.0, 1.3, 0.7), (1.1, 1.3, 0.8), 0.6, 0.0),
}


@dataclass(frozen=True)
class GestureKind:
    """Where the hand is at the start and at the end of the stroke, which way the palm then looks, hand shape."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    palm: tuple[float, float, float]
    shape: str
    both_hands: float  # chance that both hands make it


KINDS = {
    "beat": GestureKind((0.00, -0.16, 0.31), (0.04, -0.34, 0.35), (-0.8, -0.6, 0.0), "loose", 0.6),
    "open_palm": GestureKind((-0.08, -0.34, 0.27), (0.14, -0.24, 0.37), (-0.45, 0.85, -0.1), "open", 0.7),
    "sweep": GestureKind((-0.14, -0.22, 0.32), (0.26, -0.22, 0.27), (-0.2, -0.9, 0.4), "open", 0.4),
    "point": GestureKind((-0.04, -0.28, 0.26), (0.03, -0.12, 0.43), (-0.6, -0.8, 0.0), "point", 0.0),
    "frame": GestureKind((0.14, -0.24, 0.30), (-0.03, -0.26, 0.36), (-1.0, 0.1, 0.0), "open", 1.0),
    "lift": GestureKind((0.02, -0.36, 0.30), (0.12, -0.12, 0.34), (-0.5, 0.7, 0.3), "loose", 0.6),
}
RESTS = {  # wrist target and palm while the hands rest
    "sides": ((0.10, -0.50, 0.05), (-1.0, 0.0, -0.1)),
    "front": ((-0.10, -0.40, 0.23), (-0.7, 0.3, -0.6)),
}


@dataclass(frozen=True)
class Persona:
    """How one synthetic speaker gestures."""

    right_handed: float  # chance that a one-handed gesture is made with the right hand
    size: float  # scales the distance of strokes
    strokes_per_s: float  # while speaking
    rest: str  # a key of RESTS
    kinds: tuple[float, ...]  # weight of each of KINDS

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Persona":
        return cls(
            right_handed=float(rng.choice([0.25, 0.65, 0.8])),
            size=float(rng.uniform(0.8, 1.4)),
            strokes_per_s=float(rng.uniform(1.0, 1.7)),
            rest=str(rng.choice(list(RESTS), p=[0.5, 0.5])),
            kinds=tuple(rng.dirichlet(np.full(len(KINDS), 2.0))),
        )


@dataclass(frozen=True)
class Stroke:
    frame: int  # the stroke ends here, on the stressed syllable
    kind: str
    hands: tuple[str, ...]  # "left", "right" or both
    last: bool  # a pause follows: the hands go back to rest


@dataclass(frozen=True, eq=False)
class Planted:
    motion: Motion
    strokes: tuple[Stroke, ...]


def plant(speech: Speech, idle: Sequence[Motion], seed: int) -> Planted:
    """Motion for a recording: planted gestures, head and face over idling legs and trunk.

    Args:
        speech: Any recording.
        idle: Motions of people standing, 30 fps, facing +z; pieces of them are strung together.
        seed: Same seed, same motion.
    """
    rng = np.random.default_rng(seed)
    num_frames = speech.num_frames(FPS)
    energy = prosody.energy_envelope(speech.resample(prosody.SAMPLE_RATE).samples, num_frames, FPS)
    persona = Persona.random(rng)
    strokes = plan_strokes(energy, persona, rng)

    base = idle_track(idle, num_frames, rng)
    poses = base.poses.copy()
    _plant_trunk(poses, strokes, rng)
    for side in ("left", "right"):
        _plant_arm(poses, side, strokes, persona, rng)
    face = plant_face(energy, [stroke.frame for stroke in strokes], rng)
    poses[:, skeleton.JAW, 0] = skeleton.JAW_OPEN_RADIANS * face[:, skeleton.JAW_OPEN]
    return Planted(Motion(poses, base.translation, FPS, face=face), tuple(strokes))


def plan_strokes(energy: np.ndarray, persona: Persona, rng: np.random.Generator) -> list[Stroke]:
    """Choose energy peaks for strokes.

    Args:
        energy: (T,) linear envelope, about 1 at the loudest syllables.

    Peaks of the smoothed envelope inside speech are taken at the persona's rate, loud ones more often, none within
    0.3 s of another. A pause longer than PAUSE_S ends a gesture phrase.
    """
    smooth = _smooth(energy, 2.0)
    rising = np.diff(smooth, prepend=smooth[0]) > 0
    peaks = np.flatnonzero(rising & ~np.roll(rising, -1) & (smooth > 0.25 * np.quantile(smooth, 0.98)))
    if len(peaks) == 0:
        return []
    speaking_s = np.count_nonzero(smooth > 0.15 * np.quantile(smooth, 0.98)) / FPS
    wanted = min(len(peaks), max(1, round(persona.strokes_per_s * speaking_s)))
    order = np.argsort(-(smooth[peaks] * rng.uniform(0.6, 1.4, len(peaks))))
    chosen: list[int] = []
    for peak in peaks[order]:
        if len(chosen) < wanted and all(abs(peak - other) >= 0.3 * FPS for other in chosen):
            chosen.append(int(peak))
    chosen.sort()

    strokes, kind, hands = [], "", ()
    for i, frame in enumerate(chosen):
        following = chosen[i + 1] if i + 1 < len(chosen) else len(energy)
        between = smooth[frame:following]
        quiet = np.count_nonzero(between < 0.1 * np.quantile(smooth, 0.98))
        if not kind or strokes[-1].last or rng.random() < 0.45:  # otherwise the gesture is repeated
            kind = str(rng.choice(list(KINDS), p=persona.kinds))
            one = "right" if rng.random() < persona.right_handed else "left"
            hands = ("left", "right") if rng.random() < KINDS[kind].both_hands else (one,)
        strokes.append(Stroke(frame, kind, hands, last=bool(quiet > PAUSE_S * FPS)))
    return strokes


def idle_track(clips: Sequence[Motion], num_frames: int, rng: np.random.Generator) -> Motion:
    """Legs, pelvis and a calmed trunk of standing people, pieces cross-faded over a second; arms at rest pose."""
    fade = FPS
    clips = [clip for clip in clips if len(clip) > 2 * fade]
    if not clips:
        raise DataError("Idle motion must have clips of more than two seconds.")
    poses, translation = [], []
    have = 0
    while have < num_frames + fade:
        clip = clips[int(rng.integers(len(clips)))]
        if rng.random() < 0.5:
            clip = clip.mirror()
        stand = clip.translation - clip.translation.mean(axis=0) * [1, 0, 1]
        poses.append(clip.poses)
        translation.append(stand)
        have += len(clip) - (fade if have else 0)
    quaternions, where = rotation.axis_angle_to_quaternion(poses[0]), translation[0]
    for piece, stand in zip(poses[1:], translation[1:], strict=True):
        following = rotation.axis_angle_to_quaternion(piece)
        weight = minimum_jerk(np.arange(fade) / fade)[:, None]
        middle = rotation.slerp(quaternions[-fade:], following[:fade], weight[..., None])
        quaternions = np.concatenate([quaternions[:-fade], middle, following[fade:]])
        crossing = (1 - weight) * where[-fade:] + weight * stand[:fade]
        where = np.concatenate([where[:-fade], crossing, stand[fade:]])
    full = rotation.quaternion_to_axis_angle(quaternions[:num_frames])
    calm = np.zeros_like(full)
    calm[:, skeleton.LOWER] = full[:, skeleton.LOWER]
    for name in ("spine1", "spine2", "spine3"):
        calm[:, skeleton.INDEX[name]] = 0.5 * full[:, skeleton.INDEX[name]]
    return Motion(calm, where[:num_frames], FPS)


def plant_face(energy: np.ndarray, accents: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """(T, 52) ARKit weights: jaw and lips from the envelope, blinks, brows on some accents, small gaze shifts."""
    num_frames = len(energy)
    face = np.zeros((num_frames, len(skeleton.ARKIT)), np.float32)

    def add(name: str, values: np.ndarray | float) -> None:
        face[:, skeleton.ARKIT_INDEX[name]] += values

    loud = np.clip(_smooth(energy, 0.8), 0, 1.2)
    jaw = np.clip(0.55 * loud**0.8 - 0.03, 0, 0.8)
    add("jawOpen", jaw)
    rounding = np.clip(_noise(num_frames, 0.25, rng), -2, 2) * np.minimum(1, 3 * loud)
    lopsided = rng.uniform(0.85, 1.15)
    for side, factor in (("Left", lopsided), ("Right", 2 - lopsided)):
        add(f"mouthLowerDown{side}", 0.45 * jaw * factor)
        add(f"mouthUpperUp{side}", 0.2 * jaw * factor)
        add(f"mouthStretch{side}", 0.25 * np.clip(-rounding, 0, 1) * loud * factor)
        smile = rng.uniform(0.03, 0.16) * (1 + 0.4 * np.clip(_noise(num_frames, 3.0, rng), -1, 2))
        add(f"mouthSmile{side}", np.clip(smile, 0, 0.3) * factor)
        add(f"eyeSquint{side}", 0.08 * factor)
    add("mouthFunnel", 0.35 * np.clip(rounding, 0, 1) * loud)
    add("mouthPucker", 0.25 * np.clip(rounding - 0.5, 0, 1) * loud)
    add("mouthClose", 0.05 * (loud < 0.05))

    blink = np.zeros(num_frames)
    frame = rng.exponential(3.0) * FPS
    while frame < num_frames:
        shape = np.array([0.35, 0.95, 1.0, 0.7, 0.3, 0.1])
        start = int(frame)
        length = min(len(shape), num_frames - start)
        blink[start : start + length] = np.maximum(blink[start : start + length], shape[:length])
        frame += (0.8 + rng.exponential(2.7)) * FPS
    for side in ("Left", "Right"):
        add(f"eyeBlink{side}", blink)

    brow = np.zeros(num_frames)
    for accent in accents:
        if rng.random() < 0.35:
            brow += rng.uniform(0.2, 0.6) * np.exp(-(((np.arange(num_frames) - accent) / (0.16 * FPS)) ** 2))
    brow = np.clip(brow + 0.08 * np.clip(_noise(num_frames, 2.0, rng), -1, 2), 0, 1)
    add("browInnerUp", 0.6 * brow)
    add("browOuterUpLeft", 0.7 * brow * lopsided)
    add("browOuterUpRight", 0.7 * brow * (2 - lopsided))

    gaze_x, gaze_y = _saccades(num_frames, rng), 0.6 * _saccades(num_frames, rng)
    add("eyeLookOutLeft", np.clip(gaze_x, 0, 1))
    add("eyeLookInRight", np.clip(gaze_x, 0, 1))
    add("eyeLookInLeft", np.clip(-gaze_x, 0, 1))
    add("eyeLookOutRight", np.clip(-gaze_x, 0, 1))
    for side in ("Left", "Right"):
        add(f"eyeLookUp{side}", np.clip(gaze_y, 0, 1))
        add(f"eyeLookDown{side}", np.clip(-gaze_y, 0, 1))
    return face.clip(0, 1)


def minimum_jerk(t: np.ndarray) -> np.ndarray:
    """Path of least jerk from 0 at t = 0 to 1 at t = 1, at rest at both ends (Flash and Hogan 1985)."""
    t = np.clip(t, 0, 1)
    return t**3 * (10 - 15 * t + 6 * t**2)


def _plant_trunk(poses: np.ndarray, strokes: Sequence[Stroke], rng: np.random.Generator) -> None:
    """Add sway to the spine and nods and turns to neck and head, in place."""
    num_frames = len(poses)
    at = np.arange(num_frames)
    nod, lean = np.zeros(num_frames), np.zeros(num_frames)
    for stroke in strokes:
        nod += rng.uniform(0.0, 0.14) * np.exp(-(((at - stroke.frame) / (0.14 * FPS)) ** 2))
        if len(stroke.hands) == 1:  # turn a little with the hand
            way = 1 if stroke.hands[0] == "left" else -1
            lean += way * rng.uniform(0.0, 0.06) * np.exp(-(((at - stroke.frame) / (0.5 * FPS)) ** 2))

    def sway(radians: float, seconds: float) -> np.ndarray:
        return radians * _noise(num_frames, seconds, rng)

    trunk = np.stack([sway(0.012, 1.5) + 0.2 * nod, sway(0.02, 1.5) + lean, sway(0.01, 1.5)], axis=-1)
    head = np.stack([sway(0.05, 0.7) + nod, sway(0.09, 0.9) + lean, sway(0.035, 0.8)], axis=-1)
    for name, share in (("spine1", trunk / 3), ("spine2", trunk / 3), ("spine3", trunk / 3), ("neck", 0.4 * head)):
        _turn(poses, name, share)
    _turn(poses, "head", 0.6 * head)


def _turn(poses: np.ndarray, name: str, by: np.ndarray) -> None:
    joint = skeleton.INDEX[name]
    turned = rotation.axis_angle_to_matrix(poses[:, joint]) @ rotation.axis_angle_to_matrix(by.astype(np.float32))
    poses[:, joint] = rotation.matrix_to_axis_angle(turned)


def _plant_arm(
    poses: np.ndarray, side: str, strokes: Sequence[Stroke], persona: Persona, rng: np.random.Generator
) -> None:
    """Set collar, shoulder, elbow, wrist and fingers of one arm, in place."""
    num_frames = len(poses)
    times, targets, palms, shapes = [0.0], *([value] for value in _rest_keys(persona, rng))

    def key(frame: float, target, palm, shape: np.ndarray) -> None:
        if len(times) > 1 and frame - times[-1] < QUICKEST_S * FPS:  # no time for both: the newer one counts
            for keys in (times, targets, palms, shapes):
                keys.pop()
        times.append(max(frame, times[-1] + 1))
        targets.append(np.asarray(target, float))
        palms.append(np.asarray(palm, float))
        shapes.append(shape)

    for stroke in strokes:
        if side not in stroke.hands:
            if stroke.last and len(times) > 1:
                key(stroke.frame + 0.3 * FPS, targets[-1], palms[-1], shapes[-1])
                key(stroke.frame + rng.uniform(0.9, 1.4) * FPS, *_rest_keys(persona, rng))
            continue
        kind = KINDS[stroke.kind]
        start, end = np.array(kind.start), np.array(kind.end)
        middle = (start + end) / 2 + rng.normal(scale=[0.035, 0.04, 0.03])
        reach = persona.size * rng.uniform(0.6, 1.25) * (end - start)
        duration = rng.uniform(0.2, 0.3) * FPS * np.sqrt(persona.size)
        preparation = rng.uniform(0.35, 0.6) * FPS
        palm = np.array(kind.palm) + rng.normal(scale=0.15, size=3)
        shape = _shape_angles(SHAPES[kind.shape]) * rng.uniform(0.7, 1.3)
        begin = stroke.frame - duration
        if begin - preparation > times[-1] + 2:  # hold what was before until the preparation starts
            key(begin - preparation, targets[-1], palms[-1], shapes[-1])
        if begin > times[-1] + 2:
            key(begin, middle - reach / 2, 0.5 * palm + 0.5 * palms[-1], 0.6 * shape + 0.4 * shapes[-1])
        key(stroke.frame, middle + reach / 2, palm, shape)
        drift = middle + reach / 2 - rng.uniform(0.1, 0.35) * reach  # recoil, then the post-stroke hold
        key(stroke.frame + rng.uniform(0.2, 0.35) * FPS, drift, palm, shape)
        if stroke.last:
            key(stroke.frame + rng.uniform(0.5, 0.8) * FPS, targets[-1], palm, shape)
            key(stroke.frame + rng.uniform(1.2, 1.8) * FPS, *_rest_keys(persona, rng))

    target = _through(times, targets, num_frames)
    palm = _through(times, palms, num_frames)
    shape = _through(times, shapes, num_frames)
    active = np.clip((target[:, 1] + 0.48) / 0.15, 0.25, 1)  # hands in the air never hold quite still
    target += active[:, None] * np.stack([0.02 * _noise(num_frames, 0.6, rng) for _ in range(3)], axis=-1)
    shape += active[:, None] * np.stack([0.12 * _noise(num_frames, 0.5, rng) for _ in range(8)], axis=-1)
    _pose_arm(poses, side, target, palm, shape.clip(-0.1, 1.6))


def _rest_keys(persona: Persona, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    target, palm = RESTS[persona.rest]
    return (
        np.array(target) + rng.normal(scale=[0.012, 0.01, 0.012]),
        np.array(palm) + rng.normal(scale=0.08, size=3),
        _shape_angles(SHAPES["relaxed"]) * rng.uniform(0.8, 1.2),
    )


def _shape_angles(shape: HandShape) -> np.ndarray:
    """(8,): index x3, others x3, thumb, spread."""
    return np.array([*shape.index, *shape.others, shape.thumb, shape.spread])


def _pose_arm(poses: np.ndarray, side: str, target: np.ndarray, palm: np.ndarray, shape: np.ndarray) -> None:
    """Rotations of one arm from wrist targets, palm directions (T, 3) and finger flexions (T, 8), in place.

    The chest is the frame of reference: it is enough that the arm hangs from it.
    """
    left = side == "left"
    out = 1.0 if left else -1.0
    flip = np.array([out, 1.0, 1.0])
    rest = mannequin().joints.astype(np.float64)
    shoulder, elbow, wrist = (rest[skeleton.INDEX[f"{side}_{name}"]] for name in ("shoulder", "elbow", "wrist"))
    upper, lower = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))

    raise_ = np.clip((target[:, 1] + 0.25) / 0.3, 0, 1) * 0.2  # the collar lifts with the hand
    collar = np.stack([0 * raise_, -0.1 * out * np.clip(target[:, 2] - 0.3, 0, 0.2) / 0.2, out * raise_], axis=-1)
    collar_matrix = rotation.axis_angle_to_matrix(collar)

    root = np.zeros_like(target)
    pole = np.array([0.45, -1.0, -0.45]) * flip
    middle, end = ik.two_bone(root, target * flip, np.broadcast_to(pole, target.shape), upper, lower)
    first, second = middle - root, end - middle
    bend = np.cross(first, second)  # the elbow's hinge; at rest it is -y for the left arm, +y for the right
    hinge_rest = np.array([0.0, -out, 0.0])
    upper_turn = ik.turn_frame(elbow - shoulder, hinge_rest, first, bend)
    lower_turn = ik.turn_frame(wrist - elbow, hinge_rest, second, bend)
    hand_turn = ik.turn_frame([out, 0, 0], [0, 1, 0], second, -(palm * flip))

    # Half of the forearm's twist goes to the elbow joint, as muscles do it, so that the wrist does not wring.
    twist = np.swapaxes(lower_turn, -1, -2) @ hand_turn
    half = rotation.axis_angle_to_matrix(0.5 * rotation.matrix_to_axis_angle(twist))
    lower_turn = lower_turn @ half
    chain = {
        "collar": collar_matrix,
        "shoulder": np.swapaxes(collar_matrix, -1, -2) @ upper_turn,
        "elbow": np.swapaxes(upper_turn, -1, -2) @ lower_turn,
        "wrist": np.swapaxes(lower_turn, -1, -2) @ hand_turn,
    }
    for name, matrix in chain.items():
        poses[:, skeleton.INDEX[f"{side}_{name}"]] = rotation.matrix_to_axis_angle(matrix)

    curl = {"index": (0, 1.0, 1.0), "middle": (3, 0.9, 0.3), "ring": (3, 1.05, -0.4), "pinky": (3, 1.15, -1.0)}
    for finger, (column, amount, fan) in curl.items():
        for n in range(3):
            joint = skeleton.INDEX[f"{side}_{finger}{n + 1}"]
            poses[:, joint, 2] = -out * amount * shape[:, column + n]  # about z, towards the palm
            poses[:, joint, 1] = -out * fan * shape[:, 7] * (n == 0)
    for n, amount in enumerate((0.5, 0.6, 0.6)):
        joint = skeleton.INDEX[f"{side}_thumb{n + 1}"]
        child = rest[joint + 1] - rest[joint] if n < 2 else rest[joint] - rest[joint - 1]
        axis = np.cross(child, np.array([0.4 * out, -1.0, -0.6]))
        poses[:, joint] = (amount * shape[:, 6])[:, None] * axis / np.linalg.norm(axis)


def _through(times: list[float], values: list[np.ndarray], num_frames: int) -> np.ndarray:
    """(num_frames, D) minimum-jerk path through keys, at rest at each of them."""
    at, known = np.arange(num_frames), np.array(times)
    i = np.clip(np.searchsorted(known, at, side="right") - 1, 0, len(known) - 1)
    following = np.minimum(i + 1, len(known) - 1)
    span = np.maximum(known[following] - known[i], 1e-6)
    weight = minimum_jerk((at - known[i]) / span)[:, None]
    stacked = np.stack(values)
    return (1 - weight) * stacked[i] + weight * stacked[following]


def _smooth(values: np.ndarray, frames: float) -> np.ndarray:
    """Gaussian smoothing with a standard deviation in frames, edges repeated."""
    reach = int(np.ceil(4 * frames))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid")


def _noise(num_frames: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(num_frames,) smooth noise of unit variance that changes over about `seconds`."""
    frames = seconds * FPS / 2
    noise = _smooth(rng.normal(size=num_frames + 8 * int(frames + 1)), frames)
    noise = noise / np.sqrt(1 / (2 * np.sqrt(np.pi) * frames))
    return noise[:num_frames]


def _saccades(num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """(num_frames,) gaze that jumps every second or so and mostly looks ahead."""
    gaze, frame = np.zeros(num_frames), 0.0
    while frame < num_frames:
        gaze[int(frame) :] = rng.normal(scale=0.18) if rng.random() < 0.5 else 0.0
        frame += (0.4 + rng.exponential(1.2)) * FPS
    return _smooth(gaze, 0.7)
