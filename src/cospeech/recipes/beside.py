"""What a model is measured beside: the real motion as the ceiling, and as the floor motions that know nothing of the
speech.

- mean pose: of all that is tested on, held still.
- other clip: the real motion of another clip.
- shifted: the real motion, moved by half its length against the speech.
- ground truth: the real motion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from cospeech import checkpoint as checkpoints
from cospeech import rotation, skeleton
from cospeech.body import Body, load_smplx, mannequin
from cospeech.data.store import Store
from cospeech.data.stored import StoredClip
from cospeech.files import load_motion
from cospeech.metrics import beat
from cospeech.models.embedder import Embedder
from cospeech.motion import Motion
from cospeech.prompts import Prompt
from cospeech.quirks import Protocol
from cospeech.recipes import obedience, scores
from cospeech.recipes.quality import Values
from cospeech.recipes.scores import FPS, RATE, Ruler
from cospeech.speech import Speech

MODEL, MEAN, OTHER, SHIFTED, REAL = "model", "mean pose", "other clip", "shifted", "ground truth"
_OF_SPEECH = (  # what is measured of the shifted motion, which is cut where its end meets its beginning
    *("beat consistency", "wrists follow the energy", "jaw follows the energy"),
    *("stroke to stress, of shuffled", "lips open in pauses", "lips open on p, b, m", "face MSE, m^2", "LVD, m"),
)
_OF_WHOLE_FACE = ("blinks a minute", "lips open in pauses", "lips open on p, b, m")  # where more than the jaw is known


@dataclass(frozen=True)
class Measuring:
    """Measures all systems on any of the clips, in whatever process it is called.

    Args:
        clips: Numbers in the store of those that are tested on.
        motions: For each of them the file with the model's motion.
        hop_frames: From one window of the model to the next; None: it has none.
        prompts: What the model was asked for; of all systems it is measured whether they do it.
    """

    store_path: Path
    clips: tuple[int, ...]
    motions: tuple[Path, ...]
    protocol: Protocol
    body_path: Path | None
    embedder_path: Path | None
    joint_speed: np.ndarray
    mean_pose: np.ndarray  # (55, 3)
    hop_frames: int | None
    prompts: tuple[Prompt, ...] = ()

    @cached_property
    def store(self) -> Store:
        return Store(self.store_path)

    def ruler(self, clip: StoredClip) -> Ruler:
        body = body_of(self.body_path, clip.betas.tobytes())
        return Ruler(self.protocol, body, self.joint_speed, self.mean_pose)

    @cached_property
    def embedder(self) -> Embedder | None:
        return checkpoints.load_embedder(self.embedder_path).network if self.embedder_path else None

    def __call__(self, place: int) -> dict[str, tuple[Values, dict[str, np.ndarray]]]:
        """System -> measures and embeddings, of the clip with a place among `clips`.

        All systems are measured over the frames that the model made.
        """
        clip = self.store.clip(self.clips[place])
        ruler = self.ruler(clip)
        made = SYSTEMS[MODEL](self, clip, place)
        seconds = min(len(made), clip.info.num_frames) / FPS
        speech = Speech(clip.samples, RATE).cut(0, seconds)
        onsets = beat.onset_times(clip.samples, RATE, round(seconds * FPS), self.protocol)
        real = scores.motion_of(clip)[0:seconds]
        found = {}
        for system in self.systems:
            motion = {MODEL: made, REAL: real}.get(system) or SYSTEMS[system](self, clip, place)
            motion = motion[0:seconds]
            hop = self.hop_frames if system in (MODEL, REAL) else None
            values = scores.of_clip(motion, real, speech, onsets, ruler, hop) | obedience.obeyed(motion, self.prompts)
            if system == SHIFTED:
                values = {name: value for name, value in values.items() if name in _OF_SPEECH}
            if system != MODEL and "face" not in clip.info.has:
                values = {name: value for name, value in values.items() if name not in _OF_WHOLE_FACE}
            embedded = self.embedder and system != SHIFTED
            found[system] = values, scores.embeddings(motion, self.embedder, ruler) if embedded else {}
        return found

    @property
    def systems(self) -> list[str]:
        return [name for name in SYSTEMS if name != OTHER or len(self.clips) > 1]


@lru_cache(maxsize=4)
def body_of(path: Path | None, betas: bytes | None = None) -> Body:
    """The shipped body, or that of a SMPL-X file with the shape of a person: as few as there are speakers."""
    if path is None:
        return mannequin("light")
    return load_smplx(path, None if betas is None else np.frombuffer(betas, np.float32))


def _made(measuring: Measuring, clip: StoredClip, place: int) -> Motion:
    motion = load_motion(measuring.motions[place])
    if measuring.protocol == "published" and motion.face is None and not motion.expressions.any():
        # Systems without a face are measured with the real one, jaw included.
        poses = motion.poses.copy()
        poses[:, skeleton.JAW] = clip.poses[: len(motion), skeleton.JAW]
        expressions = None if clip.expressions is None else clip.expressions[: len(motion)]
        motion = replace(motion, poses=poses, expressions=expressions)
    return motion


def mean_pose_of(store: Store, clips: Sequence[int]) -> np.ndarray:
    """(55, 3) the mean pose of the real motions of clips, by their numbers."""
    total = sum(rotation.axis_angle_to_rotation_6d(store.clip(n).poses).astype(np.float64).sum(axis=0) for n in clips)
    return rotation.rotation_6d_to_axis_angle(total / sum(store.infos[n].num_frames for n in clips)).astype(np.float32)


def held_still(pose: np.ndarray, like: StoredClip | Motion) -> Motion:
    """A pose (55, 3) at the mean place of another motion, as long as that lasts."""
    place = np.broadcast_to(like.translation.mean(axis=0), like.translation.shape)
    return Motion(np.broadcast_to(pose, like.poses.shape), place, FPS)


def _mean_pose(measuring: Measuring, clip: StoredClip, place: int) -> Motion:
    return held_still(measuring.mean_pose, clip)


def _other_clip(measuring: Measuring, clip: StoredClip, place: int) -> Motion:
    """Of the clip half the list away; forwards and backwards until it is long enough."""
    count = len(measuring.clips)
    other = scores.motion_of(measuring.store.clip(measuring.clips[(place + count // 2) % count]))
    there_and_back = np.concatenate([np.arange(len(other)), np.arange(len(other))[-2:0:-1]])
    return _rearranged(other, np.resize(there_and_back, clip.info.num_frames))


def _shifted(measuring: Measuring, clip: StoredClip, place: int) -> Motion:
    frames = np.arange(clip.info.num_frames)
    return _rearranged(scores.motion_of(clip), np.roll(frames, len(frames) // 2))


def _real(measuring: Measuring, clip: StoredClip, place: int) -> Motion:
    return scores.motion_of(clip)


def _rearranged(motion: Motion, frames: np.ndarray) -> Motion:
    face = None if motion.face is None else motion.face[frames]
    return Motion(motion.poses[frames], motion.translation[frames], FPS, motion.expressions[frames], face, motion.betas)


SYSTEMS: dict[str, Callable[[Measuring, StoredClip, int], Motion]] = {
    MODEL: _made,
    MEAN: _mean_pose,
    OTHER: _other_clip,
    SHIFTED: _shifted,
    REAL: _real,
}
