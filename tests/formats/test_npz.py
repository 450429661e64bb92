"""npz files have the keys of BEAT2, come back bit for bit, and bad ones are refused in one line."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cospeech import rotation, skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.errors import DataError
from cospeech.formats import npz
from cospeech.motion import Motion


@pytest.fixture
def motion(rng) -> Motion:
    return Motion(
        poses=rng.normal(0, 0.5, (7, 55, 3)),
        translation=rng.normal(0, 1, (7, 3)),
        fps=30,
        expressions=rng.normal(0, 1, (7, 100)),
        face=rng.random((7, 52)),
        betas=rng.normal(0, 1, 300),
        metadata={"model": "starter", "licence": "CC BY-NC 4.0", "seed": "3", "version": "0.1.0"},
    )


def assert_same(a: Motion, b: Motion) -> None:
    for name in ("poses", "translation", "expressions", "face", "betas"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.fps, dict(a.metadata)) == (b.fps, dict(b.metadata))


def test_a_motion_comes_back_bit_for_bit(motion, tmp_path):
    npz.write(motion, tmp_path / "talk.npz")
    assert_same(npz.read(tmp_path / "talk.npz"), motion)


def test_the_frame_rate_alone(motion, tmp_path):
    npz.write(motion, tmp_path / "talk.npz")
    assert npz.read_frame_rate(tmp_path / "talk.npz") == 30
    np.savez(tmp_path / "smplh.npz", mocap_framerate=59.5, poses=np.array([None]))
    assert npz.read_frame_rate(tmp_path / "smplh.npz") == 59.5
    np.savez(tmp_path / "none.npz", poses=np.zeros(3))
    with pytest.raises(DataError, match="no frame rate"):
        npz.read_frame_rate(tmp_path / "none.npz")


def test_without_a_face_it_comes_back_without_one(motion, tmp_path):
    npz.write(Motion(motion.poses, motion.translation, fps=29.97), tmp_path / "talk.npz")
    back = npz.read(tmp_path / "talk.npz")
    assert back.face is None
    assert back.fps == 29.97
    npz.write(motion[:0], tmp_path / "empty.npz")
    assert len(npz.read(tmp_path / "empty.npz")) == 0


def test_the_same_motion_gives_the_same_bytes(motion, tmp_path):
    npz.write(motion, tmp_path / "a.npz")
    npz.write(motion, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_keys_shapes_and_types_are_those_of_beat2(motion, tmp_path):
    npz.write(motion, tmp_path / "talk.npz")
    with np.load(tmp_path / "talk.npz", allow_pickle=False) as file:
        found = {key: (file[key].dtype.str, file[key].shape) for key in file.files}
        assert file["mocap_frame_rate"] == 30
    beat2 = {
        "betas": ("<f4", (300,)),
        "poses": ("<f4", (7, 165)),
        "expressions": ("<f8", (7, 100)),
        "trans": ("<f8", (7, 3)),
        "model": ("<U9", ()),
        "gender": ("<U7", ()),
        "mocap_frame_rate": ("<i4", ()),
    }
    assert {key: found[key] for key in beat2} == beat2


@pytest.mark.data
def test_the_beat2_minute(tmp_path):
    path = Path(os.environ["COSPEECH_DATA"]) / "beat2_scott" / "smplxflame_30" / "2_scott_0_1_1.npz"
    motion = npz.read(path)
    assert (len(motion), motion.fps) == (1906, 30)
    assert motion.translation[:, 1].mean() == pytest.approx(1.3, abs=0.1)
    npz.write(motion, tmp_path / "again.npz")
    with np.load(path) as theirs, np.load(tmp_path / "again.npz") as ours:
        for key in theirs.files:
            assert ours[key].dtype == theirs[key].dtype
            assert ours[key].shape == theirs[key].shape
            if theirs[key].dtype.kind == "f":
                np.testing.assert_allclose(ours[key], theirs[key], atol=1e-6)


def test_amass_is_turned_from_z_up_to_y_up(tmp_path):
    # A body standing at (1, 2) of a z-up floor, facing -y: in AMASS its root is turned 90 degrees about x.
    poses = np.zeros((2, 165))
    poses[:, 0] = np.pi / 2
    pelvis = np.array([1.0, 2.0, 0.95])
    np.savez(
        tmp_path / "amass.npz",
        poses=poses,
        trans=np.tile(pelvis - skeleton.REST_PELVIS, (2, 1)),
        betas=np.ones(16),
        gender="female",
        mocap_frame_rate=120.0,
        surface_model_type="smplx",
    )
    motion = npz.read(tmp_path / "amass.npz")
    np.testing.assert_allclose(motion.poses, 0, atol=1e-6)
    np.testing.assert_allclose(motion.translation + skeleton.REST_PELVIS, [[1, 0.95, -2]] * 2, atol=1e-6)
    np.testing.assert_array_equal(motion.betas, [1] * 16 + [0] * 284)
    assert motion.fps == 120
    assert "z up" in motion.metadata["assumed"]
    assert motion.metadata["gender"] == "female"


@pytest.mark.parametrize("layout", ["amass", "amass-smplh"])
def test_what_is_written_as_amass_is_read_as_it_was(layout, motion, tmp_path):
    npz.write(motion, tmp_path / "talk.npz", layout=layout)
    back = npz.read(tmp_path / "talk.npz")
    joints = list(range(55)) if layout == "amass" else [j for j in range(55) if j not in (22, 23, 24)]
    np.testing.assert_allclose(
        rotation.axis_angle_to_matrix(back.poses[:, joints]),
        rotation.axis_angle_to_matrix(motion.poses[:, joints]),
        atol=1e-5,
    )
    np.testing.assert_allclose(back.translation, motion.translation, atol=1e-6)
    assert back.fps == 30
    assert "z up" in back.metadata["assumed"]
    assert back.metadata["model"] == "starter"
    np.testing.assert_array_equal(back.betas[:16], motion.betas[:16] if layout == "amass" else 0)


@pytest.mark.parametrize("layout", ["amass", "amass-smplh"])
def test_joints_of_amass_are_those_of_the_body_lain_on_its_back(layout, motion, tmp_path):
    """By the arithmetic that AMASS's own tools do: rest joints of the model, `trans`, nothing known of y up."""
    npz.write(motion, tmp_path / "talk.npz", layout=layout)
    with np.load(tmp_path / "talk.npz", allow_pickle=False) as file:
        poses, trans = file["poses"], file["trans"]
    rest = mannequin("light").joints.astype(float)
    kept = list(range(55)) if layout == "amass" else [j for j in range(55) if j not in (22, 23, 24)]
    if layout == "amass-smplh":  # whose pelvis rests elsewhere
        rest = rest - rest[0] + [-0.0018, -0.2233, 0.0282]
    assert poses.shape == (7, 3 * len(kept))
    full = np.zeros((7, 55, 3))
    full[:, kept] = poses.reshape(7, -1, 3)
    z_up = joint_positions(replace(mannequin("light"), joints=rest), full, trans)[:, kept]
    y_up = joint_positions(mannequin("light"), motion.poses.astype(float), motion.translation.astype(float))[:, kept]
    np.testing.assert_allclose(z_up, np.stack([y_up[..., 0], -y_up[..., 2], y_up[..., 1]], axis=-1), atol=1e-5)


def test_keys_of_amass(motion, tmp_path):
    npz.write(motion, tmp_path / "x.npz", layout="amass")
    npz.write(motion, tmp_path / "h.npz", layout="amass-smplh")
    with np.load(tmp_path / "x.npz") as x, np.load(tmp_path / "h.npz") as h:
        parts = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
        np.testing.assert_array_equal(np.concatenate([x[part] for part in parts], axis=1), x["poses"])
        assert [x[f"pose_{part}"].shape[1] for part in ("body", "jaw", "eye", "hand")] == [63, 3, 6, 90]
        assert (str(x["surface_model_type"]), str(x["gender"])) == ("smplx", "neutral")
        assert float(x["mocap_frame_rate"]) == 30
        assert (x["betas"].shape, h["betas"].shape, h["dmpls"].shape) == ((16,), (16,), (7, 8))
        assert float(h["mocap_framerate"]) == 30


def test_amass_smplh_joints_find_their_names(tmp_path, rng):
    poses = rng.normal(0, 0.3, (3, 52, 3)).astype(np.float32)
    np.savez(
        tmp_path / "smplh.npz",
        poses=poses.reshape(3, 156),
        trans=np.zeros((3, 3)),
        betas=np.ones(16),
        dmpls=np.zeros((3, 8)),
        gender=b"male",
        mocap_framerate=60.0,
    )
    motion = npz.read(tmp_path / "smplh.npz")
    np.testing.assert_array_equal(motion.poses[:, skeleton.INDEX["right_wrist"]], poses[:, 21])
    np.testing.assert_array_equal(motion.poses[:, skeleton.INDEX["left_index1"]], poses[:, 22])
    np.testing.assert_array_equal(motion.poses[:, skeleton.INDEX["right_thumb3"]], poses[:, 51])
    np.testing.assert_array_equal(motion.poses[:, skeleton.JAW], 0)
    up = rotation.axis_angle_to_matrix(motion.poses[:, 0])
    np.testing.assert_allclose(up, npz._AMASS_TO_Y_UP @ rotation.axis_angle_to_matrix(poses[:, 0]), atol=1e-6)
    assert motion.metadata["gender"] == "male"
    np.testing.assert_array_equal(motion.betas, 0)


def test_face_columns_are_found_by_name(motion, tmp_path):
    npz.write(motion, tmp_path / "talk.npz")
    with np.load(tmp_path / "talk.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "b.npz", **{**arrays, "face": motion.face[:, ::-1], "face_names": skeleton.ARKIT[::-1]})
    np.testing.assert_array_equal(npz.read(tmp_path / "b.npz").face, motion.face)


def changed(**changes):
    arrays = {
        "poses": np.zeros((4, 165)),
        "trans": np.zeros((4, 3)),
        "mocap_frame_rate": 30,
        "expressions": np.zeros((4, 100)),
    }
    arrays.update(changes)
    return {key: value for key, value in arrays.items() if value is not None}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (changed(poses=None), "no array `poses`"),
        (changed(trans=None), "no array `trans`"),
        (changed(mocap_frame_rate=None), "no frame rate"),
        (changed(mocap_frame_rate=0), "expected one positive number"),
        (changed(mocap_frame_rate=np.inf), "expected one positive number"),
        (changed(mocap_frame_rate="thirty"), "expected numbers"),
        (changed(poses=np.zeros((4, 72))), r"shape \(4, 72\)"),
        (changed(poses=np.float32(1)), r"shape \(\)"),
        (changed(poses=np.full((4, 165), "x")), "expected numbers"),
        (changed(poses=np.full((4, 165), np.nan)), "NaN or infinity"),
        (changed(trans=np.zeros((5, 3))), r"`trans` has shape \(5, 3\)"),
        (changed(expressions=np.zeros((3, 100))), "`expressions` has shape"),
        (changed(expressions=np.zeros((4, 101))), "`expressions` has shape"),
        (changed(betas=np.zeros(301)), "`betas` has shape"),
        (changed(poses=np.array([None] * 4)), "pickled Python objects"),
        (changed(metadata="[1]"), "not a JSON object"),
        (changed(face=np.zeros((4, 52)), face_names=["jawOpen"] * 52), "not the 52 ARKit shapes"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arrays, said, tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=said) as raised:
        npz.read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_archive_is_refused(motion, tmp_path):
    whole = tmp_path / "whole.npz"
    npz.write(motion, whole)
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:-500])
    damaged = bytearray(whole.read_bytes())
    damaged[3000:3100] = bytes(100)
    (tmp_path / "damaged.npz").write_bytes(damaged)
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("poses.npy", "not an array")
    for name in ("text", "empty", "cut", "damaged", "array", "other", "missing"):
        with pytest.raises(DataError, match=name):
            npz.read(tmp_path / f"{name}.npz")
    with pytest.raises(DataError, match="directory"):
        npz.read(tmp_path)


@pytest.mark.parametrize("shape", ["(1000000000, 165)", "(-1, 165)", "(1000000, 165)", "{m", "'", "08", "(2.5,)"])
def test_a_header_that_lies_cannot_fill_the_memory(shape, tmp_path):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("poses.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(1000))
    with pytest.raises(DataError, match=r"more than a motion needs|cut short|damaged header"):
        npz.read(tmp_path / "bomb.npz")
