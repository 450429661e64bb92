"""How deep hands are inside the body: volumes fitted to the mannequin's mesh, tested with the joints of the hands.

A volume is a tapered capsule with an elliptic cross-section, at rest in the frame of one joint. It is fitted to the
vertices that a few joints own (largest skin weight); hands, which are tested, are points at the joints and fingertips.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from cospeech import ik
from cospeech.body import Body, JointTransforms, mannequin
from cospeech.skeleton import HANDS, INDEX, JOINTS, PARENTS, WRISTS

# What a volume is fitted to: the joint it moves with, the joints whose vertices it wraps, the joint its axis points to.
_WRAPPED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "pelvis": ("pelvis", ("pelvis", "spine1"), "spine1"),
    "waist": ("spine2", ("spine1", "spine2"), "spine3"),
    "chest": ("spine3", ("spine2", "spine3"), "neck"),
    "neck": ("neck", ("neck",), "head"),
    "head": ("head", ("head",), "neck"),
    "left thigh": ("left_hip", ("left_hip",), "left_knee"),
    "right thigh": ("right_hip", ("right_hip",), "right_knee"),
    "left palm": ("left_wrist", ("left_wrist",), "left_middle1"),
    "right palm": ("right_wrist", ("right_wrist",), "right_middle1"),
}
_UPRIGHT = ("pelvis", "spine2", "spine3", "neck", "head")  # their axes are vertical in the rest pose
TRUNK = ("pelvis", "waist", "chest", "neck", "head", "left thigh", "right thigh")
PALMS = ("left palm", "right palm")

HAND_JOINTS: tuple[tuple[int, ...], ...] = tuple(  # left and right: the wrist and the fingers, 16 each
    (wrist, *(j for j in HANDS if JOINTS[j].startswith(side)))
    for wrist, side in zip(WRISTS, ("left", "right"), strict=True)
)
_LAST = [j for hand in HAND_JOINTS for j in hand if j not in PARENTS]  # of each finger


@dataclass(frozen=True, eq=False)
class Volume:
    """A tapered elliptic capsule. Its frame's columns are the axis and the two directions of the cross-section."""

    joint: int
    frame: np.ndarray  # (3, 3) in the rest pose
    start: np.ndarray  # (3,) from the joint, metres: one end of the axis; the other is start + length * frame[:, 0]
    length: float
    radii: np.ndarray  # (2, 2) metres, at the two ends of the axis, of the two directions of the cross-section


@cache
def volumes() -> dict[str, Volume]:
    """The volumes of the mannequin by name: those of TRUNK and of PALMS."""
    body = mannequin()
    return {name: _fit(body, *wrapped) for name, wrapped in _WRAPPED.items()}


def _fit(body: Body, joint: str, wrapped: tuple[str, ...], towards: str) -> Volume:
    """Each half of the axis gives one cross-section: as wide as all but one in ten of its vertices."""
    origin = body.joints[INDEX[joint]]
    vertices = body.vertices[np.isin(body.weight_indices[:, 0], [INDEX[name] for name in wrapped])] - origin
    along = (body.joints[INDEX[towards]] - origin).astype(np.float64)
    if joint in _UPRIGHT:
        along *= [0, 1, 0]
    frame = ik.frame(along, np.array([0.0, 0, 1]))
    local = vertices @ frame  # (N, 3) along, forwards, aside
    low, high = local.min(axis=0), local.max(axis=0)
    middle = (low + high) / 2
    upper = local[:, 0] > middle[0]
    radii = np.array([np.quantile(np.abs(local[half] - middle)[:, 1:], 0.9, axis=0) for half in (~upper, upper)])
    caps = np.minimum(radii.min(axis=1), (high - low)[0] / 2 - 1e-3)
    start = frame @ [low[0] + caps[0], *middle[1:]]
    return Volume(INDEX[joint], frame, start, float((high - low)[0] - caps.sum()), radii)


@cache
def _tips() -> np.ndarray:
    """(10, 3) the fingertips, left hand first, from the last joints of the fingers in the rest pose, metres."""
    body = mannequin()
    tips = []
    for j in _LAST:
        bone = body.joints[j] - body.joints[PARENTS[j]]
        bone = bone / np.linalg.norm(bone)
        vertices = body.vertices[body.weight_indices[:, 0] == j] - body.joints[j]
        tips.append(bone * (vertices @ bone).max())
    return np.array(tips)


def hand_points(transforms: JointTransforms) -> np.ndarray:
    """(T, 2, 21, 3) points of the left and right hand: wrist, finger joints, fingertips."""
    positions, rotations = transforms.positions, transforms.rotations
    joints = np.stack([positions[:, hand] for hand in HAND_JOINTS], axis=1)
    tips = positions[:, _LAST] + (rotations[:, _LAST] @ _tips()[..., None].astype(rotations.dtype))[..., 0]
    return np.concatenate([joints, tips.reshape(len(tips), 2, 5, 3)], axis=2)


def ways_out(volume: Volume, transforms: JointTransforms, points: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """The way from each point to the surface of a volume, away from its axis; zero for points outside.

    Args:
        points: (T, P, 3) in the world of `transforms`.
        margin: Metres by which the volume is made thicker.

    Returns:
        (T, P, 3) metres; the length is how deep a point is inside.
    """
    out = np.zeros_like(points)
    radii = volume.radii + margin
    centre = volume.start + volume.length / 2 * volume.frame[:, 0]
    rotations = transforms.rotations[:, volume.joint]
    centres = transforms.positions[:, volume.joint] + rotations @ centre.astype(rotations.dtype)
    reach = volume.length / 2 + radii.max()
    frames, which = np.nonzero(np.sum((points - centres[:, None]) ** 2, axis=-1) < reach**2)
    frame = (rotations @ volume.frame.astype(rotations.dtype))[frames]  # (N, 3, 3) axis, two directions across
    local = ((points[frames, which] - centres[frames])[:, None] @ frame)[:, 0]
    axial = local[:, 0].clip(-volume.length / 2, volume.length / 2)
    taper = axial[:, None] / max(volume.length, 1e-6) + 0.5
    radii = (1 - taper) * radii[0] + taper * radii[1]  # (N, 2)
    local[:, 0] -= axial
    radii = np.concatenate([radii.min(axis=1, keepdims=True), radii], axis=1)
    local[:, 1] += np.where(np.abs(local / radii).max(axis=1) < 0.02, 0.02 * radii[:, 1], 0)  # from the axis, forwards
    share = np.sqrt(np.sum((local / radii) ** 2, axis=1, keepdims=True))  # of the way from the axis to the surface
    out[frames, which] = (frame @ (local * np.maximum(1 / share - 1, 0))[..., None])[..., 0]
    return out


def depths(transforms: JointTransforms, names: tuple[str, ...] = TRUNK) -> np.ndarray:
    """(T, 2, 21) how deep each point of the left and right hand is inside trunk, head or thighs, metres; 0 outside."""
    points = hand_points(transforms)
    flat = points.reshape(len(points), points.shape[1] * points.shape[2], 3)
    deepest = np.zeros(flat.shape[:2])
    for name in names:
        deepest = np.maximum(deepest, np.linalg.norm(ways_out(volumes()[name], transforms, flat), axis=-1))
    return deepest.reshape(points.shape[:3])
