"""--skeleton on the command line: one command from speech to a character, and one line for what cannot be."""

from pathlib import Path

import characters
import numpy as np
import pytest
import soundfile
import test_character
from characters import BAKED, Played
from test_character import in_order, vrm

from cospeech import cli


@pytest.fixture(scope="module")
def avatar(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("avatar") / "avatar.vrm"
    names = in_order(test_character.NAMELESS)
    return characters.glb(path, names, extensions=vrm(1), targets=("jawOpen", "eyeBlinkLeft"))


@pytest.fixture
def refused(capsys, tmp_path):
    def run(*arguments: object, match: str) -> None:
        assert cli.main([str(argument) for argument in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        assert match in captured.err

    return run


def test_one_command_from_speech_to_a_character_that_talks(avatar, speech_wav, tmp_path, capsys):
    out = tmp_path / "talk.vrm"
    assert cli.main(["generate", str(speech_wav), str(out), "--skeleton", str(avatar)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        f"character {avatar}: a VRM, which says which bone is which; face: 2 of the 52 ARKit shapes; by Ann, licence "
        "https://vrm.dev/licenses/1.0/",
        f"wrote {out}",
    ]
    played = Played(out)
    assert len(played.times) == 90
    assert played.document["asset"]["extras"]["cospeech"]["model"] == "starter"
    weights = next(track for (_, path), track in played.tracks.items() if path == "weights").reshape(90, 2)
    assert np.ptp(weights[:, 0]) > 0.1


def test_a_batch_gets_the_suffix_of_the_character(speech, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / "in" / f"{name}.wav", speech.samples, speech.rate)
    rig = BAKED / "mixamo.glb"
    assert cli.main(["generate", str(tmp_path / "in"), str(tmp_path / "out"), "--skeleton", str(rig)]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.glb", "b.glb"]


def test_what_cannot_be_is_one_line_before_the_slow_part(refused, speech_wav, avatar, tmp_path):
    generate = ("generate", speech_wav)
    refused(*generate, tmp_path / "a.glb", "--skeleton", tmp_path / "no.glb", match="no.glb: no such file.")
    refused(*generate, tmp_path / "a.glb", "--skeleton", tmp_path / "no.fbx", match="no.fbx: no such file.")
    refused(*generate, tmp_path / "a.mp4", "--skeleton", avatar, match="can be written as .vrm, .glb, .bvh")
    refused(*generate, avatar, "--skeleton", avatar, match="is the character itself")
    refused(*generate, tmp_path / "a.vrm", match="is a character: say which one with `skeleton` (--skeleton)")
    refused(*generate, tmp_path / "a.glb", "--skeleton", speech_wav, match="is not read as a character")
    arms = {name: theirs for name, theirs in test_character.MIXAMO.items() if "left_" not in name}
    bare = characters.glb(tmp_path / "bare.glb", in_order(arms))
    refused(*generate, tmp_path / "a.glb", "--skeleton", bare, match="without left arm, left leg")
    refused(*generate, tmp_path / "a.glb", "--skeleton", avatar, "--camera", "face", match="no use for `camera`")
