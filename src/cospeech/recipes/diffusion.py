"""Train the denoiser over the latents of trained tokenizers.

A run ends with `denoiser.safetensors` (averaged weights) in its directory. Clips with speech are used, and where the
denoiser reads text also those with captions; latents of a part that a clip does not have are zero and count in no loss.
Latents are computed once: clips are encoded whole, from each of their first frames in turn so that windows may begin at
any frame.
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
from cospeech.errors import CheckpointError, ConfigError
from cospeech.formats.output import replacing
from cospeech.models.sentence import SentenceEncoder
from cospeech.models.syntalker import Denoiser, DenoiserConfig
from cospeech.models.tokenizer import Tokenizer
from cospeech.nn.diffusion import add_noise, cosine_schedule, x0_loss
from cospeech.recipes import distil
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
    sentences: Path | None = None  # run directory of `recipes.distil`; None: the denoiser reads no text
    style_dropout: float = 0.3  # share of the captioned windows whose caption is not read
    audio_dropout_under_text: float = 0.5  # `audio_dropout` of the captioned windows whose caption is read

    def __post_init__(self) -> None:
        if (self.sentences is None) != (self.model.style_dim is None):
            raise ConfigError("A denoiser with `style_dim` needs `sentences`, one without has no use for them.")


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
    captions = Captions.of(config.sentences) if config.sentences else None
    items, sources = [], []
    for clip in Store(config.store).clips("train"):
        speaks, says = "speech" in clip.info.has, captions is not None and bool(clip.info.captions)
        if config.sources.get(clip.info.source, 0) == 0 or not (speaks or says):
            continue
        for version in (clip, clip.mirrored()):
            number = captions.add(version.info.captions) if captions else 0
            for item in encode_clip(version, tokenizers, model):
                steps = len(item["latents"])
                heard = np.full((steps, 1), speaks)
                items.append({**item, "heard": heard, "captions": np.full((steps, 1), number)})
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
        numbers, heard = batch["captions"][:, 0, 0], torch.from_numpy(batch["heard"][:, 0, 0]).to(run.device)
        style = has_style = None
        deaf = torch.full((len(x0),), config.audio_dropout, device=run.device)
        if captions:
            drawn, there = captions.draw(numbers, np.random.default_rng(run.key()))
            style = drawn.to(run.device)
            has_style = there.to(run.device) & (torch.rand(len(x0), device=run.device) >= config.style_dropout)
            deaf[has_style] = config.audio_dropout_under_text
        has_audio = heard & (torch.rand(len(x0), device=run.device) >= deaf)
        seed = x0[:, : model.seed_steps]
        predicted = run.model(add_noise(x0, t, noise, schedule) * known, t, speech, seed, has_audio, style, has_style)
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

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        speech: Tensor,
        seed: Tensor,
        has_audio: Tensor,
        style: Tensor | None,
        has_style: Tensor | None,
    ) -> Tensor:
        return self.denoiser(x_t, t, self.denoiser.condition(speech, None, seed, style, has_audio, has_style))


class Captions:
    """The captions of clips as styles. Axes: N captions, D numbers of a style."""

    def __init__(self, encoder: SentenceEncoder):
        self.encoder = encoder.eval().requires_grad_(False)
        self.of_clip: list[tuple[str, ...]] = [()]  # by number; 0: of a clip without captions
        self._styles: dict[str, Tensor] = {}

    @classmethod
    def of(cls, run: Path) -> "Captions":
        return cls(distil.load(run))

    def add(self, captions: tuple[str, ...]) -> int:
        """The number by which `draw` knows them."""
        if not captions:
            return 0
        self.of_clip.append(captions)
        return len(self.of_clip) - 1

    def draw(self, numbers: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One caption for each clip: (B, D) styles, and (B,) bool, False where the clip has none."""
        chosen = [str(rng.choice(self.of_clip[number])) if number else "" for number in numbers.tolist()]
        new = [text for text in dict.fromkeys(chosen) if text not in self._styles]
        if new:
            self._styles |= dict(zip(new, self.encoder(new).style, strict=True))
        return torch.stack([self._styles[text] for text in chosen]), torch.from_numpy(numbers > 0)


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
