"""Answers to visitors, asked without a browser."""

import socket
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from cospeech.cli import main
from cospeech.demo import server
from cospeech.demo.visits import Result, Visits
from cospeech.errors import MissingExtra
from cospeech.files import WRITERS
from cospeech.motion import Motion
from cospeech.skeleton import REST_TRANSLATION
from cospeech.speech import Speech

gradio = pytest.importorskip("gradio")
fastapi = pytest.importorskip("fastapi")
desks = pytest.importorskip("cospeech.demo.desk")
VISITOR = SimpleNamespace(session_hash="a")


class StudioOfNothing:
    models = ("none",)
    body = None

    def make(self, speech, order, progress):
        raise AssertionError("nothing of this may reach a model")


@pytest.fixture
def desk(tmp_path):
    return desks.Desk(StudioOfNothing(), Visits(tmp_path, 100), desks.Limits(seconds=5, megabytes=0.2))


@pytest.fixture
def recording(desk):
    path = desk.visits.uploads / "hash" / "<b>talk.wav"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.zeros(4000), 8000)
    return str(path)


def order(desk, recording, upper="", timeline=(), transcript=""):
    """What the status shows when this is asked for."""
    given = [upper, None, None, None, 1.0, timeline, transcript, "none", 0, 0, "model", True, False]
    return desk.generate(recording, *given, VISITOR, lambda *_, **__: None)[1]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("talk", "talk"),
        ("..", "talk"),
        ("../../etc/passwd", "etcpasswd"),
        ('a "quoted" $(name); rm', "a quoted (name) rm"),
        ("ein  Gespräch 漢字 (2)", "ein Gespräch 漢字 (2)"),
        ("<script>alert(1)</script>", "scriptalert(1)script"),
        ("a\nb\x00c\u202egnp", "abcgnp"),
        ("", "talk"),
        ("x" * 500, "x" * 60),
    ],
)
def test_any_name_becomes_one_of_a_file(name, kept):
    assert desks.safe_name(name) == kept


def test_everything_that_can_be_written_is_offered():
    offered = [kind for _, kind in desks.kinds()]
    assert {kind.split()[0] for kind in offered} == set(WRITERS)
    assert ".bvh mixamo" in offered
    assert len(dict(desks.kinds())) == len(offered)  # no two read the same


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"upper": "x" * 301}, "a prompt has 1 to 300 characters"),
        ({"timeline": [1, 2]}, "must be a list of prompts"),
        ({"timeline": [{"part": "tail", "text": "wags"}]}, "unknown part `tail`"),
        ({"timeline": [{"text": "waves", "start": "soon"}]}, "`start` must be a number"),
        (
            {"timeline": [{"text": "<i>waves", "start": 3, "end": 2}]},
            "Prompt &#x27;&lt;i&gt;waves&#x27;: it cannot last",
        ),
        ({"timeline": [{"text": "waves"}] * 51}, "There are 51 words with times; at most 50"),
        ({"timeline": "/etc/passwd"}, "must be a list of prompts"),
        ({"timeline": [{"text": "waves", "onclick": "x"}]}, "unknown field `onclick`"),
        ({"transcript": "x" * 30_000}, "The transcript has more than 20000 characters"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line_of_text(desk, recording, given, said):
    shown = order(desk, recording, **given)
    assert said in shown
    assert shown.count("<") == 2  # of the line itself
    assert "problem" in shown


def test_a_recording_that_cannot_be_used_is_said_without_folders(desk, recording, tmp_path):
    assert "Record or upload speech first" in order(desk, None)
    path = desk.visits.uploads / "hash" / "noise.wav"
    path.write_bytes(b"-" * 1000)
    cleared, shown = desk.hear(str(path), VISITOR)
    assert cleared is None
    assert ">noise.wav: not a recording that can be decoded." in shown
    assert str(tmp_path) not in shown
    long = path.with_name("long.flac")
    soundfile.write(long, np.zeros(2 * 3600 * 8000, np.int16), 8000)  # two hours in few bytes
    assert "long.flac: lasts longer than 5 s, the limit here." in desk.hear(str(long), VISITOR)[1]
    path.write_bytes(b"-" * 300_000)
    assert "noise.wav is larger than 0.2 MB" in order(desk, str(path))
    path.unlink()
    assert "noise.wav has been deleted here meanwhile" in order(desk, str(path))
    shown = desk.hear(recording, VISITOR)[1]
    assert "0.5 s of speech." in shown
    assert "The recording is silent" in shown


def test_a_character_that_is_none(desk):
    path = desk.visits.uploads / "hash" / "<i>me.glb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"glTF")
    cleared, _, shown = desk.bring_character(str(path), VISITOR)
    assert cleared is None
    assert "&lt;i&gt;me.glb: " in shown
    assert "problem" in shown


def test_nothing_is_written_for_who_has_nothing(desk):
    assert "There is nothing to download any more" in desk.write(".glb", 0, VISITOR, lambda *_, **__: None)
    assert "will play here" in desk.stage(True, VISITOR)[0]


@pytest.mark.parametrize("kind", [".exe", "own.glb", "own/../../../x.glb", "/../x.bvh mixamo", ""])
def test_only_files_of_known_kinds_are_written_and_only_for_their_visitor(desk, kind, tmp_path):
    visit = desk.visits.of(VISITOR.session_hash)
    number, folder = visit.new_folder()
    motion = Motion(np.zeros((2, 55, 3)), np.tile(REST_TRANSLATION, (2, 1)))
    visit.add(Result(number, "talk", "seed 0", motion, Speech(np.ones(10), 10), folder))
    before = list(tmp_path.rglob("*"))
    assert "problem" in desk.write(kind, 0, VISITOR, lambda *_, **__: None)
    assert list(tmp_path.rglob("*")) == before


def test_limits_and_addresses_that_make_no_sense_are_one_line(capsys):
    assert main(["demo", "--max-seconds", "0"]) == 2
    assert capsys.readouterr().err == "error: --max-seconds 0: must be above 0.\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["demo", "--port", port]) == 2
    assert capsys.readouterr().err.startswith(f"error: --host 127.0.0.1 --port {port}: cannot be used (")
    assert main(["demo", "--port", "99999"]) == 2
    assert "cannot be used" in capsys.readouterr().err
    assert main(["demo", "--models"]) == 2


def test_a_first_model_that_cannot_be_loaded_ends_it_with_one_line(tmp_path, monkeypatch, capsys):
    for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, "")  # and as it was, afterwards
    monkeypatch.setattr(server, "application", lambda *_: fastapi.FastAPI())
    with warnings.catch_warnings():  # keeps who hears them
        assert main(["demo", "--port", "0", "--models", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"error: Unknown model `{tmp_path / 'none'}`")


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cospeech\[demo\]'"):
        server.application(None, None, 1, 1, 1)
