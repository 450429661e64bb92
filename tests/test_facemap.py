import zipfile

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
        ({"arkit_to_flame": np.zeros((52, 100), complex)}, "finite"),
        ({"arkit_to_flame": np.full((52, 100), "a")}, "finite"),
        ({"arkit_to_flame": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_what_is_no_map_is_refused(content, message, tmp_path):
    np.savez(tmp_path / "map.npz", **content)
    with pytest.raises(FormatError, match=message):
        FaceMap.load(tmp_path / "map.npz")


def test_files_that_are_no_archives(tmp_path):
    (tmp_path / "text.npz").write_bytes(b"not a zip")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "folder.npz").mkdir()
    np.save(tmp_path / "array.npy", np.zeros((52, 100)))
    np.savez(tmp_path / "cut.npz", arkit_to_flame=np.zeros((52, 100)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-300])
    for name in ("text.npz", "empty.npz", "folder.npz", "array.npy", "cut.npz", "missing.npz"):
        with pytest.raises(FormatError, match=name):
            FaceMap.load(tmp_path / name)


def test_a_small_file_that_claims_to_be_huge(tmp_path):
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive, archive.open("arkit_to_flame.npy", "w") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**20)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(FormatError, match=r"huge\.npz"):
        FaceMap.load(tmp_path / "huge.npz")
