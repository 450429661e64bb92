"""MambaTalk's released files -> a checkpoint directory.

[1] Xu et al. 2024, MambaTalk, arXiv:2403.09471; github.com/kkakkkka/MambaTalk, huggingface.co/kkakkkka/MambaTalk
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from cospeech import checkpoint as checkpoints
from cospeech import features, hearing, quirks, wav2vec2
from cospeech.checkpoint import Checkpoint
from cospeech.models import mambatalk
from cospeech.models.mambatalk import AUTOENCODERS, TRANSLATION, MambaTalkConfig
from cospeech.released import pieces
from cospeech.released.pieces import VOCABULARY, Found, Imported, Kind, Piece, SelfCheck, fixed, self_check
from cospeech.systems import MambaTalkModel
from cospeech.wav2vec2 import Recogniser

SYSTEM, CONFIG = "MambaTalk", MambaTalkConfig()
WEIGHTS = ("mambatalk*.bin", "last_*.bin", "fid.bin", "*face*.bin", "*upper*.bin", "*hands*.bin", "*foot*.bin")
FILES = {"face": "face.bin", "upper": "upper.bin", "hands": "hands.bin", "lower": "lower_foot.bin"}
FILES |= {TRANSLATION: "foot.bin"}
NETWORK, RECOGNISER = "network", "wav2vec2"


def import_mambatalk(paths: Iterable[Path], out: Path, recogniser: str | None = None) -> Imported:
    """Make a checkpoint directory `out` of the released files below `paths`.

    Args:
        recogniser: Folder or hub id of facebook/wav2vec2-base-960h, which need then not be below `paths`.

    Raises:
        CheckpointError: a file lacking, foreign or damaged; the file, and of weights the tensors, are named.
    """
    checkpoints.check_target(out)
    if recogniser is not None:
        folder = checkpoints.folder(recogniser, wav2vec2.FILES)
        wav2vec2.check_folder(folder)
        paths = [*paths, folder]
    found = find(paths)
    chosen = found.choose(SYSTEM, roles(), [VOCABULARY])
    checkpoint = _load(chosen)
    checks = self_checks(checkpoint)
    checkpoints.save(checkpoint, out, dtype=torch.float32)
    return Imported(checkpoint, list(chosen.values()), found.left(chosen, SYSTEM), checks)


def roles() -> dict[str, str]:
    """Role -> what to look for."""
    all_roles = {NETWORK: "the network (mambatalk_100.bin)"}
    all_roles |= {part: f"the autoencoder of {part} ({name})" for part, name in FILES.items()}
    all_roles[RECOGNISER] = f"what it hears with ({wav2vec2.WANTED})"
    return all_roles | {VOCABULARY: VOCABULARY}


def find(paths: Iterable[Path]) -> Found:
    """Everything below the paths that has a published name, and what it is."""
    return pieces.find(SYSTEM, paths, WEIGHTS, _kinds(), _other)


def _other(path: Path) -> Piece | None:
    if path.match("vocab*.pkl"):
        return Piece(path, (SYSTEM,), VOCABULARY)
    if path.name == wav2vec2.CONFIG and wav2vec2.is_folder(path.parent):
        return Piece(path.parent, (SYSTEM,), RECOGNISER)
    return None


@cache
def _kinds() -> list[Kind]:
    kinds = [Kind((SYSTEM,), NETWORK, mambatalk.published_shapes(CONFIG))]
    for part, config in AUTOENCODERS.items():
        kinds.append(Kind((SYSTEM,), part, mambatalk.published_autoencoder_shapes(config)))
    return kinds


def _load(chosen: Mapping[str, Piece]) -> Checkpoint:
    recogniser = Recogniser.load(chosen[RECOGNISER].path)
    vocabulary = pieces.read_words(chosen)
    table = "text_pre_encoder_body.weight"
    num_words = pieces.num_words(chosen[NETWORK], table, vocabulary, chosen.get(VOCABULARY))
    config = MambaTalkModel(
        name="mambatalk",
        licence="not stated",
        network=replace(CONFIG, num_words=num_words),
        autoencoders=dict(AUTOENCODERS),
        quirks=quirks.MAMBATALK,
    )
    networks = config.build()
    pieces.fill(networks.network, chosen[NETWORK], mambatalk.rename_published, config.network)
    for part, of_part in AUTOENCODERS.items():
        rename = mambatalk.rename_published_autoencoder
        pieces.fill(networks.autoencoders[part], chosen[part], rename, of_part)
    networks.eval().requires_grad_(False)
    statistics = {"rest": torch.from_numpy(features.standing(config.network.seed_frames))}
    return Checkpoint(config, networks, statistics, card(vocabulary), vocabulary, recogniser=recogniser)


@torch.inference_mode()
def self_checks(checkpoint: Checkpoint) -> dict[str, SelfCheck]:
    """Of every network."""
    config, networks = checkpoint.config.network, checkpoint.networks
    words = torch.arange(config.window_frames)[None] % config.num_words
    samples = 0.1 * fixed(1, hearing.num_samples(config.window_frames), 3)
    motion = fixed(1, config.window_frames, config.motion_channels)
    hidden = torch.ones_like(motion, dtype=torch.bool)
    hidden[:, : config.seed_frames] = False
    chosen = networks.network(samples, words, torch.tensor([1]), motion, hidden)
    checks = {NETWORK: self_check(networks.network, torch.stack([*chosen.latents.values()]))}
    for part, network in networks.autoencoders.items():
        checks[part] = self_check(network, network(fixed(1, 64, network.config.channels))[0])
    recogniser = checkpoint.recogniser
    heard = recogniser.characters(fixed(1, 16000)[0].numpy())
    return checks | {RECOGNISER: self_check(recogniser.model, torch.from_numpy(heard).float())}


def card(vocabulary: Mapping[str, int] | None) -> str:
    words = "no words: `vocab.pkl` was not there" if vocabulary is None else f"{len(vocabulary)} words"
    return f"""# mambatalk

MambaTalk: speech to rotations of body and hands, expressions of FLAME, jaw and translation. Released by the authors of
MambaTalk, arXiv:2403.09471, its autoencoders by those of EMAGE, arXiv:2401.00374, and imported from their files with
`cospeech import mambatalk`; not trained or changed here. It hears with facebook/wav2vec2-base-960h (Apache-2.0), which
is in the folder wav2vec2.

**Licence: not stated.** The files name no licence for the weights; the code they belong to is Apache-2.0. They were
trained on BEAT2, speaker 2, whose own terms, non-commercial ones among them, may bind you. Ask the authors before you
use them for more than research.

It knows {words}. Quirks of its training, kept so that it gives what it was published with:
{", ".join(quirks.MAMBATALK)}. `cospeech.quirks` says what each is.
"""
