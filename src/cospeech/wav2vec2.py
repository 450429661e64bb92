"""The characters that wav2vec 2.0 hears, fifty a second, in recordings of any length.

[1] Baevski et al. 2020, wav2vec 2.0, arXiv:2006.11477; facebook/wav2vec2-base-960h on the Hugging Face hub, Apache-2.0

Needs transformers, the extra `mambatalk`. Axes: N samples at 16 kHz, L characters, C channels.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cospeech.errors import CheckpointError, MissingExtra

NAME = "facebook/wav2vec2-base-960h"
WANTED = f"Wanted is {NAME}: `--wav2vec2 {NAME}` gets it from the hub, or give its folder. The starters need none."
CONFIG, WEIGHTS = "config.json", "model.safetensors"
FILES = (CONFIG, WEIGHTS, "pytorch_model.bin", "vocab.json")
CHARACTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")

_HOP, _SPAN = 320, 400  # samples from one character to the next, and those it is made of
_WHOLE = 3000  # characters, a minute: up to here everything is heard at once, as published
_WINDOW, _CONTEXT = 1500, 250  # beyond: half a minute at a time, of which the middle 20 seconds count
_PIECE = 250  # characters whose convolutions are done at a time


def is_folder(path: Path) -> bool:
    """Whether a folder holds a model of the kind, as transformers saves them."""
    return _kind(path) == "wav2vec2"


def check_folder(folder: Path) -> None:
    """Raise `CheckpointError` where there is none, or none with a model of the kind."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder. {WANTED}")
    kind = _kind(folder)
    if kind != "wav2vec2":
        raise CheckpointError(f"{folder}: holds {f'a model of the kind {kind}' if kind else 'no model'}. {WANTED}")


def _kind(folder: Path) -> str | None:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config.get("model_type") if isinstance(config, dict) else None


class Norm:
    """Makes samples of a recording such that all of them have mean 0 and variance 1, as the model was trained."""

    def __init__(self, samples: np.ndarray):
        self.mean, self.deviation = samples.mean(), np.sqrt(samples.var() + 1e-7)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        return ((samples - self.mean) / self.deviation).astype(np.float32)


class Recogniser:
    """A model that says which of 32 characters is heard when."""

    def __init__(self, model: nn.Module):
        self.model = model

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> "Recogniser":
        """From a folder of the hub's layout.

        Raises:
            CheckpointError: transformers or the folder is missing, or it holds another model, or is damaged.
        """
        check_folder(folder)
        try:
            from transformers import Wav2Vec2ForCTC
        except ImportError as error:
            raise MissingExtra("transformers", "mambatalk") from error
        try:
            with _quietly():
                model, report = Wav2Vec2ForCTC.from_pretrained(folder, local_files_only=True, output_loading_info=True)
        except Exception as error:  # transformers raises whatever a damaged file's bytes happen to cause
            reason = (str(error) or repr(error)).splitlines()[0]
            raise CheckpointError(f"{folder}: cannot be loaded ({reason}). {WANTED}") from None
        lacking = sorted({*report["missing_keys"], *report["unexpected_keys"]} - {"wav2vec2.masked_spec_embed"})
        if lacking or report["mismatched_keys"]:
            names = ", ".join(map(str, [*lacking, *report["mismatched_keys"]][:5]))
            raise CheckpointError(f"{folder}: another model; tensors lacking, foreign or misshapen: {names}. {WANTED}")
        if "wav2vec2.masked_spec_embed" in report["missing_keys"]:  # filled at random, and never read here
            torch.nn.init.zeros_(model.wav2vec2.masked_spec_embed)
        config = model.config
        if config.vocab_size != len(CHARACTERS) or config.feat_extract_norm != "group":
            raise CheckpointError(f"{folder}: another model, of {config.vocab_size} characters. {WANTED}")
        _check_characters(folder / "vocab.json")
        return cls(model.eval().requires_grad_(False).to(device))

    def save(self, folder: Path) -> None:
        """As `load` reads it: config and weights."""
        with _quietly():
            self.model.save_pretrained(folder)

    @torch.inference_mode()
    def characters(self, samples: np.ndarray) -> np.ndarray:
        """(N,) normalised samples -> (L,) int64 numbers of `CHARACTERS`, at least one.

        Up to a minute they are what the whole network says about the whole recording. Of a longer one it attends to
        half a minute at a time; only what it normalises over all time is then still taken from all.
        """
        samples = np.pad(samples, (0, max(0, _SPAN - len(samples))))
        norm = self._norm(samples)
        length = (len(samples) - _SPAN) // _HOP + 1
        if length <= _WHOLE:
            return self._decide(samples, norm, 0, length).cpu().numpy()
        pieces = []
        for start in range(0, length, _WINDOW - 2 * _CONTEXT):
            end = min(start + _WINDOW - 2 * _CONTEXT, length)
            left, right = max(start - _CONTEXT, 0), min(end + _CONTEXT, length)
            pieces.append(self._decide(samples, norm, left, right)[start - left : end - left].cpu().numpy())
        return np.concatenate(pieces)

    def _decide(self, samples: np.ndarray, norm: "_FixedNorm", start: int, end: int) -> Tensor:
        """Characters `start` to `end`, attending to no others."""
        network = self.model.wav2vec2
        pieces = []
        for first in range(start, end, _PIECE):
            last = min(first + _PIECE, end)
            pieces.append(self._convolve(samples[_HOP * first : _HOP * (last - 1) + _SPAN], norm))
        hidden, _ = network.feature_projection(torch.cat(pieces, dim=1))
        return self.model.lm_head(network.encoder(hidden).last_hidden_state)[0].argmax(dim=-1)

    def _convolve(self, samples: np.ndarray, norm: "_FixedNorm") -> Tensor:
        """(1, L, C); there is no padding, so that pieces are what they are in the whole."""
        first, *rest = self.model.wav2vec2.feature_extractor.conv_layers
        x = first.activation(norm(first.conv(self._tensor(samples))))
        for layer in rest:
            x = layer(x)
        return x.mT

    def _norm(self, samples: np.ndarray) -> "_FixedNorm":
        """The first layer's norm over all time: mean and variance of each channel."""
        first = self.model.wav2vec2.feature_extractor.conv_layers[0]
        stride, span = first.conv.stride[0], first.conv.kernel_size[0]
        count = (len(samples) - span) // stride + 1
        total = squares = 0.0
        step = _PIECE * _HOP // stride
        for start in range(0, count, step):
            end = min(start + step, count)
            y = first.conv(self._tensor(samples[stride * start : stride * (end - 1) + span]))[0].double()
            total, squares = total + y.sum(dim=1), squares + y.square().sum(dim=1)
        mean = total / count
        return _FixedNorm(first.layer_norm, mean, squares / count - mean.square())

    def _tensor(self, samples: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(samples))[None, None].to(self.model.device)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the bars and warnings of transformers."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


class _FixedNorm:
    def __init__(self, norm: nn.GroupNorm, mean: Tensor, variance: Tensor):
        scale = norm.weight.double() / (variance + norm.eps).sqrt()
        self.scale = scale.float()[:, None]
        self.shift = (norm.bias.double() - mean * scale).float()[:, None]

    def __call__(self, x: Tensor) -> Tensor:  # (1, C, any)
        return x * self.scale + self.shift


def _check_characters(path: Path) -> None:
    """The numbers of characters, where the folder says them, must be those the released weights have learned."""
    if not path.is_file():
        return
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}).") from None
    if rows != {character: row for row, character in enumerate(CHARACTERS)}:
        raise CheckpointError(f"{path}: other characters. {WANTED}")
