"""ASF/AMC says where bones are: known answers on two bones, an independent recomputation, and the packed CMU clips."""

import os
from pathlib import Path

import numpy as np
import pytest

from cospeech import load_motion
from cospeech.errors import DataError
from cospeech.formats import asf
from cospeech.retarget import forward_kinematics
from cospeech.rotation import axis_angle_to_matrix

SKELETON = """# made up
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.5
  angle deg
:documentation
   two bones
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 1 0 0
     length 10
     axis 0 0 90 XYZ
     dof rx rz
     limits (-160.0 20.0)
            (-60.0 70.0)
  end
  begin
     id 2
     name lower
     direction 0 2 0
     length 5
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""
MOTION = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
upper 0 0
2
root 1 2 3 0 90 0
upper 90 0
"""
INCH = 0.0254 / 0.5


def files(folder: Path, motion: str = MOTION, skeleton: str | None = SKELETON) -> Path:
    if skeleton is not None:
        (folder / "07.asf").write_text(skeleton)
    (folder / "07_01.amc").write_text(motion)
    return folder / "07_01.amc"


def positions(path: Path) -> np.ndarray:
    found = asf.read(path)
    return forward_kinematics(found.rotations, found.positions[:, 0], np.array(found.parents), found.positions)[1]


def test_two_bones(tmp_path):
    found = asf.read(files(tmp_path))
    assert (found.names, found.parents) == (("root", "upper", "lower"), (-1, 0, 1))
    at = positions(tmp_path / "07_01.amc")
    np.testing.assert_allclose(at[:, :2], np.tile(np.array([1, 2, 3]) * INCH, (2, 2, 1)), atol=1e-7)
    np.testing.assert_allclose(at[0, 2], np.array([11, 2, 3]) * INCH, atol=1e-7)
    # The axis of "upper" is turned by 90 degrees about z, so that its own x is the world's y: it swings from x to -z,
    # and the root has turned by 90 degrees about y, which takes -z to -x.
    np.testing.assert_allclose(at[1, 2], np.array([-9, 2, 3]) * INCH, atol=1e-7)


def test_radians_are_the_same(tmp_path):
    expected = positions(files(tmp_path))
    motion = MOTION.replace(":DEGREES", ":RADIANS").replace("90", f"{np.pi / 2}")
    skeleton = SKELETON.replace("angle deg", "angle rad").replace("0 0 90 XYZ", f"0 0 {np.pi / 2} XYZ")
    np.testing.assert_allclose(positions(files(tmp_path, motion, skeleton)), expected, atol=1e-7)


def test_axes_in_another_order(tmp_path):
    x, y, z = (
        axis_angle_to_matrix(np.radians(angle) * axis) for angle, axis in zip((20, 30, 40), np.eye(3), strict=True)
    )
    turned = MOTION.replace("upper 90 0", "upper 50 0")
    for order, angles, axis in (("XYZ", "20 30 40", z @ y @ x), ("ZYX", "40 30 20", x @ y @ z)):
        path = files(tmp_path, turned, SKELETON.replace("0 0 90 XYZ", f"{angles} {order}"))
        local = axis_angle_to_matrix(np.radians(50) * np.eye(3)[0])
        np.testing.assert_allclose(asf.read(path).rotations[1, 1], axis @ local @ axis.T, atol=1e-7)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (":hierarchy", ":hierarch", "ASF file: no :hierarchy"),
        ("direction 1 0 0", "direction 1 0", "expected three numbers, found '1 0'"),
        ("direction 1 0 0", "direction 1 0 nan", "expected three numbers"),
        ("dof rx rz", "dof rx l", "unknown degree of freedom 'l'"),
        ("    upper lower\n", "", "bone lower is not both described"),
        ("    upper lower\n", "    upper lower toes\n", "bone toes is not both described"),
        ("name lower\n", "", "no name"),
        ("length 10", "length long", "could not convert"),
    ],
)
def test_a_damaged_skeleton_is_one_line(old, new, said, tmp_path):
    assert old in SKELETON
    path = files(tmp_path, skeleton=SKELETON.replace(old, new, 1))
    with pytest.raises(DataError, match=said) as raised:
        asf.read(path)
    assert str(tmp_path / "07.asf") in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("motion", "said"),
    [
        ("", "no frames"),
        (MOTION.replace("upper 90 0", "upper 90"), "line 9: not one row of 2 numbers a frame"),
        (MOTION.replace("upper 90 0\n", ""), "bone upper has 1 rows in 2 frames"),
        (MOTION.replace("upper 90 0\n", "upper 90 0\nupper 90 0\n"), "line 10: not one row"),
        (MOTION.replace("upper 90 0", "upper 90 nan"), "bone upper has NaN"),
        (MOTION.replace("upper 90 0", "upper 90 x"), "could not convert"),
        (MOTION.replace("upper 90 0", "elbow 90 0"), "line 9 names a bone 'elbow' that the skeleton has not"),
        ("root 1 2 3 0 0 0\n", "line 1: not one row"),
    ],
)
def test_a_damaged_motion_is_one_line(motion, said, tmp_path):
    with pytest.raises(DataError, match=said) as raised:
        asf.read(files(tmp_path, motion))
    assert "07_01.amc: not a readable AMC file of 07.asf" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_which_skeleton(tmp_path):
    path = files(tmp_path, skeleton=None)
    with pytest.raises(DataError, match=r"its skeleton is missing. Put the .asf file beside it, as 07_01\.asf"):
        asf.read(path)
    (tmp_path / "somebody.asf").write_text(SKELETON)
    assert len(asf.read(path)) == 2
    (tmp_path / "other.asf").write_text(SKELETON)
    with pytest.raises(DataError, match="its skeleton is missing"):
        asf.read(path)
    with pytest.raises(DataError, match=r"none\.amc: no such file"):
        asf.read(tmp_path / "none.amc")


def test_two_bones_are_no_person(tmp_path):
    with pytest.raises(DataError, match=r"07_01\.amc: neither the names \(root, upper, lower \.\.\.\) nor the tree"):
        load_motion(files(tmp_path))


# --- the real ones ----------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_raw_clips_of_cmu_are_the_packed_ones():
    folder = Path(os.environ["COSPEECH_DATA"], "cmu")
    with np.load(folder / "cmu_s01_s03_30fps.npz") as members:
        packed = {name: members[name] for name in members.files}
    raw = sorted((folder / "raw_asfamc").glob("*.amc"))
    assert len(raw) == 7
    for path in raw:
        clip = packed["clip_names"].tolist().index(path.stem)
        frames = slice(packed["clip_start"][clip], packed["clip_start"][clip] + packed["clip_len"][clip])
        _, expected = forward_kinematics(
            axis_angle_to_matrix(packed["poses"][frames].astype(float)),
            packed["trans"][frames],
            packed["parents"],
            packed["offsets"][packed["clip_subject"][clip]],
        )
        names = asf.read(path).names
        found = positions(path)[::4, [names.index(name) for name in packed["joint_names"].tolist()]]
        np.testing.assert_allclose(found, expected, atol=1e-6)  # metres
        motion = load_motion(path)
        assert motion.fps == 120
        assert "120 frames a second; a skeleton like that of CMU" in motion.metadata["assumed"]
