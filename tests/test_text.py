import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cospeech.errors import DataError
from cospeech.text import PAD, UNKNOWN, Word, read_tiers, read_words, word_indices, write_tiers, write_words

FIXTURES = Path(__file__).parent / "fixtures"

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "TextTier"
        name = "breaths"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 0.7
            mark = "in"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 2.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 2.5
            text = "S"
    item [3]:
        class = "IntervalTier"
        name = "scott - words"
        xmin = 0
        xmax = 2.5
        intervals: size = 5
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1e0
            text = "say ""ah"" 3 <times>"
        intervals [3]:
            xmin = 1
            xmax = 1.25
            text = "  "
        intervals [4]:
            xmin = 1.25
            xmax = 2
            text = "größer"
        intervals [5]:
            xmin = 2
            xmax = 2.5
            text = "so"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
3
"TextTier"
"breaths"
0
2.5
1
0.7
"in"
"IntervalTier"
"phones"
0
2.5
1
0
2.5
"S"
"IntervalTier"
"scott - words"
0
2.5
5
0
0.5
""
0.5
1
"say ""ah"" 3 <times>"
1
1.25
"  "
1.25
2
"größer"
2
2.5
"so"
"""
SPOKEN = (
    Word("", 0, 0.5),
    Word('say "ah" 3 <times>', 0.5, 1.0),
    Word("  ", 1.0, 1.25),
    Word("größer", 1.25, 2.0),
    Word("so", 2.0, 2.5),
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom"])
@pytest.mark.parametrize("content", [LONG, SHORT])
def test_both_formats_and_all_encodings_of_praat(tmp_path, content, encoding):
    path = tmp_path / "talk.TextGrid"
    path.write_bytes(("\ufeff" + content).encode("utf-16-be") if "bom" in encoding else content.encode(encoding))
    assert read_words(path) == SPOKEN


def test_line_ends_do_not_matter(tmp_path):
    path = tmp_path / "talk.TextGrid"
    path.write_bytes(LONG.replace("\n", "\r\n").encode())
    assert read_words(path) == SPOKEN


def test_without_a_tier_named_words_the_first_counts(tmp_path):
    path = tmp_path / "talk.TextGrid"
    path.write_text(LONG.replace("scott - words", "other"), encoding="utf-8")
    assert read_words(path) == (Word("S", 0, 2.5),)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "ends in the middle"),
        ("so there\n" * 20, "ends in the middle"),
        ('"one" "two" "three"', "does not begin as one"),
        (LONG[:700], "ends in the middle"),
        (LONG.replace("IntervalTier", "TextTier"), None),
        (LONG.replace("xmax = 2\n", "xmax = 1\n"), "cannot last"),
        (SHORT.replace("größer", "a whole sentence").replace('"so"', '"and another"'), "holds sentences"),
    ],
)
def test_what_is_no_textgrid_is_one_line(tmp_path, content, what):
    path = tmp_path / "talk.TextGrid"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=what) as caught:
        read_words(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text(tmp_path):
    (tmp_path / "talk.wav").write_bytes(b"RIFF\xff\xfe\x80\x81" * 10)
    for name, what in (
        ("talk.wav", "UTF-8 or UTF-16"),
        ("missing.TextGrid", "cannot be read"),
        (".", "cannot be read"),
    ):
        with pytest.raises(DataError, match=what):
            read_words(tmp_path / name)


@st.composite
def utterances(draw) -> list[Word]:
    """Words in order, some of them touching."""
    texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5)
    end_s, words = 0.0, []
    for _ in range(draw(st.integers(0, 8))):
        start_s = end_s + draw(st.sampled_from([0.0, 0.1, 1 / 30, 0.25]))
        end_s = start_s + draw(st.sampled_from([1 / 30, 0.1, 0.5, 2.0]))
        words.append(Word(draw(texts), start_s, end_s))
    return words


@given(utterances())
def test_what_is_written_is_read_back(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("words") / "talk.TextGrid"
    write_words(path, words, 20.0)
    back = [word for word in read_words(path) if word.text]
    assert [word.text for word in back] == [word.text for word in words]
    for ours, theirs in zip(words, back, strict=True):
        assert (theirs.start_s, theirs.end_s) == pytest.approx((ours.start_s, ours.end_s), abs=1e-6)


def test_words_that_overlap_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="begins before"):
        write_words(tmp_path / "talk.TextGrid", [Word("a", 0, 1), Word("b", 0.5, 2)], 2.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("start_s", "end_s"), [(-0.1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
def test_a_word_has_a_time_that_can_be(start_s, end_s):
    with pytest.raises(DataError, match="cannot last"):
        Word("so", start_s, end_s)


# --- words per frame --------------------------------------------------------------------------------------------


def test_word_indices_are_those_of_the_published_loader():
    vocabulary = json.loads((FIXTURES / "vocabulary_small.json").read_text())
    with np.load(FIXTURES / "textgrid_words_io.npz") as published:
        expected = published["word_index"]
    words = read_words(FIXTURES / "sample.TextGrid")
    np.testing.assert_array_equal(word_indices(words, len(expected), 30, vocabulary), expected)


def one_frame_at_a_time(words: list[Word], num_frames: int, fps: float, vocabulary: dict[str, int]) -> list[int]:
    """Section 3.2 of the published system: the first interval whose closed range holds the frame's time."""
    indices = []
    for t in range(num_frames):
        said = [word.text for word in words if word.start_s <= t / fps <= word.end_s]
        indices.append(vocabulary.get(said[0], UNKNOWN) if said else UNKNOWN)
    return indices


@given(utterances().filter(bool), st.sampled_from([15.0, 30.0, 60.0]), st.randoms())
def test_word_indices_equal_a_slow_search(words, fps, random):
    vocabulary = {"": 4} | {word.text: 5 + i for i, word in enumerate(words[::2])}
    pauses = [Word("", word.end_s, word.end_s + 0.1) for word in words[::3]]  # some; the rest are holes
    intervals = [*words, *pauses]
    random.shuffle(intervals)
    for given_words in (words, sorted(intervals, key=lambda word: word.start_s), intervals):
        expected = one_frame_at_a_time(given_words, 100, fps, vocabulary)
        assert word_indices(given_words, 100, fps, vocabulary).tolist() == expected


def test_what_no_interval_covers_is_unknown():
    words = [Word("a", 0, 0.4), Word("", 0.6, 0.8), Word("b", 0.8, 1.2), Word(" ", 1.2, 1.6)]  # a hole, an early end
    assert word_indices(words, 10, 5, {"": 4, "a": 5, "b": 6, " ": 7}).tolist() == [5, 5, 5, 4, 4, 6, 6, 0, 0, UNKNOWN]


def test_no_words_are_padding_and_case_counts():
    assert word_indices((), 3, 30, {"": 4}).tolist() == [PAD] * 3
    assert word_indices([Word("The", 0, 1)], 2, 30, {"the": 5, "": 4}).tolist() == [UNKNOWN] * 2


def test_of_words_that_overlap_the_earlier_counts():
    words = [Word("a", 0, 1), Word("b", 0.5, 0.8), Word("c", 0.9, 2)]
    assert word_indices(words, 5, 2, {"": 4, "a": 5, "b": 6, "c": 7}).tolist() == [5, 5, 5, 7, 7]


def test_tiers_are_written_side_by_side_and_read_back(tmp_path):
    words = [Word("hi", 0.5, 1.0), Word('"you"', 1.0, 2.0)]
    phones = [Word("HH", 0.5, 0.6), Word("AY", 0.6, 1.0), Word("Y", 1.0, 2.25)]
    write_tiers(tmp_path / "talk.TextGrid", {"words": words, "phones": phones}, 2.2)
    tiers = read_tiers(tmp_path / "talk.TextGrid")
    assert list(tiers) == ["words", "phones"]
    assert tiers["words"] == [Word("", 0, 0.5), *words, Word("", 2.0, 2.25)]  # to the end of all
    assert tiers["phones"] == [Word("", 0, 0.5), *phones]
    assert read_words(tmp_path / "talk.TextGrid") == tuple(tiers["words"])
