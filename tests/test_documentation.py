"""What README and docs say holds: every snippet runs, every command parses, every link leads somewhere."""

import contextlib
import functools
import io
import re
import runpy
import shutil
import sys
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import snippets
import tyro
from snippets import PAGES, ROOT, blocks, commands

import cospeech
from cospeech import checkpoint, cli
from cospeech.errors import CospeechWarning
from cospeech.render import frames, video

# Snippets that are not run, by how they begin. Commands of cospeech among them are parsed by the real command line.
NOT_RUN = {
    "cospeech download": "fetches from other hosts; tests/download does so from one on this machine",
    "cospeech reproduce": "downloads; tests/recipes/test_reproduce.py",
    "cospeech import": "needs released weights; tests/released makes some of their layout",
    "cospeech prepare": "needs a corpus; tests/data makes small ones",
    "cospeech train": "takes days; tests/recipes trains small networks",
    "cospeech evaluate": "takes a minute; tests/recipes/test_evaluate.py",
    "cospeech compare": "needs two evaluations; tests/recipes/test_evaluate.py",
    "cospeech bench": "takes minutes",
    "cospeech demo": "serves until it is stopped",
    "cospeech serve": "serves until it is stopped",
    "cospeech convert talk.npz talk.fbx": "needs a Blender; tests/formats/test_fbx.py, tests/test_character_fbx.py",
    "cospeech convert 02_01.amc": "needs a file of CMU's; tests/formats/test_asf.py",
    "cospeech align talk.wav talk.TextGrid --transcript talk.txt --aligner mfa": "needs MFA; tests/words/test_mfa.py",
    "python -m cospeech.recipes.bench_characters": "takes half a minute; tests/test_character.py",
    "python -m cospeech.recipes": "takes minutes",
    "python scripts/picture_characters.py": "needs three.js from npm and a browser",
    "python scripts/bench_viewer.py": "needs a browser and takes a minute",
    "python app.py": "serves until it is stopped; tests/test_space.py",
    "raise SystemExit(main": "a line of that program",
    "torchrun": "starts processes on several devices; what it starts is parsed",
    "pip": "changes the environment; extras are looked up",
    "make": "changes the environment; targets are looked up",
    "pytest": "is this; paths are looked up",
    "python -m pytest": "is this; paths are looked up",
    "python -m pip": "changes the environment; extras are looked up",
    "python3 -m venv": "makes an environment",
    "python3.11 -m venv": "makes an environment",
    "blender/bin/pip": "makes an environment",
    ". .venv/bin/activate": "of that environment",
    "ruff": "make test does",
    "apt-get": "changes the system",
    "npm": "downloads",
    "conda": "installs MFA",
    "mfa": "downloads its models",
    "export": "for the next line",
    "pipeline = cospeech.load_pipeline(\"syntalker-t\")": "styles need its text-motion space; tests/test_pipeline.py",
}  # fmt: skip
PROGRAMS_OF_OTHERS = {"--extra-index-url", "--version"}  # options in prose that are not of one of our commands
WITH_THE_STARTER = ("README.md", "docs/start.md")  # elsewhere a tiny model stands in for it: seconds instead of minutes


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=name)


@pytest.fixture(scope="session")
def world(tmp_path_factory, jfk_flac) -> Path:
    folder = tmp_path_factory.mktemp("world")
    snippets.make_world(folder, jfk_flac)
    return folder


@pytest.fixture
def home(world, tmp_path, monkeypatch) -> Path:
    """A copy of all files that the snippets name, where the page's snippets may write; films are black."""
    shutil.copytree(world, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frames, "draw", lambda body, frame: np.zeros((36, 64, 3), np.uint8))
    monkeypatch.setattr(frames, "_num_processors", lambda: 1)
    monkeypatch.setitem(video.write.__kwdefaults__, "size", (64, 36))
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    return tmp_path


@contextlib.contextmanager
def as_a_user() -> Iterator[None]:
    """Warnings are told, not raised, as outside of tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", CospeechWarning)
        yield


def not_run(text: str) -> bool:
    return any(re.match(rf"{re.escape(start)}(?![\w-])", text) for start in NOT_RUN)


@each_page
def test_the_snippets_of_a_page_run(page, home, monkeypatch, capsys):
    if name(page) not in WITH_THE_STARTER:
        for model in ("starter", "starter-open"):
            released = replace(checkpoint.RELEASED[model], where=str(home / "stand-ins" / model))
            monkeypatch.setitem(checkpoint.RELEASED, model, released)
    names = {}  # a page's snippets of Python follow each other
    for block in blocks(page, "sh", "python"):
        if block.language == "python":
            if not not_run(block.text):
                with as_a_user():
                    exec(compile(block.text, name(page), "exec"), names)
            continue
        for words in commands(block):
            line = " ".join(words)
            if any("$" in word for word in words) or not_run(line):
                continue  # the test below looks at it
            capsys.readouterr()
            with as_a_user():
                if words[0] == "cospeech":
                    assert cli.main(words[1:]) == 0, f"{line}: {capsys.readouterr().err}"
                elif words[0] == "python" and words[1].endswith(".py"):
                    monkeypatch.setattr(sys, "argv", words[1:])
                    runpy.run_path(words[1], run_name="__main__")
                else:
                    pytest.fail(f"{line}: is neither run nor listed with a reason in NOT_RUN")


def inert(function):
    """The same interface, and nothing happens."""

    @functools.wraps(function)
    def nothing(*_, **__) -> None:
        pass

    return nothing


@contextlib.contextmanager
def parsing(line: str, capsys) -> Iterator[None]:
    try:
        yield
    except SystemExit as stop:
        if stop.code:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


@each_page
def test_every_command_of_a_page_can_be_given(page, monkeypatch, capsys):
    monkeypatch.setattr(cli, "COMMANDS", {verb: inert(command) for verb, command in cli.COMMANDS.items()})
    for block in blocks(page, "sh", "powershell"):
        for words in commands(block):
            line = " ".join(words)
            if words[0] in ("torchrun", "python") and "cospeech" in words:
                words = words[words.index("cospeech") :]
            if words[0] == "cospeech":
                with parsing(line, capsys):
                    assert cli.main(words[1:]) == 0, line
            elif words[0] == "make":
                makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
                assert all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words[1:] if "=" not in word)
            elif words[0] == "pip" or words[1:3] == ["-m", "pip"]:
                project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
                extras = ",".join(re.findall(r"\[([\w,]+)\]", line)).split(",")
                assert set(filter(None, extras)) <= set(project["optional-dependencies"]), line
            elif "pytest" in words:
                assert all((ROOT / word).exists() for word in words if word.startswith("tests/")), line
            elif words[1:2] == ["-m"] and words[2].startswith("cospeech.recipes."):
                recipe_can_be_given(words[2], words[3:], monkeypatch, capsys)


def recipe_can_be_given(module: str, arguments: list[str], monkeypatch, capsys) -> None:
    parse = tyro.cli
    with monkeypatch.context() as patch, parsing(module, capsys):
        patch.setattr(tyro, "cli", lambda function: parse(inert(function), args=arguments))
        patch.delitem(sys.modules, module, raising=False)
        if module.endswith("bench_characters"):  # reads its arguments itself
            patch.setattr(sys, "argv", [module, "--help"])
        runpy.run_module(module, run_name="__main__")


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Verb -> its options."""
    shown = {}
    for verb in cli.COMMANDS:
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            cli.main([verb, "--help"])
        shown[verb] = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", said.getvalue()))
    return shown


@each_page
def test_a_page_names_only_commands_and_options_that_exist(page, options):
    prose = snippets.FENCED.sub("", page.read_text(encoding="utf-8"))
    for verb, rest in re.findall(r"`cospeech ([a-z]+)([^`]*)`", prose):
        assert verb in options
        assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", rest)) <= options[verb], f"cospeech {verb}{rest}"
    known = set().union(*options.values()) | PROGRAMS_OF_OTHERS
    assert set(re.findall(r"`(--[\w-]+)", prose)) <= known


@each_page
def test_commands_stand_in_fenced_blocks_where_tests_find_them(page):
    prose = snippets.FENCED.sub("", page.read_text(encoding="utf-8"))
    assert not re.findall(r"^ {4,}(?:cospeech|python|pip) .*", prose, re.MULTILINE)


@each_page
def test_a_page_names_only_files_that_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_every_reason_for_not_running_a_snippet_is_needed():
    said = [
        " ".join(words) for page in PAGES for block in blocks(page, "sh", "powershell") for words in commands(block)
    ]
    said += [block.text for page in PAGES for block in blocks(page, "python")]
    unused = {start for start in NOT_RUN if not any(line.startswith(start) for line in said)}
    assert not unused - {"cospeech demo", "cospeech serve"}  # would never end where a page names them
    elsewhere = re.findall(r"tests/[\w/.]*\w", " ".join(NOT_RUN.values()))
    assert not [path for path in elsewhere if not (ROOT / path).exists()]


def test_the_readme_generates_a_motion_in_five_lines_of_python():
    (block,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in block.text.splitlines() if line.strip()]) == 5


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
        path = re.match(r"\| `([^`]+)`", row)[1]
        assert (ROOT / path).exists(), path
