"""SynTalker's released files -> a checkpoint directory.

The files keep the names they were published under and may lie anywhere below the paths given. What a file is, its
tensors say, not its folder. Every tensor must be one that the network has, and the network must get every one it needs.

[1] Chen et al. 2024, SynTalker, arXiv:2410.00464; github.com/RobinWitch/SynTalker, huggingface.co/robinwitch/SynTalker
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from cospeech import checkpoint as checkpoints
from cospeech import features, hearing, humanml3d, quirks, systems
from cospeech.checkpoint import Checkpoint
from cospeech.errors import CheckpointError, CospeechWarning
from cospeech.models import syntalker, tmr, tokenizer
from cospeech.models.syntalker import SYSTEM_S, SYSTEM_T, DenoiserConfig
from cospeech.models.tmr import TextEncoder, TmrConfig
from cospeech.models.tokenizer import TokenizerConfig
from cospeech.released import files, pieces
from cospeech.released.pieces import VOCABULARY, Found, Imported, Kind, Piece, SelfCheck, fixed, self_check
from cospeech.systems import SynTalkerModel, SynTalkerNetworks

WEIGHTS = ("last_*.bin", "net_*.pth", "text_epoch=*.ckpt", "motion_epoch=*.ckpt")
ARRAYS = (
    *("beatx_2_330_mean.npy", "beatx_2_330_std.npy", "beatx_2_trans_mean.npy", "beatx_2_trans_std.npy"),
    *("beatx_1-30_amass_h3d_mean.npy", "beatx_1-30_amass_h3d_std.npy"),
)
WORD_PIECES = "vocab.txt"


@dataclass(frozen=True)
class System:
    """What one of the two released systems consists of."""

    name: str
    title: str
    denoiser: DenoiserConfig
    tokenizers: Mapping[str, TokenizerConfig]
    arrays: Mapping[str, int]  # file name -> length
    motion: Literal["rotations", "humanml3d"]
    quirks: tuple[str, ...]
    tmr: TmrConfig | None = None


SYSTEMS = {
    "S": System(
        name="syntalker-s",
        title="SynTalker, system S: speech to rotations of body and hands",
        denoiser=replace(SYSTEM_S, parts=("upper", "hands", "lower_trans")),
        tokenizers={"upper": tokenizer.S_UPPER, "hands": tokenizer.S_HANDS, "lower_trans": tokenizer.S_LOWER_TRANS},
        arrays=dict(zip(ARRAYS[:4], (330, 330, 3, 3), strict=True)),
        motion="rotations",
        quirks=quirks.SYNTALKER_S,
    ),
    "T": System(
        name="syntalker-t",
        title="SynTalker, system T: speech and text to positions of 52 joints",
        denoiser=SYSTEM_T,
        tokenizers={"upper": tokenizer.T_UPPER, "hands": tokenizer.T_HANDS, "lower": tokenizer.T_LOWER},
        arrays=dict.fromkeys(ARRAYS[4:], humanml3d.CHANNELS),
        motion="humanml3d",
        quirks=quirks.SYNTALKER_T,
        tmr=TmrConfig(),
    ),
}


def import_syntalker(
    paths: Iterable[Path], out: Path, system: Literal["S", "T"] | None = None, distilbert: str | None = None
) -> Imported:
    """Make a checkpoint directory `out` of the released files below `paths`.

    Args:
        distilbert: Folder or hub id of distilbert-base-uncased, whose vocab.txt need then not be below `paths`.

    Raises:
        CheckpointError: nothing there, both systems there and none chosen, or a file lacking, foreign or damaged; the
            file, and of weights the tensors, are named.
    """
    checkpoints.check_target(out)
    if distilbert is not None:
        words = checkpoints.folder(distilbert, [WORD_PIECES]) / WORD_PIECES
        if not words.is_file():
            raise CheckpointError(f"{words}: missing from the folder of DistilBERT.")
        paths = [*paths, words]
    found = find(paths)
    if found.damaged:
        raise CheckpointError(" ".join(found.damaged))
    system = system or _only_system(found)
    this = SYSTEMS[system]
    chosen = found.choose(system, roles(system), OPTIONAL)
    checkpoint = _load(this, chosen)
    checks = self_checks(checkpoint)
    checkpoints.save(checkpoint, out, dtype=torch.float32)
    return Imported(checkpoint, list(chosen.values()), found.left(chosen, system), checks)


OPTIONAL = ("text_encoder", "motion_encoder", VOCABULARY, WORD_PIECES)


def roles(system: str) -> dict[str, str]:
    """Role -> what to look for."""
    this = SYSTEMS[system]
    all_roles = {"denoiser": "the denoiser (last_500.bin)" if system == "S" else "the denoiser (last_600.bin)"}
    for part, config in this.tokenizers.items():
        all_roles[part] = f"the RVQ-VAE of {part} (net_300000.pth with {config.channels} channels)"
    all_roles |= {name: name for name in this.arrays}
    if this.tmr is not None:
        all_roles |= {"text_encoder": "text_epoch=299.ckpt", "motion_encoder": "motion_epoch=299.ckpt"}
        all_roles |= {WORD_PIECES: "vocab.txt of distilbert-base-uncased"}
    return all_roles | {VOCABULARY: VOCABULARY}


def find(paths: Iterable[Path]) -> Found:
    """Everything below the paths that has a published name, and what it is."""
    return pieces.find("SynTalker", paths, WEIGHTS, _kinds(), _other, _spare)


def _other(path: Path) -> Piece | None:
    if path.match("vocab*.pkl"):
        return Piece(path, tuple(SYSTEMS), VOCABULARY)
    if path.name == WORD_PIECES:
        return Piece(path, ("T",), WORD_PIECES)
    if path.name in ARRAYS:
        return Piece(path, tuple(key for key, system in SYSTEMS.items() if path.name in system.arrays), path.name)
    return None


def _spare(piece: Piece) -> str:
    """A whole RVQ-VAE may be of other channels than its most similar one."""
    this = SYSTEMS[piece.systems[0]].tokenizers.get(piece.role)
    first = piece.tensors.get("encoder.model.0.weight")
    other = this is not None and first is not None and first.ndim == 3 and first.shape[1] != this.channels
    return "an RVQ-VAE of a body part that no denoiser was released for" if other else ""


@cache
def _kinds() -> list[Kind]:
    kinds = []
    for key, system in SYSTEMS.items():
        kinds.append(Kind((key,), "denoiser", syntalker.published_shapes(system.denoiser)))
        for part, config in system.tokenizers.items():
            kinds.append(Kind((key,), part, tokenizer.published_shapes(config)))
        if system.tmr is not None:
            kinds.append(Kind((key,), "motion_encoder", tmr.published_motion_shapes(system.tmr)))
            kinds.append(Kind((key,), "text_encoder", tmr.published_text_shapes(system.tmr)))
    return kinds


def _only_system(found: Found) -> Literal["S", "T"]:
    there = [system for system in ("S", "T") if found.get(system, "denoiser")]
    if len(there) == 2:
        raise CheckpointError("Both systems are here: choose one, --system S (speech) or --system T (speech and text).")
    if not there:
        raise CheckpointError("No denoiser (last_500.bin, last_600.bin) is here.")
    return there[0]


def _load(this: System, chosen: Mapping[str, Piece]) -> Checkpoint:
    vocabulary = pieces.read_words(chosen)
    table = "text_pre_encoder_body.weight"
    num_words = pieces.num_words(chosen["denoiser"], table, vocabulary, chosen.get(VOCABULARY))
    assert this.denoiser.words is not None
    denoiser = replace(this.denoiser, words=replace(this.denoiser.words, num_words=num_words))
    config = SynTalkerModel(
        name=this.name,
        licence="not stated",
        denoiser=denoiser,
        tokenizers=dict(this.tokenizers),
        steps=50,
        finish=False,
        motion=this.motion,
        tmr=this.tmr if "motion_encoder" in chosen else None,
        quirks=this.quirks,
    )
    networks = SynTalkerNetworks(config)
    pieces.fill(networks.denoiser, chosen["denoiser"], syntalker.rename_published, denoiser)
    for part, of_part in this.tokenizers.items():
        pieces.fill(networks.tokenizers[part], chosen[part], tokenizer.rename_published, of_part)
    if config.tmr is not None:
        pieces.fill(networks.motion_encoder, chosen["motion_encoder"], tmr.rename_published_motion, config.tmr)
    text_encoder = None
    if "text_encoder" in chosen and config.tmr is None:
        raise CheckpointError(f"{chosen['text_encoder'].path}: is of no use without motion_epoch=299.ckpt.")
    if "text_encoder" in chosen:
        text_encoder = TextEncoder(config.tmr)
        pieces.fill(text_encoder, chosen["text_encoder"], tmr.rename_published_text, config.tmr)
        text_encoder.eval().requires_grad_(False)
    word_pieces = None
    if WORD_PIECES in chosen and text_encoder is not None:
        word_pieces = checkpoints.read_word_pieces(chosen[WORD_PIECES].path, config.tmr)
    elif text_encoder is not None:
        message = (
            "vocab.txt of distilbert-base-uncased is not here: the model will not read text. "
            "`--distilbert distilbert/distilbert-base-uncased` gets it from the hub."
        )
        warnings.warn(CospeechWarning(message), stacklevel=3)
    networks.eval().requires_grad_(False)
    arrays = {
        name: files.read_statistics(chosen[name].path, length, positive="std" in name)
        for name, length in this.arrays.items()
    }
    statistics = _statistics(this, arrays)
    statistics["rest"] = systems.mean_pose_latents(networks.tokenizers, denoiser)
    if config.tmr is not None:  # whose space is that of the same vectors
        whole = {kind: arrays[f"beatx_1-30_amass_h3d_{kind}.npy"] for kind in ("mean", "std")}
        statistics |= {f"tmr.{kind}": array for kind, array in whole.items()}
    return Checkpoint(config, networks, statistics, card(this, vocabulary), vocabulary, text_encoder, word_pieces)


def _statistics(this: System, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean and standard deviation of every part's vector, cut out of those of the whole body."""
    statistics = {}
    for kind in ("mean", "std"):
        if this.motion == "humanml3d":
            whole, columns = arrays[f"beatx_1-30_amass_h3d_{kind}.npy"], humanml3d.PARTS.__getitem__
        else:
            whole = torch.cat([arrays[f"beatx_2_330_{kind}.npy"], arrays[f"beatx_2_trans_{kind}.npy"]])
            columns = features.columns
        statistics |= {f"{part}.{kind}": whole[columns(part)] for part in this.denoiser.parts}
    return statistics


@torch.inference_mode()
def self_checks(checkpoint: Checkpoint) -> dict[str, SelfCheck]:
    """Of every network; of the denoiser of T the pass is made with a style."""
    config = checkpoint.config.denoiser
    networks = checkpoint.networks
    words = torch.arange(config.window_frames)[None] % config.words.num_words
    samples = 0.1 * fixed(1, hearing.num_samples(config.window_frames), 2)
    style = None if config.style_dim is None else fixed(1, config.style_dim)
    conditions = networks.denoiser.condition(samples, words, fixed(1, config.seed_steps, config.channels), style)
    latents = fixed(1, config.window_steps, config.channels)
    checked = {"denoiser": (networks.denoiser, networks.denoiser(latents, torch.tensor([500]), conditions))}
    for part, network in networks.tokenizers.items():
        motion = fixed(1, config.window_frames, network.config.channels)
        checked[part] = network, network.decode(network.encode(motion))
    if checkpoint.config.tmr is not None:
        encoder = networks.motion_encoder
        checked["motion_encoder"] = encoder, encoder(fixed(1, 64, checkpoint.config.tmr.channels)).mean
    if checkpoint.text_encoder is not None:
        checked["text_encoder"] = checkpoint.text_encoder, checkpoint.text_encoder(torch.arange(101, 121)[None]).mean
    return {name: self_check(network, output) for name, (network, output) in checked.items()}


def card(this: System, vocabulary: Mapping[str, int] | None) -> str:
    words = "no words: `vocab.pkl` was not there" if vocabulary is None else f"{len(vocabulary)} words"
    data = "BEAT2 speaker 2" if this.motion == "rotations" else "BEAT2, all English speakers, and AMASS"
    return f"""# {this.name}

{this.title}. Released by the authors of SynTalker, arXiv:2410.00464, and imported from their files with
`cospeech import syntalker`; not trained or changed here.

**Licence: not stated.** The files name no licence for the weights; the code they belong to is MIT. They were trained on
{data}, whose own terms, non-commercial ones among them, may bind you. Ask the authors before you use them for more than
research.

It knows {words}. Quirks of its training, kept so that it gives what it was published with:
{", ".join(this.quirks)}. `cospeech.quirks` says what each is.
"""
