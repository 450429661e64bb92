"""FBX through Blender: a real one where there is one, read back by three.js, and a stand-in for its failures."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from readers import talking

from cospeech import rotation, skeleton
from cospeech.body import JointTransforms, joint_transforms, mannequin
from cospeech.errors import FormatError
from cospeech.files import writer_for
from cospeech.formats import fbx
from cospeech.motion import Motion

posix = pytest.mark.skipif(os.name != "posix", reason="stand-ins are shell scripts")


@pytest.fixture
def motion(rng) -> Motion:
    return talking(rng, 40)


class TestRealBlender:
    @pytest.fixture(autouse=True)
    def _use(self, blender, monkeypatch):
        monkeypatch.setenv("BLENDER", blender)

    def test_joints_agree(self, read_with_three, assert_joints_agree, motion, tmp_path):
        fbx.write(motion, tmp_path / "talk.fbx", mannequin("light"))
        frames = (0, 17, 39)
        found = read_with_three(tmp_path / "talk.fbx", [frame / 30 for frame in frames])
        assert found["keys"] == 40
        expected = joint_transforms(mannequin(), motion.poses.astype(float), motion.translation.astype(float))
        for pose, frame in zip(found["poses"], frames, strict=True):
            joints = [pose[name] for name in skeleton.JOINTS]
            positions, quaternions = (np.array(each) for each in zip(*joints, strict=True))
            at_frame = JointTransforms(expected.rotations[frame], expected.positions[frame])
            assert_joints_agree(positions, rotation.quaternion_to_matrix(quaternions[:, [3, 0, 1, 2]]), at_frame)

    def test_the_face_and_nothing_else(self, read_with_three, motion, tmp_path):
        fbx.write(motion, tmp_path / "talk.fbx", mannequin("light"))
        found = read_with_three(tmp_path / "talk.fbx", [17 / 30])
        np.testing.assert_allclose([found["weights"][0][name] for name in skeleton.ARKIT], motion.face[17], atol=1e-4)
        assert not [name for name in found["poses"][0] if "sphere" in name]  # in which Blender draws bones
        for value in motion.metadata.values():
            assert value.encode() in (tmp_path / "talk.fbx").read_bytes()

    @pytest.mark.parametrize("fps", [24, 25, 29.97, 60, 120])
    def test_times(self, fps, read_with_three, rng, tmp_path):
        motion = talking(rng, 30, fps)
        fbx.write(motion, tmp_path / "talk.fbx", mannequin("light"))
        found = read_with_three(tmp_path / "talk.fbx", [20 / fps])
        assert found["keys"] == 30
        assert found["duration"] == pytest.approx(29 / fps, rel=1e-6)
        expected = joint_transforms(mannequin(), motion.poses, motion.translation).positions[20]
        at = [found["poses"][0][name][0] for name in skeleton.JOINTS]
        np.testing.assert_allclose(at, expected, atol=1e-4)

    @pytest.mark.parametrize("num_frames", [0, 1, 2])
    def test_the_shortest_motions(self, num_frames, motion, tmp_path):
        fbx.write(motion[: num_frames / 30], tmp_path / "talk.fbx", mannequin("light"))
        assert (tmp_path / "talk.fbx").read_bytes().startswith(b"Kaydara FBX Binary")


# --- a stand-in for Blender: what is asked of it, and what happens when it fails --------------------------------------


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a program called blender on the PATH that does what the shell script says."""

    def make(script: str) -> Path:
        program = tmp_path / "programs" / "blender"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("BLENDER", raising=False)
        return program

    return make


@posix
def test_what_the_program_is_asked(stand_in, motion, tmp_path):
    stand_in(f'for word; do echo "$word"; done > "{tmp_path}/asked"; eval "out=\\${{9}}"; echo made > "$out"')
    fbx.write(motion, tmp_path / "talk.fbx", mannequin("light"))
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:5] == ["--background", "--factory-startup", "--python-exit-code", "1", "--python"]
    assert asked[5].endswith("glb_to_fbx.py")
    assert asked[6] == "--"
    assert json.loads(asked[9]) == {"fps": 30.0, "glb_fps": 30, "frames": 40, "metadata": dict(motion.metadata)}
    assert (tmp_path / "talk.fbx").read_text() == "made\n"
    assert not Path(asked[7]).exists()  # the .glb in between


@posix
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'RuntimeError: it broke'; echo Blender quit; exit 1", "RuntimeError: it broke"),
        ("exit 0", "it said nothing"),  # and wrote nothing
    ],
)
def test_its_failure_is_one_line_and_leaves_nothing(script, said, stand_in, motion, tmp_path):
    stand_in(script)
    with pytest.raises(FormatError, match=rf"talk\.fbx: .*blender could not write it: {said}$") as raised:
        fbx.write(motion, tmp_path / "out" / "talk.fbx", mannequin("light"))
    assert "\n" not in str(raised.value)
    assert list((tmp_path / "out").iterdir()) == []


@posix
def test_a_python_runs_the_script_by_itself(stand_in, monkeypatch):
    assert fbx._command("/opt/bpy/bin/python3.11") == ["/opt/bpy/bin/python3.11"]
    monkeypatch.setenv("BLENDER", str(stand_in("")))
    assert fbx._blender().endswith("blender")


def test_without_blender_it_fails_before_the_slow_part(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BLENDER", raising=False)
    monkeypatch.setattr(fbx, "_PLACES", ((tmp_path / "Applications", "*/Blender"),))
    with pytest.raises(FormatError, match=r"none was found\. Install it .* or take \.glb"):
        writer_for(tmp_path / "talk.fbx")
    (tmp_path / "Applications" / "Blender.app").mkdir(parents=True)
    (tmp_path / "Applications" / "Blender.app" / "Blender").touch()
    writer_for(tmp_path / "talk.fbx")
    monkeypatch.setenv("BLENDER", "no-such-program")
    with pytest.raises(FormatError, match="BLENDER is no-such-program, which is no program"):
        writer_for(tmp_path / "talk.fbx")


@posix
def test_a_licensed_body_needs_consent(stand_in, motion, tmp_path):
    stand_in("exit 1")
    licensed = replace(mannequin("light"), name="SMPLX_NEUTRAL_2020", embeds_licensed_mesh=True)
    with pytest.raises(FormatError, match="--embed-licensed-body"):
        fbx.write(motion, tmp_path / "talk.fbx", licensed)
