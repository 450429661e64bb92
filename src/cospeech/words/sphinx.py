"""Words and phones by PocketSphinx: offline, English only, its models are inside its package.

[1] Huggins-Daines et al. 2006, PocketSphinx: a free, real-time continuous speech recognition system for hand-held
    devices, ICASSP
"""

import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cospeech.audio import SAMPLE_RATE
from cospeech.errors import DataError, MissingExtra
from cospeech.speech import Speech
from cospeech.text import Word
from cospeech.words.alignment import Alignment, Progress
from cospeech.words.anchors import Piece, missing, pieces, unscripted
from cospeech.words.english import pronunciations, spoken

if TYPE_CHECKING:
    from pocketsphinx import Decoder

_FPS = 100  # frames a second of its models
_WHOLE_S = 30.0  # a recording up to this is aligned in one piece
_HOPELESS = 40_000.0  # seconds times words of a piece: without an island in that much, nothing can be said
_SKIP = 1e-30  # probability that a stretch of the transcript, short or long, is not said
_LISTEN_S = 20.0  # longest stretch that is understood at once


class PocketSphinx:
    """Aligner and rough recogniser."""

    def __init__(self):
        if find_spec("pocketsphinx") is None:
            raise MissingExtra("pocketsphinx", "align")
        self._learned: set[str] = set()  # words that the dictionary did not have

    def align(self, speech: Speech, transcript: str, progress: Progress | None = None) -> Alignment:
        """Find the words of an English transcript, with their phones in ARPABET.

        A long recording is first understood with a language model of nothing but the transcript, which gives places to
        cut it [anchors]; each piece is then aligned in a grammar of its words, any of which may be missing.
        """
        words = spoken(transcript)
        if not words:
            raise DataError("The transcript has no words.")
        self._learn(words)
        sound = _sound(speech)
        heard: list[Word] = []
        made = [Piece(0.0, speech.duration_s, 0, len(words))]
        if speech.duration_s > _WHOLE_S:
            so_far = progress and (lambda done: progress(0.5 * done))
            heard = self._heard(sound, words, speech.duration_s, so_far)
            made = pieces(heard, words, speech.duration_s)
        found, phones, lost = [], [], []
        for piece in made:
            its_words = words[piece.first : piece.last]
            its_found, its_phones = self._found(sound, its_words, piece)
            found += its_found
            phones += its_phones
            lost += missing(its_found, its_words, piece.start_s, piece.end_s)
            if progress:
                progress(0.5 + 0.5 * piece.end_s / speech.duration_s)
        if not found:
            raise DataError(f"None of the {len(words)} words of the transcript can be found in the sound.")
        return Alignment(tuple(found), tuple(phones), tuple(lost), tuple(unscripted(heard, found)))

    def recognise(self, speech: Speech, progress: Progress | None = None) -> Alignment:
        """Understand English, roughly: rhythm and most words that matter, with their phones."""
        sound = _sound(speech)
        words, phones = [], []
        for start_s, end_s in _stretches(sound, speech.duration_s):
            its_words, its_phones = _with_phones(self._english, sound, start_s, end_s)
            words += its_words
            phones += its_phones
            if progress:
                progress(end_s / speech.duration_s)
        if not words:
            raise DataError("No words can be understood in it. Give a transcript.")
        return Alignment(tuple(words), tuple(phones), language="en")

    def _heard(self, sound: np.ndarray, words: list[str], duration_s: float, progress: Progress | None) -> list[Word]:
        """What it sounds like to whom expects this transcript."""
        decoder, heard = self._expecting(words), []
        for start_s, end_s in _stretches(sound, duration_s):
            heard += _words(decoder, sound, start_s, end_s)
            if progress:
                progress(end_s / duration_s)
        return heard

    def _found(self, sound: np.ndarray, words: list[str], piece: Piece) -> tuple[list[Word], list[Word]]:
        """Those words of a piece that are said in it, and their phones."""
        if (piece.end_s - piece.start_s) * len(words) > _HOPELESS:
            return [], []
        end = len(words)
        steps = [(i, i + 1, 1.0, word) for i, word in enumerate(words)]
        for i in range(end + 1):  # beside each place in the text another where words are left out, however many
            steps += [(i, end + 1 + i, _SKIP), (end + 1 + i, i, 1.0)] + [(end + 1 + i, end + 2 + i, 1.0)] * (i < end)
        self._aligner.add_fsg("piece", self._aligner.create_fsg("piece", 0, end, steps))
        self._aligner.activate_search("piece")
        said = _words(self._aligner, sound, piece.start_s, piece.end_s)
        if not said:
            return [], []
        # Phones are found only along a path that skips nothing.
        self._aligner.set_align_text(" ".join(word.text for word in said))
        return _with_phones(self._aligner, sound, piece.start_s, piece.end_s)

    def _expecting(self, words: list[str]) -> "Decoder":
        """A recogniser that knows just the words of a transcript, and their order more than another."""
        from pocketsphinx.lm import ArpaBoLM

        model = ArpaBoLM(text=" ".join(words), add_start=True)
        model.compute()
        with tempfile.TemporaryDirectory() as name:
            dictionary, transcript = Path(name) / "words.dict", Path(name) / "transcript.arpa"
            with dictionary.open("w", encoding="utf-8") as file:  # of its own: with all of English, a model takes 10 s
                for word in sorted(set(words)):
                    file.writelines(f"{entry} {phones}\n" for entry, phones in self._entries(word))
            with transcript.open("w", encoding="utf-8") as file:
                model.write(file)
            return _decoder(dict=str(dictionary), lm=str(transcript))

    def _entries(self, word: str) -> Iterator[tuple[str, str]]:
        """All that the dictionary has for a word: "and", "and(2)" ... with their phones."""
        entry, number = word, 1
        while phones := self._aligner.lookup_word(entry):
            yield entry, phones
            number += 1
            entry = f"{word}({number})"

    def _learn(self, words: Sequence[str]) -> None:
        """Put words that the dictionary lacks into it."""
        for word in set(words) - self._learned:
            if self._known(word) is None:
                for number, phones in enumerate(pronunciations(word, self._known), start=1):
                    self._aligner.add_word(word if number == 1 else f"{word}({number})", phones, False)
                self._learned.add(word)

    def _known(self, word: str) -> str | None:
        """What the dictionary says without what was learned: a word is said alike whatever was aligned before."""
        return None if word in self._learned else self._aligner.lookup_word(word)

    @cached_property
    def _aligner(self) -> "Decoder":
        return _decoder(beam=0.0, wbeam=0.0, pbeam=0.0)  # nothing is given up: pruned, a hasty speaker is lost

    @cached_property
    def _english(self) -> "Decoder":
        from pocketsphinx import get_model_path

        return _decoder(lm=get_model_path("en-us/en-us.lm.bin"))


def _decoder(lm: str | None = None, **settings: float | str) -> "Decoder":
    from pocketsphinx import Decoder

    # With `bestpath` the words come from a lattice, whose times the pass for phones cannot always follow.
    return Decoder(samprate=SAMPLE_RATE, lm=lm, bestpath=False, cmn="batch", loglevel="FATAL", **settings)


def _words(decoder: "Decoder", sound: np.ndarray, start_s: float, end_s: float) -> list[Word]:
    """Words between two seconds, by the search that is active."""
    _process(decoder, _bytes(sound, start_s, end_s))
    if decoder.hyp() is None:
        return []
    return [
        _timed(name, start_s, segment.start_frame, segment.end_frame + 1, end_s)
        for segment in decoder.seg()
        if (name := _name(segment.word))
    ]


def _with_phones(decoder: "Decoder", sound: np.ndarray, start_s: float, end_s: float) -> tuple[list[Word], list[Word]]:
    """The same with their phones, which a second pass finds."""
    words, phones = _words(decoder, sound, start_s, end_s), []
    if not words:
        return [], []
    search = decoder.current_search()
    try:
        decoder.set_alignment()
        _process(decoder, _bytes(sound, start_s, end_s))
    except RuntimeError:  # some words of a recogniser leave it no way to the end: they stay without phones
        decoder.activate_search(search)
        return words, []
    words = []
    for word in decoder.get_alignment():
        if name := _name(word.name):
            its_phones = [
                _timed(phone.name, start_s, phone.start, phone.start + phone.duration, end_s) for phone in word
            ]
            words.append(Word(name, its_phones[0].start_s, its_phones[-1].end_s))
            phones += its_phones
    decoder.activate_search(search)
    return words, phones


def _timed(name: str, start_s: float, first: int, last: int, end_s: float) -> Word:
    """A word or phone that lasts from frame `first` to `last`, exclusive, of what lies between two seconds."""
    return Word(name, min(start_s + first / _FPS, end_s), min(start_s + last / _FPS, end_s))


def _name(entry: str) -> str:
    """A word as the transcript has it, without the number of its pronunciation; empty for pauses, noises and steps."""
    return "" if entry[0] in "<[(+" else entry.partition("(")[0]


def _bytes(sound: np.ndarray, start_s: float, end_s: float) -> bytes:
    return sound[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)].tobytes()


def _process(decoder: "Decoder", sound: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


def _sound(speech: Speech) -> np.ndarray:
    """(N,) int16 at 16 kHz, evenly loud."""
    samples = speech.resample(SAMPLE_RATE).samples
    loudest = max(float(samples.max()), -float(samples.min()), 1e-9)
    sound = (samples * (0.7 * 2**15 / loudest)).astype(np.int16)
    sound += np.random.default_rng(0).integers(-2, 3, len(sound), np.int16)  # logarithms of digital silence are none
    return sound


def _stretches(sound: np.ndarray, duration_s: float) -> Iterator[tuple[float, float]]:
    """Seconds from and to which to listen: cut where it is quiet for a moment, at most `_LISTEN_S` apart."""
    if duration_s <= _LISTEN_S:
        yield 0.0, duration_s
        return
    hop = SAMPLE_RATE // 50
    blocks = sound[: len(sound) // hop * hop].reshape(-1, hop)
    level = np.array([np.square(block, dtype=np.float32).mean() for block in blocks])  # (T,) of every 20 ms
    level = np.convolve(level, np.ones(11) / 11, mode="same")
    start, longest = 0, int(_LISTEN_S * 50)
    while len(level) - start > longest:
        begin = start + longest // 2
        cut = begin + int(level[begin : start + longest].argmin())
        yield start / 50, cut / 50
        start = cut
    yield start / 50, duration_s
