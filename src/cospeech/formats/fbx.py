"""Motion -> .fbx, and .fbx <-> .glb, through a Blender found on the machine, which runs without a window.

FBX has no public specification, and the kit that writes it is not free; Blender's writer is what most tools are tested
with. What stands in a .glb comes along: skeleton, mesh, weights, textures, face shapes and their keys, metadata.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from cospeech.body import Body
from cospeech.errors import DataError, FormatError
from cospeech.formats import gltf
from cospeech.formats.output import replacing
from cospeech.motion import Motion

_LONGEST_S = 1800  # that Blender may take
_PROGRAM = "BLENDER"  # environment variable that names the program
_PLACES = (  # where installers put it that do not change the PATH
    (Path("/Applications"), "Blender*.app/Contents/MacOS/Blender"),
    (Path("C:/Program Files/Blender Foundation"), "Blender*/blender.exe"),
)


def check_tool() -> None:
    """Raise `FormatError` where there is no Blender."""
    _blender()


def write(motion: Motion, path: str | Path, body: Body | None = None, *, embed_licensed_body: bool = False) -> None:
    """Write a motion on a body, the mannequin unless given, as binary FBX in metres, y up.

    Args:
        embed_licensed_body: Consent to put a mesh into the file whose licence does not let everyone have it.

    Raises:
        FormatError: no Blender was found, or it failed.
    """
    check_tool()
    whole = replace(motion, fps=glb_fps(motion.fps))
    data = gltf.to_bytes(whole, body, embed_licensed_body=embed_licensed_body)
    from_glb(data, path, motion.fps, len(motion), motion.metadata)


def glb_fps(fps: float) -> int:
    """At which rate a .glb must have its keys to become an .fbx of `fps`.

    Blender's reader of .glb takes 29.97 frames a second for 30.03: it gets whole rates, its writer the true one.
    """
    return max(1, round(fps))


def from_glb(data: bytes, path: str | Path, fps: float, num_frames: int, metadata: Mapping[str, str]) -> None:
    """Write the scene of a .glb and its animation, at `glb_fps`, as .fbx; raises like `write`."""
    settings = {"fps": fps, "glb_fps": glb_fps(fps), "frames": num_frames, "metadata": dict(metadata)}
    with replacing(path) as temporary, tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "motion.glb"
        source.write_bytes(data)
        if why := _run("glb_to_fbx.py", source, temporary, json.dumps(settings)):
            raise FormatError(f"{path}: {why}")


def to_glb(path: str | Path) -> bytes:
    """A character in an .fbx as it rests, without its animations, as .glb.

    Raises:
        FormatError: no Blender was found.
        DataError: the file cannot be read, by Blender for one.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "character.glb"
        if why := _run("fbx_to_glb.py", path.resolve(), target):
            raise DataError(f"{path}: {why}")
        return target.read_bytes()


def _run(script: str, source: Path, target: Path, *more: str) -> str:
    """Let Blender make a file of another: what went wrong, in a line; empty where nothing did."""
    command = _command(_blender())
    with as_file(files("cospeech") / "assets" / "blender" / script) as file:
        try:
            run = subprocess.run(
                [*command, str(file), "--", str(source), str(target), *more],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LONGEST_S,
            )
        except subprocess.TimeoutExpired:
            return f"{command[0]} took longer than {_LONGEST_S // 60} minutes."
    if run.returncode == 0 and target.exists():
        return ""
    said = ["it said nothing", *filter(str.strip, (run.stdout + run.stderr).splitlines())]
    why = [line for line in said if "Error" in line] or said
    return f"{command[0]} could not {'write' if source.suffix == '.glb' else 'read'} it: {why[-1].strip()}"


def _blender() -> str:
    """The program: the one that BLENDER names, on the PATH, or where installers put it, of several the newest."""
    if named := os.environ.get(_PROGRAM):
        if program := shutil.which(named):
            return program
        raise FormatError(f"{_PROGRAM} is {named}, which is no program. Let it name Blender, or unset it.")
    if program := shutil.which("blender"):
        return program
    for folder, pattern in _PLACES:
        if found := sorted(folder.glob(pattern)):
            return str(found[-1])
    raise FormatError(
        f".fbx files are read and written by Blender, and none was found. Install it (blender.org), or let {_PROGRAM} "
        "name it; or take .glb, which most programs that read .fbx read too."
    )


def _command(program: str) -> list[str]:
    """What runs a script: Blender itself, or a Python with Blender as the package `bpy`."""
    if Path(program).name.lower().startswith("python"):
        return [program]
    return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python"]
