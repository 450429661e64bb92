"""The released embedder of the Fréchet gesture distance -> a directory.

[1] Liu et al. 2024, EMAGE, arXiv:2401.00374; `AESKConv_240_100.bin` is in the folder `weights` of BEAT2
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from cospeech import checkpoint as checkpoints
from cospeech.checkpoint import StoredEmbedder
from cospeech.models import embedder
from cospeech.models.embedder import Embedder, EmbedderConfig
from cospeech.released import pieces
from cospeech.released.pieces import Kind, Piece, SelfCheck, fixed, self_check
from cospeech.systems import EmbedderModel

SYSTEM, CONFIG = "the embedder", EmbedderConfig()
NETWORK = "embedder"
WEIGHTS = ("AESKConv*.bin",)


class ImportedEmbedder(NamedTuple):
    checkpoint: StoredEmbedder
    pieces: list[Piece]  # what it was made of
    unused: list[str]  # what else lay there
    checks: dict[str, SelfCheck]  # what two people can compare


def import_embedder(paths: Iterable[Path], out: Path) -> ImportedEmbedder:
    """Make a directory `out` of `AESKConv_240_100.bin` at or below `paths`.

    Raises:
        CheckpointError: it is not there, foreign or damaged; the file, and the tensors, are named.
    """
    checkpoints.check_target(out)
    found = pieces.find(SYSTEM, paths, WEIGHTS, _kinds(), lambda _: None)
    chosen = found.choose(SYSTEM, {NETWORK: "the network (AESKConv_240_100.bin)"}, [])
    network = Embedder(CONFIG)
    pieces.fill(network, chosen[NETWORK], embedder.rename_published, CONFIG)
    network.eval().requires_grad_(False)
    stored = StoredEmbedder(EmbedderModel("AESKConv_240_100", "not stated", CONFIG), network, CARD)
    with torch.inference_mode():
        check = self_check(network, network.encoder(fixed(1, CONFIG.window_frames, 330)))
    in_file = sum(tensor.numel() for tensor in chosen[NETWORK].tensors.values())  # as its authors count: all of it
    checkpoints.save_embedder(stored, out)
    checks = {NETWORK: check._replace(parameters=in_file)}
    return ImportedEmbedder(stored, [*chosen.values()], found.left(chosen, SYSTEM), checks)


@cache
def _kinds() -> list[Kind]:
    return [Kind((SYSTEM,), NETWORK, embedder.published_shapes(CONFIG))]


CARD = """# AESKConv_240_100

The skeleton-convolution autoencoder in whose latents SynTalker, MambaTalk and EMAGE compute their Fréchet gesture
distance. Released by the authors of EMAGE, arXiv:2401.00374, with BEAT2, and imported from their file with
`cospeech import embedder`; not trained or changed here. Two layers of it that nothing uses, `fc_mu` and `fc_logvar`,
are left out. It reads the rotations of the 55 joints of SMPL-X at 30 fps and makes 240 numbers of 16 frames.

**Licence: not stated.** The file names none for the weights. They were trained on BEAT2, whose own terms,
non-commercial ones among them, may bind you. Ask the authors before you use them for more than research.

How long its windows were in training is not known; by the corrected protocol motions go through it in windows of 64
frames, as those of the autoencoders beside it.
"""
