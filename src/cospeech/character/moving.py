"""Motion of the SMPL-X joints -> how the bones of a character turn.

1. Every bone takes the rotation of its joint in the world, seen from the T pose: what differs in the rest poses
   (`rest_pose`) and in the axes of the bones does not matter. Where a character has more or fewer bones in its spine,
   its neck or a finger, each takes a share between two joints.
2. The hips go their way in proportion to the legs, low enough for both legs to reach.
3. Each foot is where it was in proportion to the legs, ball for ball, and aside as the hips are broader: one that
   stands, stands. It is as high off the floor, heel or ball, whichever is lower. Each wrist is where it was from the
   shoulder in proportion to the arm; hands that are near each other are as near in proportion, if the arms reach.
4. Legs and arms are bent and turned to get there; hands and feet stay turned as they were.

All is per frame but for the height of the hips. Frames: T. The inverse of `retarget`, whose direction is the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from cospeech import ik, rotation, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.capture import Bones, Movement
from cospeech.character.matching import Match
from cospeech.errors import MotionError
from cospeech.motion import Motion
from cospeech.rest_pose import heading, t_pose_frames
from cospeech.rotation import axis_angle_to_matrix, cross, unit
from cospeech.skeleton import INDEX
from cospeech.smoothing import cover, ease

SIDES = ("left", "right")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_CHUNK = 4096  # frames at a time
HEEL_M = 0.05  # of our body: how far behind the ankle the heel touches the floor
_STANDS = 0.15  # of a leg: a lowest joint less than that above y = 0 stands on it
_EASY, _STRETCHED = 0.985, 0.998  # of a leg or arm, as in `finish.feet`
_BENT = 0.9  # of an arm: no further is it stretched to bring a hand to the other
_HEIGHT_SMOOTHING_S = 0.15
_STRAIGHT = 0.2  # sine of the bend below which a limb's own plane says little
_TOGETHER, _ASUNDER = 0.35, 0.8  # of an arm: hands so far apart keep their distance, and no longer


@dataclass(frozen=True)
class Driven:
    """A bone and the rotation it takes: a share between those of two joints of SMPL-X."""

    joint: int
    first: str
    second: str
    share: float
    frame: np.ndarray  # (3, 3) turns our T pose into the rest pose of the bone


@dataclass(frozen=True)
class Roll:
    """A bone in the forearm that takes a part of the hand's turn about it."""

    joint: int
    side: str
    share: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A character beside our body. All in our axes, in the unit of the character, standing on y = 0 at x = z = 0."""

    bones: Bones
    person: Match
    axes: np.ndarray  # (3, 3) from our axes to those of the character: columns left, up, forward
    places: np.ndarray  # (J, 3)
    driven: tuple[Driven, ...]  # parents before children
    rolls: tuple[Roll, ...]
    root: int
    offset: np.ndarray  # (3,) from there to where it stands in its file, on the floor

    @cached_property
    def at(self) -> dict[str, np.ndarray]:
        """SMPL-X name -> (3,)"""
        return {name: self.places[j] for name, j in self.person.joints.items()}

    @cached_property
    def legs(self) -> float:
        """Length of its legs, in its unit, for each metre of ours."""
        return _length(self.at, "hip", "knee", "ankle") / _length(_standing(), "hip", "knee", "ankle")

    @cached_property
    def arms(self) -> float:
        return _length(self.at, "shoulder", "elbow", "wrist") / _length(_standing(), "shoulder", "elbow", "wrist")

    @cached_property
    def ankle_height(self) -> float:
        """Of an ankle above the sole, with the foot flat. Where it rests on one leg, the lower one tells."""
        return float(min(self.at[f"{side}_ankle"][1] for side in SIDES))

    def ball(self, side: str) -> np.ndarray:
        """(3,) from the ankle to the ball of the foot; where ours would be, of a character that has no bone there."""
        if f"{side}_foot" in self.at:
            return self.at[f"{side}_foot"] - self.at[f"{side}_ankle"]
        ours = _standing()
        return self.legs * (ours[f"{side}_foot"] - ours[f"{side}_ankle"])

    def to_world(self, positions: np.ndarray) -> np.ndarray:
        return positions @ self.axes.T + self.offset


def fit(bones: Bones, person: Match) -> Fit:
    """Find out how a character stands. Raises `MotionError` where it does not stand."""
    at = {name: bones.positions[j] for name, j in person.joints.items()}
    axes = heading(at)
    if axes is None:
        raise MotionError("it does not stand upright at rest. Export it in its T or A pose.")
    table = {name: bones.rotations[person.joints[name]] @ frame for name, frame in person.t_pose.items() if name in at}
    frames = t_pose_frames(at, mannequin("light").joints, table, flat_feet=not table)
    frames = {name: axes.T @ frame for name, frame in frames.items()}
    hips = (at["left_hip"] + at["right_hip"]) / 2
    upright = bones.positions @ axes
    floor = _floor(bones, person, upright, _length(at, "hip", "knee", "ankle"))
    under = axes.T @ hips * [1, 0, 1]
    places = upright - under - [0, floor, 0]
    root = bones.common([person.joints[f"{side}_{joint}"] for side in SIDES for joint in ("hip", "shoulder")])
    driven = {each.joint: each for each in _driven(bones, person, root, frames)}  # one bone may play two joints
    driven = tuple(driven[j] for j in sorted(driven))
    return Fit(bones, person, axes, places, driven, tuple(_rolls(bones, person, places)), root, axes @ under)


def move(motion: Motion, fit: Fit, still: frozenset[str] = frozenset()) -> Movement:
    """The movement of a character's bones.

    Args:
        still: SMPL-X names of joints whose bones are left alone: a jaw whose opening is a face shape, say.
    """
    driven = [each.joint for each in fit.driven if each.first not in still]
    joints = (*driven, *(roll.joint for roll in fit.rolls))
    rotations = np.empty((len(joints), len(motion), 4), np.float32)
    path = np.empty((len(motion), 3))
    for part, frames in _frames(motion, fit):
        turned = frames.turned()
        path[part] = fit.to_world(frames.root)
        for n, j in enumerate(joints):
            rotations[n, part] = rotation.matrix_to_quaternion(_local(fit, turned, j))
    for quaternions in rotations:
        quaternions[:] = rotation.without_flips(quaternions)
    return Movement(motion.fps, joints, rotations, fit.root, path, motion.metadata)


def targets(motion: Motion, fit: Fit) -> dict[str, np.ndarray]:
    """SMPL-X name of both wrists and both ankles -> (T, 3) where they should get, in the character's world."""
    found = {f"{side}_{joint}": np.empty((len(motion), 3)) for side in SIDES for joint in ("wrist", "ankle")}
    for part, frames in _frames(motion, fit):
        for name, at in (frames.wrists() | frames.ankles()).items():
            found[name][part] = fit.to_world(at)
    return found


def _frames(motion: Motion, fit: Fit) -> Iterator[tuple[slice, "_Frames"]]:
    """A chunk of frames at a time, its hips as low as the legs need it."""
    parts = [slice(start, start + _CHUNK) for start in range(0, len(motion), _CHUNK)]
    if not parts:
        return
    drop = np.concatenate([_Frames(motion, part, fit, np.zeros(1)).out_of_reach() for part in parts])
    drop = cover(drop, _HEIGHT_SMOOTHING_S * motion.fps)
    for part in parts:
        yield part, _Frames(motion, part, fit, drop[part])


class _Frames:
    """Some frames of a motion on a character, in its unit and our axes.

    `turns`: joint -> (T, 3, 3) rotation in the world from how it rests; legs and arms are as in our body until `turned`
    bends them. `root`: (T, 3) where the root is.
    """

    def __init__(self, motion: Motion, part: slice, fit: Fit, drop: np.ndarray):
        """`drop`: (T,) by which the hips are lowered."""
        self.fit, self.at = fit, fit.at
        self.source = joint_transforms(
            mannequin("light"), motion.poses[part].astype(np.float64), motion.translation[part].astype(np.float64)
        )
        self.turns = {
            each.joint: self._between(each.first, each.second, each.share) @ each.frame.T for each in fit.driven
        }
        self.root = self._root(drop)

    def _position(self, name: str) -> np.ndarray:
        return self.source.positions[:, INDEX[name]]

    def _rotation(self, name: str) -> np.ndarray:
        return self.source.rotations[:, INDEX[name]]

    def _between(self, first: str, second: str, share: float) -> np.ndarray:
        if first == second or share == 0:
            return self._rotation(first)
        return ik.between(self._rotation(first), self._rotation(second), share)

    def _root(self, drop: np.ndarray) -> np.ndarray:
        """(T, 3) of the root, such that the middle of the hips goes its way in proportion to the legs."""
        ours = _standing()
        middle = (self._position("left_hip") + self._position("right_hip")) / 2
        start = (ours["left_hip"] + ours["right_hip"]) / 2
        path = self.fit.legs * (middle - start * [1, 0, 1])
        path[:, 1] += self.fit.ankle_height - self.fit.legs * ours["left_ankle"][1] - drop
        hips = (self.at["left_hip"] + self.at["right_hip"]) / 2
        return path - self.turns[self.fit.root] @ (hips - self.fit.places[self.fit.root])

    def _place(self, j: int) -> np.ndarray:
        """(T, 3) of a joint: it hangs on the nearest one above that turns."""
        if j == self.fit.root:
            return self.root
        above = self.fit.bones.nearest_above(j, self.turns)
        return self._place(above) + self.turns[above] @ (self.fit.places[j] - self.fit.places[above])

    # --- where feet and hands should get ------------------------------------------------------------------------

    def ankles(self) -> dict[str, np.ndarray]:
        ours, scale, found = _standing(), self.fit.legs, {}
        start = (ours["left_hip"] + ours["right_hip"]) / 2 * [1, 0, 1]
        for side in SIDES:
            ankle = f"{side}_ankle"
            foot, our_foot = self._rotation(ankle), ours[f"{side}_foot"] - ours[ankle]
            turn = self.turns[self.fit.person.joints[ankle]]
            ball = self.fit.ball(side)
            clearance = self._position(ankle)[:, 1] + lowest(foot, ours[ankle][1], our_foot, HEEL_M)
            # Broad hips stand broader. Aside is aside of the foot: of one that stands, that is one place.
            broader = self.at[f"{side}_hip"][0] - scale * (ours[f"{side}_hip"] - start)[0]
            aside = broader * unit(foot[:, :, 0] * [1, 0, 1])
            there = scale * (self._position(f"{side}_foot") - start) + aside - turn @ ball
            there[:, 1] = scale * clearance - lowest(turn, self.fit.ankle_height, ball, scale * HEEL_M)
            found[ankle] = there
        return found

    def wrists(self) -> dict[str, np.ndarray]:
        scale = self.fit.arms
        reach = {side: self._position(f"{side}_wrist") - self._position(f"{side}_shoulder") for side in SIDES}
        left, right = (self._limb_at(f"{side}_shoulder") + scale * reach[side] for side in SIDES)
        apart = self._position("left_wrist") - self._position("right_wrist")
        near = np.linalg.norm(apart, axis=-1, keepdims=True) / _length(_standing(), "shoulder", "elbow", "wrist")
        towards = (1 - ease((near - _TOGETHER) / (_ASUNDER - _TOGETHER))) * (scale * apart - (left - right)) / 2
        return {"left_wrist": self._eased("left", left, towards), "right_wrist": self._eased("right", right, -towards)}

    def _eased(self, side: str, there: np.ndarray, further: np.ndarray) -> np.ndarray:
        """(T, 3) a place for a hand, moved further as far as that does not stretch the arm: it would shake."""
        shoulder, elbow, wrist = (self.at[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist"))
        full = np.linalg.norm(elbow - shoulder) + np.linalg.norm(wrist - elbow)
        root = self._limb_at(f"{side}_shoulder")
        before, after = (np.linalg.norm(way, axis=-1, keepdims=True) for way in (there - root, there + further - root))
        longest = np.minimum(np.maximum(before, _BENT * full), _STRETCHED * full)
        return root + (there + further - root) * np.minimum(longest / after.clip(min=1e-9), 1)

    def out_of_reach(self) -> np.ndarray:
        """(T,) by which the hips are too high for the legs to reach both feet, 0 where they are not."""
        ankles, too_high = self.ankles(), []
        for side in SIDES:
            hip, knee, ankle = (f"{side}_{joint}" for joint in ("hip", "knee", "ankle"))
            full = np.linalg.norm(self.at[knee] - self.at[hip]) + np.linalg.norm(self.at[ankle] - self.at[knee])
            before = self.fit.legs * np.linalg.norm(self._position(ankle) - self._position(hip), axis=-1)
            longest = before.clip(_EASY * full, _STRETCHED * full)
            way = self._limb_at(hip) - ankles[ankle]
            too_high.append(way[:, 1] - np.sqrt(np.maximum(longest**2 - way[:, 0] ** 2 - way[:, 2] ** 2, 0)))
        return np.maximum(np.max(too_high, axis=0), 0)

    def _limb_at(self, name: str) -> np.ndarray:
        return self._place(self.fit.person.joints[name])

    # --- limbs that get there -----------------------------------------------------------------------------------

    def turned(self) -> dict[int, np.ndarray]:
        """`turns` with legs and arms that reach, and with bones that share the turn of the hands."""
        ends = self.ankles() | self.wrists()
        for side, out in (("left", 1.0), ("right", -1.0)):
            self._reach([f"{side}_{joint}" for joint in ("hip", "knee", "ankle")], ends, np.array([1.0, 0, 0]))
            self._reach([f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist")], ends, np.array([0, -out, 0]))
        for roll in self.fit.rolls:
            elbow, wrist = (f"{roll.side}_{joint}" for joint in ("elbow", "wrist"))
            axis = unit(self.at[wrist] - self.at[elbow])
            forearm, hand = (self.turns[self.fit.person.joints[name]] for name in (elbow, wrist))
            # The sine is the angle where hands can turn, and does not jump where bad data turns them past half a turn.
            angle = roll.share * np.sin(ik.twist(np.swapaxes(forearm, -1, -2) @ hand, axis))
            self.turns[roll.joint] = forearm @ axis_angle_to_matrix(angle * axis)
        return self.turns

    def _reach(self, names: list[str], ends: dict[str, np.ndarray], hinge: np.ndarray) -> None:
        """Bend a limb about its hinge, then turn it, so that its end gets where it should. Its end keeps its turn."""
        upper, lower, _ = (self.fit.person.joints[name] for name in names)
        a, b, c = (self.at[name] for name in names)
        first, second = self.turns[upper] @ (b - a), self.turns[lower] @ (c - b)
        plane = cross(unit(first), unit(second))
        bend = np.linalg.norm(plane, axis=-1, keepdims=True)
        usual = self._rotation(names[0]) @ hinge
        axis = unit(plane + _STRAIGHT * np.exp(-((bend / _STRAIGHT) ** 2)) * usual)
        wanted = ends[names[2]] - self._place(upper)
        full = np.linalg.norm(b - a) + np.linalg.norm(c - b)
        distance = np.minimum(np.linalg.norm(wanted, axis=-1), _STRETCHED * full)
        bent = axis_angle_to_matrix(ik.bend(first, second, axis, distance)[:, None] * axis)
        turn = rotation.rotation_between(first + (bent @ second[..., None])[..., 0], wanted)
        self.turns[upper], self.turns[lower] = turn @ self.turns[upper], turn @ bent @ self.turns[lower]


def lowest(foot: np.ndarray, height: float, ball: np.ndarray, heel: float) -> np.ndarray:
    """(T,) of heel and sole under the ball, how high the lower one is above the ankle, of a foot turned by (T, 3, 3).

    Args:
        height: Of the ankle above the sole, of a flat foot.
        ball: (3,) from the ankle to the ball, of a flat foot.
        heel: How far the heel is behind the ankle.
    """
    points = np.array([[0, -height, -heel], [ball[0], -height, ball[2]]])
    return (foot[:, 1] @ points.T).min(axis=-1)


def _local(fit: Fit, turns: dict[int, np.ndarray], j: int) -> np.ndarray:
    """(T, 3, 3) of a bone relative to its parent, in the axes of both."""
    turn = fit.axes @ turns[j] @ fit.axes.T @ fit.bones.rotations[j]
    above = fit.bones.nearest_above(j, turns)
    if above >= 0:
        turn = fit.axes @ np.swapaxes(turns[above], -1, -2) @ fit.axes.T @ turn
    parent = fit.bones.parents[j]
    return fit.bones.rotations[parent].T @ turn if parent >= 0 else turn


def _driven(bones: Bones, person: Match, root: int, frames: dict[str, np.ndarray]) -> Iterator[Driven]:
    joints = person.joints
    named = {j: name for name, j in joints.items()}

    def frame(j: int) -> np.ndarray:
        return frames.get(named.get(j, ""), np.eye(3))

    yield Driven(root, "pelvis", "pelvis", 0.0, frame(root))
    chest = bones.common([joints["left_shoulder"], joints["right_shoulder"]])
    spine = [j for j in bones.path(root, chest) if j in person.skeleton]
    for n, j in enumerate(spine, start=1):
        yield _shared(j, ("pelvis", "spine1", "spine2", "spine3"), 3 * n / len(spine), frame(j))
    neck = [j for j in bones.path(chest, joints.get("head", joints["neck"])) if j in person.skeleton]
    neck = neck[:-1] if "head" in joints else neck
    for n, j in enumerate(neck, start=1):
        yield _shared(j, ("spine3", "neck"), n / len(neck), frame(j))
    for name in ("head", "jaw", "left_eye", "right_eye", "left_collar", "right_collar"):
        if name in joints:
            yield Driven(joints[name], name, name, 0.0, frame(joints[name]))
    for side in SIDES:
        for joint in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist"):
            name = f"{side}_{joint}"
            if name in joints:
                yield Driven(joints[name], name, name, 0.0, frames.get(name, frames[f"{side}_ankle"]))
        for j in _other_toes(bones, person, side):
            yield Driven(j, f"{side}_foot", f"{side}_foot", 0.0, frames[f"{side}_ankle"])
        for finger in _FINGERS:
            chain = [f"{side}_{finger}{n}" for n in (1, 2, 3) if f"{side}_{finger}{n}" in joints]
            ours = tuple(f"{side}_{finger}{n}" for n in (1, 2, 3))
            for n, name in enumerate(chain):
                place = 3 * (n + 0.5) / len(chain) - 0.5  # of one bone the middle, of three ours
                yield _shared(joints[name], ours, place, frames.get(name, frames[f"{side}_wrist"]))


def _other_toes(bones: Bones, person: Match, side: str) -> list[int]:
    """Toes beside the one that plays the ball of the foot: all bend as ours, which have one joint."""
    ball = person.joints.get(f"{side}_foot")
    beside = [j for j in person.skeleton if ball is not None and j != ball and bones.parents[j] == bones.parents[ball]]
    return [j for j in beside if "toe" in bones.names[j].lower()]


def _shared(joint: int, ours: tuple[str, ...], place: float, frame: np.ndarray) -> Driven:
    """A bone that turns as our joints do at a place in their chain, 0 being the first."""
    first = min(int(place), len(ours) - 1)
    second = min(first + 1, len(ours) - 1)
    return Driven(joint, ours[first], ours[second], place - first, frame)


def _rolls(bones: Bones, person: Match, places: np.ndarray) -> Iterator[Roll]:
    """Bones between elbow and wrist, and those beside them whose name says that they twist."""
    for side in SIDES:
        elbow, wrist = (person.joints[f"{side}_{joint}"] for joint in ("elbow", "wrist"))
        between = bones.path(elbow, wrist)[:-1]
        beside = [
            j
            for j in person.skeleton
            if bones.parents[j] in (elbow, *between)
            and any(word in bones.names[j].lower() for word in ("twist", "roll"))
        ]
        forearm = places[wrist] - places[elbow]
        for j in sorted({*between, *beside}):
            share = (places[j] - places[elbow]) @ forearm / (forearm @ forearm)
            if 0 < share <= 1:
                yield Roll(j, side, float(share))


def _floor(bones: Bones, person: Match, upright: np.ndarray, leg: float) -> float:
    """Height of the floor under a character at rest, of which feet are known and soles are not.

    Characters are made standing on y = 0. Of those whose feet are elsewhere, in the air or below, the ball of the foot
    is as far from the floor as ours in proportion, if nothing is lower.
    """
    ankles = [person.joints[f"{side}_ankle"] for side in SIDES]
    low = min(upright[j, 1] for j in range(len(upright)) if any(bones.is_below(j, ankle) for ankle in ankles))
    if 0 <= low < _STANDS * leg:
        return 0.0
    ours = _standing()
    scale = leg / _length(ours, "hip", "knee", "ankle")
    soles = [
        upright[person.joints[f"{side}_{joint}"], 1] - scale * ours[f"{side}_{joint}"][1]
        for side in SIDES
        for joint in ("ankle", "foot")
        if f"{side}_{joint}" in person.joints and (joint == "foot" or f"{side}_foot" not in person.joints)
    ]
    return min(low, *soles)


def _standing() -> dict[str, np.ndarray]:
    """SMPL-X name -> (3,) joints of our body, standing on y = 0."""
    return dict(
        zip(skeleton.JOINTS, (mannequin("light").joints + skeleton.REST_TRANSLATION).astype(np.float64), strict=True)
    )


def _length(at: dict[str, np.ndarray], *limb: str) -> float:
    """Of a limb, the mean of both sides."""
    bones = [at[f"{side}_{b}"] - at[f"{side}_{a}"] for side in SIDES for a, b in pairwise(limb)]
    return float(sum(np.linalg.norm(bone) for bone in bones)) / 2
