"""Motion -> .fbx through a Blender found on the machine, which runs without a window and converts our .glb.

FBX has no public specification, and the kit that writes it is not free; Blender's writer is what most tools are tested
with. What stands in the .glb comes along: skeleton, mesh, weights, face shapes and their keys, metadata.
"""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from cospeech.body import Body
from cospeech.errors import FormatError
from cospeech.formats import gltf
from cospeech.formats.output import replacing
from cospeech.motion import Motion

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
    command = _command(_blender())
    # Blender's reader of .glb takes 29.97 frames a second for 30.03: it gets whole rates, its writer the true one.
    whole = max(1, round(motion.fps))
    data = gltf.to_bytes(replace(motion, fps=whole), body, embed_licensed_body=embed_licensed_body)
    settings = {"fps": motion.fps, "glb_fps": whole, "frames": len(motion), "metadata": dict(motion.metadata)}
    script = files("cospeech") / "assets" / "blender" / "glb_to_fbx.py"
    with replacing(path) as temporary, tempfile.TemporaryDirectory() as folder, as_file(script) as file:
        source = Path(folder) / "motion.glb"
        source.write_bytes(data)
        run = subprocess.run(
            [*command, str(file), "--", str(source), str(temporary), json.dumps(settings)],
            capture_output=True,
            text=True,
            errors="replace",
        )
        if run.returncode != 0 or not temporary.exists():
            said = ["it said nothing", *filter(str.strip, (run.stdout + run.stderr).splitlines())]
            why = [line for line in said if "Error" in line] or said
            raise FormatError(f"{path}: {command[0]} could not write it: {why[-1].strip()}")


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
        f".fbx files are written by Blender, and none was found. Install it (blender.org), or let {_PROGRAM} name it; "
        "or write .glb, which most programs that read .fbx read too."
    )


def _command(program: str) -> list[str]:
    """What runs a script: Blender itself, or a Python with Blender as the package `bpy`."""
    if Path(program).name.lower().startswith("python"):
        return [program]
    return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python"]
