"""The container of .glb files: a JSON document, and one binary part in which its arrays lie.

Source: Khronos Group 2021, glTF 2.0 specification, ISO/IEC 12113:2022, sections 3.6 and 4.
"""

import json
import struct

import numpy as np

COMPONENTS = {"u1": 5121, "u2": 5123, "u4": 5125, "f4": 5126}
_SHAPE = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")


def pack(document: dict, data: bytes | bytearray) -> bytes:
    """A whole file. The length of `data`, the first buffer of the document, is a multiple of four."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = _CHUNK.pack(len(text), b"JSON") + text + _CHUNK.pack(len(data), b"BIN\0")
    return _HEADER.pack(b"glTF", 2, _HEADER.size + len(chunks) + len(data)) + chunks + bytes(data)


def unpack(file: bytes) -> tuple[dict, bytes]:
    """The document and the binary part, empty where there is none. Raises `ValueError` with a reason."""
    if file[:4] != b"glTF":
        raise ValueError("it is not binary glTF")
    try:
        _, version, _ = _HEADER.unpack_from(file)
        if version != 2:
            raise ValueError(f"it is glTF {version}, and only 2 is known")
        at, chunks = _HEADER.size, {}
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


class Buffer:
    """The binary part of a file, and the two tables of the document that say what lies where."""

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
        low, high = values.min(axis=0), values.max(axis=0)
        where = indices.astype("u2" if count <= 65536 else "u4")
        sparse = {
            "count": len(where),
            "indices": {"bufferView": self.view(where), "componentType": COMPONENTS[where.dtype.str[1:]]},
            "values": {"bufferView": self.view(values.astype("f4"))},
        }
        zero = {"min": np.minimum(low, 0).tolist(), "max": np.maximum(high, 0).tolist()}
        number = self._describe(values.astype("f4"), sparse=sparse, **zero)
        self.accessors[number]["count"] = count
        return number

    def _describe(self, array: np.ndarray, **more) -> int:
        kind = {"componentType": COMPONENTS[array.dtype.str[1:]], "type": _SHAPE[array.shape[1:]]}
        self.accessors.append({"count": len(array), **kind, **more})
        return len(self.accessors) - 1


def limits(array: np.ndarray) -> dict:
    """The entries min and max of an accessor."""
    return {"min": np.atleast_1d(array.min(axis=0)).tolist(), "max": np.atleast_1d(array.max(axis=0)).tolist()}
