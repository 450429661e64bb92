"""People who stand: weight that shifts from leg to leg, sway, now and then a foot put elsewhere, feet that stay put.

Shifts and fidgets come every few seconds, drift and sway between them [1]; sway is some millimetres, and smaller
sideways than to and fro [2].

[1] Duarte & Zatsiorsky 1999, Patterns of center of pressure migration during prolonged unconstrained standing, Motor
    Control 3(1)
[2] Winter 1995, Human balance and posture control during standing and walking, Gait & Posture 3(4)
"""

from collections.abc import Sequence

import numpy as np

from cospeech import ik, rotation, skeleton
from cospeech.body import mannequin
from cospeech.data.arms import Track, minimum_jerk
from cospeech.data.noise import smooth_noise
from cospeech.errors import DataError
from cospeech.motion import Motion

_SPINE = ("spine1", "spine2", "spine3")


def stand(num_frames: int, fps: float, rng: np.random.Generator, still: bool = False) -> Motion:
    """Somebody who stands and shifts their weight: legs, pelvis and spine by rule, arms in the rest pose.

    Args:
        still: Only sway: no weight is shifted, no foot put elsewhere.
    """
    rest = mannequin().joints.astype(np.float64) + skeleton.REST_TRANSLATION
    width, stagger = rng.uniform(0.07, 0.14), rng.normal(scale=0.03)
    feet = {}
    for side, out in (("left", 1.0), ("right", -1.0)):
        ankle = rest[skeleton.INDEX[f"{side}_ankle"]].copy()
        ankle[[0, 2]] = out * width, ankle[2] + out * stagger
        feet[side] = Track(np.array([*ankle, out * rng.uniform(0.08, 0.3)]))  # and the heading of the foot
    loaded = Track(np.array([rng.choice([-1.0, 1.0]) * rng.uniform(0.2, 1.0)]))  # 1: all weight on the left foot
    turned = Track(rng.normal(scale=[0.01, 0.12, 0.01]))
    frame = np.inf if still else rng.exponential(4.0) * fps
    while frame < num_frames:
        length = rng.uniform(0.8, 1.8) * fps
        way = -np.sign(loaded.goal[0]) * rng.uniform(0.3, 1.0) if rng.random() < 0.7 else rng.uniform(-1, 1)
        loaded.go([way], frame, frame + length)
        turned.go(rng.normal(scale=[0.02, 0.16, 0.01]), frame, frame + 1.3 * length)
        if rng.random() < 0.3 and abs(way) > 0.5:  # a foot without weight may go elsewhere
            side, out = ("right", -1.0) if way > 0 else ("left", 1.0)
            track, home = feet[side], out * width
            place = track.goal + rng.normal(scale=[0.02, 0, 0.04, 0.08])
            place[0] = np.clip(place[0], home - 0.04, home + 0.04)
            place[2] = np.clip(
                place[2], rest[skeleton.INDEX["left_ankle"], 2] - 0.1, rest[skeleton.INDEX["left_ankle"], 2] + 0.1
            )
            begin = frame + 0.75 * length
            track.go(place, begin, begin + rng.uniform(0.45, 0.6) * fps, bow=[0, rng.uniform(0.02, 0.045), 0, 0])
        frame += length + rng.lognormal(np.log(4.0), 0.6) * fps

    weight = loaded.values(num_frames)[:, 0]
    places = {side: track.values(num_frames) for side, track in feet.items()}
    share = 0.5 + 0.36 * weight[:, None]
    centre = share * places["left"][:, [0, 2]] + (1 - share) * places["right"][:, [0, 2]]
    sway = (
        smooth_noise(num_frames, 2, 2.0, fps, rng) * [0.004, 0.006]
        + smooth_noise(num_frames, 2, 0.6, fps, rng) * 0.0012
    )
    pelvis = np.empty((num_frames, 3))
    pelvis[:, [0, 2]] = centre + sway
    pelvis[:, 2] += rest[0, 2] - rest[skeleton.INDEX["left_ankle"], 2]
    roll = 0.07 * weight  # the side without weight sinks
    spread = np.hypot(*(places["left"] - places["right"])[:, [0, 2]].T) / 2
    pelvis[:, 1] = rest[0, 1] - rng.uniform(0.008, 0.02) - 0.5 * spread**2 - 0.02 * weight**2
    turn = turned.values(num_frames) + smooth_noise(num_frames, 3, 1.8, fps, rng) * [0.008, 0.02, 0.006]
    turn[:, 2] += roll

    poses = np.zeros((num_frames, skeleton.NUM_JOINTS, 3))
    poses[:, 0] = turn
    hips = rotation.axis_angle_to_matrix(turn)
    for side in feet:
        heading = np.stack([np.zeros(num_frames), places[side][:, 3], np.zeros(num_frames)], axis=-1)
        pose_leg(poses, side, places[side][:, :3], rotation.axis_angle_to_matrix(heading), pelvis, hips)
    for name in _SPINE:  # the trunk stays nearly upright over a tilted pelvis
        poses[:, skeleton.INDEX[name]] = -turn * [0.25, 0.12, 0.2]
    return Motion(poses, pelvis - mannequin().joints[0], fps)


def pose_leg(
    poses: np.ndarray, side: str, place: np.ndarray, foot_turn: np.ndarray, pelvis: np.ndarray, pelvis_turn: np.ndarray
) -> None:
    """Rotations of hip, knee and ankle of one leg (T, 55, 3), in place, so that the foot is where it should be.

    Args:
        place: (T, 3) of the ankle, metres.
        foot_turn: (T, 3, 3) of the foot; the knee points where the foot does.
        pelvis: (T, 3) metres, `pelvis_turn` (T, 3, 3) its rotation; `poses[:, 0]` is left to the caller.
    """
    rest = mannequin().joints.astype(np.float64)
    hip, knee, ankle = (rest[skeleton.INDEX[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
    thigh, shin = float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))
    root = pelvis + pelvis_turn @ (hip - rest[0])
    forward = foot_turn[:, :, 2]
    middle, end = ik.two_bone(root, place, forward, thigh, shin)
    hinge = np.cross(forward, root - place)  # of the knee; at rest it is -x
    hinge_rest = np.array([-1.0, 0.0, 0.0])
    thigh_turn = ik.turn_frame(knee - hip, hinge_rest, middle - root, hinge)
    shin_turn = ik.turn_frame(ankle - knee, hinge_rest, end - middle, hinge)
    chain = {
        "hip": np.swapaxes(pelvis_turn, -1, -2) @ thigh_turn,
        "knee": np.swapaxes(thigh_turn, -1, -2) @ shin_turn,
        "ankle": np.swapaxes(shin_turn, -1, -2) @ foot_turn,
    }
    for name, matrix in chain.items():
        poses[:, skeleton.INDEX[f"{side}_{name}"]] = rotation.matrix_to_axis_angle(matrix)


def turn(poses: np.ndarray, name: str, by: np.ndarray) -> None:
    """Turn one joint of poses (T, 55, 3) further, in place, by rotation vectors (T, 3) in its own frame."""
    joint = skeleton.INDEX[name]
    turned = rotation.axis_angle_to_matrix(poses[:, joint]) @ rotation.axis_angle_to_matrix(by)
    poses[:, joint] = rotation.matrix_to_axis_angle(turned)


def string_together(clips: Sequence[Motion], num_frames: int, rng: np.random.Generator) -> Motion:
    """Legs, pelvis and a calmed trunk of real standing people, pieces cross-faded over a second; arms at rest."""
    clips = [clip for clip in clips if len(clip) > 2 * clip.fps]
    if not clips:
        raise DataError("Idle motion must have clips of more than two seconds.")
    fade = round(clips[0].fps)
    poses, translation = [], []
    have = 0
    while have < num_frames + fade:
        clip = clips[int(rng.integers(len(clips)))]
        if rng.random() < 0.5:
            clip = clip.mirror()
        poses.append(clip.poses)
        translation.append(clip.translation - clip.translation.mean(axis=0) * [1, 0, 1])
        have += len(clip) - (fade if have else 0)
    quaternions, where = rotation.axis_angle_to_quaternion(poses[0]), translation[0]
    for piece, place in zip(poses[1:], translation[1:], strict=True):
        following = rotation.axis_angle_to_quaternion(piece)
        weight = minimum_jerk(np.arange(fade) / fade)[:, None]
        middle = rotation.slerp(quaternions[-fade:], following[:fade], weight[..., None])
        quaternions = np.concatenate([quaternions[:-fade], middle, following[fade:]])
        crossing = (1 - weight) * where[-fade:] + weight * place[:fade]
        where = np.concatenate([where[:-fade], crossing, place[fade:]])
    full = rotation.quaternion_to_axis_angle(quaternions[:num_frames])
    calm = np.zeros_like(full)
    calm[:, skeleton.LOWER] = full[:, skeleton.LOWER]
    for name in _SPINE:
        calm[:, skeleton.INDEX[name]] = 0.7 * full[:, skeleton.INDEX[name]]
    return Motion(calm, where[:num_frames], clips[0].fps)
