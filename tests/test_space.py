"""The folder for a Hugging Face Space: what the hub reads of it, and that only a Space lets others in."""

import re
import runpy
import tomllib
from functools import wraps
from pathlib import Path

import pytest
import yaml

from cospeech import cli

ROOT = Path(__file__).parents[1]
SPACE = ROOT / "space"
HUB_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


def test_the_hub_finds_what_it_needs():
    _, front, _ = (SPACE / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["sdk"] == "gradio"
    assert (SPACE / card["app_file"]).exists()
    assert card["colorFrom"] in HUB_COLOURS
    assert card["colorTo"] in HUB_COLOURS
    assert len(card["short_description"]) <= 60
    assert not set(card) - {
        *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license"),
        "short_description",
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r"cospeech\[([\w,]+)\]", (SPACE / "requirements.txt").read_text(encoding="utf-8"))[1]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.mark.skipif("demo" not in cli.COMMANDS, reason="this version has no `cospeech demo`")
@pytest.mark.parametrize(("space", "host"), [(None, "127.0.0.1"), ("someone/cospeech", "0.0.0.0")])
def test_only_inside_a_space_others_are_let_in(space, host, monkeypatch):
    given = []
    monkeypatch.setitem(cli.COMMANDS, "demo", stands_for(cli.COMMANDS["demo"], given))
    monkeypatch.delenv("SPACE_ID", raising=False)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SPACE / "app.py"), run_name="__main__")
    assert stop.value.code == 0
    assert given[0]["host"] == host


def stands_for(command, given: list):
    """The same interface; keeps what it is called with."""

    @wraps(command)
    def keep(**arguments) -> None:
        given.append(arguments)

    return keep
