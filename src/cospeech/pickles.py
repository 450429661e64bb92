"""Pickles that somebody else wrote, read so that they can do nothing but hold values.

A pickle is a program. Whoever reads one says which class each name in it stands for; every other name is refused before
anything is built. numpy's arrays are made by classes of this file: numpy itself believes what a pickle says of types
and sizes.
"""

import io
import pickle
import pickletools
from collections.abc import Callable

import numpy as np

# Module and name -> what it stands for, or None. A class with `__setstate__`: of anything else, a function even, a
# pickle may change the attributes.
Find = Callable[[str, str], type | None]


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

    def find_class(self, module: str, name: str) -> type:
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
            place = len(memo) if name == "MEMOIZE" else int(argument or 0)
            if place > len(data):
                raise UnsafePickle(f"its memo would have {place} entries. Do not trust this file.")
            memo.add(place)
            (tuples.add if before.startswith("TUPLE") else tuples.discard)(place)
        elif name in ("DUP", "FROZENSET") or (name.endswith("GET") and argument in tuples):
            raise UnsafePickle("it nests tuples in tuples, each many times. Do not trust this file.")
        before = name


# --- arrays -----------------------------------------------------------------------------------------------------------

_NUMBERS = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))


class _Kind:
    """A numpy dtype."""

    def __init__(self, code: str, *_: object):
        if code not in _NUMBERS:
            raise UnsafePickle(f"it has an array of `{code}`, not of numbers.")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in (">", "<"):
            self.dtype = self.dtype.newbyteorder(state[1])


class Array:
    """An array of numbers in a pickle: `values`, or None where the pickle does not say them."""

    values: np.ndarray | None = None

    def __init__(self, *_: object):
        pass

    def __setstate__(self, state: tuple) -> None:
        """As protocols below 5 have it, and arrays that are not in one piece."""
        _, shape, kind, fortran_order, data = state
        self._fill(data, kind, shape, "F" if fortran_order else "C")

    def _fill(self, data: bytes, kind: _Kind, shape: tuple[int, ...], order: str) -> None:
        sizes = tuple(map(int, shape))
        if min(sizes, default=0) < 0:
            raise UnsafePickle(f"it has an array of shape {sizes}.")
        self.values = np.frombuffer(data, kind.dtype).reshape(sizes, order="F" if order == "F" else "C")


class _FromBuffer(Array):
    def __init__(self, data: bytes, kind: _Kind, shape: tuple[int, ...], order: str, *_: object):
        self._fill(data, kind, shape, order)


class _Scalar(Array):
    def __init__(self, kind: _Kind, data: bytes):
        self._fill(data, kind, (), "C")


_MADE: dict[tuple[str, str], type] = {
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer,
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Kind,
}


def find_arrays(module: str, name: str) -> type | None:
    """`Find` for what numpy 1 and 2 write: an `Array` for each array, one without axes for a number."""
    return _MADE.get((module.replace("numpy._core.", "numpy.core."), name))
