import numpy as np
import pytest

from cospeech import humanml3d, load_motion, positions, save
from cospeech.body import joint_positions, mannequin
from cospeech.errors import DataError, FormatError, MotionError
from cospeech.motion import Motion
from cospeech.skeleton import REST_TRANSLATION
from cospeech.smoothing import smooth


@pytest.fixture
def motion(rng) -> Motion:
    poses = smooth(rng.normal(scale=0.8, size=(45, 55, 3)), 5.0)
    poses[:, 22:25] = 0
    return Motion(poses, REST_TRANSLATION + np.linspace([0, 0, 0], [0.3, 0, 0.5], 45))


def joints_of(motion: Motion) -> np.ndarray:
    return joint_positions(mannequin(), motion.poses, motion.translation)[:, positions.JOINTS]


@pytest.mark.parametrize("count", [22, 52])
def test_positions_become_a_motion_with_its_joints_there(motion, count, tmp_path):
    np.save(tmp_path / "rec.npy", joints_of(motion)[:, :count].astype(np.float32))
    read = load_motion(tmp_path / "rec.npy")
    assert read.fps == {22: 20, 52: 30}[count]
    assert f"{count} joints" in read.metadata["assumed"]
    np.testing.assert_allclose(joints_of(read)[:, :count], joints_of(motion)[:, :count], atol=1e-4)
    assert load_motion(tmp_path / "rec.npy", fps=25).fps == 25


def test_positions_are_written(motion, tmp_path):
    save(motion, tmp_path / "rec.npy")
    written = np.load(tmp_path / "rec.npy")
    assert (written.shape, written.dtype) == ((45, 52, 3), np.float32)
    np.testing.assert_allclose(written, joints_of(motion), atol=1e-5)


@pytest.mark.parametrize("count", [22, 52])
def test_vectors_of_humanml3d_are_read_as_well(motion, count, tmp_path):
    placed = humanml3d.placed(joints_of(motion)[:, :count])
    np.save(tmp_path / "vectors.npy", humanml3d.features(placed))
    read = load_motion(tmp_path / "vectors.npy")
    assert len(read) == 44
    np.testing.assert_allclose(joints_of(read)[:, :count], placed[:-1], atol=1e-4)


def test_other_files_say_their_frame_rate(motion, tmp_path):
    save(motion, tmp_path / "talk.npz")
    with pytest.raises(FormatError, match="says its frame rate"):
        load_motion(tmp_path / "talk.npz", fps=30)


def test_what_is_no_array_of_positions_is_one_line(tmp_path):
    path = tmp_path / "rec.npy"
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (9000000000, 22, 3), }".ljust(117) + "\n"
    for content, says in (
        (b"", "damaged header"),
        (b"PK\x03\x04" + bytes(50), "damaged header"),
        (b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode(), "more than a motion needs"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=says) as refusal:
            load_motion(path)
        assert "\n" not in str(refusal.value)
    for array, says in (
        (np.zeros((3, 24, 3)), "22 or 52"),
        (np.zeros((3, 260)), "263 or 623"),
        (np.full((3, 22, 3), np.inf), "NaN or infinity"),
        (np.array([["a"]]), "expected numbers"),
        (np.array({}, dtype=object), "pickled"),
    ):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(DataError, match=says):
            load_motion(path)
    with pytest.raises(DataError, match="no such file"):
        load_motion(tmp_path / "none.npy")
    np.save(path, joints_of(Motion(np.zeros((2, 55, 3)), np.zeros((2, 3)))))
    with pytest.raises((DataError, MotionError), match="fps"):
        load_motion(path, fps=-1)
