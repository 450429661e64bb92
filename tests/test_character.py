"""Motion on characters of the user's: joints are where ours are or where proportions put them, whatever the rig."""

import json
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import characters
import numpy as np
import pytest
import skeletons
from characters import A_POSE, ANY_POSE, BAKED, BROAD, CHILD, LONG_ARMS, LONG_FOREARMS, T_POSE, Played

from cospeech import character, files, load_motion, rigs, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.character import moving
from cospeech.errors import DataError, FormatError
from cospeech.motion import Motion
from cospeech.recipes import bench_characters
from cospeech.rotation import axis_angle_to_matrix, axis_angle_to_quaternion
from cospeech.skeleton import INDEX, JOINTS, REST_TRANSLATION

SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
BODY = [name for name in JOINTS[:22]]
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
SMPL = {name: theirs for name, theirs in rigs.SMPL.joints.items()}
NAMELESS = {name: f"bone.{number:03d}" for number, name in enumerate(JOINTS) if "eye" not in name and name != "jaw"}
SKETCHFAB = {name: f"{theirs}_{number:02d}" for number, (name, theirs) in enumerate(MIXAMO.items())}
CONVENTIONS = {
    "mixamo": MIXAMO,
    "unreal": UNREAL,
    "rigify": RIGIFY,
    "biped": BIPED,
    "vroid": VROID,
    "smpl": SMPL,
    "smplx": {name: name for name in JOINTS},
    "sketchfab": SKETCHFAB,
    "nameless": NAMELESS,
}


def in_order(names: dict[str, str]) -> dict[str, str]:
    return {name: names[name] for name in JOINTS if name in names}


@pytest.fixture(scope="module")
def gesture() -> Motion:
    """Slow and smooth, of the whole body and all fingers; one foot stands, hands meet in the middle of it."""
    time = np.arange(60)[:, None] / 30
    poses = np.zeros((60, skeleton.NUM_JOINTS, 3))

    def move(joint: str, middle, swing, phase: float) -> None:
        poses[:, INDEX[joint]] = np.array(middle) + np.array(swing) * np.sin(2 * time + phase)

    for joint in ("spine1", "spine2", "spine3"):
        move(joint, [0.05, 0, 0], [0.03, 0.05, 0.04], 0)
    for joint in ("neck", "head"):
        move(joint, [0, 0, 0], [0.1, 0.1, 0.05], 1)
    for side, sign, phase in (("left", 1, 0.0), ("right", -1, 2.0)):
        move(f"{side}_shoulder", [0.1, -0.3 * sign, -1.0 * sign], [0.2, 0.3, 0.3], phase)
        move(f"{side}_elbow", [0, -1.2 * sign, 0], [0, 0.5, 0], phase)
        move(f"{side}_wrist", [0.2, 0, 0], [0.4, 0.2, 0.2], phase)
        move(f"{side}_hip", [-0.3, 0, 0], [0.2, 0, 0.05], phase)
        move(f"{side}_knee", [0.5, 0, 0], [0.2, 0, 0], phase)
        move(f"{side}_ankle", [-0.2, 0, 0], [0.1, 0, 0], phase)
        for n, finger in enumerate(FINGERS):
            for joint in (1, 2, 3):
                move(f"{side}_{finger}{joint}", [0, 0, -0.5 * sign], [0, 0, 0.3], phase + n)
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


@pytest.mark.parametrize("pose", [T_POSE, A_POSE, ANY_POSE], ids=["T", "A", "any"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_with_our_proportions_every_joint_is_where_ours_is(convention, pose, gesture, tmp_path):
    names = in_order(CONVENTIONS[convention])
    own = characters.glb(tmp_path / "own.glb", names, pose, axes="own")
    found, truth = positions(written(gesture, own, tmp_path / "out.glb"), names), ours(gesture)
    for name in names:
        assert np.linalg.norm(found[name] - truth[name], axis=-1).max() < 2e-3, name
