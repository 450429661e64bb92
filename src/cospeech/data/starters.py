"""What the starters learn from: real motion with planted faces, and planted motion on every voice there is."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cospeech import prosody, skeleton
from cospeech.body import mannequin
from cospeech.data import actions, bandai_namco, beat2, cmu, faces, mouth, recordings, synthetic, voices
from cospeech.data.clips import Clip, pack, with_hearing
from cospeech.data.recordings import Recording
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import DataError
from cospeech.motion import Motion
from cospeech.speech import Speech

PLANTED_S = 600  # seconds of planted motion on every set of human recordings, in different voices and personas
MONOLOGUES = 260  # spoken by espeak-ng, about 25 s each
ACTED = 240  # monologues over which people do what a caption says
PLANTED_LICENCE = "made by this project"
STANDING_LICENCE = bandai_namco.LICENCE  # of planted gestures, some of them over the legs of real people


def starter(data: Path) -> Iterator[StoredClip]:
    """Everything the starter learns from, 30 fps, with speech features and planted faces.

    Args:
        data: Folder with the sets `bandai_namco`, `beat2_scott`, `cmu` and `speech`.
    """
    real = list(bandai_namco.clips(data / "bandai_namco", mannequin().joints))
    idle = [clip.motion for clip in real if clip.motion and _is_standing(clip)]
    for clip in real:
        yield stored(clip, "bandai_namco")
    spoken = []
    for clip in beat2.clips(data / "beat2_scott"):
        recording = _with_phones(clip, data / "beat2_scott" / "textgrid")
        if clip.motion is not None:
            yield stored(clip, "beat2", recording.phones)
        if clip.split == "train":
            spoken.append(recording)
    yield from _captured(data)
    yield from _planted_on(spoken, PLANTED_S, idle)
    yield from _planted(data, idle)


def starter_open(data: Path) -> Iterator[StoredClip]:
    """What the starter for any use learns from: nothing of BEAT2 or Bandai Namco, no caption of KIT-ML.

    Args:
        data: Folder with the sets `cmu` and `speech`.
    """
    yield from _captured(data)
    yield from _planted(data, ())


def real(data: Path) -> Iterator[StoredClip]:
    """All real motion there is, that of BEAT2 with its recordings and words, for systems that hear and read those.

    Args:
        data: Folder with the sets `bandai_namco`, `beat2_scott` and `cmu`.
    """
    for clip in beat2.clips(data / "beat2_scott"):
        if clip.motion is not None:
            whole, made = pack(clip, "beat2", beat2.REAL_MINUTE.partition("_")[0]), stored(clip, "beat2")
            yield replace(whole, info=replace(whole.info, has=made.info.has), face=made.face)
    for clip in bandai_namco.clips(data / "bandai_namco", mannequin().joints):
        yield stored(clip, "bandai_namco")
    yield from _captured(data)


def _captured(data: Path) -> Iterator[StoredClip]:
    for clip in cmu.clips(data / "cmu", mannequin().joints):
        if "scenery" not in clip.tags:
            yield stored(clip, "cmu")


def _planted(data: Path, idle: Sequence[Motion]) -> Iterator[StoredClip]:
    """Planted motion on silence, on permissive recordings and on what espeak-ng says."""
    silence = Speech(np.zeros(20 * prosody.SAMPLE_RATE, np.float32), prosody.SAMPLE_RATE)
    yield planted("synthetic/silence", "val", silence, idle, seed=0)
    yield from _planted_on([Recording.load(path) for path in _recordings(data)], PLANTED_S, idle)
    for number, (voice, speech, phones) in enumerate(voices.monologues(MONOLOGUES, seed=0)):
        split = "val" if voices.is_held_out(voice) else "train"
        yield planted(f"synthetic/{voice}/{number}", split, speech, idle, number, phones)
    yield from actions.clips(_talking(idle), seed=0)


def check(data: Path) -> None:
    """Raise `DataError` for what is missing here and would be missed only after many minutes."""
    _recordings(data)
    voices.check()


def _recordings(data: Path) -> list[Path]:
    folders = (data / "speech" / "mfa", data / "speech" / "cmu_arctic")
    paths = [path for folder in folders for path in sorted((*folder.glob("*.wav"), *folder.glob("*.flac")))]
    if not paths:
        raise DataError(f"{data / 'speech'}: no *.wav or *.flac in mfa or cmu_arctic. See `docs/starter.md`.")
    return paths


def _talking(idle: Sequence[Motion]) -> Iterator[StoredClip]:
    for number, (voice, speech, phones) in enumerate(voices.monologues(ACTED, seed=2)):
        split = "val" if voices.is_held_out(voice) else "train"
        yield planted(f"{voice}/{number}", split, speech, idle, 10_000 + number, phones)


def _with_phones(clip: Clip, folder: Path) -> Recording:
    """The speech of a BEAT2 clip that begins with its take; phones are not known of every take, nor of later parts."""
    assert clip.speech is not None, clip.id
    grid = folder / f"{clip.id.split('/')[1]}.TextGrid"
    phones = mouth.read_phones(grid) if clip.split == "train" and grid.is_file() else ()
    heard = tuple(phone for phone in phones if phone.end_s <= clip.speech.duration_s)
    return Recording(clip.id, clip.speech, heard, clip.licence)


def _planted_on(spoken: Sequence[Recording], seconds: float, idle: Sequence[Motion]) -> Iterator[StoredClip]:
    """The recordings in turn, each time in another voice and rhythm, until there is enough."""
    made_s, number = 0.0, 0
    while made_s < seconds:
        recording = spoken[number % len(spoken)]
        seed = zlib.crc32(f"{recording.name}/{number}".encode())
        if number >= len(spoken):
            recording = recordings.vary(recording, np.random.default_rng(seed))
        name = f"synthetic/{recording.name}/{number}"
        yield planted(name, "train", recording.speech, idle, seed, recording.phones, recording.licence)
        made_s, number = made_s + recording.speech.duration_s, number + 1


def planted(
    name: str,
    split: str,
    speech: Speech,
    idle: Sequence[Motion],
    seed: int,
    phones: Sequence[voices.Phone] = (),
    licence: str = "",
) -> StoredClip:
    """A clip with planted motion.

    Args:
        licence: Of the speech, if it has conditions.
    """
    motion = synthetic.plant(speech, idle, seed, phones).motion
    has = ("upper", "hands", "lower", "face", "speech")
    licences = [PLANTED_LICENCE, *([STANDING_LICENCE] if idle else []), *([licence] if licence else [])]
    return _stored(ClipInfo(name, split, "synthetic", "; ".join(licences), len(motion), has), motion, speech)


def stored(clip: Clip, source: str, phones: Sequence[voices.Phone] = ()) -> StoredClip:
    """A clip with real motion; with speech, the face is planted around the real jaw."""
    motion, has = clip.motion, set(clip.has)
    assert motion is not None, clip.id
    if clip.speech is not None:
        rng = np.random.default_rng(zlib.crc32(clip.id.encode()))
        samples = clip.speech.resample(prosody.SAMPLE_RATE).samples
        face = faces.plant(samples, len(motion), motion.fps, (), rng, phones)
        face = faces.with_jaw(face, motion.face[:, skeleton.JAW_OPEN])
        motion = Motion(motion.poses, motion.translation, motion.fps, face=face)
        has.add("face")
    captions = tuple(caption.text for caption in clip.captions if caption.source != "kit-ml")
    info = ClipInfo(clip.id, clip.split, source, clip.licence, len(motion), tuple(sorted(has)), captions)
    return _stored(info, motion, clip.speech)


def _stored(info: ClipInfo, motion: Motion, speech: Speech | None) -> StoredClip:
    none = np.zeros(0, np.float32)
    return with_hearing(info, motion, speech.resample(prosody.SAMPLE_RATE).samples if speech else none)


def _is_standing(clip: Clip) -> bool:
    """Clips of people who stand in place and move their arms: their legs and trunk serve as idle motion."""
    calm = ("normal", "masculine", "feminine", "youthful")
    return "_wave-" in clip.id and any(f"_{style}_" in clip.id for style in calm) and clip.split == "train"
