"""Actions that words can ask for: "raises the right hand", "crouches", each with its motion and many captions.

Somebody who stands, or who talks and gestures, does one of them: hands by inverse kinematics, head and trunk by turns,
pelvis and feet by inverse kinematics of the legs, along paths of least jerk. What an action does not need goes on as
before. The actions themselves are a table (`moves`), their words another (`phrases.json`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from cospeech import prosody, rotation, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.data import arms, gait, standing
from cospeech.data.arms import Track
from cospeech.data.moves import ACTIONS, Action
from cospeech.data.noise import smooth_noise
from cospeech.data.planning import Persona
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import DataError
from cospeech.finish import finish
from cospeech.motion import Motion
from cospeech.smoothing import smooth

FPS = 30
_MARGIN_S = 0.3  # before and after an action
_SOON_S = 0.8  # and it begins before that;
_BEGINS_S = (0.55, 1.3)  # one that lasts between these: what is seen before it says nothing about it
_HOLD_S = (0.4, 1.6)
_OVERLAP_S = 0.1  # a movement begins before the one before it has ended
_BACK_S = 0.85
_CAPTIONS = 12  # of a clip
# Hands of who talks and holds them somewhere go on with small beats: a part of what they would have done. McNeill 1992,
# Hand and Mind: beats over a gesture that is held.
_BEATS, _BEATS_S, _BEATS_M = (0.2, 0.5), 0.6, 0.1
# Clips in which an action begins, goes on, or ends: their share, and how long people are watched for them. Of the last
# two only what comes after the action is in full swing is kept.
_KINDS = {"begins": (0.55, (4.8, 5.4)), "goes on": (0.2, (7.0, 8.0)), "ends": (0.25, (8.0, 9.0))}
# How often some actions are done for once that others are: those that are asked for most, and those that are hardest,
# as legs that walk can be anywhere in their cycle. By the beginnings of their names.
_OFTEN = {
    **{"walk": 8, "run": 8, "turn_": 6, "clap": 5, "crouch": 5, "bow": 3, "point_forward": 2, "wave": 4},
    **{"raise_left_hand": 4, "raise_right_hand": 4},
}
LICENCE = "made by this project"
_LIFT_M, _TOES_DOWN = 0.065, 0.27  # of a foot on its way to another place; radians
# Parts that move on top of what they do anyway; zero is no change. Hands are put elsewhere instead.
_SIZES = {"head": 3, "trunk": 3, "shoulders": 1, "pelvis": 6, "right_foot": 5, "left_foot": 5}
_ARM = {  # joints of an arm with its hand
    side: [j for j in (*skeleton.UPPER, *skeleton.HANDS) if skeleton.JOINTS[j].startswith(side)]
    for side in ("right", "left")
}


# --- captions -------------------------------------------------------------------------------------------------------

# A phrase becomes a sentence: what is around it, the form of its verbs, and whose body it is.
_SENTENCES = (
    ("{}", "third", "the"),
    ("a person {}", "third", "their"),
    ("someone {}", "third", "the"),
    ("the speaker {}", "third", "their"),
    ("he {}", "third", "his"),
    ("she {}", "third", "her"),
    ("{}", "base", "the"),
    ("{}", "base", "your"),
    ("{}", "gerund", "the"),
    ("a person is {}", "gerund", "their"),
)


class Caption(NamedTuple):
    text: str
    action: str
    part: str  # upper, hands or lower
    phrase: str  # of which it is made


def captions() -> list[Caption]:
    """Every caption of every action, once for each part of the body that carries it."""
    return [
        Caption(text, name, part, phrase)
        for name, action in ACTIONS.items()
        for text, phrase in _captions(action).items()
        for part in action.parts
    ]


def _captions(action: Action) -> dict[str, str]:
    """Sentence -> its phrase."""
    found: dict[str, str] = {}
    for around, form, the in _SENTENCES:
        for phrase in action.phrases:
            found.setdefault(around.format(_inflect(phrase, form).format(the=the, side=action.side)), phrase)
    return found


def _inflect(phrase: str, form: str) -> str:
    """The verbs behind "~" in the base form, the third person or the gerund."""
    inflected = {"base": str, "third": _third_person, "gerund": _gerund}[form]
    return re.sub(r"~(\w+)", lambda match: inflected(match[1]), phrase)


def _third_person(verb: str) -> str:
    return verb + ("es" if re.search(r"(s|sh|ch|x|o)$", verb) else "s")


def _gerund(verb: str) -> str:
    if re.fullmatch(r"[^aeiou]*(qu)?[aeiou][^aeiouwxy]", verb):  # nod, squat
        return verb + verb[-1] + "ing"
    return re.sub(r"(?<!e)e$", "", verb) + "ing"


# --- motion ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Performed:
    motion: Motion
    captions: tuple[str, ...]
    parts: tuple[str, ...]
    start: int  # first frame of the action
    there: int  # frame at which it is in full swing
    end: int  # one past its last


def perform(
    name: str, num_frames: int, fps: float, rng: np.random.Generator, over: Motion | None = None, lasts: bool = False
) -> Performed:
    """Somebody does an action, as people differ: faster, smaller, longer, once more; and goes back afterwards.

    Args:
        name: A key of `ACTIONS`.
        over: A motion of as many frames, facing +z, whose parts go on where the action does not need them. What
            legs do leaves it the hands. Without it somebody stands quietly.
        lasts: They begin soon and go on until the last frame: stay, repeat, or do it again and again.
    """
    action = ACTIONS[name]
    if over is not None and len(over) != num_frames:
        raise DataError(f"`over` has {len(over)} frames, the action is to have {num_frames}.")
    base = _at_rest(num_frames, fps, rng) if over is None else over
    mirrored = rng.random() < 0.5
    if action.side:
        mirrored = action.side == "left"
    if mirrored:
        base = base.mirror()
    if action.gait:
        motion, start, there, end = _go_forward(action.gait, base, over is None, lasts, rng)
    else:
        if over is not None and action.parts == ("lower",):
            action = action.with_free_hands()
        score = _play(action, num_frames, fps, rng, lasts)
        beats = None if over is None or action.cycle else rng.uniform(*_BEATS) * min(action.freedom / 0.025, 1.0)
        motion, start, there, end = _follow(score, base, rng, beats), score.start, score.there, score.end
    texts = list(_captions(action))
    chosen = (texts[0], *rng.permutation(texts[1:])[: _CAPTIONS - 1].tolist())
    motion = finish(motion)
    return Performed(motion.mirror() if mirrored else motion, chosen, action.parts, start, there, end)


def _go_forward(
    name: Literal["walk", "run"], base: Motion, swings: bool, lasts: bool, rng: np.random.Generator
) -> tuple[Motion, int, int, int]:
    """The motion, and the frames at which it begins, is in full swing, and is over."""
    fps, num_frames = base.fps, len(base)
    begin = round(rng.uniform(*(_BEGINS_S if lasts else (_MARGIN_S, _SOON_S))) * fps)
    there = begin + round(gait.START_S * fps)
    end = (
        num_frames if lasts else min(there + round(rng.uniform(*_HOLD_S) * fps), num_frames - round(gait.STOP_S * fps))
    )
    if end < there:
        needed_s = _SOON_S + gait.START_S + gait.STOP_S
        raise DataError(f"The action takes {needed_s:.1f} s, not {num_frames / fps:.1f} s. Ask for more frames.")
    stands = min(end + round(gait.STOP_S * fps), num_frames)
    return gait.go(name, base, begin, end, swings, rng), begin, there, stands


@dataclass
class _Score:
    """Where every part of the body goes when."""

    num_frames: int
    tracks: dict[str, Track]
    taken: dict[str, Track]  # of each hand that takes part: 1 while the action has it
    start: int = 0
    there: int = 0
    end: int = 0

    def values(self, part: str) -> np.ndarray:
        return self.tracks[part].values(self.num_frames)


def _play(action: Action, num_frames: int, fps: float, rng: np.random.Generator, lasts: bool) -> _Score:
    """Lay the keys of an action out in time."""
    score = _Score(num_frames, {part: Track(np.zeros(size)) for part, size in _SIZES.items()}, {}, 0, 0, num_frames)
    if not action.keys:
        return score
    tempo, scale = rng.uniform(0.85, 1.3), rng.uniform(0.9, 1.1)
    style = np.zeros(14)  # of the hands
    style[:3], style[13] = rng.normal(scale=action.freedom, size=3), rng.normal(scale=0.1)
    last = num_frames - _MARGIN_S * fps
    at = 0.0
    while True:
        times = int(rng.integers(action.times[0], action.times[1] + 1))
        if lasts and action.cycle:
            times = max(round(num_frames / fps / sum(key.seconds for key in action.cycle)), times)
        keys = [*action.keys, *action.cycle * times]
        lengths = [key.seconds * tempo * rng.uniform(0.92, 1.08) * fps for key in keys]
        there = sum(lengths)
        home = max(_BACK_S * tempo * fps, lengths[0])  # of a hand
        back = there if action.walks else home
        room = last - max(at, _MARGIN_S * fps) - there
        if at and room < back:
            return score
        if not lasts and room < 0:
            needed_s = there / fps + 2 * _MARGIN_S
            raise DataError(f"The action takes {needed_s:.1f} s, not {num_frames / fps:.1f} s. Ask for more frames.")
        stays = (lasts and not action.brief) or room < back + 0.5 * fps
        hold = min((rng.uniform(0.1, 0.4) if action.cycle else rng.uniform(*_HOLD_S)) * fps, room - back)
        if not at:
            slack = room if stays else room - hold - back
            latest = _MARGIN_S * fps + np.clip(slack, 0, (_SOON_S - _MARGIN_S) * fps)
            at = rng.uniform(*_BEGINS_S) * fps if lasts else rng.uniform(_MARGIN_S * fps, latest)
            score.start, score.there = round(at), round(at + sum(lengths[: len(action.keys)]))
        returns = []
        for key, length in zip(keys, lengths, strict=True):
            returns.append({part: score.tracks[part].goal for part in key.goals if part in _SIZES})
            _reach(score, key.goals, scale, style, at, length, fps)
            at += length
        if stays:
            score.end = num_frames
            return score
        at += hold
        if not action.walks:  # all at once, else step by step the way they came
            lengths, returns = [back], [{part: np.zeros(size) for part, size in _SIZES.items()}]
        for hand in score.taken.values():
            hand.go([0.0], at, at + home)
        for length, goals in zip(reversed(lengths), reversed(returns), strict=True):
            for part, goal in goals.items():
                _go(score.tracks[part], part, goal, at, at + length, fps)
            at += length
        score.end = round(at)
        if not lasts:
            return score
        at += rng.uniform(0.3, 0.8) * fps


def _reach(
    score: _Score, goals: dict[str, np.ndarray], scale: float, style: np.ndarray, at: float, length: float, fps: float
) -> None:
    """Parts of the body go where a key says, from a frame on and in so many frames."""
    for part, goal in goals.items():
        if part in _SIZES:
            _go(score.tracks[part], part, scale * goal, at, at + length, fps)
            continue
        if part in score.tracks:
            score.tracks[part].go(goal + style, at - _OVERLAP_S * fps, at + length)
        else:
            score.tracks[part], score.taken[part] = Track(goal + style), Track(np.zeros(1))
        if not score.taken[part].goal[0]:  # the hand comes from where it is
            score.taken[part].go([1.0], at, at + length)


def _follow(score: _Score, base: Motion, rng: np.random.Generator, beats: float | None) -> Motion:
    poses = base.poses.astype(np.float64)
    for side, taken in score.taken.items():
        hand = score.values(side)
        if beats is not None:
            hand[:, :3] += beats * _quick_part(base, side)
        _move_arm(poses, side, hand, taken.values(len(base)), base.fps, rng)
    _lift_shoulders(poses, score.values("shoulders"))
    for joint in ("spine1", "spine2", "spine3"):
        standing.turn(poses, joint, score.values("trunk") / 3)
    standing.turn(poses, "neck", 0.45 * score.values("head"))
    standing.turn(poses, "head", 0.55 * score.values("head"))
    translation = _move_legs(poses, base.translation, score, base.fps)
    return replace(base, poses=poses, translation=translation)


def _go(track: Track, part: str, goal: np.ndarray, begin: float, end: float, fps: float) -> None:
    if part.endswith("_foot"):
        step_m = np.linalg.norm((goal - track.goal)[[0, 2]]) if goal[1] == track.goal[1] else 0.0
        share = min(1.0, float(step_m) / 0.2)  # small steps are low
        track.go(goal, begin, end, bow=[0, share * _LIFT_M, 0, 0, share * _TOES_DOWN])
    else:
        track.go(goal, begin - _OVERLAP_S * fps, end)


def _at_rest(num_frames: int, fps: float, rng: np.random.Generator) -> Motion:
    """Somebody stands quietly and lets the arms hang or rest."""
    base = standing.stand(num_frames, fps, rng, still=True)
    poses = base.poses.astype(np.float64)
    arms.plant_arms(poses, (), fps, Persona.random(rng), rng)
    for joint in ("spine2", "neck", "head"):
        standing.turn(poses, joint, smooth_noise(num_frames, 3, 1.2, fps, rng) * [0.008, 0.014, 0.006])
    return replace(base, poses=poses)


def _move_arm(
    poses: np.ndarray, side: str, hand: np.ndarray, taken: np.ndarray, fps: float, rng: np.random.Generator
) -> None:
    """Put one arm where `hand` (T, 14) says as far as it is `taken` (T, 1), in place."""
    num_frames = len(poses)
    wrist = hand[:, :3] + smooth_noise(num_frames, 3, 0.9, fps, rng) * 0.005
    shape = hand[:, 6:12] + smooth_noise(num_frames, 6, 0.8, fps, rng) * 0.02
    swivel = hand[:, 13] + smooth_noise(num_frames, 1, 1.5, fps, rng)[:, 0] * 0.04
    posed = poses.copy()
    arms.pose_arm(posed, side, wrist, hand[:, 3:6], shape, hand[:, 12], swivel)
    poses[:, _ARM[side]] = _mix(poses[:, _ARM[side]], posed[:, _ARM[side]], taken)


def _quick_part(base: Motion, side: str) -> np.ndarray:
    """(T, 3) how a wrist leaves the place where it is for a while: metres, in the chest's frame, as of a left arm."""
    body = joint_transforms(mannequin(), base.poses, base.translation)
    chest, wrist = skeleton.INDEX["spine3"], skeleton.INDEX[f"{side}_wrist"]
    from_chest = (body.positions[:, wrist] - body.positions[:, chest])[:, None] @ body.rotations[:, chest]
    path = from_chest[:, 0] * [1.0 if side == "left" else -1.0, 1.0, 1.0]
    quick = path - smooth(path, _BEATS_S * base.fps, "values")
    length = np.linalg.norm(quick, axis=1, keepdims=True)
    return quick * np.tanh(length / _BEATS_M) * _BEATS_M / np.maximum(length, 1e-6)


def _lift_shoulders(poses: np.ndarray, lift: np.ndarray) -> None:
    """Turn the collars up by (T, 1) radians, in place; the arms only move along."""
    for side, out in (("right", -1), ("left", 1)):
        by, joint = lift * [0, 0, out], skeleton.INDEX[f"{side}_shoulder"]
        standing.turn(poses, f"{side}_collar", by)
        arm = rotation.axis_angle_to_matrix(-by) @ rotation.axis_angle_to_matrix(poses[:, joint])
        poses[:, joint] = rotation.matrix_to_axis_angle(arm)


def _move_legs(poses: np.ndarray, translation: np.ndarray, score: _Score, fps: float) -> np.ndarray:
    """Move pelvis and feet (T, 55, 3) as far as the score says, in place; returns the new translation (T, 3)."""
    moves = {part: score.values(part) for part in ("pelvis", "right_foot", "left_foot")}
    if not any(move.any() for move in moves.values()):
        return translation
    before = joint_transforms(mannequin(), poses, translation.astype(np.float64))
    pelvis = before.positions[:, 0] + moves["pelvis"][:, :3]
    posed = poses.copy()
    turns = before.rotations[:, 0] @ rotation.axis_angle_to_matrix(moves["pelvis"][:, 3:])
    posed[:, 0] = rotation.matrix_to_axis_angle(turns)
    for side in ("right", "left"):
        ankle, move = skeleton.INDEX[f"{side}_ankle"], moves[f"{side}_foot"]
        foot = rotation.axis_angle_to_matrix(move[:, [4, 3]] @ np.eye(3)[:2]) @ before.rotations[:, ankle]
        standing.pose_leg(posed, side, before.positions[:, ankle] + move[:, :3], foot, pelvis, turns)
    # Other legs than those of `standing` may be turned a little otherwise: change over while the feet are in place.
    taken, ramp = Track(np.zeros(1)), _MARGIN_S * fps
    taken.go([1.0], score.start - _OVERLAP_S * fps - ramp, score.start - _OVERLAP_S * fps)
    taken.go([0.0], score.end, score.end + ramp)
    weight = taken.values(len(poses))
    poses[:, skeleton.LOWER] = _mix(poses[:, skeleton.LOWER], posed[:, skeleton.LOWER], weight)
    return pelvis - mannequin().joints[0]


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(T, J, 3) rotations between `a` (weight (T, 1) is 0) and `b` (1)."""
    a, b = rotation.axis_angle_to_quaternion(a), rotation.axis_angle_to_quaternion(b)
    return rotation.quaternion_to_axis_angle(rotation.slerp(a, b, weight[..., None]))


# --- clips ----------------------------------------------------------------------------------------------------------


def clips(talking: Iterable[StoredClip], seed: int) -> Iterator[StoredClip]:
    """Every action by somebody silent, then one after the other over pieces of clips of people who talk.

    What a caption says begins, or goes on, and lasts to the end of its clip. A quarter of the spoken clips have none:
    they begin in the middle of an action and come back to talking, which is what follows when nobody asks any longer.

    Args:
        talking: Planted motion at 30 fps with its speech; with it ends the iteration.
        seed: Same seed, same clips.
    """
    yield from _silent_clips(3 * _names(), seed)
    yield from _spoken_clips(talking, seed)


def _names() -> list[str]:
    """Every action as often as it is to be done."""
    times = {name: next((n for prefix, n in _OFTEN.items() if name.startswith(prefix)), 1) for name in ACTIONS}
    return [name for name, n in times.items() for _ in range(n)]


def _silent_clips(names: Sequence[str], seed: int) -> Iterator[StoredClip]:
    has = ("upper", "hands", "lower")
    for number, name in enumerate(names):
        rng = np.random.default_rng((seed, 0, number))
        num_frames = round(rng.uniform(*_KINDS["begins"][1]) * FPS)
        performed = perform(name, num_frames, FPS, rng, lasts=True)
        split = "val" if number % 12 == 0 else "train"
        info = ClipInfo(f"actions/{name}/{number}", split, "actions", LICENCE, num_frames, has, performed.captions)
        face = np.zeros((num_frames, len(skeleton.ARKIT)), np.float32)
        heard = np.zeros((num_frames, prosody.NUM_FEATURES), np.float32)
        yield StoredClip(info, performed.motion.poses, performed.motion.translation, face, heard)


def _spoken_clips(talking: Iterable[StoredClip], seed: int) -> Iterator[StoredClip]:
    names = [name for name in _names() if ACTIONS[name].keys or ACTIONS[name].gait]
    names = np.random.default_rng(seed).permutation(names)
    shares = [share for share, _ in _KINDS.values()]
    number = 0
    for clip in talking:
        begin = 0
        while True:
            rng = np.random.default_rng((seed, 1, number))
            kind = str(rng.choice(list(_KINDS), p=shares))
            end = begin + round(rng.uniform(*_KINDS[kind][1]) * FPS)
            if end > clip.info.num_frames:
                break
            name = str(names[number % len(names)])
            over = Motion(clip.poses[begin:end], clip.translation[begin:end], FPS)
            performed = perform(name, end - begin, FPS, rng, over, lasts=kind != "ends")
            first = 0 if kind == "begins" else performed.there
            kept = slice(begin + first, end)
            info = replace(
                clip.info,
                id=f"actions/{name}/{clip.info.id}/{kept.start}",
                source="actions",
                num_frames=end - kept.start,
                captions=() if kind == "ends" else performed.captions,
            )
            poses, translation = performed.motion.poses[first:], performed.motion.translation[first:]
            yield StoredClip(info, poses, translation, clip.face[kept], clip.speech[kept])
            begin, number = end, number + 1
