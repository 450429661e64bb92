"""The packed store recipes train from: one file, clips of motion with the speech features that go with them.

Recipes see only `Store(path).clips(split)`. Behind it today: one compressed .npz holding all clips end to end as
integers (a ten-thousandth of a radian, a tenth of a millimetre, 1/255 of a face weight, 1/32 of a speech feature),
differenced over time so that they compress, and a JSON index; recordings as 16-bit samples and FLAME expressions in
thousandths where they are kept. It is small enough to travel to a training machine.
"""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from cospeech import skeleton
from cospeech.errors import DataError
from cospeech.formats.output import replacing
from cospeech.motion import NUM_EXPRESSIONS, Motion
from cospeech.prosody import NUM_FEATURES
from cospeech.rotation import axis_angle_to_quaternion, quaternion_to_axis_angle
from cospeech.text import Word

VERSION = 1
SPLITS = ("train", "val", "test")
_STEP = {"poses": np.pi / 32767, "translation": 1e-4, "face": 1 / 255, "speech": 1 / 32}
_WIDTH = {"poses": 165, "translation": 3, "face": len(skeleton.ARKIT), "speech": NUM_FEATURES}
_EXPRESSION_STEP = 1e-3
_DTYPE = {"poses": np.int16, "translation": np.int32, "face": np.uint8, "speech": np.int8}


_OTHER_SIDE = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}
_SIDE_WORDS = re.compile(r"\b(?:left|right|clockwise|counterclockwise)(?=\b|wards?\b)", re.IGNORECASE)


@dataclass(frozen=True)
class ClipInfo:
    id: str
    split: str  # train, val or test
    source: str  # which corpus: one row of the recipe's data table
    licence: str
    num_frames: int
    has: tuple[str, ...]  # what is real in it: upper, hands, lower, face, speech; the rest is zeros
    captions: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()  # with times, where they are known
    num_samples: int = 0  # of the recording, where it is kept
    has_expressions: bool = False  # of FLAME


@dataclass(frozen=True, eq=False)
class StoredClip:
    """One clip at 30 fps."""

    info: ClipInfo
    poses: np.ndarray  # (T, 55, 3) axis-angle
    translation: np.ndarray  # (T, 3) metres
    face: np.ndarray  # (T, 52) ARKit weights
    speech: np.ndarray  # (T, 68) `prosody.speech_features`
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))  # (N,) of the recording, 16 kHz
    expressions: np.ndarray | None = None  # (T, 100) of FLAME, where they are kept

    def mirrored(self) -> "StoredClip":
        """The same clip with left and right exchanged, in its captions too; speech has no sides."""
        motion = Motion(self.poses, self.translation, face=self.face).mirror()
        captions = tuple(mirrored_caption(text) for text in self.info.captions)
        info = replace(self.info, captions=captions, has_expressions=False)  # those of FLAME cannot be mirrored
        return replace(
            self, info=info, poses=motion.poses, translation=motion.translation, face=motion.face, expressions=None
        )


def mirrored_caption(text: str) -> str:
    """A caption of the mirrored motion: "raises the left hand" for "raises the right hand"."""
    return _SIDE_WORDS.sub(lambda found: _OTHER_SIDE[found[0].lower()], text)


class Store:
    """A store that was written by `write_store`."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                index = json.loads(bytes(file["index"]))
                if index["version"] != VERSION:
                    raise DataError(f"{path}: store version {index['version']}, expected {VERSION}. Prepare it again.")
                self.corpus: str = index.get("corpus", "")
                self._arrays = {name: _undifference(file[name]) for name in _STEP}
                self._samples = file["samples"] if "samples" in file else np.zeros(0, np.int16)
                none = np.zeros((NUM_EXPRESSIONS, 0), np.int16)
                self._expressions = _undifference(file.get("expressions", none))
                self.infos = [_info(clip) for clip in index["clips"]]
        except FileNotFoundError:
            raise DataError(f"{path}: no such store. `cospeech train starter` makes one.") from None
        except (OSError, KeyError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
            raise DataError(f"{path}: not a store, or a damaged one ({error}). Prepare it again.") from error
        self._starts = np.concatenate([[0], np.cumsum([info.num_frames for info in self.infos])])
        self._sample_starts = np.concatenate([[0], np.cumsum([info.num_samples for info in self.infos])])
        shown = [info.num_frames * info.has_expressions for info in self.infos]
        self._expression_starts = np.concatenate([[0], np.cumsum(shown)])

    def clips(self, split: str) -> Iterator[StoredClip]:
        """All clips of a split: "train", "val" or "test"."""
        if split not in SPLITS:
            raise DataError(f"Unknown split `{split}`. Splits: {', '.join(SPLITS)}.")
        starts = zip(self.infos, self._starts, self._sample_starts, self._expression_starts, strict=False)
        for info, start, first, shown in starts:
            if info.split == split:
                frames = slice(start, start + info.num_frames)
                arrays = {n: a[frames].astype(np.float32) * np.float32(_STEP[n]) for n, a in self._arrays.items()}
                arrays["poses"] = arrays["poses"].reshape(-1, skeleton.NUM_JOINTS, 3)
                samples = self._samples[first : first + info.num_samples].astype(np.float32) / 32767
                expressions = None
                if info.has_expressions:
                    expressions = self._expressions[shown : shown + info.num_frames] * np.float32(_EXPRESSION_STEP)
                yield StoredClip(info, **arrays, samples=samples, expressions=expressions)


def _info(entry: dict[str, Any]) -> ClipInfo:
    words = tuple(Word(**word) for word in entry.get("words", ()))
    return ClipInfo(**{**entry, "has": tuple(entry["has"]), "captions": tuple(entry["captions"]), "words": words})


def write_store(path: str | Path, clips: Iterable[StoredClip], corpus: str = "") -> list[ClipInfo]:
    """Pack clips into one file; returns what it holds.

    Args:
        corpus: What the clips were made as, for whoever finds the file and wants just that: `Store.corpus`.
    """
    infos, pieces, samples = [], {name: [] for name in _STEP}, [np.zeros(0, np.int16)]
    expressions = [np.zeros((0, NUM_EXPRESSIONS), np.int16)]
    for clip in clips:
        shows = clip.expressions is not None
        infos.append(replace(clip.info, num_samples=len(clip.samples), has_expressions=shows))
        samples.append(np.round(clip.samples.clip(-1, 1) * 32767).astype(np.int16))
        if clip.expressions is not None:
            expressions.append(np.round(clip.expressions / _EXPRESSION_STEP).clip(-32767, 32767).astype(np.int16))
        for name, step in _STEP.items():
            array = np.asarray(getattr(clip, name))
            if name == "poses":  # no rotation is longer than half a turn
                array = quaternion_to_axis_angle(axis_angle_to_quaternion(array))
            array = np.round(array.reshape(clip.info.num_frames, _WIDTH[name]) / step)
            limits = np.iinfo(_DTYPE[name])
            if name != "speech" and not (limits.min <= array.min(initial=0) and array.max(initial=0) <= limits.max):
                raise DataError(f"{clip.info.id}: `{name}` has values that a store cannot hold.")
            pieces[name].append(array.clip(limits.min, limits.max).astype(_DTYPE[name]))
    if not infos:
        raise DataError(f"{path}: no clips to store.")
    index = json.dumps({"version": VERSION, "corpus": corpus, "clips": [asdict(info) for info in infos]}).encode()
    arrays = {name: _difference(np.concatenate(piece)) for name, piece in pieces.items()}
    if any(info.num_samples for info in infos):
        arrays["samples"] = np.concatenate(samples)
    if any(info.has_expressions for info in infos):
        arrays["expressions"] = _difference(np.concatenate(expressions))
    with replacing(Path(path)) as temporary:
        np.savez_compressed(temporary, index=np.frombuffer(index, np.uint8), **arrays)
    return infos


def _difference(array: np.ndarray) -> np.ndarray:
    """(F, C) integers -> (C, F) steps over time, wrapping around: small numbers that compress well."""
    steps = array.copy()
    steps[1:] -= array[:-1]
    return np.ascontiguousarray(steps.T)


def _undifference(steps: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.cumsum(steps, axis=1, dtype=steps.dtype).T)
