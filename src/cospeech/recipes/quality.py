"""How good the motion of a model is: `cospeech bench --quality`.

Excerpts of ten seconds of voices that no starter learned from, human and synthetic apart, through the model and through
what it has to be compared with: the model without the finish, planted gestures, a person who does not move, the motion
of another excerpt, and the real minute. Every value comes with its 95 % interval from 1000 bootstrap samples of the
excerpts. What is wanted follows the real minute, of which `real_minute.json` holds every measure, remade by

    python -m cospeech.recipes.bench --folder DATA/beat2_scott
"""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cospeech import prosody, skeleton
from cospeech.body import joint_transforms, mannequin
from cospeech.data import beat2, synthetic, voices
from cospeech.errors import FormatError
from cospeech.formats import npz
from cospeech.formats.output import replacing
from cospeech.metrics import face, gesture, physics
from cospeech.motion import Motion
from cospeech.pipeline import Pipeline, load_pipeline
from cospeech.speech import Speech
from cospeech.syllables import find_syllables

REAL_MINUTE = files("cospeech.recipes") / "real_minute.json"
EXCERPT_S, HOP_S = 10.0, 2.0
MONOLOGUES = 60  # of which those of held-out voices are used
SILENCE_S = 3.0
SPEAKING_DB = -25.0  # of the voice's level
OPEN_JAW = 0.08


class Excerpt(NamedTuple):
    voice: str
    human: bool
    speech: Speech
    seed: int


class Ratio(NamedTuple):
    """Counts that are added up over excerpts before they are divided."""

    count: float
    of: float


Values = dict[str, float | Ratio]  # of one excerpt
Make = Callable[[Speech, int], Motion]  # from speech and seed


class Estimate(NamedTuple):
    value: float
    low: float  # 95 % interval
    high: float

    def __str__(self) -> str:
        return "" if np.isnan(self.value) else f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Wanted(NamedTuple):
    """Between two values, either of which may be open; `of_real`: they are multiples of the real minute's."""

    low: float = -np.inf
    high: float = np.inf
    of_real: bool = False


LIKE_REAL = Wanted(1 / 1.5, 1.5, of_real=True)
WANTED: dict[str, Wanted] = {  # in the order of the table
    "wrists follow the energy": Wanted(0.60, 0.85),
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
    "nearest other second, m": Wanted(low=0.03),
    "diversity, m": Wanted(low=0.7, of_real=True),
    "wrist jerk, m/s^3": Wanted(0.5, 1.5, of_real=True),
    "8-15 Hz in wrist velocity": Wanted(high=1.5, of_real=True),
    "feet in contact": Wanted(low=0.8, of_real=True),
    "slide in contact, cm/s": Wanted(high=1.0),
    "deepest foot below the floor, cm": Wanted(high=0.1),
    "hands inside the body": Wanted(high=0.005),
    "root drift, m a minute": Wanted(high=0.3),
    "joints outside their limits": Wanted(high=0.0005),
    "blinks a minute": Wanted(8, 30),
    "lips open in pauses": Wanted(high=0.1),
    "speed in digital silence, of speech": Wanted(0.005, 0.30),
    "speed in room noise, of speech": Wanted(0.005, 0.30),
}


def held_out(data: Path | None, seeds: Sequence[int] = (0, 1, 2)) -> list[Excerpt]:
    """Ten seconds at a time of voices that no starter was trained on.

    Args:
        data: Folder with `speech/librispeech`; None: of human voices only the recording in the package.
        seeds: Every human excerpt is used with each of them: there are few.
    """
    recordings = [("jfk", Speech.load(Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg"))))]
    for path in sorted((data / "speech" / "librispeech").glob("*.ogg")) if data else ():
        recordings.append((path.stem, Speech.load(path)))
    excerpts = []
    for voice, speech in recordings:
        for start_s in np.arange(0, speech.duration_s - EXCERPT_S + 1e-6, HOP_S):
            excerpts += [Excerpt(voice, True, speech.cut(start_s, start_s + EXCERPT_S), seed) for seed in seeds]
    for voice, speech, _ in voices.monologues(MONOLOGUES, seed=1):
        if voices.is_held_out(voice):
            for seed, start_s in enumerate(np.arange(0, speech.duration_s - EXCERPT_S, EXCERPT_S)):
                excerpts.append(Excerpt(voice, False, speech.cut(start_s, start_s + EXCERPT_S), seed))
    return excerpts


def of_motion(motion: Motion, speech: Speech) -> Values:
    """Every measure that needs one motion and its speech."""
    fps = motion.fps
    samples = speech.resample(prosody.SAMPLE_RATE).samples
    heard = prosody.speech_features(samples, len(motion), fps)
    speaking = prosody.band_decibels(heard, 100, 4000) > SPEAKING_DB
    transforms = joint_transforms(mannequin(), motion.poses, motion.translation)
    wrists = physics.wrists_in_chest(transforms)
    speed = gesture.wrist_speed(wrists, fps)
    faster, minutes = speed.max(axis=1), len(motion) / fps / 60
    syllables = find_syllables(heard, fps)
    stresses = syllables.frames[syllables.stressed]
    strokes = gesture.peaks(faster, fps)
    shuffled = [(stresses + shift) % len(motion) for shift in range(round(fps), len(motion) - round(fps), 7)]
    values: Values = {
        "wrists follow the energy": Ratio(
            *gesture.follows(gesture.wrist_acceleration(wrists, fps), heard[:, prosody.ENERGY], fps)
        ),
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
    if motion.face is not None:
        jaw = motion.face[:, skeleton.JAW_OPEN]
        values["jaw follows the energy"] = Ratio(
            *gesture.follows(jaw, prosody.energy_envelope(samples, len(motion), fps), fps)
        )
        if motion.face.any():
            values["blinks a minute"] = face.num_blinks(motion.face) / minutes
            pauses = face.pauses(speaking, fps)
            values["lips open in pauses"] = Ratio(float((jaw[pauses] > OPEN_JAW).sum()), float(pauses.sum()))
    return values


def of_minute(motion: Motion) -> Values:
    """Measures that need more than ten seconds."""
    transforms = joint_transforms(mannequin(), motion.poses, motion.translation)
    return {
        "nearest other second, m": gesture.recurrence(physics.wrists_in_chest(transforms), motion.fps),
        "root drift, m a minute": physics.root_drift(transforms.positions[:, 0], motion.fps),
    }


def of_several(make: Make, excerpt: Excerpt) -> Values:
    """Measures that compare motions of a model: of another seed, and of the excerpt with silence in its middle."""
    wrists = [_wrists(make(excerpt.speech, excerpt.seed + more)) for more in (0, 1000)]
    values: Values = {"strokes another seed does not make": gesture.strokes_that_differ(*wrists, fps=30)}
    room = 3e-4 * np.random.default_rng(excerpt.seed).standard_normal(round(SILENCE_S * excerpt.speech.rate))
    for name, quiet in (("digital silence", np.zeros_like(room)), ("room noise", room)):
        values[f"speed in {name}, of speech"] = _speed_in_silence(make, excerpt, quiet)
    return values


def _speed_in_silence(make: Make, excerpt: Excerpt, quiet: np.ndarray) -> Ratio:
    """Mean wrist speed in three seconds that are put into the middle of the speech, and in the speech."""
    middle = len(excerpt.speech.samples) // 2
    samples = np.insert(excerpt.speech.samples, middle, quiet)
    motion = make(Speech(samples, excerpt.speech.rate), excerpt.seed)
    speed = gesture.wrist_speed(_wrists(motion), motion.fps)
    begin = round(middle / excerpt.speech.rate * motion.fps)
    silent = np.zeros(len(speed), bool)
    silent[begin : begin + round(SILENCE_S * motion.fps)] = True
    return Ratio(float(speed[silent].mean()), float(speed[~silent].mean()))


def _wrists(motion: Motion) -> np.ndarray:
    return physics.wrists_in_chest(joint_transforms(mannequin(), motion.poses, motion.translation))


def systems(pipeline: Pipeline) -> dict[str, Make]:
    """What is measured beside each other."""

    def mean_pose(speech: Speech, seed: int) -> Motion:
        motion = pipeline.generate(speech, seed=seed)
        poses = np.broadcast_to(motion.poses.mean(axis=0), motion.poses.shape)
        return Motion(poses, np.broadcast_to(motion.translation.mean(axis=0), motion.translation.shape), motion.fps)

    return {
        "model": lambda speech, seed: pipeline.generate(speech, seed=seed),
        "no finish": lambda speech, seed: pipeline.generate(speech, seed=seed, finish=False),
        "planted": lambda speech, seed: synthetic.plant(speech, (), seed).motion,
        "mean pose": mean_pose,
    }


def measure(pipeline: Pipeline, excerpts: Sequence[Excerpt]) -> dict[str, dict[str, Estimate]]:
    """System -> measure -> estimate, for excerpts of one kind of voices."""
    voice = Speech(
        np.concatenate([e.speech.resample(prosody.SAMPLE_RATE).samples for e in excerpts]), prosody.SAMPLE_RATE
    )
    starts = np.linspace(0, max(voice.duration_s - 60, 0), 4)
    found: dict[str, list[Values]] = {}
    for system, make in systems(pipeline).items():
        motions = [make(e.speech, e.seed) for e in track(excerpts, f"{system}: excerpts")]
        found[system] = [of_motion(m, e.speech) for m, e in zip(motions, excerpts, strict=True)]
        found[system] += [of_minute(make(voice.cut(start, start + 60), seed)) for seed, start in enumerate(starts)]
        if system == "model":
            others = [*motions[-1:], *motions[:-1]]
            found["other speech"] = [of_motion(m, e.speech) for m, e in zip(others, excerpts, strict=True)]
            found[system] += [of_several(make, e) for e in track(excerpts, f"{system}: seeds and silence")]
    return {
        system: {name: estimate([v[name] for v in values if name in v]) for name in WANTED}
        for system, values in found.items()
    }


def estimate(values: Sequence[float | Ratio]) -> Estimate:
    """Mean of values, or ratio of sums, and its 95 % interval by the bootstrap over excerpts (Efron 1979)."""
    pairs = np.array([v if isinstance(v, Ratio) else (v, 1.0) for v in values], float).reshape(-1, 2)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) == 0:
        return Estimate(np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(0).integers(len(pairs), size=(1000, len(pairs)))
    samples = pairs[drawn].sum(axis=1)
    samples = samples[:, 0] / np.maximum(samples[:, 1], 1e-12)
    middle = pairs.sum(axis=0)
    return Estimate(float(middle[0] / max(middle[1], 1e-12)), *np.quantile(samples, [0.025, 0.975]).tolist())


def run(model: str, data: Path | None, out: Path | None) -> None:
    """Print the tables, human and synthetic voices apart; with `out` write them as .json or .md as well."""
    if out and out.suffix not in (".json", ".md"):
        raise FormatError(f"{out}: the measures can be written as .json or .md.")
    pipeline = load_pipeline(model)
    real = json.loads(REAL_MINUTE.read_text(encoding="utf-8"))["quality"]
    excerpts = held_out(data)
    results, lines = {}, []
    for kind in ("human", "synthetic"):
        group = [excerpt for excerpt in excerpts if excerpt.human == (kind == "human")]
        results[kind] = measure(pipeline, group)
        speakers = len({excerpt.voice for excerpt in group})
        title = f"{model}: {kind} voices, {len(group)} excerpts of {speakers} speakers"
        header, *rows = table(results[kind], real)
        shown = Table(*header, title=title)
        for row in rows:
            shown.add_row(*row)
        Console().print(shown)
        lines += [f"**{title}**", "", *_markdown(header, rows), ""]
    if out:
        text = json.dumps({"model": model, "results": results}, indent=1) + "\n"
        with replacing(out) as path:
            path.write_text("\n".join(lines) if out.suffix == ".md" else text, encoding="utf-8")


def table(results: dict[str, dict[str, Estimate]], real: dict[str, float]) -> list[tuple[str, ...]]:
    """A header, then one row a measure: one column a system, what is wanted, and whether the model has it."""
    rows = [("measure", *results, "real minute", "wanted", "")]
    for name, wanted in WANTED.items():
        cells = [str(system[name]) for system in results.values()]
        scale = real.get(name, np.nan) if wanted.of_real else 1.0
        low, high = wanted.low * scale, wanted.high * scale
        least, most = f"at least {low:.3g}", f"at most {high:.3g}"
        text = most if np.isinf(low) else least if np.isinf(high) else f"{low:.3g} to {high:.3g}"
        passed = low <= results["model"][name].value <= high
        rows.append((name, *cells, f"{real[name]:.3g}" if name in real else "", text, "yes" if passed else "NO"))
    return rows


def _markdown(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)]


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
    found.append(of_minute(motion))
    estimates = {name: estimate([v[name] for v in found if name in v]).value for name in WANTED}
    return {name: round(value, 5) for name, value in estimates.items() if np.isfinite(value)}
