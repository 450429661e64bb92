"""MiniLM sentence embeddings, of a folder in the format of sentence-transformers. For training and measuring only.

[1] Wang et al. 2020, MiniLM, arXiv:2002.10957
[2] Reimers & Gurevych 2019, Sentence-BERT, arXiv:1908.10084: the mean over the pieces of a sentence

Axes: N sentences, L word pieces, D = 384.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cospeech.errors import CheckpointError
from cospeech.models.tmr import DistilBert, DistilBertConfig
from cospeech.nn import published
from cospeech.word_pieces import Pieces

CONFIG = DistilBertConfig(width=384, mlp_width=1536)  # of all-MiniLM-L6-v2 and paraphrase-MiniLM-L6-v2
_BATCH = 64
_LAYER = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "mlp.0",
    "output.dense": "mlp.2",
    "output.LayerNorm": "mlp_norm",
}


class MiniLM:
    def __init__(self, network: DistilBert, split: Pieces, vocabulary: Sequence[str] = ()):
        self.network = network.eval().requires_grad_(False)
        self.split = split
        self.vocabulary = tuple(vocabulary)  # word pieces, the most frequent first

    @classmethod
    def load(cls, folder: str | Path, config: DistilBertConfig = CONFIG) -> "MiniLM":
        """Read `model.safetensors` and `tokenizer.json`; `CheckpointError` where they are not of such a model."""
        folder = Path(folder)
        try:
            state = load_file(folder / "model.safetensors")
            words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
            network = DistilBert(config)
            network.load_state_dict(rename(state, config))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder}: cannot be read as a sentence encoder ({error}).") from None
        except CheckpointError as error:
            raise CheckpointError(f"{folder}: {error}") from None
        vocabulary = sorted(words, key=words.__getitem__)
        return cls(network, Pieces(vocabulary, config.max_pieces), vocabulary)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) unit vectors, whose products tell how alike sentences are."""
        embedded = []
        for start in range(0, len(texts), _BATCH):
            pieces, valid = self.split(texts[start : start + _BATCH])
            h = self.network(pieces, valid) * valid[..., None]
            embedded.append(torch.nn.functional.normalize(h.sum(dim=1), dim=1))
        return torch.cat(embedded).numpy() if embedded else np.zeros((0, CONFIG.width), np.float32)


def rename(state: Mapping[str, Tensor], config: DistilBertConfig) -> dict[str, Tensor]:
    """A BERT's tensors under our names. Sentences are all of the first kind, whose row is added to every place."""
    names = {
        "embeddings.word_embeddings.weight": "pieces.weight",
        "embeddings.position_embeddings.weight": "positions.weight",
    }
    layers = {"embeddings.LayerNorm": "norm"}
    for i in range(config.depth):
        layers |= {f"encoder.layer.{i}.{their}": f"blocks.{i}.{our}" for their, our in _LAYER.items()}
    names |= {f"{their}.{kind}": f"{our}.{kind}" for their, our in layers.items() for kind in ("weight", "bias")}
    kinds = "embeddings.token_type_embeddings.weight"
    unused = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")
    kept = {name: tensor for name, tensor in state.items() if name not in unused}
    model = published.meta(lambda: DistilBert(config))
    renamed = published.rename(kept, names, model, {kinds: (2, config.width)})
    return renamed | {"positions.weight": renamed["positions.weight"] + state[kinds][0]}
