"""Actions that words can ask for: "raises the right hand", "crouches", each with its motion and many captions.

Somebody who stands, or who talks and gestures, does one of them: hands by inverse kinematics, head and trunk by turns,
pelvis and feet by inverse kinematics of the legs, along paths of least jerk. What an action does not need goes on as
before. The actions themselves are a table (`moves`), their words another (`phrases.json`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cospeech import prosody, rotation, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.data import arms, standing
from cospeech.data.arms import Track
from cospeech.data.moves import ACTIONS, Action
from cospeech.data.noise import smooth_noise
from cospeech.data.planning import Persona
from cospeech.data.store import ClipInfo, StoredClip
from cospeech.errors import DataError
from cospeech.finish import finish
from cospeech.motion import Motion

FPS = 30
_MARGIN_S = 0.3  # before and after an action
_OVERLAP_S = 0.1  # a movement begins before the one before it has ended
_BACK_S = 0.85
_CAPTIONS = 12  # of a clip
_CLIP_S = (5.5, 7.5)
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


def captions() -> list[Caption]:
    """Every caption of every action, once for each part of the body that carries it."""
    return [
        Caption(text, name, part)
        for name, action in ACTIONS.items()
        for text in _captions(action)
        for part in action.parts
    ]


def _captions(action: Action) -> list[str]:
    texts = [
        around.format(_inflect(phrase, form).format(the=the, side=action.side))
        for around, form, the in _SENTENCES
        for phrase in action.phrases
    ]
    return list(dict.fromkeys(texts))


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
    end: int  # one past its last


def perform(name: str, num_frames: int, fps: float, rng: np.random.Generator, over: Motion | None = None) -> Performed:
    """Somebody does an action, as people differ: faster, smaller, longer, once more; most go back afterwards.

    Args:
        name: A key of `ACTIONS`.
        over: A motion of as many frames, facing +z, whose parts go on where the action does not need them.
            Without it somebody stands quietly.
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
    score = _play(action, num_frames, fps, rng)
    poses = base.poses.astype(np.float64)
    for side, taken in score.taken.items():
        _move_arm(poses, side, score.values(side), taken.values(num_frames), fps, rng)
    _lift_shoulders(poses, score.values("shoulders"))
    for joint in ("spine1", "spine2", "spine3"):
        standing.turn(poses, joint, score.values("trunk") / 3)
    standing.turn(poses, "neck", 0.45 * score.values("head"))
    standing.turn(poses, "head", 0.55 * score.values("head"))
    translation = _move_legs(poses, base.translation, score, fps)
    motion = finish(replace(base, poses=poses, translation=translation))
    texts = _captions(action)
    chosen = (texts[0], *rng.permutation(texts[1:])[: _CAPTIONS - 1].tolist())
    return Performed(motion.mirror() if mirrored else motion, chosen, action.parts, score.start, score.end)


@dataclass
class _Score:
    """Where every part of the body goes when."""

    num_frames: int
    start: int
    end: int
    tracks: dict[str, Track]
    taken: dict[str, Track]  # of each hand that takes part: 1 while the action has it

    def values(self, part: str) -> np.ndarray:
        return self.tracks[part].values(self.num_frames)


def _play(action: Action, num_frames: int, fps: float, rng: np.random.Generator) -> _Score:
    """Lay the keys of an action out in time."""
    tracks = {part: Track(np.zeros(size)) for part, size in _SIZES.items()}
    if not action.keys:
        return _Score(num_frames, 0, num_frames, tracks, {})
    tempo, scale = rng.uniform(0.85, 1.3), rng.uniform(0.9, 1.1)
    style = np.zeros(14)  # of the hands
    style[:3], style[13] = rng.normal(scale=action.freedom, size=3), rng.normal(scale=0.1)
    keys = [*action.keys, *action.cycle * int(rng.integers(action.times[0], action.times[1] + 1))]
    lengths = [key.seconds * tempo * rng.uniform(0.92, 1.08) * fps for key in keys]
    there = sum(lengths)
    home = max(_BACK_S * tempo * fps, lengths[0])  # of a hand
    back = there if action.walks else home
    room = num_frames - 2 * _MARGIN_S * fps - there
    if room < 0:
        needed_s = there / fps + 2 * _MARGIN_S
        raise DataError(f"The action takes {needed_s:.1f} s, not {num_frames / fps:.1f} s. Ask for more frames.")
    stays = room < back + 0.5 * fps or rng.random() < 0.2
    hold = min((rng.uniform(0.1, 0.4) if action.cycle else rng.uniform(0.5, 3.0)) * fps, room - back)
    slack = 0.3 * room if stays else room - hold - back
    start = at = _MARGIN_S * fps + slack * rng.random()

    taken: dict[str, Track] = {}
    returns = []
    for key, length in zip(keys, lengths, strict=True):
        returns.append({part: tracks[part].goal for part in key.goals if part in _SIZES})
        for part, goal in key.goals.items():
            if part in _SIZES:
                _go(tracks[part], part, scale * goal, at, at + length, fps)
            elif part in tracks:
                tracks[part].go(goal + style, at - _OVERLAP_S * fps, at + length)
            else:  # the hand comes from where it is
                tracks[part], taken[part] = Track(goal + style), Track(np.zeros(1))
                taken[part].go([1.0], at, at + length)
        at += length
    if stays:
        return _Score(num_frames, round(start), num_frames, tracks, taken)
    at += hold
    if not action.walks:  # all at once, else step by step the way they came
        lengths, returns = [back], [{part: np.zeros(size) for part, size in _SIZES.items()}]
    for hand in taken.values():
        hand.go([0.0], at, at + home)
    for length, goals in zip(reversed(lengths), reversed(returns), strict=True):
        for part, goal in goals.items():
            _go(tracks[part], part, goal, at, at + length, fps)
        at += length
    return _Score(num_frames, round(start), round(at), tracks, taken)


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
    """Every action twice by somebody silent, then one after the other over pieces of clips of people who talk.

    Args:
        talking: Planted motion at 30 fps with its speech; with it ends the iteration.
        seed: Same seed, same clips.
    """
    yield from _silent_clips([*ACTIONS, *ACTIONS], seed)
    yield from _spoken_clips(talking, seed)


def _silent_clips(names: Sequence[str], seed: int) -> Iterator[StoredClip]:
    has = ("upper", "hands", "lower")
    for number, name in enumerate(names):
        rng = np.random.default_rng((seed, 0, number))
        num_frames = round(rng.uniform(*_CLIP_S) * FPS)
        performed = perform(name, num_frames, FPS, rng)
        split = "val" if number % 12 == 0 else "train"
        info = ClipInfo(f"actions/{name}/{number}", split, "actions", LICENCE, num_frames, has, performed.captions)
        face = np.zeros((num_frames, len(skeleton.ARKIT)), np.float32)
        heard = np.zeros((num_frames, prosody.NUM_FEATURES), np.float32)
        yield StoredClip(info, performed.motion.poses, performed.motion.translation, face, heard)


def _spoken_clips(talking: Iterable[StoredClip], seed: int) -> Iterator[StoredClip]:
    names = np.random.default_rng(seed).permutation([name for name, action in ACTIONS.items() if action.keys])
    number = 0
    for clip in talking:
        begin = 0
        while True:
            rng = np.random.default_rng((seed, 1, number))
            end = begin + round(rng.uniform(*_CLIP_S) * FPS)
            if end > clip.info.num_frames:
                break
            name, piece = str(names[number % len(names)]), slice(begin, end)
            over = Motion(clip.poses[piece], clip.translation[piece], FPS)
            performed = perform(name, end - begin, FPS, rng, over)
            info = replace(
                clip.info,
                id=f"actions/{name}/{clip.info.id}/{begin}",
                source="actions",
                num_frames=end - begin,
                captions=performed.captions,
            )
            motion = performed.motion
            yield StoredClip(info, motion.poses, motion.translation, clip.face[piece], clip.speech[piece])
            begin, number = end, number + 1
