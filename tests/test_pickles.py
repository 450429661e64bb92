"""A pickle is a program that somebody else wrote."""

import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from cospeech import pickles


def read(data: bytes) -> object:
    return pickles.load(data, pickles.find_arrays)


@pytest.mark.parametrize("code", ["f2", "f4", "f8", ">f4", "i8", "u1", "b1"])
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_come_back(rng, code, protocol):
    array = rng.integers(0, 2, size=(3, 4, 5)).astype(code)
    for given in (array, array[:, ::2], np.asfortranarray(array), array[:0], array[0, 0, 0]):
        found = read(pickle.dumps([given, [], -1], protocol))
        np.testing.assert_array_equal(found[0].values, given)
        assert found[0].values.shape == given.shape
        assert found[1:] == [[], -1]


def test_an_array_that_may_not_be_written_to_and_two_that_are_one(rng):
    array = rng.normal(size=(4, 2))
    array.flags.writeable = False
    found = read(pickle.dumps([array, array], 5))
    np.testing.assert_array_equal(found[1].values, array)


def test_names_of_both_numpys_are_known(rng):
    data = pickle.dumps(rng.normal(size=3), 5)
    old = data.replace(b"\x8c\x13numpy._core.numeric", b"\x8c\x12numpy.core.numeric")
    other = data.replace(b"\x8c\x12numpy.core.numeric", b"\x8c\x13numpy._core.numeric")
    assert old != other
    for written in (old, other):
        at = written.index(b"\x95")  # the length of the frame changed with the name
        written = written[: at + 1] + struct.pack("<Q", len(written) - at - 9) + written[at + 9 :]
        assert read(written).values.shape == (3,)


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def _call(module: str, name: str, *arguments: bytes) -> bytes:
    return _text(module) + _text(name) + b"\x93(" + b"".join(arguments) + b"tR"


def _dtype(code: str) -> bytes:
    return _call("numpy", "dtype", _text(code), b"\x89\x88")


def _int(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


NUMERIC, MULTIARRAY = "numpy._core.numeric", "numpy._core.multiarray"
NDARRAY = _text("numpy") + _text("ndarray") + b"\x93"


def hostile(ran: str) -> dict[str, bytes]:
    """Pickles that would create the file `ran`, use up the memory, or forge arrays of addresses."""
    touch = f"touch {ran}"
    two = b"\x8e" + struct.pack("<Q", 16) + bytes(16)  # 16 bytes

    def array(dtype: bytes, *shape: bytes) -> bytes:
        return b"\x80\x05" + _call(NUMERIC, "_frombuffer", two, dtype, b"(" + b"".join(shape) + b"t", _text("C")) + b"."

    return {
        "system": pickle.dumps([np.zeros(3), Runs(os.system, touch)], 5),
        "eval": pickle.dumps(Runs(eval, f"open({ran!r}, 'w')"), 5),
        "popen": pickle.dumps([Runs(subprocess.Popen, ["touch", ran])], 5),
        "deep inside": pickle.dumps([[[{"a": (1, Runs(os.system, touch))}]]], 5),
        "in an array of objects": pickle.dumps(np.array([Runs(os.system, touch), 1], object), 5),
        "an array of objects": pickle.dumps(np.array([None, {}], object), 5),
        "objects from bytes": array(_dtype("O8"), _int(2)),
        "a type with fields": pickle.dumps(np.zeros(2, [("a", "f4")]), 5),
        "a type that is no text": array(_call("numpy", "dtype", b"]", b"\x89\x88"), _int(2)),
        "a file mapped": pickle.dumps(Runs(np.memmap, ran, "f4", "w+", 0, 10), 5),
        "numpy that loads": pickle.dumps(Runs(np.load, ran, None, True), 5),
        "an array of any size": b"\x80\x05"
        + _call(MULTIARRAY, "_reconstruct", NDARRAY, b"(" + _int(2**50) + b"t", b"C\x01b")
        + b"(K\x01(" + _int(2**50) + b"t" + _dtype("f8") + b"\x89C\x01atb.",
        "a shape of any size": array(_dtype("f8"), _int(2**50)),
        "a negative shape": array(_dtype("f8"), _int(-1)),
        "two negative shapes": array(_dtype("f8"), _int(-2), _int(-1)),
        "no buffer": b"\x80\x05" + _call(NUMERIC, "_frombuffer", _int(64), _dtype("f8"), b")", _text("C")) + b".",
        "bytes of any number": b"\x80\x05\x8e" + struct.pack("<Q", 2**40) + b"a.",
        "a bytearray of any number": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.",
        "a memo of any length": b"\x80\x05]r\xff\xff\xff\x7f.",
        "tuples in tuples": b"\x80\x04N\x85\x94" + b"".join(bytes([104, i, 104, i, 134, 148]) for i in range(9)) + b".",
        "state for what makes arrays": b"\x80\x05" + _text(NUMERIC) + _text("_frombuffer") + b"\x93}" + _text("a")
        + b"K\x01sb.",
        "state for a class": b"\x80\x05" + _text("numpy") + _text("dtype") + b"\x93}" + _text("a") + b"K\x01sb.",
        "an attribute": b"\x80\x05" + _text("numpy") + _text("dtype.__init__") + b"\x93.",
        "getattr": b"\x80\x05" + _call("builtins", "getattr", NDARRAY, _text("tofile")) + b".",
        "a buffer out of band": b"\x80\x05\x97.",
        "an extension": b"\x80\x05\x82\x01.",
        "cut off": pickle.dumps([np.zeros(100)], 5)[:300],
        "empty": b"",
    }  # fmt: skip


@pytest.mark.parametrize("kind", hostile(""))
def test_what_does_more_than_hold_numbers_is_refused(kind, tmp_path):
    ran = tmp_path / "ran"
    with pytest.raises(ValueError) as refusal:
        read(hostile(str(ran))[kind])
    assert "\n" not in str(refusal.value)
    assert not ran.exists()
    if kind in ("system", "eval", "popen", "deep inside", "getattr", "a file mapped", "numpy that loads"):
        assert isinstance(refusal.value, pickles.UnsafePickle)
        assert "Do not trust this file" in str(refusal.value)
