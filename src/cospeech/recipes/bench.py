"""Measure a model on this machine. `cospeech bench` prints what this finds.

Comparisons with a real speaker use `real_minute.json`, measured on the BEAT2 take 2_scott_0_1_1 by

    python -m cospeech.recipes.bench --folder DATA/beat2_scott
"""

import json
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
import tyro
from rich.console import Console
from rich.table import Table

from cospeech import skeleton
from cospeech.body import joint_positions, joint_transforms, mannequin
from cospeech.files import load_motion
from cospeech.finish import stand
from cospeech.motion import Motion
from cospeech.pipeline import Pipeline, load_pipeline
from cospeech.speech import Speech

REAL_MINUTE = files("cospeech.recipes") / "real_minute.json"
DURATIONS_S = (0.05, 1.0, 4.3, 63.53, 600.0)


class Measure(NamedTuple):
    name: str
    value: str
    wanted: str = ""


def run(model: str, audio: Path | None, device: str, hour: bool) -> None:
    """Print every measure as a table."""
    table = Table("measure", "value", "wanted", title=f"{model} on {device}")
    for row in measure(model, audio, device, hour):
        table.add_row(*row)
    Console().print(table)


def measure(model: str | Path, audio: Path | None = None, device: str = "cpu", hour: bool = False) -> list[Measure]:
    """See `cospeech bench --help`."""
    begun = time.perf_counter()
    pipeline = load_pipeline(model, device)
    rows = [Measure("load", f"{time.perf_counter() - begun:.2f} s")]
    speech = Speech.load(audio or Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg")))
    minute = repeated(speech, 60.0)
    pipeline.generate(repeated(speech, 5.0))  # the first call is slower

    stages = stage_seconds(pipeline, minute)
    rows += [Measure(f"one minute of speech: {stage}", f"{seconds:.2f} s") for stage, seconds in stages.items()]
    rows.append(Measure("one minute of speech: times real time", f"{60 / sum(stages.values()):.1f}", "5 or more"))
    cost = command_cost(model, repeated(speech, 10.0))
    rows.append(Measure("`cospeech generate` on 10 s in a new process", f"{cost.seconds:.1f} s", "under 8 s"))
    if hour:
        short, long = (command_cost(model, repeated(speech, seconds)).peak_mb for seconds in (60.0, 3600.0))
        rows.append(Measure("peak memory, one minute", f"{short:.0f} MB"))
        rows.append(Measure("peak memory, one hour more than that", f"{long - short:.0f} MB", "1500 MB or less"))
    for duration_s in DURATIONS_S:
        cut = repeated(speech, duration_s)
        wanted = cut.num_frames(pipeline.config.fps)
        rows.append(Measure(f"frames for {duration_s:g} s", str(len(pipeline.generate(cut))), str(wanted)))
    real = json.loads(REAL_MINUTE.read_text())
    inside, seams = seam_steps(pipeline.generate(minute), pipeline)
    limit = f"{real['joint_step_q999_m'] * 100:.1f} cm or less"
    rows.append(Measure("largest joint step where windows meet", f"{seams.max() * 100:.1f} cm", limit))
    rows.append(Measure("largest joint step elsewhere", f"{inside.max() * 100:.1f} cm"))
    return rows + sensitivity(pipeline, speech) + [in_silence(pipeline, speech)]


def repeated(speech: Speech, seconds: float) -> Speech:
    """The recording again and again until it is exactly so long."""
    num_samples = round(seconds * speech.rate)
    return Speech(np.resize(speech.samples, num_samples), speech.rate)


def stage_seconds(pipeline: Pipeline, speech: Speech) -> dict[str, float]:
    """Wall seconds of features, sampling, decoding and finish."""
    num_frames = speech.num_frames(pipeline.config.fps)
    with torch.inference_mode():
        marks = [time.perf_counter()]
        heard = pipeline.hear(speech, num_frames)
        marks.append(time.perf_counter())
        latents = torch.cat(list(pipeline.sample_windows(heard, 0, pipeline.config.steps)), dim=1)
        marks.append(time.perf_counter())
        motion = pipeline.decode(latents, num_frames)
        marks.append(time.perf_counter())
        stand(motion)
        marks.append(time.perf_counter())
    return dict(zip(("speech features", "sampling", "decoding", "finish"), np.diff(marks).tolist(), strict=True))


def seam_steps(motion: Motion, pipeline: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Largest distance that a joint moves between frames, metres: inside windows, and where windows meet."""
    steps = joint_steps(motion)
    config = pipeline.config.denoiser
    hop = config.window_frames - config.seed_frames
    seams = np.arange(config.window_frames, len(motion), hop) - 1
    near = np.unique(np.concatenate([seams + k for k in (-1, 0, 1)]).clip(0, len(steps) - 1))
    return np.delete(steps, near), steps[near]


def joint_steps(motion: Motion) -> np.ndarray:
    """(T - 1,) the largest distance that any joint moves from one frame to the next, metres."""
    joints = joint_positions(mannequin(), motion.poses, motion.translation)
    return np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(axis=-1)


def sensitivity(pipeline: Pipeline, speech: Speech) -> list[Measure]:
    """What changes the motion and what does not: wrist distances in centimetres, root mean square."""
    base = pipeline.generate(speech, seed=0)
    quiet = Speech(speech.samples * 10 ** (-30 / 20), speech.rate)
    backwards = Speech(speech.samples[::-1].copy(), speech.rate)

    def row(name: str, motion: Motion, wanted: str) -> Measure:
        return Measure(f"wrists: {name}", f"{wrist_distance_m(base, motion) * 100:.2f} cm", wanted)

    return [
        row("same seed again", pipeline.generate(speech, seed=0), "0"),
        row("another seed", pipeline.generate(speech, seed=1), "over 5 cm"),
        row("the speech backwards", pipeline.generate(backwards, seed=0), "over 5 cm"),
        row("30 dB quieter", pipeline.generate(quiet, seed=0), "under 2 cm"),
        row("at 48 kHz", pipeline.generate(speech.resample(48_000), seed=0), "under 2 cm"),
    ]


def in_silence(pipeline: Pipeline, speech: Speech) -> Measure:
    """Mean wrist speed in six seconds of silence after the speech, as a share of that in the speech."""
    silence = np.zeros(6 * speech.rate, np.float32)
    motion = pipeline.generate(Speech(np.concatenate([speech.samples, silence]), speech.rate))
    speed = np.linalg.norm(np.diff(wrists_in_chest(motion), axis=0), axis=-1).mean(axis=-1)
    end = round(speech.duration_s * motion.fps)
    share = speed[end + round(motion.fps) :].mean() / speed[:end].mean()  # a second to come to rest
    return Measure("wrist speed in silence, share of that in speech", f"{share:.2f}", "under 0.5")


def wrists_in_chest(motion: Motion) -> np.ndarray:
    """(T, 2, 3) left and right wrist in the frame of the chest, metres."""
    transforms = joint_transforms(mannequin(), motion.poses, motion.translation)
    chest = skeleton.INDEX["spine3"]
    offset = transforms.positions[:, skeleton.WRISTS] - transforms.positions[:, [chest]]
    return np.einsum("tji,tkj->tki", transforms.rotations[:, chest], offset)


def wrist_distance_m(a: Motion, b: Motion) -> float:
    """Root mean square distance of the wrists of two motions of one length, metres."""
    wrists = [joint_positions(mannequin(), m.poses, m.translation)[:, skeleton.WRISTS] for m in (a, b)]
    return float(np.sqrt(np.mean(np.sum((wrists[0] - wrists[1]) ** 2, axis=-1))))


class Cost(NamedTuple):
    seconds: float  # wall
    peak_mb: float  # resident memory


def command_cost(model: str | Path, speech: Speech) -> Cost:
    """What `cospeech generate` costs in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        wav, out = Path(folder) / "speech.wav", Path(folder) / "motion.npz"
        soundfile.write(wav, speech.samples, speech.rate)
        command = [sys.executable, "-m", "cospeech", "generate", str(wav), str(out), "--model", str(model)]
        script = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        begun = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True)
        per_mb = 1024**2 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in kilobytes elsewhere
        return Cost(time.perf_counter() - begun, int(run.stdout) / per_mb)


def remake_real_minute(folder: Path) -> None:
    """Measure the real take and write `real_minute.json`.

    Args:
        folder: The BEAT2 sample, with `smplxflame_30/2_scott_0_1_1.npz`.
    """
    motion = load_motion(folder / "smplxflame_30" / "2_scott_0_1_1.npz")
    measured = {"take": "2_scott_0_1_1", "joint_step_q999_m": round(float(np.quantile(joint_steps(motion), 0.999)), 4)}
    Path(str(REAL_MINUTE)).write_text(json.dumps(measured, indent=2) + "\n")
    print(f"wrote {REAL_MINUTE}")


if __name__ == "__main__":
    tyro.cli(remake_real_minute)
