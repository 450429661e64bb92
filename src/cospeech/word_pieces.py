"""Sentences -> word pieces, as uncased BERT models read them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cospeech.errors import MissingExtra


class Pieces:
    """Splits sentences as uncased BERT models do. Case and accents do not matter.

    Args:
        word_pieces: The model's vocabulary, in the order of its table.
        most: Pieces that it reads of a sentence; what is further is cut off.
    """

    def __init__(self, word_pieces: Sequence[str], most: int):
        try:
            from tokenizers import BertWordPieceTokenizer
        except ModuleNotFoundError:
            raise MissingExtra("tokenizers", "text") from None
        self._split = BertWordPieceTokenizer({piece: row for row, piece in enumerate(word_pieces)}, lowercase=True)
        self._split.enable_truncation(most)

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Rows (B, L) int64 and which of them are no padding (B, L) bool."""
        rows = [torch.tensor(encoded.ids) for encoded in self._split.encode_batch(list(texts))]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return padded, torch.arange(padded.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
