"""What MambaTalk's published sizes cost on this machine: the published procedure and ours, with the same weights.

    python -m cospeech.recipes.bench_mambatalk
    python -m cospeech.recipes.bench_mambatalk --no-plain-path    # leaves out the slow side

The weights are random: the cost is that of the released ones. "CPU s" are seconds of all threads together for one
second of motion; "of peak" compares GFLOP per CPU second with a product of two large matrices on this machine. What
wav2vec 2.0 costs is not in it, but in a line of its own.
"""

import os
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch
import tyro
from rich.console import Console
from rich.live import Live
from rich.table import Table
from torch import Tensor

from cospeech import features
from cospeech.checkpoint import Checkpoint
from cospeech.models import mambatalk
from cospeech.models.mambatalk import AUTOENCODERS, BODY, PARTS, MambaTalkConfig
from cospeech.nn.ssm import selective_scan
from cospeech.pipeline import MambaTalkPipeline
from cospeech.quirks import MAMBATALK
from cospeech.recipes import bench_scan
from cospeech.recipes import plain_mambatalk as plain
from cospeech.recipes.bench import repeated
from cospeech.recipes.timing import counted, cpu_seconds, peaks_gflop, random_state
from cospeech.speech import Speech
from cospeech.systems import MambaTalkModel
from cospeech.wav2vec2 import Recogniser

WINDOWS = 29  # a minute
_SCANNED = (1024, 512, *(1536,) * 7)  # channels of the scans of one window


class Row(NamedTuple):
    path: str
    stage: str
    gflop: float  # for a second of motion
    cpu_s: float
    of_peak: float
    same: str = ""  # how much of the plain path's result


def main(plain_path: tyro.conf.FlagCreatePairsOff[bool] = True, threads: int | None = None) -> None:
    """Print the tables.

    Args:
        plain_path: Also run the published procedure for some windows.
        threads: Of torch. Default: its own choice.
    """
    if threads:
        torch.set_num_threads(threads)
    peaks = peaks_gflop()
    shown = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads. Peak, GFLOP per CPU second: {shown}")
    table = Table("path", "stage", "GFLOP", "CPU s", "of peak", "same codes")
    with Live(table, console=Console(), refresh_per_second=1):
        for row in measure(peaks, plain_path):
            table.add_row(*row[:2], f"{row.gflop:.2f}", f"{row.cpu_s:.3f}", f"{row.of_peak:.0%}", row.same)


def measure(peaks: dict[str, float], plain_path: bool) -> Iterator[Row]:
    """The plain path if it is wanted, then the stages of the fast one in both precisions."""
    generator = torch.Generator().manual_seed(0)
    states = {"network": random_state(mambatalk.published_shapes(MambaTalkConfig()), generator)}
    for part, config in AUTOENCODERS.items():
        states[part] = random_state(mambatalk.published_autoencoder_shapes(config), generator)
    speech = Speech.load(Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg")))
    speech = repeated(speech, 60 * WINDOWS / 30 + 1)
    reference = None
    if plain_path:
        pipeline = make(states, "float32")
        hearing = pipeline.hear(speech, 64)
        heard = hearing.window(0)
        known = pipeline.statistics["rest"]

        def plain_window() -> Tensor:
            latents, logits = plain.window(states["network"], heard.audio[0], heard.words[0], 1, known)
            codes = {part: logits[part].argmax(dim=1) for part in BODY}
            codes["face"] = plain.nearest(states["face"], latents["face"])
            plain.last_frames({part: plain.decode(states[part], codes[part]) for part in BODY}, known)
            return torch.stack([codes[part] for part in PARTS])

        gflop, cpu_s, reference = counted(plain_window)
        yield Row("published", "one window", gflop / 2, cpu_s / 2, gflop / cpu_s / peaks["float32"])
    for precision, peak in peaks.items():
        yield from fast(make(states, precision), speech, precision, peak, reference)


def fast(
    pipeline: MambaTalkPipeline, speech: Speech, path: str, peak: float, reference: Tensor | None
) -> Iterator[Row]:
    num_frames = WINDOWS * 60 + 4
    made: dict = {}

    def hear():
        made["hearing"] = pipeline.hear(speech, num_frames)

    def encode():
        for _ in pipeline._heard(made["hearing"], WINDOWS):
            pass

    def choose() -> Tensor:
        windows = list(pipeline.choose_windows(made["hearing"], WINDOWS))
        made["codes"] = {part: torch.cat([window[part] for window in windows], dim=1) for part in PARTS}
        return torch.cat([windows[0][part] for part in PARTS])

    def decode():
        made["motion"] = pipeline.decode(made["codes"], num_frames)

    def scan():
        for channels in _SCANNED:
            selective_scan(*scans[channels])

    scans = {channels: bench_scan.inputs(1, pipeline.windows.window_frames, channels, 16) for channels in _SCANNED}
    stages: list[tuple[str, Callable[[], Tensor | None], bool]] = [
        ("amplitude, wav2vec 2.0 of a hundredth of its size", hear, False),
        ("sound and words, 8 windows at once", encode, True),
        ("codes, the line above included", choose, False),
        ("decoding", decode, False),
    ]
    seconds = num_frames / 30
    total_gflop = total_s = 0.0
    for name, work, inside in stages:
        gflop, cpu_s, codes = counted(work)
        if not inside:
            total_gflop, total_s = total_gflop + gflop, total_s + cpu_s
        same = f"{(codes == reference).float().mean():.1%}" if codes is not None and reference is not None else ""
        yield Row(path, name, gflop / seconds, cpu_s / seconds, gflop / cpu_s / peak, same)
    scan_s = min(cpu_seconds(scan) for _ in range(10))
    yield Row(path, "of the codes, selective scans", 0, scan_s / 2, 0)
    yield Row(path, "all", total_gflop / seconds, total_s / seconds, total_gflop / total_s / peak)


def make(states: dict[str, dict[str, Tensor]], precision: str) -> MambaTalkPipeline:
    config = MambaTalkModel("mambatalk", "none", MambaTalkConfig(), dict(AUTOENCODERS), quirks=MAMBATALK)
    networks = config.build().eval().requires_grad_(False)
    networks.network.load_state_dict(mambatalk.rename_published(states["network"], config.network))
    for part, of_part in AUTOENCODERS.items():
        renamed = mambatalk.rename_published_autoencoder(states[part], of_part)
        networks.autoencoders[part].load_state_dict(renamed)
    statistics = {"rest": torch.from_numpy(features.standing(4))}
    checkpoint = Checkpoint(config, networks, statistics, recogniser=_small_recogniser())
    return MambaTalkPipeline(checkpoint, precision=precision)


def _small_recogniser() -> Recogniser:
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = Wav2Vec2Config(conv_dim=(8,) * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, **sizes)
    torch.manual_seed(0)
    return Recogniser(Wav2Vec2ForCTC(config).eval().requires_grad_(False))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    tyro.cli(main)
