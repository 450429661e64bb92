"""How good the motion of a model is: `cospeech bench --quality`.

Excerpts of ten seconds of voices that no starter learned from, human and synthetic apart, through the model and through
what it has to be compared with: the model without the finish, planted gestures, a person who does not move, the motion
for another voice, and the real minute. Whether motion follows speech is measured on whole recordings, what needs a
minute on minutes. Every value comes with its 95 % interval from 1000 bootstrap samples of the excerpts. Of human voices
there are few: their excerpts overlap and are used with several seeds, so that their intervals tell how sure a value is
for these voices, not for all. What is wanted follows the real minute, of which `real_minute.json` holds every measure,
remade by

    python -m cospeech.recipes.bench --folder DATA/beat2_scott
"""

import json
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cospeech import prosody, skeleton
from cospeech.body import JointTransforms, joint_transforms, mannequin
from cospeech.data import beat2, synthetic
from cospeech.data.voices import Phone
from cospeech.errors import FormatError
from cospeech.finish import finish, steady
from cospeech.formats import npz
from cospeech.formats.output import check_target, replacing
from cospeech.metrics import face, gesture, physics
from cospeech.metrics.interval import Estimate, Ratio, estimate
from cospeech.motion import Motion
from cospeech.pipeline import Pipeline, load_pipeline
from cospeech.recipes import held_out
from cospeech.recipes.held_out import COPIES, EXCERPT_S, HOP_S, Excerpt, Voice
from cospeech.speech import Speech
from cospeech.syllables import find_syllables

REAL_MINUTE = files("cospeech.recipes") / "real_minute.json"
SILENCE_S = 3.0
FPS = 30.0  # of the models
ROOM_DB = -30.0  # of the voice's level: the noise of a room
SPEAKING_DB = -25.0  # likewise


Values = dict[str, float | Ratio]  # of one excerpt
Make = Callable[[Excerpt], Motion]


class Wanted(NamedTuple):
    """Between two values, either of which may be open; `of_real`: they are multiples of the real minute's."""

    low: float = -np.inf
    high: float = np.inf
    of_real: bool = False
    surely: float = -np.inf  # what the whole interval has to be above
    never: Callable | None = None  # `min` or `max`, of what must not happen once: the worst excerpt, not the mean


LIKE_REAL = Wanted(1 / 1.5, 1.5, of_real=True)
WANTED: dict[str, Wanted] = {  # in the order of the table
    "wrists follow the energy": Wanted(0.60, 0.85, surely=0.55),
    "jaw follows the energy": Wanted(0.78, 0.95),
    "stroke to stress, of shuffled": Wanted(high=0.7),
    "strokes a minute": LIKE_REAL,
    "peaks over 0.5 m/s a minute": LIKE_REAL,
    "peaks over 0.3 m/s a minute": LIKE_REAL,
    "wrist speed, m/s": LIKE_REAL,
    "wrist speed, 95th percentile, m/s": LIKE_REAL,
    "finger speed, rad/s": LIKE_REAL,
    "left-right correlation": LIKE_REAL,
    "rest inside speech": Wanted(high=0.15),
    "strokes another seed does not make": Wanted(low=0.5),
    "nearest other second, m": Wanted(low=0.03, never=min),
    "diversity, m": Wanted(low=0.7, of_real=True),
    "wrist jerk, m/s^3": Wanted(0.5, 1.5, of_real=True),
    "8-15 Hz in wrist velocity": Wanted(high=1.5, of_real=True),
    "feet in contact": Wanted(low=0.8, of_real=True),
    "slide in contact, cm/s": Wanted(high=1.0),
    "deepest foot below the floor, cm": Wanted(high=0.1, never=max),
    "hands inside the body": Wanted(high=0.005),
    "root drift, m a minute": Wanted(high=0.3),
    "joints outside their limits": Wanted(high=0.0005),
    "blinks a minute": Wanted(8, 30),
    "lips open in pauses": Wanted(high=0.1),
    "lips open on p, b, m": Wanted(high=0.1),
    "speed in digital silence, of speech": Wanted(0.005, 0.30),
    "speed in room noise, of speech": Wanted(0.005, 0.30),
}


def of_recording(motion: Motion, speech: Speech) -> Values:
    """Does the motion follow the speech? For all of a recording, of which every other place is compared with."""
    wrists = gesture.wrist_acceleration(_wrists(motion), motion.fps)
    energy = _heard(speech, len(motion), motion.fps)[:, prosody.ENERGY]
    values: Values = {"wrists follow the energy": Ratio(*gesture.follows(wrists, energy, motion.fps))}
    if motion.face is not None:
        samples = speech.resample(prosody.SAMPLE_RATE).samples
        envelope = prosody.energy_envelope(samples, len(motion), motion.fps)
        jaw = motion.face[:, skeleton.JAW_OPEN]
        values["jaw follows the energy"] = Ratio(*gesture.follows(jaw, envelope, motion.fps))
    return values


def of_motion(motion: Motion, speech: Speech, phones: Sequence[Phone] = ()) -> Values:
    """Measures of ten seconds of motion and their speech, and those of the lips what is said, if it is known."""
    fps = motion.fps
    heard = _heard(speech, len(motion), fps)
    speaking = prosody.band_decibels(heard, 100, 4000) > SPEAKING_DB
    transforms = transforms_of(motion)
    wrists = physics.wrists_in_chest(transforms)
    speed = gesture.wrist_speed(wrists, fps)
    faster, minutes = speed.max(axis=1), len(motion) / fps / 60
    syllables = find_syllables(heard, fps)
    stresses = syllables.frames[syllables.stressed]
    strokes = gesture.peaks(faster, fps) + 0.5  # a speed is that between two frames
    shuffled = [(stresses + shift) % len(motion) for shift in range(round(fps), len(motion) - round(fps), 7)]
    values: Values = {
        "stroke to stress, of shuffled": Ratio(
            gesture.stress_offset(strokes, stresses, fps),
            float(np.mean([gesture.stress_offset(strokes, other, fps) for other in shuffled])),
        ),
        "strokes a minute": len(strokes) / minutes,
        "peaks over 0.5 m/s a minute": len(gesture.peaks(faster, fps, 0.5)) / minutes,
        "peaks over 0.3 m/s a minute": len(gesture.peaks(faster, fps, 0.3)) / minutes,
        "wrist speed, m/s": float(speed.mean()),
        "wrist speed, 95th percentile, m/s": float(np.quantile(speed, 0.95)),
        "finger speed, rad/s": float(physics.angular_speed(motion.poses[:, skeleton.HANDS], fps).mean()),
        "left-right correlation": float(np.corrcoef(speed.T)[0, 1]) if speed.std(axis=0).min() > 0 else np.nan,
        "rest inside speech": gesture.rest_share(speed, speaking),
        "diversity, m": gesture.diversity(wrists),
        "wrist jerk, m/s^3": physics.mean_jerk(wrists, fps),
        "8-15 Hz in wrist velocity": physics.tremor_share(wrists, fps),
        "feet in contact": physics.contact_share(transforms.positions),
        "slide in contact, cm/s": physics.slide_cm_s(transforms.positions, fps),
        "deepest foot below the floor, cm": physics.below_floor_cm(transforms.positions),
        "hands inside the body": physics.hands_inside_share(transforms),
        "joints outside their limits": physics.limit_violation_share(motion.poses),
    }
    if motion.face is not None and motion.face.any():
        values["blinks a minute"] = face.num_blinks(motion.face) / minutes
        apart = face.lips_apart(motion.face)[face.pauses(speaking, fps)]
        values["lips open in pauses"] = Ratio(float(apart.sum()), len(apart))
        if phones:
            values["lips open on p, b, m"] = Ratio(*face.open_closures(motion.face, phones, fps))
    return values


def of_minute(motion: Motion) -> Values:
    """Measures that need more than ten seconds."""
    transforms = transforms_of(motion)
    return {
        "nearest other second, m": gesture.recurrence(physics.wrists_in_chest(transforms), motion.fps),
        "root drift, m a minute": physics.root_drift(transforms.positions[:, 0], motion.fps),
    }


def of_several(make: Make, excerpt: Excerpt) -> Values:
    """Measures that compare motions of a model: of another seed, and of the excerpt with silence in its middle."""
    motions = [make(excerpt), make(excerpt._replace(seed=excerpt.seed + 1000))]
    differ = gesture.strokes_that_differ(*(_wrists(motion) for motion in motions), fps=motions[0].fps)
    values: Values = {"strokes another seed does not make": differ}
    for name, pausing in interrupted(excerpt).items():
        speed = gesture.wrist_speed(_wrists(make(pausing)), FPS)
        begin = round(len(excerpt.speech.samples) // 2 / excerpt.speech.rate * FPS)
        silent = np.zeros(len(speed), bool)
        silent[begin : begin + round(SILENCE_S * FPS)] = True
        values[f"speed in {name}, of speech"] = Ratio(float(speed[silent].mean()), float(speed[~silent].mean()))
    return values


@cache
def interrupted(excerpt: Excerpt) -> dict[str, Excerpt]:
    """The excerpt with three seconds of silence in its middle: none at all, and that of a room."""
    speech = excerpt.speech
    level = float(np.sqrt(np.mean(speech.samples**2))) * 10 ** (ROOM_DB / 20)
    room = level * np.random.default_rng(excerpt.seed).standard_normal(round(SILENCE_S * speech.rate))
    middle = len(speech.samples) // 2
    middle_s = middle / speech.rate
    early = [phone for phone in excerpt.phones if phone.end_s <= middle_s]
    late = [Phone(p.text, p.start_s + SILENCE_S, p.end_s + SILENCE_S) for p in excerpt.phones if p.start_s >= middle_s]
    return {
        name: excerpt._replace(
            speech=Speech(np.insert(speech.samples, middle, quiet), speech.rate), phones=(*early, *late)
        )
        for name, quiet in (("digital silence", np.zeros_like(room)), ("room noise", room))
    }


@lru_cache(maxsize=2)
def transforms_of(motion: Motion) -> JointTransforms:
    """Of the mannequin. Several measures ask for those of one motion."""
    return joint_transforms(mannequin(), motion.poses, motion.translation)


@lru_cache(maxsize=2)
def _heard(speech: Speech, num_frames: int, fps: float) -> np.ndarray:
    return prosody.speech_features(speech.resample(prosody.SAMPLE_RATE).samples, num_frames, fps)


def _wrists(motion: Motion) -> np.ndarray:
    return physics.wrists_in_chest(transforms_of(motion))


def systems(pipeline: Pipeline) -> dict[str, Make]:
    """What is measured beside each other. "model" is what `cospeech generate` gives, which of published ones has no
    finish."""

    @cache
    def unfinished(excerpt: Excerpt) -> Motion:
        return pipeline.generate(excerpt.speech, seed=excerpt.seed, finish=False)

    def mean_pose(excerpt: Excerpt) -> Motion:
        motion = unfinished(excerpt)
        poses = np.broadcast_to(motion.poses.mean(axis=0), motion.poses.shape)
        return Motion(poses, np.broadcast_to(motion.translation.mean(axis=0), motion.translation.shape), motion.fps)

    return {
        "model": (lambda excerpt: finish(steady(unfinished(excerpt)))) if pipeline.config.finish else unfinished,
        "no finish": unfinished,
        "planted": lambda excerpt: synthetic.plant(excerpt.speech, (), excerpt.seed, excerpt.phones).motion,
        "mean pose": mean_pose,
    }


def measure(pipeline: Pipeline, speakers: Sequence[Voice], few: bool) -> dict[str, dict[str, Estimate]]:
    """System -> measure -> estimate, for voices of one kind.

    Args:
        few: There is little to hear of them: excerpts overlap, and excerpts and recordings are used with several seeds.
    """
    copies = COPIES if few else 1
    cuts = held_out.excerpts(speakers, HOP_S if few else EXCERPT_S, copies)
    whole = held_out.recordings(speakers, copies)
    talk = held_out.joined(speakers)  # minutes from four places, which are one with four seeds if it is no longer
    starts = np.linspace(0, max(talk.duration_s - 60, 0), 4).tolist()
    minutes = [Excerpt("", talk.cut(start, start + 60), seed) for seed, start in enumerate(starts)]
    found: dict[str, list[Values]] = {}
    for system, make in systems(pipeline).items():
        motions = [make(e) for e in track(cuts, f"{system}: excerpts")]
        found[system] = [of_motion(m, e.speech, e.phones) for m, e in zip(motions, cuts, strict=True)]
        longer = [make(e) for e in track(whole, f"{system}: recordings")]
        found[system] += [of_recording(m, e.speech) for m, e in zip(longer, whole, strict=True)]
        found[system] += [of_minute(make(minute)) for minute in minutes]
        if system == "model":
            others = [motions[j] for j in held_out.of_another_voice(cuts)]
            found["other speech"] = [of_motion(m, e.speech, e.phones) for m, e in zip(others, cuts, strict=True)]
            for j, e in zip(held_out.of_another_voice(whole), whole, strict=True):
                seconds = min(longer[j].duration_s, e.speech.duration_s)
                found["other speech"].append(of_recording(longer[j][:seconds], e.speech.cut(0, seconds)))
        if system != "mean pose":
            found[system] += [of_several(make, e) for e in track(cuts, f"{system}: seeds and silence")]
    return {
        system: {name: estimate([v[name] for v in values if name in v], WANTED[name].never) for name in WANTED}
        for system, values in found.items()
    }


def run(model: str, data: Path | None, out: Path | None, device: str = "cpu") -> None:
    """Print the tables, human and synthetic voices apart; with `out` write them as .json or .md as well."""
    if out and out.suffix not in (".json", ".md"):
        raise FormatError(f"{out}: the measures can be written as .json or .md.")
    if out:
        check_target(out)
    human = held_out.human_voices(data)
    pipeline = load_pipeline(model, device)
    spoken = held_out.synthetic_voices()
    real = real_measures()
    console = Console()
    if not console.is_terminal:  # a file is as wide as the table
        console = Console(width=240)
    results, lines = {}, []
    for kind, speakers in (("human", human), ("synthetic", spoken)):
        found = measure(pipeline, speakers, few=kind == "human")
        title = f"{model}: {kind} voices, {_described(speakers, few=kind == 'human')}"
        header, *rows = table(found, real)
        shown = Table(*header, title=title)
        for row in rows:
            shown.add_row(*row)
        console.print(shown)
        results[kind] = {system: {name: _plain(e) for name, e in of.items()} for system, of in found.items()}
        lines += [f"**{title}**", "", *markdown(header, rows), ""]
    if out:
        text = json.dumps({"model": model, "results": results}, indent=1, allow_nan=False) + "\n"
        with replacing(out) as path:
            path.write_text("\n".join(lines) if out.suffix == ".md" else text, encoding="utf-8")


def _described(speakers: Sequence[Voice], few: bool) -> str:
    cuts = held_out.excerpts(speakers, HOP_S if few else EXCERPT_S)
    text = f"{len(cuts)} excerpts of {len({cut.voice for cut in cuts})} voices"
    return f"{text}, each with {COPIES} seeds" if few else text


def _plain(found: Estimate) -> dict[str, float] | None:
    return None if np.isnan(found.value) else found._asdict()


def table(results: dict[str, dict[str, Estimate]], real: dict[str, float]) -> list[tuple[str, ...]]:
    """A header, then one row a measure: one column a system, what is wanted, and whether the model has it.

    Of what is `surely` wanted the low end of the interval decides as well. A measure that no system has on these
    excerpts, such as that of sounds where nobody wrote down the sounds, has no row.
    """
    rows = [("measure", *results, "real minute", "wanted", "")]
    for name in WANTED:
        if all(np.isnan(system[name].value) for system in results.values()):
            continue
        cells = [str(system[name]) for system in results.values()]
        text, passed = judged(name, results["model"][name], real)
        rows.append((name, *cells, f"{real[name]:.3g}" if name in real else "", text, "yes" if passed else "NO"))
    return rows


def judged(name: str, found: Estimate, real: dict[str, float]) -> tuple[str, bool]:
    """What is wanted of a measure, and whether it was found.

    Args:
        real: Measures of the real minute.
    """
    wanted = WANTED[name]
    scale = real.get(name, np.nan) if wanted.of_real else 1.0
    low, high = wanted.low * scale, wanted.high * scale
    least, most = f"at least {low:.3g}", f"at most {high:.3g}"
    text = most if np.isinf(low) else least if np.isinf(high) else f"{low:.3g} to {high:.3g}"
    text += "" if np.isinf(wanted.surely) else f", surely over {wanted.surely:.3g}"
    return text, low <= found.value <= high and found.low > wanted.surely


def markdown(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)]


def real_measures() -> dict[str, float]:
    return json.loads(REAL_MINUTE.read_text(encoding="utf-8"))["quality"]


def real_minute(folder: Path) -> dict[str, float]:
    """The measures of the real take: means over its excerpts of ten seconds.

    Args:
        folder: The BEAT2 sample.
    """
    speech = Speech.load(folder / "wave16k" / f"{beat2.REAL_MINUTE}.wav")
    motion = beat2.with_jaw(npz.read(folder / "smplxflame_30" / f"{beat2.REAL_MINUTE}.npz"))
    found = [
        of_motion(motion[start_s : start_s + EXCERPT_S], speech.cut(start_s, start_s + EXCERPT_S))
        for start_s in np.arange(0, motion.duration_s - EXCERPT_S, HOP_S)
    ]
    found += [of_recording(motion, speech), of_minute(motion)]
    estimates = {name: estimate([v[name] for v in found if name in v], WANTED[name].never).value for name in WANTED}
    return {name: round(value, 5) for name, value in estimates.items() if np.isfinite(value)}
