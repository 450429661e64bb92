"""vocab.pkl is a program that somebody else wrote."""

import json
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import parity
import pytest

from cospeech.errors import CheckpointError
from cospeech.released.vocabulary import read_vocabulary

PUBLISHED = parity.FIXTURES / "vocab_small.pkl"


class Vocab:
    """As in the published code, wherever it was defined."""

    def __init__(self, words: dict[str, int]):
        self.word2index = words
        self.index2word = {index: word for word, index in words.items()}
        self.word2count = dict.fromkeys(words, 1)
        self.n_words = len(words) + 4
        self.trimmed = False
        self.word_embedding_weights = np.zeros((self.n_words, 300), np.float32)


def test_the_published_words_are_read():
    expected = json.loads((parity.FIXTURES / "vocabulary_small.json").read_text())
    assert read_vocabulary(PUBLISHED) == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_and_home_of_the_class(protocol, tmp_path):
    vocabulary = Vocab({"so": 4, "größer": 5})
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps(vocabulary, protocol))
    if protocol < 2:  # such pickles rebuild objects through a function that can build anything
        with pytest.raises(CheckpointError, match=r"refers to copy_?reg"):
            read_vocabulary(tmp_path / "vocab.pkl")
    else:
        assert read_vocabulary(tmp_path / "vocab.pkl") == {"so": 4, "größer": 5}


class Runs:
    """An object whose pickle calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def doubled(levels: int) -> bytes:
    """A tuple that holds the one before it twice, so many times: small to write, endless to look at."""
    return b"N\x85\x94" + b"".join(bytes([0x68, i, 0x68, i, 0x86, 0x94]) for i in range(levels))


def with_words(words: object) -> Vocab:
    vocabulary = Vocab({})
    vocabulary.word2index = words
    return vocabulary


def nested(levels: int) -> list:
    inner: list = []
    for _ in range(levels):
        inner = [inner]
    return inner


def half_a_character() -> bytes:
    return pickle.dumps(Vocab({"aXb": 4})).replace(b"aXb", b"\xed\xa0\x80")


def hostile(ran: str) -> dict[str, bytes]:
    """Pickles that would create the file `ran`, use up the memory, or end oddly."""
    good = pickle.dumps(Vocab({"so": 4}))
    module = __name__.encode()
    return {
        "system": pickle.dumps(Runs(os.system, f"touch {ran}")),
        "inside a word": pickle.dumps(Vocab({"so": Runs(os.system, f"touch {ran}")})),
        "eval": pickle.dumps(Runs(eval, f"open({ran!r}, 'w')")),
        "exec of protocol 0": f"cbuiltins\nexec\n(S\"open({ran!r}, 'w')\"\ntR.".encode(),
        "inst": f"(S'touch {ran}'\nios\nsystem\n.".encode(),
        "the class of the words, called": f"c{module.decode()}\nRuns\n(cposix\nsystem\nS'touch {ran}'\ntR.".encode(),
        "a name with dots": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__init__\x93.",
        "an attribute of the class": b"\x80\x04\x8c\x01x\x8c\x0eVocab.__init__\x93.",
        "getattr": pickle.dumps(Runs(getattr, "a", "upper")),
        "an ordered dictionary": pickle.dumps(OrderedDict(a=1)),
        "a huge memo": b"\x80\x04]r\xff\xff\xff\x7f.",
        "a huge memo in text": b"(lp2147483647\n.",
        "a huge string": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"a.",
        "a huge frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
        "marks without end": b"\x80\x02" + b"(" * 100_000 + b".",
        "tuples in tuples": b"\x80\x04" + doubled(40) + b".",
        "tuples as a key": pickle.dumps(Vocab({}))[:-1] + b"0}" + doubled(40) + b"K\x04s.",
        "a number without end": pickle.dumps(Vocab({"so": 10**6000})),
        "a list where a row should be": pickle.dumps(with_words({"so": nested(300)})),
        "half a character": half_a_character(),
        "lists in lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "an extension": b"\x80\x02\x82\x01.",
        "a persistent object": b"\x80\x04Pid\n.",
        "a buffer out of band": b"\x80\x05\x97.",
        "cut off": good[: len(good) // 2],
        "empty": b"",
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "a dictionary": pickle.dumps({"word2index": {"so": 4}}),
        "no words": pickle.dumps(Vocab({})),
        "words that are numbers": pickle.dumps(Vocab({1: 4})),
        "rows that are words": pickle.dumps(Vocab({"so": "four"})),
        "a negative row": pickle.dumps(Vocab({"so": -1})),
        "rows that are true": pickle.dumps(Vocab({"so": True})),
    }


@pytest.mark.parametrize("kind", hostile(""))
def test_a_pickle_that_does_anything_else_is_refused(kind, tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "vocab.pkl"
    path.write_bytes(hostile(str(ran))[kind])
    with pytest.raises(CheckpointError) as refusal:
        read_vocabulary(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not ran.exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_vocabulary(tmp_path / "vocab.pkl")
