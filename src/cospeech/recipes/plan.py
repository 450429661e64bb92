"""How published settings are fitted to the data that is there: shares of its sources, steps that make their epochs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from cospeech.data.store import Store
from cospeech.data.stored import ClipInfo
from cospeech.errors import DataError


@cache
def training_clips(store: Path) -> list[ClipInfo]:
    return [info for info in Store(store).infos if info.split == "train"]


def by_frames(infos: Sequence[ClipInfo], otherwise: str) -> dict[str, float]:
    """Source -> its share of the frames; `DataError` where there are none."""
    frames: dict[str, int] = defaultdict(int)
    for info in infos:
        frames[info.source] += info.num_frames
    if not frames:
        raise DataError(otherwise)
    return {source: count / sum(frames.values()) for source, count in frames.items()}


def windows_of(infos: Sequence[ClipInfo], window_frames: int, every: int) -> int:
    """How many windows an epoch has that takes one every so many frames."""
    return sum((info.num_frames - window_frames) // every + 1 for info in infos if info.num_frames >= window_frames)


def epochs(config: Any, count: int, size: int, settings: Sequence[str]) -> Any:
    """The config with as many steps as make so many epochs, unless the settings say how many steps.

    Args:
        size: Windows of an epoch.
    """
    if any(setting.partition("=")[0].strip() == "training.steps" for setting in settings):
        return config
    batch = config.training.batch_size * config.training.processes
    return replace(config, training=replace(config.training, steps=count * max(size // batch, 1)))


def of_network(network: str, settings: Sequence[str]) -> list[str]:
    """Of "network.key=value" settings those of one network, as "key=value"."""
    return [setting.removeprefix(f"{network}.") for setting in settings if setting.startswith(f"{network}.")]


def licence_of(store: Path) -> str:
    licences = dict.fromkeys(each for info in training_clips(store) for each in info.licence.split("; "))
    return "those of its data: " + "; ".join(licences)
