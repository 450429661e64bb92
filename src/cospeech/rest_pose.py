"""How the parts of a skeleton at rest differ from a T pose: from the directions of its bones where nothing is turned.

Skeletons rest in a T pose, an A pose, with hanging arms, or in no pose at all with bones along one axis. What
`retarget` needs is the rotation of each part since the T pose.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from cospeech import ik
from cospeech.rotation import axis_angle_to_matrix, cross, unit
from cospeech.skeleton import INDEX

_UP = np.array([0.0, 1.0, 0.0])
_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck", "head", "left_collar", "right_collar")
_KNUCKLES = ("index1", "middle1", "ring1", "pinky1")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_AGREE = np.cos(np.radians(25))  # a table of a skeleton belongs to bones that point where it says
_STANDS = np.cos(np.radians(35))  # legs against the trunk, shoulders against hips
_FLAT = np.radians(15)  # legs apart by more than twice that do not stand on flat feet: these go with the legs


def t_pose_frames(
    places: Mapping[str, np.ndarray], rest: np.ndarray, table: Mapping[str, np.ndarray], flat_feet: bool = False
) -> dict[str, np.ndarray]:
    """SMPL-X name -> (3, 3) rotation that turns our T pose into the rest pose of that part of the skeleton.

    A global rotation R of the joint, times that, is the identity where the part is as in a T pose. Left out is what
    the bones do not tell: all but the hands of a skeleton that does not stand at rest and has no table.

    Args:
        places: SMPL-X name -> (3,) joints of the skeleton where nothing is turned, any unit, any side up.
        rest: (55, 3) joints of our body in its T pose, `Body.joints`.
        table: `Rig.t_pose`. Not heeded where the bones of the skeleton point elsewhere.
        flat_feet: Feet are flat however far the legs stand apart, as of a character that was modelled so.
    """
    ours = {name: np.asarray(rest[j], np.float64) for name, j in INDEX.items()}
    frames: dict[str, np.ndarray] = {}
    axes = heading(places)
    if axes is not None:
        frames |= dict.fromkeys(_TRUNK, axes)
        for side in ("left", "right"):
            arm = [f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist")]
            leg = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle")]
            frames |= _along(arm, axes, places, ours) | _along(leg, axes, places, ours)
            frames |= _foot(side, axes, places, ours, flat_feet)
    if _fits(table, places, ours):
        frames |= table
    for side in ("left", "right"):
        frames |= _hand(side, places, ours)
        if f"{side}_wrist" in frames:
            for finger in _FINGERS:
                chain = [f"{side}_{finger}{n}" for n in (1, 2, 3)]
                frames |= _along([name for name in chain if name in places], frames[f"{side}_wrist"], places, ours)
    return {name: frame for name, frame in frames.items() if name in places}


def heading(places: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """(3, 3) whose columns are left, up and forward of a skeleton that stands at rest, else None."""
    hips, shoulders, ankles = ((places[f"left_{j}"] + places[f"right_{j}"]) / 2 for j in ("hip", "shoulder", "ankle"))
    up, left = unit(shoulders - hips), unit(places["left_hip"] - places["right_hip"])
    across = unit(places["left_shoulder"] - places["right_shoulder"])
    if min(up @ unit(hips - ankles), left @ across) < _STANDS or abs(up @ left) > 1 - _STANDS:
        return None
    # Trunks lean a little, axes of files do not: where one is near, it is meant.
    up, left = _axis_near(up), _axis_near(left - (left @ _axis_near(up)) * _axis_near(up))
    return np.stack([left, up, cross(left, up)], axis=-1)


def _axis_near(direction: np.ndarray) -> np.ndarray:
    direction = unit(direction)
    axis = np.round(direction)
    return axis if np.abs(axis).sum() == 1 and axis @ direction > _AGREE else direction


def _along(
    chain: list[str], frame: np.ndarray, places: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Joints of a chain, each turned from the one before by the least that makes its bone point as at rest."""
    frames = {}
    for a, b in pairwise(chain):
        frame = frames[a] = ik.swing(frame, unit(ours[b] - ours[a]), unit(places[b] - places[a]))
    return frames | ({chain[-1]: frame} if frames else {})


def _foot(
    side: str,
    heading: np.ndarray,
    places: Mapping[str, np.ndarray],
    ours: Mapping[str, np.ndarray],
    flat: bool,
) -> dict[str, np.ndarray]:
    """A foot flat on the floor, turned to where it points. None where the leg stands apart, unless it is `flat`."""
    hip, ankle, ball = (f"{side}_{joint}" for joint in ("hip", "ankle", "foot"))
    if flat and ball not in places:
        return {ankle: heading}
    leg = heading.T @ unit(places[ankle] - places[hip])
    if ball not in places or (np.arcsin(abs(leg[0])) > _FLAT and not flat):
        return {}
    theirs, own = heading.T @ (places[ball] - places[ankle]), ours[ball] - ours[ankle]
    turn = np.arctan2(theirs[0], theirs[2]) - np.arctan2(own[0], own[2])
    frame = heading @ axis_angle_to_matrix(turn * _UP)
    return {ankle: frame, ball: frame}


def _hand(side: str, places: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A hand as its knuckles lie, which need at least three fingers."""
    wrist, names = f"{side}_wrist", [f"{side}_{knuckle}" for knuckle in _KNUCKLES]
    names = [name for name in names if name in places]
    if len(names) < 3:
        return {}
    own, theirs = (np.stack([unit(joints[name] - joints[wrist]) for name in names]) for joints in (ours, places))
    return {wrist: ik.best_rotation(own, theirs)}


def _fits(table: Mapping[str, np.ndarray], places: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]) -> bool:
    """Whether the arms and legs of a skeleton point at rest where a table has them."""
    ends = {"shoulder": "elbow", "hip": "knee"}
    for side in ("left", "right"):
        for a, b in ((f"{side}_{a}", f"{side}_{b}") for a, b in ends.items()):
            if a in table and table[a] @ unit(ours[b] - ours[a]) @ unit(places[b] - places[a]) < _AGREE:
                return False
    return True
