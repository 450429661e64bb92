from dataclasses import replace

import numpy as np
import published_metrics as published
import pytest
from smplx_file import smplx_arrays

from cospeech import skeleton
from cospeech.body import load_smplx, mannequin, skin
from cospeech.errors import MotionError
from cospeech.metrics import face
from cospeech.metrics.interval import estimate

FPS = 30.0
CLOSE = skeleton.ARKIT_INDEX["mouthClose"]


def still(num_frames):
    return np.zeros((num_frames, 52), np.float32)


def test_a_blink_needs_both_eyes_and_counts_once():
    weights = still(60)
    left, right = skeleton.ARKIT_INDEX["eyeBlinkLeft"], skeleton.ARKIT_INDEX["eyeBlinkRight"]
    weights[10:14, left] = 1.0  # a wink
    assert face.num_blinks(weights) == 0
    weights[12:16, right] = 0.8
    weights[40:43, [left, right]] = 0.9
    assert face.num_blinks(weights) == 2
    weights[0, [left, right]] = 1.0  # begins with closed eyes
    assert face.num_blinks(weights) == 3


def test_only_the_inside_of_long_pauses_counts():
    speaking = np.ones(90, bool)
    speaking[20:50] = False  # a second
    speaking[60:66] = False  # a stop
    np.testing.assert_array_equal(np.flatnonzero(face.pauses(speaking, FPS)), np.arange(24, 46))


def test_lips_over_an_open_jaw_may_touch():
    weights = still(3)
    weights[:, skeleton.JAW_OPEN] = [0.0, 0.4, 0.4]
    weights[2, CLOSE] = 0.4
    assert face.lips_apart(weights).tolist() == [False, True, False]


@pytest.mark.parametrize("names", [("p", "b", "m"), ("P", "B", "M"), ("pʰ", "mː", "b")])
def test_closures_that_stay_open_are_counted(names):
    weights = still(60)
    weights[:, skeleton.JAW_OPEN] = 0.4
    weights[16, CLOSE] = 0.4  # one frame is enough
    times_s = ((0.5, 0.6), (1.0, 1.1), (1.95, 2.5))  # the last ends after the motion
    phones = [(name, *times) for name, times in zip(names, times_s, strict=True)]
    assert face.open_closures(weights, [*phones, ("a", 1.2, 1.5)], FPS) == (1, 2)


def test_published_distances_of_faces():
    arrays, wanted = published.arrays(), published.VALUES["synthetic"]
    made, real = (arrays[name].reshape(40, 100, 3) for name in ("face_x", "face_y"))
    assert face.vertex_mse(made, real).value == pytest.approx(wanted["mse_x_y"], rel=1e-6)
    assert face.lvd(made, real, "published").value == pytest.approx(wanted["lvd_x_y"], rel=1e-6)


def test_velocity_is_of_movement_and_as_published_of_place(rng):
    real = rng.normal(size=(300, 5, 3))
    aside = real + 0.1
    assert face.lvd(aside, real).value == pytest.approx(0, abs=1e-12)
    assert face.lvd(aside, real, "published").value == pytest.approx(0.1)
    faster = 2 * real
    assert face.lvd(faster, real).value == pytest.approx(np.abs(np.diff(real, axis=0)).mean())
    assert face.vertex_mse(aside, real).value == pytest.approx(0.01)


def test_faces_of_long_clips_count_by_their_frames_and_of_one_frame_not_for_their_speed(rng):
    short, long = rng.normal(size=(10, 5, 3)), rng.normal(size=(290, 5, 3))
    found = estimate([face.vertex_mse(short + 1, short), face.vertex_mse(long + 2, long)])
    assert found.value == pytest.approx((10 * 1 + 290 * 4) / 300)
    assert np.isnan(face.lvd(short[:1], short[:1]).value)
    with pytest.raises(MotionError, match="cannot be compared"):
        face.vertex_mse(short, long)


def test_what_jaw_and_shapes_do_not_move_does_not_have_to_be_looked_at(rng):
    body = mannequin()
    part = face.moving_part(body)
    assert 0 < len(part.vertices) < len(body.vertices) / 3
    poses, place = np.zeros((2, 3, 55, 3), np.float32), np.zeros((3, 3), np.float32)
    poses[0, :, skeleton.JAW, 0] = 0.2
    weights = rng.random((2, 3, 52), np.float32)
    whole, seen = (
        [skin(each, jaw, place, shown) for jaw, shown in zip(poses, weights, strict=True)] for each in (body, part)
    )
    vertices = len(body.vertices)
    assert face.vertex_mse(*seen, vertices).value == pytest.approx(face.vertex_mse(*whole).value, rel=1e-4)
    for protocol in ("published", "corrected"):
        assert face.lvd(*seen, protocol, vertices).value == pytest.approx(face.lvd(*whole, protocol).value, rel=1e-4)


def test_a_smplx_head_is_what_jaw_expressions_and_correctives_move(rng):
    body = mannequin("light")
    weights, count = body.weights.copy(), len(body.vertices)
    values, indices = body.weight_values.copy(), body.weight_indices.copy()
    indices[5], values[5] = [skeleton.JAW, 0, 0, 0], [1, 0, 0, 0]
    shapes, correctives = np.zeros((100, count, 3), np.float32), np.zeros((486, count, 3), np.float32)
    shapes[3, 7, 1], correctives[9 * 21 + 2, 9, 0], correctives[0, 11, 0] = 0.1, 0.1, 0.1
    flat = {"expression_shapes": shapes.reshape(100, -1), "pose_correctives": correctives.reshape(486, -1)}
    head = replace(body, face_shapes=None, weight_indices=indices, weight_values=values, **flat)
    assert weights[[5, 7, 9, 11], skeleton.JAW].max() == 0
    part = face.moving_part(head)
    assert np.array_equal(part.vertices, body.vertices[[5, 7, 9]])
    poses, place = np.zeros((2, 55, 3), np.float32), np.zeros((2, 3), np.float32)
    poses[1, skeleton.JAW] = [0.3, 0.1, 0]
    shown = rng.normal(size=(2, 100)).astype(np.float32)
    whole, seen = (skin(each, poses, place, None, shown) for each in (head, part))
    np.testing.assert_allclose(seen, whole[:, [5, 7, 9]], atol=1e-6)


def test_meshes_are_those_of_skinning(tmp_path, rng):
    np.savez(tmp_path / "body.npz", **smplx_arrays(rng, directions=400))
    body = load_smplx(tmp_path / "body.npz")
    poses = np.zeros((5, 55, 3), np.float32)
    poses[:, skeleton.JAW] = rng.normal(0, 0.3, (5, 3))
    expressions = rng.normal(size=(5, 100)).astype(np.float32)
    whole = skin(body, poses, np.zeros((5, 3), np.float32), expressions=expressions)
    np.testing.assert_allclose(face.meshes(body, poses[:, skeleton.JAW], expressions), whole, atol=1e-5)
