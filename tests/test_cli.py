"""The command line as users meet it: what it writes, and one clear line for everything that cannot work."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny

from cospeech import Motion, __version__, checkpoint, cli, load_motion, save
from cospeech.formats.npz import read as read_npz

RATE = 16_000


def cospeech(*arguments: object, **options) -> subprocess.CompletedProcess:
    """Run the program as a process of its own."""
    command = [sys.executable, "-m", "cospeech", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command that must fail: exit code 2, one line that matches, and no file made or changed."""

    def run(*arguments: object, match: str) -> None:
        before = _snapshot(tmp_path)
        assert cli.main([str(argument) for argument in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1, captured.err
        assert match in captured.err
        assert "wrote" not in captured.out
        assert _snapshot(tmp_path) == before

    return run


def _snapshot(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# Good input


@pytest.fixture(scope="module")
def talk_npz(speech_wav, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "talk.npz"
    assert cli.main(["generate", str(speech_wav), str(path)]) == 0
    return path


def test_generate_writes_a_motion_as_long_as_the_recording(speech_wav, tmp_path):
    run = cospeech("generate", speech_wav, tmp_path / "new" / "talk.npz", "--seed", "7")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        f"wrote {tmp_path / 'new' / 'talk.npz'}",
        "length 3.00 s, 90 frames at 30 fps",
        "model starter, licence CC BY-NC 4.0",
    ]
    assert run.stderr == ""
    motion = load_motion(tmp_path / "new" / "talk.npz")
    assert len(motion) == 90
    assert {"model": "starter", "licence": "CC BY-NC 4.0", "seed": "7"}.items() <= motion.metadata.items()
    assert motion.metadata["version"]


@pytest.mark.parametrize(("suffix", "start"), [(".bvh", b"HIERARCHY"), (".glb", b"glTF"), (".html", b"<!")])
def test_generate_and_convert_write_the_format_of_the_suffix(suffix, start, speech_wav, talk_npz, tmp_path):
    assert cli.main(["generate", str(speech_wav), str(tmp_path / f"generated{suffix}")]) == 0
    assert cli.main(["convert", str(talk_npz), str(tmp_path / f"converted{suffix}"), "--audio", str(speech_wav)]) == 0
    for name in ("generated", "converted"):
        assert (tmp_path / f"{name}{suffix}").read_bytes().lower().startswith(start.lower())
    assert sorted(os.listdir(tmp_path)) == [f"converted{suffix}", f"generated{suffix}"]


def test_generate_writes_the_frame_rate_that_is_asked_for(speech_wav, talk_npz, tmp_path, capsys):
    assert cli.main(["generate", str(speech_wav), str(tmp_path / "t.npz"), "--fps", "24"]) == 0
    assert "length 3.00 s, 72 frames at 24 fps" in capsys.readouterr().out
    slow, usual = load_motion(tmp_path / "t.npz"), load_motion(talk_npz)
    assert (len(slow), slow.fps) == (72, 24)
    np.testing.assert_allclose(slow.translation[::4], usual.translation[::5], atol=1e-6)  # the same instants


@pytest.mark.parametrize(
    ("name", "layout", "sign"),
    [
        ("t.bvh", "mixamo", b"ROOT mixamorig:Hips"),
        ("t.npz", "amass", b"root_orient"),
        ("t.vrma", "perfect-sync", b'"custom":{"eyeBlinkLeft"'),
    ],
)
def test_layouts(name, layout, sign, speech_wav, talk_npz, tmp_path):
    for i, (command, source) in enumerate((("generate", speech_wav), ("convert", talk_npz))):
        target = tmp_path / str(i) / name
        assert cli.main([command, str(source), str(target), "--layout", layout]) == 0
        assert sign in target.read_bytes()


def test_a_face_of_the_jaw_alone_is_said(talk_npz, tmp_path, capsys):
    motion = load_motion(talk_npz)
    save(replace(motion, face=None), tmp_path / "jaw.npz")
    with warnings.catch_warnings():  # the command line prints them, once for each place
        warnings.simplefilter("always")
        assert cli.main(["convert", str(tmp_path / "jaw.npz"), str(tmp_path / "t.csv")]) == 0
    assert "t.csv: the motion has no ARKit weights: jawOpen is written" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_motion_and_another_seed_another_motion(speech_wav, talk_npz, tmp_path):
    for name, seed in (("again", 0), ("other", 1)):
        assert cli.main(["generate", str(speech_wav), str(tmp_path / f"{name}.npz"), "--seed", str(seed)]) == 0
    np.testing.assert_array_equal(read_npz(tmp_path / "again.npz").poses, read_npz(talk_npz).poses)
    assert np.abs(read_npz(tmp_path / "other.npz").poses - read_npz(talk_npz).poses).max() > 0.01


def test_50_ms_of_audio_give_two_frames(speech, tmp_path, capsys):
    soundfile.write(tmp_path / "short.wav", speech.samples[: RATE // 20], RATE)
    assert cli.main(["generate", str(tmp_path / "short.wav"), str(tmp_path / "short.npz")]) == 0
    assert "length 0.07 s, 2 frames at 30 fps" in capsys.readouterr().out
    assert len(load_motion(tmp_path / "short.npz")) == 2


def test_convert_resamples_and_mirrors(talk_npz, tmp_path):
    assert cli.main(["convert", str(talk_npz), str(tmp_path / "m.npz"), "--fps", "60", "--mirror"]) == 0
    talk, mirrored = load_motion(talk_npz), load_motion(tmp_path / "m.npz")
    assert (len(mirrored), mirrored.fps) == (180, 60)
    np.testing.assert_allclose(mirrored.poses[::2], talk.mirror().poses, atol=1e-5)


@pytest.mark.parametrize("camera", ["body", "face", "face+body"])
def test_convert_films_the_motion(camera, talk_npz, tmp_path):
    save(load_motion(talk_npz)[0:0.2], tmp_path / "short.npz")
    target = tmp_path / "short.mp4"
    assert cli.main(["convert", str(tmp_path / "short.npz"), str(target), "--camera", camera]) == 0
    assert target.read_bytes()[4:8] == b"ftyp"


def test_view_opens_a_page_that_holds_everything(talk_npz, speech_wav, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert cli.main(["view", str(talk_npz), "--audio", str(speech_wav)]) == 0
    page = Path(opened[0].removeprefix("file://"))
    assert page.name == "talk.html"
    text = page.read_text(encoding="utf-8")
    assert re.search('<script id="sound"[^>]*>[A-Za-z0-9+/]{1000}', text)
    assert not re.search("(src|href)=.https?:", text)
    shutil.rmtree(page.parent)


def test_view_sets_motions_of_one_name_beside_each_other(talk_npz, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    again = shutil.copy(talk_npz, tmp_path / "talk.npz")
    assert cli.main(["view", str(talk_npz), str(again)]) == 0
    page = Path(opened[0].removeprefix("file://"))
    metadata = json.loads(re.search('id="metadata"[^>]*>(.*?)</script>', page.read_text(encoding="utf-8")).group(1))
    assert [motion["title"] for motion in metadata["motions"]] == [f"1: {talk_npz}", f"2: {again}"]
    shutil.rmtree(page.parent)


def test_view_of_nothing_or_of_words_without_sound(refused, talk_npz, tmp_path):
    refused("view", match="name a motion")
    refused("view", talk_npz, "--words", tmp_path / "a.TextGrid", match="--audio")
    refused("view", talk_npz, tmp_path / "gone.npz", match="gone.npz")


def test_models_lists_the_starter_with_its_licence(capsys):
    assert cli.main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "starter" in listed
    assert "CC BY-NC 4.0" in listed


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_explains_every_argument(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert cli.COMMANDS[command].__doc__.splitlines()[0] in text


def test_wrong_usage_is_exit_code_2(capsys):
    for arguments in ([], ["nonsense"], ["generate"], ["generate", "a.wav", "b.npz", "--no-such-option"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 2


# A folder or a list of recordings


def test_a_folder_and_a_list_give_one_file_for_each_recording(speech, tmp_path, capsys):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for name, seconds in (("b.wav", 0.5), ("a.flac", 0.2)):
        soundfile.write(recordings / name, speech.samples[: round(seconds * RATE)], RATE)
    (recordings / "notes.md").write_text("not a recording")
    (recordings / "list.csv").write_text("b.wav,someone\n")

    assert cli.main(["generate", str(recordings), str(tmp_path / "all")]) == 0
    assert sorted(os.listdir(tmp_path / "all")) == ["a.npz", "b.npz"]
    assert len(load_motion(tmp_path / "all" / "b.npz")) == 15
    assert len(load_motion(tmp_path / "all" / "a.npz")) == 6
    capsys.readouterr()

    (tmp_path / "all" / "a.npz").unlink()  # as if it had been interrupted before
    before = (tmp_path / "all" / "b.npz").stat().st_mtime_ns
    for there in ("1 of 2 are there already", "2 of 2 are there already"):
        assert cli.main(["generate", str(recordings), str(tmp_path / "all"), "--resume"]) == 0
        assert there in capsys.readouterr().out
    assert len(load_motion(tmp_path / "all" / "a.npz")) == 6
    assert (tmp_path / "all" / "b.npz").stat().st_mtime_ns == before

    listed = [str(recordings / "list.csv"), str(tmp_path / "listed"), "--format", ".bvh"]
    assert cli.main(["generate", *listed]) == 0
    assert os.listdir(tmp_path / "listed") == ["b.bvh"]


def test_a_bad_recording_does_not_stop_the_others(speech_wav, tmp_path, capsys):
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "a.wav").write_text("no sound")
    (folder / "b.wav").write_bytes(speech_wav.read_bytes())
    assert cli.main(["generate", str(folder), str(tmp_path / "out")]) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.npz"]
    error = capsys.readouterr().err
    assert "a.wav" in error.splitlines()[0]
    assert error.splitlines()[-1] == "error: 1 of 2 recordings failed; what could be written is."


def test_a_recording_of_a_batch_gets_the_motion_it_would_get_alone(speech, speech_wav, talk_npz, tmp_path):
    soundfile.write(tmp_path / "other.wav", speech.samples[: RATE // 2], RATE)
    (tmp_path / "list.txt").write_text(f"other.wav\n{speech_wav}\n")
    assert cli.main(["generate", str(tmp_path / "list.txt"), str(tmp_path / "all")]) == 0
    made = load_motion(tmp_path / "all" / "talk.npz").poses
    np.testing.assert_allclose(made, load_motion(talk_npz).poses, atol=1e-5)


def test_a_recording_that_cannot_be_made_does_not_stop_the_others_of_its_batch(speech, speech_wav, tmp_path, capsys):
    """The prompt begins when it is over."""
    for name, samples in (("a.wav", speech.samples), ("b.wav", speech.samples[: RATE // 2]), ("c.wav", speech.samples)):
        soundfile.write(tmp_path / name, samples, RATE)
    timeline = '[{"part": "lower", "text": "walks forward", "start": 1}]'
    assert cli.main(["generate", str(tmp_path), str(tmp_path / "out"), "--timeline", timeline]) == 2
    assert sorted(os.listdir(tmp_path / "out")) == ["a.npz", "c.npz"]
    said = capsys.readouterr().err
    assert said.count("begins at 1 s, the speech lasts 0.50 s") == 1
    assert "1 of 3 recordings failed" in said


# Bad recordings


def _damaged(name: str, folder: Path) -> Path:
    path = folder / name
    good = np.linspace(-0.5, 0.5, RATE, dtype=np.float32)
    if name == "empty.wav":
        path.write_bytes(b"")
    elif name == "text.wav":
        path.write_text("This is no sound.\n" * 50)
    elif name == "noise.mp3":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif name == "header_only.wav":
        soundfile.write(path, good, RATE)
        path.write_bytes(path.read_bytes()[:44])
    elif name == "no_samples.wav":
        soundfile.write(path, good[:0], RATE)
    elif name == "nan.wav":
        good[77] = np.nan
        soundfile.write(path, good, RATE, subtype="FLOAT")
    elif name == "folder.wav":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.wav", "no such file"),
        ("empty.wav", "empty"),
        ("text.wav", "not a recording"),
        ("noise.mp3", "decoded"),
        ("header_only.wav", "decoded"),
        ("no_samples.wav", "decoded"),
        ("nan.wav", "NaN"),
        ("folder.wav", "no recordings in this folder"),
    ],
)
def test_a_recording_that_cannot_be_used_is_one_line(name, says, refused, tmp_path):
    path = _damaged(name, tmp_path)
    refused("generate", path, tmp_path / "talk.npz", match=says)
    refused("generate", path, tmp_path / "talk.npz", match=str(path))


def test_a_truncated_recording_is_used_as_far_as_it_goes_with_one_warning(speech_wav, tmp_path):
    whole = speech_wav.read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: 44 + (len(whole) - 44) // 2])
    run = cospeech("generate", tmp_path / "cut.wav", tmp_path / "cut.npz")
    assert run.returncode == 0
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith(f"warning: {tmp_path / 'cut.wav'}: ")
    assert "1.50 s" in run.stderr
    assert "3.00 s" in run.stderr
    assert len(load_motion(tmp_path / "cut.npz")) == 45


def test_a_list_that_cannot_be_used_is_one_line(refused, speech_wav, tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    (tmp_path / "wrong.csv").write_text(f"{speech_wav}\nnowhere.wav\n")
    (tmp_path / "good.txt").write_text(f"{speech_wav}\n")
    refused("generate", tmp_path / "missing.txt", tmp_path / "all", match="missing.txt")
    refused("generate", tmp_path / "empty.txt", tmp_path / "all", match="lists no recordings")
    refused("generate", tmp_path / "wrong.csv", tmp_path / "all", match="nowhere.wav")
    refused("generate", tmp_path / "good.txt", tmp_path / "talk.npz", match="must be a folder")
    refused("generate", tmp_path / "good.txt", tmp_path / "all", "--format", ".xyz", match="Known: .npz")
    refused("generate", tmp_path / "good.txt", tmp_path / "good.txt", match="folder")


# Bad targets


def test_a_target_that_cannot_be_written_is_one_line_before_the_slow_part(refused, speech_wav, talk_npz, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.npz").mkdir()
    for command, source in (("generate", speech_wav), ("convert", talk_npz)):
        refused(command, source, tmp_path / "talk.xyz", match="Known: .npz")
        refused(command, source, tmp_path / "talk", match="no suffix")
        refused(command, source, tmp_path / "folder.npz", match="is a folder")
        refused(command, source, tmp_path / "file" / "talk.npz", match="is a file, not a folder")
    refused("generate", tmp_path / "missing.wav", tmp_path / "talk.xyz", match="talk.xyz")  # looks there first


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a limit on file sizes stands in for a full disk: POSIX only")
@pytest.mark.parametrize("existing", [None, b"yesterday's motion"])
def test_no_space_left_leaves_what_was_there(existing, speech_wav, tmp_path):
    import resource

    target = tmp_path / "talk.npz"
    if existing:
        target.write_bytes(existing)
    run = cospeech(
        *("generate", speech_wav, target),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.returncode == 2
    assert run.stderr == (
        f"error: {target}: cannot be written: File too large. "
        "Raise the limit on file sizes (ulimit -f) or write elsewhere.\n"
    )
    assert _snapshot(tmp_path) == ({target: existing} if existing else {})


# Bad models and prompts


def test_a_model_that_cannot_be_used_is_one_line(refused, speech_wav, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for model, says in (
        ("startr", "Unknown model `startr`. Known: starter"),
        (tmp_path / "file", "a checkpoint is a directory"),
        (tmp_path / "folder", "config.json"),
    ):
        refused("generate", speech_wav, tmp_path / "talk.npz", "--model", model, match=says)


@pytest.mark.parametrize("how", ["flipped bit", "cut", "missing"])
@pytest.mark.parametrize("name", ["model.safetensors", "statistics.safetensors", "config.json"])
def test_a_damaged_checkpoint_names_the_file(name, how, refused, speech_wav, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(str(files("cospeech") / "starter"), model)
    content = bytearray((model / name).read_bytes())
    if how == "flipped bit":
        content[len(content) // 2] ^= 1
        (model / name).write_bytes(content)
    elif how == "cut":
        (model / name).write_bytes(content[: len(content) // 2])
    else:
        (model / name).unlink()
    says = name if how == "missing" else str(model / name)
    refused("generate", speech_wav, tmp_path / "talk.npz", "--model", model, match=says)


@pytest.mark.parametrize("name", ["model.safetensors", "statistics.safetensors", "config.json"])
def test_a_checkpoint_damaged_before_its_sums_were_made_still_names_the_file(name, refused, speech_wav, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(str(files("cospeech") / "starter"), model)
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: len(content) // 2])
    sums = [line.split(maxsplit=1)[1] for line in (model / "SHA256SUMS").read_text().splitlines()]
    (model / "SHA256SUMS").write_text(
        "".join(f"{hashlib.sha256((model / each).read_bytes()).hexdigest()}  {each}\n" for each in sums)
    )
    refused("generate", speech_wav, tmp_path / "talk.npz", "--model", model, match=str(model / name))


@pytest.mark.parametrize("part", ["upper", "hands", "lower", "whole"])
def test_a_prompt_to_a_model_without_text_is_one_line(part, refused, speech_wav, tiny_model, tmp_path):
    options = ("--model", tiny_model, f"--{part}", "waves")
    refused("generate", speech_wav, tmp_path / "talk.npz", *options, match="cannot read text prompts")


@pytest.mark.parametrize("model", ["starter", "starter-open"])
def test_a_starter_does_what_it_is_told_as_it_is_installed(model, tmp_path):
    from cospeech.body import joint_positions, mannequin
    from cospeech.skeleton import INDEX

    talk = Path(__file__).parent.parent / "examples" / "jfk.flac"
    others = []
    for side, other in (("right", "left"), ("left", "right")):
        out = tmp_path / f"{side}.npz"
        options = ["--model", model, "--upper", f"raises the {side} hand"]
        assert cli.main(["generate", str(talk), str(out), *options]) == 0
        motion = load_motion(out)
        joints = joint_positions(mannequin("light"), motion.poses, motion.translation)
        above = {each: joints[:, INDEX[f"{each}_wrist"], 1] > joints[:, INDEX["spine3"], 1] for each in (side, other)}
        assert above[side].mean() > 0.6
        others.append(above[other].mean())
    assert np.mean(others) < 0.1  # of the prompted frames, as docs/starter.md measures it on many clips


@pytest.mark.filterwarnings("always::cospeech.errors.CospeechWarning")
def test_what_asks_for_no_motion_is_said_and_left(speech_wav, tmp_path, capsys):
    told, free = tmp_path / "told.npz", tmp_path / "free.npz"
    assert cli.main(["generate", str(speech_wav), str(told), "--upper", "the price of tea in winter"]) == 0
    assert "asks for no motion" in capsys.readouterr().err
    assert cli.main(["generate", str(speech_wav), str(free)]) == 0
    np.testing.assert_array_equal(load_motion(told).poses, load_motion(free).poses)


def test_a_device_that_is_not_there_is_one_line(refused, speech_wav, tmp_path):
    refused("generate", speech_wav, tmp_path / "talk.npz", "--device", "toaster", match="toaster")


@pytest.mark.parametrize("steps", ["0", "-3", "1000000"])
def test_an_impossible_number_of_steps_is_one_line(steps, refused, speech_wav, tmp_path):
    refused("generate", speech_wav, tmp_path / "talk.npz", "--steps", steps, match=steps)


# Bad motions


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.npz", None, "no such file"),
        ("empty.npz", b"", "empty"),
        ("text.npz", b"not a motion", "text.npz"),
        ("text.bvh", b"not a motion", "text.bvh"),
        ("talk.xyz", b"", "Known: .npz"),
    ],
)
def test_a_motion_that_cannot_be_read_is_one_line(name, content, says, refused, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused("convert", tmp_path / name, tmp_path / "out.glb", match=says)


def test_convert_refuses_what_makes_no_sense(refused, talk_npz, speech_wav, tmp_path):
    (tmp_path / "folder").mkdir()
    refused("convert", talk_npz, tmp_path / "t.html", "--audio", tmp_path / "folder", match="is a folder")
    refused("convert", talk_npz, tmp_path / "t.html", "--audio", tmp_path / "nowhere.wav", match="nowhere.wav")
    refused("convert", talk_npz, tmp_path / "t.npz", "--fps", "0", match="fps")
    refused("generate", speech_wav, tmp_path / "t.npz", "--fps", "2000", match="at most 1000")
    refused("convert", talk_npz, tmp_path / "t.bvh", "--layout", "maya", match="has smplx, mixamo, beat")
    refused("generate", speech_wav, tmp_path / "t.glb", "--layout", "mixamo", match="no use for `layout`")
    refused("convert", talk_npz, tmp_path / "t.bvh", "--camera", "face", match="camera")
    refused("convert", talk_npz, tmp_path / "t.glb", "--body", tmp_path / "nowhere.npz", match="nowhere.npz")


def test_words_that_cannot_be_read_are_one_line(refused, speech_wav, tmp_path):
    (tmp_path / "words.TextGrid").write_text("hello")
    for words in ("missing.TextGrid", "words.TextGrid"):
        refused("generate", speech_wav, tmp_path / "talk.npz", "--words", tmp_path / words, match=words)


def test_a_bug_shows_its_traceback(monkeypatch):
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(cli.COMMANDS, "models", broken)
    with contextlib.suppress(SystemExit), pytest.raises(ZeroDivisionError):
        cli.main(["models"])


# Faces for motion without one, and FLAME


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "model"
    checkpoint.save(tiny.checkpoint(), path)
    return path


@pytest.fixture
def faceless(tmp_path) -> Path:
    save(Motion(np.zeros((90, 55, 3)), np.zeros((90, 3))), tmp_path / "faceless.npz")
    return tmp_path / "faceless.npz"


def test_convert_gives_motion_without_a_face_that_of_a_model(tiny_model, faceless, speech_wav, tmp_path):
    options = ["--audio", str(speech_wav), "--face", str(tiny_model)]
    assert cli.main(["convert", str(faceless), str(tmp_path / "out.npz"), *options]) == 0
    made = load_motion(tmp_path / "out.npz")
    assert made.face.shape == (90, 52)
    assert np.ptp(made.face, axis=0).max() > 0
    assert not made.expressions.any()


def test_a_face_map_fills_the_expressions(tiny_model, speech_wav, tmp_path, rng):
    matrix = rng.normal(size=(52, 100)).astype(np.float32)
    np.savez(tmp_path / "map.npz", arkit_to_flame=matrix)
    options = ["--model", str(tiny_model), "--face-map", str(tmp_path / "map.npz")]
    assert cli.main(["generate", str(speech_wav), str(tmp_path / "out.npz"), *options]) == 0
    made = load_motion(tmp_path / "out.npz")
    np.testing.assert_allclose(made.expressions, made.face @ matrix, atol=1e-4)


def test_faces_that_cannot_be_had_are_one_line(refused, tiny_model, faceless, speech_wav, tmp_path):
    target, audio = tmp_path / "out.npz", ("--audio", speech_wav)
    (tmp_path / "text.npz").write_text("no map")
    np.savez(tmp_path / "other.npz", flame_to_arkit=np.zeros((100, 52)))
    refused("convert", faceless, target, "--face", tiny_model, match="--audio")
    refused("convert", faceless, target, "--face", "startr", *audio, match="Unknown model `startr`")
    save(Motion(np.zeros((300, 55, 3)), np.zeros((300, 3))), tmp_path / "long.npz")
    refused("convert", tmp_path / "long.npz", target, "--face", tiny_model, *audio, match="do not belong together")
    for command in (("generate", speech_wav, target, "--model", tiny_model), ("convert", faceless, target)):
        refused(*command, "--face-map", tmp_path / "missing.npz", match="missing.npz: no such file")
        refused(*command, "--face-map", tmp_path / "text.npz", match="cannot be read as a face map")
    generate = ("generate", speech_wav, target, "--model", tiny_model)
    refused(*generate, "--face-map", tmp_path / "other.npz", match="arkit_to_flame")
    refused(*generate, "--face", "startr", match="Unknown model `startr`")
    refused(*generate, "--face", tiny_model, match="has a face of its own")
    save(Motion(np.zeros((90, 55, 3)), np.zeros((90, 3)), face=np.zeros((90, 52))), tmp_path / "faced.npz")
    refused("convert", tmp_path / "faced.npz", target, "--face", tiny_model, *audio, match="has a face")
    refused("convert", faceless, tmp_path / "out.bvh", "--face", tiny_model, *audio, match="keeps no face")
    amass = ("--face", tiny_model, *audio, "--layout", "amass")
    refused("convert", faceless, tmp_path / "out.npz", *amass, match="layout amass keeps no face; beat2 does")
    np.savez(tmp_path / "right.npz", arkit_to_flame=np.zeros((52, 100)))
    for name in ("out.glb", "out.bvh", "out.npy"):
        generate = ("generate", speech_wav, tmp_path / name, "--model", tiny_model)
        refused(*generate, "--face-map", tmp_path / "right.npz", match="keeps no expressions; .npz does")


# Measures


def test_measures_that_cannot_be_made_or_written_are_one_line(refused, tiny_model, tmp_path):
    bench = ("bench", tiny_model, "--quality")
    refused(*bench, "--out", tmp_path / "table.csv", match=".json or .md")
    refused(*bench, "--out", tmp_path, match=".json or .md")
    refused(*bench, "--data", tmp_path / "nowhere", match="nowhere")
    refused("bench", "startr", "--quality", match="Unknown model `startr`")


@pytest.mark.parametrize("buffering", [(), ("-u",)])
def test_who_stops_reading_is_no_error(buffering):
    behind, pipe = os.pipe()
    os.close(behind)
    try:
        run = subprocess.run(
            [sys.executable, *buffering, "-m", "cospeech", "models"], stdout=pipe, stderr=subprocess.PIPE
        )
    finally:
        os.close(pipe)
    assert (run.returncode, run.stderr) == (1, b"")


def test_it_says_its_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"cospeech {__version__}\n"


def test_options_that_would_do_nothing_are_refused(refused, speech_wav, tmp_path):
    refused("generate", speech_wav, tmp_path / "x.npz", "--format", ".bvh", match="--format is for a folder or list")
    refused("generate", speech_wav, tmp_path / "x.npz", "--quirks", "none", match="the model starter has none")
