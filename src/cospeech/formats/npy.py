"""Positions of joints as one numpy array, the way text-to-motion research and SynTalker's system T store motion.

Read: positions (T, 22 or 52, 3) metres, y up, of SMPL-X's joints without jaw and eyes, without or with hands; or the
vectors (T, 263 or 623) of `cospeech.humanml3d`. Such files say neither their frame rate nor their skeleton.
Written: positions of all 52.
"""

from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from cospeech import humanml3d, positions
from cospeech.body import joint_positions, mannequin
from cospeech.errors import DataError, MotionError
from cospeech.formats.output import replacing
from cospeech.motion import Motion

SUFFIX = ".npy"
_FRAME_RATES = {22: 20.0, 52: 30.0}  # of HumanML3D and of SynTalker
_MAX_BYTES = 2**31


def write(motion: Motion, path: str | Path) -> None:
    """Write where the joints of the mannequin are, (T, 52, 3) float32."""
    write_joints(joint_positions(mannequin("light"), motion.poses, motion.translation)[:, positions.JOINTS], path)


def write_joints(joints: np.ndarray, path: str | Path) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, joints.astype(np.float32))


def read(path: str | Path, fps: float | None = None) -> Motion:
    """Read positions or vectors; rotations are worked out by `cospeech.positions`.

    Args:
        fps: Frames a second, which the file does not say. None: 20 without hands, as in HumanML3D, 30 with them.
    """
    array = read_numbers(path)
    try:
        joints = humanml3d.joint_positions(array.astype(np.float32)) if array.ndim == 2 else array
        poses, translation = positions.to_poses(joints, mannequin("light").joints)
        assumed = f"{joints.shape[1]} joints in metres, y up"
        if fps is None:
            fps = _FRAME_RATES[joints.shape[1]]
            assumed += f", {fps:g} frames a second"
        return Motion(poses, translation, fps, metadata={"assumed": assumed})
    except MotionError as error:
        raise DataError(f"{path}: {error}") from error


def read_numbers(path: str | Path) -> np.ndarray:
    """The array of a .npy file, of any shape; nothing is unpickled."""
    try:
        with Path(path).open("rb") as file:
            array = read_array(file, _MAX_BYTES)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read as a numpy array: {reason}.") from error
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: holds {array.dtype}, expected numbers.")
    return array


def read_array(stream: IO[bytes], budget: int) -> np.ndarray:
    """One array. Its header is believed only as far as `budget` bytes, so a small file cannot fill the memory.

    Raises:
        ValueError: what is wrong with it; nothing is unpickled.
    """
    name = Path(stream.name).stem
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
    except (ValueError, SyntaxError, TokenError) as error:  # numpy parses headers as Python text
        raise ValueError(f"`{name}` has a damaged header") from error
    if dtype.hasobject:
        raise ValueError(f"`{name}` holds pickled Python objects, which are not loaded")
    num_bytes = dtype.itemsize * int(np.prod(shape, dtype=object))
    if not 0 <= num_bytes <= budget:
        raise ValueError(f"`{name}` claims {num_bytes / 2**20:.0f} MiB, more than a motion needs")
    data = stream.read(num_bytes)
    if len(data) < num_bytes:
        raise ValueError(f"`{name}` is cut short")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")
