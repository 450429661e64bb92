"""Convolutions for generating on a processor.

A convolution of 15 steps with stride 1 costs 15 products for each pair of channels and step. In the frequency domain it
costs about three: of tiles that overlap, transformed, each frequency is one product of matrices [1].

[1] Mathieu, Henaff & LeCun 2013, Fast training of convolutional networks through FFTs, arXiv:1312.5851

Axes: B clips, C channels in, O channels out, K steps of the kernel, N steps, F frequencies.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.nn.layers import WaveformBlock

MAX_TILES = 256  # at once: the numbers of more do not stay in the cache between transform and product


class TiledConvolution(nn.Module):
    """`F.conv1d` with stride 1 and as many steps out as in; for inference.

    Args:
        weight: (O, C, K), K odd.
        bias: (O,).
        tile: Steps that are transformed together: many are few products, few are few numbers to keep for the weights.
    """

    weight: Tensor  # (F, C, O) complex
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, tile: int):
        super().__init__()
        self.kernel, self.tile = weight.shape[2], tile
        if self.kernel % 2 == 0 or tile < self.kernel:
            raise ValueError(f"A kernel of {self.kernel} steps must be odd and fit into a tile of {tile}.")
        spectrum = torch.fft.rfft(weight.detach().flip(2), tile)  # (O, C, F)
        self.register_buffer("weight", spectrum.permute(2, 1, 0).contiguous(), persistent=False)
        self.register_buffer("bias", bias.detach().clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, N) -> (B, O, N)
        tiles = -(-x.shape[2] // self._new)
        clips = max(1, MAX_TILES // tiles)
        return torch.cat([self._tiled(some, tiles) for some in x.split(clips)])

    @property
    def _new(self) -> int:
        """Steps that a tile adds."""
        return self.tile - self.kernel + 1

    def _tiled(self, x: Tensor, tiles: int) -> Tensor:
        clips, length, new = len(x), x.shape[2], self._new
        before = self.kernel // 2
        x = F.pad(x, (before, tiles * new + self.kernel - 1 - length - before))
        spectrum = torch.fft.rfft(x.unfold(2, self.tile, new))  # (B, C, tiles, F)
        spectrum = spectrum.permute(3, 0, 2, 1).flatten(1, 2) @ self.weight  # (F, B tiles, O)
        spectrum = spectrum.unflatten(1, (clips, tiles)).permute(1, 3, 2, 0)
        y = torch.fft.irfft(spectrum, self.tile)[..., self.kernel - 1 :]  # what is before wraps around
        return y.flatten(2)[..., :length] + self.bias[:, None]


class FrozenWaveformBlock(nn.Module):
    """The same as the `WaveformBlock` it is made of, for inference: norms are part of the convolutions.

    Convolutions with a stride are in `dtype`, the others in float32.
    """

    def __init__(self, block: WaveformBlock, dtype: torch.dtype):
        super().__init__()
        self.slope, self.dtype = block.SLOPE, dtype
        self.stride, self.padding = block.first[0].stride, block.first[0].padding
        weight, bias = _folded(block.first)
        self.first: nn.Module | None = None
        if isinstance(block.shortcut, nn.Identity):
            self.first = _unstrided(weight, bias)
        else:  # both hear the same: one convolution
            both = zip((weight, bias), _folded(block.shortcut), strict=True)
            weight, bias = (torch.cat(each).to(dtype) for each in both)
            self.weight, self.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        self.second = _unstrided(*_folded(block.second))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, N) -> (B, O, N') float32
        if self.first is not None:
            y, shortcut = self.first(x), x
        else:
            both = F.conv1d(x.to(self.dtype), self.weight, self.bias, self.stride, self.padding).float()
            y, shortcut = both.chunk(2, dim=1)
        y = self.second(F.leaky_relu(y, self.slope))
        return F.leaky_relu_(y.add_(shortcut), self.slope)


class _Same(nn.Module):
    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight, self.bias, padding="same")


def _unstrided(weight: Tensor, bias: Tensor) -> nn.Module:
    if weight.is_cuda:  # has its own
        return _Same(weight, bias)
    return TiledConvolution(weight, bias, tile=64 if weight.shape[1] <= 256 else 32)


def _folded(layers: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what a convolution and its norm do."""
    convolution, norm = layers
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return convolution.weight * scale[:, None, None], (convolution.bias - norm.running_mean) * scale + norm.bias
