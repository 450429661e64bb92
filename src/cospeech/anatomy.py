"""Which joint of a tree plays which joint of SMPL-X: from how it branches and how long its bones are.

For skeletons whose names nobody knows, and for what tables of names leave open. A person is two pairs of limbs that
look alike, legs at the pelvis and arms at the chest; thigh and shin, upper arm and forearm are the longest neighbours
in a limb; feet point forwards.

Joints are numbers. Frames: T; lengths in any unit.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np

from cospeech.rotation import cross, unit

_ALIKE = 0.15  # by which the lengths of two limbs of a pair may differ
_NEARLY = 0.7  # of the longest: a collar may be longer than a forearm, but no hand is
_STRAIGHT = np.cos(np.radians(2))  # of a joint that only twists, between its bones, although it
_TWISTS = np.radians(10)  # turns by more than this
_TURNS = 1e-3  # radians
_SHORT = 1e-3  # of the longest bone: joints in one place
_BALL = 0.06  # of thigh and shin: the ball of the foot is further from the ankle than that
_TRUNK = ("spine1", "spine2", "spine3")


def label(parents: Sequence[int], positions: np.ndarray, turning: np.ndarray) -> dict[str, int]:
    """SMPL-X name -> joint. Empty where the tree does not look like a person.

    Args:
        parents: Of each joint, before it; -1 for the root.
        positions: (T, J, 3) where the joints are in the world.
        turning: (J,) radians a joint turns at most. Those at the ends of chains that never do are only tips.
    """
    tree = _Tree(parents, positions)
    limbs = tree.pairs_of_limbs()
    if len(limbs) < 2:
        return {}
    chains = sorted((tuple(tree.limb(j, turning) for j in pair) for pair in limbs[:2]), key=tree.length_of_two)
    arms, legs = ([_upper_and_lower(chain, tree) for chain in pair] for pair in chains)
    found: dict[str, int] = {}
    if not _is_left(legs[0], legs[1], arms, positions):
        legs.reverse()
    hips, shoulders = (positions[:, limb[0][1]] - positions[:, limb[1][1]] for limb in (legs, arms))
    if np.sum(hips * shoulders) < 0:
        arms.reverse()
    for side, (before, shoulder, elbow, wrist, _), (_, hip, knee, ankle, ball) in zip(
        ("left", "right"), arms, legs, strict=True
    ):
        found |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist}
        found |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle}
        found |= {f"{side}_collar": before} if before is not None else {}
        found |= {f"{side}_foot": ball} if ball is not None else {}
        found |= fingers(side, wrist, parents, positions, turning)
    above = _above(tree, found)
    if not above:
        return {}
    upwards = tree.chain(max(above, key=lambda j: tree.reach[j]))
    with_face = [j for j in upwards if len(tree.children[j]) > 1]
    turned = [j for j in upwards if turning[j] > _TURNS] or upwards[:1]
    found["head"] = with_face[0] if with_face else turned[-1]
    return trunk(parents, found) | found


def trunk(parents: Sequence[int], found: Mapping[str, int]) -> dict[str, int]:
    """Pelvis, spine and neck, between hips and shoulders, and the head if it is known."""
    tree = _Tree(parents)
    pelvis = tree.common(found["left_hip"], found["right_hip"])
    chest = tree.common(found["left_shoulder"], found["right_shoulder"])
    spine = tree.path(pelvis, chest)
    names = {0: (), 1: _TRUNK[2:], 2: _TRUNK[1:]}.get(len(spine), _TRUNK)
    picked = spine if len(spine) < 3 else [spine[0], spine[len(spine) // 2], spine[-1]]
    joints = {"pelvis": pelvis, **dict(zip(names, picked, strict=True))}
    neck = tree.path(chest, found["head"]) if "head" in found else _above(tree, found)
    return joints | ({"neck": neck[0]} if neck else {})


def _above(tree: "_Tree", found: Mapping[str, int]) -> list[int]:
    """What hangs on the chest besides arms and legs."""
    chest = tree.common(found["left_shoulder"], found["right_shoulder"])
    limbs = [found[f"{side}_{joint}"] for side in ("left", "right") for joint in ("hip", "shoulder")]
    return [j for j in tree.children[chest] if not any(tree.is_below(limb, j) for limb in limbs)]


def fingers(
    side: str, wrist: int, parents: Sequence[int], positions: np.ndarray, turning: np.ndarray
) -> dict[str, int]:
    """The joints of five fingers below a wrist, three each where there are so many; empty where there are not five.

    The thumb begins nearest to the wrist, the others lie across the palm from it.
    """
    tree = _Tree(parents, positions)
    chains = []
    for end in tree.below(wrist):
        if turning[end] > _TURNS and not any(turning[tree.below(end)] > _TURNS):
            chains.append(tree.path(wrist, end)[-3:])
    if len(chains) != 5:
        return {}
    at = positions[0]
    thumb, *others = sorted(chains, key=lambda chain: np.linalg.norm(at[chain[0]] - at[wrist]))
    along = unit(np.mean([at[chain[0]] for chain in others], axis=0) - at[wrist])
    aside = at[thumb[min(1, len(thumb) - 1)]] - at[wrist]
    aside = aside - (aside @ along) * along
    others.sort(key=lambda chain: -(at[chain[0]] @ aside))
    named = zip(("thumb", "index", "middle", "ring", "pinky"), (thumb, *others), strict=True)
    return {f"{side}_{finger}{n}": j for finger, chain in named for n, j in enumerate(chain, start=1)}


_Limb = tuple[int | None, int, int, int, int | None]  # before, upper, lower, end, and what comes after


def _upper_and_lower(chain: list[int], tree: "_Tree") -> _Limb:
    """Shoulder, elbow, wrist, or hip, knee, ankle, with the collar and the ball of the foot where they are."""
    first = tree.first_of_two(chain)
    end = first + 2
    while end + 1 < len(chain) and tree.apart(chain[end], chain[end + 1]) < _SHORT * max(tree.length):
        end += 1  # of joints in one place the last: it carries the hand
    whole = sum(tree.apart(a, b) for a, b in pairwise(chain[first : first + 3]))
    beyond = (j for j in chain[end + 1 :] if tree.apart(j, chain[end]) > _BALL * whole)
    return chain[first - 1] if first else None, chain[first], chain[first + 1], chain[end], next(beyond, None)


def _is_left(leg: _Limb, other: _Limb, arms: Sequence[_Limb], positions: np.ndarray) -> bool:
    """Whether the first is the left one, in most frames."""
    hips = (positions[:, leg[1]] + positions[:, other[1]]) / 2
    up = (positions[:, arms[0][1]] + positions[:, arms[1][1]]) / 2 - hips
    ahead = np.zeros_like(up)
    for _, hip, knee, ankle, ball in (leg, other):
        if ball is not None:
            ahead += unit(positions[:, ball] - positions[:, ankle])
        else:  # knees bend forwards
            ahead += positions[:, knee] - (positions[:, hip] + positions[:, ankle]) / 2
    return np.sum(cross(up, ahead) * (positions[:, leg[1]] - positions[:, other[1]])) > 0


class _Tree:
    def __init__(self, parents: Sequence[int], positions: np.ndarray | None = None):
        self.parents = parents
        self.children: list[list[int]] = [[] for _ in parents]
        for j, parent in enumerate(parents):
            if parent >= 0:
                self.children[parent].append(j)
        if positions is None:
            return
        self.positions = positions
        self.length = [self.apart(j, parent) if parent >= 0 else 0.0 for j, parent in enumerate(parents)]
        self.reach = [0.0] * len(parents)  # of the longest chain below a joint
        self.depth = [0] * len(parents)
        for j in range(len(parents) - 1, 0, -1):
            parent = parents[j]
            if parent >= 0:
                self.reach[parent] = max(self.reach[parent], self.reach[j] + self.length[j])
                self.depth[parent] = max(self.depth[parent], self.depth[j] + 1)

    def apart(self, a: int, b: int) -> float:
        return float(np.median(np.linalg.norm(self.positions[:, a] - self.positions[:, b], axis=-1)))

    def is_below(self, j: int, above: int) -> bool:
        while j != above and j >= 0:
            j = self.parents[j]
        return j >= 0

    def below(self, above: int) -> list[int]:
        return [j for j in range(above + 1, len(self.parents)) if self.is_below(j, above)]

    def common(self, a: int, b: int) -> int:
        """The nearest joint that both hang on."""
        while not self.is_below(b, a):
            a = self.parents[a]
        return a

    def path(self, above: int, j: int) -> list[int]:
        """The joints from below one down to another."""
        joints = []
        while j != above and j >= 0:
            joints.append(j)
            j = self.parents[j]
        return joints[::-1]

    def chain(self, j: int) -> list[int]:
        """A joint and the longest way down from it."""
        joints = [j]
        while self.children[j]:
            j = max(self.children[j], key=lambda child: (self.reach[child] + self.length[child], self.depth[child]))
            joints.append(j)
        return joints

    def limb(self, j: int, turning: np.ndarray) -> list[int]:
        """The chain from a joint without those that only twist: its bones are always in line with them."""
        chain = self.chain(j)
        kept = chain[:1]
        for k, following in pairwise(chain[1:]):
            before, after = (self.positions[:, b] - self.positions[:, a] for a, b in ((kept[-1], k), (k, following)))
            in_line = np.sum(unit(before) * unit(after), axis=-1).min() > _STRAIGHT
            kept += [] if turning[k] > _TWISTS and in_line else [k]
        return [*kept, chain[-1]] if len(kept) > 1 else chain

    def first_of_two(self, limb: list[int]) -> int:
        """Place in the limb of the joint where the two longest neighbouring bones begin, the last such place."""
        lengths = [self.apart(a, b) for a, b in pairwise(limb)]
        both = np.minimum(lengths[:-1], lengths[1:])
        return int(np.flatnonzero(both >= _NEARLY * both.max())[-1])

    def length_of_two(self, limbs: tuple[list[int], ...]) -> float:
        """Of the long bones of a pair of limbs. Legs have longer ones than arms."""
        starts = [(limb, self.first_of_two(limb)) for limb in limbs]
        return sum(self.apart(a, b) for limb, n in starts for a, b in pairwise(limb[n : n + 3]))

    def pairs_of_limbs(self) -> list[tuple[int, int]]:
        """Children of one joint that look alike and have two long bones at least, the longest pair first."""
        pairs = []
        for children in self.children:
            alike = [
                (abs(self.reach[a] - self.reach[b]) / max(self.reach[a], self.reach[b]), a, b)
                for a, b in combinations([j for j in children if len(self.chain(j)) >= 3 and self.reach[j] > 0], 2)
            ]
            if alike and min(alike)[0] < _ALIKE:
                pairs.append(min(alike)[1:])
        outer = [
            pair
            for pair in pairs
            if not any(self.is_below(pair[0], j) for other in pairs if other != pair for j in other)
        ]
        return sorted(outer, key=lambda pair: -self.reach[pair[0]])
