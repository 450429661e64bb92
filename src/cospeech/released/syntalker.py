"""SynTalker's released files -> a checkpoint directory.

The files keep the names they were published under and may lie anywhere below the paths given. What a file is, its
tensors say, not its folder. Every tensor must be one that the network has, and the network must get every one it needs.

[1] Chen et al. 2024, SynTalker, arXiv:2410.00464; github.com/RobinWitch/SynTalker, huggingface.co/robinwitch/SynTalker
"""

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cospeech import checkpoint as checkpoints
from cospeech import features, hearing, humanml3d, quirks, systems, text
from cospeech.checkpoint import Checkpoint
from cospeech.errors import CheckpointError, CospeechWarning
from cospeech.models import syntalker, tmr, tokenizer
from cospeech.models.syntalker import SYSTEM_S, SYSTEM_T, DenoiserConfig
from cospeech.models.tmr import TextEncoder, TmrConfig
from cospeech.models.tokenizer import TokenizerConfig
from cospeech.released import files
from cospeech.released.vocabulary import read_vocabulary
from cospeech.systems import SynTalkerModel, SynTalkerNetworks

WEIGHTS = ("last_*.bin", "net_*.pth", "text_epoch=*.ckpt", "motion_epoch=*.ckpt")
ARRAYS = (
    *("beatx_2_330_mean.npy", "beatx_2_330_std.npy", "beatx_2_trans_mean.npy", "beatx_2_trans_std.npy"),
    *("beatx_1-30_amass_h3d_mean.npy", "beatx_1-30_amass_h3d_std.npy"),
)
VOCABULARY, WORD_PIECES = "vocab.pkl", "vocab.txt"
BODIES = ("SMPLX_*.npz", "SMPLX_*.pkl", "SMPLH_*.npz", "SMPLH_*.pkl")  # licensed: named, never read or copied


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


class Piece(NamedTuple):
    """A file that was found, and which part of which system it is."""

    path: Path
    systems: tuple[str, ...]
    role: str  # "denoiser", "motion_encoder", "text_encoder", a file name, or a body part
    tensors: Mapping[str, Tensor] = MappingProxyType({})  # of weights


@dataclass
class Found:
    pieces: list[Piece] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # what has the name of weights and is none, and why
    unused: list[str] = field(default_factory=list)

    def get(self, system: str, role: str) -> Piece | None:
        """The file with a role; None if there is none.

        Raises:
            CheckpointError: there are several.
        """
        pieces = [piece for piece in self.pieces if system in piece.systems and piece.role == role]
        if len(pieces) > 1:
            listed = ", ".join(str(piece.path) for piece in pieces)
            raise CheckpointError(f"Several files could be the {role} of system {system}: {listed}. Name one of them.")
        return pieces[0] if pieces else None


class Imported(NamedTuple):
    checkpoint: Checkpoint
    pieces: list[Piece]  # what it was made of
    unused: list[str]  # what else lay there
    checks: dict[str, "SelfCheck"]  # network -> what two people can compare


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
    if found.damaged:  # what it would have been, nobody knows: to go on without it would be to guess
        raise CheckpointError(" ".join(found.damaged))
    system = system or _only_system(found)
    this = SYSTEMS[system]
    chosen = {role: piece for role in roles(system) if (piece := found.get(system, role)) is not None}
    missing = [what for role, what in roles(system).items() if role not in chosen and role not in OPTIONAL]
    if missing:
        raise CheckpointError(f"Of system {system} these are missing: {'; '.join(missing)}.")
    checkpoint = _load(this, chosen)
    checks = self_checks(checkpoint)
    checkpoints.save(checkpoint, out, dtype=torch.float32)
    used = {piece.path for piece in chosen.values()}
    others = [f"{piece.path}: not part of system {system}" for piece in found.pieces if piece.path not in used]
    return Imported(checkpoint, list(chosen.values()), found.unused + others, checks)


_ALIKE = 0.5  # two networks of different kinds share no more than a few names
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
    found = Found()
    for path in files.below(paths):
        if any(path.match(pattern) for pattern in BODIES):
            found.unused.append(f"{path}: a licensed body, left alone; give it with --body where it may be used.")
        elif path.match("vocab*.pkl"):
            found.pieces.append(Piece(path, ("S", "T"), VOCABULARY))
        elif path.name == WORD_PIECES:
            found.pieces.append(Piece(path, ("T",), WORD_PIECES))
        elif path.name in ARRAYS:
            owner = next(key for key, system in SYSTEMS.items() if path.name in system.arrays)
            found.pieces.append(Piece(path, (owner,), path.name))
        elif any(path.match(pattern) for pattern in WEIGHTS):
            try:
                tensors = files.read_weights(path)
                piece = _recognise(path, tensors)
            except CheckpointError as error:
                found.damaged.append(str(error))
                continue
            if _is_spare(piece):
                found.unused.append(f"{path}: an RVQ-VAE of a body part that no denoiser was released for")
            else:
                found.pieces.append(piece)
    return found


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> Piece:
    """The network whose tensors these are most like; which of them are wrong is for whoever fills it to say."""
    alike = [(_likeness(tensors, each.shapes), each) for each in _networks()]
    score = max(score for score, _ in alike)
    if score < _ALIKE:
        raise CheckpointError(f"{path}: no network of SynTalker, it lacks the tensors that each of them has.")
    return Piece(path, *next((each.systems, each.role) for found, each in alike if found == score), tensors)


def _is_spare(piece: Piece) -> bool:
    """Whether it is a whole RVQ-VAE, but of other channels than its most similar one."""
    this = SYSTEMS[piece.systems[0]].tokenizers.get(piece.role)
    first = piece.tensors.get("encoder.model.0.weight")
    return this is not None and first is not None and first.ndim == 3 and first.shape[1] != this.channels


class _Network(NamedTuple):
    systems: tuple[str, ...]
    role: str
    shapes: Mapping[str, tuple[int, ...]]


@cache
def _networks() -> list[_Network]:
    networks = []
    for key, system in SYSTEMS.items():
        networks.append(_Network((key,), "denoiser", syntalker.published_shapes(system.denoiser)))
        for part, config in system.tokenizers.items():
            networks.append(_Network((key,), part, tokenizer.published_shapes(config)))
        if system.tmr is not None:
            networks.append(_Network((key,), "motion_encoder", tmr.published_motion_shapes(system.tmr)))
            networks.append(_Network((key,), "text_encoder", tmr.published_text_shapes(system.tmr)))
    return networks


def _likeness(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> float:
    """Of all names in either, the share in both; a shape that is right as well counts for a little more."""
    both = tensors.keys() & shapes.keys()
    same = sum(tuple(tensors[name].shape) == shapes[name] for name in both)
    return (len(both) + 0.1 * same) / (1.1 * len(tensors.keys() | shapes.keys()))


def _only_system(found: Found) -> Literal["S", "T"]:
    there = [system for system in ("S", "T") if found.get(system, "denoiser")]
    if len(there) == 2:
        raise CheckpointError("Both systems are here: choose one, --system S (speech) or --system T (speech and text).")
    if not there:
        raise CheckpointError("No denoiser (last_500.bin, last_600.bin) is here.")
    return there[0]


def _load(this: System, pieces: Mapping[str, Piece]) -> Checkpoint:
    vocabulary = read_vocabulary(pieces[VOCABULARY].path) if VOCABULARY in pieces else None
    denoiser = _with_num_words(this.denoiser, pieces["denoiser"])
    assert denoiser.words is not None
    if vocabulary is None:
        message = f"{VOCABULARY} is not here: the model will not know any word. Sound matters more to it than words."
        warnings.warn(CospeechWarning(message), stacklevel=3)
    elif max(vocabulary.values()) >= denoiser.words.num_words:
        raise CheckpointError(
            f"{pieces[VOCABULARY].path}: has {max(vocabulary.values()) + 1} words, the table of "
            f"{pieces['denoiser'].path} "
            f"{denoiser.words.num_words}: they do not belong together."
        )
    config = SynTalkerModel(
        name=this.name,
        licence="not stated",
        denoiser=denoiser,
        tokenizers=dict(this.tokenizers),
        steps=50,
        finish=False,
        motion=this.motion,
        tmr=this.tmr if "motion_encoder" in pieces else None,
        quirks=this.quirks,
    )
    networks = SynTalkerNetworks(config)
    _fill(networks.denoiser, pieces["denoiser"], syntalker.rename_published, denoiser)
    for part, of_part in this.tokenizers.items():
        _fill(networks.tokenizers[part], pieces[part], tokenizer.rename_published, of_part)
    if config.tmr is not None:
        _fill(networks.motion_encoder, pieces["motion_encoder"], tmr.rename_published_motion, config.tmr)
    text_encoder = None
    if "text_encoder" in pieces and config.tmr is None:
        raise CheckpointError(f"{pieces['text_encoder'].path}: is of no use without motion_epoch=299.ckpt.")
    if "text_encoder" in pieces:
        text_encoder = TextEncoder(config.tmr)
        _fill(text_encoder, pieces["text_encoder"], tmr.rename_published_text, config.tmr)
        text_encoder.eval().requires_grad_(False)
    word_pieces = None
    if WORD_PIECES in pieces and text_encoder is not None:
        word_pieces = checkpoints.read_word_pieces(pieces[WORD_PIECES].path, config.tmr)
    elif text_encoder is not None:
        message = (
            "vocab.txt of distilbert-base-uncased is not here: the model will not read text. "
            "`--distilbert distilbert/distilbert-base-uncased` gets it from the hub."
        )
        warnings.warn(CospeechWarning(message), stacklevel=3)
    networks.eval().requires_grad_(False)
    arrays = {
        name: files.read_statistics(pieces[name].path, length, positive="std" in name)
        for name, length in this.arrays.items()
    }
    statistics = _statistics(this, arrays)
    statistics["rest"] = systems.mean_pose_latents(networks.tokenizers, denoiser)
    if config.tmr is not None:  # whose space is that of the same vectors
        whole = {kind: arrays[f"beatx_1-30_amass_h3d_{kind}.npy"] for kind in ("mean", "std")}
        statistics |= {f"tmr.{kind}": array for kind, array in whole.items()}
    return Checkpoint(config, networks, statistics, card(this, vocabulary), vocabulary, text_encoder, word_pieces)


def _with_num_words(config: DenoiserConfig, denoiser: Piece) -> DenoiserConfig:
    """The table of words may have any number of rows, if it has those of pauses and of unknown words."""
    table = denoiser.tensors.get("text_pre_encoder_body.weight")
    if table is None or table.ndim != 2 or len(table) <= text.UNKNOWN:
        raise CheckpointError(
            f"{denoiser.path}: text_pre_encoder_body.weight, the table of words, is missing or misshapen."
        )
    assert config.words is not None
    return replace(config, words=replace(config.words, num_words=len(table)))


def _fill(network: nn.Module, piece: Piece, rename, config) -> None:
    try:
        network.load_state_dict(rename(piece.tensors, config))
    except CheckpointError as error:
        raise CheckpointError(f"{piece.path}: {error}") from None


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


class SelfCheck(NamedTuple):
    """What two people compare to know that they have the same network."""

    parameters: int
    sum: str  # first digits of the SHA-256 of all tensors, by name
    passes: float  # mean |output| for an input that never changes


@torch.inference_mode()
def self_checks(checkpoint: Checkpoint) -> dict[str, SelfCheck]:
    """Of every network; of the denoiser of T the pass is made with a style."""
    config = checkpoint.config.denoiser

    def fixed(*shape: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))

    networks = checkpoint.networks
    words = torch.arange(config.window_frames)[None] % config.words.num_words
    samples = 0.1 * fixed(1, hearing.num_samples(config), 2)
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
    return {
        name: SelfCheck(
            sum(parameter.numel() for parameter in network.parameters()),
            _sum(network),
            output.abs().mean().item(),
        )
        for name, (network, output) in checked.items()
    }


def _sum(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


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
