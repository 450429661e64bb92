"""The adapter to the Montreal Forced Aligner, against a stand-in program of that name: MFA itself is not run here."""

import sys

import pytest

from cospeech.errors import ConfigError, DataError
from cospeech.text import Word, write_tiers
from cospeech.words.mfa import Mfa

PROGRAM = """#!{python}
import shutil, sys
from pathlib import Path
command, sound, text, dictionary, acoustic, out, *options = sys.argv[1:]
assert command == "align_one" and options == ["--output_format", "long_textgrid"]
assert Path(sound).read_bytes()[:4] == b"RIFF"
Path({log!r}).write_text(" | ".join([Path(text).read_text(encoding="utf-8"), dictionary, acoustic]), encoding="utf-8")
if acoustic == "missing":
    sys.exit("PretrainedModelNotFoundError:\\nCould not find a model named missing")
if acoustic != "silent":
    shutil.copy({grid!r}, out)
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    words = [Word("hello", 0.5, 1.0), Word("world", 1.2, 1.5)]
    write_tiers(tmp_path / "made.TextGrid", {"words": words, "phones": [Word("h", 0.5, 1.0)]}, 3.0)
    path = tmp_path / "bin" / "mfa"
    path.parent.mkdir()
    path.write_text(
        PROGRAM.format(python=sys.executable, log=str(tmp_path / "log"), grid=str(tmp_path / "made.TextGrid"))
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    return tmp_path


def test_its_textgrid_is_read(program, speech):
    found = Mfa().align(speech, "Hello,\n world 2!")
    assert found.words == (Word("hello", 0.5, 1.0), Word("world", 1.2, 1.5))
    assert found.phones == (Word("h", 0.5, 1.0),)
    assert (program / "log").read_text() == "hello world two | english_us_arpa | english_us_arpa"


def test_models_of_other_languages_get_the_text_as_it_stands(program, speech):
    Mfa("german_mfa").align(speech, "Schöne Grüße")
    assert (program / "log").read_text(encoding="utf-8") == "Schöne Grüße | german_mfa | german_mfa"
    Mfa("german_mfa,my.dict").align(speech, "Schöne Grüße")
    assert (program / "log").read_text(encoding="utf-8") == "Schöne Grüße | my.dict | german_mfa"


@pytest.mark.parametrize(
    ("model", "text", "message"),
    [
        ("missing", "hello", "Could not find a model named missing .*mfa model download acoustic missing"),
        ("silent", "hello", "mfa failed: exit code 0"),
        (None, "...", "has no words"),
    ],
)
def test_what_cannot_work_is_one_line(program, speech, model, text, message):
    with pytest.raises(DataError, match=message) as error:
        Mfa(model).align(speech, text)
    assert "\n" not in str(error.value)


def test_a_missing_program_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="`mfa` is not installed"):
        Mfa()
