"""Sentences -> styles: the numbers that a denoiser follows where it follows a text."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cospeech import checkpoint as checkpoints
from cospeech.checkpoint import Checkpoint
from cospeech.errors import CospeechWarning, PromptError
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


class Reader:
    """Reads prompts as a model does: with the small encoder that is part of it, or with that of its space."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device | str):
        self.config, self.directory, self.device = checkpoint.config, checkpoint.directory, device
        self.encoder = getattr(checkpoint.networks, "sentences", None)
        self.reads = self.encoder is not None or (self.config.tmr is not None and self.directory is not None)
        self._sentences: Sentences | None = None  # loaded when a text is read: larger than all the rest

    @torch.inference_mode()
    def __call__(self, text: str) -> Tensor | None:
        """(D,) the style of a sentence, on the CPU; None where the model knows that it asks for no motion.

        Raises:
            PromptError: the model reads no text.
        """
        if self.encoder is not None:
            read = self.encoder([text])
            if read.motion[0] > 0:
                return read.style[0].cpu()
            message = f"{text[:40]!r} asks for no motion that this model knows: the body follows the speech instead."
            warnings.warn(CospeechWarning(message), stacklevel=5)
            return None
        if not self.reads:
            raise PromptError(f"The model `{self.config.name}` follows speech only: it cannot read text prompts.")
        if self._sentences is None:
            self._sentences = Sentences.load(self.directory, self.device)
        return self._sentences(text).cpu()
