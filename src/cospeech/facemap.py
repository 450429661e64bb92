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

_SHAPES = {"arkit_to_flame": (len(ARKIT), NUM_EXPRESSIONS), "flame_to_arkit": (NUM_EXPRESSIONS, len(ARKIT))}


@dataclass(frozen=True, eq=False)
class FaceMap:
    path: Path
    arkit_to_flame: np.ndarray | None = None  # (52, 100)
    flame_to_arkit: np.ndarray | None = None  # (100, 52)

    @classmethod
    def load(cls, path: str | Path) -> "FaceMap":
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: np.asarray(file[name], np.float32) for name in _SHAPES if name in file}
        except FileNotFoundError:
            raise FormatError(f"{path}: no such file.") from None
        except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise FormatError(f"{path}: cannot be read as a face map ({error}).") from None
        if not found:
            raise FormatError(f"{path}: no face map: an .npz with {' or '.join(_SHAPES)} is needed.")
        for name, matrix in found.items():
            if matrix.shape != _SHAPES[name] or not np.isfinite(matrix).all():
                raise FormatError(f"{path}: `{name}` must be {_SHAPES[name]} finite numbers, got {matrix.shape}.")
        return cls(Path(path), **found)

    def apply(self, motion: Motion) -> Motion:
        """The motion with expressions from its face, or, where it has no face, with a face from its expressions."""
        if motion.face is not None:
            return replace(motion, expressions=motion.face @ self._matrix("arkit_to_flame"))
        return motion.with_face((motion.expressions @ self._matrix("flame_to_arkit")).clip(0, 1))

    def _matrix(self, name: str) -> np.ndarray:
        matrix = getattr(self, name)
        if matrix is None:
            raise FormatError(f"{self.path}: has no `{name}`, which this motion needs.")
        return matrix
