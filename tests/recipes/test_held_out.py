import numpy as np
import pytest
import soundfile

from cospeech.data import voices
from cospeech.data.voices import Phone
from cospeech.errors import DataError
from cospeech.recipes import held_out
from cospeech.recipes.held_out import Voice
from cospeech.speech import Speech


def test_excerpts_are_ten_seconds_with_what_is_said_in_them(speech):
    long = Speech(np.tile(speech.samples, 8), speech.rate)  # 24 s
    phones = (Phone("p", 0.5, 0.6), Phone("m", 9.95, 10.05), Phone("b", 12.5, 12.6))
    cuts = held_out.excerpts([Voice("a", long, phones)], copies=2)
    assert [cut.speech.duration_s for cut in cuts] == [10.0] * 4
    assert len({cut.seed for cut in cuts}) == 4
    assert [[phone.text for phone in cut.phones] for cut in cuts] == [["p"], ["p"], ["b"], ["b"]]
    assert cuts[2].phones[0].start_s == pytest.approx(2.5)
    assert len(held_out.excerpts([Voice("a", long)], hop_s=2.0)) == 8
    assert held_out.excerpts([Voice("short", speech)]) == []


def test_the_other_speech_is_that_of_another_voice(speech):
    long = Speech(np.tile(speech.samples, 8), speech.rate)
    cuts = held_out.excerpts([Voice(name, long) for name in "abbc"], copies=3)
    others = held_out.of_another_voice(cuts)
    assert sorted(others) == list(range(len(cuts)))  # each motion once
    for one, other in zip(cuts, others, strict=True):
        assert cuts[other].voice != one.voice
    alone = held_out.excerpts([Voice("a", long)], copies=3)
    for one, other in zip(alone, held_out.of_another_voice(alone), strict=True):
        assert alone[other].speech is not one.speech
    assert held_out.of_another_voice(alone[:1]) == [0]


def test_whole_recordings_have_a_seed_for_each_copy(speech):
    whole = held_out.recordings([Voice("a", speech), Voice("b", speech)], copies=2)
    assert [(cut.voice, cut.seed) for cut in whole] == [("a", 0), ("a", 1), ("b", 2), ("b", 3)]


def test_human_voices_are_the_recording_in_the_package_and_those_of_the_folder(speech, tmp_path):
    assert [voice.name for voice in held_out.human_voices(None)] == ["jfk"]
    folder = tmp_path / "speech" / "librispeech"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=r"no recordings \(\*\.ogg, \*\.flac\)"):
        held_out.human_voices(tmp_path)
    soundfile.write(folder / "1-2-3.ogg", speech.samples, speech.rate)
    both = held_out.human_voices(tmp_path)
    assert [voice.name for voice in both] == ["jfk", "1-2-3"]
    assert held_out.joined(both).duration_s == pytest.approx(sum(voice.speech.duration_s for voice in both), abs=0.01)


def test_only_synthetic_voices_that_were_held_out_are_used(speech, monkeypatch):
    said = [(voice, speech, ()) for voice in ("en-us+f1", "sv+f2", "fr+m7", "de+m1")]
    monkeypatch.setattr(voices, "monologues", lambda count, seed: iter(said))
    assert [voice.name for voice in held_out.synthetic_voices()] == ["sv+f2", "fr+m7"]
