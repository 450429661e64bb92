import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from cospeech.config import from_dict, load_json, load_toml, save_json, to_dict
from cospeech.errors import ConfigError


@dataclass(frozen=True)
class Circle:
    radius: float = 1.0
    kind: Literal["circle"] = "circle"


@dataclass(frozen=True)
class Square:
    side: int = 1
    kind: Literal["square"] = "square"

    def __post_init__(self):
        if self.side < 0:
            raise ConfigError(f"`side` must not be negative, got {self.side}.")


@dataclass(frozen=True)
class Scene:
    name: str
    shape: Circle | Square
    size: tuple[int, float] = (1, 2.0)
    tags: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    mode: Literal["fast", "slow", 3] = "fast"
    title: str | None = None
    number: int | float = 0
    folder: Path | None = None
    backup: Circle | None = None
    visible: bool = True


EVERYTHING = {
    "name": "a",
    "shape": {"kind": "square", "side": 3},
    "size": [4, 5],
    "tags": ["x", "y"],
    "weights": {"x": 1},
    "mode": 3,
    "title": "t",
    "number": 2,
    "folder": "runs/1",
    "backup": {"radius": 2},
    "visible": False,
}


def test_every_kind_of_field_is_built():
    scene = from_dict(Scene, EVERYTHING)
    folder = Path("runs/1")
    assert scene == Scene(
        "a", Square(3), (4, 5.0), ("x", "y"), {"x": 1.0}, 3, "t", 2, folder, Circle(2.0), visible=False
    )
    assert isinstance(scene.size[1], float)
    assert isinstance(scene.number, int)


def test_dict_and_json_round_trip(tmp_path):
    scene = from_dict(Scene, EVERYTHING)
    assert from_dict(Scene, to_dict(scene)) == scene
    save_json(scene, tmp_path / "config.json")
    assert load_json(Scene, tmp_path / "config.json") == scene
    assert from_dict(Scene, to_dict(Scene("b", Circle()))) == Scene("b", Circle())


def test_toml_is_read_and_its_place_named_in_errors(tmp_path):
    path = tmp_path / "scene.toml"
    path.write_text('name = "a"\nsize = [1, 2.5]\n[shape]\nkind = "circle"\nradius = 3\n')
    assert load_toml(Scene, path) == Scene("a", Circle(3.0), (1, 2.5))
    path.write_text('name = "a"\n[shape]\nkind = "circle"\nradios = 3\n')
    with pytest.raises(ConfigError) as error:
        load_toml(Scene, path)
    assert str(error.value) == f"{path}.shape: unknown setting `radios`. Did you mean `radius`?"


@pytest.mark.parametrize("content", ["name = ", None])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "scene.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"scene\.toml"):
        load_toml(Scene, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zzz": 1}, "unknown setting `zzz`. Known settings: name, shape"),
        ({"nmae": "a"}, "unknown setting `nmae`. Did you mean `name`?"),
        ({"name": 1}, "name: expected str, got 1."),
        ({"size": [1]}, "size: expected tuple[int, float], got [1]."),
        ({"size": [1, "x"]}, "size[1]: expected float, got 'x'."),
        ({"size": [True, 1.0]}, "size[0]: expected int, got True."),
        ({"tags": "xy"}, "tags: expected tuple[str, ...], got 'xy'."),
        ({"weights": {"x": "y"}}, "weights.x: expected float, got 'y'."),
        ({"mode": "quick"}, "mode: expected one of 'fast', 'slow', 3, got 'quick'."),
        ({"title": 3}, "title: expected str or nothing, got 3."),
        ({"visible": 1}, "visible: expected bool, got 1."),
        ({"shape": {"side": 1}}, "shape: `kind` must be one of 'circle', 'square', got None."),
        ({"shape": {"kind": "cube"}}, "shape: `kind` must be one of 'circle', 'square', got 'cube'."),
        ({"shape": {"kind": "square", "side": -1}}, "shape: `side` must not be negative, got -1."),
        ({"shape": 3}, "shape: expected a table of Circle settings or a table of Square settings, got 3."),
        ({"backup": {"radius": "big"}}, "backup.radius: expected float, got 'big'."),
    ],
)
def test_mistakes_are_named_with_their_place(change, message):
    with pytest.raises(ConfigError) as error:
        from_dict(Scene, EVERYTHING | change)
    assert str(error.value).startswith(message)


def test_missing_settings_are_named():
    with pytest.raises(ConfigError, match=r"top: setting `shape` is missing\."):
        from_dict(Scene, {"name": "a"}, "top")


def test_something_that_is_no_table_is_refused():
    with pytest.raises(ConfigError, match="expected a table of Scene settings"):
        from_dict(Scene, [1])


def test_configs_given_as_objects_are_taken():
    scene = from_dict(Scene, {"name": "a", "shape": Square(2)})
    assert scene.shape == Square(2)
    assert dataclasses.replace(scene, name="b").name == "b"
