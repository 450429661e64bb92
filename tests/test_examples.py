"""Examples run, wherever they are run from."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_anywhere_and_writes_what_it_names(script, tmp_path):
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    named = re.findall(r'"out/([\w-]+\.\w+)"', script.read_text(encoding="utf-8"))
    for name in named:
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert f"`{script.name}`" in (ROOT / "examples" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs: clear them"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook server's own parts
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [file.stat().st_size > 1000 for file in tmp_path.iterdir()]
    assert f"[{path.name}]" in (ROOT / "examples" / "notebooks" / "README.md").read_text(encoding="utf-8")
