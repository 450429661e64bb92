"""Characters with a motion in them, as programs of others read them: three.js, three-vrm and the Khronos validator."""

import re
from pathlib import Path

import characters
import numpy as np
import pytest
import test_character
from test_character import gesture, in_order, ours, vrm  # noqa: F401  (gesture is a fixture)

from cospeech import character, files, skeleton
from cospeech.character import moving
from cospeech.recipes import bench_characters

FRAMES = (0, 17, 59)


def as_three_names(name: str) -> str:
    return re.sub(r"[\[\].:/]", "", name.replace(" ", "_"))


@pytest.mark.parametrize("convention", ["mixamo", "unreal", "rigify", "biped", "vroid", "nameless"])
def test_three_finds_every_joint_where_ours_is(convention, gesture, read_with_three, tmp_path):  # noqa: F811
    names = in_order(test_character.CONVENTIONS[convention])
    own = characters.glb(tmp_path / "own.glb", names, characters.ANY_POSE, axes="own", targets=("jawOpen", "x"))
    files.save(gesture, tmp_path / "out.glb", skeleton=own)
    found = read_with_three(tmp_path / "out.glb", [frame / 30 for frame in FRAMES])
    truth = ours(gesture)
    assert found["keys"] == len(gesture)
    for n, frame in enumerate(FRAMES):
        for name, theirs in names.items():
            at, _ = found["poses"][n][as_three_names(theirs)]
            np.testing.assert_allclose(at, truth[name][frame], atol=2e-4, err_msg=name)
        assert found["weights"][n]["jawOpen"] == pytest.approx(gesture.face[frame, skeleton.JAW_OPEN], abs=1e-4)


@pytest.mark.parametrize("name", ["mixamo", "cmu", "game_engine", "rigify", "makehuman"])
def test_three_moves_the_rigs_of_makehuman_as_we_do(name, gesture, read_with_three, tmp_path):  # noqa: F811
    own = character.load(characters.BAKED / f"{name}.glb")
    own.write(gesture, tmp_path / "out.glb")
    found = read_with_three(tmp_path / "out.glb", [frame / 30 for frame in FRAMES])
    wanted, movement = moving.targets(gesture, own.fit), moving.move(gesture, own.fit)
    for n, frame in enumerate(FRAMES):
        for joint, j in own.fit.person.joints.items():
            at, _ = found["poses"][n][as_three_names(own.file.bones.names[j])]
            here = bench_characters.moved(own.file.bones, movement, j)[1][frame]
            np.testing.assert_allclose(at, here, atol=1e-4, err_msg=joint)
        for joint in wanted:
            at, _ = found["poses"][n][as_three_names(own.file.bones.names[own.fit.person.joints[joint]])]
            np.testing.assert_allclose(at, wanted[joint][frame], atol=0.01, err_msg=joint)


@pytest.mark.parametrize("version", [0, 1])
def test_three_vrm_still_takes_the_file_for_a_vrm(version, gesture, read_with_three, tmp_path):  # noqa: F811
    names = in_order(test_character.NAMELESS)
    own = characters.glb(tmp_path / "own.vrm", names, extensions=vrm(version), targets=("a", "b"))
    files.save(gesture, tmp_path / "out.vrm", skeleton=own)
    found = read_with_three(tmp_path / "out.vrm", [0.5])
    at, _ = found["poses"][0][as_three_names(names["left_wrist"])]
    np.testing.assert_allclose(at, ours(gesture)["left_wrist"][15], atol=2e-4)


def test_the_validator_finds_nothing(gesture, validate, tmp_path):  # noqa: F811
    written: list[Path] = []
    for name in ("mixamo", "rigify"):
        written.append(tmp_path / f"{name}.glb")
        files.save(gesture, written[-1], skeleton=characters.BAKED / f"{name}.glb")
    own = characters.glb(tmp_path / "own.glb", in_order(test_character.MIXAMO), axes="own", targets=("jawOpen",))
    written.append(tmp_path / "out.glb")
    files.save(gesture, written[-1], skeleton=own)
    before = {message["code"] for message in validate(own)}
    assert [message for message in validate(*written) if message["code"] not in before] == []
