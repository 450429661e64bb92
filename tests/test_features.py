import numpy as np
import pytest

from cospeech import features, rotation, skeleton
from cospeech.errors import ConfigError


@pytest.fixture
def motion(rng):
    poses = rng.normal(size=(40, 55, 3)) * 0.5
    poses[:, skeleton.JAW] = [0.06, 0, 0]
    poses[:, [skeleton.LEFT_EYE, skeleton.RIGHT_EYE]] = 0
    translation = np.cumsum(rng.normal(size=(40, 3)) * 0.01, axis=0)
    face = rng.uniform(size=(40, 52))
    face[:, skeleton.JAW_OPEN] = 0.2
    return poses, translation, face


def test_published_widths():
    widths = {part: features.layout(part).channels for part in features.PARTS}
    assert widths == {"upper": 78, "hands": 180, "lower": 54, "lower_trans": 57, "face": 52}


def test_parts_cover_every_joint_but_jaw_and_eyes_once():
    joints = sorted(j for part in ("upper", "hands", "lower_trans") for j in features.layout(part).joints)
    assert joints == sorted(set(range(55)) - {skeleton.JAW, skeleton.LEFT_EYE, skeleton.RIGHT_EYE})


def test_encode_then_decode_gives_the_motion_back(motion):
    poses, translation, face = motion
    vectors = {part: features.encode(part, *motion) for part in ("upper", "hands", "lower_trans", "face")}
    poses_back, translation_back, face_back = features.decode(vectors)
    back, there = rotation.axis_angle_to_matrix(poses_back), rotation.axis_angle_to_matrix(poses)
    np.testing.assert_allclose(back, there, atol=1e-5)
    np.testing.assert_allclose(translation_back[:, 1], translation[:, 1], atol=1e-6)
    walked = translation - translation[0]
    np.testing.assert_allclose(translation_back[:, [0, 2]], walked[:, [0, 2]], atol=1e-5)
    np.testing.assert_allclose(face_back, face, atol=1e-6)


def test_long_motions_are_decoded_in_chunks(monkeypatch, motion):
    vectors = {part: features.encode(part, *motion) for part in ("upper", "hands", "lower_trans", "face")}
    whole = features.decode(vectors)
    monkeypatch.setattr(features, "_CHUNK", 7)
    for there, here in zip(whole, features.decode(vectors), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-6)


def test_translation_channels_follow_the_paper():
    walk = np.array([[1.0, 1.3, 0.0], [1.1, 1.2, -0.2], [1.3, 1.1, -0.3]])
    expected = [[0.1, 1.3, -0.2], [0.1, 1.2, -0.2], [0.2, 1.1, -0.1]]
    np.testing.assert_allclose(features.translation_to_channels(walk), expected, atol=1e-6)


def test_unknown_part_is_named():
    with pytest.raises(ConfigError, match="tail"):
        features.encode("tail", np.zeros((2, 55, 3)), np.zeros((2, 3)))
