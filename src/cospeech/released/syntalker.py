"""SynTalker's released files -> a checkpoint directory.

The files keep the names they were published under and may lie anywhere below the paths given. What a file is, its
tensors say, not its folder. Every tensor must be one that the network has, and the network must get every one it needs.

[1] Chen et al. 2024, SynTalker, arXiv:2410.00464; github.com/RobinWitch/SynTalker, huggingface.co/robinwitch/SynTalker
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cospeech import checkpoint as checkpoints
from cospeech import features, humanml3d, quirks
from cospeech.checkpoint import Checkpoint, ModelConfig, Networks
from cospeech.errors import CheckpointError, CospeechWarning
from cospeech.models import syntalker, tmr, tokenizer
from cospeech.models.syntalker import SYSTEM_S, SYSTEM_T, DenoiserConfig
from cospeech.models.tmr import TextEncoder, TmrConfig
from cospeech.models.tokenizer import TokenizerConfig
from cospeech.nn import published
from cospeech.released.vocabulary import read_vocabulary

WEIGHTS = ("last_*.bin", "net_*.pth", "text_epoch=*.ckpt", "motion_epoch=*.ckpt")
ARRAYS = (
    *("beatx_2_330_mean.npy", "beatx_2_330_std.npy", "beatx_2_trans_mean.npy", "beatx_2_trans_std.npy"),
    *("beatx_1-30_amass_h3d_mean.npy", "beatx_1-30_amass_h3d_std.npy"),
)
VOCABULARY = "vocab.pkl"
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
    tensors: int = 0
    parameters: int = 0


@dataclass
class Found:
    pieces: list[Piece] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)  # what has a published name and is none of it, and why

    def get(self, system: str, role: str) -> Path | None:
        """The file with a role; None if there is none.

        Raises:
            CheckpointError: there are several.
        """
        paths = [piece.path for piece in self.pieces if system in piece.systems and piece.role == role]
        if len(paths) > 1:
            listed = ", ".join(map(str, paths))
            raise CheckpointError(f"Several files could be the {role} of system {system}: {listed}. Name one of them.")
        return paths[0] if paths else None


class Imported(NamedTuple):
    checkpoint: Checkpoint
    pieces: list[Piece]  # what it was made of
    unused: list[str]  # what else lay there
    passes: dict[str, float]  # network -> mean |output| of a fixed forward pass


def import_syntalker(paths: Iterable[Path], out: Path, system: Literal["S", "T"] | None = None) -> Imported:
    """Make a checkpoint directory `out` of the released files below `paths`.

    Raises:
        CheckpointError: nothing there, both systems there and none chosen, or a file lacking, foreign or damaged; the
            file, and of weights the tensors, are named.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / checkpoints.CONFIG).is_file())):
        raise CheckpointError(f"{out}: exists and is no checkpoint directory. Choose another name.")
    found = find(paths)
    system = system or _only_system(found)
    this = SYSTEMS[system]
    chosen = {role: found.get(system, role) for role in roles(system)}
    missing = [what for role, what in roles(system).items() if chosen[role] is None and role not in OPTIONAL]
    if missing:
        strangers = f" {' '.join(found.strangers)}" if found.strangers else ""
        raise CheckpointError(f"Of system {system} these are missing: {'; '.join(missing)}.{strangers}")
    checkpoint = _load(this, {role: path for role, path in chosen.items() if path is not None})
    checkpoints.save(checkpoint, out, dtype=torch.float32)
    pieces = [piece for piece in found.pieces if system in piece.systems and chosen.get(piece.role) == piece.path]
    unused = [f"{piece.path}: not part of system {system}" for piece in found.pieces if piece not in pieces]
    return Imported(checkpoint, pieces, found.strangers + unused, fixed_passes(checkpoint))


OPTIONAL = ("text_encoder", "motion_encoder", VOCABULARY)


def roles(system: str) -> dict[str, str]:
    """Role -> what to look for."""
    this = SYSTEMS[system]
    all_roles = {"denoiser": "the denoiser (last_500.bin)" if system == "S" else "the denoiser (last_600.bin)"}
    for part, config in this.tokenizers.items():
        all_roles[part] = f"the RVQ-VAE of {part} (net_300000.pth with {config.channels} channels)"
    all_roles |= {name: name for name in this.arrays}
    if this.tmr is not None:
        all_roles |= {"text_encoder": "text_epoch=299.ckpt", "motion_encoder": "motion_epoch=299.ckpt"}
    return all_roles | {VOCABULARY: VOCABULARY}


def find(paths: Iterable[Path]) -> Found:
    """Everything below the paths that has a published name, and what it is."""
    found = Found()
    for path in dict.fromkeys(_files(paths)):
        if any(path.match(pattern) for pattern in BODIES):
            found.strangers.append(f"{path}: a licensed body, left alone; give it with --body where it may be used.")
        elif path.match("vocab*.pkl"):
            found.pieces.append(Piece(path, ("S", "T"), VOCABULARY))
        elif path.name in ARRAYS:
            owner = next(key for key, system in SYSTEMS.items() if path.name in system.arrays)
            found.pieces.append(Piece(path, (owner,), path.name))
        elif any(path.match(pattern) for pattern in WEIGHTS):
            try:
                found.pieces.append(_recognise(path))
            except CheckpointError as error:
                found.strangers.append(str(error))
    return found


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (each for each in sorted(path.rglob("*")) if each.is_file())
        elif path.is_file():
            yield path
        else:
            raise CheckpointError(f"{path}: no such file or folder.")


def _recognise(path: Path) -> Piece:
    tensors = read_weights(path)
    size = {"tensors": len(tensors), "parameters": sum(tensor.numel() for tensor in tensors.values())}
    if "input_process2.weight" in tensors:
        return Piece(path, ("T" if "input_process3.weight" in tensors else "S",), "denoiser", **size)
    if "skel_embedding.weight" in tensors:
        return Piece(path, ("T",), "motion_encoder", **size)
    if "projection.1.weight" in tensors:
        return Piece(path, ("T",), "text_encoder", **size)
    if "quantizer.layers.0.codebook" in tensors and "encoder.model.0.weight" in tensors:
        channels = tensors["encoder.model.0.weight"].shape[1]
        for key, system in SYSTEMS.items():
            for part, config in system.tokenizers.items():
                if config.channels == channels:
                    return Piece(path, (key,), part, **size)
        raise CheckpointError(f"{path}: an RVQ-VAE of {channels} channels, which no denoiser was released for.")
    raise CheckpointError(f"{path}: no network of SynTalker, it lacks the tensors that each of them has.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a published file; nothing in it is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats of older versions of torch
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, Mapping):
            raise CheckpointError(f"it holds no tensors but {type(state).__name__}")
        return published.unwrap(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}.".replace("..", ".")) from None
    except UnpicklingError:
        raise CheckpointError(f"{path}: refused: damaged, or it would do more than hold tensors.") from None
    except Exception as error:  # torch raises whatever a damaged file's bytes happen to cause
        raise CheckpointError(f"{path}: damaged ({str(error).splitlines()[0] if str(error) else error!r}).") from None


def _only_system(found: Found) -> Literal["S", "T"]:
    there = [system for system in ("S", "T") if found.get(system, "denoiser")]
    if len(there) == 2:
        raise CheckpointError("Both systems are here: choose one, --system S (speech) or --system T (speech and text).")
    if not there:
        raise CheckpointError(" ".join(["No denoiser (last_500.bin, last_600.bin) is here.", *found.strangers]))
    return there[0]


def _load(this: System, paths: dict[str, Path]) -> Checkpoint:
    state = read_weights(paths["denoiser"])
    vocabulary = read_vocabulary(paths[VOCABULARY]) if VOCABULARY in paths else None
    denoiser = _with_num_words(this.denoiser, paths["denoiser"], state)
    assert denoiser.words is not None
    if vocabulary is None:
        message = f"{VOCABULARY} is not here: the model will not know any word. Sound matters more to it than words."
        warnings.warn(CospeechWarning(message), stacklevel=3)
    elif max(vocabulary.values()) >= denoiser.words.num_words:
        raise CheckpointError(
            f"{paths[VOCABULARY]}: has {max(vocabulary.values()) + 1} words, the table of {paths['denoiser']} "
            f"{denoiser.words.num_words}: they do not belong together."
        )
    config = ModelConfig(
        name=this.name,
        licence="not stated",
        denoiser=denoiser,
        tokenizers=dict(this.tokenizers),
        steps=50,
        finish=False,
        motion=this.motion,
        tmr=this.tmr if "motion_encoder" in paths else None,
        quirks=this.quirks,
    )
    networks = Networks(config)
    _fill(networks.denoiser, paths["denoiser"], syntalker.rename_published, denoiser)
    for part, of_part in this.tokenizers.items():
        _fill(networks.tokenizers[part], paths[part], tokenizer.rename_published, of_part)
    if config.tmr is not None:
        _fill(networks.motion_encoder, paths["motion_encoder"], tmr.rename_published_motion, config.tmr)
    text_encoder = None
    if config.tmr is not None and "text_encoder" in paths:
        text_encoder = TextEncoder(config.tmr)
        _fill(text_encoder, paths["text_encoder"], tmr.rename_published_text, config.tmr)
        text_encoder.eval().requires_grad_(False)
    networks.eval().requires_grad_(False)
    arrays = {name: _read_array(paths[name], length) for name, length in this.arrays.items()}
    statistics = _statistics(this, arrays)
    statistics["rest"] = _rest(networks.tokenizers, denoiser)
    return Checkpoint(config, networks, statistics, card(this, vocabulary), vocabulary, text_encoder)


def _with_num_words(config: DenoiserConfig, path: Path, state: Mapping[str, Tensor]) -> DenoiserConfig:
    """The table of words may have any number of rows; all other sizes are the published ones."""
    table = state.get("text_pre_encoder_body.weight")
    if table is None or table.ndim != 2:
        raise CheckpointError(f"{path}: text_pre_encoder_body.weight, the table of words, is missing or misshapen.")
    assert config.words is not None
    return replace(config, words=replace(config.words, num_words=len(table)))


def _fill(network: nn.Module, path: Path, rename, config) -> None:
    try:
        network.load_state_dict(rename(read_weights(path), config))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _read_array(path: Path, length: int) -> Tensor:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path}: cannot be read as a numpy array ({error}).") from None
    if not isinstance(array, np.ndarray) or array.shape != (length,) or array.dtype.kind != "f":
        shape = getattr(array, "shape", None)
        raise CheckpointError(f"{path}: must hold {length} numbers, one for each channel, but has shape {shape}.")
    if not np.isfinite(array).all() or ("std" in path.name and (array <= 0).any()):
        raise CheckpointError(f"{path}: must hold finite numbers, and a standard deviation positive ones.")
    return torch.from_numpy(array.astype(np.float32))


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
def _rest(tokenizers: nn.ModuleDict, config: DenoiserConfig) -> Tensor:
    """(P, C) latents of somebody who stands still in the mean pose of the training data, whose vectors are zero."""
    latents = []
    for network in tokenizers.values():
        still = torch.zeros(1, config.window_frames, network.config.channels)
        latents.append(network.encode(still)[0] / config.latent_scale)
    middle = (config.window_steps - config.seed_steps) // 2  # away from the ends, where the encoder sees padding
    return torch.cat(latents, dim=-1)[middle : middle + config.seed_steps].clone()


@torch.inference_mode()
def fixed_passes(checkpoint: Checkpoint) -> dict[str, float]:
    """Mean |output| of every network for an input that never changes: two that print the same are the same."""
    config = checkpoint.config.denoiser

    def fixed(*shape: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))

    networks = checkpoint.networks
    words = torch.arange(config.window_frames)[None] % config.words.num_words
    samples = 0.1 * fixed(1, 68_224, 2)
    style = None if config.style_dim is None else fixed(1, config.style_dim)
    conditions = networks.denoiser.condition(samples, words, fixed(1, config.seed_steps, config.channels), style)
    latents = fixed(1, config.window_steps, config.channels)
    outputs = {"denoiser": networks.denoiser(latents, torch.tensor([500]), conditions)}
    for part, network in networks.tokenizers.items():
        motion = fixed(1, config.window_frames, network.config.channels)
        outputs[part] = network.decode(network.encode(motion))
    if checkpoint.config.tmr is not None:
        outputs["motion_encoder"] = networks.motion_encoder(fixed(1, 64, checkpoint.config.tmr.channels)).mean
    if checkpoint.text_encoder is not None:
        outputs["text_encoder"] = checkpoint.text_encoder(torch.arange(101, 121)[None]).mean
    return {name: output.abs().mean().item() for name, output in outputs.items()}


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
