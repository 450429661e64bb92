import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from smplx_file import smplx_arrays

from cospeech import body as bodies
from cospeech import skeleton
from cospeech.body import Body, joint_positions, joint_transforms, load_smplx, mannequin, skin, vertex_normals
from cospeech.errors import ConfigError, CospeechError
from cospeech.rotation import axis_angle_to_matrix
from cospeech.skeleton import ARKIT, JOINTS, NUM_JOINTS, PARENTS, REST_PELVIS, REST_TRANSLATION


@pytest.fixture
def light() -> Body:
    return mannequin("light")


def random_poses(rng, num_frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(0, 0.5, (num_frames, NUM_JOINTS, 3)), rng.normal(0, 1, (num_frames, 3))


def chain(body: Body, pose: np.ndarray, translation: np.ndarray, j: int) -> np.ndarray:
    """(4, 4) global transform of joint j of one frame, by recursion to the root."""
    transform = np.eye(4)
    transform[:3, :3] = axis_angle_to_matrix(pose[j])
    if j == 0:
        transform[:3, 3] = body.joints[0] + translation
        return transform
    transform[:3, 3] = body.joints[j] - body.joints[PARENTS[j]]
    return chain(body, pose, translation, PARENTS[j]) @ transform


def slow_skin(body: Body, pose: np.ndarray, translation: np.ndarray, face, some: np.ndarray) -> np.ndarray:
    """Some vertices of one frame, one after the other."""
    to_rest = [np.eye(4) for _ in JOINTS]
    for j in range(NUM_JOINTS):
        to_rest[j][:3, 3] = -body.joints[j]
    moves = [chain(body, pose, translation, j) @ to_rest[j] for j in range(NUM_JOINTS)]
    vertices = body.vertices.astype(np.float64)
    if face is not None and body.face_shapes is not None:
        for weight, deltas in zip(face, body.face_shapes.deltas, strict=True):
            vertices[body.face_shapes.vertices] += weight * deltas
    if body.pose_correctives is not None:
        bent = np.concatenate([(axis_angle_to_matrix(pose[j]) - np.eye(3)).ravel() for j in range(1, NUM_JOINTS)])
        vertices = vertices + (bent @ body.pose_correctives).reshape(-1, 3)
    out = []
    for v in some:
        blend = sum(w * moves[j] for w, j in zip(body.weight_values[v], body.weight_indices[v], strict=True))
        out.append((blend @ [*vertices[v], 1])[:3])
    return np.array(out)


# --- posing -----------------------------------------------------------------------------------------------------


def test_forward_kinematics_is_the_recursion_along_the_parents(rng, light):
    poses, translation = random_poses(rng)
    rotations, positions = joint_transforms(light, poses, translation)
    np.testing.assert_array_equal(joint_positions(light, poses, translation), positions)
    for t in range(len(poses)):
        for j in range(NUM_JOINTS):
            expected = chain(light, poses[t], translation[t], j)
            np.testing.assert_allclose(rotations[t, j], expected[:3, :3], atol=1e-9)
            np.testing.assert_allclose(positions[t, j], expected[:3, 3], atol=1e-6)


def test_the_pelvis_is_at_its_rest_place_plus_the_translation(rng, light):
    poses, translation = random_poses(rng)
    np.testing.assert_array_equal(joint_positions(light, poses, translation)[:, 0], REST_PELVIS + translation)


def test_skinning_is_the_blend_of_joint_transforms_of_every_vertex(rng, light):
    poses, translation = random_poses(rng, 2)
    face = rng.uniform(0, 1, (2, len(ARKIT)))
    some = np.concatenate([rng.choice(len(light.vertices), 60), light.face_shapes.vertices[::97]])
    vertices = skin(light, poses, translation, face)
    for t in range(2):
        np.testing.assert_allclose(
            vertices[t, some], slow_skin(light, poses[t], translation[t], face[t], some), atol=1e-5
        )


@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_numpy_and_torch_agree_whatever_the_leading_axes(rng, light, lead):
    poses, translation = (array.astype(np.float32) for array in random_poses(rng, 2))
    poses, translation = np.broadcast_to(poses, (*lead, *poses.shape)), np.broadcast_to(translation, (*lead, 2, 3))
    face = rng.uniform(0, 1, (*lead, 2, len(ARKIT))).astype(np.float32)
    expected = skin(light, poses, translation, face)
    tensors = [torch.tensor(array) for array in (poses, translation, face)]
    np.testing.assert_allclose(skin(light, *tensors).numpy(), expected, atol=1e-5)
    assert expected.shape == (*lead, 2, len(light.vertices), 3)
    normals = vertex_normals(expected, light.faces)
    np.testing.assert_allclose(vertex_normals(torch.tensor(expected), light.faces).numpy(), normals, atol=1e-3)
    assert expected.dtype == normals.dtype == np.float32


def test_the_inputs_stay_as_they_are(rng, light):
    poses, translation = random_poses(rng)
    face, rest = np.ones((4, len(ARKIT))), light.vertices.copy()
    before = poses.copy(), translation.copy()
    skin(light, poses, translation, face)
    np.testing.assert_array_equal(light.vertices, rest)
    np.testing.assert_array_equal(poses, before[0])
    np.testing.assert_array_equal(translation, before[1])


def test_gradients_reach_pose_translation_and_face_even_at_rest(light):
    inputs = [torch.zeros(1, *shape, requires_grad=True) for shape in ((NUM_JOINTS, 3), (3,), (len(ARKIT),))]
    (skin(light, *inputs) ** 2).sum().backward()
    for tensor in inputs:
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() > 0


def test_normals_are_unit_outward_and_weighted_by_area(light):
    vertices = light.vertices.astype(np.float64)
    normals = vertex_normals(vertices, light.faces)
    expected = np.zeros_like(vertices)
    for face in light.faces:
        a, b, c = vertices[face]
        expected[face] += np.cross(b - a, c - a)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(normals, expected, atol=1e-6)
    corners = vertices[light.faces]
    assert np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6 > 0.04  # cubic metres


def test_the_light_level_is_skinned_far_faster_than_real_time(rng, light):
    poses, translation = (array.astype(np.float32) for array in random_poses(rng, 64))
    skin(light, poses, translation)
    start = time.process_time()
    skin(light, poses, translation)
    assert 64 / (time.process_time() - start) > 300  # frames a second; 7000 on one core of 2024


# --- the mannequin ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", bodies.LEVELS)
def test_the_rest_pose_stands_on_the_floor(level):
    body = mannequin(level)
    vertices = skin(body, np.zeros((1, NUM_JOINTS, 3)), REST_TRANSLATION[None])[0]
    np.testing.assert_allclose(vertices, body.vertices + REST_TRANSLATION, atol=1e-6)
    assert abs(vertices[:, 1].min()) < 0.01
    assert 1.6 < vertices[:, 1].max() < 1.8
    for side in ("Left", "Right"):  # both soles, heel and ball
        foot = [skeleton.INDEX[f"{side.lower()}_{joint}"] for joint in ("ankle", "foot")]
        for j in foot:
            assert abs(vertices[body.weights[:, j] > 0.5, 1].min()) < 0.01


@pytest.mark.parametrize("level", bodies.LEVELS)
def test_arrays_fit_together(level):
    body = mannequin(level)
    np.testing.assert_allclose(body.weight_values.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(body.weights.sum(axis=1), 1, atol=1e-6)
    assert (np.diff(body.weight_values, axis=1) <= 0).all()
    assert (body.weight_values >= 0).all()
    assert len(np.unique(body.faces)) == len(body.vertices) == len(body.colours)
    assert body.colours.dtype == np.uint8
    assert not body.embeds_licensed_mesh
    np.testing.assert_array_equal(body.joints[0], REST_PELVIS)


def test_the_levels_are_as_large_as_promised_and_share_vertices():
    full, light = mannequin(), mannequin("light")
    assert 13_000 < len(full.vertices) < 15_000
    assert 9_000 < len(light.faces) <= 10_000
    assert {v.tobytes() for v in light.vertices} <= {v.tobytes() for v in full.vertices}
    assert mannequin() is full


def test_the_asset_is_small():
    assert (Path(bodies.__file__).parent / "assets/mannequin.npz").stat().st_size < 3e6


def test_left_and_right_mirror_each_other():
    body = mannequin()
    centre = np.array([2 * REST_PELVIS[0], 0, 0])
    mirrored = body.joints[list(skeleton.MIRROR)] * [-1, 1, 1] + centre
    np.testing.assert_allclose(body.joints, mirrored, atol=1e-6)
    assert body.joints[skeleton.INDEX["left_wrist"], 0] > 0.5
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    assert low[0] + high[0] == pytest.approx(centre[0], abs=1e-3)


def test_it_faces_forward_in_a_t_pose():
    joints = dict(zip(JOINTS, mannequin().joints, strict=True))
    for side, sign in (("left", 1), ("right", -1)):
        arm = joints[f"{side}_wrist"] - joints[f"{side}_shoulder"]
        assert sign * arm[0] > 0.99 * np.linalg.norm(arm)
        assert joints[f"{side}_foot"][2] > joints[f"{side}_ankle"][2] + 0.05
        assert joints[f"{side}_eye"][2] > joints["head"][2]
    assert joints["pelvis"][1] - mannequin().vertices[:, 1].min() == pytest.approx(0.956, abs=1e-3)


@pytest.mark.parametrize("level", bodies.LEVELS)
def test_every_face_shape_moves_the_mesh_and_only_the_head(level):
    body = mannequin(level)
    shapes = body.face_shapes
    size = np.linalg.norm(shapes.deltas, axis=-1)  # (52, S)
    assert (np.diff(shapes.vertices) > 0).all()
    for name, largest in zip(ARKIT, size.max(axis=1), strict=True):
        assert 0.001 < largest < 0.06, name
    assert size[skeleton.JAW_OPEN].max() > 0.02
    down = shapes.deltas[skeleton.JAW_OPEN, size[skeleton.JAW_OPEN].argmax()]
    assert down[1] < -0.02
    assert body.vertices[shapes.vertices, 1].min() > body.joints[skeleton.INDEX["neck"], 1] - 0.1


def test_left_face_shapes_move_the_left_side():
    body = mannequin()
    side = body.vertices[body.face_shapes.vertices, 0] - REST_PELVIS[0]
    for name, deltas in zip(ARKIT, body.face_shapes.deltas, strict=True):
        if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            moved = (deltas[:, 0] * np.linalg.norm(deltas, axis=1)).sum()
            assert (moved > 0) == name.endswith("Left"), name
        elif name.endswith(("Left", "Right")):
            centre = (side * np.linalg.norm(deltas, axis=1)).sum()
            assert (centre > 0) == name.endswith("Left"), name


def test_the_jaw_joint_moves_nothing_and_the_eyes_turn_in_place(light):
    poses = np.zeros((3, NUM_JOINTS, 3))
    poses[1, skeleton.JAW] = [0.3, 0, 0]
    poses[2, skeleton.LEFT_EYE] = [0, 0.4, 0]
    rest, jaw, eye = skin(light, poses, np.zeros((3, 3)))
    np.testing.assert_array_equal(jaw, rest)
    moved = np.linalg.norm(eye - rest, axis=1) > 1e-4
    assert 0 < moved.sum() < 400
    distance = np.linalg.norm(rest[moved] - light.joints[skeleton.LEFT_EYE], axis=1)
    assert distance.max() < 0.02


def test_an_unknown_level_is_an_error():
    with pytest.raises(ConfigError, match="full and light"):
        mannequin("medium")


# --- SMPL-X files -----------------------------------------------------------------------------------------------


def test_expressions_move_an_smplx_body_and_turn_with_its_head(rng, tmp_path):
    arrays = smplx_arrays(rng, directions=400)
    np.savez(tmp_path / "body.npz", **arrays)
    body = load_smplx(tmp_path / "body.npz")
    poses, place = np.zeros((2, 55, 3), np.float32), np.zeros((2, 3), np.float32)
    expressions = np.zeros((2, 100), np.float32)
    expressions[0, [0, 99]] = 2, -1
    moved = skin(body, poses, place, expressions=expressions) - skin(body, poses, place)
    expected = 2 * arrays["shapedirs"][:, :, 300] - arrays["shapedirs"][:, :, 399]
    np.testing.assert_allclose(moved[0], expected, atol=1e-5)
    assert not moved[1].any()
    poses[:, 0, 1] = np.pi / 2  # a quarter turn of everything
    turned = skin(body, poses, place, expressions=expressions) - skin(body, poses, place)
    np.testing.assert_allclose(turned[0], np.stack([expected[:, 2], expected[:, 1], -expected[:, 0]], 1), atol=1e-4)
    np.savez(tmp_path / "short.npz", **smplx_arrays(rng))
    assert load_smplx(tmp_path / "short.npz").expression_shapes is None


def test_an_smplx_file_becomes_a_body(rng, tmp_path):
    arrays = smplx_arrays(rng)
    pickled = np.array([{"a": 1}], dtype=object)  # real files have such members too; nobody needs them
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", joint2num=pickled, **arrays)
    body = load_smplx(tmp_path / "SMPLX_NEUTRAL.npz")
    np.testing.assert_allclose(body.vertices, arrays["v_template"], atol=1e-6)
    np.testing.assert_allclose(body.joints, arrays["J_regressor"] @ arrays["v_template"], atol=1e-6)
    np.testing.assert_allclose(body.weight_values.sum(axis=1), 1, atol=1e-6)
    assert (body.weight_indices[:, 0] == arrays["weights"].argmax(axis=1)).all()
    assert body.embeds_licensed_mesh
    assert body.name == "SMPLX_NEUTRAL"

    poses, translation = random_poses(rng, 2)
    some = np.arange(0, 120, 7)
    vertices = skin(body, poses, translation, np.ones((2, len(ARKIT))))
    for t in range(2):
        np.testing.assert_allclose(vertices[t, some], slow_skin(body, poses[t], translation[t], None, some), atol=1e-5)
    tensors = torch.tensor(poses), torch.tensor(translation)
    np.testing.assert_allclose(skin(body, *tensors).numpy(), vertices, atol=1e-5)
    flat = replace(body, pose_correctives=None)
    assert np.abs(skin(flat, poses, translation) - vertices).max() > 1e-3


@pytest.mark.parametrize(("directions", "used"), [(20, 10), (400, 300)])
def test_betas_shape_mesh_and_joints_and_leave_expressions_alone(rng, tmp_path, directions, used):
    arrays = smplx_arrays(rng, directions=directions)
    np.savez(tmp_path / "body.npz", **arrays)
    betas = rng.normal(size=300)
    body = load_smplx(str(tmp_path / "body.npz"), betas)
    expected = arrays["v_template"] + arrays["shapedirs"][:, :, :used] @ betas[:used]
    np.testing.assert_allclose(body.vertices, expected, atol=1e-5)
    np.testing.assert_allclose(body.joints, arrays["J_regressor"] @ expected, atol=1e-5)
    short = load_smplx(tmp_path / "body.npz", betas[:2])
    np.testing.assert_allclose(
        short.vertices, arrays["v_template"] + arrays["shapedirs"][:, :, :2] @ betas[:2], atol=1e-5
    )


class Trap:
    """Unpickling this would write a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("key", ["v_template", "posedirs"])
def test_pickled_members_are_never_opened(rng, tmp_path, key):
    arrays = smplx_arrays(rng) | {key: np.array([Trap(tmp_path / "sprung")], dtype=object)}
    np.savez(tmp_path / "body.npz", **arrays)
    (tmp_path / "body.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    for name in ("body.npz", "body.pkl"):
        with pytest.raises(CospeechError, match=r"pickled|not readable as an npz") as caught:
            load_smplx(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"v_template": None}, "no `v_template` inside"),
        ({"kintree_table": None}, "no `kintree_table` inside"),
        ({"v_template": np.float64(3)}, "`v_template` is float64 ()"),
        ({"f": np.float64(3)}, "`f` is float64 ()"),
        ({"f": np.full((4, 3), 120)}, "faces name vertices"),
        ({"shapedirs": np.zeros((120, 3))}, "`shapedirs`"),
        ({"weights": np.zeros((120, 24))}, "not SMPL or SMPL-H"),
        ({"weights": np.zeros((120, 55))}, "belong to no joint"),
        ({"v_template": np.full((120, 3), np.nan)}, "NaN"),
        ({"v_template": np.full((120, 3), "a")}, "`v_template` is <U1"),
        ({"kintree_table": np.zeros((2, 55), int)}, "hang together"),
    ],
)
def test_files_that_are_no_smplx_body_are_one_line(rng, tmp_path, change, what):
    arrays = smplx_arrays(rng) | change
    np.savez(tmp_path / "body.npz", **{key: array for key, array in arrays.items() if array is not None})
    with pytest.raises(CospeechError) as caught:
        load_smplx(tmp_path / "body.npz")
    assert str(caught.value).startswith(f"{tmp_path / 'body.npz'}: ")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_files_are_one_line(rng, tmp_path):
    np.savez_compressed(tmp_path / "body.npz", **smplx_arrays(rng))
    whole = (tmp_path / "body.npz").read_bytes()
    middle = len(whole) // 2
    contents = {
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes(b ^ 0xFF for b in whole[middle : middle + 50]) + whole[middle + 50 :],
        "prefixed": b"junk" + whole,
        "empty": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "missing", "."):
        with pytest.raises(CospeechError) as caught:
            load_smplx(tmp_path / name)
        assert "\n" not in str(caught.value), name
