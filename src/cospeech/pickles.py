"""Pickles that somebody else wrote, read so that they can do nothing but hold values.

A pickle is a program. Whoever reads one says what each name in it stands for; every other name is refused before
anything is built. numpy's arrays are made by functions of this file: numpy's own believe what a pickle says of types
and sizes.
"""

import io
import pickle
import pickletools
from collections.abc import Callable

import numpy as np

Find = Callable[[str, str], Callable | None]  # module and name -> what it stands for, or None


class UnsafePickle(ValueError):
    """It would do more than hold values."""


def load(data: bytes, find: Find) -> object:
    """What a pickle holds.

    Raises:
        UnsafePickle: it refers to something that `find` does not know, or wants more memory than it could need.
        ValueError: it is damaged, or no pickle.
    """
    try:
        _check_opcodes(data)
        return _Unpickler(data, find).load()
    except UnsafePickle:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, find: Find):
        super().__init__(io.BytesIO(data))
        self._find = find

    def find_class(self, module: str, name: str) -> Callable:
        found = self._find(module, name)
        if found is None:
            raise UnsafePickle(f"it refers to {module}.{name}, which has no place in it. Do not trust this file.")
        return found


def _check_opcodes(data: bytes) -> None:
    """A few bytes may ask for a memo of any length, or for tuples in tuples, each twice in the next, without end."""
    memo: set[int] = set()
    tuples: set[int] = set()  # of the memo
    before = ""
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name.endswith("PUT") or name == "MEMOIZE":
            place = len(memo) if name == "MEMOIZE" else int(argument)
            if place > len(data):
                raise UnsafePickle(f"its memo would have {place} entries. Do not trust this file.")
            memo.add(place)
            (tuples.add if before.startswith("TUPLE") else tuples.discard)(place)
        elif name in ("DUP", "FROZENSET") or (name.endswith("GET") and int(argument) in tuples):
            raise UnsafePickle("it nests tuples in tuples, each many times. Do not trust this file.")
        before = name


# --- arrays -----------------------------------------------------------------------------------------------------------

_NUMBERS = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))


class Array:
    """An array of numbers in a pickle: `values`, once it is read."""

    values: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        """As protocols below 5 have it, and arrays that are not in one piece."""
        _, shape, kind, fortran_order, data = state
        self.values = _filled(data, kind, shape, "F" if fortran_order else "C")


class _Kind:
    """A numpy dtype."""

    def __init__(self, code: str, *_: object):
        if code not in _NUMBERS:
            raise UnsafePickle(f"it has an array of `{code}`, not of numbers.")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in (">", "<"):
            self.dtype = self.dtype.newbyteorder(state[1])


def _filled(data: bytes, kind: _Kind, shape: tuple[int, ...], order: str) -> np.ndarray:
    values = np.frombuffer(data, kind.dtype)
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=0) < 0:
        raise UnsafePickle(f"it has an array of shape {sizes}.")
    return values.reshape(sizes, order=order)


def _from_buffer(data: bytes, kind: _Kind, shape: tuple[int, ...], order: str, *_: object) -> Array:
    array = Array()
    array.values = _filled(data, kind, shape, "F" if order == "F" else "C")
    return array


def _scalar(kind: _Kind, data: bytes) -> Array:
    return _from_buffer(data, kind, (), "C")


def _empty(*_: object) -> Array:
    """What is filled later."""
    return Array()


_MADE: dict[tuple[str, str], Callable] = {
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy.core.multiarray", "_reconstruct"): _empty,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy", "ndarray"): _empty,
    ("numpy", "dtype"): _Kind,
}


def find_arrays(module: str, name: str) -> Callable | None:
    """`Find` for what numpy 1 and 2 write: an `Array` for each array, one without axes for a number."""
    return _MADE.get((module.replace("numpy._core.", "numpy.core."), name))
