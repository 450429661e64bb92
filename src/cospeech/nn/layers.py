"""Layers of the transformers, of the waveform encoders, and of what codes motion frame by frame.

[1] Vaswani et al. 2017, Attention is all you need, arXiv:1706.03762, section 3.5
[2] Su et al. 2021, RoFormer, arXiv:2104.09864
[3] Huang et al. 2016, Deep networks with stochastic depth, arXiv:1603.09382

Axes: B clips, S steps, W width, N samples, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.nn.packed import PackedLinear

SLOPE = 0.2  # of every leaky ReLU of EMAGE and its heirs but those of the encoder of samples


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width) position table of [1]: sine on even channels, cosine on odd ones, base 10000."""
    position = torch.arange(length, dtype=torch.float64)[:, None]
    frequency = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = position * frequency  # (length, width / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()


def rotary_table(length: int, width: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine, (length, width / 2) each, of the angles of [2] for one group of `width` channels."""
    position = torch.arange(length, dtype=torch.float64)[:, None]
    angle = position * 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn channel pairs of (B, S, W) by their position's angles; channel j of a group pairs with j + half a group.

    Args:
        cos, sin: (S, G / 2) from `rotary_table`; W is a multiple of the group width G.
    """
    groups = x.unflatten(-1, (-1, 2, cos.shape[-1]))  # (B, S, groups, 2, G / 2)
    first, second = groups.unbind(dim=-2)
    cos, sin = cos[:, None], sin[:, None]  # (S, 1, G / 2)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-2).flatten(2)


class DropPath(nn.Module):
    """In training, leave out the whole branch for a random part of the batch [3]."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        kept = torch.rand((x.shape[0], *[1] * (x.ndim - 1)), device=x.device) < keep
        return x * kept / keep


class Attention(nn.Module):
    """Self-attention of every step with every step."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(attend(self.qkv(x), self.heads))


def attend(qkv: Tensor, heads: int) -> Tensor:
    """Queries, keys and values of every step in one, (B, S, 3 W) -> (B, S, W)."""
    query, key, value = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, S, W / heads) each
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class TransformerBlock(nn.Module):
    """Pre-norm attention and MLP, each added to its input."""

    def __init__(self, width: int, heads: int, mlp_width: int, drop_path: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_width), nn.GELU(), nn.Linear(mlp_width, width))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attention(self.attention_norm(x)))
        return x + self.drop_path(self.mlp(self.mlp_norm(x)))


class FrozenTransformerBlock(nn.Module):
    """The same as the `TransformerBlock` it is made of, for inference, its matrices packed.

    Only the products are in `dtype`: what is added up over the blocks stays in float32.
    """

    def __init__(self, block: TransformerBlock, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype
        self.heads = block.attention.heads
        self.attention_norm, self.mlp_norm = block.attention_norm, block.mlp_norm
        self.qkv = PackedLinear(block.attention.qkv.weight, None, dtype)
        self.out = PackedLinear(block.attention.out.weight, block.attention.out.bias, dtype)
        first, _, second = block.mlp
        self.widen = PackedLinear(first.weight, first.bias, dtype, gelu=True)
        self.narrow = PackedLinear(second.weight, second.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:  # (B, S, W) float32
        x = x + self.out(attend(self.qkv(self.attention_norm(x).to(self.dtype)), self.heads))
        return x + self.narrow(self.widen(self.mlp_norm(x).to(self.dtype)))


class PostNormBlock(nn.Module):
    """Attention to oneself, with `cross` to something else, and an MLP: a norm after each is added to its input [1]."""

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float, cross: bool = False):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        if cross:
            self.query, self.memory = nn.Linear(width, width), nn.Linear(width, 2 * width)  # key and value
            self.cross_out, self.cross_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)
        self.mlp_norm = nn.LayerNorm(width)
        reach = (6 / (4 * width)) ** 0.5  # of Glorot's distribution for query, key and value in one matrix
        for linear in (self.qkv, *((self.query, self.memory) if cross else ())):
            nn.init.uniform_(linear.weight, -reach, reach)
        for linear in (self.qkv, self.out, *((self.query, self.memory, self.cross_out) if cross else ())):
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """
        Args:
            x: (B, S, W).
            memory: (B, any, 2 W) from `remember`, of a block with `cross`.
        """
        x = self.norm(x + self._drop(self.out(self._attend(*self.qkv(x).chunk(3, dim=-1)))))
        if memory is not None:
            found = self._attend(self.query(x), *memory.chunk(2, dim=-1))
            x = self.cross_norm(x + self._drop(self.cross_out(found)))
        return self.mlp_norm(x + self._drop(self.narrow(self._drop(F.relu(self.widen(x))))))

    def remember(self, x: Tensor) -> Tensor:
        """What else there is to attend to, (B, any, W), made ready once."""
        return self.memory(x)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        heads = [each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (query, key, value)]
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(*heads, dropout_p=dropout).transpose(1, 2).flatten(2)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class WaveformBlock(nn.Module):
    """Two convolutions of 15 samples and a shortcut, each with batch norm; the first convolution strides."""

    KERNEL = 15
    SLOPE = 0.01  # of the leaky ReLU

    def __init__(self, channels_in: int, channels_out: int, stride: int, padding: int):
        super().__init__()

        def convolution() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv1d(channels_in, channels_out, self.KERNEL, stride, padding), nn.BatchNorm1d(channels_out)
            )

        self.first = convolution()
        self.second = nn.Sequential(
            nn.Conv1d(channels_out, channels_out, self.KERNEL, padding="same"), nn.BatchNorm1d(channels_out)
        )
        self.shortcut = nn.Identity() if stride == 1 and channels_in == channels_out else convolution()

    def forward(self, x: Tensor) -> Tensor:  # (B, C, N) -> (B, C', N')
        y = self.second(F.leaky_relu(self.first(x), self.SLOPE))
        return F.leaky_relu(y + self.shortcut(x), self.SLOPE)


def waveform_block_names(theirs: str, ours: str, block: nn.Module) -> dict[str, str]:
    """Published name -> our name for the tensors of one `WaveformBlock`; of SynTalker."""
    layers = {"conv1": "first.0", "bn1": "first.1", "conv2": "second.0", "bn2": "second.1"}
    if not isinstance(block.shortcut, nn.Identity):
        layers |= {"downsample.0": "shortcut.0", "downsample.1": "shortcut.1"}
    names = {}
    for their_layer, our_layer in layers.items():
        for tensor in block.get_submodule(our_layer).state_dict():
            names[f"{theirs}.{their_layer}.{tensor}"] = f"{ours}.{our_layer}.{tensor}"
    return names


class FrameBlock(nn.Module):
    """Two convolutions over three frames, added to their input; of EMAGE."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = frame_convolution(width, width), frame_convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:  # (B, W, S)
        return x + self.second(F.leaky_relu(self.first(x), SLOPE))


def frame_convolution(channels_in: int, channels_out: int) -> nn.Conv1d:
    """Over three frames, as many frames out as in."""
    convolution = nn.Conv1d(channels_in, channels_out, 3, padding=1)
    nn.init.xavier_normal_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    return convolution
