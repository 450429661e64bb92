"""Dataclass <-> dict, TOML, JSON. What a file says is checked against the dataclass; unknown keys are errors.

A config is a frozen dataclass whose fields are bool, int, float, str, Path, Literal, tuple, dict, another config, or a
union of these. Several configs in one union are told apart by a field of one name that is a Literal in each of them,
such as `kind: Literal["name"]`.
"""

import dataclasses
import difflib
import json
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from cospeech.errors import ConfigError

T = TypeVar("T")


def from_dict(cls: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `cls` from nested dicts and lists, as a TOML or JSON file gives them.

    Args:
        where: Place of `data`, for messages: a file name or a dotted key.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type or is impossible.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{_at(where)}expected a table of {cls.__name__} settings, got {data!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known settings: {', '.join(fields)}."
            raise ConfigError(f"{_at(where)}unknown setting `{key}`. {hint}")
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if name not in data and no_default:
            raise ConfigError(f"{_at(where)}setting `{name}` is missing.")
    types_of = typing.get_type_hints(cls)
    values = {key: _convert(types_of[key], value, f"{where}.{key}" if where else key) for key, value in data.items()}
    try:
        return cls(**values)
    except ConfigError as error:  # an impossible value, found by the dataclass itself
        raise ConfigError(f"{_at(where)}{error}") from None


def to_dict(config: Any) -> dict[str, Any]:
    """Inverse of `from_dict`: dicts, lists and plain values only, ready for JSON."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config) if field.init}


def changed(config: T, settings: Sequence[str]) -> T:
    """The config with other values: "training.steps=100", values as in TOML, or text as it stands.

    Raises:
        ConfigError: there is no such setting, or its value is impossible.
    """
    data = to_dict(config)
    for setting in settings:
        key, equals, value = setting.partition("=")
        *path, last = key.strip().split(".")
        table: Any = data
        for name in path:
            table = table.get(name) if isinstance(table, dict) else None
        if not equals or not isinstance(table, dict):
            raise ConfigError(f"`{setting}` is no setting. Write it like training.steps=100.")
        try:
            table[last] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            table[last] = value.strip()
    return from_dict(type(config), data)


def load_toml(cls: type[T], path: Path | str) -> T:
    """Read a dataclass from a TOML file."""
    return _load(cls, path, tomllib.loads, tomllib.TOMLDecodeError)


def load_json(cls: type[T], path: Path | str) -> T:
    """Read a dataclass, or one of a union of them, from a JSON file, such as `config.json` of a run."""
    return _load(cls, path, json.loads, json.JSONDecodeError)


def save_json(config: Any, path: Path | str) -> None:
    """Write a dataclass as JSON. Inverse of `load_json`."""
    Path(path).write_text(json.dumps(to_dict(config), indent=2) + "\n", encoding="utf-8")


def _load(cls: type[T], path: Path | str, parse: Any, syntax_error: type[Exception]) -> T:
    try:
        data = parse(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except (syntax_error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}.") from None
    return _convert(cls, data, str(path))


def _convert(kind: Any, value: Any, where: str) -> Any:
    """`value` as an instance of the annotated type `kind`, or ConfigError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is Literal:
        if any(value == choice and type(value) is type(choice) for choice in arguments):
            return value
    elif dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else from_dict(kind, value, where)  # type: ignore[arg-type]
    elif origin is tuple and isinstance(value, (list, tuple)):
        if arguments[-1] is Ellipsis:
            arguments = (arguments[0],) * len(value)
        if len(arguments) == len(value):
            pairs = zip(arguments, value, strict=True)
            return tuple(_convert(item, entry, f"{where}[{i}]") for i, (item, entry) in enumerate(pairs))
    elif origin is dict and isinstance(value, Mapping):
        return {key: _convert(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    elif kind in (bool, int, str, type(None)) and type(value) is kind:
        return value
    raise ConfigError(f"{where}: expected {_name(kind)}, got {value!r}.")


def _convert_union(variants: tuple[Any, ...], value: Any, where: str) -> Any:
    tables = [variant for variant in variants if dataclasses.is_dataclass(variant)]
    if isinstance(value, Mapping) and tables:
        if len(tables) == 1:
            return _convert(tables[0], value, where)
        key, tagged = _tags(tables)
        if value.get(key) not in tagged:
            known = ", ".join(repr(tag) for tag in tagged)
            raise ConfigError(f"{where}: `{key}` must be one of {known}, got {value.get(key)!r}.")
        return _convert(tagged[value[key]], value, where)
    for variant in sorted(variants, key=lambda variant: variant is float):  # an int stays an int in `int | float`
        try:
            return _convert(variant, value, where)
        except ConfigError:
            continue
    raise ConfigError(f"{where}: expected {' or '.join(_name(variant) for variant in variants)}, got {value!r}.")


def _tags(tables: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """The field by which configs are told apart, and its values -> the configs."""
    hints = [typing.get_type_hints(table) for table in tables]
    key = next(name for name in hints[0] if all(typing.get_origin(each.get(name)) is Literal for each in hints))
    pairs = zip(tables, hints, strict=True)
    return key, {tag: table for table, each in pairs for tag in typing.get_args(each[key])}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return str(value) if isinstance(value, Path) else value


def _name(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(kind))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return f"a table of {kind.__name__} settings"
    if kind is type(None):
        return "nothing"
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


def _at(where: str) -> str:
    return f"{where}: " if where else ""
