from itertools import pairwise

import pytest

from cospeech.text import Word
from cospeech.words.anchors import Piece, missing, pieces, transferred, unscripted

TEXT = [f"w{i}" for i in range(100)]


def heard(words, start_s=0.0, pace_s=0.5):
    """Words without pauses, but for a pause of 0.3 s in front of every tenth."""
    said = []
    for i, text in enumerate(words):
        begin = start_s + i * pace_s + 0.3 * (i % 10 == 0)
        said.append(Word(text, begin, start_s + (i + 1) * pace_s))
    return said


def test_pieces_are_cut_in_pauses_and_hold_the_whole_text():
    made = pieces(heard(TEXT), TEXT, 50.0)
    assert all(piece.first % 10 == 0 for piece in made)
    assert made[0].start_s == 0
    assert made[-1].end_s == 50
    for before, after in pairwise(made):
        assert before.end_s == after.start_s == pytest.approx(after.first * 0.5 + 0.15)
        assert before.last == after.first
        assert before.end_s - before.start_s <= 20


def test_a_recogniser_that_hears_nothing_right_gives_one_piece():
    assert pieces(heard(["no"] * 100), TEXT, 50.0) == [Piece(0, 50, 0, 100)]
    assert pieces([], TEXT, 50.0) == [Piece(0, 50, 0, 100)]


def test_speech_that_the_text_lacks_is_left_out():
    said = heard(TEXT[:50] + ["other"] * 10 + TEXT[50:])
    made = pieces(said, TEXT, 55.0)
    extra = unscripted(said, said[:50] + said[60:])
    assert [word.text for word in extra] == [" ".join(["other"] * 10)]
    assert (extra[0].start_s, extra[0].end_s) == pytest.approx((25.3, 30))
    assert not any(piece.start_s < 29 and piece.end_s > 26 for piece in made)
    assert [i for piece in made for i in range(piece.first, piece.last)] == list(range(100))


@pytest.mark.parametrize("begins", [True, False])
def test_so_is_an_introduction_or_an_end_without_text(begins):
    extra = ["other"] * 10
    made = pieces(heard(extra + TEXT if begins else TEXT + extra), TEXT, 55.0)
    assert made[0].start_s == pytest.approx(5.1 if begins else 0)
    assert made[-1].end_s == pytest.approx(55 if begins else 50.2)


def test_text_that_is_not_said_stays_with_its_neighbours():
    made = pieces(heard(TEXT[:40] + TEXT[60:]), TEXT, 40.0)
    assert any(piece.first <= 38 and piece.last >= 62 for piece in made)


def test_long_silences_are_in_no_piece():
    said = heard(TEXT[:20], start_s=60) + heard(TEXT[20:], start_s=200)
    made = pieces(said, TEXT, 300.0)
    assert made[0].start_s == pytest.approx(59.3)
    assert made[-1].end_s == pytest.approx(241)
    assert max(before.end_s for before in made if before.last <= 20) == pytest.approx(71)


def test_missing_stretches_have_the_time_between_their_neighbours():
    found = [Word("a", 1, 2), Word("d", 3, 4)]
    assert missing(found, ["a", "b", "c", "d", "e"], 0, 9) == [Word("b c", 2, 3), Word("e", 4, 9)]
    assert missing([], ["a"], 0, 9) == [Word("a", 0, 9)]
    assert missing(found, ["a", "d"], 0, 9) == []


def test_a_transcript_takes_over_the_times_of_what_was_heard():
    said = [Word("hello", 0, 1), Word("whirled", 1, 2), Word("and", 3, 3.5), Word("all", 3.5, 4)]
    taken = transferred(said, ["Hello", "big", "world", "and", "that", "all"])
    assert [word.text for word in taken.words] == ["Hello", "big", "world", "and", "all"]
    assert taken.words[0] == Word("Hello", 0, 1)
    assert taken.words[1] == Word("big", 1, 1.375)  # three of eight letters
    assert taken.words[2] == Word("world", 1.375, 2)
    assert taken.missing == (Word("that", 3.5, 3.5),)


def test_so_it_does_where_nothing_fits():
    assert transferred([], ["a", "b"]).words == ()
    assert transferred([], ["a", "b"]).missing == (Word("a b", 0, 0),)
    assert transferred([Word("a", 0, 1), Word("b", 1, 5)], ["a"]).unscripted == (Word("b", 1, 5),)
