"""Measure a model on this machine. `cospeech bench` prints what this finds; how the motion looks: `quality`.

Comparisons with a real speaker use `real_minute.json`, measured on the BEAT2 take 2_scott_0_1_1 by

    python -m cospeech.recipes.bench --folder DATA/beat2_scott
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cospeech import prosody, skeleton
from cospeech.body import joint_positions, mannequin
from cospeech.data import beat2
from cospeech.files import load_motion, save
from cospeech.finish import finish, steady
from cospeech.motion import Motion
from cospeech.pipeline import Pipeline, load_pipeline
from cospeech.recipes import command, quality
from cospeech.speech import Speech

DURATIONS_S = (0.05, 1.0, 4.3, 63.53, 600.0)


class Measure(NamedTuple):
    name: str
    value: str
    wanted: str = ""
    passed: bool | None = None  # None where nothing is wanted


def run(model: str, audio: Path | None, device: str, hour: bool) -> None:
    """Print every measure as a row of a table, as soon as it is known."""
    table = Table("measure", "value", "wanted", "", title=f"{model} on {device}")
    with Live(table, console=Console(), refresh_per_second=2, vertical_overflow="visible"):
        for row in measure(model, audio, device, hour):
            table.add_row(row.name, row.value, row.wanted, {True: "yes", False: "NO", None: ""}[row.passed])


def measure(model: str | Path, audio: Path | None = None, device: str = "cpu", hour: bool = False) -> Iterator[Measure]:
    """See `cospeech bench --help`."""
    begun = time.perf_counter()
    pipeline = load_pipeline(model, device)
    yield Measure("load", f"{time.perf_counter() - begun:.2f} s")
    speech = Speech.load(audio or Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg")))
    minute = repeated(speech, 60.0)
    pipeline.generate(repeated(speech, 5.0))  # the first call is slower

    stages = stage_seconds(pipeline, minute)
    for stage, seconds in stages.items():
        yield Measure(f"one minute of speech: {stage}", f"{seconds:.2f} s")
    yield _at_least("one minute of speech: times real time", 60 / sum(stages.values()), 5)
    motion = pipeline.generate(minute)
    yield _at_least("frames filmed a second, 1280x720", films_a_second(motion[:4.0]), 15)
    cost = command_cost(model, device, repeated(speech, 10.0))
    yield _below("`cospeech generate` on 10 s in a new process", cost.seconds, 8, "s")
    if hour:
        short, long = (command_cost(model, device, repeated(speech, seconds)).peak_mb for seconds in (60.0, 3600.0))
        yield Measure("peak memory, one minute", f"{short:.0f} MB")
        yield _below("peak memory, one hour more than that", long - short, 1500, "MB")
    for duration_s in DURATIONS_S:
        cut = repeated(speech, duration_s)
        made, wanted = pipeline.generate(cut), pipeline.num_frames(cut)  # with quirks not all of it
        yield Measure(f"frames for {duration_s:g} s", str(len(made)), str(wanted), len(made) == wanted)
    for name, start_s in (("first", 0.0), ("last", DURATIONS_S[-1] - 20)) if pipeline.has_face else ():
        lag = jaw_lag_frames(made[start_s : start_s + 20], cut.cut(start_s, start_s + 20))
        value, passed = ("it does not move", False) if lag is None else (f"{lag} frames", abs(lag) <= 2)
        yield Measure(f"jaw behind the sound, {name} 20 s of {duration_s:g} s", value, "-2 to 2", passed)
    real = json.loads(quality.REAL_MINUTE.read_text())
    inside, seams = seam_steps(motion, pipeline)
    if len(seams):
        yield _below("largest joint step where windows meet", 100 * seams.max(), 100 * real["joint_step_q999_m"], "cm")
    yield Measure("largest joint step elsewhere", f"{inside.max() * 100:.1f} cm")
    yield from sensitivity(pipeline, speech)


def _at_least(name: str, value: float, limit: float) -> Measure:
    return Measure(name, f"{value:.1f}", f"{limit:g} or more", value >= limit)


def _below(name: str, value: float, limit: float, unit: str) -> Measure:
    return Measure(name, f"{value:.2f} {unit}", f"under {limit:g} {unit}", bool(value < limit))


def repeated(speech: Speech, seconds: float) -> Speech:
    """The recording again and again until it is exactly so long."""
    num_samples = round(seconds * speech.rate)
    return Speech(np.resize(speech.samples, num_samples), speech.rate)


def stage_seconds(pipeline: Pipeline, speech: Speech) -> dict[str, float]:
    """Wall seconds of features, of the network, of decoding, and of the finish where it is on."""
    num_frames = pipeline.num_frames(speech)
    with torch.inference_mode():
        marks = [time.perf_counter()]
        hearing = pipeline.hear(speech, num_frames)
        marks.append(time.perf_counter())
        inferred = pipeline.infer(hearing, num_frames)
        marks.append(time.perf_counter())
        motion = pipeline.decode(inferred, num_frames)
        marks.append(time.perf_counter())
        if pipeline.config.finish:
            finish(steady(motion))
            marks.append(time.perf_counter())
    return dict(zip(("speech features", "network", "decoding", "finish"), np.diff(marks).tolist(), strict=False))


def seam_steps(motion: Motion, pipeline: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Largest distance that a joint moves between frames, metres: inside windows, and where windows meet."""
    steps = joint_steps(motion)
    windows = pipeline.windows
    if windows is None:
        return steps, steps[:0]
    seams = np.arange(windows.window_frames, len(motion), windows.hop_frames) - 1
    near = np.unique(np.concatenate([seams + k for k in (-1, 0, 1)]).clip(0, len(steps) - 1))
    return np.delete(steps, near), steps[near]


def joint_steps(motion: Motion) -> np.ndarray:
    """(T - 1,) the largest distance that any joint moves from one frame to the next, metres."""
    joints = joint_positions(mannequin(), motion.poses, motion.translation)
    return np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(axis=-1)


def sensitivity(pipeline: Pipeline, speech: Speech) -> Iterator[Measure]:
    """What changes the motion and what does not: wrist distances in centimetres, root mean square."""
    base = pipeline.generate(speech, seed=0)

    def distance(speech: Speech, seed: int = 0) -> float:
        return 100 * wrist_distance_m(base, pipeline.generate(speech, seed=seed))

    again = distance(speech)
    yield Measure("wrists: same seed again", f"{again:.2f} cm", "0 cm", again == 0)
    backwards = Speech(speech.samples[::-1].copy(), speech.rate)
    others = {"the speech backwards": distance(backwards)}
    if pipeline.has_chance:
        others["another seed"] = distance(speech, 1)
    for name, value in others.items():
        yield Measure(f"wrists: {name}", f"{value:.2f} cm", "over 5 cm", value > 5)
    if pipeline.config.quirks:  # published models listen to the loudness, too
        return
    quiet = Speech(speech.samples * 10 ** (-30 / 20), speech.rate)
    yield _below("wrists: 30 dB quieter", distance(quiet), 2, "cm")
    yield _below("wrists: at 48 kHz", distance(speech.resample(48_000)), 2, "cm")


def jaw_lag_frames(motion: Motion, speech: Speech) -> int | None:
    """By how many frames the opening of the jaw follows the loudness: where they correlate best, within a second.

    None where one of them does not change.
    """
    energy = prosody.energy_envelope(speech.resample(prosody.SAMPLE_RATE).samples, len(motion), motion.fps)
    jaw = motion.face[:, skeleton.JAW_OPEN]
    if np.ptp(energy) == 0 or np.ptp(jaw) == 0:
        return None
    lags = range(-round(motion.fps), round(motion.fps) + 1)
    middle = slice(round(motion.fps), -round(motion.fps))
    match = [np.corrcoef(np.roll(jaw, -lag)[middle], energy[middle])[0, 1] for lag in lags]
    return lags[int(np.argmax(match))]


def films_a_second(motion: Motion) -> float:
    """Frames that are drawn and encoded a second."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        save(motion, Path(folder) / "film.mp4")
        return len(motion) / (time.perf_counter() - begun)


def wrist_distance_m(a: Motion, b: Motion) -> float:
    """Root mean square distance of the wrists of two motions of one length, metres."""
    wrists = [joint_positions(mannequin(), m.poses, m.translation)[:, skeleton.WRISTS] for m in (a, b)]
    return float(np.sqrt(np.mean(np.sum((wrists[0] - wrists[1]) ** 2, axis=-1))))


class Cost(NamedTuple):
    seconds: float  # wall
    peak_mb: float  # resident memory; 0 on Windows, which has no such figure


def command_cost(model: str | Path, device: str, speech: Speech) -> Cost:
    """What `cospeech generate` costs in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        wav, out = Path(folder) / "speech.wav", Path(folder) / "motion.npz"
        soundfile.write(wav, speech.samples, speech.rate)
        command = [sys.executable, "-m", "cospeech", "generate", str(wav), str(out), "--model", str(model)]
        command += ["--device", device]
        script = (
            "import subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "try:\n"
            "    import resource\n"
            "    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
            "except ImportError:  # on Windows\n"
            "    print(0)\n"
        )
        begun = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True)
        per_mb = 1024**2 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in kilobytes elsewhere
        return Cost(time.perf_counter() - begun, int(run.stdout) / per_mb)


def remake_real_minute(folder: Path) -> None:
    """Measure the real take and write `real_minute.json`.

    Args:
        folder: The BEAT2 sample, with `smplxflame_30` and `wave16k`.
    """
    motion = load_motion(folder / "smplxflame_30" / f"{beat2.REAL_MINUTE}.npz")
    measured = {
        "take": beat2.REAL_MINUTE,
        "joint_step_q999_m": round(float(np.quantile(joint_steps(motion), 0.999)), 4),
        "quality": quality.real_minute(folder),
    }
    Path(str(quality.REAL_MINUTE)).write_text(json.dumps(measured, indent=2) + "\n")
    print(f"wrote {quality.REAL_MINUTE}")


if __name__ == "__main__":
    command.run(remake_real_minute)
