"""Motion <-> the vectors networks see. The only place that knows channel layouts.

A body part is a slice of the body with its own tokenizer. Its vector holds, frame by frame, the 6-D rotations of
its joints in ascending order (rows convention, `rotation.matrix_to_rotation_6d`), then for `lower_trans` three
translation channels, or for `face` the 52 ARKit weights.

Translation channels: x and z as steps since the previous frame (the first frame repeats the second's step), y as
height. Decoding sums the steps up; the motion then starts at x = z = 0.
Source: SynTalker, arXiv:2410.00464, system S.

MambaTalk's vectors are others, see `body_channels`, `legs_channels` and `flame_channels`.
Source: MambaTalk, arXiv:2403.09471, and EMAGE, arXiv:2401.00374.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cospeech import rotation, skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.errors import ConfigError

_CHUNK = 4096  # frames converted at a time, so that an hour needs no more memory than a minute besides its frames


@dataclass(frozen=True)
class PartLayout:
    """Which channels the vector of a body part has."""

    recorded: str  # what of the body must be real in a clip that this part learns from
    joints: tuple[int, ...] = ()  # 6 channels each
    translation: bool = False  # 3 channels
    face: bool = False  # 52 channels

    @property
    def channels(self) -> int:
        return 6 * len(self.joints) + 3 * self.translation + len(skeleton.ARKIT) * self.face

    @property
    def whole_body(self) -> list[int]:
        """Channels that turn or move the body as a whole: those of the pelvis and of the translation."""
        turns = [
            6 * k + c for k, joint in enumerate(self.joints) if joint == skeleton.INDEX["pelvis"] for c in range(6)
        ]
        return turns + [6 * len(self.joints) + c for c in range(3 * self.translation)]


PARTS: dict[str, PartLayout] = {
    "upper": PartLayout("upper", skeleton.UPPER),
    "hands": PartLayout("hands", skeleton.HANDS),
    "lower": PartLayout("lower", skeleton.LOWER),
    "lower_trans": PartLayout("lower", skeleton.LOWER, translation=True),
    "face": PartLayout("face", face=True),
}


def layout(part: str) -> PartLayout:
    if part not in PARTS:
        raise ConfigError(f"Unknown body part `{part}`. Known parts: {', '.join(PARTS)}.")
    return PARTS[part]


def encode(part: str, poses: np.ndarray, translation: np.ndarray, face: np.ndarray | None = None) -> np.ndarray:
    """The vector of one body part.

    Args:
        part: A name in `PARTS`.
        poses: (T, 55, 3) axis-angle.
        translation: (T, 3) metres.
        face: (T, 52) ARKit weights; needed by the part `face` only.

    Returns:
        (T, channels) float32, not normalised.
    """
    this = layout(part)
    pieces = []
    if this.joints:
        rotations = rotation.axis_angle_to_rotation_6d(np.asarray(poses)[:, this.joints])
        pieces.append(rotations.reshape(len(poses), -1))
    if this.translation:
        pieces.append(translation_to_channels(np.asarray(translation)))
    if this.face:
        if face is None:
            raise ConfigError("The part `face` needs face weights.")
        pieces.append(np.asarray(face))
    return np.concatenate(pieces, axis=-1).astype(np.float32)


def columns(part: str) -> np.ndarray:
    """Where the channels of a part without a face stand among those of the whole body: 6 a joint, then translation."""
    this = layout(part)
    rotations = 6 * np.repeat(this.joints, 6) + np.tile(np.arange(6), len(this.joints))
    return np.append(rotations, 6 * skeleton.NUM_JOINTS + np.arange(3)) if this.translation else rotations


def decode(
    vectors: Mapping[str, np.ndarray], one_step_away: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Body part vectors back to a body. Joints of no part stay at rest, a missing translation stands still.

    Args:
        vectors: Part name -> (T, channels), not normalised.
        one_step_away: The motion starts where its first step leads, not at x = z = 0.

    Returns:
        poses (T, 55, 3), translation (T, 3), face (T, 52) within 0..1 or None. With a face, the jaw joint turns
        by `skeleton.JAW_OPEN_RADIANS` x jawOpen.
    """
    num_frames = len(next(iter(vectors.values())))
    poses = np.zeros((num_frames, skeleton.NUM_JOINTS, 3), np.float32)
    translation = np.tile(skeleton.REST_TRANSLATION, (num_frames, 1))
    face = None
    for part, vector in vectors.items():
        this = layout(part)
        if vector.shape != (num_frames, this.channels):
            raise ConfigError(f"Part `{part}` has shape {vector.shape}, expected {(num_frames, this.channels)}.")
        if this.joints:
            for start in range(0, num_frames, _CHUNK):
                piece = vector[start : start + _CHUNK, : 6 * len(this.joints)].reshape(-1, len(this.joints), 6)
                poses[start : start + _CHUNK, this.joints] = rotation.rotation_6d_to_axis_angle(piece)
        if this.translation:
            translation = channels_to_translation(vector[:, -3:])
            if one_step_away:
                translation[:, [0, 2]] += vector[0, [-3, -1]]
        if this.face:
            face = vector.clip(0, 1)
            poses[:, skeleton.JAW, 0] = skeleton.JAW_OPEN_RADIANS * face[:, skeleton.JAW_OPEN]
    return poses, translation, face


def translation_to_channels(translation: np.ndarray) -> np.ndarray:
    """(T, 3) metres -> (T, 3): x and z steps a frame, y height."""
    channels = translation.astype(np.float32)
    for axis in (0, 2):
        channels[1:, axis] = np.diff(translation[:, axis])
        channels[0, axis] = channels[1, axis] if len(channels) > 1 else 0
    return channels


def channels_to_translation(channels: np.ndarray) -> np.ndarray:
    """Inverse of `translation_to_channels` up to where the motion starts, which is x = z = 0."""
    translation = channels.astype(np.float64)
    for axis in (0, 2):
        translation[:, axis] = np.cumsum(translation[:, axis]) - translation[0, axis]
    return translation.astype(np.float32)


ROTATIONS = 6 * skeleton.NUM_JOINTS  # of the 337 channels of a body; then come
PLACE, CONTACTS = slice(ROTATIONS, ROTATIONS + 3), slice(ROTATIONS + 3, ROTATIONS + 7)  # metres; 0 or 1
LEGS_MOVE, LEGS_CONTACTS = slice(54, 57), slice(57, 61)  # of the 61 channels of legs; 6 numbers a joint before them
# Joints whose contacts are told, in this order.
TOUCHING = tuple(skeleton.INDEX[f"{side}_{joint}"] for joint in ("ankle", "foot") for side in ("left", "right"))
_SLOWEST_STEP = 0.01  # metres a frame at 30 frames a second


def body_channels(poses: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(T, 337) 6-D rotations of all joints, translation in metres, contacts: what MambaTalk is told of a motion.

    Args:
        poses: (T, 55, 3) axis-angle, 30 frames a second.
        translation: (T, 3) metres.
    """
    rotations = rotation.axis_angle_to_rotation_6d(np.asarray(poses)).reshape(len(poses), -1)
    return np.concatenate([rotations, translation, contacts(poses, translation)], axis=1).astype(np.float32)


def legs_channels(poses: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(T, 61) rotations of the legs, translation in metres, contacts; arguments as of `body_channels`."""
    touches = contacts(poses, translation)
    return np.concatenate([encode("lower", poses, translation), translation, touches], axis=1).astype(np.float32)


def flame_channels(poses: np.ndarray, expressions: np.ndarray) -> np.ndarray:
    """(T, 106) rotation of the jaw, and the (T, 100) expressions of FLAME."""
    jaw = rotation.axis_angle_to_rotation_6d(np.asarray(poses)[:, skeleton.JAW])
    return np.concatenate([jaw, expressions], axis=1).astype(np.float32)


def contacts(poses: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(T, 4) 1 where left and right ankle, left and right foot move by less than a centimetre to the next frame.

    The last frame counts as standing, as published; the joints are those of the mannequin.
    """
    touches = np.ones((len(poses), 4), np.float32)
    body = mannequin("light")
    for start in range(0, len(poses), _CHUNK):
        piece = slice(start, start + _CHUNK + 1)
        joints = joint_positions(body, np.asarray(poses)[piece], np.asarray(translation)[piece])[:, TOUCHING]
        steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
        touches[start : start + len(steps)] = steps < _SLOWEST_STEP
    return touches


def standing(num_frames: int) -> np.ndarray:
    """(T, 337) of somebody who stands still with hanging arms."""
    poses = np.zeros((num_frames, skeleton.NUM_JOINTS, 3), np.float32)
    for side, sign in (("left", 1), ("right", -1)):
        poses[:, skeleton.INDEX[f"{side}_shoulder"], 2] = -1.2 * sign  # radians: down from the T pose
        poses[:, skeleton.INDEX[f"{side}_elbow"], 1] = -0.3 * sign  # a little bent
    return body_channels(poses, np.tile(skeleton.REST_TRANSLATION, (num_frames, 1)))


def from_mambatalk(
    vectors: Mapping[str, np.ndarray], speed: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of `face`, `upper`, `hands` and `lower`, (T, channels) each -> a body; its eyes look straight ahead.

    Args:
        speed: (T, 3) metres a second in x and z, height in metres.
        start: (3,) where the first frame is; its height does not count.

    Returns:
        poses (T, 55, 3), translation (T, 3), expressions (T, 100).
    """
    num_frames = len(speed)
    poses = np.zeros((num_frames, skeleton.NUM_JOINTS, 3), np.float32)
    for part in ("upper", "hands", "lower"):
        joints = layout(part).joints
        for first in range(0, num_frames, _CHUNK):
            piece = vectors[part][first : first + _CHUNK, : 6 * len(joints)].reshape(-1, len(joints), 6)
            poses[first : first + _CHUNK, joints] = rotation.rotation_6d_to_axis_angle(piece)
    poses[:, skeleton.JAW] = rotation.rotation_6d_to_axis_angle(vectors["face"][:, :6])
    return poses, walked(speed, start), vectors["face"][:, 6:]


def walked(speed: np.ndarray, start: np.ndarray, fps: float = 30.0) -> np.ndarray:
    """(T, 3) metres a second in x and z, and height -> (T, 3) metres, from `start` (3,) on in x and z."""
    translation = np.array(speed, np.float64)
    for axis in (0, 2):
        translation[1:, axis] = np.cumsum(translation[:-1, axis]) / fps
        translation[0, axis] = 0
        translation[:, axis] += start[axis]
    return translation.astype(np.float32)
