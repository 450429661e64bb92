"""A whole model so small that tests make it in a blink: random weights, the layout of the shipped one."""

from dataclasses import replace

import torch

from cospeech import features
from cospeech.checkpoint import Checkpoint
from cospeech.models.sentence import SentenceConfig
from cospeech.models.syntalker import DenoiserConfig, FrameEncoderConfig
from cospeech.models.tokenizer import TokenizerConfig
from cospeech.nn.quantize import QuantizerConfig
from cospeech.systems import SynTalkerModel, SynTalkerNetworks

PARTS = ("upper", "hands", "lower_trans", "face")
QUANTIZER = QuantizerConfig(code_dim=4, num_codes=32, num_stages=2, min_uses=0.2, temperature=0.0)
DENOISER = DenoiserConfig(
    parts=PARTS,
    audio=FrameEncoderConfig(width=8),
    code_dim=4,
    latent_scale=1.0,
    speech_width=8,
    width=16,
    depth=1,
    heads=2,
    mlp_width=16,
    rotary_groups=2,
)


def tokenizer_config(part: str) -> TokenizerConfig:
    return TokenizerConfig(features.layout(part).channels, width=8, depth=1, quantizer=QUANTIZER)


def checkpoint(seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    config = SynTalkerModel("tiny", "none", DENOISER, {part: tokenizer_config(part) for part in PARTS}, steps=3)
    networks = SynTalkerNetworks(config).eval().requires_grad_(False)
    for tokenizer in networks.tokenizers.values():
        torch.nn.init.normal_(tokenizer.quantizer.codebooks)
    statistics = {"rest": torch.zeros(DENOISER.seed_steps, DENOISER.channels)}
    for part in PARTS:
        channels = features.layout(part).channels
        mean = torch.full((channels,), 0.2)
        if part != "face":  # identity rotations
            mean[: channels // 6 * 6] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(channels // 6)
        statistics |= {f"{part}.mean": mean, f"{part}.std": torch.full((channels,), 0.1)}
    return Checkpoint(config, networks, statistics, card="# tiny\n")


def reading(seed: int = 0) -> Checkpoint:
    """The same that reads text, with other weights of the denoiser."""
    plain = checkpoint(seed)
    sentences = SentenceConfig(buckets=64, width=8, depth=1, heads=2, style_dim=6)
    config = replace(plain.config, denoiser=replace(plain.config.denoiser, style_dim=6), sentences=sentences)
    torch.manual_seed(seed)
    networks = SynTalkerNetworks(config).eval().requires_grad_(False)
    networks.tokenizers.load_state_dict(plain.networks.tokenizers.state_dict())
    return replace(plain, config=config, networks=networks)
