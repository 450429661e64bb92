"""Between ARKit face weights and FLAME expressions, by a matrix that the user has.

No such matrix may be shipped: FLAME is under a licence of its own. A face map is an .npz with one or both of

    arkit_to_flame (52, 100)    expressions = face @ arkit_to_flame
    flame_to_arkit (100, 52)    face = expressions @ flame_to_arkit, kept within 0..1

rows and columns in the order of `skeleton.ARKIT` and of FLAME's first 100 expression coefficients.
"""

import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cospeech.errors import FormatError
from cospeech.motion import NUM_EXPRESSIONS, Motion
from cospeech.skeleton import ARKIT

# What numpy raises for files that are not whole, not numpy's (encrypted, compressed otherwise), or claim to be huge.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, zipfile.BadZipFile, zlib.error),
    *(NotImplementedError, RuntimeError, MemoryError),
)
_SHAPES = {"arkit_to_flame": (len(ARKIT), NUM_EXPRESSIONS), "flame_to_arkit": (NUM_EXPRESSIONS, len(ARKIT))}


@dataclass(frozen=True, eq=False)
class FaceMap:
    path: Path
    arkit_to_flame: np.ndarray | None = None  # (52, 100)
    flame_to_arkit: np.ndarray | None = None  # (100, 52)

    @classmethod
    def load(cls, path: str | Path) -> "FaceMap":
        try:
            with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                found = {name: file[name] for name in _SHAPES if name in file}
        except FileNotFoundError:
            raise FormatError(f"{path}: no such file.") from None
        except _UNREADABLE as error:
            raise FormatError(f"{path}: cannot be read as a face map ({error}).") from None
        if not found:
            raise FormatError(f"{path}: no face map: an .npz with {' or '.join(_SHAPES)} is needed.")
        for name, matrix in found.items():
            if matrix.shape != _SHAPES[name] or matrix.dtype.kind not in "fiu" or not np.isfinite(matrix).all():
                got = f"{matrix.shape} of {matrix.dtype}"
                raise FormatError(f"{path}: `{name}` must be {_SHAPES[name]} finite numbers, got {got}.")
        return cls(Path(path), **{name: matrix.astype(np.float32) for name, matrix in found.items()})

    def apply(self, motion: Motion) -> Motion:
        """The motion with expressions from its face, or, where it has no face, with a face from its expressions."""
        if motion.face is not None:
            return replace(motion, expressions=motion.face @ self.matrix("arkit_to_flame"))
        return motion.with_face((motion.expressions @ self.matrix("flame_to_arkit")).clip(0, 1))

    def matrix(self, name: str) -> np.ndarray:
        """The matrix of that name; a `FormatError` where the map lacks it."""
        matrix = getattr(self, name)
        if matrix is None:
            raise FormatError(f"{self.path}: has no `{name}`, which this motion needs.")
        return matrix
