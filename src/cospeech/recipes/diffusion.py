"""Train the denoiser over the latents of trained tokenizers.

A run ends with `denoiser.safetensors` (averaged weights) in its directory. Only clips with speech are used; latents
of a part that a clip does not have are zero and count in no loss. Latents are computed once: clips are encoded whole,
from each of their first frames in turn so that windows may begin at any frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cospeech import features
from cospeech.config import load_json
from cospeech.data.store import Store, StoredClip
from cospeech.data.windows import Windows
from cospeech.errors import CheckpointError
from cospeech.formats.output import replacing
from cospeech.models.syntalker import Denoiser, DenoiserConfig
from cospeech.models.tokenizer import Tokenizer
from cospeech.nn.diffusion import add_noise, cosine_schedule, x0_loss
from cospeech.recipes.loop import Run, Training
from cospeech.recipes.tokenizer import TrainTokenizer


@dataclass(frozen=True)
class TrainDiffusion:
    store: Path
    tokenizers: dict[str, Path]  # part -> run directory of its training
    sources: dict[str, float]  # share of the windows from each source
    model: DenoiserConfig
    training: Training
    beta: float = 1.0  # of the loss, see `x0_loss`
    weights: dict[str, float] = field(default_factory=dict)  # of body parts in the loss; 1 for those not named
    audio_dropout: float = 0.1  # share of the windows whose speech is not heard, for guidance (Ho & Salimans 2022)


@dataclass(frozen=True, eq=False)
class TrainedTokenizer:
    """What the training of a tokenizer left in its run directory."""

    model: Tokenizer
    mean: Tensor  # (C,)
    std: Tensor  # (C,)

    @classmethod
    def load(cls, run: Path) -> "TrainedTokenizer":
        model = Tokenizer(load_json(TrainTokenizer, run / "config.json").model)
        try:
            model.load_state_dict(load_file(run / "tokenizer.safetensors"))
            statistics = load_file(run / "statistics.safetensors")
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"{run}: holds no finished tokenizer ({error}). Train it first.") from error
        return cls(model.eval().requires_grad_(False), statistics["mean"], statistics["std"])

    @torch.no_grad()
    def encode(self, vector: np.ndarray) -> Tensor:
        """(T, C) not normalised -> (S, D) latents."""
        return self.model.encode((torch.from_numpy(vector)[None] - self.mean) / self.std)[0]


def train(config: TrainDiffusion, directory: Path) -> None:
    model = config.model
    tokenizers = {part: TrainedTokenizer.load(config.tokenizers[part]) for part in model.parts}
    items, sources = [], []
    for clip in Store(config.store).clips("train"):
        if "speech" in clip.info.has:
            for version in (clip, clip.mirrored()):
                for item in encode_clip(version, tokenizers, model):
                    items.append(item)
                    sources.append(clip.info.source)
    windows = Windows(items, sources, config.sources, model.window_steps)
    schedule = cosine_schedule(model.num_timesteps)

    run = Run(directory, config, config.training, lambda: _TrainingStep(Denoiser(model)))
    weights = [config.weights.get(part, 1.0) for part in model.parts for _ in range(model.code_dim)]
    weights = torch.tensor(weights, device=run.device)  # (C,)
    for _ in run.steps():
        batch = windows.batch(config.training.batch_size, *run.key())
        x0, known, speech = (torch.from_numpy(batch[name]).to(run.device) for name in ("latents", "known", "speech"))
        speech = speech.unflatten(-1, (model.frames_per_step, -1)).flatten(1, 2)  # (B, T, F)
        noise = torch.randn_like(x0)
        t = torch.randint(model.num_timesteps, (len(x0),), device=run.device)
        has_audio = torch.rand(len(x0), device=run.device) >= config.audio_dropout
        seed = x0[:, : model.seed_steps]
        predicted = run.model(add_noise(x0, t, noise, schedule) * known, t, speech, seed, has_audio)
        run.update(x0_loss(predicted.float(), x0, known * weights, config.beta))

    if run.fabric.is_global_zero:
        run.plain.load_state_dict(run.averaged())
        with replacing(directory / "denoiser.safetensors") as path:
            save_file(run.plain.denoiser.cpu().state_dict(), path)


class _TrainingStep(nn.Module):
    """All that has gradients in one forward, as data-parallel wrappers want it."""

    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x_t: Tensor, t: Tensor, speech: Tensor, seed: Tensor, has_audio: Tensor) -> Tensor:
        return self.denoiser(x_t, t, self.denoiser.condition(speech, None, seed, has_audio=has_audio))


def encode_clip(
    clip: StoredClip, tokenizers: dict[str, TrainedTokenizer], model: DenoiserConfig
) -> Iterator[dict[str, np.ndarray]]:
    """Per latent step: `latents` (S, C), `known` (S, C) 0 or 1, `speech` (S, frames_per_step * F)."""
    for first in range(min(model.frames_per_step, len(clip.poses))):
        num_steps = (len(clip.poses) - first) // model.frames_per_step
        frames = slice(first, first + num_steps * model.frames_per_step)
        latents, known = [], []
        for part, tokenizer in tokenizers.items():
            has = features.layout(part).recorded in clip.info.has
            vector = features.encode(part, clip.poses[frames], clip.translation[frames], clip.face[frames])
            latents.append(tokenizer.encode(vector).numpy() * (has / model.latent_scale))
            known.append(np.full_like(latents[-1], has))
        yield {
            "latents": np.concatenate(latents, axis=1),
            "known": np.concatenate(known, axis=1),
            "speech": clip.speech[frames].reshape(num_steps, -1),
        }
