"""Sentences -> styles: the numbers that a denoiser follows where it follows a text."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cospeech import checkpoint as checkpoints
from cospeech.errors import MissingExtra
from cospeech.models.tmr import TextEncoder


class Sentences:
    """Reads sentences with the text encoder of a text-motion space. Case does not matter; English is what it knows."""

    def __init__(self, encoder: TextEncoder, word_pieces: Sequence[str]):
        try:
            from tokenizers import BertWordPieceTokenizer
        except ModuleNotFoundError:
            raise MissingExtra("tokenizers", "text") from None
        self.encoder = encoder
        self.split = BertWordPieceTokenizer({piece: row for row, piece in enumerate(word_pieces)}, lowercase=True)
        self.split.enable_truncation(encoder.config.text.max_pieces)

    @classmethod
    def load(cls, directory: str | Path, device: torch.device | str = "cpu") -> "Sentences":
        """Those of a checkpoint; `CheckpointError` where it has none."""
        return cls(checkpoints.load_text_encoder(directory, device), checkpoints.load_word_pieces(directory))

    @torch.inference_mode()
    def __call__(self, text: str) -> Tensor:
        """(D,) style of a sentence."""
        pieces = torch.tensor([self.split.encode(text).ids], device=self.encoder.embed.weight.device)
        return self.encoder(pieces).mean[0]
