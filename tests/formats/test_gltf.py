"""GLB files pass the Khronos validator, and what a plain reader finds in them is the posed body."""

import json
import struct
import time
from dataclasses import replace

import numpy as np
import pytest
from readers import talking

from cospeech import rotation, skeleton
from cospeech.body import Body, JointTransforms, joint_positions, joint_transforms, mannequin, skin
from cospeech.errors import FormatError
from cospeech.formats import gltf
from cospeech.motion import Motion


@pytest.fixture
def motion(rng) -> Motion:
    return talking(rng, 40)


@pytest.fixture
def tetrahedron() -> Body:
    """Four vertices without colours or face shapes, as an SMPL-X file gives them."""
    mannequin_body = mannequin("light")
    return Body(
        name="tetrahedron",
        licence="CC0-1.0",
        vertices=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),
        faces=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32),
        joints=mannequin_body.joints,
        weight_indices=np.array([[0, 1, 2, 3], [5, 1, 2, 0], [20, 54, 0, 0], [9, 0, 0, 0]], np.int32),
        weight_values=np.array(
            [[1 / 3, 1 / 3, 1 / 6, 1 / 6], [0.7, 0.2, 0.1, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0]], np.float32
        ),
        embeds_licensed_mesh=False,
    )


class Glb:
    """A plain reader: the document, accessors as arrays, and the scene posed at a key of its animation."""

    def __init__(self, data: bytes):
        magic, version, length, json_length, kind = struct.unpack_from("<4sIII4s", data)
        assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
        self.document = json.loads(data[20 : 20 + json_length])
        binary_length, kind = struct.unpack_from("<I4s", data, 20 + json_length)
        assert kind == b"BIN\0"
        self.binary = data[28 + json_length :]
        assert len(self.binary) == binary_length == self.document["buffers"][0]["byteLength"]
        self.primitive = self.document["meshes"][0]["primitives"][0]

    def array(self, number: int) -> np.ndarray:
        accessor = self.document["accessors"][number]
        dtype = np.dtype({5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}[accessor["componentType"]])
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
        array = np.zeros((accessor["count"], width), dtype)
        if "bufferView" in accessor:
            array[:] = self._numbers(accessor["bufferView"], dtype, array.size, accessor.get("byteOffset", 0)).reshape(
                array.shape
            )
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            kind = np.dtype({5123: "<u2", 5125: "<u4"}[sparse["indices"]["componentType"]])
            where = self._numbers(sparse["indices"]["bufferView"], kind, sparse["count"])
            array[where] = self._numbers(sparse["values"]["bufferView"], dtype, sparse["count"] * width).reshape(
                -1, width
            )
        return array / np.iinfo(dtype).max if accessor.get("normalized") else array

    def _numbers(self, view: int, dtype: np.dtype, count: int, offset: int = 0) -> np.ndarray:
        return np.frombuffer(self.binary, dtype, count, self.document["bufferViews"][view]["byteOffset"] + offset)

    def tracks(self) -> dict[tuple[int, str], np.ndarray]:
        (animation,) = self.document["animations"]
        return {
            (channel["target"]["node"], channel["target"]["path"]): self.array(
                animation["samplers"][channel["sampler"]]["output"]
            )
            for channel in animation["channels"]
        }

    def posed(self, key: int) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions (55, 3) and skinned vertices (V, 3) at a key, with the arithmetic of the specification."""
        tracks, nodes = self.tracks(), self.document["nodes"]
        world: dict[int, np.ndarray] = {}

        def visit(node: int, above: np.ndarray) -> None:
            local = np.eye(4)
            x, y, z, w = tracks[node, "rotation"][key].astype(float) if (node, "rotation") in tracks else (0, 0, 0, 1)
            local[:3, :3] = rotation.quaternion_to_matrix(np.array([w, x, y, z]))
            local[:3, 3] = (
                tracks[node, "translation"][key]
                if (node, "translation") in tracks
                else nodes[node].get("translation", 0)
            )
            world[node] = above @ local
            for child in nodes[node].get("children", ()):
                visit(child, world[node])

        for node in self.document["scenes"][0]["nodes"]:
            visit(node, np.eye(4))
        (skin_,) = self.document["skins"]
        bind = self.array(skin_["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)  # stored by columns
        moved = np.stack([world[node] for node in skin_["joints"]]) @ bind  # (55, 4, 4)
        vertices = self.array(self.primitive["attributes"]["POSITION"]).astype(float)
        for target, weight in zip(self.primitive.get("targets", ()), self.weights(key), strict=True):
            vertices = vertices + weight * self.array(target["POSITION"])
        joints = self.array(self.primitive["attributes"]["JOINTS_0"])
        weights = self.array(self.primitive["attributes"]["WEIGHTS_0"])
        blended = (moved[joints] * weights[..., None, None]).sum(1)
        posed = (blended @ np.pad(vertices, ((0, 0), (0, 1)), constant_values=1)[..., None])[:, :3, 0]
        return np.stack([world[node][:3, 3] for node in skin_["joints"]]), posed

    def weights(self, key: int) -> np.ndarray:
        track = self.tracks().get((55, "weights"))
        return np.zeros(0) if track is None else track.reshape(-1, len(self.primitive["targets"]))[key]


def test_the_khronos_validator_has_nothing_to_say(validate, motion, tetrahedron, tmp_path):
    files = {
        "full": (motion, None),
        "light": (motion, mannequin("light")),
        "no_face": (replace(motion, face=None), None),
        "bare": (motion, tetrahedron),
        "one_frame": (motion[:0.03], None),
        "no_frame": (motion[:0], None),
        "fast": (talking(np.random.default_rng(1), 30, fps=119.88), tetrahedron),
    }
    for name, (moving, body) in files.items():
        gltf.write(moving, tmp_path / f"{name}.glb", body)
    assert validate(*(tmp_path / f"{name}.glb" for name in files)) == []


def test_the_validator_is_awake(validate, motion, tetrahedron, tmp_path):
    data = bytearray(gltf.to_bytes(motion, tetrahedron))
    data[-200:-100] = b"\xff" * 100  # NaN translations
    (tmp_path / "bad.glb").write_bytes(data)
    assert any(message["severity"] == 0 for message in validate(tmp_path / "bad.glb"))


@pytest.mark.parametrize("level", ["full", "light"])
def test_joints_and_vertices_are_those_of_the_body(level, motion):
    body = mannequin(level)
    glb = Glb(gltf.to_bytes(motion, body))
    poses, translation = motion.poses.astype(float), motion.translation.astype(float)
    expected_joints = joint_positions(body, poses, translation)
    for key in (0, 17, 39):
        joints, vertices = glb.posed(key)
        np.testing.assert_allclose(joints, expected_joints[key], atol=1e-5)
        expected = skin(
            body, poses[key : key + 1], translation[key : key + 1], motion.face[key : key + 1].astype(float)
        )
        # One blended matrix moves face shapes too, so only the 1/65535 steps of the weights are between the two.
        np.testing.assert_allclose(vertices, expected[0], atol=5e-5)


def test_three_finds_the_joints_within_a_tenth_of_a_millimetre(read_with_three, assert_joints_agree, motion, tmp_path):
    gltf.write(motion, tmp_path / "talk.glb")
    frames = (0, 17, 39)
    found = read_with_three(tmp_path / "talk.glb", [frame / 30 for frame in frames])
    expected = joint_transforms(mannequin(), motion.poses.astype(float), motion.translation.astype(float))
    for pose, weights, frame in zip(found["poses"], found["weights"], frames, strict=True):
        positions, quaternions = (np.array(each) for each in zip(*map(pose.get, skeleton.JOINTS), strict=True))
        at_frame = JointTransforms(expected.rotations[frame], expected.positions[frame])
        assert_joints_agree(positions, rotation.quaternion_to_matrix(quaternions[:, [3, 0, 1, 2]]), at_frame)
        np.testing.assert_allclose([*map(weights.get, skeleton.ARKIT)], motion.face[frame], atol=1e-4)


def test_a_body_without_face_shapes_and_colours(motion, tetrahedron):
    glb = Glb(gltf.to_bytes(motion, tetrahedron))
    joints, vertices = glb.posed(20)
    poses, translation = motion.poses[20:21].astype(float), motion.translation[20:21].astype(float)
    np.testing.assert_allclose(joints, joint_positions(tetrahedron, poses, translation)[0], atol=1e-5)
    np.testing.assert_allclose(vertices, skin(tetrahedron, poses, translation)[0], atol=5e-5)
    assert "COLOR_0" not in glb.primitive["attributes"]
    assert (55, "weights") not in glb.tracks()


def test_keys_are_the_frames_and_no_quaternion_changes_sign(rng):
    motion = talking(rng, 200, fps=24)
    glb = Glb(gltf.to_bytes(motion))
    tracks = glb.tracks()
    assert len(tracks) == 55 + 1 + 1
    sampler = glb.document["animations"][0]["samplers"][0]
    np.testing.assert_allclose(glb.array(sampler["input"])[:, 0], np.arange(200) / 24, rtol=1e-6)
    for j in range(55):
        quaternions = tracks[j, "rotation"]
        assert (quaternions[1:] * quaternions[:-1]).sum(axis=1).min() > 0.9
    assert tracks[skeleton.INDEX["left_elbow"], "rotation"][:, 3].min() < -0.5  # it did go round


def test_without_its_animation_the_body_stands_on_the_floor_in_a_t_pose(motion):
    glb = Glb(gltf.to_bytes(replace(motion, poses=motion.poses * 0, translation=motion.translation * 0 + 1)))
    nodes = glb.document["nodes"]
    assert [node["name"] for node in nodes[:55]] == list(skeleton.JOINTS)
    body = mannequin("full")
    np.testing.assert_allclose(nodes[0]["translation"], body.joints[0] + skeleton.REST_TRANSLATION, atol=1e-6)
    assert not any("rotation" in node for node in nodes)
    soles = glb.array(glb.primitive["attributes"]["POSITION"])[:, 1].min() + skeleton.REST_TRANSLATION[1]
    assert soles == pytest.approx(0, abs=0.01)


def test_face_shapes_keep_their_52_names(motion):
    glb = Glb(gltf.to_bytes(motion))
    mesh = glb.document["meshes"][0]
    assert mesh["extras"]["targetNames"] == list(skeleton.ARKIT)
    body = mannequin("full")
    opened = glb.array(glb.primitive["targets"][skeleton.JAW_OPEN]["POSITION"])
    dense = np.zeros_like(body.vertices)
    dense[body.face_shapes.vertices] = body.face_shapes.deltas[skeleton.JAW_OPEN]
    np.testing.assert_array_equal(opened, dense)
    assert np.linalg.norm(opened, axis=1).max() > 0.005
    poses = motion.poses.copy()
    poses[:, skeleton.JAW] = 0
    still = Glb(gltf.to_bytes(replace(motion, poses=poses, face=None)))
    assert still.document["meshes"][0]["extras"] == mesh["extras"]
    assert (55, "weights") not in still.tracks()
    poses[:, skeleton.JAW, 0] = skeleton.JAW_OPEN_RADIANS / 2
    of_jaw = Glb(gltf.to_bytes(replace(motion, poses=poses, face=None))).tracks()[55, "weights"].reshape(-1, 52)
    np.testing.assert_allclose(of_jaw[:, skeleton.JAW_OPEN], 0.5, atol=1e-6)
    assert not np.delete(of_jaw, skeleton.JAW_OPEN, axis=1).any()


def test_weights_sum_to_one_exactly_and_idle_joints_are_zero(tetrahedron, motion):
    for body in (mannequin("full"), tetrahedron):
        joints, weights = gltf.skin_weights(body)
        np.testing.assert_array_equal(weights.astype(int).sum(axis=1), 65535)
        np.testing.assert_array_equal(joints[weights == 0], 0)
        np.testing.assert_allclose(weights / 65535, body.weight_values, atol=2.5 / 65535)


def test_colours_are_linear_light():
    colours = gltf.linear_colours(np.array([[0, 255, 188], [10, 128, 64]], np.uint8))
    np.testing.assert_allclose(colours[0], [0, 1, 0.503], atol=1e-3)  # sRGB 188 is half the light of white
    np.testing.assert_allclose(colours[1], [10 / 255 / 12.92, 0.2159, 0.0513], atol=1e-4)


def test_metadata_travels_in_asset_extras(motion, tmp_path):
    gltf.write(motion, tmp_path / "talk.glb")
    asset = Glb((tmp_path / "talk.glb").read_bytes()).document["asset"]
    assert asset["generator"].startswith("cospeech ")
    assert asset["extras"] == {"fps": 30.0, "body": "mannequin", "body_licence": "CC0-1.0", **motion.metadata}


def test_a_licensed_body_needs_consent(motion, tetrahedron, tmp_path):
    licensed = replace(tetrahedron, name="SMPLX_NEUTRAL_2020", embeds_licensed_mesh=True)
    with pytest.raises(FormatError, match=r"SMPLX_NEUTRAL_2020 .*--embed-licensed-body"):
        gltf.write(motion, tmp_path / "talk.glb", licensed)
    assert list(tmp_path.iterdir()) == []
    gltf.write(motion, tmp_path / "talk.glb", licensed, embed_licensed_body=True)


def test_writing_one_motion_leaves_no_trace_in_the_next(rng):
    first, second = talking(rng, 10), talking(rng, 25)
    alone = gltf.to_bytes(first)
    assert gltf.to_bytes(second) != alone
    assert gltf.to_bytes(first) == alone


def test_ten_seconds_are_small_and_quick(rng):
    motion = talking(rng, 300)
    gltf.to_bytes(motion)  # the still part is kept
    start = time.process_time()
    data = gltf.to_bytes(motion)
    assert time.process_time() - start < 0.5
    assert len(data) < 2_500_000
