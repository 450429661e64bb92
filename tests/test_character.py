"""Motion on characters of the user's: joints are where ours are or where proportions put them, whatever the rig."""

import contextlib
import json
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import characters
import numpy as np
import pytest
import skeletons
from characters import A_POSE, ANY_POSE, BAKED, BROAD, CHILD, LONG_ARMS, LONG_FOREARMS, T_POSE, Played
from gestures import gesture_poses

from cospeech import character, files, load_motion, rigs, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.errors import DataError, FormatError
from cospeech.motion import Motion
from cospeech.recipes import bench_characters
from cospeech.rotation import axis_angle_to_quaternion
from cospeech.skeleton import INDEX, JOINTS, REST_TRANSLATION

SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
BODY = JOINTS[:22]
MIXAMO = {
    **{name: f"mixamorig:{theirs}" for name, theirs in rigs.HUMAN_IK.joints.items()},
    **{
        "spine1": "mixamorig:Spine",
        "spine2": "mixamorig:Spine1",
        "spine3": "mixamorig:Spine2",
        "neck": "mixamorig:Neck",
    },
}
UNREAL = {**rigs.UNREAL.joints, "spine1": "spine_01", "spine2": "spine_02", "spine3": "spine_03"}
RIGIFY = {**rigs.RIGIFY.joints, "spine1": "spine.001", "spine2": "spine.002", "spine3": "spine.003"}
BIPED = {
    name: f"Bip001 {theirs}"
    for name, theirs in {**rigs.BIPED.joints, "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2"}.items()
}
VROID = {**rigs.VROID.joints, "spine1": "J_Bip_C_Spine", "spine2": "J_Bip_C_Chest", "spine3": "J_Bip_C_UpperChest"}
NAMELESS = {name: f"bone.{number:03d}" for number, name in enumerate(JOINTS) if "eye" not in name and name != "jaw"}
SKETCHFAB = {name: f"{theirs}_{number:02d}" for number, (name, theirs) in enumerate(MIXAMO.items())}
CONVENTIONS = {
    "mixamo": MIXAMO,
    "unreal": UNREAL,
    "rigify": RIGIFY,
    "biped": BIPED,
    "vroid": VROID,
    "smpl": rigs.SMPL.joints,
    "smplx": {name: name for name in JOINTS},
    "sketchfab": SKETCHFAB,
    "nameless": NAMELESS,
}


def in_order(names: dict[str, str]) -> dict[str, str]:
    return {name: names[name] for name in JOINTS if name in names}


@pytest.fixture(scope="module")
def gesture() -> Motion:
    """Slow and smooth, of the whole body and all fingers; one foot stands, hands meet in the middle of it."""
    time, poses = np.arange(60)[:, None] / 30, gesture_poses()
    face = np.zeros((60, 52))
    face[:, skeleton.JAW_OPEN] = np.linspace(0, 1, 60)
    face[:, skeleton.ARKIT_INDEX["eyeBlinkLeft"]] = 0.5
    motion = Motion(poses, REST_TRANSLATION + time * [0.3, 0, 0.5] - [0, 0.03, 0], face=face)
    return replace(motion, metadata={"model": "starter", "licence": "CC BY-NC 4.0"})


def ours(motion: Motion) -> dict[str, np.ndarray]:
    at = joint_transforms(mannequin("light"), motion.poses.astype(float), motion.translation.astype(float)).positions
    return {name: at[:, j] for name, j in INDEX.items()}


def written(motion: Motion, own: Path, out: Path) -> Played:
    files.save(motion, out, skeleton=own)
    return Played(out)


def positions(played: Played, names: dict[str, str]) -> dict[str, np.ndarray]:
    worlds = played.worlds()
    return {name: worlds[theirs][:, :3, 3] for name, theirs in names.items()}


def most_apart(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    return max(np.linalg.norm(a[name] - b[name], axis=-1).max() for name in a)


# --- our proportions: every joint is where ours is ------------------------------------------------------------------


@pytest.mark.parametrize("pose", [T_POSE, A_POSE, ANY_POSE], ids=["T", "A", "any"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_with_our_proportions_every_joint_is_where_ours_is(convention, pose, gesture, tmp_path):
    names = in_order(CONVENTIONS[convention])
    own = characters.glb(tmp_path / "own.glb", names, pose, axes="own")
    found, truth = positions(written(gesture, own, tmp_path / "out.glb"), names), ours(gesture)
    assert most_apart(found, {name: truth[name] for name in names}) < 1e-4


@pytest.mark.parametrize(
    ("options", "turn", "metres"),
    [
        ({"unit": 39.37}, np.eye(3), 1 / 39.37),  # inches
        ({"unit": 100, "holder": {"scale": [0.01] * 3}}, np.eye(3), 1),
        ({"holder": {"rotation": [-(0.5**0.5), 0, 0, 0.5**0.5]}, "turn": skeletons.Z_UP}, np.eye(3), 1),
        ({"turn": skeletons.about("y", 180)}, skeletons.about("y", 180), 1),
        ({"holder": {"matrix": [0, 0, -2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]}}, skeletons.about("y", 90), 0.5),
    ],
    ids=["inches", "centimetres under a scale", "z up under a turn", "facing back", "a matrix"],
)
def test_units_and_axes_of_the_file_do_not_matter(options, turn, metres, gesture, tmp_path):
    names = in_order(MIXAMO)
    own = characters.glb(tmp_path / "own.glb", names, A_POSE, axes="own", **options)
    found, truth = positions(written(gesture, own, tmp_path / "out.glb"), names), ours(gesture)
    assert (
        most_apart({name: found[name] @ turn * metres for name in names}, {name: truth[name] for name in names}) < 1e-4
    )


def test_a_character_plays_where_it_stands(gesture, tmp_path):
    names = in_order(MIXAMO)
    own = characters.glb(tmp_path / "own.glb", names, holder={"translation": [3, 0, -2]})
    found = positions(written(gesture, own, tmp_path / "out.glb"), names)["pelvis"]
    np.testing.assert_allclose(found - ours(gesture)["pelvis"], np.tile([3, 0, -2], (60, 1)), atol=1e-4)


def test_a_character_in_the_air_comes_down(gesture, tmp_path):
    names = in_order(MIXAMO)
    own = characters.glb(tmp_path / "own.glb", names, holder={"translation": [0, 4, 0]})
    found = positions(written(gesture, own, tmp_path / "out.glb"), names)
    assert found["left_ankle"][:, 1].min() == pytest.approx(ours(gesture)["left_ankle"][:, 1].min(), abs=5e-3)


@pytest.mark.parametrize("pose", [T_POSE, A_POSE], ids=["T", "A"])
@pytest.mark.parametrize("convention", ["mixamo", "unreal", "nameless"])
def test_a_bvh_character_moves_as_we_do(convention, pose, gesture, tmp_path):
    """Written in its own skeleton, and read back by what reads the skeletons of others."""
    names = in_order(CONVENTIONS[convention])
    frames = skeletons.hanging_arms(45) if pose is A_POSE else None
    own = skeletons.write(tmp_path / "own.bvh", Motion(np.zeros((1, 55, 3)), REST_TRANSLATION[None]), names, frames)
    files.save(gesture, tmp_path / "out.bvh", skeleton=own)
    layouts = [re.split(r"(OFFSET.*)", path.read_text().partition("MOTION")[0]) for path in (tmp_path / "out.bvh", own)]
    names_there, names_before = ["".join(layout[::2]).split() for layout in layouts]
    assert names_there == names_before
    there, before = ([line.split()[1:] for line in layout[1::2]] for layout in layouts)
    np.testing.assert_allclose(np.array(there, float), np.array(before, float), atol=1e-5)
    back, truth = ours(load_motion(tmp_path / "out.bvh")), ours(gesture)
    aside = np.array([1, 0, 1]) * truth["pelvis"][0] - np.array([1, 0, 1]) * back["pelvis"][0]
    assert most_apart({name: back[name] + aside for name in BODY}, {name: truth[name] for name in BODY}) < 0.02


def test_a_bvh_without_a_rest_pose_stands_as_in_its_first_frame(gesture, tmp_path):
    names = in_order(MIXAMO)
    still = Motion(np.zeros((1, 55, 3)), REST_TRANSLATION[None])
    own = skeletons.write(tmp_path / "own.bvh", still, names, skeletons.all_along_x(), metres=1.0)
    assert np.ptp(character.load(own).file.bones.positions[:, 1]) > 1.3
    files.save(gesture, tmp_path / "out.bvh", skeleton=own)
    back, truth = ours(load_motion(tmp_path / "out.bvh")), ours(gesture)
    assert (
        most_apart({name: np.ptp(back[name], axis=0) for name in BODY}, {n: np.ptp(truth[n], axis=0) for n in BODY})
        < 0.05
    )


def test_bones_of_a_glb_as_bvh(gesture, tmp_path):
    bvhio = pytest.importorskip("bvhio")
    names = in_order(MIXAMO)
    own = characters.glb(tmp_path / "own.glb", names, A_POSE, axes="own")
    files.save(gesture, tmp_path / "out.bvh", skeleton=own)
    root, truth = bvhio.readAsHierarchy(str(tmp_path / "out.bvh")), ours(gesture)
    for frame in (0, 31, 59):
        root.loadPose(frame)
        for name, theirs in names.items():
            (joint,) = root.filter(theirs, isEqual=True)
            np.testing.assert_allclose(np.array(joint.PositionWorld) / 100, truth[name][frame], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("holder", [{}, {"scale": [0.01] * 3}], ids=["in the world", "under a scale"])
def test_a_character_left_in_the_middle_of_an_animation_is_taken_as_it_was_made(holder, gesture, tmp_path):
    """Its nodes stand anyhow, its mesh says how it was bound to them."""
    names = in_order(MIXAMO)
    unit = 100 if holder else 1
    own = characters.glb(
        tmp_path / "own.glb", names, A_POSE, axes="own", unit=unit, holder=holder, extra={"cap": "head"}
    )

    def dance(document):
        rng = np.random.default_rng(1)
        for node in document["nodes"][: len(names) + 1]:
            w, x, y, z = axis_angle_to_quaternion(0.4 * rng.normal(size=3))
            node["rotation"] = [x, y, z, w]

    straight = positions(written(gesture, own, tmp_path / "straight.glb"), {**names, "cap": "cap"})
    characters.change(own, dance)
    found = positions(written(gesture, own, tmp_path / "out.glb"), {**names, "cap": "cap"})
    assert most_apart(found, straight) < 1e-4
    assert most_apart(found, {"cap": straight["cap"], **{name: ours(gesture)[name] for name in names}}) < 1e-4


# --- other proportions: hands and feet are where these put them -----------------------------------------------------


@pytest.mark.parametrize(
    "lengths", [LONG_ARMS, CHILD, BROAD, LONG_FOREARMS], ids=["long arms", "child", "broad", "odd"]
)
@pytest.mark.parametrize("pose", [T_POSE, A_POSE, ANY_POSE], ids=["T", "A", "any"])
def test_hands_and_feet_land_where_proportions_put_them(lengths, pose, gesture, tmp_path):
    """By the definition: hands from the shoulder as long as the arm is to ours, balls of the feet as the legs are."""
    names = in_order(UNREAL)
    own = characters.glb(tmp_path / "own.glb", names, pose, lengths, axes="own")
    played = written(gesture, own, tmp_path / "out.glb")
    found, truth = positions(played, names), ours(gesture)

    def scale(*limb):
        sizes = [
            sum(np.linalg.norm(at[f"left_{b}"][0] - at[f"left_{a}"][0]) for a, b in pairwise(limb))
            for at in (found, truth)
        ]
        return sizes[0] / sizes[1]

    arm, leg = scale("shoulder", "elbow", "wrist"), scale("hip", "knee", "ankle")
    start = (mannequin("light").joints[INDEX["left_hip"]] + mannequin("light").joints[INDEX["right_hip"]]) / 2
    fitted = character.load(own).fit
    turned = joint_transforms(
        mannequin("light"), gesture.poses.astype(float), gesture.translation.astype(float)
    ).rotations
    apart = np.linalg.norm(truth["left_wrist"] - truth["right_wrist"], axis=-1)
    free = apart > 0.8 * 0.52  # of our arm; nearer hands keep their distance instead
    for side in SIDES:
        hand, ours_hand = (at[f"{side}_wrist"] - at[f"{side}_shoulder"] for at in (found, truth))
        assert np.linalg.norm(hand - arm * ours_hand, axis=-1)[free].max() < 0.01 * arm
        ball = leg * (truth[f"{side}_foot"] - start * [1, 0, 1]) + fitted.offset
        out = turned[:, INDEX[f"{side}_ankle"], :, 0] * [1, 0, 1]  # the foot's own left, level
        broader = fitted.at[f"{side}_hip"][0] - leg * (mannequin("light").joints[INDEX[f"{side}_hip"]] - start)[0]
        ball += broader * out / np.linalg.norm(out, axis=-1, keepdims=True)
        assert np.linalg.norm((found[f"{side}_foot"] - ball)[:, [0, 2]], axis=-1).max() < 0.01 * leg
    bound = bench_characters.most_turned(axis_angle_to_quaternion(gesture.poses.swapaxes(0, 1).astype(float)))
    turns = [track for (_, path), track in played.tracks.items() if path == "rotation"]
    assert bench_characters.most_turned(np.stack(turns)) < bound + 5


def clasped() -> Motion:
    """Hands before the body, that touch or nearly so."""
    time = np.linspace(0, 2 * np.pi, 60)
    poses = np.zeros((60, 55, 3))
    for side, sign in (("left", 1), ("right", -1)):
        poses[:, INDEX[f"{side}_shoulder"]] = [0, -1.2 * sign, -0.5 * sign]
        poses[:, INDEX[f"{side}_elbow"], 1] = sign * (-1.2 - 0.15 * np.sin(time))
    return Motion(poses, np.tile(REST_TRANSLATION, (60, 1)))


@pytest.mark.parametrize(
    ("lengths", "most"), [(LONG_ARMS, 0.005), (BROAD, 0.01), (CHILD, 0.02)], ids=["long arms", "broad", "short arms"]
)
def test_hands_that_are_together_stay_together_as_far_as_arms_reach(lengths, most, tmp_path):
    names = in_order(MIXAMO)
    own = characters.glb(tmp_path / "own.glb", names, lengths=lengths)
    found, truth = positions(written(clasped(), own, tmp_path / "out.glb"), names), ours(clasped())
    distance, truly = (np.linalg.norm(at["left_wrist"] - at["right_wrist"], axis=-1) for at in (found, truth))
    arm = character.load(own).fit.arms
    near = truly < 0.35 * 0.5
    assert near.sum() > 20
    np.testing.assert_allclose(distance[near], arm * truly[near], atol=most)


@pytest.mark.parametrize("lengths", [LONG_ARMS, CHILD, LONG_FOREARMS], ids=["long arms", "child", "odd"])
def test_a_foot_that_stands_stands_and_no_sole_sinks(lengths, tmp_path):
    """One leg swings, one stands while the hips sway over it and the heel rises: its ball does not move."""
    time = np.linspace(0, 2 * np.pi, 60)
    poses, translation = np.zeros((60, 55, 3)), np.tile(REST_TRANSLATION, (60, 1)).astype(float)
    poses[:, INDEX["left_hip"], 0] = -0.3 + 0.2 * np.sin(time)
    poses[:, INDEX["left_knee"], 0] = 0.6
    poses[:, INDEX["right_ankle"], 0] = 0.3 * np.sin(time / 2) ** 2
    stands = ours(Motion(poses, translation))["right_foot"]
    translation -= stands - stands[0]
    motion = Motion(poses, translation)
    assert np.ptp(ours(motion)["right_foot"], axis=0).max() < 1e-6
    names = in_order(MIXAMO)
    own = characters.glb(tmp_path / "own.glb", names, A_POSE, lengths)
    found = positions(written(motion, own, tmp_path / "out.glb"), names)
    assert np.ptp(found["right_foot"][:, [0, 2]], axis=0).max() < 1e-3
    numbers = bench_characters.measure(motion, character.load(own))
    assert numbers["sinks_cm"] < 0.1
    assert numbers["slides_cm"] < 0.1


@pytest.mark.parametrize("name", ["mixamo", "cmu", "game_engine", "rigify", "makehuman"])
def test_the_rigs_of_makehuman(name, gesture):
    own = character.load(BAKED / f"{name}.glb")
    numbers = bench_characters.measure(gesture, own)
    assert numbers["hands_cm"] < 1
    assert numbers["feet_cm"] < 1
    bound = bench_characters.most_turned(axis_angle_to_quaternion(gesture.poses.swapaxes(0, 1).astype(float)))
    assert numbers["degrees"] < bound + 5
    expected = {
        "mixamo": "Mixamo",
        "cmu": "Mixamo",
        "game_engine": "Unreal",
        "rigify": "Rigify",
        "makehuman": "MakeHuman",
    }
    assert expected[name] in own.notes[0]
    if name != "cmu":
        assert sum(INDEX[joint] in skeleton.HANDS for joint in own.fit.person.joints) == 30


# --- what characters have more or less of ---------------------------------------------------------------------------


def test_fewer_bones_in_spine_and_fingers_still_bring_hands_there(gesture, tmp_path):
    kept = [n for n in MIXAMO if (n not in ("spine1", "spine2") and not n.endswith("3")) or n == "spine3"]
    kept = [n for n in kept if "pinky" not in n and n not in ("left_collar", "right_collar", "left_foot", "right_foot")]
    names = in_order({name: MIXAMO[name] for name in kept})
    own = characters.glb(tmp_path / "own.glb", names, A_POSE, axes="own")
    found, truth = positions(written(gesture, own, tmp_path / "out.glb"), names), ours(gesture)
    for side in SIDES:
        hand, ours_hand = (at[f"{side}_wrist"] - at[f"{side}_shoulder"] for at in (found, truth))
        assert np.linalg.norm(hand - ours_hand, axis=-1).max() < 1e-3
        assert np.linalg.norm(found[f"{side}_ankle"] - truth[f"{side}_ankle"], axis=-1).max() < 2e-3
    said = "; ".join(character.load(own).notes)
    assert "no collar bones, toes, 14 of 30 finger bones" in said


def test_two_bones_of_a_finger_share_the_bend_of_three(tmp_path):
    fist = np.zeros((2, 55, 3))
    for n, angle in enumerate((1.0, 0.8, 0.6), start=1):
        fist[1, INDEX[f"left_index{n}"], 2] = -angle
    names = in_order({name: theirs for name, theirs in MIXAMO.items() if name != "left_index3"})
    own = characters.glb(tmp_path / "own.glb", names)
    played = written(Motion(fist, np.tile(REST_TRANSLATION, (2, 1))), own, tmp_path / "out.glb")
    of = {played.nodes[node]["name"]: track for (node, path), track in played.tracks.items() if path == "rotation"}
    bend = [2 * np.arcsin(-of[names[f"left_index{n}"]][1, 2]) for n in (1, 2)]
    np.testing.assert_allclose(bend, [1.0 + 0.8 / 4, 0.8 * 3 / 4 + 0.6 * 3 / 4], atol=1e-3)


def test_twist_bones_in_the_forearm_take_a_part_of_the_hands_turn(tmp_path):
    poses = np.zeros((2, 55, 3))
    poses[1, INDEX["left_wrist"], 0] = 0.6
    names = in_order(UNREAL)
    extra = {"lowerarm_twist_01_l": "left_elbow", "hair_01": "head"}
    own = characters.glb(tmp_path / "own.glb", names, extra=extra, aside=(0.121, 0, 0))
    played = written(Motion(poses, np.tile(REST_TRANSLATION, (2, 1))), own, tmp_path / "out.glb")
    number = next(n for n, node in enumerate(played.nodes) if node["name"] == "lowerarm_twist_01_l")
    x, y, z, _ = played.tracks[number, "rotation"][1]
    assert 2 * np.arcsin(x) == pytest.approx(0.5 * np.sin(0.6), abs=0.02)
    assert abs(y) + abs(z) < 1e-3
    assert not any(played.nodes[node]["name"] == "hair_01" for node, _ in played.tracks)
    assert "twist bones that share the turn of the hands: 1" in "; ".join(character.load(own).notes)


# --- VRM and the face -----------------------------------------------------------------------------------------------


def vrm(version: int) -> dict:
    bones = {name: f"{{{name}}}" for name in rigs.HUMANOID.joints if name in NAMELESS}
    bones |= {"spine1": "{spine1}", "spine2": "{spine2}"}
    theirs = {**rigs.HUMANOID.joints, "spine1": "spine", "spine2": "chest"}
    if version == 1:
        return {
            "VRMC_vrm": {
                "specVersion": "1.0",
                "meta": {"name": "A", "authors": ["Ann"], "licenseUrl": "https://vrm.dev/licenses/1.0/"},
                "humanoid": {"humanBones": {theirs[name]: {"node": node} for name, node in bones.items()}},
                "expressions": {
                    "preset": {"aa": {"morphTargetBinds": [{"node": len(NAMELESS) + 1, "index": 1, "weight": 0.5}]}}
                },
            }
        }
    old = {"ThumbMetacarpal": "ThumbProximal", "ThumbProximal": "ThumbIntermediate"}

    def as_before(bone: str) -> str:
        return next((bone.replace(new, before) for new, before in old.items() if new in bone), bone)

    groups = [
        {"name": "A", "presetName": "a", "binds": [{"mesh": 0, "index": 0, "weight": 100}]},
        {"name": "Blink_L", "presetName": "blink_l", "binds": [{"mesh": 0, "index": 1, "weight": 50}]},
        {"name": "Blink_R", "presetName": "blink_r", "binds": []},
    ]
    return {
        "VRM": {
            "meta": {"author": "Ann", "licenseName": "CC_BY"},
            "humanoid": {"humanBones": [{"bone": as_before(theirs[n]), "node": node} for n, node in bones.items()]},
            "blendShapeMaster": {"blendShapeGroups": groups},
        }
    }


@pytest.mark.parametrize("version", [0, 1])
def test_a_vrm_says_which_bone_is_which(version, gesture, tmp_path):
    """Under names that tell nothing. A VRM 0 looks along -z."""
    turn = skeletons.about("y", 180 if version == 0 else 0)
    names = in_order({name: f"n{number * 7919 % 1000}" for number, name in enumerate(NAMELESS)} | {})
    names = in_order({**dict.fromkeys(NAMELESS), **{n: f"n{i * 7919 % 1000}" for i, n in enumerate(NAMELESS)}})
    own = characters.glb(tmp_path / "own.vrm", names, turn=turn, extensions=vrm(version), targets=("x", "y"))
    played = written(gesture, own, tmp_path / "out.vrm")
    found, truth = positions(played, names), ours(gesture)
    assert most_apart({name: found[name] @ turn for name in names}, {name: truth[name] for name in names}) < 1e-4
    notes = character.load(own).notes
    assert "VRM" in notes[0]
    assert notes[-1] == ("by Ann, licence CC_BY" if version == 0 else "by Ann, licence https://vrm.dev/licenses/1.0/")
    assert played.document["extensions"] == characters.unpack(own.read_bytes())[0]["extensions"]


def test_arkit_shapes_take_the_face_and_the_jaw_bone_rests(gesture, tmp_path):
    names = in_order({**UNREAL, "jaw": "FACIAL_C_Jaw"})
    shapes = ("smile_custom", "EyeBlink_L", "Face.jawOpen", "browInnerUp")
    own = characters.glb(tmp_path / "own.glb", names, targets=shapes)
    played = written(gesture, own, tmp_path / "out.glb")
    ((_, weights),) = [(key, track) for key, track in played.tracks.items() if key[1] == "weights"]
    face = gesture.face
    expected = [np.zeros(60), face[:, skeleton.ARKIT_INDEX["eyeBlinkLeft"]], face[:, skeleton.JAW_OPEN], np.zeros(60)]
    np.testing.assert_allclose(weights.reshape(60, 4), np.stack(expected, axis=1), atol=1e-6)
    assert not any(played.nodes[node]["name"] == "FACIAL_C_Jaw" for node, _ in played.tracks)
    lids = characters.glb(tmp_path / "lids.glb", names, targets=("eyeBlinkLeft",))
    assert any(bare_name(lids, node) == "FACIAL_C_Jaw" for node, _ in written(gesture, lids, tmp_path / "l.glb").tracks)
    bare = characters.glb(tmp_path / "bare.glb", names)
    jaw = [
        node for node, _ in written(gesture, bare, tmp_path / "b.glb").tracks if bare_name(bare, node) == "FACIAL_C_Jaw"
    ]
    assert jaw
    assert "face: 3 of the 52 ARKit shapes" in character.load(own).notes
    assert "face: none with names of ARKit or VRM" in character.load(bare).notes


def bare_name(path: Path, node: int) -> str:
    return characters.unpack(path.read_bytes())[0]["nodes"][node]["name"]


def test_a_vrm_without_arkit_shapes_opens_its_mouth_and_blinks(gesture, tmp_path):
    names = in_order(NAMELESS)
    own = characters.glb(tmp_path / "own.vrm", names, extensions=vrm(0), targets=("mouth", "lid"))
    played = written(gesture, own, tmp_path / "out.vrm")
    (weights,) = [track.reshape(60, 2) for (_, path), track in played.tracks.items() if path == "weights"]
    assert weights[-1, 0] == pytest.approx(1)
    np.testing.assert_allclose(weights[:, 1], 0.25, atol=1e-6)  # half closed, of a lid that closes half
    assert "face: mouth and eyelids as a VRM has them" in character.load(own).notes


# --- the user's file stays as it is ---------------------------------------------------------------------------------


def test_all_else_in_the_file_stays(gesture, tmp_path):
    own = characters.glb(tmp_path / "own.glb", in_order(MIXAMO), targets=("jawOpen",))

    def furnish(document):
        document["animations"] = [{"name": "dance", "channels": [], "samplers": []}]
        document["extensionsUsed"] = ["VENDOR_unknown"]
        document["extensions"] = {"VENDOR_unknown": {"answer": 42}}
        document["nodes"][3]["extras"] = {"tail": True}

    characters.change(own, furnish)
    before, data = characters.unpack(own.read_bytes())
    played = written(gesture, own, tmp_path / "out.glb")
    after = played.document
    for table in ("scenes", "nodes", "skins", "meshes", "materials", "extensions", "extensionsUsed"):
        assert after[table] == before[table]
    assert played.data[: len(data)] == data
    assert after["accessors"][: len(before["accessors"])] == before["accessors"]
    assert [each["name"] for each in after["animations"]] == ["cospeech", "dance"]
    assert after["asset"]["extras"]["mine"] == "stays"
    assert after["asset"]["extras"]["cospeech"] == {"fps": 30.0, "model": "starter", "licence": "CC BY-NC 4.0"}
    again = written(gesture, tmp_path / "out.glb", tmp_path / "again.glb")
    assert [each["name"] for each in again.document["animations"]] == ["cospeech", "dance"]
    assert own.read_bytes() == characters.container(before, data)


def test_a_motion_without_frames_leaves_a_character_still(tmp_path):
    own = characters.glb(tmp_path / "own.glb", in_order(MIXAMO))
    files.save(Motion(np.zeros((0, 55, 3)), np.zeros((0, 3))), tmp_path / "out.glb", skeleton=own)
    assert "animations" not in characters.unpack((tmp_path / "out.glb").read_bytes())[0]


# --- bad input ------------------------------------------------------------------------------------------------------


def without(*parts: str) -> dict[str, str]:
    return in_order({name: theirs for name, theirs in MIXAMO.items() if not any(part in name for part in parts)})


ARMS = ("shoulder", "elbow", "wrist", "collar", "thumb", "index", "middle", "ring", "pinky")


@pytest.mark.parametrize("suffix", [".glb", ".bvh"])
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (without(*ARMS), "names of Mixamo or MotionBuilder, but without arms"),
        (without("left_shoulder", "left_elbow", "left_wrist"), "without left arm"),
        (without("right_knee"), "without right_knee"),
        ({name: f"bone.{n}" for n, name in enumerate(without(*ARMS))}, "it has 10 bones|neither the names"),
    ],
    ids=["no arms", "one arm", "no knee", "no arms, nameless"],
)
def test_a_character_that_lacks_limbs_says_which(names, said, suffix, tmp_path):
    still = Motion(np.zeros((1, 55, 3)), REST_TRANSLATION[None])
    own = tmp_path / f"own{suffix}"
    own = characters.glb(own, names) if suffix == ".glb" else skeletons.write(own, still, names)
    with pytest.raises(DataError, match=said) as error:
        character.load(own)
    assert str(error.value).startswith(f"{own}: ")
    assert "\n" not in str(error.value)


def twice(document: dict) -> None:
    """A second person beside the first."""
    count = len(document["nodes"])
    copies = [json.loads(json.dumps(node)) for node in document["nodes"]]
    for node in copies:
        node["children"] = [child + count for child in node.get("children", [])]
        node.pop("children") if not node["children"] else None
        if "skin" in node:
            node["skin"] = 1
    document["nodes"] += copies
    document["scenes"][0]["nodes"].append(count - 2 + count)
    skin = document["skins"][0]
    document["skins"].append({**skin, "joints": [joint + count for joint in skin["joints"]]})


def test_two_people_are_refused_and_a_second_root_that_is_none_is_not(gesture, tmp_path):
    own = characters.change(characters.glb(tmp_path / "two.glb", in_order(MIXAMO)), twice)
    with pytest.raises(DataError, match=r"holds 2 skeletons \(mixamorig:Hips and mixamorig:Hips\). Export one"):
        character.load(own)

    def add_root(document):
        document["nodes"].append({"name": "weapon", "translation": [1, 0, 0]})
        document["scenes"][0]["nodes"].append(len(document["nodes"]) - 1)
        document["skins"].append({"joints": [len(document["nodes"]) - 1]})

    names = in_order(MIXAMO)
    own = characters.change(characters.glb(tmp_path / "own.glb", names), add_root)
    found, truth = positions(written(gesture, own, tmp_path / "out.glb"), names), ours(gesture)
    assert most_apart(found, {name: truth[name] for name in names}) < 1e-4


def test_parts_that_hang_on_a_node_outside_the_skin_are_one_person(gesture, tmp_path):
    names = in_order(MIXAMO)
    own = characters.glb(tmp_path / "own.glb", names, axes="own")

    def leave_out_the_hips(document):
        document["skins"][0]["joints"].remove(0)
        del document["skins"][0]["inverseBindMatrices"]

    characters.change(own, leave_out_the_hips)
    found, truth = positions(written(gesture, own, tmp_path / "out.glb"), names), ours(gesture)
    assert most_apart(found, {name: truth[name] for name in names}) < 1e-4


def test_two_roots_in_a_bvh(gesture, tmp_path):
    still = Motion(np.zeros((1, 55, 3)), REST_TRANSLATION[None])
    own = skeletons.write(tmp_path / "own.bvh", still, in_order(MIXAMO))
    hierarchy, _, numbers = own.read_text().partition("MOTION\n")
    prop = "ROOT prop\n{\nOFFSET 9 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\nEnd Site\n{\nOFFSET 1 0 0\n}\n}\n"
    own.write_text(f"{hierarchy}{prop}MOTION\n{numbers.rstrip()} 0 0 0\n")
    files.save(gesture, tmp_path / "out.bvh", skeleton=own)
    assert "ROOT prop" in (tmp_path / "out.bvh").read_text()
    first, *rest = numbers.splitlines()
    two = tmp_path / "two.bvh"
    rest = [rest[0], f"{rest[1]} {rest[1]}"]
    two.write_text(hierarchy + hierarchy.replace("HIERARCHY\n", "") + "\n".join(["MOTION", first, *rest]) + "\n")
    with pytest.raises(DataError, match="holds 2 skeletons"):
        character.load(two)


@pytest.mark.parametrize("scale", [[1, 2, 1], [-1, 1, 1]], ids=["uneven", "mirrored"])
def test_an_uneven_scale_is_refused_where_it_would_shear(scale, tmp_path):
    own = characters.glb(tmp_path / "own.glb", in_order(MIXAMO), axes="own", extra={"hair": "head"})

    def stretch(name):
        def edit(document):
            next(node for node in document["nodes"] if node["name"] == name)["scale"] = scale

        return edit

    characters.change(own, stretch("hair"))
    character.load(own)
    characters.change(own, stretch("mixamorig:LeftArm"))
    with pytest.raises(DataError, match=r"bone mixamorig:LeftArm is mirrored or scaled unevenly.*Apply the scale"):
        character.load(own)


def test_a_thousand_bones(gesture, tmp_path):
    """Hair, skirts and chains of 950 further bones, some of them arms for all one can see."""
    names = in_order(MIXAMO)
    hair = {f"hair.{n:03d}": ("head", "pelvis", "spine3")[n % 3] for n in range(950)}
    own = characters.glb(tmp_path / "own.glb", names, A_POSE, axes="own", extra=hair)

    def chained(document):  # a chain of 300 of them, deeper than Python recurses
        nodes = document["nodes"]
        first = next(n for n, node in enumerate(nodes) if node["name"] == "hair.000")
        chain = list(range(first, first + 900, 3))
        parent = next(node for node in nodes if first in node.get("children", []))
        parent["children"] = [child for child in parent["children"] if child not in chain[1:]]
        for above, below in pairwise(chain):
            nodes[above]["children"] = [below]

    characters.change(own, chained)
    found, truth = positions(written(gesture, own, tmp_path / "out.glb"), names), ours(gesture)
    assert most_apart(found, {name: truth[name] for name in names}) < 1e-4
    files.save(gesture, tmp_path / "out.bvh", skeleton=own)
    assert (tmp_path / "out.bvh").read_text().count("JOINT") > 900


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"glTF" + b"\1\0\0\0" + b"\x0c\0\0\0", "only 2 is known"),
        (b"glTF" + b"\2\0\0\0" + b"\x0c\0\0\0", "ends in the middle"),
        (b"Kaydara FBX Binary", "not binary glTF"),
        (b"", "not binary glTF"),
        (
            characters.container(
                {"asset": {"version": "2.0"}, "nodes": [{"children": [0]}], "scenes": [{"nodes": [0]}]}, b""
            ),
            "hangs on",
        ),
        (characters.container({"asset": {"version": "2.0"}, "nodes": [{"children": [7]}]}, b""), "not there"),
        (characters.container({"asset": {"version": "2.0"}, "nodes": [{"name": "a"}]}, b""), "it has 1 bones"),
        (
            characters.container({"asset": {"version": "2.0"}, "nodes": [{"rotation": "up"}]}, b""),
            "not a readable .glb",
        ),
        (
            characters.container(
                {
                    "asset": {"version": "2.0"},
                    "nodes": [
                        {"translation": [1e308, 0, 0], "children": [1]},
                        {"scale": [1e308, 1, 1], "translation": [1e308, 9, 9]},
                    ],
                },
                b"",
            ),
            "has 2 bones|finite",
        ),
    ],
)
def test_a_file_that_is_none_is_one_line(file, said, tmp_path):
    (tmp_path / "own.glb").write_bytes(file)
    with pytest.raises(DataError, match=said) as error:
        character.load(tmp_path / "own.glb")
    assert "\n" not in str(error.value)


def places(value, at=()):
    """Every place in a document."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*at, key)
        yield from places(value[key], (*at, key))


def test_a_damaged_table_is_refused_or_does_not_matter(tmp_path):
    still = Motion(np.zeros((2, 55, 3)), np.tile(REST_TRANSLATION, (2, 1)), face=np.zeros((2, 52)))
    own = characters.glb(tmp_path / "own.vrm", in_order(NAMELESS), extensions=vrm(0), targets=("a", "b"))
    document, data = characters.unpack(own.read_bytes())
    rng, everywhere = random.Random(0), list(places(document))
    refused = 0
    for _ in range(80):
        damaged = json.loads(json.dumps(document))
        *way, last = rng.choice(everywhere)
        holder = damaged
        for key in way:
            holder = holder[key]
        holder[last] = rng.choice([None, -1, 99_999, "x", [], {}, 1e400, True, [1, 2, 3], 0.5])
        own.write_bytes(characters.container(damaged, data))
        with contextlib.suppress(DataError):
            character.load(own).write(still, tmp_path / "out.vrm")
            refused -= 1
        refused += 1
    assert 20 < refused < 70


def test_parts_in_other_files_are_refused(tmp_path):
    own = characters.glb(tmp_path / "own.glb", in_order(MIXAMO))
    characters.change(own, lambda document: document.update(images=[{"uri": "skin.png"}]))
    with pytest.raises(DataError, match=r"textures lie in another file, skin.png. Export it as one binary .glb"):
        character.load(own)


def test_targets_and_suffixes_that_cannot_be_are_one_line(gesture, tmp_path):
    own = characters.glb(tmp_path / "own.glb", in_order(MIXAMO))
    for out, said in (
        ("out.npz", "a .glb character can be written as .glb, .bvh"),
        ("out.vrm", "a .glb character can be written as .glb, .bvh"),
        ("own.glb", "is the character itself"),
    ):
        with pytest.raises(FormatError, match=said):
            files.save(gesture, tmp_path / out, skeleton=own)
    with pytest.raises(FormatError, match="has no use for `camera`"):
        files.writer_for(tmp_path / "out.glb", skeleton=own, camera="face")
    for name, said in (
        ("a.blend", "Known: .vrm, .glb, .fbx, .bvh"),
        ("a.gltf", "one binary"),
    ):
        with pytest.raises(FormatError, match=said):
            character.load(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        character.load(tmp_path / "a.glb")
    with pytest.raises(FormatError, match="say which one with `skeleton`"):
        files.writer_for(tmp_path / "out.vrm")
