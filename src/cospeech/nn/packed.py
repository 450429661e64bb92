"""Linear layers for generating on a processor: their weights are reordered once, not at every call.

With few rows, a matrix product spends a third of its time on bringing the weights into the order in which the
processor reads them. oneDNN, which PyTorch contains, can do that beforehand. Where it cannot, these layers are plain
ones.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """`F.linear`, with GELU after it if wanted; for inference.

    Args:
        weight: (out, in).
        bias: (out,) or None.
        dtype: Of the inputs, and of the weights from now on.
    """

    ROWS = 32  # that an input usually has: the order is chosen for them

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, gelu: bool = False):
        super().__init__()
        self.gelu = gelu
        self.bias = None if bias is None else bias.detach().to(dtype, copy=True)
        self.packs = _can_pack(weight.device.type, dtype)
        weight = weight.detach().to(dtype, copy=True).contiguous()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, self.ROWS) if self.packs else weight

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        if self.packs:
            after = ("gelu", [], "none") if self.gelu else ("none", [], "")  # of GELU: not its approximation
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, *after)
        y = F.linear(x, self.weight, self.bias)
        return F.gelu(y) if self.gelu else y


class _Through(nn.Module):
    """A product in other numbers than those around it."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype):
        super().__init__()
        self.dtype, self.linear = dtype, PackedLinear(linear.weight, linear.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.to(self.dtype)).to(x.dtype)


def pack(network: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    """Put packed layers in the place of all linear ones of a network, one after another; it can no longer learn.

    Args:
        dtype: Of the products; what goes in and out stays as it is.
    """
    for name, child in network.named_children():
        if isinstance(child, nn.Linear):
            packed = PackedLinear(child.weight, child.bias, dtype) if dtype == child.weight.dtype else None
            setattr(network, name, packed or _Through(child, dtype))
        else:
            pack(child, dtype)


@cache
def _can_pack(device: str, dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch and this processor do it: found out by doing it."""
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    try:
        x, weight = torch.randn(2, 8).to(dtype), torch.randn(4, 8).to(dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 2)
        y = torch.ops.mkldnn._linear_pointwise(x, packed, None, "gelu", [], "none")
    except (AttributeError, RuntimeError):
        return False
    return torch.allclose(y.float(), F.gelu(F.linear(x, weight)).float(), atol=0.1)
