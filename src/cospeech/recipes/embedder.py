"""Train the autoencoder in whose latents the Fréchet gesture distance compares motions.

A run ends with the directory `checkpoint`, which `cospeech.checkpoint.load_embedder` takes.

Liu et al. 2024, EMAGE, arXiv:2401.00374, and the settings of its code: the losses are those of its autoencoders of body
parts, over all 55 joints. How long its embedder was trained is not published; the name `AESKConv_240_100` says 100
epochs, which are counted as those of its other autoencoders.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from cospeech import body as bodies
from cospeech import checkpoint as checkpoints
from cospeech import rotation, skeleton
from cospeech.checkpoint import StoredEmbedder
from cospeech.config import changed
from cospeech.data.store import ClipInfo, Store, StoredClip
from cospeech.data.windows import Windows
from cospeech.errors import ConfigError, DataError
from cospeech.models.embedder import Embedder, EmbedderConfig
from cospeech.quirks import Protocol
from cospeech.recipes.autoencoder import over_joints
from cospeech.recipes.loop import Run, Training
from cospeech.recipes.plan import by_frames, epochs, licence_of, training_clips, windows_of
from cospeech.systems import EmbedderModel

PUBLISHED = "emage"  # name of the published settings
EPOCHS, EVERY_FRAMES = 100, 20
CHECKPOINT = "checkpoint"
WHOLE = frozenset(("upper", "hands", "lower"))


@dataclass(frozen=True)
class TrainEmbedder:
    """Args:
    sources: Share of the windows from each source.
    protocol: "published" takes the distance of a vertex from the next one in the list for its speed, as in
        `autoencoder.TrainAutoencoder`.
    body: The user's SMPL-X file for the losses over the mesh; None: the body that comes with this package.
    """

    store: Path
    sources: dict[str, float]
    training: Training
    model: EmbedderConfig = field(default_factory=EmbedderConfig)
    protocol: Protocol = "corrected"
    body: Path | None = None


def train(config: TrainEmbedder, directory: Path) -> None:
    checkpoints.check_target(directory / CHECKPOINT)
    clips = [clip for clip in Store(config.store).clips("train") if usable(clip.info)]
    if not clips:
        raise DataError(f"{config.store}: {_NONE}")
    vectors = [{"motion": vectors_of(clip)} for clip in clips]
    windows = Windows(vectors, [clip.info.source for clip in clips], config.sources, config.model.window_frames)
    shape = bodies.load_smplx(config.body) if config.body else bodies.mannequin("light")
    joints = tuple(range(skeleton.NUM_JOINTS))

    run = Run(directory, config, config.training, lambda: Embedder(config.model))
    for _ in run.steps():
        batch = windows.batch(config.training.batch_size, *run.key())
        motion = torch.from_numpy(batch["motion"]).to(run.device)  # (B, T, 330)
        terms = over_joints(joints, run.model(motion).float(), motion, shape, config.protocol)
        run.update(torch.stack([*terms.values()]).sum(), **terms)

    if run.fabric.is_global_zero:
        network = run.plain.cpu().eval()
        network.load_state_dict(run.averaged())
        model = EmbedderModel("embedder", licence_of(config.store), config.model)
        checkpoints.save_embedder(StoredEmbedder(model, network, _card(config, model)), directory / CHECKPOINT)
    run.fabric.barrier()  # nobody reads what is not written yet


def usable(info: ClipInfo) -> bool:
    """Whether all of the body is real in a clip."""
    return set(info.has) >= WHOLE


def vectors_of(clip: StoredClip) -> np.ndarray:
    """(T, 330) float32 6-D rotations."""
    return rotation.axis_angle_to_rotation_6d(clip.poses).reshape(len(clip.poses), -1).astype(np.float32)


def named(name: str, store: Path, protocol: Protocol = "corrected", settings: Sequence[str] = ()) -> TrainEmbedder:
    """The published settings, fitted to a store.

    Args:
        settings: What is to be otherwise, as in `config.changed`.
    """
    if name != PUBLISHED:
        raise ConfigError(f"Unknown settings `{name}` of an embedder with --store. Known: {PUBLISHED}.")
    training = Training(
        steps=1,
        batch_size=64,
        lr=1.5e-4,
        warmup_steps=0,
        schedule="drops",
        betas=(0.5, 0.999),
        clip_norm=None,
        average=0.0,
        precision="32-true",
    )
    there = [info for info in training_clips(store) if usable(info)]
    config = TrainEmbedder(store, by_frames(there, f"{store}: {_NONE}"), training, protocol=protocol)
    config = changed(config, settings)
    return epochs(config, EPOCHS, windows_of(there, config.model.window_frames, EVERY_FRAMES), settings)


_NONE = "no training clip has upper body, hands and legs, of which an embedder learns."


def _card(config: TrainEmbedder, model: EmbedderModel) -> str:
    shares = "\n".join(f"- {source}: {share:.2f}" for source, share in config.sources.items())
    return f"""# {model.name}

A skeleton-convolution autoencoder, in whose latents motions are compared by the Fréchet gesture distance, as that of
EMAGE, arXiv:2401.00374, trained anew by `cospeech train embedder` with {config.training.steps} steps. Distances in it
cannot be compared with published ones, nor with those in any other embedder. It makes {model.network.latent_channels}
numbers of {model.network.frames_per_step} frames, in windows of {model.network.window_frames}.

**Licence: {model.licence}.**

Shares of the windows:
{shares}
"""
