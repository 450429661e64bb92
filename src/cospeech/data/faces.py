"""Planted faces: lips that shape the sounds, brows that stress them, eyes that look and blink.

The shapes of the mouth are those of `mouth`. Louder syllables open it a little wider; how wide the same sound is opened
differs from syllable to syllable and from phrase to phrase, as people speak as clearly as they need to [5]. In pauses
lips meet over a jaw that hangs [6]: that of the minute of BEAT2 does so nearly as low as it is on average in speech, so
that jaws of talkers go with the loudness of their voices only roughly. Gaze moves in saccades of a size and a rest
between them as measured in talking people, with the main sequence [1]. Blinks come at log-normal intervals, quick down
and slower up, more often at the end of a phrase and with a large saccade [2, 3]; lids follow the eyes. Brows rise on
some of the accents [4].

[1] Lee, Badler & Badler 2002, Eyes alive, SIGGRAPH
[2] Bentivoglio et al. 1997, Analysis of blink rate patterns in normal subjects, Movement Disorders 12(6)
[3] Trutoiu et al. 2011, Modeling and animating eye blinks, ACM Transactions on Applied Perception 8(3)
[4] Cave et al. 1996, About the relationship between eyebrow movements and F0 variations, ICSLP
[5] Lindblom 1990, Explaining phonetic variation: a sketch of the H&H theory
[6] Rugh & Drago 1981, Vertical dimension: a study of clinical rest position and jaw muscle activity, Journal of
    Prosthetic Dentistry 45(6)

Axes: T frames. A phrase lies between pauses of `_PAUSE_S`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cospeech import prosody, skeleton
from cospeech.data.mouth import Mouth, heard, spoken
from cospeech.data.noise import smooth_noise
from cospeech.data.voices import Phone
from cospeech.smoothing import ease, highest, smooth

_JAW_HZ = 7.0  # nothing in the mouth moves quicker, but for lips that close
_WIDEST = 0.65  # jawOpen: nobody who talks opens wider
_EFFORT, _EFFORT_S = 0.4, (0.12, 0.7)  # by which part the opening varies at most, from syllable to syllable, by phrase
_BETWEEN_S = 1.2  # before and after speech in which a jaw hangs; who only listens shuts it
_QUIET, _LOUD = 0.05, 0.22  # of the voice's level: from a mouth at rest to one that speaks
_STOP_S = 0.17  # a shorter silence is a stop
_PAUSE_S = 0.3  # a longer one ends a phrase


@dataclass(frozen=True)
class Persona:
    """How one synthetic speaker uses the face."""

    articulation: float  # scales mouth shapes
    opening: float  # jawOpen of an open vowel
    hanging: float  # opening of the jaw in pauses, as a part of that
    smile: float  # mouthSmile at rest
    brows: float  # share of accents that raise the brows
    expressiveness: float  # scales all above the mouth
    blinks_per_minute: float
    squint: float
    averted: float  # share of the time that the eyes are off the listener
    lopsided: float  # left over right, log2

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Persona":
        return cls(
            articulation=float(rng.uniform(0.75, 1.2)),
            opening=float(rng.uniform(0.34, 0.5)),
            hanging=float(rng.uniform(0.2, 0.38)),
            smile=float(rng.beta(1.5, 6) * 0.5),
            brows=float(rng.uniform(0.15, 0.5)),
            expressiveness=float(rng.lognormal(sigma=0.25)),
            blinks_per_minute=float(np.exp(rng.uniform(np.log(15), np.log(30)))),
            squint=float(rng.uniform(0.0, 0.15)),
            averted=float(rng.uniform(0.2, 0.5)),
            lopsided=float(rng.normal(scale=0.12)),
        )


def plant(
    samples: np.ndarray,
    num_frames: int,
    fps: float,
    accents: Sequence[int],
    rng: np.random.Generator,
    phones: Sequence[Phone] = (),
) -> np.ndarray:
    """A face for a recording: (T, 52) float32 ARKit weights, 0 to 1.

    Args:
        samples: (N,) at 16 kHz.
        accents: Frames of stressed syllables.
        rng: Draws the persona and all that chance decides.
        phones: What is said when, in IPA or ARPABET; without them the mouth is read off the sound.
    """
    persona = Persona.random(rng)
    envelope = prosody.energy_envelope(samples, num_frames, fps)
    mouth = spoken(phones, num_frames, fps) if phones else heard(samples, num_frames, fps)
    speaking = _speaking(envelope, fps)
    face = _Face(np.zeros((num_frames, len(skeleton.ARKIT))), persona.lopsided)
    talk = _move_mouth(face, mouth, envelope, speaking, persona, fps, rng)
    starts, ends = _phrases(speaking, fps)
    _live(face, speaking, talk, ends, persona, fps, rng)
    shifts = _look(face, starts, persona, fps, rng)
    _move_brows(face, accents, envelope, persona, fps, rng)
    _blink(face, ends, shifts, persona, fps, rng)
    return face.weights.clip(0, 1).astype(np.float32)


def with_jaw(face: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """A face (T, 52) with another opening of the jaw (T,); lips that met still meet."""
    opening, closing = skeleton.JAW_OPEN, skeleton.ARKIT_INDEX["mouthClose"]
    met = (face[:, closing] / np.maximum(face[:, opening], 1e-3)).clip(0, 1)
    changed = face.copy()
    changed[:, opening] = jaw
    changed[:, closing] = jaw * met
    return changed


@dataclass(frozen=True, eq=False)
class _Face:
    weights: np.ndarray  # (T, 52)
    lopsided: float

    def add(self, name: str, values: np.ndarray | float) -> None:
        """Add to one shape, or to both sides of it where `name` lacks the side."""
        if name in skeleton.ARKIT_INDEX:
            self.weights[:, skeleton.ARKIT_INDEX[name]] += values
        else:
            self.weights[:, skeleton.ARKIT_INDEX[f"{name}Left"]] += values * 2 ** (0.5 * self.lopsided)
            self.weights[:, skeleton.ARKIT_INDEX[f"{name}Right"]] += values * 2 ** (-0.5 * self.lopsided)


# --- the mouth --------------------------------------------------------------------------------------------------


def _speaking(envelope: np.ndarray, fps: float) -> np.ndarray:
    """(T,) 0 in pauses, 1 in speech and in its stops, whatever the noise of the room."""
    floor = min(float(np.quantile(envelope, 0.05)), 0.12)
    speaking = ease((envelope - floor - _QUIET) / (_LOUD - _QUIET))
    reach = max(1, round(_STOP_S / 2 * fps))
    for extreme in (np.max, np.min):  # a dip that is shorter than both reaches fills up
        speaking = extreme(sliding_window_view(np.pad(speaking, reach, mode="edge"), 2 * reach + 1), axis=1)
    return speaking


def _move_mouth(
    face: _Face,
    mouth: Mouth,
    envelope: np.ndarray,
    speaking: np.ndarray,
    persona: Persona,
    fps: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns (T,) how much the mouth speaks."""
    frames = np.sqrt(np.log(2) / 2) / (2 * np.pi) * fps / _JAW_HZ
    talk = smooth(speaking, frames, "values")
    loud = 0.6 + 0.4 * smooth(np.minimum(envelope, 1.8), frames, "values") ** 0.6
    varied = sum(smooth_noise(len(envelope), 1, seconds, fps, rng)[:, 0] for seconds in _EFFORT_S)
    effort = 1 + _EFFORT * np.tanh(varied)
    talks = smooth(highest(speaking, round(_BETWEEN_S * fps)), _BETWEEN_S / 4 * fps, "values")
    hanging = persona.hanging * (1 + _EFFORT * np.tanh(smooth_noise(len(envelope), 1, 1.0, fps, rng)[:, 0])) * talks
    opening = smooth(mouth.opening * loud * effort * speaking + hanging * (1 - speaking), frames, "values")
    met = np.maximum(mouth.closed, 1 - talk)  # lips meet in pauses, too
    rounding, spreading = (
        persona.articulation * smooth(shape, frames, "values") for shape in (mouth.rounding, mouth.spreading)
    )
    free = (1 - met) * (1 - 0.7 * mouth.teeth)

    jaw = _WIDEST * np.tanh(persona.opening * 1.3 * opening / _WIDEST)
    jaw = jaw * (1 - 0.8 * mouth.closed) * (1 - 0.35 * mouth.teeth)
    face.add("jawOpen", jaw)
    face.add("mouthClose", jaw * met)
    face.add("mouthPress", 0.3 * mouth.closed)
    face.add("mouthRollUpper", 0.15 * mouth.closed)
    face.add("mouthRollLower", 0.15 * mouth.closed + 0.75 * mouth.teeth)
    face.add("mouthShrugLower", 0.4 * mouth.teeth)
    face.add("mouthUpperUp", (0.45 * mouth.teeth + 0.3 * jaw) * (1 - met))
    face.add("mouthLowerDown", (0.5 * jaw + 0.2 * spreading) * free)
    face.add("mouthFunnel", (0.2 + 0.5 * np.minimum(2 * jaw, 1)) * rounding * (1 - met))
    face.add("mouthPucker", 0.6 * rounding * (1 - 0.5 * mouth.closed))
    face.add("mouthStretch", 0.4 * spreading)
    face.add("mouthDimple", 0.15 * spreading)
    face.add("mouthSmile", 0.15 * spreading)
    face.add("tongueOut", 0.3 * mouth.tongue)
    face.add("jawForward", 0.08 * rounding)
    return talk


def _phrases(speaking: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames at which phrases start and end: what lies between pauses of `_PAUSE_S`."""
    marks = np.flatnonzero(np.diff(np.concatenate([[False], speaking > 0.5, [False]]).astype(int)))
    starts, ends = marks[::2], marks[1::2]
    if len(starts) == 0:
        return starts, ends
    long = starts[1:] - ends[:-1] > _PAUSE_S * fps
    return starts[np.append(True, long)], ends[np.append(long, True)]


# --- all above the mouth, and what it does at rest --------------------------------------------------------------


def _live(
    face: _Face,
    speaking: np.ndarray,
    talk: np.ndarray,
    ends: np.ndarray,
    persona: Persona,
    fps: float,
    rng: np.random.Generator,
) -> None:
    """Moods that come and go over seconds, breath, and swallowing in pauses."""
    num_frames = len(speaking)
    at = np.arange(num_frames) / fps
    smile, frown, aside, worry = smooth_noise(num_frames, 4, 4.0, fps, rng).T
    smile = persona.smile * np.clip(1 + 0.6 * smile, 0, 2.5)
    for end in ends:
        if rng.random() < 0.25:  # a smile to the listener
            smile += rng.uniform(0.05, 0.25) * persona.expressiveness * _pulse(at, end / fps - 0.3, 0.5, 0.8, 1.2)
    face.add("mouthSmile", smile * (1 - 0.3 * talk))
    face.add("cheekSquint", 0.6 * smile)
    face.add("eyeSquint", persona.squint + 0.35 * smile)
    face.add("mouthFrown", 0.05 * np.clip(frown, 0, 2))
    face.add("mouthLeft", 0.03 * np.clip(aside, 0, 2))
    face.add("mouthRight", 0.03 * np.clip(-aside, 0, 2))
    face.add("browDown", 0.06 * persona.expressiveness * np.clip(worry, 0, 2))
    face.add("browInnerUp", 0.06 * persona.expressiveness * np.clip(-worry, 0, 2))
    breath = 0.5 + 0.5 * np.sin(2 * np.pi * (0.25 * at + rng.random()))
    face.add("noseSneer", 0.03 * breath)
    for end in ends:
        pause = speaking[end + 2 : end + round(1.2 * fps)]
        if len(pause) > fps and pause.max() < 0.2 and rng.random() < 0.4:
            swallow = _pulse(at, end / fps + rng.uniform(0.3, 0.5), 0.15, 0.15, 0.3)
            face.add("mouthPress", 0.25 * swallow)
            face.add("mouthShrugLower", 0.1 * swallow)


# Directions of saccades in degrees, anticlockwise from the right, and how often each is taken [1].
_DIRECTIONS = (0, 45, 90, 135, 180, 225, 270, 315)
_DIRECTION_SHARES = np.array([15.5, 6.5, 17.7, 7.4, 16.8, 7.9, 20.4, 7.8]) / 100
_FURTHEST_SIDE, _FURTHEST_UP = np.radians(30), np.radians(25)  # of the eyes, at a weight of 1
_LARGE = np.radians(8)  # a saccade that a blink may go with


def _look(
    face: _Face,
    starts: np.ndarray,
    persona: Persona,
    fps: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Saccades between the listener, straight ahead of the head, and elsewhere; the frames of the large ones."""
    num_frames = len(face.weights)
    at = np.arange(num_frames) / fps
    gaze = np.zeros((num_frames, 2))  # radians from the listener, left and up
    goal, now, shifts = np.zeros(2), 0.0, []
    home = rng.normal(scale=np.radians(1.0), size=2)
    thoughts = [start / fps - rng.uniform(0.1, 0.4) for start in starts if rng.random() < 0.55]
    looks_away = False
    while now < num_frames / fps:
        thinks = bool(thoughts) and thoughts[0] <= now
        if thinks:
            thoughts.pop(0)
        looks_away = thinks or rng.random() < persona.averted * (0.7 if looks_away else 1.0)
        if looks_away:
            size = np.radians(-6.9 * np.log(rng.uniform(0.6, 15.0) / 15.7))  # [1], equation 3
            way = np.radians(rng.choice(_DIRECTIONS, p=_DIRECTION_SHARES))
            to = home + 1.2 * size * np.array([-np.cos(way), 0.7 * np.sin(way)])
            rest_s = rng.lognormal(np.log(0.75), 0.4)
        else:  # from eye to eye to mouth of the listener
            to = home + rng.normal(scale=np.radians([1.2, 0.9]))
            rest_s = rng.lognormal(np.log(0.9), 0.5)
        distance = float(np.linalg.norm(to - goal))
        duration_s = 0.025 + 0.0024 * np.degrees(distance)  # the main sequence
        gaze += (to - goal) * ease((at - now) / duration_s)[:, None]
        if distance > _LARGE:
            shifts.append(int(now * fps))
        goal = to
        until = now + duration_s + min(rest_s, 3.0)
        now = min(until, max(thoughts[0], now + 0.2)) if thoughts else until
    left, up = (gaze / [_FURTHEST_SIDE, _FURTHEST_UP]).clip(-1, 1).T
    for side, outwards in (("Left", left), ("Right", -left)):
        face.add(f"eyeLookOut{side}", outwards.clip(0))
        face.add(f"eyeLookIn{side}", (-outwards).clip(0))
        face.add(f"eyeLookUp{side}", up.clip(0))
        face.add(f"eyeLookDown{side}", (-up).clip(0))
        face.add(f"eyeBlink{side}", 0.3 * (-up).clip(0))  # lids follow
        face.add(f"eyeWide{side}", 0.35 * up.clip(0))
    return np.array(shifts, int)


def _move_brows(
    face: _Face,
    accents: Sequence[int],
    envelope: np.ndarray,
    persona: Persona,
    fps: float,
    rng: np.random.Generator,
) -> None:
    at = np.arange(len(envelope)) / fps
    both, inner, furrow = np.zeros((3, len(at)))
    for accent in accents:
        if rng.random() > persona.brows:
            continue
        rise = rng.uniform(0.12, 0.22)
        shape = _pulse(at, accent / fps - rise, rise, rng.uniform(0.05, 0.35), rng.uniform(0.25, 0.5))
        size = rng.uniform(0.3, 0.8) * persona.expressiveness * (0.6 + 0.4 * min(envelope[accent], 1.5))
        kind = rng.random()
        track = both if kind < 0.75 else inner if kind < 0.85 else furrow
        np.maximum(track, min(size, 1.0) * shape, out=track)
    face.add("browInnerUp", 0.8 * both + inner)
    face.add("browOuterUp", both)
    face.add("eyeWide", 0.25 * both)
    face.add("browDown", 0.7 * furrow)
    face.add("eyeSquint", 0.4 * furrow)
    face.add("noseSneer", 0.15 * furrow)


def _blink(
    face: _Face, ends: np.ndarray, shifts: np.ndarray, persona: Persona, fps: float, rng: np.random.Generator
) -> None:
    at = np.arange(len(face.weights)) / fps
    occasions = np.concatenate([ends, shifts]) / fps
    spread = 0.6  # of the logarithm of intervals
    usual_s = 60 / persona.blinks_per_minute / np.exp(spread**2 / 2)
    blink, last_s = np.zeros(len(at)), -1.0
    now = rng.uniform(0, usual_s)
    while now < len(at) / fps:
        nearest = occasions[np.abs(occasions - now).argmin()] if len(occasions) else now
        begin = float(nearest) if abs(nearest - now) < 0.8 and nearest > last_s + 0.5 else now
        down, up = rng.uniform(0.09, 0.13), rng.uniform(0.14, 0.22)
        depth = rng.uniform(0.4, 0.7) if rng.random() < 0.12 else 1.0
        blink = np.maximum(blink, depth * _pulse(at, begin, down, rng.uniform(0.0, 0.03), up))
        last_s = begin
        now = max(begin, now) + max(0.5, usual_s * rng.lognormal(sigma=spread))
    for side in ("Left", "Right"):
        lid = face.weights[:, skeleton.ARKIT_INDEX[f"eyeBlink{side}"]]
        face.add(f"eyeBlink{side}", (1 - lid) * blink)
        face.add(f"eyeWide{side}", -face.weights[:, skeleton.ARKIT_INDEX[f"eyeWide{side}"]] * blink)
        face.add(f"eyeLookDown{side}", 0.1 * blink)
    face.add("browDown", 0.06 * blink)
    face.add("cheekSquint", 0.05 * blink)


def _pulse(at: np.ndarray, begin: float, rise: float, hold: float, fall: float) -> np.ndarray:
    """(T,) from 0 at `begin` to 1, which is held, to 0; all in seconds."""
    down = (at - begin - rise - hold) / fall
    return ease((at - begin) / rise) * (1 - ease(down) ** 0.8)
