"""Checkpoints: weights, config, statistics and card of one model in one directory.

    config.json  model.safetensors  statistics.safetensors  CARD.md  SHA256SUMS
    vocabulary.json            rows of the word table, of a model that reads words
    text_encoder.safetensors, word_pieces.txt   of a model that reads text
    wav2vec2/config.json, wav2vec2/model.safetensors   of a model that hears characters, as transformers reads them

An embedder, which compares motions and makes none, has no statistics: `save_embedder`, `load_embedder`.

The layout is the same in the package, on disk and on the Hugging Face hub. Nothing is unpickled.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cospeech import config as configs
from cospeech import systems, wav2vec2
from cospeech.errors import CheckpointError, ConfigError, FormatError
from cospeech.formats.output import check_target as check_target_file
from cospeech.models.embedder import Embedder
from cospeech.models.tmr import TextEncoder, TmrConfig
from cospeech.nn.published import meta
from cospeech.nn.quantize import TRAINING_ONLY
from cospeech.systems import EmbedderModel, MambaTalkNetworks, Model, SynTalkerNetworks, TalkerNetworks
from cospeech.wav2vec2 import Recogniser

M = TypeVar("M", bound=nn.Module)

CONFIG, WEIGHTS, STATISTICS, CARD, SUMS = (
    *("config.json", "model.safetensors", "statistics.safetensors"),
    *("CARD.md", "SHA256SUMS"),
)
VOCABULARY, TEXT_ENCODER, WORD_PIECES = "vocabulary.json", "text_encoder.safetensors", "word_pieces.txt"
# Of 8 bits where others have 16: rows of which many are added up for every word, and what a timestep becomes.
COARSE = {
    "sentences.grams.weight",
    *(f"denoiser.embed_timestep.{layer}.weight" for layer in (0, 2)),
}
WAV2VEC2 = "wav2vec2"  # folder
_WAV2VEC2_FILES = (f"{WAV2VEC2}/{wav2vec2.CONFIG}", f"{WAV2VEC2}/{wav2vec2.WEIGHTS}")
_LATE = {TEXT_ENCODER, WORD_PIECES, *_WAV2VEC2_FILES}  # loaded when they are needed: larger than all the rest


@dataclass(frozen=True)
class Released:
    """A model known by name."""

    name: str
    summary: str
    licence: str
    size_mb: float
    where: str  # folder inside the package, or hub id


RELEASED: dict[str, Released] = {
    model.name: model
    for model in (
        Released(
            name="starter",
            summary="speech, and text if you like -> body, hands and face; small, works offline",
            licence="CC BY-NC 4.0",
            size_mb=12,
            where="starter",
        ),
        Released(
            name="starter-open",
            summary="the same without text, learned only from what may be used for anything",
            licence="CC0 1.0",
            size_mb=12,
            where="starter_open",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded model.

    Args:
        statistics: As `statistics_shapes` of the config says.
    """

    config: Model
    networks: SynTalkerNetworks | MambaTalkNetworks | TalkerNetworks
    statistics: Mapping[str, Tensor]
    card: str = ""
    vocabulary: Mapping[str, int] | None = None  # None: the model reads no words, or does not know which
    text_encoder: TextEncoder | None = None  # loaded by `load_text_encoder` alone
    word_pieces: Sequence[str] | None = None  # rows of its table, loaded by `load_word_pieces` alone
    recogniser: Recogniser | None = None  # of characters, loaded by `load_recogniser` alone
    directory: Path | None = None  # where it was loaded from


@dataclass(frozen=True, eq=False)
class StoredEmbedder:
    """A loaded embedder."""

    config: EmbedderModel
    network: Embedder
    card: str = ""
    directory: Path | None = None  # where it was loaded from


def save(checkpoint: Checkpoint, directory: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """Write a checkpoint directory; weights are stored as `dtype`, statistics as float32.

    A checkpoint that is there is replaced when the new one is whole; other files in its directory stay.

    Raises:
        CheckpointError: the directory holds something else, or cannot be written.
    """
    _replace(Path(directory), lambda folder: _write(checkpoint, folder, dtype))


def save_embedder(embedder: StoredEmbedder, directory: str | Path) -> None:
    """Write the directory of an embedder, as `save` does; weights are stored as float32."""
    _replace(Path(directory), lambda folder: _write_embedder(embedder, folder))


def _replace(directory: Path, write: Callable[[Path], list[str]]) -> None:
    """Put what is written into an empty folder in the place of the checkpoint that is there."""
    check_target(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=directory) as folder:
            written = write(Path(folder))
            for name in (SUMS, STATISTICS, VOCABULARY, *_LATE):  # without the sums, which come last, nobody takes
                (directory / name).unlink(missing_ok=True)  # what is half replaced for whole
            for name in written:
                (directory / name).parent.mkdir(exist_ok=True)
                Path(folder, name).replace(directory / name)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{directory}: the checkpoint cannot be written: {reason}.") from None


def check_target(directory: str | Path) -> None:
    """Raise `CheckpointError` where `save` would lose what is no checkpoint, or cannot write. Touches nothing."""
    directory = Path(directory)
    try:
        check_target_file(directory / SUMS)
        ours = (directory / SUMS).is_file() and (directory / CONFIG).is_file()
        if directory.is_dir() and not ours and any(directory.iterdir()):
            raise CheckpointError(f"{directory}: holds other files than a checkpoint's. Choose a new or empty folder.")
    except (FormatError, OSError) as error:
        raise CheckpointError(f"{directory}: no checkpoint can be written there: {error}") from None


def _write(checkpoint: Checkpoint, directory: Path, dtype: torch.dtype) -> list[str]:
    """Returns the files written, the sums last."""
    written = [CONFIG, WEIGHTS, STATISTICS, CARD]
    config = json.dumps(configs.to_dict(checkpoint.config), indent=2) + "\n"
    (directory / CONFIG).write_text(config, encoding="utf-8")
    _write_tensors(checkpoint.networks, directory / WEIGHTS, dtype)
    save_file({k: v.float().contiguous() for k, v in checkpoint.statistics.items()}, directory / STATISTICS)
    (directory / CARD).write_text(checkpoint.card, encoding="utf-8")
    if checkpoint.vocabulary is not None:
        words = json.dumps(checkpoint.vocabulary, ensure_ascii=False, indent=0)
        (directory / VOCABULARY).write_text(words, encoding="utf-8")
        written.append(VOCABULARY)
    if checkpoint.text_encoder is not None:
        _write_tensors(checkpoint.text_encoder, directory / TEXT_ENCODER, dtype)
        written.append(TEXT_ENCODER)
    if checkpoint.word_pieces is not None:
        (directory / WORD_PIECES).write_text("\n".join(checkpoint.word_pieces) + "\n", encoding="utf-8")
        written.append(WORD_PIECES)
    if checkpoint.recogniser is not None:
        checkpoint.recogniser.save(directory / WAV2VEC2)
        written += _WAV2VEC2_FILES
    return _sealed(directory, written)


def _write_embedder(embedder: StoredEmbedder, directory: Path) -> list[str]:
    configs.save_json(embedder.config, directory / CONFIG)
    _write_tensors(embedder.network, directory / WEIGHTS, torch.float32)
    (directory / CARD).write_text(embedder.card, encoding="utf-8")
    return _sealed(directory, [CONFIG, WEIGHTS, CARD])


def _sealed(directory: Path, written: list[str]) -> list[str]:
    """Write the sums of what is written; returns both."""
    sums = "".join(f"{_sha256(directory / name)}  {name}\n" for name in written)
    (directory / SUMS).write_text(sums, encoding="utf-8")
    for name in (WEIGHTS, STATISTICS, TEXT_ENCODER, *_WAV2VEC2_FILES):  # safetensors are written for their owner alone
        if (directory / name).is_file():
            (directory / name).chmod((directory / CONFIG).stat().st_mode)
    return [*written, SUMS]


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> Checkpoint:
    """Load a checkpoint: a released name, a directory, or a hub id such as `user/model`. Its text encoder stays behind.

    Raises:
        CheckpointError: the name is unknown, or a file is missing or damaged; the file is named.
    """
    directory = find(name_or_path)
    if _is_embedder(directory):
        raise CheckpointError(f"{directory}: is an embedder, which compares motions and makes none. Name a model.")
    sums = _sums(directory)
    for name in sums.keys() - _LATE:
        _verify(directory / name, sums[name])
    try:
        config = configs.load_json(Model, directory / CONFIG)
    except ConfigError as error:
        raise CheckpointError(f"{error} The checkpoint may be of a newer version of cospeech.") from None
    statistics = {name: tensor.to(device) for name, tensor in _read_tensors(directory / STATISTICS).items()}
    more = {name: shape for name, shape in systems.FOR_MEASURES.items() if name in statistics}
    _check_shapes(directory / STATISTICS, statistics, config.statistics_shapes() | more)
    networks = _read_network(directory / WEIGHTS, config.build, device)
    card = (directory / CARD).read_text(encoding="utf-8")
    vocabulary = _read_vocabulary(directory / VOCABULARY, config) if VOCABULARY in sums else None
    return Checkpoint(config, networks, statistics, card, vocabulary, directory=directory)


def load_embedder(name_or_path: str | Path, device: str | torch.device = "cpu") -> StoredEmbedder:
    """Load an embedder: a directory that `cospeech import embedder` or `cospeech train embedder` made, or a hub id.

    Raises:
        CheckpointError: there is none, or a file is missing or damaged; the file is named.
    """
    directory = find(name_or_path)
    if not _is_embedder(directory):
        raise CheckpointError(f"{directory}: is no embedder. `cospeech import embedder` and `train embedder` make one.")
    for name, digest in _sums(directory, (CONFIG, WEIGHTS, CARD)).items():
        _verify(directory / name, digest)
    try:
        config = configs.load_json(EmbedderModel, directory / CONFIG)
    except ConfigError as error:
        raise CheckpointError(f"{error} The embedder may be of a newer version of cospeech.") from None
    network = _read_network(directory / WEIGHTS, lambda: Embedder(config.network), device)
    return StoredEmbedder(config, network, (directory / CARD).read_text(encoding="utf-8"), directory)


def _is_embedder(directory: Path) -> bool:
    """By its config, before anything in it is checked."""
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("architecture") == "embedder"


def load_text_encoder(name_or_path: str | Path, device: str | torch.device = "cpu") -> TextEncoder:
    """What turns sentences into styles, of a checkpoint that reads text.

    Raises:
        CheckpointError: the checkpoint has none, or its file is missing or damaged.
    """
    directory = find(name_or_path)
    tmr = _tmr(directory)
    sums = _sums(directory)
    if tmr is None or TEXT_ENCODER not in sums:
        raise CheckpointError(f"{directory}: this model has no text encoder.")
    _verify(directory / TEXT_ENCODER, sums[TEXT_ENCODER])
    return _read_network(directory / TEXT_ENCODER, lambda: TextEncoder(tmr), device)


def load_word_pieces(name_or_path: str | Path) -> list[str]:
    """The pieces of words that the text encoder of a checkpoint knows, in the order of its table.

    Raises:
        CheckpointError: the checkpoint has none, or they are not those of its text encoder.
    """
    directory = find(name_or_path)
    sums = _sums(directory)
    if WORD_PIECES not in sums:
        raise CheckpointError(
            f"{directory}: was imported without vocab.txt of distilbert-base-uncased, so it cannot read text. "
            "Import it again with that file."
        )
    _verify(directory / WORD_PIECES, sums[WORD_PIECES])
    return read_word_pieces(directory / WORD_PIECES, _tmr(directory))


def load_recogniser(name_or_path: str | Path, device: str | torch.device = "cpu") -> Recogniser:
    """What hears the characters, of a checkpoint whose model is given them.

    Raises:
        CheckpointError: the checkpoint has none, or its files are missing or damaged, or transformers is missing.
    """
    directory = find(name_or_path)
    sums = _sums(directory)
    for name in _WAV2VEC2_FILES:
        if name not in sums:
            raise CheckpointError(f"{directory}: was made without {wav2vec2.NAME}, so it cannot hear. Import it again.")
        _verify(directory / name, sums[name])
    return Recogniser.load(directory / WAV2VEC2, device)


def _tmr(directory: Path) -> TmrConfig | None:
    return getattr(configs.load_json(Model, directory / CONFIG), "tmr", None)


def read_word_pieces(path: Path, tmr: TmrConfig | None) -> list[str]:
    """The lines of a BERT vocabulary; `CheckpointError` where they are not as many as the text encoder has rows."""
    try:
        pieces = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}).") from None
    if tmr is None or len(pieces) != tmr.text.num_pieces or not set(pieces) >= _SPECIAL_PIECES:
        raise CheckpointError(f"{path}: is not the vocabulary of the text encoder, which has a piece of a word a line.")
    return pieces


_SPECIAL_PIECES = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"}


def find(name_or_path: str | Path) -> Path:
    """Directory of a checkpoint; a hub id is downloaded to the hub's cache first."""
    name = str(name_or_path)
    if name in RELEASED:
        directory = Path(str(files("cospeech") / RELEASED[name].where))
    elif Path(name).is_dir():
        directory = Path(name)
    elif Path(name).exists():
        raise CheckpointError(f"{name}: a checkpoint is a directory, this is a file.")
    elif name.count("/") == 1 and not Path(name).parent.is_dir():  # else it is a path with a slip in it
        directory = _from_hub(name, [CONFIG, WEIGHTS, STATISTICS, CARD, SUMS, VOCABULARY, *_LATE])
    else:
        raise CheckpointError(
            f"Unknown model `{name}`. Known: {', '.join(RELEASED)}; or give a checkpoint directory, or a hub id "
            "such as `user/model`."
        )
    if not (directory / CONFIG).is_file():
        raise CheckpointError(f"{directory}: no {CONFIG} in it, so this is not a checkpoint directory.")
    return directory


def folder(name_or_path: str | Path, names: Sequence[str]) -> Path:
    """A directory here, or the named files of a hub id such as `distilbert/distilbert-base-uncased`, downloaded."""
    name = Path(name_or_path).as_posix()
    if Path(name).is_dir() or name.count("/") != 1:
        return Path(name)
    return _from_hub(name, names)


def _from_hub(name: str, names: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(names)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"`{name}` is neither a known model, a directory here, nor to be had from the hub ({reason})."
        ) from None


def _sums(directory: Path, required: Collection[str] = (CONFIG, WEIGHTS, STATISTICS, CARD)) -> dict[str, str]:
    """File name -> the SHA-256 it must have, as SHA256SUMS says."""
    optional = {VOCABULARY, *_LATE} if STATISTICS in required else set()
    try:
        lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    except FileNotFoundError as error:
        raise CheckpointError(f"{error.filename}: missing from the checkpoint.") from None
    except OSError as error:
        raise CheckpointError(f"{error.filename}: cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise CheckpointError(f"{directory / SUMS}: damaged ({error}).") from None
    if not {*required} <= set(sums) <= {*required} | optional:
        raise CheckpointError(f"{directory / SUMS}: must name {', '.join(required)}.")
    return sums


def _verify(path: Path, digest: str) -> None:
    try:
        if _sha256(path) != digest:
            raise CheckpointError(f"{path}: damaged, its SHA-256 is not the one in {SUMS}.")
    except FileNotFoundError:
        raise CheckpointError(f"{path}: missing from the checkpoint.") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}.") from None


def _read_vocabulary(path: Path, config: Model) -> dict[str, int]:
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}).") from None
    rows = config.num_words
    if rows is None:
        raise CheckpointError(f"{path}: by {CONFIG} this model reads no words.")
    if not isinstance(words, dict) or not all(type(row) is int and 0 <= row < rows for row in words.values()):
        raise CheckpointError(f"{path}: must map words to rows 0 to {rows - 1} of the word table.")
    return words


def _read_network(path: Path, build: Callable[[], M], device: str | torch.device) -> M:
    weights = {name: _loaded(tensor) for name, tensor in _read_tensors(path).items()}
    # Compared without memory for the network, so that a config of absurd sizes costs nothing.
    shapes = {name: tuple(tensor.shape) for name, tensor in meta(build).state_dict().items()}
    needed = {name: shape for name, shape in shapes.items() if name.rpartition(".")[2] not in TRAINING_ONLY}
    _check_shapes(path, weights, needed)
    network = build()
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False).to(device)


def _write_tensors(network: nn.Module, path: Path, dtype: torch.dtype) -> None:
    kept = {}
    for name, tensor in network.state_dict().items():
        if name.rpartition(".")[2] not in TRAINING_ONLY:
            kept[name] = _stored(tensor, torch.float8_e4m3fn if name in COARSE and dtype is torch.float16 else dtype)
    save_file(kept, path, metadata={"format": "pt"})


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error}).") from None


def _check_shapes(path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted({*tensors, *shapes}):
        found = tuple(tensors[name].shape) if name in tensors else "missing"
        wanted = shapes.get(name, "not part of this model")
        if found != wanted:
            raise CheckpointError(f"{path}: `{name}` is {found}, but by {CONFIG} {wanted}.")


def _loaded(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype if tensor.is_floating_point() else tensor.dtype).contiguous().cpu()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
