"""Motion of other skeletons arrives as it was: whatever joints are called, however they rest, in whatever unit."""

import os
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import skeletons
from gestures import gesture_poses
from skeletons import Z_UP, about, all_along_x, hanging_arms

from cospeech import anatomy, load_motion, mocap, rigs, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.capture import Capture
from cospeech.data import bandai_namco
from cospeech.errors import CospeechWarning, DataError, MotionError
from cospeech.formats import bvh, npz
from cospeech.motion import Motion
from cospeech.retarget import forward_kinematics
from cospeech.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from cospeech.skeleton import INDEX, JOINTS, REST_TRANSLATION

FINGERS = [JOINTS[j] for j in skeleton.HANDS]
LIMBS = [
    [f"{side}_{joint}" for joint in limb]
    for side in ("left", "right")
    for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
]
MIXAMO = {
    **{ours: f"mixamorig:{theirs}" for ours, theirs in rigs.HUMAN_IK.joints.items()},
    **{"spine1": "mixamorig:Spine", "spine2": "mixamorig:Spine1", "spine3": "mixamorig:Spine2"},
    "neck": "mixamorig:Neck",
}
NAMELESS = {name: f"bone.{number:03d}" for number, name in enumerate(MIXAMO)}


@pytest.fixture(scope="module")
def gesture() -> Motion:
    """Slow and smooth, of the whole body and all fingers: elbows, knees and fingers bend the way they bend."""
    time, poses = np.arange(60)[:, None] / 30, gesture_poses()
    return Motion(poses, REST_TRANSLATION + time * [0.3, 0, 0.5] + [0, 0.02, 0] * np.sin(time))


def degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between rotations (..., 3, 3)."""
    return np.degrees(np.linalg.norm(matrix_to_axis_angle(np.swapaxes(a, -1, -2) @ b), axis=-1))


def transforms(motion: Motion):
    return joint_transforms(mannequin("light"), motion.poses.astype(float), motion.translation.astype(float))


def apart(motion: Motion, truth: Motion) -> dict[str, float]:
    """Joint -> degrees by which it is turned otherwise, at most; the heading of the first frame does not count."""
    found, true = transforms(motion).rotations, transforms(truth).rotations
    ahead = (found[0, 0] @ true[0, 0].T)[:, 2]
    heading = about("y", np.degrees(np.arctan2(ahead[0], ahead[2])))
    return {name: float(degrees(found[:, j], heading @ true[:, j]).max()) for name, j in INDEX.items()}


def check(motion: Motion, truth: Motion, most: float = 3.0, hands: bool = True) -> None:
    """Limbs point where they pointed, hands, feet, head and fingers are turned as they were, the body goes its way."""
    found, true = transforms(motion).positions, transforms(truth).positions
    turn = apart(motion, truth)
    for name in (
        "pelvis",
        "head",
        "left_ankle",
        "right_ankle",
        "left_wrist",
        "right_wrist",
        *(FINGERS if hands else []),
    ):
        assert turn[name] < most, (name, turn[name])
    for limb in LIMBS:
        for a, b in pairwise(INDEX[name] for name in limb):
            cosine = np.sum((found[:, b] - found[:, a]) * (true[:, b] - true[:, a]), axis=-1)
            assert cosine.min() > 0
    path, expected = (m.translation - m.translation[0] for m in (motion, truth))
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), np.linalg.norm(expected, axis=-1), atol=0.02)
    assert len(motion) == len(truth)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"frames": hanging_arms(45), "metres": 0.0254},
        {"frames": hanging_arms(85)},
        {"turn": Z_UP, "metres": 1.0},
        {"turn": about("y", 130)},
        {"frames": {name: about("y", 180) for name in JOINTS}},
    ],
    ids=["T pose", "A pose in inches", "hanging arms", "z up in metres", "walks elsewhere", "rests facing back"],
)
@pytest.mark.parametrize("names", [MIXAMO, NAMELESS], ids=["mixamo", "nameless"])
def test_it_arrives_as_it_was(options, names, gesture, tmp_path):
    motion = load_motion(skeletons.write(tmp_path / "take.bvh", gesture, names, **options))
    check(motion, gesture)
    assert motion.translation[0, [0, 2]].tolist() == [0, 0]
    said = motion.metadata["assumed"]
    assert ("Mixamo" in said) == (names is MIXAMO)
    assert ("z up" in said) == ("turn" in options and options["turn"] is Z_UP)
    assert {0.0254: "inches,", 1.0: "in metres"}.get(options.get("metres"), "centimetres") in said


@pytest.mark.parametrize("names", [MIXAMO, NAMELESS], ids=["mixamo", "nameless"])
def test_a_rest_pose_that_is_none(names, gesture, tmp_path):
    """Knuckles tell how hands are turned, the head is taken as upright on average; how bones twist is guessed."""
    motion = load_motion(skeletons.write(tmp_path / "take.bvh", gesture, names, all_along_x()))
    turn = apart(motion, gesture)
    assert max(turn[name] for name in ("left_wrist", "right_wrist", "pelvis", "head", "left_shoulder")) < 3
    assert max(turn[name] for name in ("left_elbow", "right_elbow", "left_knee", "right_knee", *FINGERS)) < 20
    assert "rest of head as they are on average" in motion.metadata["assumed"]


@pytest.mark.parametrize("rig", rigs.RIGS, ids=lambda rig: rig.name)
def test_every_table_names_a_skeleton(rig, gesture, tmp_path):
    names = dict(rig.joints)
    names.setdefault("spine3", "Chest9")
    names.setdefault("neck", "Neck9")
    path = skeletons.write(tmp_path / "take.bvh", gesture, names, hanging_arms(10))
    parsed = bvh.parse(path)
    named = rigs.by_name(parsed.names, parsed.parents)
    assert named.rig is rig
    for ours, theirs in names.items():
        assert parsed.names[named.joints[ours]] == theirs


@pytest.mark.parametrize(
    "spelling",
    [lambda n: f"Bob:{n}", lambda n: f"m_avg_{n}", str.upper, lambda n: n.replace("_", " "), lambda n: f"x:y:{n}"],
)
def test_spellings_of_names(spelling, gesture, tmp_path):
    names = {ours: spelling(theirs) for ours, theirs in rigs.SMPL.joints.items()}
    parsed = bvh.parse(skeletons.write(tmp_path / "take.bvh", gesture, names))
    assert rigs.by_name(parsed.names, parsed.parents).rig is rigs.SMPL


def test_what_a_skeleton_lacks_is_told(gesture, tmp_path):
    names = {ours: MIXAMO[ours] for ours in MIXAMO if ours not in (*FINGERS, "left_foot", "right_foot", "head")}
    motion = load_motion(skeletons.write(tmp_path / "take.bvh", gesture, names))
    assert "no head, left_foot, right_foot, fingers" in motion.metadata["assumed"]
    assert not motion.poses[:, skeleton.HANDS].any()


def test_our_own_skeleton_comes_back_and_in_another_rest_pose_is_retargeted(gesture, tmp_path):
    bvh.write(gesture, tmp_path / "ours.bvh")
    np.testing.assert_allclose(load_motion(tmp_path / "ours.bvh").poses, gesture.poses, atol=1e-5)
    names = {name: name for name in JOINTS}
    other = load_motion(skeletons.write(tmp_path / "other.bvh", gesture, names, hanging_arms(60)))
    check(other, gesture)


def test_the_rate(gesture, tmp_path):
    thin = replace(gesture, fps=120.0)
    path = skeletons.write(tmp_path / "take.bvh", thin, MIXAMO, promised=480)
    with pytest.warns(CospeechWarning, match=r"promises 480 frames and holds 60: .* its rate is near 15: say so"):
        assert load_motion(path).fps == 120
    assert load_motion(path, 15).fps == 15
    assert mocap.read(path, duration_s=4.1).fps == 15
    with pytest.raises(DataError, match=r"60 frames fit no usual frame rate in a recording of 3\.5 s"):
        mocap.read(path, duration_s=3.5)
    with pytest.raises(DataError, match="cannot have -3 frames"):
        load_motion(path, -3)
    # Where the header is consistent it is believed, whatever the recording.
    whole = skeletons.write(tmp_path / "whole.bvh", gesture, MIXAMO)
    assert mocap.read(whole, duration_s=4.1).fps == 30


@pytest.mark.parametrize("keep", ["legs", "arms", "chain"])
def test_what_is_no_person_is_refused(keep, gesture, tmp_path):
    limbs = {"legs": ("hip", "knee", "ankle"), "arms": ("shoulder", "elbow", "wrist"), "chain": ()}[keep]
    names = {
        ours: name for ours, name in NAMELESS.items() if ours.endswith(limbs) or not ours.startswith(("left", "r"))
    }
    path = skeletons.write(tmp_path / "take.bvh", gesture, names)
    with pytest.raises(DataError, match=r"take\.bvh: neither the names \(bone\.\d+, .* tell which is the left_hip"):
        load_motion(path)


def test_any_tree_is_known_or_refused(rng):
    """No crash, whatever hangs on what; half of the bones have no length, and some joints only twist."""
    for _ in range(300):
        count = int(rng.integers(1, 40))
        parents = tuple(int(rng.integers(max(0, j - 6), j)) if j else -1 for j in range(count))
        turns = rng.normal(0, 0.5, (5, count, 3)) * rng.integers(0, 2, (count, 1))
        offsets = rng.normal(0, 0.2, (count, 3)) * rng.integers(0, 2, (count, 1))
        places = np.tile(offsets, (5, 1, 1))
        capture = Capture(tuple(map(str, range(count))), parents, offsets, axis_angle_to_matrix(turns), places)
        with suppress(MotionError):
            assert len(mocap.to_motion(capture, 30)) == 5


def test_bones_without_a_length(gesture, tmp_path):
    path = skeletons.write(tmp_path / "take.bvh", gesture, MIXAMO)
    lines = path.read_text().splitlines()
    at = lines.index("JOINT mixamorig:LeftForeArm")
    lines[at + 2] = "OFFSET 0 0 0"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"take\.bvh: its left_shoulder and left_elbow are in one place"):
        load_motion(path)


def test_no_frames(gesture, tmp_path):
    path = skeletons.write(tmp_path / "take.bvh", gesture, MIXAMO)
    lines = path.read_text().splitlines()
    at = lines.index("MOTION")
    path.write_text("\n".join([*lines[: at + 1], "Frames: 0", lines[at + 2]]))
    with pytest.raises(DataError, match=r"take\.bvh: it holds no frames"):
        load_motion(path)


# --- the real ones ----------------------------------------------------------------------------------------------------


def data(*names: str) -> Path:
    return Path(os.environ["COSPEECH_DATA"], *names)


@pytest.mark.data
def test_beat_s_own_skeleton_moves_like_its_smplx_take():
    """Of this file legs and trunk are zero from the second row on, so arms and hands are compared, from the chest."""
    found = mocap.read(data("beat2_scott", "bvh_15fps", "2_scott_0_1_1.bvh"), duration_s=64.1)
    assert (found.fps, len(found)) == (15, 957)
    truth = npz.read(data("beat2_scott", "smplxflame_30", "2_scott_0_1_1.npz")).resample(15)
    count = min(len(found), len(truth))

    def from_chest(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        world = transforms(motion)
        chest = np.swapaxes(world.rotations[:count, INDEX["spine3"], None], -1, -2)
        places = world.positions[:count] - world.positions[:count, INDEX["neck"], None]
        return (chest @ places[..., None])[..., 0], chest @ world.rotations[:count]

    (at, turned), (true_at, true_turned) = from_chest(found), from_chest(truth)
    for name, most in (("shoulder", 6), ("elbow", 8), ("wrist", 9), ("index3", 11), ("pinky3", 11)):
        for side in ("left", "right"):
            j = INDEX[f"{side}_{name}"]
            error = 100 * np.linalg.norm(at[:, j] - true_at[:, j], axis=-1).mean()
            print(f"{side} {name}: {error:.1f} cm", end="; ")
            assert error < most
    for side in ("left", "right"):
        j = INDEX[f"{side}_wrist"]
        correlations = [np.corrcoef(at[:, j, k], true_at[:, j, k])[0, 1] for k in range(3)]
        off = np.median(degrees(turned[:, j], true_turned[:, j]))
        print(f"{side} wrist: r {np.round(correlations, 2)}, turned otherwise by {off:.0f} degrees", end="; ")
        assert min(correlations) > 0.9
        assert off < 25
        assert found.poses[:, [INDEX[f"{side}_{f}1"] for f in ("index", "middle", "ring")], 2].std(axis=0).min() > 0.05


@pytest.mark.data
def test_raw_files_of_bandai_namco_are_the_packed_clips():
    body = mannequin("light")
    raw = {path.stem: path for path in data("bandai_namco", "raw_bvh").glob("*.bvh")}
    assert len(raw) == 10
    for clip in bandai_namco.clips(data("bandai_namco"), body.joints):
        if path := raw.get(clip.id.removeprefix("bandai_namco/")):
            found = load_motion(path)
            turn = degrees(axis_angle_to_matrix(found.poses), axis_angle_to_matrix(clip.motion.poses))
            assert turn.max() < 1, clip.id
            np.testing.assert_allclose(found.translation, clip.motion.translation, atol=0.002)


@pytest.mark.data
def test_real_skeletons_are_known_without_their_names():
    """But for the neck of CMU, which has two, and for collars, which its table leaves out."""
    files = [*data("bandai_namco").rglob("*.bvh"), *data("cmu").rglob("*.bvh"), *data("beat2_scott").rglob("*.bvh")]
    assert len(files) == 15
    for path in files:
        capture = bvh.parse(path).capture()
        rotations = capture.rotations, capture.positions[:, 0], np.array(capture.parents), capture.positions
        turning = np.linalg.norm(matrix_to_axis_angle(capture.rotations), axis=-1).max(axis=0)
        found = anatomy.label(capture.parents, forward_kinematics(*rotations)[1], turning)
        named = rigs.by_name(capture.names, capture.parents)
        assert {ours for ours, j in named.joints.items() if found.get(ours) != j} <= {"neck"}, path
        assert {name for name in found if name not in named.joints} <= {"left_collar", "right_collar"}, path
