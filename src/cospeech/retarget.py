"""Motion of another skeleton -> rotations of the SMPL-X joints.

Joint positions decide where limbs point; global rotations of the source, where it has them, decide how bones twist
and how hands, feet and head are turned. Everything is closed form and per frame, so it is fast and adds no jitter.

Frames: T. World: y up, metres. A source joint carries the name of the SMPL-X joint it plays (`skeleton.JOINTS`).
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from cospeech import ik, rotation, skeleton
from cospeech.errors import MotionError
from cospeech.rotation import axis_angle_to_matrix, cross, rotation_between, unit
from cospeech.skeleton import INDEX

REQUIRED = (
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "neck"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
_NUM_BODY = 22  # fingers follow only where their rotations are known; jaw and eyes stay at rest
_FORWARD, _UP = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
_STRAIGHT = 0.2  # sine of the bend below which a limb's own plane says little about its twist
_NEARLY_STRAIGHT = 0.35  # sine of the bend up to which the second bone's sideways slant shows
_FLOOR_PERCENTILE = 5  # of the lowest sole point over time: touches the floor, ignores a few bad frames
_TOE_BEND = 1.0  # radians that toes bend up at most
_EASE = np.array([1, 2, 3, 2, 1]) / 9  # weights of neighbouring frames

Rotations = dict[str, np.ndarray]  # SMPL-X joint name -> (T, 3, 3) global


def positions_to_poses(
    positions: Mapping[str, np.ndarray],
    rest: np.ndarray,
    rotations: Mapping[str, np.ndarray] | None = None,
    facing: float | None = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses of the SMPL-X skeleton that move like a source skeleton of any proportions.

    Args:
        positions: Name of an SMPL-X joint -> (T, 3) where the source has it, any unit of length. Needed are
            `REQUIRED`; `spine2`, `head`, `left_foot` and `right_foot` (ball of the foot) help.
        rest: (55, 3) rest positions of the target's joints, `Body.joints`.
        rotations: Name -> (T, 3, 3) global rotation of the source's joint, identity where that part of the body is
            as in an upright T pose facing +z: palms down, feet flat. What is missing is worked out from positions, but
            for fingers, which then go with the hand.
        facing: Where the pelvis faces in the first frame, radians about +y from +z. None: as in the source.

    Returns:
        poses (T, 55, 3) axis-angle and translation (T, 3), float32, for `Motion`: scaled by the length of the
        legs, soles on the floor y = 0, beginning at x = z = 0.
    """
    missing = [name for name in REQUIRED if name not in positions]
    if missing:
        raise MotionError(f"Retargeting needs the positions of {', '.join(missing)}.")
    source = {name: np.asarray(array, np.float64) for name, array in positions.items()}
    target = {name: np.asarray(rest[j], np.float64) for name, j in INDEX.items()}
    known = {name: np.asarray(array, np.float64) for name, array in (rotations or {}).items()}

    turned = _trunk(source, target, known)
    for side in ("left", "right"):
        turned |= _arm(side, source, target, known, turned)
        turned |= _leg(side, source, target, known, turned["pelvis"])
    matrices = np.stack([turned[name] for name in skeleton.JOINTS[:_NUM_BODY]], axis=1)  # (T, 22, 3, 3)
    pelvis = _pelvis_path(source, target, turned["pelvis"])
    if facing is not None:
        ahead = matrices[0, 0] @ _FORWARD
        turn = axis_angle_to_matrix((facing - np.arctan2(ahead[0], ahead[2])) * _UP)
        matrices, pelvis = turn @ matrices, pelvis @ turn.T
    translation = pelvis - skeleton.REST_PELVIS
    translation[:, [0, 2]] -= translation[0, [0, 2]]
    soles = [_sole(side, matrices, rest, translation)[0] for side in ("left", "right")]
    translation[:, 1] -= np.percentile(np.min(soles, axis=0), _FLOOR_PERCENTILE)
    _lift_toes(matrices, rest, translation)

    local = matrices.copy()
    local[:, 1:] = np.swapaxes(matrices[:, skeleton.PARENTS[1:_NUM_BODY]], -1, -2) @ matrices[:, 1:]
    poses = np.zeros((len(matrices), skeleton.NUM_JOINTS, 3), np.float32)
    poses[:, :_NUM_BODY] = rotation.matrix_to_axis_angle(local)
    for j, bent in _fingers(known, turned).items():
        poses[:, j] = rotation.matrix_to_axis_angle(bent)
    return poses, translation.astype(np.float32)


def forward_kinematics(
    local: np.ndarray, root: np.ndarray, parents: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Global rotations and positions of any skeleton.

    Args:
        local: (T, J, 3, 3) rotation of each joint relative to its parent.
        root: (T, 3) positions of joint 0.
        parents: (J,) each joint's parent, which comes before it; -1 for joint 0.
        offsets: (J, 3) or (T, J, 3) each joint's place in its parent's frame.

    Returns:
        matrices (T, J, 3, 3) and positions (T, J, 3).
    """
    matrices, positions = np.array(local), np.zeros(local.shape[:-1])
    positions[:, 0] = root
    for j, parent in enumerate(parents[1:], start=1):
        matrices[:, j] = matrices[:, parent] @ local[:, j]
        positions[:, j] = positions[:, parent] + (matrices[:, parent] @ offsets[..., j, :, None])[..., 0]
    return matrices, positions


def _trunk(source: Rotations, target: Rotations, known: Rotations) -> Rotations:
    """Pelvis, spine, neck, head and collars. The spine bends and twists evenly from the pelvis to the chest."""
    hips, hips_rest = _middle(source, "hip"), _middle(target, "hip")
    waist = "spine2" if "spine2" in source else "neck"
    pelvis = known.get("pelvis")
    if pelvis is None:
        across, across_rest = _across(source, "hip"), _across(target, "hip")
        pelvis = ik.turn_frame(across_rest, target[waist] - hips_rest, across, source[waist] - hips)
    chest = known.get("spine3")
    if chest is None:
        below, below_rest = (source[waist], target[waist]) if waist != "neck" else (hips, hips_rest)
        across, across_rest = _across(source, "shoulder"), _across(target, "shoulder")
        chest = ik.turn_frame(target["neck"] - below_rest, across_rest, source["neck"] - below, across)
    neck, head = known.get("neck"), known.get("head")
    if neck is None and head is not None:
        neck = ik.between(chest, head, 0.5)
    elif neck is None:
        looks = "head" in source
        neck = ik.swing(chest, target["head"] - target["neck"], source["head"] - source["neck"]) if looks else chest
    turned = {
        "pelvis": pelvis,
        "spine1": ik.between(pelvis, chest, 1 / 3),
        "spine2": ik.between(pelvis, chest, 2 / 3),
        "spine3": chest,
        "neck": neck,
        "head": neck if head is None else head,
    }
    for side in ("left", "right"):
        collar = known.get(f"{side}_collar")
        if collar is None:  # how far the shoulder has left its usual place as seen from the chest
            away = _in_frame(chest, source[f"{side}_shoulder"] - source["neck"])
            away /= np.linalg.norm(away, axis=-1, keepdims=True)
            collar = chest @ rotation_between(np.broadcast_to(away.mean(axis=0), away.shape), away)
        turned[f"{side}_collar"] = collar
    return turned


def _arm(side: str, source: Rotations, target: Rotations, known: Rotations, trunk: Rotations) -> Rotations:
    """Shoulder, elbow, wrist. An elbow bends the forearm towards +z in the T pose."""
    names = [f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist")]
    upper, fore = _limb(names, source, target, known.get(names[0]), trunk[f"{side}_collar"], _FORWARD)
    hand = known.get(names[2])
    if hand is None:
        return {names[0]: upper, names[1]: fore, names[2]: fore}
    # The skin has no twist joint: half of the hand's turn about the forearm goes to the elbow, half to the wrist. The
    # sine halves small angles and, unlike halving, does not jump where bad data turns a hand past 180 degrees.
    axis = unit(target[names[2]] - target[names[1]])
    twist = np.sin(ik.twist(np.swapaxes(fore, -1, -2) @ hand, axis)) / 2
    return {names[0]: upper, names[1]: fore @ axis_angle_to_matrix(twist * axis), names[2]: hand}


def _leg(side: str, source: Rotations, target: Rotations, known: Rotations, pelvis: np.ndarray) -> Rotations:
    """Hip, knee, ankle and ball of the foot. A knee bends the shin towards -z."""
    names = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "foot")]
    thigh, shin = _limb(names[:3], source, target, known.get(names[0]), pelvis, -_FORWARD)
    foot = known.get(names[2])
    if foot is None and names[3] in source:
        foot = _foot(source[names[3]] - source[names[2]], target[names[3]] - target[names[2]], shin)
    elif foot is None:
        foot = shin
    return {names[0]: thigh, names[1]: shin, names[2]: foot, names[3]: known.get(names[3], foot)}


def _fingers(known: Rotations, turned: Rotations) -> dict[int, np.ndarray]:
    """Joint -> (T, 3, 3) relative to its parent, of those whose rotation is known."""
    whole = dict(turned)
    for j in skeleton.HANDS:
        name, parent = skeleton.JOINTS[j], skeleton.JOINTS[skeleton.PARENTS[j]]
        whole[name] = known.get(name, whole[parent])
    return {
        j: np.swapaxes(whole[skeleton.JOINTS[skeleton.PARENTS[j]]], -1, -2) @ known[skeleton.JOINTS[j]]
        for j in skeleton.HANDS
        if skeleton.JOINTS[j] in known
    }


def _limb(names, source: Rotations, target: Rotations, known, parent: np.ndarray, towards: np.ndarray):
    """Global rotations (T, 3, 3) of both bones of an arm or a leg.

    Args:
        names: The limb's three joints.
        known: (T, 3, 3) the source's rotation of the first bone, or None: its twist is then chosen such that the
            second joint is a hinge. A straight limb has no plane and fades over to the twist its parent gives it.
        parent: (T, 3, 3) rotation of the joint the limb hangs on.
        towards: Where the second bone goes when the limb at rest is bent.
    """
    bone_rest, next_rest = (unit(target[b] - target[a]) for a, b in pairwise(names))
    bone, following = (unit(source[b] - source[a]) for a, b in pairwise(names))
    first = ik.swing(parent if known is None else known, bone_rest, bone)
    if known is None:
        hinge_rest = unit(cross(bone_rest, towards))
        prior = first @ hinge_rest
        hinge, bend = _hinge(bone, following, prior)
        first = ik.turn_frame(
            bone_rest, hinge_rest, bone, bend * hinge + _STRAIGHT * np.exp(-((bend / _STRAIGHT) ** 2)) * prior
        )
    return first, ik.swing(first, next_rest, following)


def _hinge(bone: np.ndarray, following: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axis a limb bends about, (T, 3), and the sine of the bend, (T, 1).

    A hinge keeps how far the second bone points along it. That is seldom zero: the shin of a straight leg points
    inwards from the thigh, and to take that for a bend would turn the knee to the side. So it is measured, against
    the hinge the parent suggests, in the frames in which the limb is nearly straight.
    """
    bend = cross(bone, following)
    squared = (bend**2).sum(axis=-1, keepdims=True)
    straight = squared[:, 0] < _NEARLY_STRAIGHT**2
    inwards = float(np.median((following * prior).sum(axis=-1)[straight])) if straight.any() else 0.0
    off_hinge = (squared - inwards**2).clip(min=0) ** 0.5
    aside = cross(bend, bone)  # the part of the second bone across the first, as long as the sine
    return (off_hinge * bend + inwards * aside) / squared.clip(min=1e-12), off_hinge


def _foot(sole: np.ndarray, sole_rest: np.ndarray, shin: np.ndarray) -> np.ndarray:
    """(T, 3, 3) of a foot from its direction, ankle to ball, levelled: skeletons differ in how steep that is."""
    side = np.array([1.0, 0.0, 0.0])
    foot = ik.turn_frame(sole_rest, side, sole, shin @ side)
    lowest = sole[:, 1] <= np.percentile(sole[:, 1], 50)  # on the floor, not on the heel
    slope = np.median(np.arcsin(unit(sole[lowest])[:, 1]))
    return foot @ axis_angle_to_matrix((slope - np.arcsin(unit(sole_rest)[1])) * side)


def _pelvis_path(source: Rotations, target: Rotations, pelvis: np.ndarray) -> np.ndarray:
    """(T, 3) of the pelvis such that the middle of the hips moves as the source's does, scaled by leg length."""
    scale = _leg_length(target) / _leg_length(source)
    return scale * _middle(source, "hip") - pelvis @ (_middle(target, "hip") - target["pelvis"])


def _leg_length(joints: Rotations) -> float:
    legs = ([f"{side}_{joint}" for joint in ("hip", "knee", "ankle")] for side in ("left", "right"))
    bones = [bone for leg in legs for bone in pairwise(leg)]
    return sum(float(np.median(np.linalg.norm(joints[a] - joints[b], axis=-1))) for a, b in bones) / 2


def _sole(side: str, matrices: np.ndarray, rest: np.ndarray, translation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the lower of heel and ball, (T,), and of the joint of the toes, (T,)."""
    at = rest[0] + translation
    hip, knee, ankle, foot = chain = [INDEX[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle", "foot")]
    for parent, j in pairwise([0, hip, knee, ankle]):
        at = at + matrices[:, parent] @ (rest[j] - rest[parent])
    under_ankle, under_ball = (_on_floor(rest[j]) for j in chain[2:])
    heel, ball = (
        at[:, 1] + (matrices[:, ankle] @ (contact - rest[ankle]))[:, 1]
        for contact in (under_ankle - 0.05 * _FORWARD, under_ball)
    )
    return np.minimum(heel, ball), at[:, 1] + (matrices[:, ankle] @ (rest[foot] - rest[ankle]))[:, 1]


def _lift_toes(matrices: np.ndarray, rest: np.ndarray, translation: np.ndarray) -> None:
    """Bend the toes up where they would reach through the floor, as a foot does that pushes off. Changes `matrices`."""
    for side in ("left", "right"):
        foot = INDEX[f"{side}_foot"]
        _, height = _sole(side, matrices, rest, translation)
        tip = matrices[:, foot] @ (_on_floor(rest[foot]) + 0.06 * _FORWARD - rest[foot])  # (T, 3) from the joint
        sine = np.stack([tip[:, 1], np.maximum(tip[:, 1], -height)]) / np.linalg.norm(tip, axis=-1)
        slope, wanted = np.arcsin(sine.clip(-1, 1))
        lift = np.pad((wanted - slope).clip(0, _TOE_BEND), len(_EASE) // 2, "edge")
        lift = np.convolve(lift, _EASE, "valid")  # toes let go of the floor within a frame, but do not snap
        aside = matrices[:, foot, :, 0]
        matrices[:, foot] = axis_angle_to_matrix(-lift[:, None] * aside) @ matrices[:, foot]


def _on_floor(joint: np.ndarray) -> np.ndarray:
    """The point of the sole under a joint of the rest pose, whose soles are REST_TRANSLATION below the origin."""
    return joint * [1, 0, 1] - skeleton.REST_TRANSLATION


def _in_frame(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("tji,tj->ti", matrices, vectors)


def _middle(joints: Rotations, name: str) -> np.ndarray:
    return (joints[f"left_{name}"] + joints[f"right_{name}"]) / 2


def _across(joints: Rotations, name: str) -> np.ndarray:
    return joints[f"left_{name}"] - joints[f"right_{name}"]
