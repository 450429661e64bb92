"""Raw corpora -> the clips of a store."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cospeech import prosody, skeleton
from cospeech.body import mannequin
from cospeech.data import bandai_namco, beat2, cmu, synthetic, voices
from cospeech.data.clips import Clip
from cospeech.data.store import ClipInfo, StoredClip
from cospeech.motion import Motion
from cospeech.speech import Speech

PLANTINGS = 4  # of different personas on every real recording
MONOLOGUES = 110  # spoken by espeak-ng, about 25 s each
PLANTED_LICENCE = "CC BY-NC 4.0"  # of the idle motion under the planted gestures


def starter(data: Path) -> Iterator[StoredClip]:
    """Clips for the starter, 30 fps, with speech features and planted faces.

    Args:
        data: Folder with the sets `bandai_namco`, `beat2_scott`, `cmu` and `speech`.
    """
    joints = mannequin().joints
    real = list(bandai_namco.clips(data / "bandai_namco", joints))
    idle = [clip.motion for clip in real if clip.motion and _is_standing(clip)]
    for clip in real:
        yield stored(clip, "bandai_namco")
    for clip in cmu.clips(data / "cmu", joints):
        if "scenery" not in clip.tags:
            yield stored(clip, "cmu")
    silence = Speech(np.zeros(20 * prosody.SAMPLE_RATE, np.float32), prosody.SAMPLE_RATE)
    yield planted("synthetic/silence", "val", silence, idle, seed=0)
    recordings = []
    for clip in beat2.clips(data / "beat2_scott"):
        if clip.motion is not None:
            yield stored(clip, "beat2")
        if clip.split == "train":
            recordings.append((clip.id, clip.speech))
    for path in [
        *sorted((data / "speech" / "mfa").glob("*.wav")),
        *sorted((data / "speech" / "cmu_arctic").glob("*.wav")),
    ]:
        recordings.append((path.stem, Speech.load(path)))
    number = 0
    for name, speech in recordings:
        for _ in range(PLANTINGS):
            number += 1
            yield planted(f"synthetic/{name}/{number}", "train", speech, idle, number)
    for voice, speech in voices.monologues(MONOLOGUES, seed=0):
        number += 1
        split = "val" if voice.endswith(voices.HELD_OUT) else "train"
        yield planted(f"synthetic/{voice}/{number}", split, speech, idle, number)


def planted(name: str, split: str, speech: Speech, idle: list[Motion], seed: int) -> StoredClip:
    motion = synthetic.plant(speech, idle, seed).motion
    has = ("upper", "hands", "lower", "face", "speech")
    return _stored(ClipInfo(name, split, "synthetic", PLANTED_LICENCE, len(motion), has), motion, speech)


def stored(clip: Clip, source: str) -> StoredClip:
    """A clip with real motion; with speech, the face is planted around the real jaw."""
    motion, has = clip.motion, set(clip.has)
    assert motion is not None, clip.id
    if clip.speech is not None:
        rng = np.random.default_rng(zlib.crc32(clip.id.encode()))
        samples = clip.speech.resample(prosody.SAMPLE_RATE).samples
        energy = prosody.energy_envelope(samples, len(motion), motion.fps)
        face = synthetic.plant_face(energy, (), rng)
        face[:, skeleton.JAW_OPEN] = motion.face[:, skeleton.JAW_OPEN]
        motion = Motion(motion.poses, motion.translation, motion.fps, face=face)
        has.add("face")
    captions = tuple(caption.text for caption in clip.captions)
    info = ClipInfo(clip.id, clip.split, source, clip.licence, len(motion), tuple(sorted(has)), captions)
    return _stored(info, motion, clip.speech)


def _stored(info: ClipInfo, motion: Motion, speech: Speech | None) -> StoredClip:
    heard = np.zeros((len(motion), prosody.NUM_FEATURES), np.float32)
    if speech is not None:
        heard = prosody.speech_features(speech.resample(prosody.SAMPLE_RATE).samples, len(motion), motion.fps)
    face = np.zeros((len(motion), len(skeleton.ARKIT)), np.float32) if motion.face is None else motion.face
    return StoredClip(info, motion.poses, motion.translation, face, heard)


def _is_standing(clip: Clip) -> bool:
    """Clips of people who stand in place and move their arms: their legs and trunk serve as idle motion."""
    calm = ("normal", "masculine", "feminine", "youthful")
    return "_wave-" in clip.id and any(f"_{style}_" in clip.id for style in calm) and clip.split == "train"
