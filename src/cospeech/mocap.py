"""Motion capture of any skeleton, .bvh or .amc -> Motion.

Which joint is which is known by name (`rigs`), else by the shape of the tree (`anatomy`); rest poses that are no T pose
are corrected (`rest_pose`); `retarget` does the rest. What had to be assumed is told in `Motion.metadata["assumed"]`.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from cospeech import anatomy, ik, rigs, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.capture import Capture
from cospeech.errors import DataError, MotionError
from cospeech.formats import asf, bvh
from cospeech.motion import MAX_FPS, Motion
from cospeech.rest_pose import t_pose_frames
from cospeech.retarget import REQUIRED, forward_kinematics, positions_to_poses
from cospeech.rotation import unit
from cospeech.skeleton import INDEX

_AMC_FPS = 120.0  # of all of CMU
_RATES = (10, 12, 12.5, 15, 20, 24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 144, 150, 180, 200, 240)
_RATE_OFF = 0.03  # a recording may be longer or shorter than its motion by so much of it
_LEG = 0.49  # of the height of a person, hip to ankle; Drillis and Contini 1966
_HEIGHT_M = 1.7
_UNITS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254, "inches / 0.45": 0.0254 / 0.45}
_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # (x, y, z) -> (x, z, -y)
_BONES = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
_APART = (  # what may not be in one place
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in _BONES),
    *((f"{side}_{joint}", "neck") for side in ("left", "right") for joint in ("hip", "shoulder")),
    *((f"left_{joint}", f"right_{joint}") for joint in ("hip", "shoulder")),
)
_POINT = 1e-3  # of the longest bone
_LIES = 0.6  # of the length of a trunk, its height


def read(path: str | Path, fps: float | None = None, duration_s: float | None = None) -> Motion:
    """Read a .bvh or .amc file of any skeleton. It begins at x = z = 0, facing +z, in the proportions of SMPL-X.

    A .bvh file that this package wrote comes back as it was.

    Args:
        fps: Frames a second, for files that do not say (.amc: 120 is assumed) or say wrong.
        duration_s: Of the recording that belongs to it: tells the rate of a file that does not say, or holds fewer
            frames than its header promises.
    """
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise DataError(f"{path}: cannot have {fps:g} frames a second.")
    read_one = _read_amc if Path(path).suffix.lower() == ".amc" else _read_bvh
    try:
        return read_one(path, fps, duration_s)
    except MotionError as error:
        raise DataError(f"{path}: {error}") from error


def _read_bvh(path: str | Path, fps: float | None, duration_s: float | None) -> Motion:
    parsed = bvh.parse(path)
    if fps is None and duration_s is not None and len(parsed.values) < parsed.num_promised:
        fps = _rate(path, len(parsed.values), duration_s)
    elif fps is None:
        bvh.warn_if_short(parsed, path)
    parsed = replace(parsed, fps=fps or parsed.fps)
    return to_motion(parsed.capture(), parsed.fps) if bvh.why_other(parsed) else bvh.to_motion(parsed)


def _read_amc(path: str | Path, fps: float | None, duration_s: float | None) -> Motion:
    capture = asf.read(path)
    if fps is None and duration_s is not None:
        fps = _rate(path, len(capture), duration_s)
    motion = to_motion(capture, fps or _AMC_FPS)
    if fps is None:
        return motion.with_metadata({"assumed": f"{_AMC_FPS:g} frames a second; {motion.metadata['assumed']}"})
    return motion


def _rate(path: str | Path, num_frames: int, duration_s: float) -> float:
    """The usual frame rate nearest to that of so many frames in so many seconds."""
    rate = min(_RATES, key=lambda rate: abs(np.log(rate * duration_s / max(num_frames, 1))))
    if abs(num_frames / rate - duration_s) > _RATE_OFF * duration_s:
        raise DataError(
            f"{path}: {num_frames} frames fit no usual frame rate in a recording of {duration_s:.1f} s. "
            "Convert it with --source-fps first."
        )
    return float(rate)


def to_motion(capture: Capture, fps: float) -> Motion:
    """The motion of a captured skeleton on that of SMPL-X; fingers move where it has any.

    Raises:
        MotionError: it has no frames, or is not a person's.
    """
    if len(capture) == 0:
        raise MotionError("it holds no frames.")
    if capture.parents[0] != -1 or min(capture.parents[1:], default=-1) < 0:
        raise MotionError("it holds several skeletons, or a single joint. Export one person.")
    rest = mannequin("light").joints
    rotations, positions = forward_kinematics(
        capture.rotations, capture.positions[:, 0], np.array(capture.parents), capture.positions
    )
    joints, rig = _joints(capture, positions)
    unturned = dict(zip(joints, capture.unturned()[[*joints.values()]], strict=True))
    up = _up({name: positions[:, j] for name, j in joints.items()}, unturned)
    at = {name: positions[:, j] @ up.T for name, j in joints.items()}
    turned = {name: up @ rotations[:, j] for name, j in joints.items()}
    frames = t_pose_frames(unturned, rest, rig.t_pose if rig else {})
    guessed = [name for name in ("head", "left_wrist", "right_wrist") if name in joints and name not in frames]
    frames |= _usual(guessed, at, turned, rest)
    poses, translation = positions_to_poses(at, rest, {name: turned[name] @ frame for name, frame in frames.items()})
    assumed = [
        f"a skeleton like that of {rig.name}" if rig else "joints known by the shape of their tree",
        _size(at),
        *(["z up, turned to y up"] if up is _Z_UP else []),
        *([f"rest of {', '.join(guessed)} as they are on average"] if guessed else []),
        *([f"no {', '.join(missing)}"] if (missing := _missing(joints)) else []),
        "begins at the origin, facing +z",
    ]
    return Motion(poses, translation, fps, metadata={"assumed": "; ".join(assumed)})


def _joints(capture: Capture, positions: np.ndarray) -> tuple[dict[str, int], rigs.Rig | None]:
    """SMPL-X name -> joint, and the rig whose names they have."""
    turning = np.arccos(((np.trace(capture.rotations, axis1=-2, axis2=-1) - 1) / 2).clip(-1, 1)).max(axis=0)
    tree = capture.parents, positions, turning
    named = rigs.by_name(capture.names, capture.parents)
    joints = named.joints if named else anatomy.label(*tree)
    if missing := [name for name in REQUIRED if name not in joints]:
        raise MotionError(
            f"neither the names ({', '.join(capture.names[:4])} ...) nor the tree of its joints tell which is the "
            f"{missing[0]}. Export it with the joint names of SMPL-X or Mixamo."
        )
    longest = np.linalg.norm(capture.offsets[1:], axis=-1).max()
    for a, b in _APART:
        if np.linalg.norm(positions[:, joints[a]] - positions[:, joints[b]], axis=-1).min() < _POINT * longest:
            raise MotionError(f"its {a} and {b} are in one place. Export it with the lengths of bones.")
    for side in ("left", "right"):
        if named and f"{side}_index1" not in joints:
            joints |= anatomy.fingers(side, joints[f"{side}_wrist"], *tree)
    return joints, named.rig if named else None


def _up(at: Mapping[str, np.ndarray], unturned: Mapping[str, np.ndarray]) -> np.ndarray:
    """(3, 3) that turns the world's up to y. Trunks are upright on the whole; where one lies, its rest pose decides."""

    def trunk(joints: Mapping[str, np.ndarray]) -> np.ndarray:
        hips = (joints["left_hip"] + joints["right_hip"]) / 2
        return unit((joints["left_shoulder"] + joints["right_shoulder"]) / 2 - hips)

    _, y, z = trunk(at).mean(axis=0)
    if max(abs(y), abs(z)) < _LIES or abs(abs(y) - abs(z)) < 1 - _LIES:
        _, y, z = trunk(unturned)
    return _Z_UP if abs(z) > abs(y) else np.eye(3)


def _usual(
    names: list[str], at: Mapping[str, np.ndarray], turned: Mapping[str, np.ndarray], rest: np.ndarray
) -> dict[str, np.ndarray]:
    """T pose frames of joints about which the rest pose says nothing: as if positions alone were right on average."""
    if not names:
        return {}
    found = joint_transforms(mannequin("light"), *positions_to_poses(at, rest, facing=None)).rotations
    relative = {name: np.swapaxes(turned[name], -1, -2) @ found[:, INDEX[name]] for name in names}
    return {name: ik.best_rotation(np.eye(3), matrices.mean(axis=0).T) for name, matrices in relative.items()}


def _size(at: Mapping[str, np.ndarray]) -> str:
    legs = [[at[f"{side}_{joint}"][0] for joint in ("hip", "knee", "ankle")] for side in ("left", "right")]
    height = sum(float(np.linalg.norm(b - a)) for leg in legs for a, b in pairwise(leg)) / 2 / _LEG
    unit_name, metres = min(_UNITS.items(), key=lambda each: abs(np.log(height * each[1] / _HEIGHT_M)))
    if not 0.6 < height * metres / _HEIGHT_M < 1.5:
        return "lengths in an unknown unit"
    return f"lengths in {unit_name}, so that the legs are those of a person of {height * metres:.2f} m"


def _missing(joints: Mapping[str, int]) -> list[str]:
    """What a whole skeleton has, in words."""
    fingers = [name for name in joints if INDEX[name] in skeleton.HANDS]
    missing = [name for name in ("head", "spine2", "left_foot", "right_foot") if name not in joints]
    return [*missing, *(["fingers"] if not fingers else [])]
