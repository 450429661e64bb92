"""MambaTalk's files as they were published, made small: names, folders, tensors, with pseudo-random weights."""

from dataclasses import replace
from pathlib import Path

import parity
import pytest
import torch

from cospeech.models import mambatalk
from cospeech.models.mambatalk import AUTOENCODERS, MambaTalkConfig
from cospeech.recipes import plain_mambatalk as plain
from cospeech.released import mambatalk as released

CONFIG = MambaTalkConfig(num_words=40, width=64, audio_width=32, motion_width=32, code_dim=32, num_codes=32)
SMALL = {part: replace(config, width=32, num_codes=config.num_codes and 32) for part, config in AUTOENCODERS.items()}


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Let the import expect these sizes instead of the published ones."""
    patch.setattr(released, "CONFIG", CONFIG)
    patch.setattr(released, "AUTOENCODERS", SMALL)
    released._kinds.cache_clear()


@torch.inference_mode()
def states() -> dict[str, dict[str, torch.Tensor]]:
    """ "network" and body part -> tensors under their published names, without prefix.

    Random networks have a favourite code, whatever they hear: here what they say on average is taken off.
    """
    network = parity.weights(mambatalk.published_shapes(CONFIG))
    parts = {part: parity.weights(mambatalk.published_autoencoder_shapes(config)) for part, config in SMALL.items()}
    audio = parity.inputs("audio", (34112, 3)) * torch.tensor([0.1, 10.0, 1.0])
    latents, logits = plain.window(network, audio, torch.arange(64) % 40, 1, parity.inputs("motion", (4, 337), 0.5))
    for part in plain.JOINTS:
        network[f"local_scan.{part}_classifier.mlp.2.bias"] -= logits[part].mean(dim=0)
    spread, mean = torch.std_mean(latents["face"], dim=0)
    codebook = parts["face"]["quantizer.embedding.weight"]
    parts["face"]["quantizer.embedding.weight"] = mean + 2 * spread * codebook
    return {"network": network, **parts}


def write(folder: Path, of_network: dict[str, dict[str, torch.Tensor]]) -> None:
    (folder / "pretrained_vq").mkdir(parents=True, exist_ok=True)
    for network, state in of_network.items():
        path = folder / ("mambatalk_100.bin" if network == "network" else f"pretrained_vq/{released.FILES[network]}")
        torch.save({"model_state": {f"module.{name}": tensor for name, tensor in state.items()}}, path)


def write_recogniser(folder: Path, num_characters: int = 32, seed: int = 0, positions: int = 8) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        vocab_size=num_characters,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=positions,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
