"""A synthetic corpus: recordings in, motion with planted gestures out.

No free corpus of speech and full-body motion exists, so one is made: gestures are planned on the syllables of a
recording (`planning`), made by the arms (`arms`) of somebody who stands (`standing`), and the face speaks (`faces`).
Head and trunk go along: nods fall on stressed syllables, and postures change between phrases [1, 2].

[1] Hadar et al. 1983, Head movement correlates of juncture and stress at sentence level, Language and Speech 26(2)
[2] Cassell et al. 2001, Non-verbal cues for discourse structure, ACL
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cospeech import prosody
from cospeech.data import arms, faces, planning, standing
from cospeech.data.arms import Track
from cospeech.data.noise import smooth_noise
from cospeech.data.planning import Persona, Stroke, Unit
from cospeech.data.voices import Phone
from cospeech.finish import finish
from cospeech.motion import Motion
from cospeech.speech import Speech
from cospeech.syllables import Syllables, find_syllables

FPS = 30
_BREATH_HZ = 0.27


@dataclass(frozen=True, eq=False)
class Planted:
    motion: Motion
    strokes: tuple[Stroke, ...]


def plant(speech: Speech, idle: Sequence[Motion], seed: int, phones: Sequence[Phone] = ()) -> Planted:
    """Motion for a recording.

    Args:
        speech: Any recording.
        idle: Motions of people standing, 30 fps, facing +z; half of the time pieces of them are strung together,
            otherwise, or where there are none, legs and pelvis move by rule.
        seed: Same seed, same motion.
        phones: What is said when, if it is known; the mouth then shows it.
    """
    rng = np.random.default_rng(seed)
    num_frames = speech.num_frames(FPS)
    samples = speech.resample(prosody.SAMPLE_RATE).samples
    syllables = find_syllables(prosody.speech_features(samples, num_frames, FPS), FPS)
    persona = Persona.random(rng)
    units = planning.plan(syllables, num_frames, FPS, persona, rng)
    if idle and rng.random() < 0.5:
        base = standing.string_together(idle, num_frames, rng)
    else:
        base = standing.stand(num_frames, FPS, rng)
    poses = base.poses.astype(np.float64)
    _plant_trunk(poses, syllables, units, rng)
    arms.plant_arms(poses, units, FPS, persona, rng)
    accents = [int(f) for f in syllables.frames[syllables.stressed]]
    face = faces.plant(samples, num_frames, FPS, accents, rng, phones)
    strokes = tuple(stroke for unit in units for stroke in unit.strokes)
    return Planted(finish(Motion(poses, base.translation, FPS)).with_face(face), strokes)


def _plant_trunk(poses: np.ndarray, syllables: Syllables, units: Sequence[Unit], rng: np.random.Generator) -> None:
    """Turn spine, neck and head (T, 55, 3), in place: breath, sway, posture, nods."""
    num_frames = len(poses)
    head, trunk = Track(np.zeros(3)), Track(np.zeros(3))  # nod, turn, tilt
    lively = rng.uniform(0.6, 1.4)
    for i, frame in enumerate(syllables.frames):
        new_phrase = i == 0 or frame - syllables.frames[i - 1] > 0.35 * FPS
        if new_phrase or rng.random() < 0.05:  # another posture
            begin = frame - rng.uniform(0.2, 0.5) * FPS
            posture = rng.normal(scale=[0.06, 0.13, 0.06]) * lively
            head.go(posture, begin, begin + rng.uniform(0.4, 0.8) * FPS)
            lean = rng.normal([0.03, 0.0, 0.0], [0.07, 0.14, 0.055]) * lively
            trunk.go(lean, begin, begin + rng.uniform(0.8, 1.4) * FPS)
        elif syllables.stressed[i] and rng.random() < 0.55:
            depth = rng.uniform(0.03, 0.11) * lively * (1 + 0.2 * np.clip(syllables.prominence[i], -1, 2))
            nod = np.array([depth, rng.normal(scale=0.03), rng.normal(scale=0.02)])
            here = head.goal
            head.go(here + nod, frame - 0.13 * FPS, frame + 0.12 * FPS)
            head.go(here + 0.1 * nod, frame + 0.1 * FPS, frame + rng.uniform(0.35, 0.5) * FPS)
    for unit in units:
        for stroke in unit.strokes:
            if not stroke.beat:  # the trunk goes with the hand
                way = 0.0 if len(stroke.hands) == 2 else (-1.0 if stroke.hands[0] == "left" else 1.0)
                push = stroke.size * rng.uniform(0.2, 1.0) * np.array([0.035, 0.09 * way, -0.03 * way])
                here = trunk.goal
                trunk.go(here + push, stroke.frame - 0.25 * FPS, stroke.frame + 0.15 * FPS)
                trunk.go(here, stroke.frame + 0.3 * FPS, stroke.frame + 1.0 * FPS)
    at = np.arange(num_frames) / FPS
    breath = np.sin(2 * np.pi * _BREATH_HZ * rng.uniform(0.8, 1.2) * at + rng.uniform(0, 6.28))
    turn = trunk.values(num_frames) + smooth_noise(num_frames, 3, 1.6, FPS, rng) * [0.012, 0.024, 0.012]
    turn[:, 0] -= 0.008 * breath
    look = head.values(num_frames) + smooth_noise(num_frames, 3, 0.8, FPS, rng) * [0.016, 0.028, 0.012]
    look -= turn * [0.4, 0.7, 0.5]  # the eyes stay with the listener
    for name, share in (("spine1", turn / 3), ("spine2", turn / 3), ("spine3", turn / 3), ("neck", 0.45 * look)):
        standing.turn(poses, name, share)
    standing.turn(poses, "head", 0.55 * look)
