"""`vocab.pkl`: the words of a published word table, read from a pickle that may do nothing but hold them.

A pickle is a program. This one may build an object of a class called `Vocab`, wherever that was defined, and numpy
arrays, of which only an empty shell is made. Every other name in it is refused before anything is built.
"""

import io
import pickle
import pickletools
from pathlib import Path

from cospeech.errors import CheckpointError

_LARGEST = 500_000_000  # bytes; the published one has 14 million
_SHELLS = {  # of an array: what numpy 1 and 2 write
    *((module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *((module, "scalar") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
    *(("numpy", name) for name in ("ndarray", "dtype")),
    ("_codecs", "encode"),
}


class _Shell:
    """Stands for whatever is not needed: takes all arguments and all state, keeps nothing."""

    def __new__(cls, *_: object) -> "_Shell":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _Vocabulary(_Shell):
    word2index: object = None
    n_words: object = None

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.word2index, self.n_words = state.get("word2index"), state.get("n_words")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if name == "Vocab":
            return _Vocabulary
        if (module, name) in _SHELLS:
            return _Shell
        raise CheckpointError(f"it refers to {module}.{name}, which no vocabulary needs. Do not trust this file.")


def read_vocabulary(path: Path) -> dict[str, int]:
    """Word -> row of the word table.

    Raises:
        CheckpointError: the file is not a vocabulary, is damaged, or would do more than hold one.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CheckpointError("it is far larger than any vocabulary.")
        data = path.read_bytes()
        _check_memo(data)
        found = _Unpickler(io.BytesIO(data)).load()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: refused: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}).") from None
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path}: damaged, or not a vocabulary ({reason}).") from None
    words = found.word2index if isinstance(found, _Vocabulary) else None
    if not isinstance(words, dict) or not words:
        raise CheckpointError(f"{path}: not a vocabulary: it holds no words.")
    for word, index in words.items():
        if not isinstance(word, str) or type(index) is not int or not 0 <= index < 2**31:
            raise CheckpointError(f"{path}: not a vocabulary: {word!r:.40} stands for {index!r:.40}.")
    return words


def _check_memo(data: bytes) -> None:
    """The memo is an array as long as its largest index, which a few bytes may make enormous."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name.endswith("PUT") and int(argument) > len(data):
            raise CheckpointError(f"its memo would have {argument} entries. Do not trust this file.")
