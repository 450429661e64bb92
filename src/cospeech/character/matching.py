"""Which bone of a character plays which joint of SMPL-X.

A VRM says so itself. Otherwise names are looked up (`rigs`), and where nobody knows the names the shape of the tree
decides (`anatomy`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cospeech import anatomy, rigs
from cospeech.capture import Bones
from cospeech.errors import MotionError
from cospeech.retarget import REQUIRED
from cospeech.skeleton import INDEX

_TIP = re.compile(r"(end|tip|nub|site|(thumb|index|middle|ring|pinky)_?4)([._]?[lr])?$", re.IGNORECASE)
_TURNS = 0.1  # radians: `anatomy` takes what turns less than that for a tip, and more than its own limit for a twist
_APART = (
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))),
    *(
        (f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))
    ),
    *((f"left_{joint}", f"right_{joint}") for joint in ("hip", "shoulder")),
)
_POINT = 1e-3  # of the height from ankles to neck
_LOPSIDED = 1.3
_LIMBS = {"arm": ("shoulder", "elbow", "wrist"), "leg": ("hip", "knee", "ankle")}


class Match(NamedTuple):
    joints: dict[str, int]  # SMPL-X name -> joint of the character
    skeleton: tuple[int, ...]  # all joints of that person
    known_as: str  # how it was found, in words
    t_pose: Mapping[str, np.ndarray]  # `rigs.Rig.t_pose`


def match(bones: Bones) -> Match:
    """Find the person in a character. Raises `MotionError` where there is none, or where there are two."""
    if bones.humanoid:
        found = [_as_it_says(bones)]
    else:
        # Its parts may hang on a node that moves nothing: then no skeleton is whole, but all together are.
        everything = (tuple(range(len(bones.names))),) if len(bones.skeletons) > 1 else ()
        found = _all(_named, bones, bones.skeletons) or _all(_named, bones, everything)
        if not found and (lacking := _lacking(bones)):
            raise MotionError(lacking)
        found = found or _all(_shaped, bones, bones.skeletons) or _all(_shaped, bones, everything)
    if not found:
        raise MotionError(_why_not(bones))
    if len(found) > 1:
        tops = " and ".join(bones.names[person.skeleton[0]] for person in found[:2])
        raise MotionError(f"it holds {len(found)} skeletons ({tops}). Export one character.")
    _check(bones, found[0])
    return found[0]


def _all(look: Callable[..., Match | None], bones: Bones, skeletons: Iterable[tuple[int, ...]]) -> list[Match]:
    return [person for joints in skeletons if (person := look(bones, joints))]


def _as_it_says(bones: Bones) -> Match:
    said = {ours: bones.humanoid[theirs] for ours, theirs in rigs.HUMANOID.joints.items() if theirs in bones.humanoid}
    missing = [name for name in REQUIRED if name not in said and name != "neck"]
    joints = said if missing else anatomy.trunk(bones.parents, said) | said
    if missing := [name for name in REQUIRED if name not in joints]:
        raise MotionError(f"it is a VRM without {_in_words(missing)}.")
    with_skin = [j for each in bones.skeletons if joints["left_hip"] in each for j in each]
    return Match(joints, tuple(sorted({*with_skin, *joints.values()})), "a VRM, which says which bone is which", {})


def _named(bones: Bones, joints: tuple[int, ...]) -> Match | None:
    names, parents = [bones.names[j] for j in joints], _parents(bones, joints)
    named = rigs.by_name(names, parents)
    if named is None or "neck" not in named.joints:
        return None
    found = dict(named.joints)
    for side in ("left", "right"):
        if f"{side}_index1" not in found:
            found |= anatomy.fingers(
                side, found[f"{side}_wrist"], parents, bones.positions[None, list(joints)], _turning(names)
            )
    said = f"a skeleton like that of {named.rig.name}"
    return Match({name: joints[j] for name, j in found.items()}, joints, said, named.rig.t_pose)


def _shaped(bones: Bones, joints: tuple[int, ...]) -> Match | None:
    names, parents = [bones.names[j] for j in joints], _parents(bones, joints)
    found = anatomy.label(parents, bones.positions[None, list(joints)], _turning(names))
    if not all(name in found for name in REQUIRED) or _is_lopsided(found, bones.positions[list(joints)]):
        return None
    return Match({name: joints[j] for name, j in found.items()}, joints, "bones known by the shape of their tree", {})


def _is_lopsided(found: Mapping[str, int], at: np.ndarray) -> bool:
    """Whether a bone and its counterpart differ so much in length that one of them is something else."""
    for a, b in (bone for limb in _LIMBS.values() for bone in pairwise(limb)):
        left, right = (np.linalg.norm(at[found[f"{s}_{b}"]] - at[found[f"{s}_{a}"]]) for s in ("left", "right"))
        if max(left, right) > _LOPSIDED * min(left, right):
            return True
    return False


def _turning(names: Iterable[str]) -> np.ndarray:
    return np.array([0.0 if _TIP.search(name) else _TURNS for name in names])


def _parents(bones: Bones, joints: tuple[int, ...]) -> list[int]:
    """Of each joint the nearest above it among these, as its place; -1 where there is none."""
    place = {j: n for n, j in enumerate(joints)}
    return [place.get(bones.nearest_above(j, place), -1) for j in joints]


def _why_not(bones: Bones) -> str:
    """Why there is no person in a character, as exactly as its names tell."""
    largest = max(bones.skeletons, key=len)
    names = [bones.names[j] for j in largest]
    if len(names) < len(REQUIRED):
        return f"it has {len(names)} bones, a person has {len(REQUIRED)} at least."
    return (
        f"neither the names of its bones ({', '.join(names[:4])} ...) nor how they hang together tell which are arms "
        "and legs. It needs two of each, with names as Mixamo or VRM have them."
    )


def _lacking(bones: Bones) -> str:
    """What a character lacks whose names are known and do not make a person; empty where they are not known."""
    for joints in bones.skeletons:
        likely = rigs.nearest([bones.names[j] for j in joints])
        limbs = [f"{side}_{joint}" for limb in _LIMBS.values() for side in ("left", "right") for joint in limb]
        missing = [name for name in limbs if likely is None or name not in likely.joints]
        if 0 < len(missing) <= len(limbs) / 2:
            return f"its bones have the names of {likely.rig.name}, but without {_in_words(missing)}."
    return ""


def _in_words(missing: Iterable[str]) -> str:
    """Joints, whole limbs as such."""
    left = list(missing)
    words = []
    for limb, joints in _LIMBS.items():
        lacking = [side for side in ("left", "right") if all(f"{side}_{joint}" in left for joint in joints)]
        words += [f"{limb}s"] if len(lacking) == 2 else [f"{side} {limb}" for side in lacking]
        left = [name for name in left if name not in {f"{side}_{joint}" for side in lacking for joint in joints}]
    return ", ".join([*words, *left])


def _check(bones: Bones, person: Match) -> None:
    if bones.common([person.joints[name] for name in REQUIRED]) < 0:
        raise MotionError("its limbs hang on several roots. Join them to one in the program that made it.")
    at = {name: bones.positions[j] for name, j in person.joints.items()}
    ankles = (at["left_ankle"] + at["right_ankle"]) / 2
    height = np.linalg.norm((at["left_shoulder"] + at["right_shoulder"]) / 2 - ankles)
    for a, b in _APART:
        if np.linalg.norm(at[a] - at[b]) <= _POINT * height:
            raise MotionError(f"its {a} and {b} are in one place. Export it with the lengths of bones.")
    above = {j for name in person.joints if INDEX[name] < INDEX["jaw"] for j in bones.path(-1, person.joints[name])}
    if uneven := sorted(above & bones.uneven):
        raise MotionError(
            f"its bone {bones.names[uneven[0]]} is mirrored or scaled unevenly, so that what hangs on it would be "
            "sheared when it turns. Apply the scale where it was made (in Blender: Ctrl+A, Scale) and export it again."
        )
