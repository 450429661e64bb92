"""A transcript and what a recogniser heard, brought together: stretches where both agree hold the rest in place.

[1] Moreno, Joerg, Van Thong & Glickman 1998, A recursive algorithm for the forced alignment of very long audio
    segments, ICSLP: islands of words in a row that agree; here each stretch between two cuts is then aligned by itself
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cospeech.errors import MissingExtra
from cospeech.text import Word
from cospeech.words.alignment import Alignment

_ISLAND = 3  # words in a row that agree by more than chance
_SHORTEST_S, _LONGEST_S = 6.0, 20.0  # of a piece, where islands allow it
_UNSCRIPTED_S = 2.0  # speech without text that is longer than this is left out
_MARGIN_S = 0.2
_SILENCE_S = 1.0


class Piece(NamedTuple):
    """From `start_s` to `end_s` words `first` to `last`, exclusive, of the transcript are said."""

    start_s: float
    end_s: float
    first: int
    last: int


def pieces(heard: Sequence[Word], words: Sequence[str], duration_s: float) -> list[Piece]:
    """Pieces of a recording that can be aligned by themselves.

    Args:
        heard: What a recogniser understood, much of it wrong.
        words: The transcript.
        duration_s: Length of the recording.

    Cuts lie between words that follow each other in both, among more such words. All words of the transcript are in one
    of the pieces, long silences and long stretches that the transcript lacks in none.
    """
    islands = [block for block in _agreements([word.text for word in heard], words) if block[2] >= _ISLAND]
    whole, start_s, first = [], 0.0, 0
    for (a, b, size), (next_a, next_b, _) in pairwise([(0, 0, 0), *islands, (len(heard), len(words), 0)]):
        between = heard[a + size : next_a]
        if b + size != next_b or sum(word.end_s - word.start_s for word in between) < _UNSCRIPTED_S:
            continue
        before_s = between[0].start_s if a + size == 0 else heard[a + size - 1].end_s + _MARGIN_S
        after_s = between[-1].end_s if next_a == len(heard) else heard[next_a].start_s - _MARGIN_S
        whole.append(Piece(start_s, before_s, first, next_b))
        start_s, first = max(before_s, after_s), next_b
    whole.append(Piece(start_s, duration_s, first, len(words)))
    cuts = [(heard[a + i - 1].end_s, heard[a + i].start_s, b + i) for a, b, size in islands for i in range(2, size - 1)]
    parts = [part for piece in whole if piece.last > piece.first for part in _cut(piece, cuts)]
    return [_without_silence(part, heard) for part in parts]


def _agreements(heard: Sequence[str], words: Sequence[str]) -> list[tuple[int, int, int]]:
    """Stretches on which two texts agree, by the fewest changes: where each begins in both, and its number of words.

    The last one is empty and at both ends. (difflib takes the longest stretch first, wherever it is: the wrong refrain,
    where a text has some.)
    """
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        raise MissingExtra("rapidfuzz", "align") from None
    return [tuple(block) for block in Levenshtein.opcodes(heard, words).as_matching_blocks()]


def _cut(piece: Piece, cuts: Sequence[tuple[float, float, int]]) -> Iterator[Piece]:
    """Cut a piece in the longest pause that comes soon enough, again and again.

    Args:
        cuts: Where it can be cut: the end of a word, the beginning of the next, and its number.
    """
    while piece.end_s - piece.start_s > _LONGEST_S:
        earliest_s, latest_s = piece.start_s + _SHORTEST_S, piece.end_s - _SHORTEST_S
        ahead = [cut for cut in cuts if earliest_s < cut[0] <= cut[1] < latest_s and piece.first < cut[2] < piece.last]
        if not ahead:
            break
        soon = [cut for cut in ahead if cut[0] < piece.start_s + _LONGEST_S] or ahead[:1]
        end_s, next_s, word = max(soon, key=lambda cut: cut[1] - cut[0])
        middle_s = (end_s + next_s) / 2
        yield Piece(piece.start_s, middle_s, piece.first, word)
        piece = Piece(middle_s, piece.end_s, word, piece.last)
    yield piece


def _without_silence(piece: Piece, heard: Sequence[Word]) -> Piece:
    """No more than `_SILENCE_S` where nothing is heard at either end: minutes of it would drown the words."""
    inside = [word for word in heard if piece.start_s <= word.start_s and word.end_s <= piece.end_s]
    if not inside:
        return piece
    start_s = max(piece.start_s, inside[0].start_s - _SILENCE_S)
    return piece._replace(start_s=start_s, end_s=min(piece.end_s, inside[-1].end_s + _SILENCE_S))


def missing(found: Sequence[Word], words: Sequence[str], start_s: float, end_s: float) -> list[Word]:
    """Stretches of a text of which nothing was found, each with the time between its neighbours.

    Args:
        found: Words of the text, in its order.
        words: The text.
        start_s, end_s: The time that it covers.
    """
    ends_s, starts_s = [start_s, *(word.end_s for word in found)], [*(word.start_s for word in found), end_s]
    blocks = [(0, 0, 0), *_agreements([word.text for word in found], words)]
    return [
        Word(" ".join(words[b + size : next_b]), ends_s[next_a], starts_s[next_a])
        for (_, b, size), (next_a, next_b, _) in pairwise(blocks)
        if next_b > b + size
    ]


def unscripted(heard: Sequence[Word], found: Sequence[Word]) -> list[Word]:
    """Stretches where something was heard, but no word of the transcript found."""
    middles_s = [(word.start_s + word.end_s) / 2 for word in heard]
    ends_s, starts_s = [0.0, *(word.end_s for word in found)], [*(word.start_s for word in found), np.inf]
    stretches = []
    for end_s, start_s in zip(ends_s, starts_s, strict=True):
        between = heard[bisect_left(middles_s, end_s) : bisect_right(middles_s, start_s)]
        if sum(word.end_s - word.start_s for word in between) > _UNSCRIPTED_S:
            text = " ".join(word.text for word in between)
            stretches.append(Word(text, max(end_s, between[0].start_s), min(start_s, between[-1].end_s)))
    return stretches


def transferred(heard: Sequence[Word], words: Sequence[str]) -> Alignment:
    """The words of a transcript with the times of what a recogniser heard, whatever its capitals and punctuation.

    Where they differ, the words of the transcript share the time of what was heard in their place, by their letters.
    Where nothing was heard they are missing.
    """
    timed: list[Word] = []
    blocks = [(0, 0, 0), *_agreements([key(word.text) for word in heard], [key(word) for word in words])]
    for (a, b, size), (next_a, next_b, next_size) in pairwise(blocks):
        other, lost = heard[a + size : next_a], words[b + size : next_b]
        if other and lost:
            ends = np.cumsum([len(text) for text in lost])
            marks_s = other[0].start_s + (other[-1].end_s - other[0].start_s) * np.array([0, *ends]) / ends[-1]
            timed += [Word(text, *map(float, span)) for text, span in zip(lost, pairwise(marks_s), strict=True)]
        timed += [replace(heard[next_a + i], text=words[next_b + i]) for i in range(next_size)]
    not_heard = missing(timed, words, 0.0, heard[-1].end_s if heard else 0.0)
    return Alignment(tuple(timed), missing=tuple(not_heard), unscripted=tuple(unscripted(heard, timed)))


def key(word: str) -> str:
    """What of a word counts in a comparison: small letters and digits."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())
