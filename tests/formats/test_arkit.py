"""ARKit tables: the header of Live Link Face to the letter, true times, weights and angles as plain readers find."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from readers import talking

from cospeech import rotation, skeleton
from cospeech.errors import CospeechWarning, FormatError
from cospeech.formats import arkit
from cospeech.motion import Motion

# As in recordings of the app.
HEADER = (
    "Timecode,BlendshapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,"
    "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,"
    "MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,"
    "MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,"
    "MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,"
    "BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


@pytest.fixture
def motion(rng) -> Motion:
    return talking(rng, 40)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_header_is_that_of_the_app(motion, tmp_path):
    arkit.write(motion, tmp_path / "talk.csv")
    assert (tmp_path / "talk.csv").read_text().splitlines()[0] == HEADER


def test_weights_are_found_by_name(motion, tmp_path):
    arkit.write(motion, tmp_path / "talk.csv")
    read = rows(tmp_path / "talk.csv")
    assert len(read) == 40
    assert {row["BlendshapeCount"] for row in read} == {"61"}
    for i, name in enumerate(skeleton.ARKIT):
        column = [float(row[name[0].upper() + name[1:]]) for row in read]
        np.testing.assert_allclose(column, motion.face[:, i], atol=1e-6)


def test_json_says_the_same_with_metadata(motion, tmp_path):
    arkit.write(motion, tmp_path / "talk.csv")
    arkit.write(motion, tmp_path / "talk.json")
    document = json.loads((tmp_path / "talk.json").read_text())
    assert document["names"] == list(skeleton.ARKIT)
    assert document["fps"] == 30
    assert document["metadata"] == dict(motion.metadata)
    np.testing.assert_allclose([frame["time"] for frame in document["frames"]], np.arange(40) / 30)
    np.testing.assert_allclose([frame["weights"] for frame in document["frames"]], motion.face, atol=1e-6)
    for row, frame in zip(rows(tmp_path / "talk.csv"), document["frames"], strict=True):
        for part, angles in (("Head", frame["head"]), ("LeftEye", frame["leftEye"]), ("RightEye", frame["rightEye"])):
            assert [float(row[part + angle]) for angle in ("Yaw", "Pitch", "Roll")] == angles


def test_angles_turn_head_and_eyes(motion, tmp_path):
    """Composed again by scipy they are the rotations of the motion, within a hundredth of a degree."""
    turn = pytest.importorskip("scipy.spatial.transform").Rotation
    arkit.write(motion, tmp_path / "talk.json")
    frames = json.loads((tmp_path / "talk.json").read_text())["frames"]
    local = {name: turn.from_rotvec(motion.poses[:, j]) for name, j in skeleton.INDEX.items()}
    expected = {
        "head": local["neck"] * local["head"],
        "leftEye": local["left_eye"],
        "rightEye": local["right_eye"],
    }
    for part, rotations in expected.items():
        angles = np.array([frame[part] for frame in frames])
        apart = turn.from_euler("YXZ", angles).inv() * rotations
        assert np.degrees(apart.magnitude()).max() < 0.01


def test_signs_of_the_angles(motion, tmp_path):
    poses = np.zeros((3, 55, 3))
    poses[:, skeleton.INDEX["head"]] = 0.2 * np.eye(3)[[1, 0, 2]]
    arkit.write(replace(motion[:0.1], poses=poses), tmp_path / "talk.json")
    frames = json.loads((tmp_path / "talk.json").read_text())["frames"]
    np.testing.assert_allclose([frame["head"] for frame in frames], 0.2 * np.eye(3), atol=1e-6)
    forward, up = np.eye(3)[2], np.eye(3)[1]
    yawed, pitched, rolled = rotation.axis_angle_to_matrix(poses[:, skeleton.INDEX["head"]])
    assert (yawed @ forward)[0] > 0  # to its left
    assert (pitched @ forward)[1] < 0  # down
    assert (rolled @ up)[0] < 0  # to its right


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 50, 60, 120])
def test_timecodes_are_true(fps, rng, tmp_path):
    arkit.write(talking(rng, 200, fps), tmp_path / "talk.csv")
    for t, row in enumerate(rows(tmp_path / "talk.csv")):
        hours, minutes, seconds, frames = (float(part) for part in row["Timecode"].split(":"))
        assert frames < round(fps)
        if round(fps) == fps:
            assert frames == t % fps
        time_s = 3600 * hours + 60 * minutes + seconds + frames / round(fps)
        assert time_s == pytest.approx(t / fps, abs=0.001 / fps)


def test_timecodes_of_an_hour():
    codes = list(arkit._timecodes(3601 * 25, 25))
    assert codes[25 * 60 + 3] == "00:01:00:03.000"
    assert codes[-1] == "01:00:00:24.000"


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_without_weights_jaw_open_alone_is_written_and_said(suffix, motion, tmp_path):
    poses = motion.poses.copy()
    poses[:, skeleton.JAW] = [skeleton.JAW_OPEN_RADIANS / 2, 0, 0]
    path = tmp_path / f"talk{suffix}"
    with pytest.warns(CospeechWarning, match=rf"talk\{suffix}: the motion has no ARKit weights: jawOpen is written"):
        arkit.write(replace(motion, poses=poses, face=None), path)
    if suffix == ".csv":
        shown = {name: float(value) for name, value in rows(path)[3].items() if name not in ("Timecode",)}
        assert shown.pop("JawOpen") == pytest.approx(0.5)
        assert not any(value for name, value in shown.items() if name[0].upper() + name[1:] in HEADER.split(",")[2:54])


def test_a_motion_without_a_moving_face_is_refused(motion, tmp_path):
    poses = motion.poses.copy()
    poses[:, skeleton.JAW] = 0
    with pytest.raises(FormatError, match=r"talk\.csv: this motion has no face.*--face-map"):
        arkit.write(replace(motion, poses=poses, face=None), tmp_path / "talk.csv")
    assert list(tmp_path.iterdir()) == []


def test_no_frames(motion, tmp_path):
    arkit.write(motion[:0], tmp_path / "talk.csv")
    assert (tmp_path / "talk.csv").read_text().splitlines() == [HEADER]
    arkit.write(motion[:0], tmp_path / "talk.json")
    assert json.loads((tmp_path / "talk.json").read_text())["frames"] == []
