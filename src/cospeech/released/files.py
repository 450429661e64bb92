"""Published files: found below folders, read as numbers and nothing else."""

import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor

from cospeech.errors import CheckpointError
from cospeech.formats.npy import read_array
from cospeech.nn import published

_ARRAY_BYTES = 10_000_000  # of mean or standard deviation; the longest has 5 thousand


def below(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file at or below the paths, each once, in an order that does not change. Symbolic links are followed."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise CheckpointError(f"{path}: no such file or folder.")
        for each in _walk(path) if path.is_dir() else (path,):
            if each.is_file() and (real := each.resolve()) not in seen:
                seen.add(real)
                yield each


def _walk(folder: Path) -> Iterator[Path]:
    entered: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        if real in entered:  # a link that leads back up
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a published file: finite numbers, all of them there. Nothing in the file is executed.

    Raises:
        CheckpointError: what is wrong, in one line.
    """
    try:
        if zipfile.is_zipfile(path):  # as torch has written them since 2020; it does not look at their checksums itself
            with zipfile.ZipFile(path) as archive:
                if broken := archive.testzip():
                    raise CheckpointError(f"damaged: the checksum of {broken} in it is wrong. Download it again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats of older versions of torch
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, Mapping):
            raise CheckpointError(f"it holds no tensors but {type(state).__name__}")
        tensors = published.unwrap(state)
        for name, tensor in tensors.items():
            _check(name, tensor)
        return tensors
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}.".replace("..", ".")) from None
    except UnpicklingError:
        raise CheckpointError(f"{path}: refused: damaged, or it would do more than hold tensors.") from None
    except Exception as error:  # torch raises whatever a damaged file's bytes happen to cause
        raise CheckpointError(f"{path}: damaged ({str(error).splitlines()[0] if str(error) else error!r}).") from None


def _check(name: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_complex() or tensor.is_quantized:
        raise CheckpointError(f"`{name}` is no plain tensor of numbers")
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise CheckpointError(f"`{name}` claims {tuple(tensor.shape)} numbers and holds fewer")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise CheckpointError(f"`{name}` contains NaN or infinity")


def read_statistics(path: Path, length: int, positive: bool) -> Tensor:
    """(length,) float32 of a `.npy` file, finite, and positive where that is asked."""
    try:
        with path.open("rb") as file:
            array = read_array(file, _ARRAY_BYTES)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as a numpy array ({error}).") from None
    if array.shape != (length,) or array.dtype.kind != "f":
        raise CheckpointError(f"{path}: must hold {length} numbers, one for each channel, but has shape {array.shape}.")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all() or (positive and (array <= 0).any()):
        raise CheckpointError(f"{path}: must hold finite numbers, and a standard deviation positive ones.")
    return torch.from_numpy(array)
