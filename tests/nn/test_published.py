import pytest
import torch
from torch import nn

from cospeech.errors import CheckpointError
from cospeech.nn.published import rename, unwrap

TENSORS = {"a.weight": torch.ones(2, 3), "a.bias": torch.ones(2)}


@pytest.mark.parametrize(
    "state",
    [
        TENSORS,
        {"net": TENSORS},
        {"model_state": {f"module.{key}": value for key, value in TENSORS.items()}},
    ],
)
def test_every_published_wrapping_comes_off(state):
    assert unwrap(state) == TENSORS


def test_tensors_are_renamed_and_unread_ones_dropped():
    names = {"a.weight": "weight", "a.bias": "bias"}
    renamed = rename(TENSORS | {"old": torch.zeros(7)}, names, nn.Linear(3, 2), {"old": (7,)})
    assert renamed == {"weight": TENSORS["a.weight"], "bias": TENSORS["a.bias"]}


def test_something_that_is_no_state_dict_is_refused():
    with pytest.raises(CheckpointError, match="`epoch` is not a tensor"):
        unwrap({"epoch": 3, "a": torch.zeros(1)})
