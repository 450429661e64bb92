"""SynTalker as it was published, slow and obvious: what the fast path is compared with, in tests and by the benchmark.

[1] Chen et al. 2024, SynTalker, arXiv:2410.00464

Works on published state dicts under their own names. Every call of the denoiser encodes the sound anew, every part of
the body is guided by three calls of its own, one window at a time. Nothing here is shared with the rest of the package
but the window's sound and words.

Axes: T frames of a window, N samples, S latent steps, C latent channels, W width of the transformer.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]
PARTS = 3  # upper body, hands, legs: a third of the latent channels each
HEADS, ROTARY_GROUPS = 4, 8
STRIDES, PADDINGS = (5, 6, 1, 6, 1, 3), (1700, 0, 7, 0, 7, 0)
PROMPT_STRENGTH = 4


def denoise(
    state: State, x_t: Tensor, t: int, seed: Tensor, audio: Tensor, words: Tensor, style: Tensor | None = None
) -> Tensor:
    """One call of the network: (S, C) noisy -> (S, C) clean latents.

    Args:
        state: Of `last_*.bin`, without its prefix.
        t: Timestep, 0 to 999.
        seed: (P, C) the latents before the window.
        audio: (N, 2) amplitude and onsets; zeros for no speech.
        words: (T,) rows of the word table.
        style: (D,) for a network that reads text; None: its learned "no text".
    """

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    speech = encode_speech(state, audio, words)  # (T, A)
    speech = speech.reshape(len(x_t), -1, speech.shape[1]).mean(dim=1)  # (S, A)

    width = state["input_process.poseEmbedding.weight"].shape[0]
    timestep = linear("embed_timestep.time_embed.2", F.silu(linear("embed_timestep.time_embed.0", table_row(t, width))))
    context = linear("embed_text", seed.flatten()) + timestep  # (W,)
    h = linear("input_process.poseEmbedding", x_t)
    h = linear("input_process2", torch.cat([context.expand(len(h), -1), h, speech], dim=1))
    if "input_process3.weight" in state:
        style = state["uncon_text_embeddings"][0] if style is None else style
        h = linear("input_process3", torch.cat([h, style.expand(len(h), -1)], dim=1))
    h = turn(h)
    for i in range(sum(name.endswith("norm1.weight") for name in state)):
        block = f"mytimmblocks.{i}"
        query, key, value = linear(f"{block}.attn.qkv", norm(state, f"{block}.norm1", h)).chunk(3, dim=1)
        heads = []
        for q, k, v in zip(*(a.chunk(HEADS, dim=1) for a in (query, key, value)), strict=True):
            heads.append((q @ k.T / math.sqrt(q.shape[1])).softmax(dim=1) @ v)
        h = h + linear(f"{block}.attn.proj", torch.cat(heads, dim=1))
        hidden = F.gelu(linear(f"{block}.mlp.fc1", norm(state, f"{block}.norm2", h)))
        h = h + linear(f"{block}.mlp.fc2", hidden)
    return linear("output_process.poseFinal", h)


def encode_speech(state: State, audio: Tensor, words: Tensor) -> Tensor:
    """(N, 2) and (T,) -> (T, A)."""

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    spoken = linear("text_encoder_body", state["text_pre_encoder_body.weight"][words])
    return linear("mix_audio_text", torch.cat([waveform(state, audio), spoken], dim=1))


def amplitude(samples: np.ndarray, ahead: int = 1024) -> np.ndarray:
    """(N,) -> (N,) the largest |sample| of those that follow, from a copy of all of them for each."""
    windows = np.lib.stride_tricks.sliding_window_view(np.abs(samples), ahead).copy()
    envelope = windows.max(axis=1)
    return np.concatenate([envelope, np.repeat(envelope[-1:], ahead - 1)])


def waveform(state: State, audio: Tensor) -> Tensor:
    """(N, 2) -> (T, A)."""
    x = audio.T[None]
    for i, (stride, padding) in enumerate(zip(STRIDES, PADDINGS, strict=True)):
        block = f"WavEncoder.feat_extractor.{i}"

        def convolve(x: Tensor, conv: str, bn: str, stride: int, padding: int, block: str = block) -> Tensor:
            x = F.conv1d(x, state[f"{block}.{conv}.weight"], state[f"{block}.{conv}.bias"], stride, padding)
            name = f"{block}.{bn}"
            mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
            return F.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])

        shortcut = x
        if f"{block}.downsample.0.weight" in state:
            shortcut = convolve(x, "downsample.0", "downsample.1", stride, padding)
        y = F.leaky_relu(convolve(x, "conv1", "bn1", stride, padding), 0.01)
        x = F.leaky_relu(convolve(y, "conv2", "bn2", 1, 7) + shortcut, 0.01)
    return x[0].T


def norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def table_row(position: int, width: int) -> Tensor:
    angles = position * 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten().float()


def turn(h: Tensor) -> Tensor:
    """Rotary positions on the hidden sequence: channel j of a group of G pairs with channel j + G / 2."""
    half = h.shape[1] // ROTARY_GROUPS // 2
    angles = torch.arange(len(h))[:, None] * 10000.0 ** (-torch.arange(half) / half)  # (S, G / 2)
    groups = []
    for group in h.chunk(ROTARY_GROUPS, dim=1):
        first, second = group[:, :half], group[:, half:]
        groups += [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()]
    return torch.cat(groups, dim=1)


def guided(state: State, styles: Mapping[int, Tensor], seed: Tensor, audio: Tensor, words: Tensor):
    """The denoiser with what each part of the body follows; `styles` by the part's number: 0 upper, 1 hands, 2 legs."""

    def predict(x_t: Tensor, t: int) -> Tensor:
        if "input_process3.weight" not in state:
            return denoise(state, x_t, t, seed, audio, words)
        parts = []
        for part in range(PARTS):
            neither = denoise(state, x_t, t, seed, 0 * audio, 0 * words)
            heard = denoise(state, x_t, t, seed, audio, words)
            styled = denoise(state, x_t, t, seed, 0 * audio, 0 * words, styles.get(part))
            of_audio = 1 if part == 0 or part not in styles else 0
            x0 = neither + of_audio * (heard - neither) + PROMPT_STRENGTH * (styled - neither)
            parts.append(x0.chunk(PARTS, dim=1)[part])
        return torch.cat(parts, dim=1)

    return predict


def alphas_bar() -> np.ndarray:
    """(1000,) float64: the share of signal left after each step of the cosine schedule."""

    def signal(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - signal((i + 1) / 1000) / signal(i / 1000), 0.999) for i in range(1000)]
    return np.cumprod(1 - np.array(betas))


def ddim(predict: Callable[[Tensor, int], Tensor], noise: Iterator[Tensor], num_steps: int) -> Tensor:
    """Implicit sampling over `num_steps` of the 1000 timesteps; one tensor of noise a step is drawn and not used."""
    signal = alphas_bar()
    x = next(noise)
    timesteps = [i * 1000 // num_steps for i in range(num_steps)]
    for i in reversed(range(num_steps)):
        now, before = signal[timesteps[i]], signal[timesteps[i - 1]] if i else 1.0
        x0 = predict(x, timesteps[i])
        epsilon = (x / math.sqrt(now) - x0) / math.sqrt(1 / now - 1)
        x = math.sqrt(before) * x0 + math.sqrt(1 - before) * epsilon
        next(noise)
    return x


def ddpm(predict: Callable[[Tensor, int], Tensor], noise: Iterator[Tensor]) -> Tensor:
    """All 1000 steps, each with the posterior's noise."""
    signal = alphas_bar()
    x = next(noise)
    for t in reversed(range(1000)):
        now, before = signal[t], signal[t - 1] if t else 1.0
        beta = 1 - now / before
        x0 = predict(x, t)
        mean = beta * math.sqrt(before) / (1 - now) * x0 + (1 - before) * math.sqrt(1 - beta) / (1 - now) * x
        fresh = next(noise)
        x = mean + math.sqrt(beta * (1 - before) / (1 - now)) * fresh if t else mean
    return x


def decode(state: State, latents: Tensor) -> Tensor:
    """(S, D) latents -> (4 S, channels) of an RVQ-VAE's published state: six nearest codes, then the decoder."""
    residual, total = latents, torch.zeros_like(latents)
    for q in range(6):
        codebook = state[f"quantizer.layers.{q}.codebook"]
        nearest = codebook[((residual[:, None] - codebook) ** 2).sum(dim=-1).argmin(dim=1)]
        residual, total = residual - nearest, total + nearest
    return _convolutions(state, "decoder", total)


def encode(state: State, motion: Tensor) -> Tensor:
    """(T, channels) -> (T / 4, D) latents, not snapped to codes."""
    return _convolutions(state, "encoder", motion)


def _convolutions(state: State, network: str, x: Tensor) -> Tensor:
    def convolve(name: str, x: Tensor, **how: int) -> Tensor:
        return F.conv1d(x, state[f"{network}.model.{name}.weight"], state[f"{network}.model.{name}.bias"], **how)

    def residual_blocks(name: str, x: Tensor) -> Tensor:
        for j, dilation in enumerate((9, 3, 1)):
            y = convolve(f"{name}.model.{j}.conv1", F.relu(x), padding=dilation, dilation=dilation)
            x = x + convolve(f"{name}.model.{j}.conv2", F.relu(y))
        return x

    x = F.relu(convolve("0", x.T[None], padding=1))
    for stage in (2, 3):
        if network == "encoder":
            x = residual_blocks(f"{stage}.1", convolve(f"{stage}.0", x, stride=2, padding=1))
        else:
            x = convolve(f"{stage}.2", residual_blocks(f"{stage}.0", x).repeat_interleave(2, dim=2), padding=1)
    x = convolve("4", x, padding=1)
    return (x if network == "encoder" else convolve("6", F.relu(x), padding=1))[0].T
