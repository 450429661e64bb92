"""What is measured of a motion that was made for a clip of a store, beside the real one.

The measures of the papers (beat consistency, diversity, face) by either protocol, and what they cannot see: whether the
motion fits its own speech better than another's, how feet, hands and joints behave, whether seams show
(`recipes.quality` has most of these and says what is wanted of them). The Fréchet distances are of all clips together:
`embeddings` here, the distance in `recipes.evaluate`.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cospeech import skeleton
from cospeech.body import Body, joint_positions
from cospeech.data.stored import StoredClip
from cospeech.metrics import bands, beat, diversity, face, physics
from cospeech.metrics.interval import Ratio
from cospeech.models.embedder import Embedder, embed
from cospeech.motion import Motion
from cospeech.quirks import Protocol
from cospeech.recipes import quality
from cospeech.recipes.quality import Values
from cospeech.speech import Speech

RATE, FPS = 16_000, 30
WHOLE, BANDS = "all", bands.Bands._fields  # what embeddings are of
# What is better: -1 less, 1 more, 0 as real people have it.
BETTER = {
    "FGD": -1,
    **{f"FGD, {band} band": -1 for band in BANDS},
    "beat consistency": 1,
    "L1 diversity, m": 0,
    "face MSE, m^2": -1,
    "LVD, m": -1,
    "wrists follow the energy": 1,
    "jaw follows the energy": 0,
    "seam jump": -1,
    "slide in contact, cm/s": -1,
    "deepest foot below the floor, cm": -1,
    "hands inside the body": -1,
    "joints outside their limits": -1,
    "root drift, m a minute": -1,
    "lips open in pauses": -1,
    "lips open on p, b, m": -1,
    "8-15 Hz in wrist velocity": -1,
}


class Ruler(NamedTuple):
    """What motions are measured with."""

    protocol: Protocol
    body: Body  # with the shape of the person: its joints, and of the face its vertices
    joint_speed: np.ndarray  # (55,) m/s, of real motion
    about: np.ndarray  # (55, 3) pose about which bands move


def motion_of(clip: StoredClip) -> Motion:
    """The real motion of a clip."""
    shown = clip.face if clip.face.any() else None
    return Motion(clip.poses, clip.translation, FPS, clip.expressions, shown, clip.betas)


def of_clip(
    made: Motion, real: Motion, speech: Speech, onsets: np.ndarray, ruler: Ruler, hop_frames: int | None = None
) -> Values:
    """All measures of one motion.

    Args:
        made, real: As long as the speech.
        speech: Of the clip, or the beginning of it where a published system leaves out the end.
        onsets: Of this speech, `beat.onset_times`.
        hop_frames: From one window of the model to the next; None: it has no windows.
    """
    num_frames = len(made)
    values: Values = {}
    joints = joint_positions(ruler.body, _posed(made, ruler), np.zeros_like(made.translation))
    values["beat consistency"] = beat.beat_consistency(joints, onsets, ruler.joint_speed, ruler.protocol)
    values["L1 diversity, m"] = diversity.l1_diversity(joints)
    values |= _of_face(made, real, ruler)
    if hop_frames:
        wrists = physics.wrists_in_chest(quality.transforms_of(made))
        values["seam jump"] = physics.seam_jump(wrists, np.arange(hop_frames, num_frames, hop_frames), FPS)
    return values | quality.of_recording(made, speech) | quality.of_motion(made, speech) | quality.of_minute(made)


def _posed(made: Motion, ruler: Ruler) -> np.ndarray:
    """(T, 55, 3) what the body is posed by. The papers' code leaves it to SMPL-X's to add a mean to the fingers."""
    if ruler.protocol == "corrected" or ruler.body.mean_hands is None:
        return made.poses
    poses = made.poses.copy()
    poses[:, skeleton.HANDS] += ruler.body.mean_hands
    return poses


def _of_face(made: Motion, real: Motion, ruler: Ruler) -> Values:
    """Errors of the face's vertices, where both faces are known in shapes of the body."""
    if ruler.body.expression_shapes is None or not (made.expressions.any() and real.expressions.any()):
        return {}
    if made is real:
        return {"face MSE, m^2": Ratio(0.0, len(made)), "LVD, m": Ratio(0.0, len(made))}
    size = len(ruler.body.vertices)
    ours, theirs = (_face(motion, ruler.body) for motion in (made, real))
    mse, distance = face.vertex_mse(ours, theirs, size), face.lvd(ours, theirs, ruler.protocol, size)
    return {"face MSE, m^2": mse, "LVD, m": distance}


@lru_cache(maxsize=2)  # all systems are compared with one real face
def _face(motion: Motion, body: Body) -> np.ndarray:
    return face.meshes(_face_part(body), motion.poses[:, skeleton.JAW], motion.expressions)


_face_part = lru_cache(maxsize=2)(face.moving_part)


def embeddings(made: Motion, embedder: Embedder, ruler: Ruler) -> dict[str, np.ndarray]:
    """ "all" and the name of each band -> (S, C)."""
    of_bands = bands.split(made.poses, FPS, ruler.about)._asdict()
    return {name: embed(embedder, poses, ruler.protocol) for name, poses in {WHOLE: made.poses, **of_bands}.items()}
