"""The store recipes train from: clips of motion with the speech that goes with them, whatever corpus they are of.

Recipes see only `Store(path).clips(split)`. Behind it is a folder:

- `store.json`: version, what the clips were made as, and how many shards there are.
- `00012.arrow`: a shard, an uncompressed Arrow stream with one record batch for each clip, so that the arrays of a clip
  are views of the mapped file. `datasets.Dataset.from_file` opens it, too.
- `00012.json`: its SHA-256, and the clips that were left out with the reason. It comes last: a shard without it is not
  finished, and nobody reads it.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cospeech import skeleton
from cospeech.data.stored import SPLITS, ClipInfo, StoredClip
from cospeech.errors import DataError, MissingExtra
from cospeech.formats.output import replacing
from cospeech.motion import NUM_BETAS, NUM_EXPRESSIONS
from cospeech.prosody import NUM_FEATURES
from cospeech.text import Word

try:
    import pyarrow as pa
except ModuleNotFoundError as error:
    raise MissingExtra("pyarrow", "data") from error

VERSION = 2
INDEX = "store.json"
CLIPS_PER_SHARD = 64
_MEND = "Delete it and run what made the store again: it makes just this one."
SAMPLE_RATE = 16_000  # of recordings
_WIDTHS = {  # numbers in a row of each array: of a frame, but for the last two
    "poses": 3 * skeleton.NUM_JOINTS,
    "translation": 3,
    "face": len(skeleton.ARKIT),
    "speech": NUM_FEATURES,
    "expressions": NUM_EXPRESSIONS,
    "samples": 1,
    "betas": NUM_BETAS,
}
_TEXTS = pa.list_(pa.string())
_WORDS = pa.list_(pa.struct([("text", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())]))
_INFO = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "split", "source", "licence")),
        *(("num_frames", pa.int64()), ("has", _TEXTS), ("captions", _TEXTS), ("words", _WORDS)),
        *(("num_samples", pa.int64()), ("has_expressions", pa.bool_()), ("speaker", pa.string())),
        ("language", pa.string()),
    ]
)
_SCHEMA = pa.unify_schemas([_INFO, pa.schema([(name, pa.list_(pa.float32())) for name in _WIDTHS])])


class Dropped(NamedTuple):
    """A clip that was left out of a store."""

    id: str
    reason: str


# --- reading ----------------------------------------------------------------------------------------------------------


class Store:
    """A store that is whole.

    Args:
        path: Its folder, as `cospeech prepare` makes it.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        index = read_index(self.path)
        self.corpus: str = index["corpus"]
        self.num_shards: int = index["shards"]
        if missing := missing_shards(self.path, self.num_shards):
            raise DataError(
                f"{path}: {len(missing)} of its {self.num_shards} shards are not made yet. Run what makes it again: it "
                "goes on where it was."
            )
        self.infos: list[ClipInfo] = []
        self._batches: list[pa.RecordBatch] = []
        for shard in range(self.num_shards):
            batches = _open(shard_path(self.path, shard))
            self.infos += _infos(batches)
            self._batches += batches

    def clips(self, split: str) -> Iterator[StoredClip]:
        """All clips of a split: "train", "val" or "test"."""
        if split not in SPLITS:
            raise DataError(f"Unknown split `{split}`. Splits: {', '.join(SPLITS)}.")
        return (self.clip(n) for n, info in enumerate(self.infos) if info.split == split)

    def clip(self, number: int) -> StoredClip:
        """The clip of `infos[number]`."""
        info, batch = self.infos[number], self._batches[number]
        arrays = {name: _view(batch, name, info.num_frames) for name in _WIDTHS}
        if not info.has_expressions:
            arrays["expressions"] = None
        return StoredClip(info, **arrays)

    def dropped(self) -> list[Dropped]:
        """What was left out when the store was made."""
        notes = (_read_note(self.path, shard) for shard in range(self.num_shards))
        return [Dropped(**entry) for note in notes for entry in note["dropped"]]

    def sums(self) -> list[str]:
        """SHA-256 of every shard, as it was written."""
        return [_read_note(self.path, shard)["sha256"] for shard in range(self.num_shards)]

    def check(self) -> Iterator[int]:
        """Read every shard and compare its checksum. Yields the number of each that is in order.

        Raises:
            DataError: one is not as it was written.
        """
        for shard in range(self.num_shards):
            path = shard_path(self.path, shard)
            if _digest(path) != _read_note(self.path, shard)["sha256"]:
                raise DataError(f"{path}: was changed or damaged since it was written. {_MEND}")
            yield shard


def read_index(path: Path) -> dict[str, Any]:
    """The content of `store.json`: version, corpus and shards.

    Raises:
        DataError: there is no store, one of another version, or a damaged one.
    """
    if path.is_file():
        raise DataError(
            f"{path}: a file, as stores of version 1 were; they are folders now. Remove it and make it again with "
            "`cospeech prepare`."
        )
    try:
        index = json.loads((path / INDEX).read_text(encoding="utf-8"))
        version = index["version"]
        if version == VERSION:
            return {"corpus": str(index["corpus"]), "shards": int(index["shards"])}
    except FileNotFoundError:
        raise DataError(f"{path}: no such store. `cospeech prepare` or `cospeech train starter` makes one.") from None
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: its {INDEX} is damaged ({error}). Prepare the store again.") from None
    advice = "Remove the folder, then make it again with `cospeech prepare`"
    if isinstance(version, int) and version > VERSION:
        advice = "Use the newer cospeech that made it"
    raise DataError(
        f"{path}: a store of version {version}, expected {VERSION}. {advice}. It holds {index.get('corpus')!s:.200}."
    )


def shard_path(path: Path, shard: int) -> Path:
    return path / f"{shard:05d}.arrow"


def missing_shards(path: Path, num_shards: int) -> list[int]:
    """Those that are not finished, or of which a file was deleted."""
    files = [(shard_path(path, shard), shard_path(path, shard).with_suffix(".json")) for shard in range(num_shards)]
    return [shard for shard, both in enumerate(files) if not all(file.is_file() for file in both)]


def _open(path: Path) -> list[pa.RecordBatch]:
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:
            if not reader.schema.equals(_SCHEMA):
                raise DataError(f"{path}: has other columns than a store of version {VERSION}. Prepare it again.")
            return list(reader)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is damaged ({error}). {_MEND}") from None


def _infos(batches: list[pa.RecordBatch]) -> list[ClipInfo]:
    rows = pa.Table.from_batches(batches, _SCHEMA).select(_INFO.names).to_pylist()
    for row in rows:
        row["has"], row["captions"] = tuple(row["has"]), tuple(row["captions"])
        row["words"] = tuple(Word(**word) for word in row["words"])
    return [ClipInfo(**row) for row in rows]


def _view(batch: pa.RecordBatch, name: str, num_frames: int) -> np.ndarray:
    """A view of the mapped file; an array that was all zeros is made anew."""
    array = batch.column(name).values.to_numpy(zero_copy_only=True)
    if name == "samples":
        return array
    shape = {"poses": (num_frames, skeleton.NUM_JOINTS, 3), "betas": (NUM_BETAS,)}.get(
        name, (num_frames, _WIDTHS[name])
    )
    return array.reshape(shape) if len(array) else np.zeros(shape, np.float32)


def _read_note(path: Path, shard: int) -> dict[str, Any]:
    note = shard_path(path, shard).with_suffix(".json")
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        return {"sha256": found["sha256"], "dropped": found["dropped"]}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{note}: is damaged ({error}). {_MEND}") from None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


# --- writing ----------------------------------------------------------------------------------------------------------


def write_store(path: str | Path, clips: Iterable[StoredClip], corpus: str = "") -> list[ClipInfo]:
    """Write clips one after the other; returns what the store holds. A store that is there is replaced.

    Args:
        corpus: What the clips were made as, for whoever finds the store and wants just that: `Store.corpus`.
    """
    path = Path(path)
    check_folder(path)
    temporary = path.with_name(f".{path.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    infos: list[ClipInfo] = []
    try:
        left, shard = iter(clips), 0
        while some := write_shard(temporary, shard, islice(left, CLIPS_PER_SHARD)):
            infos, shard = infos + some, shard + 1
        if not infos:
            raise DataError(f"{path}: no clips to store.")
        for suffix in (".arrow", ".json"):  # the last one is empty
            shard_path(temporary, shard).with_suffix(suffix).unlink()
        write_index(temporary, corpus, shard)
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return infos


def check_folder(path: Path) -> None:
    """Raise `DataError` where a store cannot be, or would take the place of something else. Touches nothing."""
    if path.exists() and not path.is_dir():
        raise DataError(f"{path}: is a file. A store is a folder: choose another name.")
    if path.is_dir() and any(path.iterdir()) and not (path / INDEX).is_file():
        raise DataError(f"{path}: holds other files than a store's. Choose a new or empty folder.")


def write_index(path: Path, corpus: str, num_shards: int) -> None:
    content = {"version": VERSION, "corpus": corpus, "shards": num_shards}
    _write_json(path / INDEX, content)


def write_shard(path: Path, shard: int, clips: Iterable[StoredClip], dropped: Sequence[Dropped] = ()) -> list[ClipInfo]:
    """Write one shard of the store at `path`; returns the clips in it. Only one clip is held at a time.

    Args:
        dropped: What is left out; it is read last, so that it may grow while `clips` are made.
    """
    infos: list[ClipInfo] = []
    target = shard_path(path, shard)
    with replacing(target) as temporary:
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_stream(file, _SCHEMA) as writer:
            for clip in clips:
                batch, info = _batch(clip)
                writer.write_batch(batch)
                infos.append(info)
        digest = _digest(temporary)
    note = {"sha256": digest, "dropped": [entry._asdict() for entry in dropped]}
    _write_json(target.with_suffix(".json"), note)
    return infos


def _batch(clip: StoredClip) -> tuple[pa.RecordBatch, ClipInfo]:
    check_clip(clip)
    arrays = {name: _flat(clip, name) for name in _WIDTHS}
    shows = clip.expressions is not None
    info = replace(clip.info, num_samples=len(arrays["samples"]), has_expressions=shows)
    row: Mapping[str, Any] = {each.name: getattr(info, each.name) for each in fields(info)}
    row = {**row, "words": [vars(word) for word in info.words]}
    columns = [pa.array([row[name]], _INFO.field(name).type) for name in _INFO.names]
    columns += [pa.ListArray.from_arrays(pa.array([0, len(array)], pa.int32()), array) for array in arrays.values()]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA), info


def check_clip(clip: StoredClip) -> None:
    """Raise `DataError` where a clip has no frames, or arrays of other shapes or with values that are no numbers."""
    if clip.info.num_frames < 1:
        raise DataError(f"{clip.info.id}: has no frame.")
    for name, width in _WIDTHS.items():
        if (array := getattr(clip, name)) is None:
            continue
        length = {"samples": len(array), "betas": 1}.get(name, clip.info.num_frames)
        if array.size != length * width:
            raise DataError(f"{clip.info.id}: `{name}` has shape {array.shape}, expected {length} x {width} numbers.")
        if not np.isfinite(array).all():
            raise DataError(f"{clip.info.id}: `{name}` has values that are no numbers.")


def _flat(clip: StoredClip, name: str) -> np.ndarray:
    """(N,) float32; of zeros nothing."""
    array = getattr(clip, name)
    if array is None or not (name == "samples" or array.any()):
        return np.zeros(0, np.float32)
    return np.ascontiguousarray(array, np.float32).reshape(-1)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
