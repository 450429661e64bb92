"""The suffix picks the format, and what cannot work fails before the slow part, in one line."""

import inspect
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from cospeech import Motion, load_motion, save, skeleton
from cospeech.body import mannequin
from cospeech.errors import DataError, FormatError
from cospeech.files import WRITERS, writer_for


@pytest.fixture
def motion(rng) -> Motion:
    poses = rng.normal(0, 0.2, (5, 55, 3))
    return Motion(poses, np.tile(skeleton.REST_TRANSLATION, (5, 1)), face=rng.random((5, 52)))


@pytest.mark.parametrize("suffix", [".npz", ".bvh", ".NPZ"])
def test_what_is_saved_is_loaded(suffix, motion, tmp_path):
    save(motion, str(tmp_path / f"talk{suffix}"), audio="left out")
    back = load_motion(tmp_path / f"talk{suffix}")
    np.testing.assert_allclose(back.poses, motion.poses, atol=2e-6)
    np.testing.assert_allclose(back.translation, motion.translation, atol=1e-6)
    assert back.fps == motion.fps


def test_glb_is_glb(motion, tmp_path):
    save(motion, tmp_path / "new" / "talk.glb")
    assert (tmp_path / "new" / "talk.glb").read_bytes()[:4] == b"glTF"


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_writer_takes_the_options_of_its_line(suffix):
    parameters = list(inspect.signature(import_module(WRITERS[suffix].module).write).parameters)
    assert parameters[:2] == ["motion", "path"]
    assert set(WRITERS[suffix].options) <= set(parameters[2:])


@pytest.mark.parametrize(("suffix", "layout"), [(name, each) for name in WRITERS for each in WRITERS[name].layouts])
def test_every_layout_of_its_line_is_written(suffix, layout, motion, tmp_path):
    save(motion, tmp_path / f"talk{suffix}", layout=layout)
    if layout == WRITERS[suffix].layouts[0]:
        save(motion, tmp_path / f"unsaid{suffix}")
        assert (tmp_path / f"unsaid{suffix}").read_bytes() == (tmp_path / f"talk{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["talk.xyz", "talk", "talk.", "out/", "talk.npz.gz"])
def test_an_unknown_suffix_names_the_known_ones(name, motion, tmp_path):
    for action in (lambda path: save(motion, path), writer_for, load_motion):
        with pytest.raises(FormatError, match=r"Known: \.npz, \.bvh"):
            action(str(tmp_path / name))
    assert os.listdir(tmp_path) == []


def test_an_unwritable_target_fails_before_the_slow_part(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npz").mkdir()
    for target in (tmp_path / "file" / "talk.npz", tmp_path / "folder.npz"):
        with pytest.raises(FormatError, match=r"Write elsewhere|a file to write"):
            writer_for(target)


def test_an_option_that_the_format_has_no_use_for_is_an_error(tmp_path):
    with pytest.raises(FormatError, match=r"no use for `camera`; \.mp4 has"):
        writer_for(tmp_path / "talk.bvh", camera="front")
    with pytest.raises(FormatError, match=r"no use for `body`; \.bvh, \.glb, .*, \.html, \.mp4 has"):
        writer_for(tmp_path / "talk.npz", body=mannequin("light"))
    with pytest.raises(FormatError, match=r"no layout 'maya'; a \.bvh file has smplx, mixamo, beat\."):
        writer_for(tmp_path / "talk.bvh", layout="maya")
    with pytest.raises(FormatError, match=r"no use for `layout`; \.npz, \.bvh, \.vrma has"):
        writer_for(tmp_path / "talk.glb", layout="beat")
    writer_for(tmp_path / "talk.npz", audio="talk.wav", progress=print, camera=None, embed_licensed_body=False)


@pytest.mark.parametrize("suffix", [".glb", ".html"])
def test_a_licensed_body_needs_consent_before_the_slow_part(suffix, tmp_path):
    body = replace(mannequin("light"), name="SMPLX_NEUTRAL_2020", embeds_licensed_mesh=True)
    with pytest.raises(FormatError, match="--embed-licensed-body"):
        writer_for(tmp_path / f"talk{suffix}", body=body)
    writer_for(tmp_path / f"talk{suffix}", body=body, embed_licensed_body=True)


def test_bad_input_is_one_line(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "text.bvh").write_text("hello")
    (tmp_path / "folder.npz").mkdir()
    for name in ("text.npz", "text.bvh", "missing.npz", "missing.bvh", "folder.npz"):
        with pytest.raises(DataError, match=name) as raised:
            load_motion(tmp_path / name)
        assert "\n" not in str(raised.value)


FULL_DISK = """
import resource, sys
import numpy as np
import cospeech
rng = np.random.default_rng(0)
motion = cospeech.Motion(rng.normal(size=(300, 55, 3)), np.zeros((300, 3)), face=rng.random((300, 52)))
cospeech.save(motion[:0.1], sys.argv[1])  # everything is imported
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    cospeech.save(motion, sys.argv[2])
except cospeech.CospeechError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.mark.parametrize("suffix", [".npz", ".bvh", ".glb", ".vrma", ".csv", ".json", ".usd", ".usda"])
def test_no_space_left_leaves_nothing(suffix, tmp_path):
    (tmp_path / "full").mkdir()
    target = tmp_path / "full" / f"talk{suffix}"
    run = subprocess.run(
        [sys.executable, "-B", "-c", FULL_DISK, str(tmp_path / f"small{suffix}"), str(target)],
        capture_output=True,
        text=True,
    )
    assert run.stderr.startswith(f"FormatError: {target}: ")
    assert "File too large. " in run.stderr
    assert run.stderr.count("\n") == 1
    assert os.listdir(tmp_path / "full") == []


@pytest.mark.parametrize(
    "before", ["", "import cospeech.files", "from cospeech.files import writer_for", "cospeech.load_motion"]
)
def test_the_public_save_is_not_hidden_by_its_module(before, tmp_path):
    code = f"""
import cospeech
{before}
for _ in range(2):
    try:
        cospeech.save(None, "talk.xyz")
    except cospeech.CospeechError:
        print("called")
"""
    run = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("called\ncalled\n", "")
