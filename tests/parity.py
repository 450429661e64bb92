"""Numbers from the published networks, and the recipe that makes their pseudo-random weights without storing them."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FIXTURES = Path(__file__).parent / "fixtures"
TOLERANCE = 1e-4


def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of a fixture file."""
    with np.load(FIXTURES / name) as arrays:
        return {key: arrays[key] for key in arrays.files}


def load_tensors(name: str) -> dict[str, Tensor]:
    return {key: torch.from_numpy(value) for key, value in load(name).items()}


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of one published checkpoint, from `keys/{name}.json`."""
    keys = json.loads((FIXTURES / "keys" / f"{name}.json").read_text())
    return {key: tuple(shape) for key, (shape, _) in keys["state_dict"].items()}


def num_parameters(name: str) -> int:
    return json.loads((FIXTURES / "keys" / f"{name}.json").read_text())["params"]


def weights(shapes_of: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Pseudo-random weights of a published network: each tensor depends on its name and shape alone."""
    return {key: _weight(key.removeprefix("module."), shape) for key, shape in shapes_of.items()}


def inputs(name: str, shape: Sequence[int], scale: float = 1.0) -> Tensor:
    """Pseudo-random inputs that are not stored."""
    return torch.from_numpy((_random("i:" + name).standard_normal(shape) * scale).astype(np.float32))


def _random(name: str) -> np.random.RandomState:
    # The recipe names this generator.
    return np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)


def _weight(key: str, shape: tuple[int, ...]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("inv_freq"):
        return 10000.0 ** (-torch.arange(shape[0]) / shape[0])
    if key.endswith(".pe"):
        return torch.zeros(shape)  # the sinusoid table, which is computed and never read from a file
    if key.endswith(".A_log"):
        return torch.arange(1.0, shape[1] + 1).log().repeat(shape[0], 1)
    random = _random("w:" + key)
    n = random.standard_normal(shape)
    if key.endswith("running_var"):
        n = 0.5 + random.random_sample(shape)
    elif "codebook" in key or key.endswith("quantizer.embedding.weight"):
        n = 0.5 * n
    elif key.endswith("dt_proj.bias"):
        n = n - 4
    elif len(shape) == 1 and key.endswith(("weight", ".D")):
        n = 1 + 0.1 * n
    elif len(shape) < 2:
        n = 0.1 * n
    else:
        n = n / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(n, dtype=np.float32))
