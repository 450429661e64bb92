"""TMR: one space for motions and for the sentences that describe them.

[1] Petrovich et al. 2023, TMR, arXiv:2305.00976
[2] Petrovich et al. 2022, TEMOS, arXiv:2204.14109 (two learned tokens gather the mean and the variance)
[3] Sanh et al. 2019, DistilBERT, arXiv:1910.01108
[4] Chen et al. 2024, SynTalker, arXiv:2410.00464, whose released encoders these are

Axes: B clips or sentences, T frames, L word pieces, W width of the space, D width of DistilBERT.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.nn import published
from cospeech.nn.layers import sinusoids


@dataclass(frozen=True)
class DistilBertConfig:
    """`distilbert-base-uncased`."""

    num_pieces: int = 30522
    max_pieces: int = 512
    width: int = 768  # D
    depth: int = 6
    heads: int = 12
    mlp_width: int = 3072


@dataclass(frozen=True)
class TmrConfig:
    channels: int = 623  # of a motion, per frame
    width: int = 256  # W
    depth: int = 4
    heads: int = 4
    mlp_width: int = 1024
    dropout: float = 0.1
    text: DistilBertConfig = field(default_factory=DistilBertConfig)


class Gaussian(NamedTuple):
    mean: Tensor  # (B, W) the embedding
    log_variance: Tensor  # (B, W)


class MotionEncoder(nn.Module):
    def __init__(self, config: TmrConfig):
        super().__init__()
        self.embed = nn.Linear(config.channels, config.width)
        self.gather = Gather(config)

    def forward(self, motion: Tensor, valid: Tensor | None = None) -> Gaussian:
        """Embed (B, T, channels) normalised motion; `valid` (B, T) bool is False for padding."""
        return self.gather(self.embed(motion), valid)


class TextEncoder(nn.Module):
    def __init__(self, config: TmrConfig):
        super().__init__()
        self.config = config
        self.language = DistilBert(config.text)
        self.embed = nn.Linear(config.text.width, config.width)
        self.gather = Gather(config)

    def forward(self, pieces: Tensor, valid: Tensor | None = None) -> Gaussian:
        """Embed sentences, (B, L) int64 word pieces; `valid` (B, L) bool is False for padding."""
        return self.gather(self.embed(F.relu(self.language(pieces, valid))), valid)


class MotionDecoder(nn.Module):
    """A motion of any length from an embedding; for training only. Every frame asks for its place, as in ACTOR [2]."""

    def __init__(self, config: TmrConfig):
        super().__init__()
        self.width = config.width
        layer = nn.TransformerDecoderLayer(
            config.width, config.heads, config.mlp_width, config.dropout, activation="gelu", batch_first=True
        )
        self.blocks = nn.TransformerDecoder(layer, config.depth)
        self.out = nn.Linear(config.width, config.channels)

    def forward(self, embedding: Tensor, valid: Tensor) -> Tensor:
        """(B, W) embeddings and (B, T) bool, False for padding -> (B, T, channels), zero where padded."""
        places = sinusoids(valid.shape[1], self.width).to(embedding).expand(len(valid), -1, -1)
        h = self.blocks(places, embedding[:, None], tgt_key_padding_mask=~valid)
        return self.out(h) * valid[..., None]


class Gather(nn.Module):
    """A transformer whose first two tokens, learned, end up as the mean and the variance of the sequence [2]."""

    def __init__(self, config: TmrConfig):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(2, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, config.mlp_width, config.dropout, activation="gelu", batch_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False)

    def forward(self, x: Tensor, valid: Tensor | None) -> Gaussian:  # (B, T, W)
        x = torch.cat([self.tokens.expand(len(x), -1, -1), x], dim=1)
        x = x + sinusoids(x.shape[1], x.shape[2]).to(x)
        padding = None if valid is None else ~F.pad(valid, (2, 0), value=True)
        mean, log_variance = self.blocks(x, src_key_padding_mask=padding)[:, :2].unbind(dim=1)
        return Gaussian(mean, log_variance)


def sample(gaussian: Gaussian) -> Tensor:
    """(B, W) drawn from it, gradients pass to mean and variance."""
    return gaussian.mean + torch.randn_like(gaussian.mean) * (0.5 * gaussian.log_variance).exp()


def divergence(a: Gaussian, b: Gaussian) -> Tensor:
    """Mean over batch and width of the Kullback-Leibler divergence from `b` to `a`, in nats."""
    apart = (a.mean - b.mean).square() + a.log_variance.exp()
    return 0.5 * (b.log_variance - a.log_variance + apart / b.log_variance.exp() - 1).mean()


def contrast(motion: Tensor, text: Tensor, same: Tensor, temperature: float) -> Tensor:
    """InfoNCE both ways over the cosines of (B, W) embeddings: pair i belongs together, all others apart [1].

    Args:
        same: (B, B) bool: sentences that say the same are no negatives; its diagonal does not matter.
    """
    logits = F.normalize(text, dim=1) @ F.normalize(motion, dim=1).mT / temperature
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.mT, target)) / 2


class DistilBert(nn.Module):
    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.pieces = nn.Embedding(config.num_pieces, config.width)
        self.positions = nn.Embedding(config.max_pieces, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.blocks = nn.ModuleList(DistilBertBlock(config) for _ in range(config.depth))

    def forward(self, pieces: Tensor, valid: Tensor | None = None) -> Tensor:  # (B, L) -> (B, L, D)
        h = self.norm(self.pieces(pieces) + self.positions.weight[: pieces.shape[1]])
        attended = None if valid is None else valid[:, None, None]  # (B, 1, 1, L)
        for block in self.blocks:
            h = block(h, attended)
        return h


class DistilBertBlock(nn.Module):
    """Post-norm: attention and MLP, each normalised together with its input."""

    def __init__(self, config: DistilBertConfig):
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.mlp = nn.Sequential(nn.Linear(width, config.mlp_width), nn.GELU(), nn.Linear(config.mlp_width, width))
        self.mlp_norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, attended: Tensor | None) -> Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )  # (B, heads, L, D / heads)
        heard = F.scaled_dot_product_attention(query, key, value, attended)
        x = self.attention_norm(x + self.out(heard.transpose(1, 2).flatten(2)))
        return self.mlp_norm(x + self.mlp(x))


def rename_distilbert(state: Mapping[str, Tensor], config: TmrConfig) -> dict[str, Tensor]:
    """Tensors of `model.safetensors` of `distilbert-base-uncased` under our names, for `TextEncoder.language`.

    Raises:
        CheckpointError: naming each tensor that is missing or of another shape.
    """
    names, model, _ = _published_text(config)
    prefix, ours = "text_model.", "language."
    names = {their: our.removeprefix(ours) for their, our in names.items() if their.startswith(prefix)}
    inside = {f"{prefix}{name.removeprefix('distilbert.')}": tensor for name, tensor in state.items()}
    return published.rename({name: inside[name] for name in names if name in inside}, names, model.language)


def rename_published_motion(state: Mapping[str, object], config: TmrConfig) -> dict[str, Tensor]:
    """Tensors of a released `motion_epoch=*.ckpt` under our names, for `MotionEncoder(config).load_state_dict`.

    Raises:
        CheckpointError: naming each tensor that is missing, unknown or of another shape.
    """
    return _rename(state, *_published_motion(config))


def rename_published_text(state: Mapping[str, object], config: TmrConfig) -> dict[str, Tensor]:
    """Tensors of a released `text_epoch=*.ckpt` under our names, for `TextEncoder(config).load_state_dict`.

    Raises:
        CheckpointError: naming each tensor that is missing, unknown or of another shape.
    """
    tensors = published.unwrap(state)
    tensors.pop("text_model.embeddings.position_ids", None)  # 0, 1, 2, ...: files of older transformers have it
    return _rename(tensors, *_published_text(config))


def published_motion_shapes(config: TmrConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released `motion_epoch=*.ckpt`."""
    return published.shapes(*_published_motion(config))


def published_text_shapes(config: TmrConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released `text_epoch=*.ckpt`."""
    return published.shapes(*_published_text(config))


_TOKENS = ("mu_token", "logvar_token")  # rows of one tensor here
_Published = tuple[dict[str, str], nn.Module, dict[str, tuple[int, ...]]]


def _published_motion(config: TmrConfig) -> _Published:
    return _published({"skel_embedding": "embed"}, {}, published.meta(lambda: MotionEncoder(config)), config)


def _published_text(config: TmrConfig) -> _Published:
    layers = {"projection.1": "embed", "text_model.embeddings.LayerNorm": "language.norm"}
    parts = {
        "attention.q_lin": "query",
        "attention.k_lin": "key",
        "attention.v_lin": "value",
        "attention.out_lin": "out",
        "sa_layer_norm": "attention_norm",
        "ffn.lin1": "mlp.0",
        "ffn.lin2": "mlp.2",
        "output_layer_norm": "mlp_norm",
    }
    for i in range(config.text.depth):
        for theirs, ours in parts.items():
            layers[f"text_model.transformer.layer.{i}.{theirs}"] = f"language.blocks.{i}.{ours}"
    embeddings = {
        "text_model.embeddings.word_embeddings.weight": "language.pieces.weight",
        "text_model.embeddings.position_embeddings.weight": "language.positions.weight",
    }
    return _published(layers, embeddings, published.meta(lambda: TextEncoder(config)), config)


def _published(layers: dict[str, str], names: dict[str, str], model: nn.Module, config: TmrConfig) -> _Published:
    """Published name -> our name; our network without memory; published name -> shape of what is not taken as it is."""
    names = names | {f"{their}.{kind}": f"{our}.{kind}" for their, our in layers.items() for kind in ("weight", "bias")}
    for tensor in model.get_submodule("gather.blocks").state_dict():
        names[f"seqTransEncoder.{tensor}"] = f"gather.blocks.{tensor}"  # torch's own encoder in both
    others = dict.fromkeys(_TOKENS, (config.width,)) | {"sequence_pos_encoding.pe": (5000, 1, config.width)}
    return names, model, others


def _rename(
    state: Mapping[str, object], names: dict[str, str], model: nn.Module, others: dict[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    renamed = published.rename(state, names, model, others)
    tensors = published.unwrap(state)
    return renamed | {"gather.tokens": torch.stack([tensors[token] for token in _TOKENS])}
