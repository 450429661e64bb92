import random
import re
from pathlib import Path

import pocketsphinx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cospeech.errors import DataError
from cospeech.words.english import by_rule, pronunciations, spoken

PHONES = set(
    re.findall(
        "[A-Z]+", "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
    )
)


@pytest.fixture(scope="module")
def dictionary() -> dict[str, str]:
    lines = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("And so, my fellow Americans:", "and so my fellow americans"),
        ("“Don’t” say 'no'. No. 5!", "don't say no number five"),
        ("the boys' café — naïve", "the boys' cafe naive"),
        ("Dr. Smith vs. Mrs. Jones, e.g.", "doctor smith versus missus jones for example"),
        ("at 10:30 a.m. in the U.S.", "at ten thirty a m in the u s"),
        (
            "in 1961, 1900, 2005 and 2026",
            "in nineteen sixty one nineteen hundred two thousand five and twenty twenty six",
        ),
        ("the 1960s, the 21st", "the nineteen sixties the twenty first"),
        ("$1,250 & 20% of 3.5", "one thousand two hundred fifty dollars and twenty percent of three point five"),
        ("agent 007, -4 degrees", "agent zero zero seven minus four degrees"),
        ("paper-clips [laughs] and/or <noise> x", "paper clips and or x"),
        ("", ""),
        ("... 😀", ""),
    ],
)
def test_a_text_becomes_what_is_said(written, said):
    assert " ".join(spoken(written)) == said


@given(st.text(st.characters(max_codepoint=0x24F)))
def test_whatever_is_written_words_are_letters_or_the_letter_that_is_none_is_named(text):
    try:
        words = spoken(text)
    except DataError:
        assert not all(letter.isascii() for letter in text)
        return
    assert all(re.fullmatch("[a-z']+", word) and re.search("[a-z]", word) for word in words)


@pytest.mark.parametrize("word", ["привет", "你好", "नमस्ते", "שלום"])
def test_another_script_is_refused_with_what_to_do(word):
    with pytest.raises(DataError, match=f"'{word[:3]}.*--aligner whisper") as error:
        spoken(f"hello {word}")
    assert "\n" not in str(error.value)


def test_rules_come_close_to_the_dictionary(dictionary):
    words = [word for word in dictionary if re.fullmatch("[a-z]{5,}", word)]
    wrong = total = 0
    for word in random.Random(0).sample(words, 3000):
        said, right = by_rule(word).split(), dictionary[word].split()
        assert set(said) <= PHONES
        wrong += _edits(said, right)
        total += len(right)
    assert wrong / total < 0.23


def _edits(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(before[j - 1] + (x != y), before[j] + 1, row[-1] + 1))
    return row[-1]


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("hello", ["HH AH L OW"]),  # in the dictionary
        ("livestream", ["L AY V S T R IY M"]),  # two that are
        ("kubernetes's", None),
        ("bbcc", ["B IY B IY S IY S IY"]),  # no vowel: spelled
        ("gpu", ["G P UW", "JH IY P IY Y UW"]),  # either
        ("'", ["AH"]),
    ],
)
def test_unknown_words_get_pronunciations(dictionary, word, phones):
    made = pronunciations(word, dictionary.get)
    assert all(set(each.split()) <= PHONES for each in made)
    assert phones is None or made == phones


@given(st.from_regex("[a-z']{1,12}", fullmatch=True))
def test_every_word_has_a_pronunciation(word):
    letters = dict.fromkeys("abcdefghijklmnopqrstuvwxyz", "AH")
    for phones in pronunciations(word, letters.get):
        assert phones
        assert set(phones.split()) <= PHONES
