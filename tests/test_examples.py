"""Examples run, and what README and docs say exists: commands, options, files and the five lines of Python."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cospeech
from cospeech import cli

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples/README.md", *DOCS]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_anywhere_and_writes_what_it_names(script, tmp_path):
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    named = re.findall(r'"out/([\w-]+\.\w+)"', script.read_text(encoding="utf-8"))
    for name in named:
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert f"`{script.name}`" in (ROOT / "examples" / "README.md").read_text(encoding="utf-8")


def test_the_lines_of_python_in_the_readme_generate_a_motion(tmp_path):
    (code,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in code.splitlines() if line.strip()]) == 5
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "jfk.flac", tmp_path / "examples")
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (written,) = [path for path in tmp_path.iterdir() if path.is_file()]
    assert written.read_bytes()[:4] == b"glTF"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_names_only_files_that_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def commands(page: Path) -> list[list[str]]:
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and Path(words[0]).name == "cospeech"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_names_only_commands_and_options_that_exist(page, capsys):
    for verb, *arguments in commands(page):
        assert verb in cli.COMMANDS
        with pytest.raises(SystemExit):
            cli.main([verb, "--help"])
        known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
        assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_the_readme_names_the_two_commands_and_the_makefile_has_them():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"\nmake {target}" in readme
        assert f"\n{target}:" in makefile


def test_the_changelog_knows_this_version():
    heading = "Unreleased" if "dev" in cospeech.__version__ else cospeech.__version__
    assert f"\n## {heading}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_at_most_ten_things_are_written_by_hand_and_each_exists():
    text = (ROOT / "docs" / "hand-written.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert 1 <= len(rows) <= 10
    for row in rows:
        name = re.match(r"\| `([^`]+)`", row)[1]
        assert (ROOT / name).exists(), name
