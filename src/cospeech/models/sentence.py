"""A sentence encoder small enough to ship inside a checkpoint: words by their letters, then a small transformer.

[1] Bojanowski et al. 2017, Enriching word vectors with subword information, arXiv:1607.04606: a word is the sum of its
    character n-grams, so that words nobody trained on have vectors, too; n-grams share rows by their hash

Axes: B sentences, L words, G n-grams, W width, D numbers of a style.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WORD = re.compile(r"[^\W_]+")
_GRAMS = (3, 4, 5)  # characters


@dataclass(frozen=True)
class SentenceConfig:
    buckets: int = 12_288  # rows that n-grams and words share
    width: int = 96  # W
    depth: int = 2
    heads: int = 4
    style_dim: int = 128  # D
    most_words: int = 64  # of a sentence that are read


class Read(NamedTuple):
    style: Tensor  # (B, D) of length sqrt(D)
    motion: Tensor  # (B,) log-odds that the sentence asks for a motion


class SentenceEncoder(nn.Module):
    def __init__(self, config: SentenceConfig):
        super().__init__()
        self.config = config
        self.grams = nn.EmbeddingBag(config.buckets, config.width, mode="mean")
        self.places = nn.Embedding(config.most_words, config.width)
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            2 * config.width,
            dropout=0.1,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(layer, config.depth, enable_nested_tensor=False)
        self.out = nn.Linear(config.width, config.style_dim)
        self.asks = nn.Linear(config.width, 1)

    def forward(self, texts: Sequence[str]) -> Read:
        """Read sentences in any script; one without words is as if it asked for nothing."""
        return self.read(self.encode(texts))

    def read(self, encoded: Tensor) -> Read:
        # Numbers of about unit size, as a network that follows a style likes its inputs.
        return Read(F.normalize(self.out(encoded), dim=1) * self.config.style_dim**0.5, self.asks(encoded)[:, 0])

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B, W)."""
        device = self.out.weight.device
        sentences = [words(text)[: self.config.most_words] or [""] for text in texts]
        flat = [grams(word, self.config.buckets) for sentence in sentences for word in sentence]
        offsets = torch.tensor([0, *(len(word) for word in flat[:-1])], device=device).cumsum(0)
        of_words = self.grams(torch.tensor([row for word in flat for row in word], device=device), offsets)
        lengths = [len(sentence) for sentence in sentences]
        h = nn.utils.rnn.pad_sequence(of_words.split(lengths), batch_first=True)  # (B, L, W)
        valid = torch.arange(h.shape[1], device=device) < torch.tensor(lengths, device=device)[:, None]
        h = self.blocks(h + self.places.weight[: h.shape[1]], src_key_padding_mask=~valid)
        return (h * valid[..., None]).sum(dim=1) / valid.sum(dim=1, keepdim=True)


def words(text: str) -> list[str]:
    """Lower case, without accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(char for char in plain if not unicodedata.combining(char)))


@lru_cache(65_536)
def grams(word: str, buckets: int) -> tuple[int, ...]:
    """Rows of a word's n-grams, its ends marked, and of the word itself. The same everywhere and always."""
    marked = f"<{word}>"
    parts = [marked[i : i + n] for n in _GRAMS for i in range(len(marked) - n + 1)]
    return tuple(zlib.crc32(part.encode()) % buckets for part in dict.fromkeys([*parts, f"={word}"]))
