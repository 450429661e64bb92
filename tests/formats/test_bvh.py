"""BVH files say what the motion says: to an independent reader, to plain recomputation, and to our own reader."""

import math
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cospeech import mocap, rigs, rotation, skeleton
from cospeech.body import JointTransforms, joint_positions, joint_transforms, mannequin
from cospeech.errors import CospeechWarning, DataError
from cospeech.formats import bvh, npz
from cospeech.motion import Motion


def gestures(rng, num_frames: int, fps: float = 30) -> Motion:
    """Smooth, large rotations of every joint, arms through gimbal lock and the pelvis through whole turns."""
    time = np.arange(num_frames)[:, None, None] / fps
    poses = 0.8 * np.sin(2 * time * rng.uniform(0.2, 1, (1, 55, 3)) + rng.uniform(0, 6, (1, 55, 3)))
    poses[:, skeleton.INDEX["left_elbow"]] = [2.5, 0, 0] * np.sin(time[:, 0])
    poses[:, 0] = rotation.quaternion_to_axis_angle(rotation.axis_angle_to_quaternion([0.0, 3.0, 0.0] * time[:, 0]))
    return Motion(poses, skeleton.REST_TRANSLATION + np.sin(time[:, 0] + [0.0, 1.0, 2.0]) * 0.3, fps=fps)


@pytest.fixture
def motion(rng) -> Motion:
    return gestures(rng, 90)


def plain_forward_kinematics(path: Path, frame: int) -> dict[str, np.ndarray]:
    """World positions in the file's unit, straight from the text, one sine at a time."""
    lines = [line.split() for line in path.read_text().splitlines()]
    motion_at = lines.index(["MOTION"])
    numbers = iter([float(word) for word in lines[motion_at + 3 + frame]])
    stack, world, names = [np.eye(4)], {}, []
    for words in lines[:motion_at]:
        if words[0] in ("ROOT", "JOINT", "End"):
            names.append(words[1])
        elif words[0] == "OFFSET":
            local = np.eye(4)
            local[:3, 3] = [float(word) for word in words[1:]]
            stack.append(stack[-1] @ local)
        elif words[0] == "CHANNELS":
            for channel in words[2:]:
                value, local = next(numbers), np.eye(4)
                a, b = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[channel[0]]
                if channel.endswith("position"):
                    local["XYZ".index(channel[0]), 3] = value
                else:
                    c, s = math.cos(math.radians(value)), math.sin(math.radians(value))
                    local[a, a], local[a, b], local[b, a], local[b, b] = c, -s, s, c
                stack[-1] = stack[-1] @ local
        elif words[0] == "}":
            world[names.pop()] = stack.pop()[:3, 3]
    assert next(numbers, None) is None
    return world


def test_recomputed_joints_are_those_of_the_body(motion, tmp_path):
    bvh.write(motion, tmp_path / "talk.bvh")
    expected = joint_positions(mannequin("light"), motion.poses.astype(float), motion.translation.astype(float))
    for frame in (0, 44, 89):
        world = plain_forward_kinematics(tmp_path / "talk.bvh", frame)
        for j, name in enumerate(skeleton.JOINTS):
            np.testing.assert_allclose(world[name] / 100, expected[frame, j], atol=2e-5)


def test_an_independent_reader_finds_the_joints_within_a_tenth_of_a_millimetre(motion, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bvhio = pytest.importorskip("bvhio")
        bvh.write(motion, tmp_path / "talk.bvh")
        root = bvhio.readAsHierarchy(str(tmp_path / "talk.bvh"))
    expected = joint_positions(mannequin("light"), motion.poses, motion.translation)
    for frame in (0, 37, 89):
        root.loadPose(frame)
        found = {joint.Name: np.array(joint.PositionWorld) / 100 for joint, _, _ in root.layout()}
        assert set(found) >= set(skeleton.JOINTS)
        for j, name in enumerate(skeleton.JOINTS):
            np.testing.assert_allclose(found[name], expected[frame, j], atol=1e-4)


@pytest.mark.parametrize("layout", ["mixamo", "beat"])
def test_other_names_say_the_same(layout, motion, assert_joints_agree, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bvhio = pytest.importorskip("bvhio")
        bvh.write(motion, tmp_path / "talk.bvh", layout=layout)
        root = bvhio.readAsHierarchy(str(tmp_path / "talk.bvh"))
    expected = joint_transforms(mannequin("light"), motion.poses.astype(float), motion.translation.astype(float))
    names = rigs.WRITTEN[layout]
    joints = [skeleton.INDEX[name] for name in names]
    found = {joint.Name: joint for joint, _, _ in root.layout()}
    assert found.keys() == set(names.values())

    def turned() -> np.ndarray:
        return rotation.quaternion_to_matrix(np.array([[*found[name].RotationWorld] for name in names.values()]))

    root.loadRestPose(recursive=True)
    at_rest = turned()  # the reader lays y of each joint along its bone
    for frame in (0, 37, 89):
        root.loadPose(frame)
        assert_joints_agree(
            np.array([found[name].PositionWorld for name in names.values()]) / 100,
            turned() @ at_rest.swapaxes(-1, -2),
            JointTransforms(expected.rotations[frame, joints], expected.positions[frame, joints]),
        )


def test_names_of_mixamo_and_beat(motion, tmp_path):
    for layout in ("mixamo", "beat"):
        bvh.write(motion, tmp_path / f"{layout}.bvh", layout=layout)
    mixamo, beat = bvh.parse(tmp_path / "mixamo.bvh"), bvh.parse(tmp_path / "beat.bvh")
    assert mixamo.names[0] == "mixamorig:Hips"
    parent = {name: mixamo.names[above] for name, above in zip(mixamo.names, mixamo.parents, strict=True) if above >= 0}
    assert parent["mixamorig:LeftHandThumb1"] == "mixamorig:LeftHand"
    assert parent["mixamorig:Spine2"] == "mixamorig:Spine1"
    assert parent["mixamorig:LeftShoulder"] == parent["mixamorig:Neck"] == "mixamorig:Spine2"
    assert set(beat.names) == {name.removeprefix("mixamorig:") for name in mixamo.names} - {"Spine2"} | {"Spine3"}
    assert len(beat.names) == 52  # all but jaw and eyes


@pytest.mark.data
def test_names_of_beat_are_those_of_beat(motion, tmp_path):
    bvh.write(motion, tmp_path / "talk.bvh", layout="beat")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CospeechWarning)
        theirs = bvh.parse(Path(os.environ["COSPEECH_DATA"]) / "beat2_scott" / "bvh_15fps" / "2_scott_0_1_1.bvh")
    assert set(bvh.parse(tmp_path / "talk.bvh").names) <= set(theirs.names)


@pytest.mark.parametrize("layout", ["mixamo", "beat"])
def test_files_with_other_names_are_retargeted_back(layout, motion, tmp_path):
    bvh.write(motion, tmp_path / "talk.bvh", layout=layout)
    back = mocap.read(tmp_path / "talk.bvh")
    assert "Mixamo" in back.metadata["assumed"]
    assert len(back) == 90


def test_it_comes_back_as_the_same_motion(motion, tmp_path):
    bvh.write(motion, tmp_path / "talk.bvh")
    back = bvh.read(tmp_path / "talk.bvh")
    assert (len(back), back.fps) == (90, 30.0)
    np.testing.assert_allclose(
        rotation.axis_angle_to_matrix(back.poses), rotation.axis_angle_to_matrix(motion.poses), atol=2e-6
    )
    np.testing.assert_allclose(back.translation, motion.translation, atol=1e-6)


@pytest.mark.parametrize("fps", [15, 24, 29.97, 30, 59.94, 60, 120])
def test_frame_time_is_true(fps, motion, tmp_path):
    bvh.write(Motion(motion.poses, motion.translation, fps=fps), tmp_path / "talk.bvh")
    assert bvh.read(tmp_path / "talk.bvh").fps == pytest.approx(fps, rel=1e-8)


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_the_shortest_motions(num_frames, motion, tmp_path):
    short = Motion(motion.poses[:num_frames], motion.translation[:num_frames])
    bvh.write(short, tmp_path / "talk.bvh")
    assert len(bvh.read(tmp_path / "talk.bvh")) == num_frames


def slow_nearest_angles(matrices: np.ndarray) -> np.ndarray:
    """(T, 3, 3) -> (T, 3): frame after frame the nearest of all triples within two turns."""
    turns = np.stack(np.meshgrid(*[np.arange(-3, 4) * 2 * np.pi] * 3), -1).reshape(-1, 3)
    result = []
    for m in matrices:
        z, x, y = math.atan2(-m[0, 1], m[1, 1]), math.asin(m[2, 1]), math.atan2(-m[2, 0], m[2, 2])
        triples = np.concatenate([np.add([z, x, y], turns), np.add([z + np.pi, np.pi - x, y + np.pi], turns)])
        before = result[-1] if result else np.zeros(3)
        best = triples[((triples - before) ** 2).sum(1).argmin()] if result else np.array([z, x, y])
        result.append(best)
    return np.array(result)


def test_angles_are_the_nearest_to_the_frame_before(rng):
    matrices = rotation.axis_angle_to_matrix(gestures(rng, 60).poses.astype(float))
    angles = bvh.euler_zxy(matrices)
    for j in (0, 5, 18, 40):
        np.testing.assert_allclose(angles[:, j], slow_nearest_angles(matrices[:, j]), atol=1e-9)


def test_a_full_turn_does_not_flip(rng):
    time = np.linspace(0, 4 * np.pi, 400)
    for axis in np.eye(3):
        matrices = rotation.axis_angle_to_matrix((time[:, None] * axis)[:, None])
        angles = bvh.euler_zxy(matrices)
        assert np.abs(np.diff(angles, axis=0)).max() < 0.04
        assert np.abs(angles[-1] - angles[0]).max() == pytest.approx(4 * np.pi, abs=1e-6)


@pytest.mark.parametrize("x", [np.pi / 2, -np.pi / 2])
def test_gimbal_lock_keeps_the_rotation(x):
    turn = np.array([[[0.4, 0, 0]], [[0.9, 0, 0]]])  # about z, before
    matrices = rotation.axis_angle_to_matrix(turn[..., [1, 2, 0]]) @ rotation.axis_angle_to_matrix(
        np.array([x, 0.0, 0.0])
    )
    angles = bvh.euler_zxy(matrices)
    z, x, y = (angles[..., i : i + 1] for i in range(3))
    again = (
        rotation.axis_angle_to_matrix(z * [0, 0, 1])
        @ rotation.axis_angle_to_matrix(x * [1, 0, 0])
        @ rotation.axis_angle_to_matrix(y * [0, 1, 0])
    )
    np.testing.assert_allclose(again, matrices, atol=1e-7)


@pytest.mark.data
def test_no_channel_of_the_beat2_minute_jumps(tmp_path):
    motion = npz.read(Path(os.environ["COSPEECH_DATA"]) / "beat2_scott" / "smplxflame_30" / "2_scott_0_1_1.npz")
    angles = bvh.euler_zxy(rotation.axis_angle_to_matrix(motion.poses.astype(float)))
    assert np.rad2deg(np.abs(np.diff(angles, axis=0)).max()) < 20.4
    bvh.write(motion, tmp_path / "talk.bvh")
    back = bvh.read(tmp_path / "talk.bvh")
    np.testing.assert_allclose(
        joint_positions(mannequin("light"), back.poses, back.translation),
        joint_positions(mannequin("light"), motion.poses, motion.translation),
        atol=1e-5,
    )


@pytest.mark.data
def test_files_of_other_programs_are_parsed_and_called_other_skeletons():
    files = sorted(Path(os.environ["COSPEECH_DATA"]).rglob("*.bvh"))
    assert files
    for path in files:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CospeechWarning)  # a file of BEAT promises frames it does not have
            parsed = bvh.parse(path)
            with pytest.raises(DataError, match="Retarget"):
                bvh.read(path)
        assert len(parsed.names) > 20
        assert 10 < parsed.fps < 130


def test_joints_and_channels_may_come_in_another_order(motion, tmp_path):
    bvh.write(motion, tmp_path / "talk.bvh")
    lines = (tmp_path / "talk.bvh").read_text().splitlines()
    at = lines.index("MOTION") + 3
    swapped = []
    for line in lines[at:]:
        numbers = line.split()
        numbers[:3] = reversed(numbers[:3])
        swapped.append(" ".join(numbers))
    assert "CHANNELS" in lines[4]
    root = lines[4].replace("Xposition Yposition Zposition", "zposition yposition xposition").upper()
    (tmp_path / "other.bvh").write_text("\r\n".join([*lines[:4], root, *lines[5:at], *swapped]))
    np.testing.assert_allclose(
        bvh.read(tmp_path / "other.bvh").translation, bvh.read(tmp_path / "talk.bvh").translation
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("HIERARCHY", "", "does not begin with HIERARCHY"),
        ("left_thumb3", "Thumb", "is of another skeleton, without a joint left_thumb3"),
        ("MOTION", "", "not a readable BVH file"),
        ("Frames: 90", "Frames: 89", "89 frames of 168 channels promised"),
        ("Frames: 90", "Frames: many", "not a readable BVH file"),
        ("Frame Time: 0.0333333333", "Frame Time: 0", "0.0 seconds"),
        ("Zrotation", "Wrotation", "unknown channel"),
        ("0.000000", "nan", "NaN or infinite"),
        ("JOINT left_hip", "BONE left_hip", "unexpected 'BONE'"),
    ],
)
def test_a_damaged_file_is_refused(old, new, said, motion, tmp_path):
    bvh.write(motion, tmp_path / "talk.bvh")
    text = (tmp_path / "talk.bvh").read_text()
    assert old in text
    (tmp_path / "bad.bvh").write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=said) as raised:
        bvh.read(tmp_path / "bad.bvh")
    assert str(tmp_path / "bad.bvh") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_another_rest_pose_is_refused(motion, tmp_path):
    body = mannequin("light")
    a_pose = motion.poses[:1] * 0
    a_pose[0, skeleton.INDEX["left_shoulder"]] = [0, 0, -0.9]
    joints = joint_positions(body, a_pose, motion.translation[:1] * 0)[0]
    bvh.write(motion, tmp_path / "a.bvh", replace(body, joints=joints))
    with pytest.raises(DataError, match="not a T pose"):
        bvh.read(tmp_path / "a.bvh")


def test_of_a_file_cut_short_the_whole_frames_are_used_with_one_warning(motion, tmp_path):
    bvh.write(motion, tmp_path / "whole.bvh")
    lines = (tmp_path / "whole.bvh").read_text().splitlines()
    (tmp_path / "cut.bvh").write_text("\n".join(lines[:-10])[:-50])
    with pytest.warns(CospeechWarning, match="promises 90 frames and holds 79"):
        back = bvh.read(tmp_path / "cut.bvh")
    np.testing.assert_array_equal(back.poses, bvh.read(tmp_path / "whole.bvh").poses[:79])


def test_what_is_no_bvh_is_refused(motion, tmp_path):
    bvh.write(motion, tmp_path / "whole.bvh")
    (tmp_path / "cut_early.bvh").write_bytes((tmp_path / "whole.bvh").read_bytes()[:500])
    (tmp_path / "binary.bvh").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "empty.bvh").write_bytes(b"")
    for name in ("cut_early", "binary", "empty", "missing"):
        with pytest.raises(DataError, match=name):
            bvh.read(tmp_path / f"{name}.bvh")
    with pytest.raises(DataError, match="directory"):
        bvh.read(tmp_path)
