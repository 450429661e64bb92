"""What is published: the sdist rebuilds the wheel, and the wheel works in an environment that was empty before."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import cospeech
from cospeech.checkpoint import CARD, CONFIG, STATISTICS, SUMS, WEIGHTS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def dist(tmp_path_factory) -> Path:
    """A folder with the sdist and the wheel, which `build` makes from the sdist and not from this folder."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    return folder


@pytest.fixture(scope="session")
def installed(dist) -> Iterator[Path]:
    """The Python of an environment into which pip installed the wheel and what it requires: more than a gigabyte."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        gpu = shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0
        constraints = [] if gpu else ["--constraint", str(ROOT / "constraints.txt")]
        (wheel,) = dist.glob("*.whl")
        install = ("-m", "pip", "install", "--quiet", "--prefer-binary", "--no-compile", *constraints, str(wheel))
        run(*install, python=python, cwd=dist)
        yield python


def run(*arguments: str, python: str | Path = sys.executable, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, *arguments], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def in_wheel(dist) -> dict[str, zipfile.ZipInfo]:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry for entry in archive.infolist()}


def test_the_wheel_holds_everything_the_main_job_needs(in_wheel):
    for name in (
        *(
            f"{starter}/{name}"
            for starter in ("starter", "starter_open")
            for name in (CONFIG, WEIGHTS, STATISTICS, CARD, SUMS)
        ),
        *("assets/mannequin.npz", "assets/viewer/page.html", "assets/viewer/viewer.js"),
        "assets/blender/glb_to_fbx.py",
        "data/sentences.json",
    ):
        assert in_wheel[f"cospeech/{name}"].file_size > 0, name
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert modules <= set(in_wheel)
    for name in ("LICENSE", "NOTICE"):
        assert f"cospeech-{cospeech.__version__}.dist-info/licenses/{name}" in in_wheel


def test_the_wheel_holds_nothing_else_and_is_small(dist, in_wheel):
    tops = {name.partition("/")[0] for name in in_wheel}
    assert tops == {"cospeech", f"cospeech-{cospeech.__version__}.dist-info"}
    assert not [name for name in in_wheel if "__pycache__" in name or name.endswith((".pt", ".pyc", ".npz.tmp"))]
    (wheel,) = dist.glob("*.whl")
    assert wheel.stat().st_size < 26e6  # two starters of at most 12 MB each, and a body


def test_the_sdist_holds_sources_tests_and_scripts(dist):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        *("pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "NOTICE", "README.md", "CITATION.cff"),
        *("src/cospeech/starter/model.safetensors", "scripts/bake_body.py", "scripts/build_viewer.py"),
        *("viewer/viewer.js", "viewer/package-lock.json", "tests/conftest.py", "examples/jfk.flac", "docs/install.md"),
    ):
        assert name in names, name
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name or ".venv" in name]


def test_sources_and_metadata_agree(dist, in_wheel):
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"cospeech-{cospeech.__version__}.dist-info/METADATA").decode()
    assert f"Version: {cospeech.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata
    assert f"version: {cospeech.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


WHERE = """
import importlib.metadata, json, sys
import cospeech, torch
packages = sorted(each.metadata["Name"].lower() for each in importlib.metadata.distributions())
print(json.dumps({"file": cospeech.__file__, "prefix": sys.prefix, "packages": packages, "cuda": torch.version.cuda,
                  "gpu": torch.cuda.is_available()}))
"""


@pytest.mark.network
def test_the_wheel_works_in_an_empty_environment(installed, speech_wav, tmp_path):
    where = json.loads(run("-c", WHERE, python=installed, cwd=tmp_path))
    assert Path(where["file"]).is_relative_to(where["prefix"])  # the installed package, not the sources beside this
    assert where["gpu"] or where["cuda"] is None, "gigabytes of CUDA packages were installed where there is no GPU"
    assert not {"pytest", "scipy", "librosa", "transformers", "gradio"} & set(where["packages"])

    program = installed.with_name("cospeech.exe" if os.name == "nt" else "cospeech")
    for suffix in (".npz", ".glb", ".bvh", ".mp4", ".html"):
        output = run("generate", str(speech_wav), f"talk{suffix}", python=program, cwd=tmp_path)
        assert f"wrote talk{suffix}\n" in output
        assert (tmp_path / f"talk{suffix}").stat().st_size > 10_000
    assert "starter-open" in run("models", python=program, cwd=tmp_path)
