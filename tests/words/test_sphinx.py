"""PocketSphinx itself, on a recording of a human."""

from itertools import pairwise

import numpy as np
import pytest

from cospeech import Speech, prosody
from cospeech.errors import DataError, MissingExtra
from cospeech.words import sphinx
from cospeech.words.sphinx import PocketSphinx

TEXT = "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."


@pytest.fixture(scope="module")
def aligner():
    return PocketSphinx()


@pytest.fixture(scope="module")
def jfk(jfk_flac) -> Speech:
    return Speech.load(jfk_flac)


@pytest.fixture(scope="module")
def found(aligner, jfk):
    return aligner.align(jfk, TEXT)


def test_the_words_are_those_of_the_transcript_and_lie_where_it_is_loud(found, jfk):
    assert " ".join(word.text for word in found.words) == TEXT.lower().replace(",", "").replace(".", "")
    assert (found.missing, found.unscripted) == ((), ())
    envelope = prosody.energy_envelope(jfk.resample(16_000).samples, jfk.num_frames(100), 100)
    inside = np.zeros(len(envelope), bool)
    for word in found.words:
        inside[round(word.start_s * 100) : round(word.end_s * 100)] = True
    assert envelope[inside].mean() > 3 * envelope[~inside].mean()
    starts = {word.text: word.start_s for word in found.words}
    assert starts["and"] == pytest.approx(0.3, abs=0.06)  # read off a spectrogram
    assert starts["americans"] == pytest.approx(1.65, abs=0.06)


def test_phones_make_up_their_words(found):
    for word in found.words:
        inside = [phone for phone in found.phones if word.start_s <= phone.start_s < word.end_s]
        assert inside[0].start_s == word.start_s
        assert inside[-1].end_s == word.end_s
        assert all(before.end_s == after.start_s for before, after in pairwise(inside))
    country = found.words[-1]
    spelled = [phone.text for phone in found.phones if phone.start_s >= country.start_s]
    assert " ".join(spelled) == "K AH N T R IY"


def test_the_same_recording_gets_the_same_words_whatever_came_before(aligner, jfk, found):
    aligner.align(Speech(jfk.samples[::-1], jfk.rate), "something else entirely")
    assert aligner.align(jfk, TEXT) == found
    assert PocketSphinx().align(jfk, TEXT) == found


def test_how_loud_a_recording_is_does_not_matter(aligner, jfk, found):
    quiet = aligner.align(Speech(jfk.samples / 50, jfk.rate), TEXT)
    assert quiet.words == found.words


def test_what_is_not_said_is_found_missing_and_the_rest_keeps_its_time(aligner, jfk, found):
    extra = TEXT.replace("Americans,", "Americans, unless somebody else would refuse to listen,")
    made = aligner.align(jfk, extra)
    assert " ".join(word.text for word in made.missing) == "unless somebody else would refuse to listen"
    assert 2 < made.missing[0].start_s <= made.missing[0].end_s < 3.4
    assert [word.text for word in made.words] == [word.text for word in found.words]
    assert [word.start_s for word in made.words] == pytest.approx([word.start_s for word in found.words], abs=0.05)


def test_unknown_words_are_aligned_by_their_letters(aligner, jfk, found):
    made = aligner.align(jfk, TEXT.replace("fellow", "fellough").replace("country", "kuntree"))
    assert [word.text for word in made.words].count("kuntree") == 2
    assert [word.start_s for word in made.words] == pytest.approx([word.start_s for word in found.words], abs=0.08)


def test_a_long_recording_is_cut_between_words_and_loses_none(aligner, jfk, found):
    times = 4
    long = Speech(np.tile(jfk.samples, times), jfk.rate)
    made = aligner.align(long, TEXT * times)
    expected = [n * jfk.duration_s + word.start_s for n in range(times) for word in found.words]
    assert [word.start_s for word in made.words] == pytest.approx(expected, abs=0.06)
    assert (made.missing, made.unscripted) == ((), ())


def test_what_the_transcript_lacks_is_left_out_of_a_long_recording(aligner, jfk, found):
    long = Speech(np.concatenate([jfk.samples, jfk.samples[::-1], jfk.samples]), jfk.rate)
    made = aligner.align(long, TEXT * 2)
    starts = [start_s + word.start_s for start_s in (0, 22) for word in found.words]
    late = [word.start_s - start_s for word, start_s in zip(made.words, starts, strict=True)]
    assert sum(abs(each) < 0.06 for each in late) >= 42  # of 44: at the seams a word may be lost to the other speech
    assert made.unscripted[0].start_s == pytest.approx(11, abs=1)
    assert made.unscripted[-1].end_s == pytest.approx(22, abs=1)


def test_a_transcript_of_something_else_is_refused(aligner):
    with pytest.raises(DataError, match="None of the 1 words"):
        aligner.align(Speech(np.zeros(16_000), 16_000), "energy")


def test_progress_ends_at_one(aligner, jfk):
    told = []
    aligner.align(jfk, TEXT, told.append)
    assert told[-1] == pytest.approx(1)
    assert told == sorted(told)


@pytest.mark.parametrize("text", ["", "  \n", "[music] ... 😀"])
def test_a_transcript_without_words_is_refused(aligner, jfk, text):
    with pytest.raises(DataError, match="has no words"):
        aligner.align(jfk, text)


def test_the_recogniser_gets_most_of_it(aligner, jfk):
    heard = aligner.recognise(jfk)
    assert heard.language == "en"
    assert {"fellow", "country", "what"} <= {word.text for word in heard.words}
    assert heard.phones
    for before, after in pairwise(heard.words):
        assert before.end_s <= after.start_s
    with pytest.raises(DataError, match="No words can be understood"):
        aligner.recognise(Speech(np.zeros(16_000), 16_000))


def test_without_the_second_pass_the_words_are_known_all_the_same(aligner, jfk, found, monkeypatch):
    def fails_after(decoder, sound):
        if decoder.current_search() not in (None, "piece", "_align"):
            raise RuntimeError("Failed to stop utterance processing")
        process(decoder, sound)

    process = sphinx._process
    monkeypatch.setattr(sphinx, "_process", fails_after)
    made = aligner.align(jfk, TEXT)
    assert made.phones == ()
    assert [word.start_s for word in made.words] == pytest.approx([word.start_s for word in found.words], abs=0.1)


def test_recordings_of_a_moment_are_no_crash(aligner):
    with pytest.raises(DataError):
        aligner.align(Speech(np.zeros(10), 16_000), "hello")
    with pytest.raises(DataError):
        aligner.recognise(Speech(np.zeros(10), 16_000))


def test_a_word_is_pronounced_alike_whatever_was_learned_before(jfk):
    before, fresh = PocketSphinx(), PocketSphinx()
    before.align(jfk, f"zyxgrub {TEXT}")
    for each in (before, fresh):
        each.align(jfk, f"zyxgrubs {TEXT}")  # else it would be the plural of one that is known
    assert before._aligner.lookup_word("zyxgrubs") == fresh._aligner.lookup_word("zyxgrubs") is not None


def test_minutes_of_silence_do_not_matter(aligner, jfk, found):
    long = Speech(np.concatenate([np.zeros(jfk.rate * 60), jfk.samples]), jfk.rate)
    made = aligner.align(long, TEXT)
    assert [word.start_s - 60 for word in made.words] == pytest.approx([w.start_s for w in found.words], abs=0.08)


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(sphinx, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"cospeech\[align\]"):
        PocketSphinx()
