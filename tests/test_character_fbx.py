"""Characters in .fbx: a real Blender where there is one, read back by three.js; and what is said where there is none."""

import characters
import numpy as np
import pytest
import test_character
from characters import A_POSE, Played

from cospeech import character, files, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.errors import DataError, FormatError
from cospeech.formats import fbx

NAMES = test_character.in_order(test_character.MIXAMO)
gesture = test_character.gesture


@pytest.fixture
def own(blender, monkeypatch, tmp_path):
    """A character in centimetres under a scaled node, as .fbx."""
    monkeypatch.setenv("BLENDER", blender)
    options = {"unit": 100, "holder": {"scale": [0.01] * 3}, "targets": ("jawOpen", "eyeBlinkLeft")}
    source = characters.glb(tmp_path / "own.glb", NAMES, A_POSE, axes="own", **options)
    fbx.from_glb(source.read_bytes(), tmp_path / "own.fbx", 30, 0, {})
    return tmp_path / "own.fbx"


def test_with_our_proportions_every_joint_is_where_ours_is(own, read_with_three, gesture, tmp_path):
    read = character.load(own)
    assert read.notes == ("a skeleton like that of Mixamo or MotionBuilder", "face: 2 of the 52 ARKit shapes")
    assert read.suffixes == (".fbx", ".glb", ".bvh")
    truth = joint_transforms(mannequin(), gesture.poses.astype(float), gesture.translation.astype(float)).positions

    read.write(gesture, tmp_path / "talk.fbx")
    found = read_with_three(tmp_path / "talk.fbx", [frame / 30 for frame in (0, 31, 59)])
    assert found["keys"] == len(gesture)
    assert found["weights"][1]["jawOpen"] == pytest.approx(gesture.face[31, skeleton.JAW_OPEN], abs=1e-3)
    for pose, frame in zip(found["poses"], (0, 31, 59), strict=True):
        at = [pose[theirs.replace(":", "")][0] for theirs in NAMES.values()]  # as three.js cleans names
        np.testing.assert_allclose(at, truth[frame][[skeleton.INDEX[name] for name in NAMES]], atol=2e-4)
    assert b"starter" in (tmp_path / "talk.fbx").read_bytes()

    files.save(gesture, tmp_path / "talk.glb", skeleton=read)
    at = Played(tmp_path / "talk.glb").worlds()[NAMES["left_wrist"]][:, :3, 3]
    np.testing.assert_allclose(at, truth[:, skeleton.INDEX["left_wrist"]], atol=2e-4)
    files.save(gesture, tmp_path / "talk.bvh", skeleton=read)
    assert "mixamorig:Hips" in (tmp_path / "talk.bvh").read_text()


def test_what_blender_cannot_read_is_one_line(blender, monkeypatch, tmp_path):
    monkeypatch.setenv("BLENDER", blender)
    (tmp_path / "own.fbx").write_bytes(b"Kaydara FBX Binary  \0" * 9)
    with pytest.raises(DataError, match=r"own\.fbx: .* could not read it: .*Error") as raised:
        character.load(tmp_path / "own.fbx")
    assert "\n" not in str(raised.value)


def test_without_blender_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BLENDER", raising=False)
    monkeypatch.setattr(fbx, "_PLACES", ())
    with pytest.raises(DataError, match=r"own\.fbx: no such file\."):
        character.load(tmp_path / "own.fbx")
    (tmp_path / "own.fbx").touch()
    with pytest.raises(FormatError, match=r"none was found\. Install it .* or take \.glb"):
        character.load(tmp_path / "own.fbx")
