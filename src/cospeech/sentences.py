"""Sentences -> styles: the numbers that a denoiser follows where it follows a text."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cospeech import checkpoint as checkpoints
from cospeech.models.tmr import TextEncoder
from cospeech.word_pieces import Pieces


class Sentences:
    """Reads sentences with the text encoder of a text-motion space. English is what it knows."""

    def __init__(self, encoder: TextEncoder, word_pieces: Sequence[str]):
        self.encoder = encoder
        self.split = Pieces(word_pieces, encoder.config.text.max_pieces)

    @classmethod
    def load(cls, directory: str | Path, device: torch.device | str = "cpu") -> "Sentences":
        """Those of a checkpoint; `CheckpointError` where it has none."""
        return cls(checkpoints.load_text_encoder(directory, device), checkpoints.load_word_pieces(directory))

    @torch.inference_mode()
    def __call__(self, text: str) -> Tensor:
        """(D,) style of a sentence."""
        pieces, _ = self.split([text])
        return self.encoder(pieces.to(self.encoder.embed.weight.device)).mean[0]
