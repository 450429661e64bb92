"""Which gestures a speaker makes, and when: gesture units on the syllables of a recording.

A unit begins with a preparation, goes on with strokes and holds, and ends with a retraction [1, 2]. Strokes fall on
stressed syllables, though not on all of them [3, 4]; smaller beats fall on others while the hands are up. In a pause
longer than a moment the hands go back to rest, or wait for its end (`arms`). A gesture is often repeated before the
next kind comes [2].

[1] McNeill 1992, Hand and Mind   [2] Kendon 2004, Gesture, chapter 7   [3] Loehr 2012, Laboratory Phonology 3(1)
[4] Leonard & Cummins 2011, The temporal relation between beat gestures and speech, Lang. Cogn. Processes 26(10)
"""

from dataclasses import dataclass

import numpy as np

from cospeech.syllables import Syllables

PAUSE_S = 0.6  # a longer silence ends a unit
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class GestureKind:
    """A stroke of the left hand, metres from the shoulder in the chest's frame; the right hand mirrors x.

    x outwards, y up, z forwards. A stroke leads from `start` to `end` on a path that bulges by `bow`.
    """

    start: Vector
    end: Vector
    bow: Vector  # how far the middle of the path is from the straight line
    palm: Vector  # where the palm looks at the end
    shape: str  # of the hand, a key of `arms.SHAPES`
    both: float  # chance that both hands make it
    usual: float  # how often people make it, relative to the others


# start, end, bow, palm, shape, both, usual
_KINDS = {
    "beat": ((0.02, -0.14, 0.3), (0.05, -0.36, 0.36), (0.0, 0.0, 0.05), (-0.8, -0.6, 0.0), "loose", 0.6, 3.0),
    "open_palm": ((-0.1, -0.36, 0.26), (0.18, -0.24, 0.37), (0.0, 0.07, 0.04), (-0.45, 0.85, -0.1), "open", 0.7, 2.5),
    "sweep": ((-0.12, -0.24, 0.31), (0.2, -0.22, 0.29), (0.0, 0.05, 0.08), (-0.2, -0.9, 0.4), "open", 0.4, 1.2),
    "point": ((-0.04, -0.3, 0.22), (0.04, -0.1, 0.45), (0.0, 0.06, 0.0), (-0.6, -0.8, 0.0), "point", 0.0, 0.8),
    "frame": ((0.2, -0.22, 0.28), (-0.04, -0.27, 0.37), (0.0, 0.03, 0.0), (-1.0, 0.1, 0.0), "open", 1.0, 1.2),
    "lift": ((0.02, -0.38, 0.28), (0.14, -0.1, 0.33), (0.05, 0.0, 0.05), (-0.5, 0.7, 0.3), "loose", 0.6, 1.2),
    "count": ((-0.06, -0.12, 0.24), (-0.02, -0.26, 0.34), (0.0, 0.03, 0.03), (-0.6, -0.1, -0.8), "count", 0.0, 0.5),
    "toward_self": ((0.08, -0.26, 0.38), (-0.13, -0.2, 0.2), (0.04, 0.03, 0.0), (-0.3, 0.1, -0.95), "loose", 0.2, 0.6),
    "push_away": ((-0.06, -0.22, 0.24), (0.06, -0.16, 0.42), (0.0, 0.04, 0.0), (-0.25, -0.6, 0.6), "open", 0.7, 0.6),
    "chop": ((0.06, -0.08, 0.28), (-0.02, -0.34, 0.38), (0.0, 0.0, 0.06), (-1.0, 0.0, 0.0), "flat", 0.2, 0.8),
    "precision": ((0.02, -0.14, 0.28), (0.02, -0.28, 0.36), (0.03, 0.0, 0.03), (-0.5, -0.8, 0.2), "pinch", 0.3, 0.8),
}  # fmt: skip
KINDS = {name: GestureKind(*row) for name, row in _KINDS.items()}


@dataclass(frozen=True)
class Persona:
    """How one synthetic speaker gestures."""

    right_handed: float  # chance that a one-handed gesture is made with the right hand
    size: float  # of strokes
    eagerness: float  # share of the stressed syllables that get a stroke
    beating: float  # share of the other syllables that get a small beat
    both: float  # scales the chance of gestures with both hands
    repeats: float  # chance that a gesture is repeated
    rest: str  # a key of `arms.RESTS`
    kinds: tuple[float, ...]  # chance of each of KINDS

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Persona":
        usual = np.array([kind.usual for kind in KINDS.values()])
        return cls(
            right_handed=float(rng.choice([0.2, 0.65, 0.85], p=[0.1, 0.5, 0.4])),
            size=float(rng.uniform(1.15, 1.65)),
            eagerness=float(rng.uniform(0.6, 0.9)),
            beating=float(rng.uniform(0.3, 0.6)),
            both=float(rng.uniform(0.8, 1.3)),
            repeats=float(rng.uniform(0.25, 0.55)),
            rest=str(rng.choice(["sides", "front", "belly"], p=[0.55, 0.25, 0.2])),
            kinds=tuple(rng.dirichlet(2.0 * usual)),
        )


@dataclass(frozen=True)
class Stroke:
    """The hand is fastest at `frame`, which is the nucleus of a syllable."""

    frame: int
    kind: str
    hands: tuple[str, ...]  # "left", "right" or both, the leading one first
    size: float
    first: bool  # of its unit
    beat: bool  # only a small beat in the place where the hands are


@dataclass(frozen=True)
class Unit:
    """What the hands do between two pauses."""

    strokes: tuple[Stroke, ...]
    end: int  # frame at which the hands are let go; the hold before it lasts while the phrase does


def plan(syllables: Syllables, num_frames: int, fps: float, persona: Persona, rng: np.random.Generator) -> list[Unit]:
    """Gesture units for the syllables of a recording, in the order of time.

    Some phrases get no gesture; within a unit a stressed syllable gets a stroke with the persona's eagerness, more
    likely the more it stands out, and some of the others a small beat.
    """
    units = []
    for first, last in _phrases(syllables.frames, PAUSE_S * fps):
        if rng.random() < 0.04:
            continue
        strokes: list[Stroke] = []
        before = -np.inf
        for i in range(first, last):
            frame, stressed = int(syllables.frames[i]), bool(syllables.stressed[i])
            if frame > num_frames - 2:
                break
            prominence = float(syllables.prominence[i])
            chance = persona.eagerness + 0.25 * np.clip(prominence - 0.5, -1, 1) if stressed else persona.beating
            if rng.random() > chance or frame - before < (0.3 if stressed else 0.26) * fps:
                continue
            if not stressed and (not strokes or (i + 1 < last and syllables.frames[i + 1] - frame < 0.26 * fps)):
                continue  # a beat needs hands that are up, and time
            strokes.append(_stroke(frame, not stressed, prominence, strokes, persona, rng))
            before = frame
        if strokes:
            end = int(syllables.frames[last - 1] + rng.uniform(0.05, 0.2) * fps)
            units.append(Unit(tuple(strokes), max(end, strokes[-1].frame + round(0.15 * fps))))
    return units


def _stroke(
    frame: int, beat: bool, prominence: float, before: list[Stroke], persona: Persona, rng: np.random.Generator
) -> Stroke:
    size = persona.size * rng.uniform(0.75, 1.2) * (1 + 0.15 * np.clip(prominence, -1, 1.5))
    if before and (beat or rng.random() < persona.repeats):
        last = before[-1]
        return Stroke(frame, last.kind, last.hands, size, False, beat)
    kind = str(rng.choice(list(KINDS), p=persona.kinds))
    hands = ("right", "left") if rng.random() < persona.right_handed else ("left", "right")
    if rng.random() > KINDS[kind].both * persona.both:
        hands = hands[:1]
    return Stroke(frame, kind, hands, size, not before, beat)


def _phrases(frames: np.ndarray, pause: float) -> list[tuple[int, int]]:
    """Runs of syllables without a pause between them: first and one past the last."""
    if len(frames) == 0:
        return []
    breaks = np.flatnonzero(np.diff(frames) > pause) + 1
    return list(zip(np.append(0, breaks).tolist(), np.append(breaks, len(frames)).tolist(), strict=True))
