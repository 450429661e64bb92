"""What SynTalker's published sizes cost on this machine: the published procedure and ours, with the same weights.

    python -m cospeech.recipes.bench_syntalker
    python -m cospeech.recipes.bench_syntalker --no-plain-path    # leaves out the slow side

The weights are random: the cost is that of the released ones. "CPU s" are seconds of all threads together for one
second of motion; "of peak" compares GFLOP per CPU second with a product of two large matrices on this machine.
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

from cospeech import waveform
from cospeech.checkpoint import Checkpoint
from cospeech.guidance import Guidance, GuidanceConfig, Styled, mixed
from cospeech.models import syntalker, tokenizer
from cospeech.nn import sampling
from cospeech.pipeline import SynTalkerPipeline
from cospeech.recipes import plain_syntalker as plain
from cospeech.recipes.bench import repeated
from cospeech.recipes.timing import counted, peaks_gflop, random_state
from cospeech.released.syntalker import SYSTEMS, System
from cospeech.speech import Speech
from cospeech.systems import SynTalkerModel, SynTalkerNetworks

STEPS = 50
FAST_WINDOWS = 4
STYLED = {"S": (), "T": ("upper",)}  # the parts that follow a prompt


class Stage(NamedTuple):
    """Needs the results of the stages before it; returns those latents that are compared."""

    name: str
    work: Callable[[], Tensor | None]
    inside: bool = False  # of another stage: counts once


class Row(NamedTuple):
    system: str
    path: str
    stage: str
    gflop: float  # for a second of motion
    cpu_s: float
    of_peak: float
    difference: str = ""  # of the sampled latents from those of the plain path


def main(plain_path: tyro.conf.FlagCreatePairsOff[bool] = True, threads: int | None = None) -> None:
    """Print the table.

    Args:
        plain_path: Also run the published procedure: some minutes.
        threads: Of torch. Default: its own choice.
    """
    if threads:
        torch.set_num_threads(threads)
    peaks = peaks_gflop()
    shown = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads. Peak, GFLOP per CPU second: {shown}")
    table = Table("system", "path", "stage", "GFLOP", "CPU s", "of peak", "latents differ")
    with Live(table, console=Console(), refresh_per_second=1):
        for system in SYSTEMS:
            for row in measure(system, peaks, plain_path):
                row = (*row[:3], f"{row.gflop:.2f}", f"{row.cpu_s:.3f}", f"{row.of_peak:.0%}", row.difference)
                table.add_row(*row)


def measure(system: str, peaks: dict[str, float], plain_path: bool) -> Iterator[Row]:
    """The plain path if it is wanted, the stages of the fast one in both precisions, then one window in all steps."""
    this = SYSTEMS[system]
    states = random_states(this)
    pipelines = {precision: SynTalkerPipeline(checkpoint(this, states), precision=precision) for precision in peaks}
    speech = Speech.load(Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg")))
    hop = this.denoiser.hop_frames
    num_frames = FAST_WINDOWS * hop + this.denoiser.seed_frames
    speech = repeated(speech, num_frames / 30)
    styles = {part: torch.randn(256, generator=torch.Generator().manual_seed(1)) for part in STYLED[system]}
    always = torch.ones(this.denoiser.window_steps)
    styled = {part: [Styled(style, 1.0, always)] for part, style in styles.items()}
    guidance = mixed(this.denoiser, GuidanceConfig(), styled)

    def follow(_: int) -> Guidance:
        return guidance

    paths = {precision: stages(pipeline, speech, num_frames, follow) for precision, pipeline in pipelines.items()}
    lasting = dict.fromkeys(paths, num_frames / 30)
    if plain_path:
        paths = {"published": plain_stages(this, states, pipelines["float32"], speech, styles)} | paths
        lasting["published"] = hop / 30  # what a window adds
    plain_latents = None
    for path, its_stages in paths.items():
        peak, seconds = peaks.get(path, peaks["float32"]), lasting[path]
        total_gflop, total_s = 0.0, 0.0
        for stage in its_stages:
            gflop, cpu_s, latents = counted(stage.work)
            if not stage.inside:
                total_gflop, total_s = total_gflop + gflop, total_s + cpu_s
            difference = ""
            if latents is not None and path == "published":
                plain_latents = latents
            elif latents is not None and plain_latents is not None:
                difference = f"{(latents - plain_latents).abs().max() / plain_latents.abs().max():.1e}"
            share = gflop / cpu_s / peak
            yield Row(system, path, stage.name, gflop / seconds, cpu_s / seconds, share, difference)
        share = total_gflop / total_s / peak
        yield Row(system, path, "all", total_gflop / seconds, total_s / seconds, share)
    hearing, seconds = pipelines["float32"].hear(speech, num_frames), hop / 30
    all_steps = this.denoiser.num_timesteps

    def all_steps_of_one_window():
        return next(pipelines["float32"].sample_windows(hearing, 1, 0, all_steps, "ddpm", follow))

    gflop, cpu_s, _ = counted(all_steps_of_one_window)
    share = gflop / cpu_s / peaks["float32"]
    yield Row(system, "float32", f"sampling one window, DDPM {all_steps}", gflop / seconds, cpu_s / seconds, share)


def stages(
    pipeline: SynTalkerPipeline, speech: Speech, num_frames: int, follow: Callable[[int], Guidance]
) -> Iterator[Stage]:
    """Of one generation."""
    made = {}

    def hear():
        made["hearing"] = pipeline.hear(speech, num_frames)

    def sample():
        windows = pipeline.sample_windows(made["hearing"], FAST_WINDOWS, 0, STEPS, "ddim", follow)
        made["latents"] = torch.cat(list(windows), dim=1)
        return made["latents"][0, : config.window_steps] / config.latent_scale

    def encode():
        for i in range(FAST_WINDOWS):
            heard = made["hearing"].window(i * config.hop_frames)
            pipeline.denoiser.encode_speech(heard.audio, heard.words)

    def decode():
        pipeline.decode_vectors(made["latents"], num_frames)

    config = pipeline.config.denoiser
    yield Stage("amplitude, onsets", hear)
    yield Stage("speech encoder", encode, inside=True)
    yield Stage(f"sampling, DDIM {STEPS}, speech encoder included", sample)
    yield Stage("quantising, decoding", decode)


def plain_stages(
    this: System, states: dict, pipeline: SynTalkerPipeline, speech: Speech, styles: dict[str, Tensor]
) -> Iterator[Stage]:
    """Of the published procedure for one window, from the same noise as the fast path's first window."""
    hearing = pipeline.hear(speech, this.denoiser.window_frames)
    heard = hearing.window(0)
    by_number = {this.denoiser.parts.index(part): style for part, style in styles.items()}
    shape = (this.denoiser.window_steps, this.denoiser.channels)
    made = {}

    def hear():
        hop_s = this.denoiser.hop_frames / 30  # what a window adds
        plain.amplitude(hearing.sound.samples[: round(hop_s * waveform.SAMPLE_RATE)])
        waveform.onset_frames(hearing.sound.samples[: round(hop_s * waveform.SAMPLE_RATE)])

    def encode():
        for _ in range(STEPS * (1 if this.denoiser.style_dim is None else 3 * plain.PARTS)):
            plain.encode_speech(states["denoiser"], heard.audio[0], heard.words[0])

    def sample() -> Tensor:
        noise = (n[0] for n in sampling.normals((1, *shape), torch.Generator().manual_seed(0)))
        seed = pipeline.statistics["rest"]
        predict = plain.guided(states["denoiser"], by_number, seed, heard.audio[0], heard.words[0])
        made["latents"] = plain.ddim(predict, noise, STEPS)
        return made["latents"]

    def decode():
        latents = made["latents"][this.denoiser.seed_steps :].chunk(plain.PARTS, dim=1)
        for part, of_part in zip(this.denoiser.parts, latents, strict=True):
            plain.decode(states[part], of_part)

    yield Stage("amplitude, onsets", hear)
    yield Stage("speech encoder, at every step", encode, inside=True)
    yield Stage(f"sampling, DDIM {STEPS}, speech encoder included", sample)
    yield Stage("quantising, decoding", decode)


def random_states(this: System) -> dict[str, dict[str, Tensor]]:
    """State dicts in the published layout."""
    generator = torch.Generator().manual_seed(0)
    states = {"denoiser": random_state(syntalker.published_shapes(this.denoiser), generator)}
    return states | {
        part: random_state(tokenizer.published_shapes(config), generator) for part, config in this.tokenizers.items()
    }


def checkpoint(this: System, states: dict[str, dict[str, Tensor]]) -> Checkpoint:
    config = SynTalkerModel(
        this.name, "none", this.denoiser, dict(this.tokenizers), finish=False, motion=this.motion, quirks=this.quirks
    )
    networks = SynTalkerNetworks(config).eval().requires_grad_(False)
    networks.denoiser.load_state_dict(syntalker.rename_published(states["denoiser"], this.denoiser))
    statistics = {"rest": torch.zeros(this.denoiser.seed_steps, this.denoiser.channels)}
    for part, of_part in this.tokenizers.items():
        networks.tokenizers[part].load_state_dict(tokenizer.rename_published(states[part], of_part))
        channels = config.channels(part)
        statistics |= {f"{part}.mean": torch.zeros(channels), f"{part}.std": torch.ones(channels)}
    return Checkpoint(config, networks, statistics)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    tyro.cli(main)
