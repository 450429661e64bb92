"""What a page carries of a body and a motion comes out as it went in, read here as viewer/blocks.js reads it."""

import base64
import gzip
import json

import numpy as np

from cospeech import rotation, skeleton
from cospeech.body import mannequin
from cospeech.formats import blocks
from cospeech.motion import Motion


def unpack(block: str) -> tuple[dict, dict[str, np.ndarray]]:
    data = gzip.decompress(base64.b64decode(block))
    at = data.index(b"\n") + 1
    header, arrays = json.loads(data[:at]), {}
    for name, kind, count in header["arrays"]:
        size = np.dtype(kind).itemsize
        sorted_bytes = np.frombuffer(data, "u1", count * size, at).reshape(size, count)
        arrays[name] = np.ascontiguousarray(sorted_bytes.T).view("<" + kind)[:, 0]
        at += count * size
    assert at == len(data)
    return header["about"], arrays


def summed(steps: np.ndarray, num_frames: int) -> np.ndarray:
    return np.cumsum(steps.reshape(-1, num_frames), axis=-1, dtype=steps.dtype)


def test_a_motion_comes_back_to_a_hundredth_of_a_degree_and_of_a_millimetre(rng):
    poses = rng.normal(size=(40, 55, 3))  # rotations that jump from frame to frame, and so wrap around
    path = 300 * rng.normal(size=(40, 3))
    face = rng.uniform(size=(40, 52))
    motion = Motion(poses, path, fps=24, face=face)
    about, arrays = unpack(blocks.motion_block(motion))
    assert about == {"frames": 40, "fps": 24.0}
    x, y, z, w = summed(arrays["rotations"], 40).reshape(55, 4, 40).transpose(1, 2, 0) / 32767
    np.testing.assert_allclose(x**2 + y**2 + z**2 + w**2, 1, atol=2e-4)
    expected = rotation.axis_angle_to_quaternion(motion.poses.astype(np.float64))
    found = np.stack([w, x, y, z], axis=-1)
    same_sign = np.sign(np.sum(found * expected, axis=-1, keepdims=True))  # of q and -q, one rotation
    np.testing.assert_allclose(found, same_sign * expected, atol=2e-5)
    np.testing.assert_allclose(summed(arrays["translation"], 40).T / 1e5, motion.translation, atol=1e-5)
    np.testing.assert_allclose(summed(arrays["face"], 40).T / 255, motion.face, atol=0.002)


def test_neighbouring_rotations_never_take_the_long_way(rng):
    angle = np.linspace(0, 12, 200)  # twice around
    poses = np.zeros((200, 55, 3))
    poses[:, skeleton.INDEX["spine1"], 1] = angle
    _, arrays = unpack(blocks.motion_block(Motion(poses, np.zeros((200, 3)))))
    rows = summed(arrays["rotations"], 200).reshape(55, 4, 200).astype(int)
    assert np.abs(np.diff(rows, axis=-1)).max() < 32767 * 0.05


def test_no_face_no_block_of_it_and_no_frames_no_numbers():
    still = Motion(np.zeros((3, 55, 3)), np.zeros((3, 3)))
    assert "face" not in unpack(blocks.motion_block(still))[1]
    about, arrays = unpack(blocks.motion_block(still[0:0]))
    assert about["frames"] == 0
    assert all(array.size == 0 for array in arrays.values())


def test_a_body_comes_back_with_its_light_level_and_its_face():
    body = mannequin()
    about, arrays = unpack(blocks.body_block(body))
    assert about["bones"] == list(skeleton.JOINTS)
    np.testing.assert_allclose(arrays["vertices"].reshape(-1, 3) / 1e5, body.vertices, atol=6e-6)
    np.testing.assert_array_equal(arrays["faces"].reshape(-1, 3), body.faces)
    np.testing.assert_array_equal(arrays["colours"].reshape(-1, 3), body.colours)
    assert (arrays["weight_values"].reshape(-1, 4).sum(axis=1, dtype=int) == 65535).all()
    light = mannequin("light")
    faces = arrays["light_faces"].reshape(-1, 3)
    np.testing.assert_array_equal(body.vertices[faces], light.vertices[light.faces])

    deltas = np.zeros((52, len(body.vertices), 3))
    shape = np.repeat(np.arange(52), arrays["shape_counts"])
    deltas[shape, arrays["shape_vertices"]] = arrays["shape_deltas"].reshape(-1, 3) / 1e5
    np.testing.assert_allclose(deltas[:, body.face_shapes.vertices], body.face_shapes.deltas, atol=6e-6)
