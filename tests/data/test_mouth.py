"""Phones from TextGrids, as the Montreal Forced Aligner (short) and BEAT2 (long) write them. Mouths: `test_faces`."""

import pytest

from cospeech.data import mouth
from cospeech.data.voices import Phone
from cospeech.errors import DataError

TIERS = {"words": [(0, 0.4, ""), (0.4, 1.0, "hi")], "phones": [(0, 0.4, "sil"), (0.4, 0.55, "HH"), (0.55, 1.0, "AY1")]}


def short_format(tiers):
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", 0, 1, "<exists>", len(tiers)]
    for name, intervals in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', 0, 1, len(intervals)]
        lines += [each for begin, end, text in intervals for each in (begin, end, f'"{text}"')]
    return "\n".join(map(str, lines)) + "\n"


def long_format(tiers):
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "xmin = 0", "xmax = 1", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for i, (name, intervals) in enumerate(tiers.items(), 1):
        lines += [f"item [{i}]:", 'class = "IntervalTier"', f'name = "{name}"', "xmin = 0", "xmax = 1"]
        lines += [f"intervals: size = {len(intervals)}"]
        for j, (begin, end, text) in enumerate(intervals, 1):
            lines += [f"intervals [{j}]:", f"xmin = {begin}", f"xmax = {end}", f'text = "{text}"']
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("write", [short_format, long_format])
def test_phones_are_those_of_the_tier_with_that_name(write, tmp_path):
    (tmp_path / "a.TextGrid").write_text(write(TIERS))
    phones = mouth.read_phones(tmp_path / "a.TextGrid")
    assert phones == (Phone("sil", 0.0, 0.4), Phone("HH", 0.4, 0.55), Phone("AY1", 0.55, 1.0))
    shape = mouth.spoken(phones, 30, 30)
    assert shape.opening[20:25].max() > 0.8 > 0.1 > shape.opening[:8].max()  # the pause is one


def test_a_grid_of_words_alone_has_no_phones(tmp_path):
    (tmp_path / "a.TextGrid").write_text(short_format({"words": TIERS["words"]}))
    assert mouth.read_phones(tmp_path / "a.TextGrid") == ()


def test_a_file_that_is_no_grid_is_named(tmp_path):
    (tmp_path / "a.TextGrid").write_text("hello")
    with pytest.raises(DataError, match=r"a\.TextGrid"):
        mouth.read_phones(tmp_path / "a.TextGrid")
