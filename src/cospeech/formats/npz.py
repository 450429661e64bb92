"""Motion <-> .npz, the archive of arrays that SMPL-X tools share.

Written with the keys, shapes and types of BEAT2 (`betas`, `poses`, `expressions`, `trans`, `model`, `gender`,
`mocap_frame_rate`), which are also those the SMPL-X Blender add-on asks for, and with three more that other tools
pass over: `face` (T, 52), `face_names` (52,), and `metadata`, a JSON object of strings. Or with those of AMASS, with z
up, as SMPL-X ("amass") or SMPL-H ("amass-smplh", of the average body).

Read: files written here, BEAT2 [1], and AMASS [2] as SMPL-X (165 pose columns) or SMPL-H (156: no jaw, no eyes).
What a file does not say and had to be assumed is told in `Motion.metadata["assumed"]`.

[1] Liu et al. 2024, EMAGE, arXiv:2401.00374
[2] Mahmood et al. 2019, AMASS, arXiv:1904.03278
"""

import json
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cospeech import rotation, skeleton
from cospeech.errors import DataError, MotionError
from cospeech.formats.npy import read_array
from cospeech.formats.output import replacing
from cospeech.motion import NUM_BETAS, NUM_EXPRESSIONS, Motion

_FRAME_RATES = ("mocap_frame_rate", "mocap_framerate")  # BEAT2 and AMASS SMPL-X; AMASS SMPL-H
_KEYS = ("poses", "trans", "betas", "gender", "expressions", "face", "face_names", "metadata", *_FRAME_RATES)
# AMASS writes these beside its poses; its world has z up. BEAT2 and this module have y up.
_AMASS_KEYS = {"surface_model_type", "root_orient", "markers_latent", "dmpls", "mocap_framerate"}
_AMASS_TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)  # (x, y, z) -> (x, z, -y)
_SMPLH_JOINTS = tuple(j for j in range(skeleton.NUM_JOINTS) if j not in (22, 23, 24))  # all but jaw and eyes
_SMPLH_REST_PELVIS = np.array([-0.0018, -0.2233, 0.0282], np.float32)  # of the average SMPL body, metres
_AMASS_BETAS = 16
_FLAT_HANDS = "finger rotations are total (flat hand = 0)"
_MAX_BYTES = 2**31  # of all arrays together: more than ten hours at 30 fps


def write(motion: Motion, path: str | Path, layout: str = "beat2") -> None:
    """Write a motion as BEAT2 does, or AMASS. Reading it back as BEAT2 has it gives the same arrays bit for bit.

    Args:
        layout: beat2, amass or amass-smplh. Those of AMASS have no place for expressions and face, and that of SMPL-H
            none for jaw, eyes and the body shape of SMPL-X.
    """
    arrays = {
        **_LAYOUTS[layout](motion),
        "gender": motion.metadata.get("gender", "neutral"),
        "metadata": json.dumps(dict(motion.metadata)),
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _as_beat2(motion: Motion) -> dict[str, Any]:
    whole = round(motion.fps) == motion.fps
    return {
        "betas": motion.betas,
        "poses": motion.poses.reshape(len(motion), skeleton.NUM_JOINTS * 3),
        "expressions": motion.expressions.astype(np.float64),
        "trans": motion.translation.astype(np.float64),
        "model": "smplx2020",
        "mocap_frame_rate": np.int32(motion.fps) if whole else np.float64(motion.fps),
        **({} if motion.face is None else {"face": motion.face, "face_names": np.array(skeleton.ARKIT)}),
    }


def _as_amass(motion: Motion) -> dict[str, Any]:
    poses, translation = _turned(motion.poses, motion.translation, _AMASS_TO_Y_UP.T)
    poses = poses.reshape(len(motion), skeleton.NUM_JOINTS * 3)
    parts = {"root_orient": 3, "pose_body": 66, "pose_jaw": 69, "pose_eye": 75, "pose_hand": 165}  # where each ends
    return {
        "surface_model_type": "smplx",
        "mocap_frame_rate": np.float64(motion.fps),
        "mocap_time_length": np.float64(motion.duration_s),
        "trans": translation.astype(np.float64),
        "poses": poses.astype(np.float64),
        **dict(zip(parts, np.split(poses.astype(np.float64), [*parts.values()][:-1], axis=1), strict=True)),
        "betas": motion.betas[:_AMASS_BETAS].astype(np.float64),
        "num_betas": np.int64(_AMASS_BETAS),
    }


def _as_amass_smplh(motion: Motion) -> dict[str, Any]:
    poses, translation = _turned(motion.poses, motion.translation, _AMASS_TO_Y_UP.T)
    return {
        "mocap_framerate": np.float64(motion.fps),
        "trans": (translation + (skeleton.REST_PELVIS - _SMPLH_REST_PELVIS)).astype(np.float64),
        "poses": poses[:, _SMPLH_JOINTS].reshape(len(motion), -1).astype(np.float64),
        "betas": np.zeros(_AMASS_BETAS),  # those of SMPL-X are of another space
        "dmpls": np.zeros((len(motion), 8)),
    }


_LAYOUTS = {"beat2": _as_beat2, "amass": _as_amass, "amass-smplh": _as_amass_smplh}


def _turned(poses: np.ndarray, translation: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A motion (T, 55, 3), (T, 3) in a world turned by (3, 3); the rest pelvis, a place in the body, is not."""
    poses = poses.copy()
    poses[:, 0] = rotation.matrix_to_axis_angle(turn @ rotation.axis_angle_to_matrix(poses[:, 0]))
    return poses, (translation + skeleton.REST_PELVIS) @ turn.T - skeleton.REST_PELVIS


def read(path: str | Path) -> Motion:
    """Read a motion written by `write`, by BEAT2 or by AMASS. Nothing in the file is unpickled.

    A file with one of AMASS's own keys and without `expressions` has z up, and is turned so that y is up.
    """
    arrays, names = _load(path)
    for key in ("poses", "trans"):
        if key not in arrays:
            raise DataError(
                f"{path}: no array `{key}`; it holds {', '.join(sorted(names)) or 'nothing'}. "
                "Give an SMPL-X motion as BEAT2 or AMASS store it."
            )
    assumed = []
    poses = _poses(path, arrays["poses"])
    translation = arrays["trans"]
    if translation.shape != (len(poses), 3):
        raise DataError(f"{path}: `trans` has shape {translation.shape}, expected {(len(poses), 3)}.")
    betas = _columns(path, "betas", np.atleast_2d(arrays.get("betas", np.zeros(NUM_BETAS))), 1, NUM_BETAS)[0]
    if arrays["poses"][:1].size == len(_SMPLH_JOINTS) * 3:
        translation = translation + (_SMPLH_REST_PELVIS - skeleton.REST_PELVIS)
        betas = np.zeros(NUM_BETAS)
        assumed.append("SMPL-H poses on the average SMPL-X body (betas dropped, jaw and eyes at rest)")
    if _AMASS_KEYS & names and "expressions" not in names:
        poses, translation = _turned(poses, translation, _AMASS_TO_Y_UP)
        assumed.append("AMASS has z up, turned to y up")
    expressions = arrays.get("expressions", np.zeros((len(poses), 0)))
    metadata = _metadata(path, arrays)
    if "metadata" not in arrays:
        assumed.append(_FLAT_HANDS)
    gender = _text(arrays["gender"]) if "gender" in arrays else "neutral"
    if gender != "neutral":
        metadata["gender"] = gender
    if assumed:
        metadata["assumed"] = "; ".join(assumed)
    try:
        return Motion(
            poses=poses,
            translation=translation,
            fps=_frame_rate(path, arrays),
            expressions=_columns(path, "expressions", expressions, len(poses), NUM_EXPRESSIONS),
            face=_face(path, arrays, len(poses)),
            betas=betas,
            metadata=metadata,
        )
    except MotionError as error:
        raise DataError(f"{path}: {error}") from error


def read_frame_rate(path: str | Path) -> float:
    """Frames a second of a motion that `read` reads; nothing else of the file is looked at."""
    arrays, _ = _load(path, _FRAME_RATES)
    return _frame_rate(path, arrays)


def _load(path: str | Path, keys: Collection[str] = _KEYS) -> tuple[dict[str, np.ndarray], set[str]]:
    """Those of the arrays that are there, and the names of all."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            arrays: dict[str, np.ndarray] = {}
            for key in names.intersection(keys):
                with archive.open(f"{key}.npy") as stream:
                    budget = _MAX_BYTES - sum(array.nbytes for array in arrays.values())
                    arrays[key] = read_array(stream, budget)
            return arrays, names
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: not an npz archive, or cut short ({error}). Copy or download it again.") from error
    # zlib.error: damaged; NotImplementedError, RuntimeError: compressed or encrypted in a way numpy never does
    except (OSError, EOFError, ValueError, KeyError, zlib.error, NotImplementedError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read as an npz archive: {reason}.") from error


def _poses(path: str | Path, poses: np.ndarray) -> np.ndarray:
    """(T, 165) or (T, 156), or with joints as an axis of their own -> (T, 55, 3) that may be written to."""
    _check_numbers(path, "poses", poses)
    columns = int(np.prod(poses.shape[1:])) if poses.ndim > 1 else 0
    num_joints = {165: skeleton.NUM_JOINTS, 156: len(_SMPLH_JOINTS)}.get(columns)
    if num_joints is None:
        raise DataError(
            f"{path}: `poses` has shape {poses.shape}, expected (frames, 165) for SMPL-X or (frames, 156) for SMPL-H."
        )
    joints = slice(None) if num_joints == skeleton.NUM_JOINTS else _SMPLH_JOINTS
    full = np.zeros((len(poses), skeleton.NUM_JOINTS, 3), np.float32)
    full[:, joints] = poses.reshape(len(poses), num_joints, 3)
    return full


def _columns(path: str | Path, key: str, array: np.ndarray, rows: int, width: int) -> np.ndarray:
    """(rows, n) with n <= width -> (rows, width), the missing columns zero."""
    _check_numbers(path, key, array)
    if array.ndim != 2 or array.shape[0] != rows or array.shape[1] > width:
        raise DataError(f"{path}: `{key}` has shape {array.shape}, expected {rows} rows of at most {width} numbers.")
    return np.pad(array, ((0, 0), (0, width - array.shape[1])))


def _face(path: str | Path, arrays: Mapping, num_frames: int) -> np.ndarray | None:
    if "face" not in arrays:
        return None
    names = [str(name) for name in arrays["face_names"].ravel()] if "face_names" in arrays else list(skeleton.ARKIT)
    if sorted(names) != sorted(skeleton.ARKIT):
        raise DataError(f"{path}: `face_names` are not the 52 ARKit shapes.")
    face = _columns(path, "face", arrays["face"], num_frames, len(names))
    return face[:, [names.index(name) for name in skeleton.ARKIT]]


def _frame_rate(path: str | Path, arrays: Mapping) -> float:
    for key in _FRAME_RATES:
        if key in arrays:
            _check_numbers(path, key, arrays[key])
            if arrays[key].size != 1 or not 0 < float(arrays[key].item()) < np.inf:
                raise DataError(f"{path}: `{key}` is {arrays[key]}, expected one positive number.")
            return float(arrays[key].item())
    raise DataError(f"{path}: no frame rate (`mocap_frame_rate`).")


def _metadata(path: str | Path, arrays: Mapping) -> dict[str, str]:
    if "metadata" not in arrays:
        return {}
    try:
        return {str(key): str(value) for key, value in json.loads(_text(arrays["metadata"])).items()}
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: `metadata` is not a JSON object.") from error


def _text(array: np.ndarray) -> str:
    value = array.ravel()[0] if array.size else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _check_numbers(path: str | Path, key: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: `{key}` holds {array.dtype}, expected numbers.")
