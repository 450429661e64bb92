"""Bodies and motions as the player of an html page reads them: small, and unpacked in a moment.

A block is base64 of gzip of a line of JSON, {"about": ..., "arrays": [[name, type, count], ...]}, and the arrays, one
after the other, little-endian. The bytes of an array are sorted: the lowest of all its numbers, then the next, of which
gzip makes less. Lengths are whole numbers of 1/100 mm. What runs in time has time as its last axis, and each number
but the first is the difference from the one before it. viewer/blocks.js reads them.

A glTF file would be three times as large: a minute of motion has 1.6 MB of rotations, here 0.3.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from cospeech import skeleton
from cospeech.body import Body
from cospeech.formats.gltf import continuous_quaternions, skin_weights
from cospeech.motion import Motion

_PER_METRE = 1e5
_QUATERNION_ONE = 32767
_FACE_ONE = 255


@lru_cache(maxsize=4)
def body_block(body: Body) -> str:
    """The mesh in its rest pose, its joints, what moves it, and its face shapes."""
    joints, weights = skin_weights(body)
    arrays = {
        "vertices": _lengths(body.vertices),  # (V, 3)
        "faces": body.faces.astype("u4"),  # (F, 3)
        "joints": _lengths(body.joints),  # (55, 3)
        "weight_indices": joints,  # (V, 4)
        "weight_values": weights,  # (V, 4) of 65535
    }
    if body.light_faces is not None:
        arrays["light_faces"] = body.light_faces.astype("u4")  # (F, 3) of the same vertices
    if body.colours is not None:
        arrays["colours"] = body.colours  # (V, 3) sRGB
    if body.face_shapes is not None:
        shapes = body.face_shapes
        deltas = _lengths(shapes.deltas)  # (52, S, 3)
        shape, moved = np.nonzero(deltas.any(axis=-1))
        arrays["shape_counts"] = np.bincount(shape, minlength=len(deltas)).astype("u4")  # (52,) vertices that it moves,
        arrays["shape_vertices"] = shapes.vertices[moved].astype("u4")  # their numbers
        arrays["shape_deltas"] = deltas[shape, moved]  # and how far
    about = {"bones": list(skeleton.JOINTS), "parents": [int(parent) for parent in skeleton.PARENTS]}
    return _pack(about, arrays)


def motion_block(motion: Motion) -> str:
    """Rotations as quaternions (x, y, z, w), the path of the pelvis, and the face where one moves."""
    quaternions = continuous_quaternions(motion.poses).swapaxes(1, 2)  # (55, 4, T)
    arrays = {
        "rotations": _steps(np.round(quaternions * _QUATERNION_ONE).astype("i2")),
        "translation": _steps(_lengths(motion.translation.T)),  # (3, T)
    }
    face = motion.shown_face()
    if face is not None:
        arrays["face"] = _steps(np.round(face.T.clip(0, 1) * _FACE_ONE).astype("u1"))  # (52, T)
    return _pack({"frames": len(motion), "fps": motion.fps}, arrays)


def _lengths(metres: np.ndarray) -> np.ndarray:
    return np.round(np.float64(metres) * _PER_METRE).astype("i4")


def _steps(array: np.ndarray) -> np.ndarray:
    """From each number of the last axis to the next; whole numbers wrap around, and so they come back."""
    return np.diff(array, axis=-1, prepend=array.dtype.type(0)).astype(array.dtype)


def _pack(about: Mapping, arrays: Mapping[str, np.ndarray]) -> str:
    header = {"about": about, "arrays": [[name, array.dtype.str[1:], array.size] for name, array in arrays.items()]}
    data = json.dumps(header, separators=(",", ":")).encode() + b"\n"
    for array in arrays.values():
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        data += little.reshape(-1, 1).view("u1").T.tobytes()
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")
