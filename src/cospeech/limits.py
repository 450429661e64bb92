"""Ranges of motion of the joints, and poses kept inside them.

[1] Boone and Azen 1979, Normal range of motion of joints in male subjects, J. Bone Joint Surg. 61-A(5)
[2] American Academy of Orthopaedic Surgeons 1965, Joint Motion: Method of Measuring and Recording
[3] Kapandji, The Physiology of the Joints, volumes 1-3
[4] Baerlocher and Boulic 2001, Parametrization and Range of Motion of the Ball-and-Socket Joint, Deformable Avatars

A joint's rotation is a twist about its bone followed by a swing [4], q = swing * twist. Its three coordinates are the
twist angle on the axis of the bone and the rotation vector of the swing on the other two, degrees in the table. Zero is
the T pose with palms down: the arms at 90 degrees of abduction, the forearms pronated. Sources give ranges of whole
regions; of the spine and the neck each SMPL-X joint may take more than its part, because fitted bodies share the bend
unevenly. Hinges have some play for the same reason.
"""

import numpy as np

from cospeech.rotation import axis_angle_to_quaternion, cross, quaternion_to_axis_angle
from cospeech.skeleton import INDEX, JOINTS, NUM_JOINTS

SOFT = np.radians(0.5)  # a limit is passed by less than that, so that who presses against it does not stop dead

X, Y, Z = range(3)
_RANGES: dict[str, tuple[int, tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    # joint: axis of the bone, ranges of x, y, z; of the left side for those that have two
    "spine1": (Y, (-15, 30), (-18, 18), (-15, 15)),  # [2] whole spine: 80 forwards, 30 back, 45 turn, 35 aside
    "spine2": (Y, (-15, 30), (-18, 18), (-15, 15)),
    "spine3": (Y, (-15, 30), (-18, 18), (-15, 15)),
    "neck": (Y, (-28, 28), (-40, 40), (-28, 28)),  # [2] with the head: 45 forwards and back, 60 turn, 45 aside
    "head": (Y, (-28, 28), (-40, 40), (-28, 28)),
    "left_hip": (Y, (-122, 30), (-47, 47), (-27, 46)),  # [1]; extension [2]
    "left_knee": (Y, (-16, 144), (-40, 30), (-12, 12)),  # [1]; [2] 10 beyond straight, the rest pose is 6 before it
    "left_ankle": (Y, (-30, 56), (-30, 30), (-37, 21)),  # [1]; bending up under the body's weight and turning [3]
    "left_foot": (Y, (-70, 40), (-25, 25), (-25, 25)),  # [2] of the toes
    "left_collar": (X, (-50, 50), (-35, 30), (-30, 40)),  # [3]; the T pose has the shoulder raised
    "left_shoulder": (X, (-104, 100), (-140, 45), (-125, 100)),  # [1]; inward turn behind the back [3]
    "left_elbow": (X, (-125, 45), (-145, 5), (-20, 20)),  # [1] 158 of turning, which elbow and wrist share freely
    "left_wrist": (X, (-90, 45), (-22, 36), (-76, 75)),  # [1]
    "left_thumb1": (X, (-50, 50), (-60, 60), (-60, 60)),  # [2]; its axes stand askew, so that ranges are outer ones
    "left_thumb2": (X, (-50, 50), (-55, 55), (-55, 55)),
    "left_thumb3": (X, (-50, 50), (-80, 80), (-80, 80)),
    **{
        f"left_{finger}{n}": (X, (-30, 30), (-aside, aside), (-bend, back))
        for finger in ("index", "middle", "ring", "pinky")
        for n, aside, bend, back in ((1, 30, 90, 45), (2, 20, 110, 10), (3, 20, 90, 15))  # [2], [3]
    },
}


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(55,) axis of the bone, (55, 3) lowest and highest coordinates in radians; no limits for pelvis, jaw and eyes."""
    bone = np.zeros(NUM_JOINTS, dtype=int)
    low, high = np.full((2, NUM_JOINTS, 3), [[[-np.pi]], [[np.pi]]])
    for j, name in enumerate(JOINTS):
        key = name.replace("right_", "left_")
        if key not in _RANGES:
            continue
        bone[j], *ranges = _RANGES[key]
        low[j], high[j] = np.radians(ranges).T
        if key != name:  # mirroring turns the signs of y and z
            low[j, 1:], high[j, 1:] = -high[j, 1:], -low[j, 1:]
    return bone, low, high


_BONE, LOW, HIGH = _tables()
_ELBOWS = tuple((INDEX[f"{side}_shoulder"], INDEX[f"{side}_elbow"]) for side in ("left", "right"))
LIMITED = tuple(j for j in range(NUM_JOINTS) if HIGH[j, 0] < np.pi)


def coordinates(poses: np.ndarray) -> np.ndarray:
    """(..., 55, 3) axis-angle -> (..., 55, 3) twist and swing angles in radians, on the axes they turn about."""
    return _swing_twist(axis_angle_to_quaternion(poses), _BONE)


def hinged(poses: np.ndarray) -> np.ndarray:
    """(T, 55, 3) poses whose elbows bend about their axes: where one does not, upper arm and forearm are turned.

    Fitted bodies and networks confuse the turn of the upper arm with that of the forearm. No joint changes its place,
    and the hand keeps its direction.
    """
    poses = np.array(poses)
    for shoulder, elbow in _ELBOWS:
        bone = _BONE[elbow]
        angles = _swing_twist(axis_angle_to_quaternion(poses[:, elbow]), bone)
        play = angles[:, 2].clip(LOW[elbow, 2], HIGH[elbow, 2])
        off = np.flatnonzero(play != angles[:, 2])
        if len(off) == 0:
            continue
        (y, z), play = angles[off, 1:].T, play[off]
        bent = np.sign(LOW[elbow, 1] + HIGH[elbow, 1]) * np.sqrt(y * y + z * z - play * play)
        turn = np.arctan2(z, y) - np.arctan2(play, bent)  # of the plane in which the elbow bends
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        poses[off, elbow] = _compose(np.stack([angles[off, 0] - turn, bent, play], axis=-1), bone)
        upper = _swing_twist(axis_angle_to_quaternion(poses[off, shoulder]), bone)
        poses[off, shoulder] = _compose(upper + turn[:, None] * [1, 0, 0], bone)
    return poses


def clamp(poses: np.ndarray) -> np.ndarray:
    """(T, 55, 3) axis-angle poses with every coordinate within `SOFT` of its range; inside it nothing changes."""
    poses = hinged(poses)
    angles = coordinates(poses)
    frames, joints = np.nonzero(((angles < LOW) | (angles > HIGH)).any(axis=-1))
    if len(frames):
        found = angles[frames, joints]
        inside = found.clip(LOW[joints], HIGH[joints])
        poses[frames, joints] = _compose(inside + SOFT * np.tanh((found - inside) / SOFT), _BONE[joints])
    return poses


def excess(poses: np.ndarray) -> np.ndarray:
    """(..., 55) radians by which the worst coordinate of each joint is outside its range, 0 inside."""
    angles = coordinates(poses)
    return np.maximum(np.maximum(LOW - angles, angles - HIGH), 0).max(axis=-1)


def _swing_twist(quaternion: np.ndarray, bone: np.ndarray | int) -> np.ndarray:
    q = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, vector = q[..., 0], q[..., 1:]
    along = np.eye(3, dtype=q.dtype)[bone]  # (..., 3)
    t = np.sum(vector * along, axis=-1)
    length = np.sqrt(w * w + t * t) + 1e-12
    w_twist, t = (w / length)[..., None], (t / length)[..., None]
    # swing = q * conjugate(twist): scalar `length`, vector normal to the bone
    crossed = cross(vector, np.broadcast_to(along, vector.shape))
    swing = (vector * w_twist - crossed * t) * (1 - along)
    angles = quaternion_to_axis_angle(np.concatenate([length[..., None], swing], axis=-1))
    return angles + along * 2 * np.arctan2(t, w_twist)


def _compose(angles: np.ndarray, bone: np.ndarray | int) -> np.ndarray:
    """Inverse of `coordinates`: (N, 3) angles of joints whose bones lie on the axes () or (N,) -> (N, 3) axis-angle."""
    along = np.eye(3)[bone]
    a = axis_angle_to_quaternion(angles * (1 - along))
    b = axis_angle_to_quaternion(angles * along)
    w = a[:, :1] * b[:, :1] - np.sum(a[:, 1:] * b[:, 1:], axis=-1, keepdims=True)
    vector = a[:, :1] * b[:, 1:] + b[:, :1] * a[:, 1:] + cross(a[:, 1:], b[:, 1:])
    return quaternion_to_axis_angle(np.concatenate([w, vector], axis=-1))
