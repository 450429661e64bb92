"""Programs of others that read what is written here: three.js, Blender where there is one."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from readers import BUILD, run_node, talking

from cospeech import rotation
from cospeech.motion import Motion

THREE = ("three@0.187.0", "@pixiv/three-vrm@3.5.5", "@pixiv/three-vrm-animation@3.5.5")
VALIDATOR = "gltf-validator@2.0.0-dev.3.10"
VALIDATE = """
import { readFileSync } from "node:fs";
import validator from "gltf-validator";
for (const file of process.argv.slice(1)) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(file)));
  console.log(JSON.stringify(report.issues));
}
"""


@pytest.fixture(scope="session")
def validate():
    """A function that gives the Khronos validator's messages about files."""

    def messages(*files: Path) -> list[dict]:
        reports = run_node(BUILD / "gltf-validator", (VALIDATOR,), VALIDATE, *map(str, files))
        assert len(reports) == len(files)
        return [message for report in reports for message in report["messages"]]

    return messages


@pytest.fixture(scope="session")
def read_with_three():
    """`read(file, frames, avatar)`: what three.js finds in a .glb, .fbx or .vrma, see read_scene.mjs."""
    code = (Path(__file__).parent / "read_scene.mjs").read_text(encoding="utf-8")

    def read(file: Path, frames: list[float], avatar: Path | None = None) -> dict:
        (found,) = run_node(BUILD / "three", THREE, code, str(file), json.dumps(frames), str(avatar or ""))
        return found

    return read


@pytest.fixture(scope="session")
def blender() -> str:
    """A real Blender, or a Python that has it as `bpy`."""
    found = map(shutil.which, ("blender", str(BUILD / "bpy" / "bin" / "python")))
    program = os.environ.get("BLENDER") or next(filter(None, found), None)
    if not program:
        pytest.skip(
            "no Blender here: install it, or: python3.11 -m venv build/bpy && build/bpy/bin/pip install bpy==5.0.1"
        )
    return program


@pytest.fixture
def motion(rng) -> Motion:
    return talking(rng, 40)


@pytest.fixture
def assert_joints_agree():
    """Joints within 0.1 mm and 0.01 degrees, as every format promises."""

    def check(positions, rotations, expected) -> None:
        """(J, 3) metres and (J, 3, 3), and the same of `joint_transforms` at one frame."""
        np.testing.assert_allclose(positions, expected.positions, atol=1e-4)
        relative = np.swapaxes(np.asarray(rotations, float), -1, -2) @ expected.rotations
        # The angle by its sine: its cosine is blind below a hundredth of a degree.
        sine = np.linalg.norm(rotation.matrix_to_quaternion(relative)[..., 1:], axis=-1)
        assert np.degrees(2 * np.arcsin(sine.clip(0, 1))).max() < 0.01

    return check
