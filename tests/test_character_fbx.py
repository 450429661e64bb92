"""Characters in .fbx: a real Blender where there is one, read by three.js; and what is said where there is none."""

import subprocess

import characters
import numpy as np
import pytest
import test_character
from characters import A_POSE, Played
from PIL import Image

from cospeech import character, files, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.errors import DataError, FormatError
from cospeech.formats import fbx
from cospeech.formats.gltf import unpack

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


WITH_TEXTURES = """
import sys, bpy
source, target, *pictures = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
for addon in ("io_scene_gltf2", "io_scene_fbx"):
    bpy.ops.preferences.addon_enable(module=addon)
bpy.ops.import_scene.gltf(filepath=source)
mesh = next(thing.data for thing in bpy.data.objects if thing.name.startswith("Body"))
mesh.uv_layers.new()
for picture in pictures:
    material = bpy.data.materials.new(picture)
    material.use_nodes = True
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(picture)
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    mesh.materials.append(material)
for number, face in enumerate(mesh.polygons):
    face.material_index = 1 + number % len(pictures)
bpy.ops.export_scene.fbx(filepath=target, path_mode="ABSOLUTE")
"""


def test_only_pictures_beside_the_character_go_along(blender, monkeypatch, tmp_path):
    monkeypatch.setenv("BLENDER", blender)
    for folder in ("own", "private"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (2, 2), "red").save(tmp_path / folder / f"{folder}.png")
    pictures = [tmp_path / folder / f"{folder}.png" for folder in ("own", "private")]
    source = characters.glb(tmp_path / "own.glb", NAMES)
    (tmp_path / "make.py").write_text(WITH_TEXTURES)
    files_of_it = [tmp_path / "make.py", "--", source, tmp_path / "own" / "own.fbx", *pictures]
    subprocess.run([*fbx._command(blender), *files_of_it], check=True, capture_output=True)
    document, _ = unpack(fbx.to_glb(tmp_path / "own" / "own.fbx"))
    assert [image["name"] for image in document["images"]] == ["own"]


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
