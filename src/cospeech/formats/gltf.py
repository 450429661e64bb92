"""Motion -> .glb: a skinned body that moves, in the file that game engines, Blender and browsers open.

One mesh on 55 joint nodes with SMPL-X names, in the T pose, standing on y = 0; one animation with a rotation track for
each joint, a translation track for the pelvis and, where the motion has a face, weights for the 52 ARKit shapes, which
are always all there under their names. `asset.extras` holds the motion's metadata. The bulges that SMPL-X adds where
joints bend cannot be said in glTF and are left out.

Source: Khronos Group 2021, glTF 2.0 specification, ISO/IEC 12113:2022.
"""

import json
import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from cospeech import __version__, rotation, skeleton
from cospeech.body import Body, FaceShapes, mannequin, vertex_normals
from cospeech.errors import FormatError
from cospeech.formats.output import replacing
from cospeech.motion import Motion

_VERTICES, _TRIANGLES = 34962, 34963  # what a buffer view is for: ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER
_COMPONENT = {"u1": 5121, "u2": 5123, "u4": 5125, "f4": 5126}
_SHAPE = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")
_MESH_NODE = skeleton.NUM_JOINTS  # after the joints


def write(motion: Motion, path: str | Path, body: Body | None = None, *, embed_licensed_body: bool = False) -> None:
    """Write a motion on a body, the mannequin unless given; `to_bytes` tells more."""
    data = to_bytes(motion, body, embed_licensed_body=embed_licensed_body)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def to_bytes(motion: Motion, body: Body | None = None, *, embed_licensed_body: bool = False) -> bytes:
    """The whole .glb file.

    Args:
        body: The mesh and its joints; the mannequin unless given.
        embed_licensed_body: Consent to put a mesh into the file whose licence does not let everyone have it.
    """
    body = body or mannequin("full")
    check_may_embed(body, embed_licensed_body)
    scene, data = _still(body)
    buffer = Buffer(scene["accessors"], scene["bufferViews"], data)
    animations = [_animation(motion, body, buffer)] if len(motion) else []
    extras = {"fps": motion.fps, "body": body.name, "body_licence": body.licence, **motion.metadata}
    return pack({**scene, **({"animations": animations} if animations else {})}, buffer, extras)


def pack(document: dict, buffer: "Buffer", extras: Mapping) -> bytes:
    """A .glb file of a glTF document without `asset`, `accessors`, `bufferViews` and `buffers`, and its binary part."""
    document = {
        "asset": {"version": "2.0", "generator": f"cospeech {__version__}", "extras": dict(extras)},
        **document,
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    return container(document, buffer.data)


def container(document: dict, data: bytes | bytearray) -> bytes:
    """A .glb file of a whole document and its first buffer, whose length is a multiple of four."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = _CHUNK.pack(len(text), b"JSON") + text + _CHUNK.pack(len(data), b"BIN\0")
    return _HEADER.pack(b"glTF", 2, _HEADER.size + len(chunks) + len(data)) + chunks + bytes(data)


def unpack(file: bytes) -> tuple[dict, bytes]:
    """The document and the first buffer of a .glb file, empty where it has none. Raises `ValueError` with a reason."""
    if file[:4] != b"glTF":
        raise ValueError("it is not binary glTF")
    chunks: dict[bytes, bytes] = {}
    try:
        _, version, _ = _HEADER.unpack_from(file)
        if version != 2:
            raise ValueError(f"it is glTF {version}, and only 2 is known")
        at = _HEADER.size
        while at + _CHUNK.size <= len(file):
            size, kind = _CHUNK.unpack_from(file, at)
            at += _CHUNK.size
            if at + size > len(file):
                raise ValueError("it ends in the middle")
            chunks.setdefault(kind, file[at : at + size])
            at += size
        document = json.loads(chunks[b"JSON"])
    except (struct.error, KeyError):
        raise ValueError("it ends in the middle") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("its description is no JSON") from None
    if not isinstance(document, dict):
        raise ValueError("its description is no JSON object")
    return document, chunks.get(b"BIN\0", b"")


def check_may_embed(body: Body, embed_licensed_body: bool) -> None:
    """Raise `FormatError` when the mesh of `body` may not go into a file without the user's consent."""
    if body.embeds_licensed_mesh and not embed_licensed_body:
        raise FormatError(
            f"The file would contain the mesh of {body.name} ({body.licence}). Allow it with embed_licensed_body=True "
            "(--embed-licensed-body), or leave out the body to use the free mannequin."
        )


class Buffer:
    """The binary part of the file and the two tables that say what lies where."""

    def __init__(self, accessors: list | tuple = (), views: list | tuple = (), data: bytes = b""):
        self.accessors, self.views, self.data = [*accessors], [*views], bytearray(data)
        self.data += bytes(-len(self.data) % 4)

    def view(self, array: np.ndarray, target: int | None = None) -> int:
        """Append an array; returns the number of its buffer view."""
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes})
        if target:
            self.views[-1]["target"] = target
        self.data += np.ascontiguousarray(array).tobytes()
        self.data += bytes(-len(self.data) % 4)
        return len(self.views) - 1

    def accessor(self, array: np.ndarray, target: int | None = None, *, view: int | None = None, **more) -> int:
        """Describe an array (N, ...) that lies in a view, a new one unless given; returns the accessor's number."""
        if view is None:
            view = self.view(array, target)
        return self._describe(array, bufferView=view, **more)

    def sparse(self, indices: np.ndarray, values: np.ndarray, count: int) -> int:
        """An accessor of (count, 3) zeros but for some rows; returns its number."""
        limits = {"min": np.minimum(values.min(axis=0), 0).tolist(), "max": np.maximum(values.max(axis=0), 0).tolist()}
        where = indices.astype("u2" if count <= 65536 else "u4")
        sparse = {
            "count": len(where),
            "indices": {"bufferView": self.view(where), "componentType": _COMPONENT[where.dtype.str[1:]]},
            "values": {"bufferView": self.view(values.astype("f4"))},
        }
        number = self._describe(values.astype("f4"), sparse=sparse, **limits)
        self.accessors[number]["count"] = count
        return number

    def _describe(self, array: np.ndarray, **more) -> int:
        kind = {"componentType": _COMPONENT[array.dtype.str[1:]], "type": _SHAPE[array.shape[1:]]}
        self.accessors.append({"count": len(array), **kind, **more})
        return len(self.accessors) - 1


def limits(array: np.ndarray) -> dict:
    return {"min": np.atleast_1d(array.min(axis=0)).tolist(), "max": np.atleast_1d(array.max(axis=0)).tolist()}


@lru_cache(maxsize=4)
def _still(body: Body) -> tuple[dict, bytes]:
    """All of the file that does not depend on the motion: (the document without its animation, the binary part)."""
    buffer = Buffer()
    bones = body.joints - np.where(np.arange(len(body.joints))[:, None] > 0, body.joints[list(skeleton.PARENTS)], 0)
    bones[0] += skeleton.REST_TRANSLATION
    nodes = []
    for j, name in enumerate(skeleton.JOINTS):
        children = [child for child, parent in enumerate(skeleton.PARENTS) if parent == j]
        nodes.append({"name": name, "translation": bones[j].tolist(), **({"children": children} if children else {})})
    nodes.append({"name": body.name, "mesh": 0, "skin": 0})
    inverse_bind = np.tile(np.eye(4, dtype="f4"), (len(body.joints), 1, 1))
    inverse_bind[:, 3, :3] = -body.joints  # glTF stores columns, so the translation is the last row here
    scene = {
        "scene": 0,
        "scenes": [{"nodes": [0, _MESH_NODE]}],
        "nodes": nodes,
        "skins": [
            {
                "joints": list(range(skeleton.NUM_JOINTS)),
                "skeleton": 0,
                "inverseBindMatrices": buffer.accessor(inverse_bind),
            }
        ],
        "meshes": [_mesh(body, buffer)],
        "materials": [{"name": "matte", "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1}}],
    }
    return {**scene, "accessors": buffer.accessors, "bufferViews": buffer.views}, bytes(buffer.data)


def _mesh(body: Body, buffer: Buffer) -> dict:
    vertices = body.vertices.astype("f4")
    faces = body.faces.astype("u2" if len(vertices) < 65536 else "u4").reshape(-1)
    joints, weights = skin_weights(body)
    attributes = {
        "POSITION": buffer.accessor(vertices, _VERTICES, **limits(vertices)),
        "NORMAL": buffer.accessor(_normals(body), _VERTICES),
        "JOINTS_0": buffer.accessor(joints, _VERTICES),
        "WEIGHTS_0": buffer.accessor(weights, _VERTICES, normalized=True),
    }
    if body.colours is not None:
        # Sixteen bits, because eight linear ones leave dark colours a handful of steps.
        colours = np.pad(linear_colours(body.colours), ((0, 0), (0, 1)), constant_values=1)
        attributes["COLOR_0"] = buffer.accessor(np.round(colours * 65535).astype("u2"), _VERTICES, normalized=True)
    primitive = {"attributes": attributes, "indices": buffer.accessor(faces, _TRIANGLES), "material": 0}
    mesh: dict = {"name": body.name, "primitives": [primitive]}
    if body.face_shapes is not None:
        primitive["targets"] = [
            {"POSITION": _morph_target(body.face_shapes, shape, len(vertices), buffer)}
            for shape in range(len(skeleton.ARKIT))
        ]
        mesh["weights"] = [0.0] * len(skeleton.ARKIT)
        mesh["extras"] = {"targetNames": list(skeleton.ARKIT)}
    return mesh


def skin_weights(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """(V, 4) uint8 joints and (V, 4) uint16 weights whose rows sum to exactly 65535, which stands for 1."""
    whole = np.round(body.weight_values * np.float64(65535)).astype(np.int64)
    whole[:, 0] += 65535 - whole.sum(axis=1)  # the largest weight takes what rounding left
    joints = np.where(whole > 0, body.weight_indices, 0)  # the specification wants joint 0 where nothing weighs
    return joints.astype("u1"), whole.astype("u2")


def _normals(body: Body) -> np.ndarray:
    normals = vertex_normals(body.vertices.astype(np.float64), body.faces)
    normals[np.linalg.norm(normals, axis=1) < 0.5] = (0, 0, 1)  # of vertices that no face uses
    return normals.astype("f4")


def linear_colours(colours: np.ndarray) -> np.ndarray:
    """(V, 3) uint8 sRGB -> (V, 3) linear light 0..1, as which glTF and USD read colours. Source: IEC 61966-2-1."""
    c = colours / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _morph_target(shapes: FaceShapes, shape: int, num_vertices: int, buffer: Buffer) -> int:
    moved = np.flatnonzero(np.any(shapes.deltas[shape] != 0, axis=1))
    if len(moved) == 0:
        moved = np.array([0])  # a sparse accessor names at least one vertex
    return buffer.sparse(shapes.vertices[moved], shapes.deltas[shape][moved], num_vertices)


def _animation(motion: Motion, body: Body, buffer: Buffer) -> dict:
    animation = Animation(buffer, len(motion), motion.fps)
    quaternions = continuous_quaternions(motion.poses)  # (55, T, 4)
    view = buffer.view(quaternions)
    for j in range(skeleton.NUM_JOINTS):
        animation.track(j, "rotation", quaternions[j], view=view, byteOffset=j * quaternions[j].nbytes)
    animation.track(0, "translation", motion.translation + body.joints[0])
    face = motion.shown_face()
    if face is not None and body.face_shapes is not None:
        animation.track(_MESH_NODE, "weights", face.reshape(-1))
    return animation.document


class Animation:
    """Tracks with a key at each frame."""

    def __init__(self, buffer: Buffer, num_frames: int, fps: float, name: str = "motion"):
        seconds = (np.arange(num_frames) / fps).astype("f4")
        self._buffer, self._time = buffer, buffer.accessor(seconds, **limits(seconds))
        self.document: dict = {"name": name, "samplers": [], "channels": []}

    def track(self, node: int, path: str, keys: np.ndarray, **where) -> None:
        """Add what a node does: (T, 4) `rotation` as (x, y, z, w), (T, 3) `translation`, or (T * shapes,) `weights`."""
        samplers, channels = self.document["samplers"], self.document["channels"]
        samplers.append({"input": self._time, "output": self._buffer.accessor(keys.astype("f4"), **where)})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})


def continuous_quaternions(poses: np.ndarray) -> np.ndarray:
    """(T, J, 3) axis-angle -> (J, T, 4) float32 (x, y, z, w), `rotation.without_flips`."""
    result = np.empty((poses.shape[1], len(poses), 4), "f4")
    for j in range(len(result)):  # joint by joint: all at once take gigabytes for an hour
        quaternions = rotation.axis_angle_to_quaternion(poses[:, j].astype(np.float64))
        result[j] = rotation.without_flips(quaternions)[:, [1, 2, 3, 0]]
    return result
