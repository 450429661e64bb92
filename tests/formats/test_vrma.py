"""VRM animations pass the Khronos validator, and move an avatar as the body moves, by three-vrm's reading of them."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from readers import talking

from cospeech import rotation, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.errors import CospeechWarning, FormatError
from cospeech.formats import gltf, vrma
from cospeech.motion import Motion
from cospeech.rigs import VRM

BONES = {VRM[name]: j for j, name in enumerate(skeleton.JOINTS) if name in VRM}
FRAMES = (0, 17, 39)


@pytest.fixture
def motion(rng) -> Motion:
    return talking(rng, 40)


def document(path: Path) -> dict:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + length])


def extension(path: Path) -> dict:
    return document(path)["extensions"]["VRMC_vrm_animation"]


def at_rest(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Where the nodes are in the world before anything moves, and how they are turned."""
    nodes, world = document(path)["nodes"], {}

    def visit(number: int, position, turned) -> None:
        node = nodes[number]
        position = position + turned @ node.get("translation", np.zeros(3))
        x, y, z, w = node.get("rotation", (0, 0, 0, 1))
        turned = turned @ rotation.quaternion_to_matrix(np.array([w, x, y, z]))
        world[node["name"]] = position, turned
        for child in node.get("children", ()):
            visit(child, position, turned)

    for number in document(path)["scenes"][0]["nodes"]:
        visit(number, np.zeros(3), np.eye(3))
    return world


@pytest.fixture
def avatar(motion, tmp_path) -> Path:
    """A VRM model as an exporter makes it: standing in the T pose of the specification, no node turned."""
    vrma.write(motion, tmp_path / "rest.vrma")
    at = {name: position for name, (position, _) in at_rest(tmp_path / "rest.vrma").items()}
    parents = {bone: VRM[skeleton.JOINTS[skeleton.PARENTS[j]]] if j else None for bone, j in BONES.items()}
    names = list(BONES)
    nodes = []
    for name in names:
        children = [names.index(child) for child, parent in parents.items() if parent == name]
        offset = at[name] - (at[parents[name]] if parents[name] else 0)
        node = {"name": f"J_{name}", "translation": offset.tolist()}
        nodes.append({**node, **({"children": children} if children else {})})
    model = {
        "specVersion": "1.0",
        "meta": {"name": "stick", "authors": ["test"], "licenseUrl": "https://vrm.dev/licenses/1.0/"},
        "humanoid": {"humanBones": {name: {"node": n} for n, name in enumerate(names)}},
        "lookAt": {
            "type": "expression",
            "offsetFromHeadBone": [0, 0.06, 0],
            **{
                f"rangeMap{way}": {"inputMaxValue": 90, "outputScale": 1}
                for way in ("HorizontalInner", "HorizontalOuter", "VerticalDown", "VerticalUp")
            },
        },
        "expressions": {
            "preset": {name: {} for name in ("aa", "ih", "ou", "ee", "oh", "blinkLeft", "blinkRight", "happy")},
            "custom": {name: {} for name in skeleton.ARKIT},
        },
    }
    described = {
        "extensionsUsed": ["VRMC_vrm"],
        "extensions": {"VRMC_vrm": model},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
    }
    buffer = gltf.Buffer()
    buffer.view(np.zeros(1, "f4"))
    (tmp_path / "avatar.vrm").write_bytes(gltf.pack(described, buffer, {}))
    return tmp_path / "avatar.vrm"


def test_the_skeleton_moves_as_the_body(read_with_three, assert_joints_agree, motion, tmp_path):
    vrma.write(motion, tmp_path / "talk.vrma")
    found = read_with_three(tmp_path / "talk.vrma", [frame / 30 for frame in FRAMES])
    assert found["keys"] == 40
    assert found["duration"] == pytest.approx(39 / 30)
    expected = joint_transforms(mannequin(), motion.poses.astype(float), motion.translation.astype(float))
    joints = [*BONES.values()]
    for pose, frame in zip(found["poses"], FRAMES, strict=True):
        positions, quaternions = (np.array(each) for each in zip(*(pose[bone] for bone in BONES), strict=True))
        at_frame = type(expected)(expected.rotations[frame, joints], expected.positions[frame, joints])
        assert_joints_agree(positions, rotation.quaternion_to_matrix(quaternions[:, [3, 0, 1, 2]]), at_frame)


def test_an_avatar_moves_as_the_body(read_with_three, motion, avatar, tmp_path):
    """Thumbs, spread fingers and all: its joints come where those of the body are, though it rests otherwise."""
    vrma.write(motion, tmp_path / "talk.vrma")
    found = read_with_three(tmp_path / "talk.vrma", [frame / 30 for frame in FRAMES], avatar)
    expected = joint_transforms(mannequin(), motion.poses.astype(float), motion.translation.astype(float))
    for pose, frame in zip(found["poses"], FRAMES, strict=True):
        for bone, j in BONES.items():
            np.testing.assert_allclose(pose[f"J_{bone}"][0], expected.positions[frame, j], atol=1e-4, err_msg=bone)


def test_the_avatar_speaks_blinks_and_looks(read_with_three, motion, avatar, tmp_path):
    vrma.write(motion, tmp_path / "talk.vrma")
    found = read_with_three(tmp_path / "talk.vrma", [17 / 30], avatar)["weights"][0]
    for name, weight in vrma.presets(motion.face).items():
        assert found[name] == pytest.approx(weight[17], abs=1e-4), name
    assert found["happy"] == found["jawOpen"] == 0
    face = dict(zip(skeleton.ARKIT, motion.face[17], strict=True))
    left = face["eyeLookOutLeft"] - face["eyeLookInLeft"] + face["eyeLookInRight"] - face["eyeLookOutRight"]
    down = face["eyeLookDownLeft"] - face["eyeLookUpLeft"] + face["eyeLookDownRight"] - face["eyeLookUpRight"]
    assert found["yaw"] == pytest.approx(15 * left, abs=1)  # degrees; the order of the two angles moves it a little
    assert found["pitch"] == pytest.approx(15 * down, abs=1)


def test_perfect_sync_has_the_52_shapes_and_no_vowels(read_with_three, motion, avatar, tmp_path):
    vrma.write(motion, tmp_path / "talk.vrma", layout="perfect-sync")
    assert extension(tmp_path / "talk.vrma")["expressions"].keys() == {"custom"}
    found = read_with_three(tmp_path / "talk.vrma", [17 / 30], avatar)["weights"][0]
    np.testing.assert_allclose([found[name] for name in skeleton.ARKIT], motion.face[17], atol=1e-4)
    assert found["aa"] == found["blinkLeft"] == found["yaw"] == 0


def test_the_khronos_validator_has_nothing_to_say(validate, motion, tmp_path):
    for name, moving in {"talk": motion, "one": motion[:0.03]}.items():
        vrma.write(moving, tmp_path / f"{name}.glb")
        vrma.write(moving, tmp_path / f"{name}_sync.glb", layout="perfect-sync")
    unknown = {"UNSUPPORTED_EXTENSION", "NODE_EMPTY"}  # the validator does not know VRM, which uses the empty nodes
    messages = validate(*sorted(tmp_path.glob("*.glb")))
    assert [message for message in messages if message["code"] not in unknown] == []


def test_at_rest_it_is_the_t_pose_of_vrm(motion, tmp_path):
    vrma.write(motion, tmp_path / "talk.vrma")
    at = {name: position for name, (position, _) in at_rest(tmp_path / "talk.vrma").items()}
    for side, out in (("left", 1), ("right", -1)):
        for finger in ("Index", "Middle", "Ring", "Little"):
            for a, b in (("Proximal", "Intermediate"), ("Intermediate", "Distal")):
                bone = at[f"{side}{finger}{b}"] - at[f"{side}{finger}{a}"]
                np.testing.assert_allclose(bone / np.linalg.norm(bone), [out, 0, 0], atol=1e-6)
        thumb = at[f"{side}ThumbDistal"] - at[f"{side}ThumbMetacarpal"]
        np.testing.assert_allclose(thumb / np.linalg.norm(thumb), np.array([out, 0, 1]) / 2**0.5, atol=1e-6)
    np.testing.assert_allclose(at["hips"], skeleton.REST_PELVIS + skeleton.REST_TRANSLATION, atol=1e-6)


def test_bones_are_those_of_vrm_and_all_that_it_asks_for():
    required = {"hips", "spine", "head"} | {
        f"{side}{bone}"
        for side in ("left", "right")
        for bone in ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")
    }
    assert required <= BONES.keys()
    assert len(BONES) == 52
    assert BONES["leftThumbMetacarpal"] == skeleton.INDEX["left_thumb1"]
    assert BONES["rightThumbDistal"] == skeleton.INDEX["right_thumb3"]
    assert BONES["leftLittleProximal"] == skeleton.INDEX["left_pinky1"]
    assert not BONES.keys() & {"leftEye", "rightEye"}  # which the specification forbids


def shape(**weights: float) -> dict[str, float]:
    face = np.zeros((1, 52))
    for name, weight in weights.items():
        face[0, skeleton.ARKIT_INDEX[name]] = weight
    return {name: round(float(weight[0]), 3) for name, weight in vrma.presets(face).items() if weight[0]}


def test_vowels_of_mouth_shapes():
    assert shape(jawOpen=0.4) == {"aa": 0.6}
    assert shape(jawOpen=0.4, mouthClose=0.4) == {}  # lips together: /m/
    assert shape(mouthPucker=0.6, mouthFunnel=0.4) == {"ou": 1}
    assert shape(mouthPucker=0.6, mouthFunnel=0.4, jawOpen=0.8) == {"oh": 1}
    assert shape(mouthStretchLeft=0.4, mouthStretchRight=0.4) == {"ih": 0.8}
    assert shape(mouthStretchLeft=0.4, mouthStretchRight=0.4, jawOpen=0.8) == {"ee": 0.8, "aa": 0.2}
    assert shape(mouthSmileLeft=1.0, mouthSmileRight=1.0) == {}  # is no vowel
    assert shape(eyeBlinkLeft=0.7) == {"blinkLeft": 0.7}


def test_a_mouth_never_gets_more_than_one_vowel_in_all(rng):
    weights = vrma.presets(rng.random((1000, 52)))
    vowels = np.stack([weights[name] for name in ("aa", "ih", "ou", "ee", "oh")])
    assert vowels.min() >= 0
    assert vowels.sum(axis=0).max() <= 1 + 1e-9


def test_without_weights_the_jaw_speaks_and_it_is_said(motion, tmp_path):
    poses = motion.poses.copy()
    poses[:, skeleton.JAW] = [skeleton.JAW_OPEN_RADIANS / 2, 0, 0]
    with pytest.warns(CospeechWarning, match=r"talk\.vrma: the motion has no ARKit weights: jawOpen is written"):
        vrma.write(replace(motion, poses=poses, face=None), tmp_path / "talk.vrma")
    assert "aa" in extension(tmp_path / "talk.vrma")["expressions"]["preset"]
    poses[:, skeleton.JAW] = 0
    vrma.write(replace(motion, poses=poses, face=None), tmp_path / "silent.vrma")
    assert "expressions" not in extension(tmp_path / "silent.vrma")


@pytest.mark.parametrize("fps", [24, 25, 29.97, 50, 60, 120])
def test_times(fps, read_with_three, rng, tmp_path):
    vrma.write(talking(rng, 30, fps), tmp_path / "talk.vrma")
    found = read_with_three(tmp_path / "talk.vrma", [0])
    assert (found["keys"], found["duration"]) == (30, pytest.approx(29 / fps, rel=1e-6))


def test_a_motion_without_frames_is_refused(motion, tmp_path):
    with pytest.raises(FormatError, match="no frames"):
        vrma.write(motion[:0], tmp_path / "talk.vrma")
    assert list(tmp_path.iterdir()) == []


def test_metadata_travels_in_asset_extras(motion, tmp_path):
    vrma.write(motion, tmp_path / "talk.vrma")
    assert document(tmp_path / "talk.vrma")["asset"]["extras"] == {"fps": 30.0, **motion.metadata}


def test_a_body_gives_its_skeleton(motion, tmp_path):
    tall = replace(mannequin("light"), joints=mannequin("light").joints * np.float32(1.2))
    vrma.write(motion, tmp_path / "tall.vrma", tall)
    hips = document(tmp_path / "tall.vrma")["nodes"][0]["translation"]
    np.testing.assert_allclose(hips, tall.joints[0] + skeleton.REST_TRANSLATION, atol=1e-6)
