"""Train the tokenizer of one body part.

A run ends with `tokenizer.safetensors` (averaged weights) and `statistics.safetensors` (mean, std) in its directory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from cospeech import features, humanml3d, positions
from cospeech.data.store import Store
from cospeech.data.stored import StoredClip
from cospeech.data.windows import Windows
from cospeech.formats.output import replacing
from cospeech.models.tokenizer import Tokenizer, TokenizerConfig
from cospeech.recipes.loop import Run, Training

Mirror = Literal["all", "silent", "none"]  # clips; silent: those without speech, as speakers have a better hand


@dataclass(frozen=True)
class TrainTokenizer:
    store: Path
    part: str
    sources: dict[str, float]  # share of the windows from each source
    model: TokenizerConfig
    training: Training
    window_frames: int = 64
    beta: float = 1.0  # where the smooth L1 losses turn from square to straight; published: 1
    velocity_weight: float = 0.0  # of changes from frame to frame; published: 0
    acceleration_weight: float = 0.0  # of changes of these changes
    pelvis_weight: float = 1.0  # of rotation and translation of the whole body, in parts that have them; published: 1
    commitment_weight: float = 0.02
    std_floor: float = 0.02  # channels that hardly move are not blown up; published: 0
    motion: Literal["rotations", "humanml3d"] = "rotations"  # what vectors are made of, as in `SynTalkerModel`
    mirror: Mirror = "all"  # which clips are learned from mirrored as well
    unit_latents: bool = True  # scaled in the end to unit variance; published: False, and `latent_scale` says how large


def train(config: TrainTokenizer, directory: Path) -> None:
    recorded = features.layout(config.part).recorded
    there = [clip for clip in Store(config.store).clips("train") if recorded in clip.info.has]
    clips = [version for clip in there for version in versions(clip, config.mirror)]
    vectors = [part_vectors(clip, config.motion, [config.part])[config.part] for clip in clips]
    mean, std = statistics(vectors, config.std_floor)
    normal = [{"motion": (vector - mean) / std} for vector in vectors]
    windows = Windows(normal, [clip.info.source for clip in clips], config.sources, config.window_frames)

    run = Run(directory, config, config.training, lambda: Tokenizer(config.model))
    weights = channel_weights(config).to(run.device)
    for _ in run.steps():
        batch = windows.batch(config.training.batch_size, *run.key())
        motion = torch.from_numpy(batch["motion"]).to(run.device)  # (B, T, C)
        out = run.model(motion)
        position, velocity, acceleration = (
            (weights * F.smooth_l1_loss(*pair, beta=config.beta, reduction="none")).mean()
            for pair in ((out.motion.diff(n, dim=1), motion.diff(n, dim=1)) for n in (0, 1, 2))
        )
        loss = position + config.velocity_weight * velocity + config.acceleration_weight * acceleration
        loss = loss + config.commitment_weight * out.loss
        run.update(loss, position=position, velocity=velocity, commitment=out.loss, perplexity=out.perplexity)

    if run.fabric.is_global_zero:
        tokenizer = run.plain.cpu().eval()
        tokenizer.load_state_dict(run.averaged())
        if config.unit_latents:
            scale_latents(tokenizer, 1 / latent_deviation(tokenizer, normal))
        with replacing(directory / "statistics.safetensors") as path:
            save_file({"mean": torch.from_numpy(mean), "std": torch.from_numpy(std)}, path)
        with replacing(directory / "tokenizer.safetensors") as path:  # the last file: it says that all is done
            save_file(tokenizer.state_dict(), path)
    run.fabric.barrier()  # nobody reads what is not written yet


def channel_weights(config: TrainTokenizer) -> torch.Tensor:
    """(C,) of the channels in the loss."""
    weights = torch.ones(config.model.channels)
    if config.motion == "rotations":
        weights[features.layout(config.part).whole_body] = config.pelvis_weight
    return weights


def versions(clip: StoredClip, mirror: Mirror) -> list[StoredClip]:
    """The clip, and mirrored where that is wanted."""
    mirrored = mirror == "all" or (mirror == "silent" and "speech" not in clip.info.has)
    return [clip, clip.mirrored()] if mirrored else [clip]


def part_vectors(clip: StoredClip, motion: str, parts: Sequence[str]) -> dict[str, np.ndarray]:
    """Part -> (T, C) float32 not normalised; of "humanml3d" there is a frame less than the clip has."""
    if motion == "rotations":
        return {part: features.encode(part, clip.poses, clip.translation, clip.face) for part in parts}
    whole = positions.vectors(clip.poses, clip.translation).astype(np.float32)
    return {part: whole[:, humanml3d.PARTS[part]] for part in parts}


@torch.no_grad()
def latent_deviation(tokenizer: Tokenizer, clips: list[dict[str, np.ndarray]]) -> float:
    """Standard deviation of all latents of all clips."""
    latents = [tokenizer.encode(torch.from_numpy(clip["motion"])[None])[0] for clip in clips if len(clip["motion"]) > 8]
    return float(torch.cat(latents).std())


@torch.no_grad()
def scale_latents(tokenizer: Tokenizer, factor: float) -> None:
    """Multiply latents and codes by a factor, in place; what the tokenizer reconstructs does not change.

    With latents of unit variance every part weighs the same in the loss of the diffusion.
    """
    tokenizer.encoder.last.weight *= factor
    tokenizer.encoder.last.bias *= factor
    tokenizer.quantizer.codebooks *= factor
    tokenizer.quantizer.sums *= factor
    tokenizer.decoder.first.weight /= factor


def statistics(vectors: list[np.ndarray], floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (C,) over all frames of all clips; no deviation below `floor`."""
    everything = np.concatenate(vectors)
    return everything.mean(axis=0), np.maximum(everything.std(axis=0), floor).astype(np.float32)
