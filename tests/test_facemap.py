import numpy as np
import pytest

from cospeech import skeleton
from cospeech.errors import FormatError
from cospeech.facemap import FaceMap
from cospeech.motion import Motion


@pytest.fixture
def matrices(rng):
    there = rng.normal(size=(52, 100)).astype(np.float32)
    return {"arkit_to_flame": there, "flame_to_arkit": np.linalg.pinv(there).astype(np.float32)}


@pytest.fixture
def motion(rng):
    return Motion(np.zeros((7, 55, 3)), np.zeros((7, 3))).with_face(rng.uniform(0, 1, (7, 52)))


def test_there_and_back(matrices, motion, tmp_path):
    np.savez(tmp_path / "map.npz", **matrices)
    mapping = FaceMap.load(tmp_path / "map.npz")
    flame = mapping.apply(motion)
    np.testing.assert_allclose(flame.expressions, motion.face @ matrices["arkit_to_flame"], rtol=1e-5)
    faceless = Motion(motion.poses, motion.translation, expressions=flame.expressions)
    back = mapping.apply(faceless)
    np.testing.assert_allclose(back.face, motion.face, atol=1e-4)
    jaw = 0.30 * back.face[:, skeleton.JAW_OPEN]
    np.testing.assert_allclose(back.poses[:, skeleton.JAW, 0], jaw, atol=1e-6)


def test_a_map_of_one_direction_says_what_it_lacks(matrices, motion, tmp_path):
    np.savez(tmp_path / "map.npz", flame_to_arkit=matrices["flame_to_arkit"])
    with pytest.raises(FormatError, match="arkit_to_flame"):
        FaceMap.load(tmp_path / "map.npz").apply(motion)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other": np.zeros(3)}, "arkit_to_flame or flame_to_arkit"),
        ({"arkit_to_flame": np.zeros((100, 52))}, r"\(52, 100\)"),
        ({"arkit_to_flame": np.full((52, 100), np.nan)}, "finite"),
        ({"arkit_to_flame": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_what_is_no_map_is_refused(content, message, tmp_path):
    np.savez(tmp_path / "map.npz", **content)
    with pytest.raises(FormatError, match=message):
        FaceMap.load(tmp_path / "map.npz")


def test_files_that_are_no_archives(tmp_path):
    (tmp_path / "map.npz").write_bytes(b"not a zip")
    for path in (tmp_path / "map.npz", tmp_path / "missing.npz"):
        with pytest.raises(FormatError, match=path.name):
            FaceMap.load(path)
