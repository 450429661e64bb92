"""What MambaTalk's published sizes cost on this machine: the published procedure and ours, with the same weights.

    python -m cospeech.recipes.bench_mambatalk
    python -m cospeech.recipes.bench_mambatalk --no-plain-path    # leaves out the slow side

The weights are random, but such that the codes vary: the cost is that of the released ones. "CPU s" are seconds of all
threads together for one second of motion; "of peak" compares GFLOP per CPU second with a product of two large matrices
on this machine. "Same codes" and "degrees" (the median difference of rotations) compare the first windows, each with
what it was told by the one before it. wav2vec 2.0 has a line of its own and does not count in "all".
"""

import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.live import Live
from rich.table import Table
from torch import Tensor

from cospeech import checkpoint as checkpoints
from cospeech import features, skeleton
from cospeech.checkpoint import Checkpoint
from cospeech.models import mambatalk
from cospeech.models.mambatalk import AUTOENCODERS, BODY, PARTS, MambaTalkConfig
from cospeech.nn.ssm import selective_scan
from cospeech.pipeline.mambatalk import ROWS, MambaTalkPipeline
from cospeech.quirks import MAMBATALK
from cospeech.recipes import bench_scan
from cospeech.recipes import plain_mambatalk as plain
from cospeech.recipes.bench import command_cost, repeated
from cospeech.recipes.timing import counted, cpu_seconds, peaks_gflop, random_state
from cospeech.rotation import axis_angle_to_matrix
from cospeech.speech import Speech
from cospeech.systems import MambaTalkModel
from cospeech.text import UNKNOWN
from cospeech.wav2vec2 import Recogniser

WINDOWS, COMPARED = 29, 8  # a minute; what the plain path has the patience for
_SCANNED = (1024, 512, *(1536,) * 7)  # channels of the scans of one window


class Row(NamedTuple):
    path: str
    stage: str
    gflop: float | None  # for a second of motion
    cpu_s: float
    of_peak: float | None
    same: str = ""  # codes, of those of the plain path
    degrees: str = ""


def main(plain_path: tyro.conf.FlagCreatePairsOff[bool] = True, threads: int | None = None) -> None:
    """Print the table.

    Args:
        plain_path: Also run the published procedure for some windows.
        threads: Of torch. Default: its own choice.
    """
    if threads:
        torch.set_num_threads(threads)
    peaks = peaks_gflop()
    shown = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads. Peak, GFLOP per CPU second: {shown}")
    states = random_states()
    table = Table("path", "stage", "GFLOP", "CPU s", "of peak", "same codes", "degrees")
    with Live(table, console=Console(), refresh_per_second=1):
        for row in measure(states, peaks, plain_path):
            gflop = "" if row.gflop is None else f"{row.gflop:.2f}"
            of_peak = "" if row.of_peak is None else f"{row.of_peak:.0%}"
            table.add_row(row.path, row.stage, gflop, f"{row.cpu_s:.3f}", of_peak, row.same, row.degrees)
    print(f"largest memory of `cospeech generate` for a minute of speech: {peak_mb(states):.0f} MB")


def measure(states: dict[str, dict[str, Tensor]], peaks: dict[str, float], plain_path: bool) -> Iterator[Row]:
    """The plain path if it is wanted, then the stages of the fast one in both precisions."""
    speech = spoken()
    body = None
    if plain_path:
        pipeline = MambaTalkPipeline(checkpoint(states))
        hearing = pipeline.hear(speech, COMPARED * 60 + 4)
        seed = pipeline.statistics["rest"]
        sound = hearing.sound
        last = len(sound.samples)
        of_samples = np.searchsorted(hearing.begins, np.arange(last), "right") - 1
        columns = sound.amplitude(0, last), hearing.characters[of_samples], sound.normalised(0, last)
        audio = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
        words = torch.full((COMPARED * 60 + 8,), UNKNOWN)
        made = []
        gflop, cpu_s, _ = counted(lambda: made.append(plain.generate(states, audio, words, 1, seed)))
        body, seconds = made[0], 2 * COMPARED
        share = gflop / cpu_s / peaks["float32"]
        yield Row("published", f"all of {COMPARED} windows", gflop / seconds, cpu_s / seconds, share)
    for precision, peak in peaks.items():
        yield from fast(MambaTalkPipeline(checkpoint(states), precision=precision), speech, precision, peak, body)


def fast(pipeline: MambaTalkPipeline, speech: Speech, path: str, peak: float, body: plain.Body | None) -> Iterator[Row]:
    num_frames = WINDOWS * 60 + 4
    made: dict = {}

    def hear():
        made["hearing"] = pipeline.hear(speech, num_frames)

    def encode():
        for _ in pipeline._heard(made["hearing"], WINDOWS):
            pass

    def choose():
        made["codes"] = pipeline.infer(made["hearing"], num_frames)

    def scan():
        for channels in _SCANNED:
            selective_scan(*scans[channels])

    def decode():
        made["motion"] = pipeline.decode(made["codes"], num_frames)

    seconds = num_frames / 30
    scans = {channels: bench_scan.inputs(1, pipeline.windows.window_frames, channels, 16) for channels in _SCANNED}
    total_gflop = total_s = 0.0
    for name, work, counts in (
        ("wav2vec 2.0, amplitude", hear, False),
        (f"sound and words, {ROWS} windows at once", encode, False),
        ("codes, the line above included", choose, True),
        ("decoding", decode, True),
    ):
        gflop, cpu_s, _ = counted(work)
        if counts:
            total_gflop, total_s = total_gflop + gflop, total_s + cpu_s
        yield Row(path, name, gflop / seconds, cpu_s / seconds, gflop / cpu_s / peak)
    scan_s = min(cpu_seconds(scan) for _ in range(10))
    yield Row(path, "of the codes, selective scans", None, scan_s / 2, None)
    same, degrees = "", ""
    if body is not None:
        frames = len(body.poses)
        equal = [(made["codes"][part][0, :frames].numpy() == body.codes[part]).mean() for part in PARTS]
        same, degrees = f"{np.mean(equal):.1%}", f"{median_degrees(made['motion'].poses[:frames], body.poses):.3f}"
    yield Row(path, "all", total_gflop / seconds, total_s / seconds, total_gflop / total_s / peak, same, degrees)


def median_degrees(a: np.ndarray, b: np.ndarray) -> float:
    """Of (T, 55, 3) poses, over the joints that move."""
    a, b = (axis_angle_to_matrix(each[:, skeleton.UPPER + skeleton.HANDS + skeleton.LOWER]) for each in (a, b))
    cosine = ((a * b).sum(axis=(-1, -2)) - 1) / 2
    return float(np.degrees(np.median(np.arccos(cosine.clip(-1, 1)))))


def peak_mb(states: dict[str, dict[str, Tensor]]) -> float:
    """Largest resident memory of `cospeech generate` for a minute of speech."""
    with TemporaryDirectory() as folder:
        checkpoints.save(checkpoint(states), Path(folder) / "model", torch.float32)
        return command_cost(Path(folder) / "model", "cpu", spoken()).peak_mb


def spoken() -> Speech:
    speech = Speech.load(Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg")))
    return repeated(speech, 60 * WINDOWS / 30 + 1)


@torch.inference_mode()
def random_states() -> dict[str, dict[str, Tensor]]:
    """Published state dicts; random networks have a favourite code, here what they say on average is taken off."""
    generator = torch.Generator().manual_seed(0)
    states = {"network": random_state(mambatalk.published_shapes(MambaTalkConfig()), generator)}
    for part, config in AUTOENCODERS.items():
        states[part] = random_state(mambatalk.published_autoencoder_shapes(config), generator)
    audio = torch.randn(34_112, 3, generator=generator) * torch.tensor([0.1, 10.0, 1.0])
    known = torch.randn(4, 337, generator=generator) / 2
    latents, logits = plain.window(states["network"], audio, torch.arange(64), 1, known)
    for part in BODY:
        states["network"][f"local_scan.{part}_classifier.mlp.2.bias"] -= logits[part].mean(dim=0)
    spread, mean = torch.std_mean(latents["face"], dim=0)
    codebook = states["face"]["quantizer.embedding.weight"]
    states["face"]["quantizer.embedding.weight"] = mean + spread * codebook * codebook.shape[1] ** 0.5
    return states


def checkpoint(states: dict[str, dict[str, Tensor]]) -> Checkpoint:
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    config = MambaTalkModel("mambatalk", "none", MambaTalkConfig(), dict(AUTOENCODERS), quirks=MAMBATALK)
    networks = config.build().eval().requires_grad_(False)
    networks.network.load_state_dict(mambatalk.rename_published(states["network"], config.network))
    for part, of_part in AUTOENCODERS.items():
        renamed = mambatalk.rename_published_autoencoder(states[part], of_part)
        networks.autoencoders[part].load_state_dict(renamed)
    torch.manual_seed(0)
    recogniser = Recogniser(Wav2Vec2ForCTC(Wav2Vec2Config()).eval().requires_grad_(False))
    statistics = {"rest": torch.from_numpy(features.standing(config.network.seed_frames))}
    return Checkpoint(config, networks, statistics, "# mambatalk\n", recogniser=recogniser)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    tyro.cli(main)
