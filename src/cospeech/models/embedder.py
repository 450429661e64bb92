"""The autoencoder whose latents the Fréchet gesture distance compares: convolutions along the skeleton.

[1] Aberman et al. 2020, Skeleton-aware networks for deep motion retargeting, arXiv:2005.05732, sections 4.2 and 4.3
[2] Liu et al. 2024, EMAGE, arXiv:2401.00374, whose `AESKConv_240_100.bin` SynTalker and MambaTalk are measured with

An edge is a bone with the rotation of the joint at its end. A convolution sees, of every edge, those at most two away;
a pool joins two edges that follow each other. Each layer halves the frames.

Axes: B clips, T frames, S = T / 16 steps, E edges, C channels of all edges together, edge by edge.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech import rotation, skeleton
from cospeech.errors import ConfigError
from cospeech.nn import published
from cospeech.nn.layers import SLOPE, FrameBlock, frame_convolution
from cospeech.quirks import Protocol

KERNEL, GROUPS, REACH = 4, 10, 2  # steps of a convolution, groups of a norm, edges from an edge to those it sees
ROTATION = 6  # numbers of a joint
PUBLISHED_FRAMES = 32  # the published evaluation leaves out what is left over by this many
FACE = (skeleton.JAW, skeleton.LEFT_EYE, skeleton.RIGHT_EYE)

Edge = tuple[int, int]  # joint at its beginning and joint at its end


@dataclass(frozen=True)
class EmbedderConfig:
    widths: tuple[int, ...] = (6, 6, 12, 12)  # channels of an edge after each layer
    window_frames: int = 64  # of training, and of measuring by the corrected protocol

    def __post_init__(self) -> None:
        if not 1 <= len(self.widths) <= 5 or not all(1 <= width <= 256 for width in self.widths):
            raise ConfigError(f"`widths` must be one to five positive numbers of channels, got {self.widths}.")
        if any(len(edges) * width % GROUPS for edges, width in zip(self.edges[:-1], self.widths, strict=True)):
            raise ConfigError(f"`widths` {self.widths} times the edges of a layer must be multiples of {GROUPS}.")
        if self.window_frames < 1 or self.window_frames % self.frames_per_step:
            raise ConfigError(
                f"`window_frames` must be a multiple of {self.frames_per_step}, got {self.window_frames}."
            )

    @property
    def frames_per_step(self) -> int:
        return 2 ** len(self.widths)

    @property
    def edges(self) -> list[list[Edge]]:
        """Edges that each layer sees, and at the end those of the latents."""
        edges = [BONES]
        for _ in self.widths:
            edges.append([_joined(edges[-1], group) for group in pools(edges[-1])])
        return edges

    @property
    def latent_channels(self) -> int:
        return len(self.edges[-1]) * self.widths[-1]


# The rotation of the pelvis is that of an edge to a joint that is not there.
BONES: list[Edge] = [(0, skeleton.NUM_JOINTS), *((skeleton.PARENTS[j], j) for j in range(1, skeleton.NUM_JOINTS))]


def distances(edges: Sequence[Edge]) -> np.ndarray:
    """(E, E) from one edge to the other: 0 itself, 1 where they share a joint."""
    ends = np.array(edges)
    touching = (ends[:, None, :, None] == ends[None, :, None, :]).any(axis=(2, 3))
    far = len(edges)
    steps = np.where(touching, 1, far)
    np.fill_diagonal(steps, 0)
    for via in range(len(edges)):
        steps = np.minimum(steps, steps[:, [via]] + steps[[via]])
    return steps


def pools(edges: Sequence[Edge]) -> list[list[int]]:
    """Which edges become one: two by two along each chain without branches, [1]; of an odd chain the first stays alone.

    The order is that of a walk from the root, limb by limb.
    """
    below = {joint: [i for i, (start, _) in enumerate(edges) if start == joint] for edge in edges for joint in edge}
    chains: list[list[int]] = []

    def walk(edge: int, chain: list[int]) -> None:
        chain.append(edge)
        following = below[edges[edge][1]]
        if len(following) == 1:
            return walk(following[0], chain)
        chains.append(chain)
        for each in following:
            walk(each, [])

    for edge in below[0]:
        walk(edge, [])
    groups = []
    for chain in chains:
        odd = len(chain) % 2
        groups += [chain[:1]] * odd + [chain[i : i + 2] for i in range(odd, len(chain), 2)]
    return groups


def _joined(edges: Sequence[Edge], group: Sequence[int]) -> Edge:
    return edges[group[0]][0], edges[group[-1]][1]


class Embedder(nn.Module):
    def __init__(self, config: EmbedderConfig):
        super().__init__()
        self.config = config
        self.encoder = SkeletonEncoder(config)
        self.decoder = SkeletonDecoder(config)

    def forward(self, rotations: Tensor) -> Tensor:
        """Encode and decode (B, T, 330): a training step."""
        return self.decoder(self.encoder(rotations))


class SkeletonEncoder(nn.Module):
    def __init__(self, config: EmbedderConfig):
        super().__init__()
        widths = (ROTATION, *config.widths)
        self.layers = nn.Sequential(
            *(SkeletonLayer(edges, *pair) for edges, pair in zip(config.edges[:-1], pairwise(widths), strict=True))
        )

    def forward(self, rotations: Tensor) -> Tensor:  # (B, T, 330) -> (B, S, C), T a multiple of `frames_per_step`
        return self.layers(rotations.mT).mT


class SkeletonLayer(nn.Module):
    """Half the time, and fewer edges where there are chains to join."""

    pool: Tensor | None  # (C', C) mean of the edges that become one

    def __init__(self, edges: Sequence[Edge], width_in: int, width_out: int):
        super().__init__()
        near = distances(edges) <= REACH
        self.residual = SkeletonConvolution(near, width_in, width_out, KERNEL, padding=1)
        self.norm = nn.GroupNorm(GROUPS, len(edges) * width_out)
        self.shortcut = SkeletonConvolution(near, width_in, width_out, kernel=1, padding=0)
        groups = pools(edges)
        pool = np.zeros((len(groups), len(edges)))
        for i, group in enumerate(groups):
            pool[i, group] = 1 / len(group)
        whole = torch.tensor(np.kron(pool, np.eye(width_out)), dtype=torch.float32)
        self.register_buffer("pool", whole if len(groups) < len(edges) else None)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T) -> (B, C', T / 2)
        y = self.norm(self.residual(x)) + self.shortcut(x)
        return torch.tanh(y if self.pool is None else self.pool @ y)


class SkeletonConvolution(nn.Module):
    """Of every second frame; an edge sees itself and its neighbours.

    Args:
        near: (E, E) bool.
    """

    mask: Tensor  # (C', C, kernel)

    def __init__(self, near: np.ndarray, width_in: int, width_out: int, kernel: int, padding: int):
        super().__init__()
        self.padding = padding
        mask = np.kron(near, np.ones((width_out, width_in)))[..., None].repeat(kernel, axis=2)
        self.register_buffer("mask", torch.tensor(mask, dtype=torch.float32))
        self.weight = nn.Parameter(torch.randn(mask.shape) / self.mask.sum(dim=(1, 2), keepdim=True).sqrt())
        self.bias = nn.Parameter(torch.zeros(len(mask)))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight * self.mask, self.bias, stride=2, padding=self.padding)


class SkeletonDecoder(nn.Module):
    """Knows nothing of the skeleton."""

    def __init__(self, config: EmbedderConfig):
        super().__init__()
        width, channels = config.latent_channels, ROTATION * skeleton.NUM_JOINTS
        self.blocks = nn.Sequential(FrameBlock(width), FrameBlock(width))
        stages = len(config.widths)
        self.stages = nn.ModuleList(
            frame_convolution(width, width if i < stages - 1 else channels) for i in range(stages)
        )
        self.last = frame_convolution(channels, channels)

    def forward(self, latents: Tensor) -> Tensor:  # (B, S, C) -> (B, T, 330)
        h = self.blocks(latents.mT)
        for stage in self.stages:
            h = F.leaky_relu(stage(F.interpolate(h, scale_factor=2.0)), SLOPE)
        return self.last(h).mT


# --- clips ----------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def embed(embedder: Embedder, poses: np.ndarray, protocol: Protocol = "corrected") -> np.ndarray:
    """The embeddings of a clip, of which all clips' together are what `metrics.frechet` compares.

    Args:
        poses: (T, 55, 3) axis-angle at 30 fps.
        protocol: "published" puts the whole clip in at once, so that its norms, which go over time, and with them every
            embedding depend on how long the clip is: only sets of clips of the same lengths can be compared. Jaw and
            eyes are those of the clip, although no published system moves its eyes. "corrected" puts in windows of
            `window_frames`, jaw and eyes at rest.

    Returns:
        (S, C); what is left over by 32 frames, or by a window, is left out, so that short clips have none.
    """
    device = embedder.decoder.last.weight.device
    if protocol == "corrected":
        poses = poses.copy()
        poses[:, FACE] = 0
    window = embedder.config.window_frames if protocol == "corrected" else PUBLISHED_FRAMES
    whole = len(poses) - len(poses) % window
    rotations = rotation.axis_angle_to_rotation_6d(poses[:whole]).reshape(whole, ROTATION * skeleton.NUM_JOINTS)
    rotations = torch.from_numpy(np.ascontiguousarray(rotations, np.float32)).to(device)
    if whole == 0:
        return np.zeros((0, embedder.config.latent_channels), np.float32)
    batch = rotations[None] if protocol == "published" else rotations.unflatten(0, (-1, window))
    latents = torch.cat([embedder.encoder(piece) for piece in batch.split(_WINDOWS)])
    return latents.flatten(0, 1).cpu().numpy()


_WINDOWS = 64  # at a time


# --- the released file ------------------------------------------------------------------------------------------------

_NAMES = (
    (r"^encoder\.layers\.(\d+)\.residual\.", r"encoder.layers.\1.0.residual.0."),
    (r"^encoder\.layers\.(\d+)\.norm\.", r"encoder.layers.\1.0.residual.1."),
    (r"^encoder\.layers\.(\d+)\.shortcut\.", r"encoder.layers.\1.0.shortcut."),
    (r"^encoder\.layers\.(\d+)\.pool$", r"encoder.layers.\1.0.common.0.weight"),
    (r"^decoder\.blocks\.(\d+)\.first\.", r"decoder.main.\1.model.0."),
    (r"^decoder\.blocks\.(\d+)\.second\.", r"decoder.main.\1.model.2."),
)


def rename_published(state: Mapping[str, object], config: EmbedderConfig) -> dict[str, Tensor]:
    """Tensors of a released `AESKConv_*.bin` under our names, for `Embedder(config).load_state_dict`.

    Which edges see each other and which become one is taken from the file.

    Raises:
        CheckpointError: naming each tensor that is missing, unknown or of another shape.
    """
    return published.rename(state, *_published(config))


def published_shapes(config: EmbedderConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released `AESKConv_*.bin`."""
    return published.shapes(*_published(config))


def _published(config: EmbedderConfig) -> tuple[dict[str, str], nn.Module, dict[str, tuple[int, ...]]]:
    """Published name -> our name; our network, without memory; published name -> shape of what is never used."""
    network = published.meta(lambda: Embedder(config))
    names = {}
    for ours in network.state_dict():
        theirs = ours
        for pattern, replacement in _NAMES:
            theirs = re.sub(pattern, replacement, theirs)
        theirs = re.sub(r"^decoder\.stages\.(\d+)\.", lambda found: f"decoder.main.{3 + 3 * int(found[1])}.", theirs)
        theirs = theirs.replace("decoder.last.", f"decoder.main.{2 + 3 * len(config.widths)}.")
        names[theirs] = ours
    width = config.latent_channels
    unused = {}
    for layer in ("fc_mu", "fc_logvar"):  # of a variational autoencoder, which this is not
        unused |= {f"{layer}.weight": (width, width), f"{layer}.bias": (width,)}
    return names, network, unused
