"""Cameras, and how they follow a person: still while the person stands, slow when the person walks."""

import math
from dataclasses import dataclass

import numpy as np

from cospeech import skeleton
from cospeech.body import Body, joint_transforms
from cospeech.motion import Motion
from cospeech.rotation import axis_angle_to_matrix
from cospeech.smoothing import smooth

_BODY_VIEW = math.radians(24)  # vertical angle of view: a portrait lens, little perspective
_FACE_VIEW = math.radians(18)
_CAMERA_TILT = math.radians(5)  # how far the body camera looks down: the floor is seen
_FACE_HEIGHT = 0.40  # metres of the face picture from bottom to top
_FACE_CENTRE = np.array([0.0, 0.03, 0.06])  # from the head joint, in the frame of the head, metres
_LEASH = 0.30  # metres the body may leave the middle before its camera moves
_FACE_LEASH = 0.06
_CHUNK = 1024  # frames whose joints are computed at a time


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at (x, y, z), world metres, y up.

    It looks at a person facing `yaw` (radians about y, 0 is +z) from the front, from `tilt` radians above.
    Hashable, so that what depends on the camera alone can be cached.
    """

    x: float
    y: float
    z: float
    yaw: float
    tilt: float
    focal: float  # pixels
    width: int
    height: int

    @property
    def position(self) -> np.ndarray:
        return np.array([self.x, self.y, self.z])

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) rows: right, up and backwards, unit vectors in the world."""
        right = np.array([math.cos(self.yaw), 0.0, -math.sin(self.yaw)])
        flat = np.array([math.sin(self.yaw), 0.0, math.cos(self.yaw)])
        back = flat * math.cos(self.tilt) + np.array([0.0, math.sin(self.tilt), 0.0])
        return np.stack([right, np.cross(back, right), back])

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) world points -> (..., 3): x right and y down in pixels, and 1 / depth (0 behind the camera)."""
        seen = (points - self.position) @ self.axes.T
        depth = -seen[..., 2]
        nearness = np.where(depth > 0.05, 1 / np.maximum(depth, 0.05), 0.0)
        x = self.width / 2 + self.focal * seen[..., 0] * nearness
        y = self.height / 2 - self.focal * seen[..., 1] * nearness
        return np.stack([x, y, nearness], axis=-1)


@dataclass(frozen=True)
class Shot:
    """A camera that moves with the frames of a motion: what it looks at, from where."""

    target: np.ndarray  # (T, 3) world metres
    yaw: np.ndarray  # (T,) radians
    tilt: float
    distance: float  # metres from the target
    focal: float  # pixels
    size: tuple[int, int]

    def __getitem__(self, frame: int) -> Camera:
        yaw, tilt = float(self.yaw[frame]), self.tilt
        away = np.array([math.sin(yaw) * math.cos(tilt), math.sin(tilt), math.cos(yaw) * math.cos(tilt)])
        x, y, z = (self.target[frame] + self.distance * away).tolist()
        return Camera(x, y, z, yaw, tilt, self.focal, *self.size)


def body_shot(motion: Motion, body: Body, size: tuple[int, int]) -> Shot:
    """The whole person from the front, raised hands and spread arms included, for the whole motion."""
    yaw = _mean_angle(_headings(motion.poses[:, 0]))
    pelvis = motion.translation + body.joints[0]
    ground = np.stack([_follow(pelvis[:, axis], _LEASH, motion.fps) for axis in (0, 2)], axis=1)  # (T, 2)
    right = np.array([math.cos(yaw), -math.sin(yaw)])
    low, high, side = 0.0, 1.8, 0.6
    for frames in _chunks(motion):
        joints = joint_transforms(body, motion.poses[frames], motion.translation[frames]).positions
        low = min(low, float(joints[..., 1].min()))
        high = max(high, float(joints[..., 1].max()) + 0.06, float(joints[:, skeleton.INDEX["head"], 1].max()) + 0.24)
        side = max(side, float(np.abs((joints[..., [0, 2]] - ground[frames, None]) @ right).max()) + 0.1)
    width, height = size
    tall = max((high - low) * 1.16, 2.2 * side * height / width)
    middle = (low + high) / 2 - 0.01 * tall
    target = np.stack([ground[:, 0], np.full(len(motion), middle), ground[:, 1]], axis=1)
    distance = tall / (2 * math.tan(_BODY_VIEW / 2))
    return Shot(target, np.full(len(motion), yaw), _CAMERA_TILT, distance, height / tall * distance, size)


def face_shot(motion: Motion, body: Body, size: tuple[int, int]) -> Shot:
    """The face from the front. The camera follows the head softly, so that nods and turns are seen as such."""
    head, facing = _heads(motion, body)
    centre = np.einsum("tij,j->ti", facing, _FACE_CENTRE) + head
    soft = smooth(centre, 0.4 * motion.fps, "values")
    off = centre - soft
    far = np.linalg.norm(off, axis=1, keepdims=True)
    target = soft + off * np.maximum(0, 1 - _FACE_LEASH / np.maximum(far, 1e-9))
    ahead = smooth(facing[:, [0, 2], 2], 1.0 * motion.fps, "values")
    width, height = size
    tall = max(_FACE_HEIGHT, 0.30 * height / width)
    distance = tall / (2 * math.tan(_FACE_VIEW / 2))
    return Shot(target, np.arctan2(ahead[:, 0], ahead[:, 1]), 0.0, distance, height / tall * distance, size)


def _heads(motion: Motion, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) positions and (T, 3, 3) orientations of the head."""
    head = skeleton.INDEX["head"]
    positions, rotations = [], []
    for frames in _chunks(motion):
        joints = joint_transforms(body, motion.poses[frames], motion.translation[frames])
        positions.append(joints.positions[:, head])
        rotations.append(joints.rotations[:, head])
    return np.concatenate(positions), np.concatenate(rotations)


def _chunks(motion: Motion) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, len(motion), _CHUNK)]


def _headings(axis_angle: np.ndarray) -> np.ndarray:
    """(T, 3) rotations -> (T, 2) x and z of where they turn +z, the direction faced on the floor."""
    return axis_angle_to_matrix(axis_angle)[:, [0, 2], 2]


def _mean_angle(directions: np.ndarray) -> float:
    x, z = directions.mean(axis=0)
    return math.atan2(x, z)


def _follow(path: np.ndarray, leash: float, fps: float) -> np.ndarray:
    """(T,) a smooth path that stays where it is until `path` is a `leash` away."""
    followed = np.empty_like(path)
    here = float(np.clip(np.median(path), path[0] - leash, path[0] + leash))
    for frame, there in enumerate(path.tolist()):
        here = min(max(here, there - leash), there + leash)
        followed[frame] = here
    return smooth(followed, 0.7 * fps, "values")
