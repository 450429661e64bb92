"""Released files: recognised by their tensors, told apart, filled into networks, and checked."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cospeech.checkpoint import Checkpoint
from cospeech.errors import CheckpointError, CospeechWarning
from cospeech.released import files
from cospeech.released.vocabulary import read_vocabulary
from cospeech.text import UNKNOWN

VOCABULARY = "vocab.pkl"
_BODIES = ("SMPLX_*.npz", "SMPLX_*.pkl", "SMPLH_*.npz", "SMPLH_*.pkl")  # licensed: named, never read or copied
_ALIKE = 0.5  # two networks of different kinds share no more than a few names


class Piece(NamedTuple):
    """A file that was found, and which part of which system it is."""

    path: Path
    systems: tuple[str, ...]
    role: str  # a network or a file name
    tensors: Mapping[str, Tensor] = MappingProxyType({})  # of weights


class Kind(NamedTuple):
    """A network that may be in a file of weights."""

    systems: tuple[str, ...]
    role: str
    shapes: Mapping[str, tuple[int, ...]]  # of its tensors, under their published names


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

    def choose(self, system: str, roles: Mapping[str, str], optional: Sequence[str]) -> dict[str, Piece]:
        """Role -> its file, of a system.

        Args:
            roles: Role -> what to look for.
            optional: Roles that may lack.

        Raises:
            CheckpointError: something lacks, is there twice, or is damaged.
        """
        if self.damaged:  # what it would have been, nobody knows: to go on without it would be to guess
            raise CheckpointError(" ".join(self.damaged))
        chosen = {role: piece for role in roles if (piece := self.get(system, role)) is not None}
        missing = [what for role, what in roles.items() if role not in chosen and role not in optional]
        if missing:
            raise CheckpointError(f"Of system {system} these are missing: {'; '.join(missing)}.")
        return chosen

    def left(self, chosen: Mapping[str, Piece], system: str) -> list[str]:
        """What lay there and is not used, with the reason."""
        used = {piece.path for piece in chosen.values()}
        return self.unused + [
            f"{piece.path}: not part of system {system}" for piece in self.pieces if piece.path not in used
        ]


def find(
    published_as: str,
    paths: Iterable[Path],
    weights: Sequence[str],
    kinds: Sequence[Kind],
    other: Callable[[Path], Piece | None],
    spare: Callable[[Piece], str] = lambda _: "",
) -> Found:
    """Everything below the paths that has a published name, and what it is.

    Args:
        published_as: What it is a part of.
        weights: Patterns of the names of files with tensors.
        other: What a file of another name is; None: nothing of interest.
        spare: Why a network is of no use; empty: it is.
    """
    found = Found()
    for path in files.below(paths):
        if any(path.match(pattern) for pattern in _BODIES):
            found.unused.append(f"{path}: a licensed body, left alone; give it with --body where it may be used.")
        elif piece := other(path):
            found.pieces.append(piece)
        elif any(path.match(pattern) for pattern in weights):
            try:
                piece = _recognise(published_as, path, files.read_weights(path), kinds)
            except CheckpointError as error:
                found.damaged.append(str(error))
                continue
            if why := spare(piece):
                found.unused.append(f"{path}: {why}")
            else:
                found.pieces.append(piece)
    return found


def _recognise(published_as: str, path: Path, tensors: Mapping[str, Tensor], kinds: Sequence[Kind]) -> Piece:
    """The network whose tensors these are most like; which of them are wrong is for whoever fills it to say."""
    alike = [(_likeness(tensors, each.shapes), each) for each in kinds]
    score = max(score for score, _ in alike)
    if score < _ALIKE:
        raise CheckpointError(f"{path}: no network of {published_as}, it lacks the tensors that each of them has.")
    return Piece(path, *next((each.systems, each.role) for found, each in alike if found == score), tensors)


def _likeness(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> float:
    """Of all names in either, the share in both; a shape that is right as well counts for a little more."""
    both = tensors.keys() & shapes.keys()
    same = sum(tuple(tensors[name].shape) == shapes[name] for name in both)
    return (len(both) + 0.1 * same) / (1.1 * len(tensors.keys() | shapes.keys()))


def read_words(chosen: Mapping[str, Piece]) -> dict[str, int] | None:
    """The vocabulary among the files that were chosen; None, and a warning, where there is none."""
    if VOCABULARY in chosen:
        return read_vocabulary(chosen[VOCABULARY].path)
    message = f"{VOCABULARY} is not here: the model will not know any word. Sound matters more to it than words."
    warnings.warn(CospeechWarning(message), stacklevel=4)
    return None


def num_words(piece: Piece, table: str, vocabulary: Mapping[str, int] | None, vocabulary_file: Piece | None) -> int:
    """Rows of a network's table of words, which may be any number if it has those of pauses and of unknown words.

    Raises:
        CheckpointError: the table is missing, or too small for the vocabulary.
    """
    found = piece.tensors.get(table)
    if found is None or found.ndim != 2 or len(found) <= UNKNOWN:
        raise CheckpointError(f"{piece.path}: {table}, the table of words, is missing or misshapen.")
    if vocabulary is not None and vocabulary_file is not None and max(vocabulary.values()) >= len(found):
        raise CheckpointError(
            f"{vocabulary_file.path}: has {max(vocabulary.values()) + 1} words, the table of {piece.path} "
            f"{len(found)}: they do not belong together."
        )
    return len(found)


def fill(network: nn.Module, piece: Piece, rename: Callable[[Mapping[str, Tensor], Any], dict], config: Any) -> None:
    """Give a network the tensors of a file; `CheckpointError` names those that do not fit."""
    try:
        network.load_state_dict(rename(piece.tensors, config))
    except CheckpointError as error:
        raise CheckpointError(f"{piece.path}: {error}") from None


class SelfCheck(NamedTuple):
    """What two people compare to know that they have the same network."""

    parameters: int
    sum: str  # first digits of the SHA-256 of all tensors, by name
    passes: float  # mean |output| for an input that never changes


class Imported(NamedTuple):
    checkpoint: Checkpoint
    pieces: list[Piece]  # what it was made of
    unused: list[str]  # what else lay there
    checks: dict[str, SelfCheck]  # network -> what two people can compare


def self_check(network: nn.Module, output: Tensor) -> SelfCheck:
    """Of a network and what it makes of `fixed` inputs."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return SelfCheck(parameters, digest.hexdigest()[:12], output.abs().mean().item())


def fixed(*shape: int) -> Tensor:
    """Normal numbers that never change."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
