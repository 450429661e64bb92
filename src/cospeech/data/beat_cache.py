"""The published caches of BEAT2: windows of motion as SynTalker's loaders left them, in LMDB.

SynTalker, arXiv:2410.00464. Layout: `train/*_cache/data.mdb` and the same in `test`; windows are numbered, and each is
a pickle of a list:

- of system S: poses (n, 165) and contacts, heard sound, expressions (n, 100), betas, word numbers, emotion, semantics,
  speaker, translation (n, 3) and its steps;
- of S's tokenizers: poses, betas, speaker, translation and its steps;
- of system T: vectors (n, 623) of `cospeech.humanml3d`, heard sound, expressions, nothing, word numbers, emotion,
  semantics, speaker, nothing.

Neighbouring windows of a recording overlap and agree bit by bit in what they share: they are put together again. Of
the sound there is a broken onset and an amplitude, of the words their numbers in a table that is not there: neither is
kept. MambaTalk's caches, which only a pyarrow of 2022 reads, are refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cospeech import humanml3d, pickles, positions, skeleton
from cospeech.body import mannequin
from cospeech.data.beat2 import HAS, LICENCE, with_jaw
from cospeech.data.clips import Clip, Job, pack
from cospeech.data.stored import SPLITS, StoredClip
from cospeech.errors import DataError, MissingExtra, MotionError
from cospeech.motion import NUM_BETAS, NUM_EXPRESSIONS, Motion

SOURCE = "beat-cache"
FPS = 30
_FILE = "data.mdb"
_STRIDE = 20  # frames from one window to the next, as published
_PICKLE = b"\x80\x05"
_POSES = 3 * skeleton.NUM_JOINTS
_LAYOUTS = {  # entries of a window -> where its motion, translation, expressions, betas and speaker are; its width
    10: ((0, 8, 2, 3, 7), _POSES + 4),
    5: ((0, 3, None, 1, 2), _POSES),
    9: ((0, None, 2, None, 7), humanml3d.CHANNELS),
}


class Take(NamedTuple):
    """A window, and all windows that go on where it ends."""

    cache: Path  # folder
    split: str
    number: int

    @property
    def id(self) -> str:
        return f"{SOURCE}/{self.split}/{self.number:05d}"


@dataclass(frozen=True, eq=False)
class _Window:
    motion: np.ndarray  # (n, 168) poses and translation, or (n, 623) vectors
    expressions: np.ndarray  # (n, 100)
    betas: np.ndarray  # (300,)
    speaker: int  # their number in BEAT2

    def step(self, following: "_Window") -> int | None:
        """How many frames later the following window begins, if it belongs to the same recording."""
        length = len(self.motion)
        if self.speaker != following.speaker or self.motion.shape != following.motion.shape:
            return None
        alike = np.flatnonzero((self.motion == following.motion[0]).all(axis=1))
        for step in sorted(map(int, alike), key=lambda n: (n != _STRIDE, n)):  # where nobody moves there are many
            if step and np.array_equal(self.motion[step:], following.motion[: length - step]):
                return step
        return None


def jobs(source: Path) -> list[Job]:
    """All windows; of a recording, the job of its first window makes the clip.

    Raises:
        DataError: there is no such cache, or not one that can be read.
    """
    made: list[Job] = []
    for split in SPLITS:
        caches = sorted(path.parent for path in (source / split).glob(f"*_cache/{_FILE}"))
        if len(caches) > 1:
            raise DataError(f"{source / split}: has {len(caches)} caches. Keep one of them in it.")
        for cache in caches:
            with _opened(cache) as windows:
                count = len(windows)
                windows.raw(0)  # so that a cache of another kind fails at once
            takes = [Take(cache, split, number) for number in range(count)]
            made += [Job(take.id, partial(read, take)) for take in takes]
    if not made:
        raise DataError(f"{source}: has no train/*_cache/{_FILE}. Give the folder with the caches of train and test.")
    return made


def read(take: Take) -> Iterator[StoredClip]:
    """One clip, or none where the window before it leads here.

    Raises:
        DataError: the window is damaged, or does more than hold numbers.
    """
    with _opened(take.cache) as windows:
        first = last = windows.read(take.number)
        before = windows.read_if_good(take.number - 1)
        if before is not None and before.step(first) is not None:
            return
        parts = [first]
        for number in range(take.number + 1, len(windows)):
            following = windows.read_if_good(number)
            step = None if following is None else last.step(following)
            if following is None or step is None:
                break
            parts.append(replace(following, motion=following.motion[-step:], expressions=following.expressions[-step:]))
            last = following
    motion = np.concatenate([part.motion for part in parts])
    expressions = np.concatenate([part.expressions for part in parts])
    has = HAS - {"speech"}
    yield pack(
        Clip(take.id, take.split, _motion(take, motion, expressions, first.betas), None, (), LICENCE, has),
        SOURCE,
        str(first.speaker),
        "english",
    )


def _motion(take: Take, motion: np.ndarray, expressions: np.ndarray, betas: np.ndarray) -> Motion:
    try:
        if motion.shape[1] == humanml3d.CHANNELS:
            joints = humanml3d.joint_positions(motion)
            poses, translation = positions.to_poses(joints, mannequin("light").joints)
        else:
            poses, translation = motion[:, :_POSES].reshape(-1, skeleton.NUM_JOINTS, 3), motion[:, _POSES:]
        return with_jaw(Motion(poses, translation, FPS, expressions=expressions, betas=betas))
    except MotionError as error:
        raise DataError(f"{take.id}: {error}") from None


# --- LMDB -------------------------------------------------------------------------------------------------------------


class _Windows:
    """The windows of an open cache."""

    def __init__(self, cache: Path, transaction: Any):
        self._cache, self._transaction = cache, transaction

    def __len__(self) -> int:
        return self._transaction.stat()["entries"]

    def raw(self, number: int) -> bytes:
        value = self._transaction.get(f"{number:05d}".encode())
        if value is None:
            raise DataError(f"{self._cache}: has {len(self)} entries, but no window {number}.")
        if not value.startswith(_PICKLE):
            raise DataError(
                f"{self._cache}: window {number} is no pickle of protocol 5. If this is a cache of MambaTalk or EMAGE: "
                "they were written with pyarrow.serialize, which no pyarrow for this Python has. Prepare the raw files "
                "with `cospeech prepare beat2`."
            )
        return value

    def read(self, number: int) -> _Window:
        try:
            return _window(pickles.load(self.raw(number), pickles.find_arrays))
        except pickles.UnsafePickle as error:
            raise DataError(f"{self._cache}: window {number}: refused: {error}") from None
        except ValueError as error:
            raise DataError(f"{self._cache}: window {number}: damaged ({error}).") from None

    def read_if_good(self, number: int) -> _Window | None:
        """None where there is no such window, or one that is damaged, which its own job says."""
        if not 0 <= number < len(self):
            return None
        try:
            return self.read(number)
        except DataError:
            return None


@contextmanager
def _opened(cache: Path) -> Iterator[_Windows]:
    try:
        import lmdb
    except ModuleNotFoundError as error:
        raise MissingExtra("lmdb", "lmdb") from error
    try:
        with lmdb.open(str(cache), readonly=True, lock=False, readahead=False, create=False) as environment:
            # LMDB maps the file and believes its header: reading behind its end would end this process.
            pages = environment.info()["last_pgno"] + 1
            if pages * environment.stat()["psize"] > (cache / _FILE).stat().st_size:
                raise DataError(f"{cache}: {_FILE} is cut short. Copy or download it again.")
            with environment.begin() as transaction:
                yield _Windows(cache, transaction)
    except (lmdb.Error, OSError) as error:
        raise DataError(f"{cache}: cannot be read ({error}). Copy or download it again.") from None


def _window(found: object) -> _Window:
    """Raises ValueError where it is none."""
    if not isinstance(found, list) or len(found) not in _LAYOUTS:
        raise ValueError("not a list of 5, 9 or 10 entries")
    places, width = _LAYOUTS[len(found)]
    entries = [None if place is None else found[place] for place in places]
    poses, translation, expressions, betas, speaker = (_numbers(entry) for entry in entries)
    if poses.ndim != 2 or len(poses) < 2 or poses.shape[1] != width:
        raise ValueError(f"its motion has shape {poses.shape}, expected (frames, {width})")
    length = len(poses)
    if width != humanml3d.CHANNELS:
        if translation.shape != (length, 3):
            raise ValueError(f"its translation has shape {translation.shape}, expected ({length}, 3)")
        poses = np.concatenate([poses[:, :_POSES], translation], axis=1)
    if expressions.size and expressions.shape != (length, NUM_EXPRESSIONS):
        raise ValueError(f"its expressions have shape {expressions.shape}, expected ({length}, {NUM_EXPRESSIONS})")
    if betas.size and betas.shape not in ((length, NUM_BETAS), (NUM_BETAS,)):
        raise ValueError(f"its betas have shape {betas.shape}, expected ({length}, {NUM_BETAS})")
    if not speaker.size:
        raise ValueError("nobody is its speaker")
    if not all(np.isfinite(values).all() for values in (poses, expressions, betas)):
        raise ValueError("it has values that are no numbers")
    return _Window(
        poses.astype(np.float32),
        expressions.astype(np.float32) if expressions.size else np.zeros((length, NUM_EXPRESSIONS), np.float32),
        betas.reshape(-1, NUM_BETAS)[0].astype(np.float32) if betas.size else np.zeros(NUM_BETAS, np.float32),
        int(speaker.ravel()[0]) + 1,
    )


def _numbers(entry: object) -> np.ndarray:
    """An array, or a list that is empty."""
    if entry is None or entry == []:
        return np.zeros(0)
    if not isinstance(entry, pickles.Array) or entry.values is None:
        raise ValueError("something else than an array where one should be")
    return entry.values
