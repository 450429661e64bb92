"""`vocab.pkl`: the words of a published word table, read from a pickle that may do nothing but hold them.

A pickle is a program. This one may build an object of a class called `Vocab`, wherever that was defined, and numpy
arrays, of which only an empty shell is made. Every other name in it is refused before anything is built.
"""

from pathlib import Path

from cospeech import pickles
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

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.word2index = state.get("word2index")


def _find(module: str, name: str) -> type | None:
    if name == "Vocab":
        return _Vocabulary
    return _Shell if (module, name) in _SHELLS else None


def read_vocabulary(path: Path) -> dict[str, int]:
    """Word -> row of the word table.

    Raises:
        CheckpointError: the file is not a vocabulary, is damaged, or would do more than hold one.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CheckpointError("it is far larger than any vocabulary.")
        found = pickles.load(path.read_bytes(), _find)
    except (CheckpointError, pickles.UnsafePickle) as error:
        raise CheckpointError(f"{path}: refused: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: damaged, or not a vocabulary ({error}).") from None
    words = found.word2index if isinstance(found, _Vocabulary) else None
    if not isinstance(words, dict) or not words:
        raise CheckpointError(f"{path}: not a vocabulary: it holds no words.")
    if not all(_is_text(word) and type(row) is int and 0 <= row < 2**31 for word, row in words.items()):
        raise CheckpointError(f"{path}: not a vocabulary: it maps something else than words to rows of a table.")
    return words


def _is_text(word: object) -> bool:
    try:
        return isinstance(word, str) and word.encode("utf-8") is not None
    except UnicodeEncodeError:  # half a character
        return False
