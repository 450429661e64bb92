"""Published state dicts -> ours, checked tensor by tensor."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from cospeech.errors import CheckpointError

M = TypeVar("M", bound=nn.Module)


def unwrap(state: Mapping[str, object]) -> dict[str, Tensor]:
    """The tensors of a published file: without its top-level key (`net`, `model_state`) and `module.` prefix."""
    if len(state) == 1:
        (only,) = state.values()
        if isinstance(only, Mapping):
            state = only
    tensors = {str(key).removeprefix("module."): value for key, value in state.items()}
    if len(tensors) < len(state):
        twice = next(key for key in tensors if key in state and f"module.{key}" in state)
        raise CheckpointError(f"It holds both `{twice}` and `module.{twice}`.")
    for key, value in tensors.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"Checkpoint entry `{key}` is not a tensor but {type(value).__name__}.")
    return tensors  # type: ignore[return-value]


def check_shapes(state: Mapping[str, Tensor], shapes: Mapping[str, Collection[int]]) -> None:
    """Raise CheckpointError naming each tensor of `state` that is missing, unknown, or of another shape."""
    missing = [key for key in shapes if key not in state]
    unknown = [key for key in state if key not in shapes]
    misshapen = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(shape)}"
        for key, shape in shapes.items()
        if key in state and tuple(state[key].shape) != tuple(shape)
    ]
    problems = [("missing", missing), ("unknown", unknown), ("of another shape", misshapen)]
    found = [f"{what}: {', '.join(keys)}" for what, keys in problems if keys]
    if found:
        raise CheckpointError(f"The checkpoint does not fit the model. Tensors {'; '.join(found)}.")


def shapes(
    names: Mapping[str, str], model: nn.Module, others: Mapping[str, Collection[int]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Published name -> shape of every tensor that `rename` with the same arguments expects."""
    ours = model.state_dict()
    expected = {theirs: ours[name].shape for theirs, name in names.items()} | dict(others or {})
    return {name: tuple(shape) for name, shape in expected.items()}


def rename(
    state: Mapping[str, object],
    names: Mapping[str, str],
    model: nn.Module,
    others: Mapping[str, Collection[int]] | None = None,
) -> dict[str, Tensor]:
    """Rename the tensors of a published state dict to those of `model`; none may be left over or lacking.

    Args:
        state: As `torch.load` gives it, with or without top-level key and `module.` prefix.
        names: Published name -> our name, for every tensor that is taken as it is.
        model: Says which shapes are expected; may be on the meta device.
        others: Published name -> shape of tensors that must be there and are dropped: the network never reads them,
            or the caller takes them in another form.
    """
    tensors = unwrap(state)
    check_shapes(tensors, shapes(names, model, others))
    return {name: tensors[theirs] for theirs, name in names.items()}


def meta(build: Callable[[], M]) -> M:
    """`build()` without memory for its weights: only their names and shapes."""
    with torch.device("meta"):
        return build()
