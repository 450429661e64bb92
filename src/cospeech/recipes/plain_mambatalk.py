"""MambaTalk as it was published, slow and obvious: what the fast path is compared with, in tests and by the benchmark.

[1] Xu et al. 2024, MambaTalk, arXiv:2403.09471

Works on published state dicts under their own names, one window after another, everything made anew for each. Nothing
here is shared with the rest of the package but the conversions of rotations.

Axes: T frames of a window, F frames of all, N samples, W width.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cospeech import rotation, skeleton

State = Mapping[str, Tensor]
WINDOW, SEED = 64, 4  # frames
HOP = WINDOW - SEED
FRAME_SAMPLES = 16000 // 30  # 533
HEADS, SCAN_HEADS = 4, 8
FILES = {"face": "face", "upper": "upper", "hands": "hands", "lower": "lower_foot", "translation": "foot"}
# Where the joints of a part are among the 330 rotation numbers of a body.
JOINTS = {"upper": skeleton.UPPER, "hands": skeleton.HANDS, "lower": skeleton.LOWER}


class Body(NamedTuple):
    poses: np.ndarray  # (F, 55, 3) axis-angle
    translation: np.ndarray  # (F, 3)
    expressions: np.ndarray  # (F, 100)
    codes: dict[str, np.ndarray]  # part -> (F,)


def generate(states: Mapping[str, State], audio: Tensor, words: Tensor, speaker: int, seed: Tensor) -> Body:
    """The whole procedure.

    Args:
        states: "network" and the keys of `FILES` -> state dict without prefix.
        audio: (N, 3) amplitude, characters, normalised samples of the whole recording at 16 kHz.
        words: (F,) rows of the word table; F says how long the motion could be.
        seed: (4, 337) rotations, translation and contacts of the frames that come first.
    """
    usable = len(words) // 8 * 8
    codes: dict[str, list[Tensor]] = {part: [] for part in ("face", *JOINTS)}
    known = seed
    for i in range((usable - SEED) // HOP):
        sound = audio[i * HOP * FRAME_SAMPLES :][: WINDOW * FRAME_SAMPLES]
        latents, logits = window(states["network"], sound, words[i * HOP : i * HOP + WINDOW], speaker, known)
        here = {part: logits[part].argmax(dim=1) for part in JOINTS}
        here["face"] = nearest(states["face"], latents["face"])
        for part, each in here.items():
            codes[part].append(each if i == 0 else each[SEED:])
        known = last_frames({part: decode(states[part], here[part]) for part in JOINTS}, seed)
    joined = {part: torch.cat(each) for part, each in codes.items()}
    return assemble(states, {part: decode(states[part], each) for part, each in joined.items()}, joined, seed)


def last_frames(decoded: Mapping[str, Tensor], seed: Tensor) -> Tensor:
    """(4, 337) what the next window is told, of a window's (64, channels) decoded parts."""
    known = torch.zeros(WINDOW, 337)
    known[:, :330] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(55)  # jaw and eyes straight
    for part, joints in JOINTS.items():
        vectors = decoded[part][:, : 6 * len(joints)].reshape(WINDOW, len(joints), 6)
        upright = rotation.matrix_to_rotation_6d(rotation.rotation_6d_to_matrix(vectors))
        for i, joint in enumerate(joints):
            known[:, 6 * joint : 6 * joint + 6] = upright[:, i]
    known[:, 330:333] = integrate(decoded["lower"][:, 54:57], seed[0, 330:333])
    known[:, 333:] = decoded["lower"][:, 57:]
    return known[-SEED:]


def assemble(
    states: Mapping[str, State], decoded: Mapping[str, Tensor], codes: Mapping[str, Tensor], seed: Tensor
) -> Body:
    length = len(decoded["face"])
    poses = np.zeros((length, 55, 3), np.float32)
    for part, joints in JOINTS.items():
        vectors = decoded[part][:, : 6 * len(joints)].reshape(length, len(joints), 6).numpy()
        poses[:, joints] = rotation.rotation_6d_to_axis_angle(vectors)
    poses[:, skeleton.JAW] = rotation.rotation_6d_to_axis_angle(decoded["face"][:, :6].numpy())
    legs = decoded["lower"].clone()
    upright = rotation.rotation_6d_to_matrix(legs[:, :54].reshape(length, 9, 6))
    legs[:, :54] = rotation.matrix_to_rotation_6d(upright).reshape(length, 54)
    legs[:, 54:57] = 0
    moved = decoder(states["translation"], encoder(states["translation"], "encoder", legs))
    translation = integrate(moved[:, 54:57], seed[0, 330:333]).numpy()
    return Body(
        poses, translation, decoded["face"][:, 6:].numpy(), {part: each.numpy() for part, each in codes.items()}
    )


def integrate(channels: Tensor, start: Tensor) -> Tensor:
    """(F, 3) speeds in x and z, and height -> (F, 3) metres."""
    translation = channels.clone()
    for axis in (0, 2):
        place = start[axis]
        for t in range(len(channels)):
            translation[t, axis] = place
            place = place + channels[t, axis] / 30
    return translation


def window(
    state: State, audio: Tensor, words: Tensor, speaker: int, known: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Part -> (T, D) latents, and part -> (T, K) logits, of (N, 3) sound and (4, 337) motion that is known."""

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def mlp(name: str, x: Tensor) -> Tensor:
        return linear(f"{name}.mlp.2", F.leaky_relu(linear(f"{name}.mlp.0", x), 0.2))

    heard = {}
    for of, channels in (("face", 3), ("body", 2)):
        sound = waveform(state, f"audio_pre_encoder_{of}", audio[:, :channels])
        spoken = linear(f"text_encoder_{of}", state[f"text_pre_encoder_{of}.weight"][words])
        weight = linear(f"at_attn_{of}", torch.cat([spoken, sound], dim=1)).reshape(len(sound), -1, 2).softmax(dim=2)
        heard[of] = spoken * weight[..., 1] + sound * weight[..., 0]
    speakers = {of: state[f"speaker_encoder_{of}.weight"][speaker].expand(WINDOW, -1) for of in heard}

    motion = state["global_scan.learnable_query"][0].repeat(WINDOW, 1)
    motion[:SEED] = known
    motion = encoder(state, "global_scan.motion_encoder", motion)
    around = linear("global_scan.motion_proj2", mlp("global_scan.motion_proj1", motion))
    around = around + self_attention(state, "global_scan.body_q_self_attn.layers.0", speakers["body"], HEADS)
    around = self_attention(state, "global_scan.motion_self_encoder.layers.0", around + places(around), HEADS)
    both = torch.cat(
        [scan(state, "global_scan.face_scan", heard["face"]), scan(state, "global_scan.body_scan", motion)], 1
    )
    features = linear("global_scan.out", both)

    memory = linear("local_scan.body_proj", heard["body"])
    found = around + places(around)
    layer = 0
    while f"local_scan.motion_cross_attn.layers.{layer}.norm1.weight" in state:
        name = f"local_scan.motion_cross_attn.layers.{layer}"
        found = norm(state, f"{name}.norm1", found + attend(state, f"{name}.self_attn", found, found, HEADS))
        found = norm(state, f"{name}.norm2", found + attend(state, f"{name}.multihead_attn", found, memory, HEADS))
        found = norm(state, f"{name}.norm3", found + feed_forward(state, name, found))
        layer += 1
    found = around + found
    parts = {part: mlp(f"local_scan.motion2latent_{part}", found) for part in JOINTS}
    faces = torch.cat([speakers["face"] + places(found), features], dim=1)
    states = {"face": scan(state, "local_scan.face_scan", linear("local_scan.face_proj", faces))}
    for part, own in parts.items():
        others = sum(parts[other] for other in JOINTS if other != part)
        joined = torch.cat([own + speakers["body"] + places(own), others], dim=1)
        joined = linear(f"local_scan.{part}_proj", joined)
        mixed = self_attention(state, f"local_scan.{part}_scan.attention.layers.0", joined, SCAN_HEADS)
        states[part] = scan(state, f"local_scan.{part}_scan", mixed) + own
    latents = {part: linear(f"local_scan.motion_down_{part}", each) for part, each in states.items()}
    return latents, {part: mlp(f"local_scan.{part}_classifier", each) for part, each in latents.items()}


def waveform(state: State, name: str, samples: Tensor) -> Tensor:
    """(N, channels) -> (T, W)."""

    def block(name: str, x: Tensor, stride: int, padding: int) -> Tensor:
        def convolve(x: Tensor, conv: str, bn: str, stride: int, padding: int) -> Tensor:
            x = F.conv1d(x, state[f"{name}.{conv}.weight"], state[f"{name}.{conv}.bias"], stride, padding)
            mean, variance = state[f"{name}.{bn}.running_mean"], state[f"{name}.{bn}.running_var"]
            return F.batch_norm(x, mean, variance, state[f"{name}.{bn}.weight"], state[f"{name}.{bn}.bias"])

        y = convolve(F.leaky_relu(convolve(x, "conv1", "bn1", stride, padding), 0.01), "conv2", "bn2", 1, 7)
        if f"{name}.downsample.0.weight" in state:
            x = convolve(x, "downsample.0", "downsample.1", stride, padding)
        return F.leaky_relu(y + x, 0.01)

    x = samples.T[None]
    deep = []
    for i, (stride, padding) in enumerate(((5, 1600), (6, 0), (1, 7), (6, 0), (1, 7), (3, 0))):
        x = block(f"{name}.feat_extractor.{i}", x, stride, padding)
        if i == 2:
            deep.append(block(f"{name}.multi_scale.0.1", block(f"{name}.multi_scale.0.0", x, 6, 0), 3, 0))
        elif i == 4:
            deep.append(block(f"{name}.multi_scale.1.0", x, 3, 0))
    joined = torch.cat([*deep, x], dim=1)[0].T
    return F.linear(joined, state[f"{name}.out.weight"], state[f"{name}.out.bias"])


def scan(state: State, name: str, x: Tensor) -> Tensor:
    """(T, W) through the layers of Mamba, a norm, and a projection where there is one."""
    layer = 0
    while f"{name}.layers.{layer}.norm.weight" in state:
        here = f"{name}.layers.{layer}"
        x = x + mamba(state, f"{here}.mixer", norm(state, f"{here}.norm", x))
        value, gate = F.linear(norm(state, f"{here}.norm2", x), state[f"{here}.mlp.fc1.weight"]).chunk(2, dim=1)
        x = x + F.linear(value * F.silu(gate), state[f"{here}.mlp.fc2.weight"])
        layer += 1
    x = norm(state, f"{name}.norm_f", x)
    return F.linear(x, state[f"{name}.out.weight"], state[f"{name}.out.bias"]) if f"{name}.out.weight" in state else x


def mamba(state: State, name: str, x: Tensor) -> Tensor:
    x, gate = F.linear(x, state[f"{name}.in_proj.weight"]).chunk(2, dim=1)  # (T, E)
    kernel, channels = state[f"{name}.conv1d.weight"], x.shape[1]
    x = F.conv1d(F.pad(x.T[None], (3, 0)), kernel, state[f"{name}.conv1d.bias"], groups=channels)
    x = F.silu(x[0].T)
    decay = -state[f"{name}.A_log"].exp()  # (E, 16)
    rank = state[f"{name}.dt_proj.weight"].shape[1]
    step, into, out = F.linear(x, state[f"{name}.x_proj.weight"]).split([rank, 16, 16], dim=1)
    delta = F.softplus(F.linear(step, state[f"{name}.dt_proj.weight"], state[f"{name}.dt_proj.bias"]))
    memory, outputs = torch.zeros_like(decay), []
    for t in range(len(x)):
        memory = (delta[t, :, None] * decay).exp() * memory + delta[t, :, None] * into[t] * x[t, :, None]
        outputs.append(memory @ out[t] + state[f"{name}.D"] * x[t])
    return F.linear(torch.stack(outputs) * F.silu(gate), state[f"{name}.out_proj.weight"])


def self_attention(state: State, name: str, x: Tensor, heads: int) -> Tensor:
    x = norm(state, f"{name}.norm1", x + attend(state, f"{name}.self_attn", x, x, heads))
    return norm(state, f"{name}.norm2", x + feed_forward(state, name, x))


def attend(state: State, name: str, x: Tensor, memory: Tensor, heads: int) -> Tensor:
    weights, biases = state[f"{name}.in_proj_weight"].chunk(3), state[f"{name}.in_proj_bias"].chunk(3)
    query, key, value = (F.linear(a, w, b) for a, w, b in zip((x, memory, memory), weights, biases, strict=True))
    results = []
    for q, k, v in zip(*(a.chunk(heads, dim=1) for a in (query, key, value)), strict=True):
        results.append((q @ k.T / math.sqrt(q.shape[1])).softmax(dim=1) @ v)
    return F.linear(torch.cat(results, dim=1), state[f"{name}.out_proj.weight"], state[f"{name}.out_proj.bias"])


def feed_forward(state: State, name: str, x: Tensor) -> Tensor:
    hidden = F.relu(F.linear(x, state[f"{name}.linear1.weight"], state[f"{name}.linear1.bias"]))
    return F.linear(hidden, state[f"{name}.linear2.weight"], state[f"{name}.linear2.bias"])


def norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def places(like: Tensor) -> Tensor:
    """(T, W) sines and cosines of the frame's number."""
    length, width = like.shape
    angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


def nearest(state: State, latents: Tensor) -> Tensor:
    """(F, D) -> (F,) of an autoencoder's codes."""
    codebook = state["quantizer.embedding.weight"]
    return ((latents[:, None] - codebook) ** 2).sum(dim=2).argmin(dim=1)


def decode(state: State, codes: Tensor) -> Tensor:
    """(F,) -> (F, channels)."""
    return decoder(state, state["quantizer.embedding.weight"][codes])


def encoder(state: State, name: str, motion: Tensor) -> Tensor:
    """(F, channels) -> (F, D)."""
    x, stage = motion.T[None], 0
    while f"{name}.main.{3 * stage}.weight" in state:
        x = F.leaky_relu(_convolve(state, f"{name}.main.{3 * stage}", x), 0.2)
        x = _residual(state, f"{name}.main.{3 * stage + 2}", x)
        stage += 1
    return x[0].T


def decoder(state: State, latents: Tensor) -> Tensor:
    """(F, D) -> (F, channels)."""
    x = latents.T[None]
    for block in (0, 1):
        x = _residual(state, f"decoder.main.{block}", x)
    last = max(int(name.split(".")[2]) for name in state if name.startswith("decoder.main"))
    for layer in range(2, last, 2):
        x = F.leaky_relu(_convolve(state, f"decoder.main.{layer}", x), 0.2)
    return _convolve(state, f"decoder.main.{last}", x)[0].T


def _residual(state: State, name: str, x: Tensor) -> Tensor:
    return x + _convolve(state, f"{name}.model.2", F.leaky_relu(_convolve(state, f"{name}.model.0", x), 0.2))


def _convolve(state: State, name: str, x: Tensor) -> Tensor:
    return F.conv1d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)
