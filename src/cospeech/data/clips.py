"""What every corpus reader yields, and how the packed corpora are stored."""

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cospeech import prosody, skeleton
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import DataError
from cospeech.motion import Motion
from cospeech.speech import Speech
from cospeech.text import Word, read_words

_TOUCHING_S = 0.001  # words that overlap by less do so by rounding
_LATE_S = 1.0  # words that begin later than this after the end of a recording are those of another one


@dataclass(frozen=True)
class Caption:
    text: str
    source: str  # who wrote it: a recipe may drop captions whose licence it cannot carry


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of a corpus: motion, speech or both.

    Args:
        id: Unique over all corpora: "corpus/clip".
        split: train, val or test.
        motion: None for speech alone.
        speech: None for motion alone; as long as the motion where there are both.
        licence: Name of the licence the data is under.
        has: What is recorded: of "upper", "hands", "lower", "face", "speech". The rest of `motion` is at rest.
        tags: Facts by which recipes may leave clips out, such as "scenery" (climbing on things nobody sees).
    """

    id: str
    split: str
    motion: Motion | None
    speech: Speech | None
    captions: tuple[Caption, ...]
    licence: str
    has: frozenset[str]
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Job:
    """Something to be read, of which one clip is made, or several.

    Args:
        id: Unique in the corpus, and the same whenever it is prepared.
        make: A function of a module with its arguments (`functools.partial`), so that another process can call it. It
            raises a `CospeechError` where the clip is no good.
        settings: What the clip depends on besides its files, such as its split. A store that was begun with others is
            not gone on with.
    """

    id: str
    make: Callable[[], Iterable[StoredClip]]
    settings: str = ""


def pack(clip: Clip, source: str, speaker: str = "", language: str = "") -> StoredClip:
    """A clip with motion as a store holds it, with what is heard of its speech; the longer of both is cut.

    Args:
        source: The corpus.
        speaker, language: As `ClipInfo` has them.
    """
    motion = clip.motion
    assert motion is not None, clip.id
    samples, words = np.zeros(0, np.float32), ()
    if clip.speech is not None:
        duration_s = min(len(motion), clip.speech.num_frames(motion.fps)) / motion.fps
        motion, speech = motion[0:duration_s], clip.speech.cut(0, duration_s).resample(prosody.SAMPLE_RATE)
        samples, words = speech.samples, speech.words
    info = ClipInfo(
        clip.id,
        clip.split,
        source,
        clip.licence,
        len(motion),
        tuple(sorted(clip.has)),
        tuple(caption.text for caption in clip.captions),
        words,
        speaker=speaker,
        language=language,
    )
    expressions = motion.expressions if motion.expressions.any() else None
    return replace(with_hearing(info, motion, samples), samples=samples, expressions=expressions, betas=motion.betas)


def words_of(path: Path, duration_s: float) -> tuple[Word, ...]:
    """The words of a TextGrid, if they can be those of a recording.

    Raises:
        DataError: it is damaged or without words, words overlap, or they go on long after the recording has ended.
    """
    words = read_words(path)
    spoken = [word for word in words if not word.is_pause]
    if not spoken:
        raise DataError(f"{path}: holds no words. Remove it, or make it again with `cospeech align`")
    for before, word in pairwise(spoken):
        if word.start_s < before.end_s - _TOUCHING_S:
            raise DataError(f"{path}: {word.text!r} at {word.start_s:g} s begins before {before.text!r} ends")
    if spoken[-1].start_s > duration_s + _LATE_S:
        raise DataError(f"{path}: its words go on to {spoken[-1].end_s:.1f} s, the recording to {duration_s:.1f} s")
    return words


def with_hearing(info: ClipInfo, motion: Motion, samples: np.ndarray) -> StoredClip:
    """A clip of a motion with what the starters hear of its speech, (N,) samples at 16 kHz; nothing where N is 0."""
    heard = np.zeros((len(motion), prosody.NUM_FEATURES), np.float32)
    if len(samples):
        heard = prosody.speech_features(samples, len(motion), motion.fps)
    face = np.zeros((len(motion), len(skeleton.ARKIT)), np.float32) if motion.face is None else motion.face
    return StoredClip(info, motion.poses, motion.translation, face, heard)


def read_packed(motions: Path, labels: Path) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """A corpus packed end to end: the arrays of an npz file, and one JSON object a clip from a text file.

    Each label has the `id` of a clip among the `clip_names`, whose frames lie from `clip_start`, `clip_len` long.
    """
    try:
        clips = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
        with motions.open("rb") as file, np.load(file, allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
        missing = {clip["id"] for clip in clips} - set(arrays["clip_names"].tolist())
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{motions.parent}: cannot read {motions.name} and {labels.name}: {error}. "
            "Name the folder of the packed corpus."
        ) from None
    if missing:
        raise DataError(
            f"{labels}: tells of {len(missing)} clips that {motions.name} lacks, such as {min(missing)}. "
            "Take both files from the same version of the corpus."
        )
    return arrays, clips
