"""`cospeech align`, and `cospeech generate --transcript`, as users meet them."""

import shutil
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from cospeech import cli
from cospeech.pipeline import load_pipeline
from cospeech.text import read_tiers, read_words

TEXT = "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."


@pytest.fixture
def folder(tmp_path, jfk_flac):
    """Two recordings with transcripts, of one of which nothing can be read."""
    shutil.copy(jfk_flac, tmp_path / "good.flac")
    (tmp_path / "good.txt").write_text(TEXT)
    shutil.copy(jfk_flac, tmp_path / "bad.flac")
    (tmp_path / "bad.lab").write_text("мои соотечественники")
    return tmp_path


def run(*arguments: object) -> int:
    return cli.main(["align", *map(str, arguments)])


def test_a_recording_and_its_transcript_become_a_textgrid(folder, capsys):
    assert run(folder / "good.flac", folder / "talk.TextGrid") == 0
    assert "22 words, 73 phones, transcript good.txt" in capsys.readouterr().out
    words = read_words(folder / "talk.TextGrid")
    said = [word.text for word in words if not word.is_pause]
    assert said == TEXT.lower().replace(",", "").replace(".", "").split()
    assert (words[0].start_s, words[-1].end_s) == (0, pytest.approx(11.0, abs=0.01))
    assert list(read_tiers(folder / "talk.TextGrid")) == ["words", "phones"]


def test_one_bad_recording_does_not_spoil_a_folder_which_can_be_resumed(folder, capsys):
    assert run(folder, folder / "grids") == 2
    told = capsys.readouterr()
    assert "bad.lab: 'мои' has a letter that English does not" in told.err
    assert "1 of 2 recordings failed" in told.err
    assert [path.name for path in (folder / "grids").iterdir()] == ["good.TextGrid"]
    before = (folder / "grids" / "good.TextGrid").stat().st_mtime_ns
    (folder / "bad.lab").write_text(TEXT)
    assert run(folder, folder / "grids", "--resume") == 0
    assert "1 of 2 are there already" in capsys.readouterr().out
    assert (folder / "grids" / "good.TextGrid").stat().st_mtime_ns == before
    assert len(list((folder / "grids").iterdir())) == 2


def test_differences_between_sound_and_transcript_are_said(folder, capsys):
    (folder / "good.txt").write_text(TEXT.replace("ask not", "unless somebody else would refuse, ask not"))
    assert run(folder / "good.flac", folder / "talk.TextGrid") == 0
    assert 'note: good.flac: "unless somebody else would refuse"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("good.flac", "talk.json"), "ends in .TextGrid"),
        (("good.flac", "talk.TextGrid", "--transcript", "none.txt"), "none.txt: cannot be read"),
        (("good.flac", "talk.TextGrid", "--transcript", "empty.txt"), "empty.txt: is empty"),
        (("good.flac", "talk.TextGrid", "--transcript", "marks.txt"), "marks.txt: The transcript has no words"),
        (("silence.wav", "talk.TextGrid", "--transcript", "good.txt"), "good.txt: None of the 22 words"),
        (("none.flac", "talk.TextGrid"), "none.flac: no such file"),
        (("good.flac", "talk.TextGrid", "--language", "de", "--aligner", "pocketsphinx"), "knows English only"),
        (("good.flac", "talk.TextGrid", "--model", "x", "--aligner", "pocketsphinx"), "--model x"),
        ((".", "grids", "--transcript", "good.txt"), "give the folder that holds a transcript for each"),
        ((".", "grids", "--transcript", "grids"), "bad.txt (or .lab) is not in it"),
    ],
)
def test_what_cannot_work_is_one_line(folder, capsys, monkeypatch, arguments, message):
    (folder / "empty.txt").write_text("")
    (folder / "marks.txt").write_text("...")
    (folder / "grids").mkdir()
    if "silence.wav" in arguments:
        soundfile.write(folder / "silence.wav", np.zeros(16_000), 16_000)
    monkeypatch.chdir(folder)
    assert run(*arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert message in told.err
    assert not list(folder.rglob("*.TextGrid"))


@pytest.fixture
def heard(monkeypatch):
    """What the model is given; it is the starter, as if it could read when asked to."""
    given = []
    pipeline = load_pipeline("starter")
    generate = pipeline.generate_many

    def hear(requests, **rest):
        given.extend(request.speech for request in requests)
        return generate(requests, **rest)

    monkeypatch.setattr(pipeline, "generate_many", hear)
    monkeypatch.setattr("cospeech.pipeline.load_pipeline", lambda *args: pipeline)
    monkeypatch.setattr(pipeline, "vocabulary", None)
    return pipeline, given


def test_generate_gives_the_words_to_a_model_that_reads(folder, heard, capsys):
    pipeline, given = heard
    pipeline.vocabulary = {"country": 4}
    talk, out, text = folder / "good.flac", folder / "talk.npz", folder / "good.txt"
    assert cli.main(["generate", str(talk), str(out), "--transcript", str(text)]) == 0
    words = given[0].words
    assert [word.text for word in words if not word.is_pause][-1] == "country"
    assert any(word.is_pause for word in words)  # as in a TextGrid
    assert all(before.end_s == after.start_s for before, after in pairwise(words))


@pytest.mark.filterwarnings("default")
def test_generate_says_when_a_model_does_not_read(folder, heard, capsys):
    text = str(folder / "good.txt")
    cli.main(["generate", str(folder / "good.flac"), str(folder / "talk.npz"), "--transcript", text])
    assert "warning: The model `starter` does not read words: it follows the sound alone." in capsys.readouterr().err
    assert heard[1][0].words == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--transcript", "none.txt"), "none.txt: cannot be read"),
        (("--transcript", "good.txt", "--words", "good.TextGrid"), "Leave one of them out"),
    ],
)
def test_generate_refuses_a_bad_transcript_before_the_slow_part(folder, capsys, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    assert cli.main(["generate", "good.flac", "talk.npz", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "talk.npz").exists()
