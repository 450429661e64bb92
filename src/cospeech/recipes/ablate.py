"""What matters to a starter: denoisers of the upper body alone, trained briefly with one thing changed at a time.

    python -m cospeech.recipes.ablate --run runs/starter --out ablation.md

`--run` is the finished run of a starter (`cospeech train starter`), whose store and tokenizer are used. Every variant
follows voices that no starter was trained on and on which none is measured, so that what is chosen by this table is not
chosen by those. The table tells how well, as the column "no finish" of `cospeech bench --quality` would. Variants that
are trained already are not trained again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.progress import track
from safetensors.torch import load_file

from cospeech import prosody
from cospeech.checkpoint import Checkpoint
from cospeech.config import load_json
from cospeech.data.store import Store, write_store
from cospeech.data.stored import StoredClip
from cospeech.formats.output import check_target, replacing
from cospeech.guidance import GuidanceConfig
from cospeech.hearing import Hearing
from cospeech.metrics.interval import estimate
from cospeech.models.syntalker import DenoiserConfig
from cospeech.motion import Motion
from cospeech.pipeline import SynTalkerPipeline
from cospeech.recipes import command, diffusion, held_out, quality, starter, tokenizer
from cospeech.recipes.diffusion import TrainDiffusion, TrainedTokenizer
from cospeech.recipes.held_out import Excerpt
from cospeech.recipes.loop import Training, is_finished
from cospeech.recipes.tokenizer import TrainTokenizer
from cospeech.systems import SynTalkerModel, SynTalkerNetworks

PART = "upper"
MEASURES = (
    *("wrists follow the energy", "stroke to stress, of shuffled", "strokes a minute", "wrist speed, m/s"),
    *("wrist speed, 95th percentile, m/s", "rest inside speech", "wrist jerk, m/s^3"),
    "speed in digital silence, of speech",
)
EVERY = 4  # of the excerpts is also measured with another seed and with silence


@dataclass(frozen=True)
class Variant:
    name: str
    synthetic: float = 1.0  # share of the planted clips that are used
    columns: tuple[int, ...] | None = None  # of the speech features; None: all
    code_dim: int | None = None  # None: that of the starter
    beta: float = starter.BETA  # of the loss
    longer: float = 1.0  # factor on the training steps
    guidance: float = starter.GUIDANCE.speech
    steps: int = 25
    snap: bool = False  # latents to codes before they are decoded

    @property
    def trained_as(self) -> "Variant":
        """The variant whose training serves: how it is sampled and decoded does not matter in training."""
        return replace(self, name="", guidance=starter.GUIDANCE.speech, steps=25, snap=False)


VARIANTS = (
    Variant("as the starter"),
    Variant("half of the planted clips", synthetic=0.5),
    Variant("an eighth of the planted clips", synthetic=0.125),
    Variant("onset and energy alone", columns=(prosody.ENERGY, prosody.ONSET)),
    Variant("without log-mels", columns=(prosody.ENERGY, prosody.ONSET, prosody.PITCH, prosody.VOICING)),
    Variant("latents of 16 numbers", code_dim=16),
    Variant("latents of 64 numbers", code_dim=64),
    Variant("squared error", beta=5.0),
    Variant("half the training steps", longer=0.5),
    Variant("twice the training steps", longer=2.0),
    Variant("no guidance", guidance=1.0),
    Variant("guidance 2", guidance=2.0),
    Variant("guidance 4", guidance=4.0),
    Variant("latents snapped to codes", snap=True),
    Variant("10 diffusion steps", steps=10),
    Variant("50 diffusion steps", steps=50),
)


class _HardOfHearing(SynTalkerPipeline):
    """A pipeline whose model hears only some of the speech features; the others are zero, as in its training."""

    columns: tuple[int, ...] | None = None

    def hear(self, speech, num_frames: int) -> Hearing:
        hearing = super().hear(speech, num_frames)
        if self.columns is not None:
            hearing.features[:, [c for c in range(prosody.NUM_FEATURES) if c not in self.columns]] = 0
        return hearing


def ablate(run: Path, out: Path, steps: int = 2000, accelerator: str = "cpu") -> None:
    """Train what is missing, measure everything, write the table.

    Args:
        run: Finished run of a starter.
        out: Markdown file to write.
        steps: Training steps of each denoiser.
        accelerator: cpu, cuda, or auto.
    """
    check_target(out)
    talkers = held_out.synthetic_voices(held_out.FOR_CHOICES)
    excerpts, recordings = held_out.excerpts(talkers), held_out.recordings(talkers)
    lines = [f"| variant | {' | '.join(MEASURES)} |", f"|---|{'---|' * len(MEASURES)}"]
    for variant in VARIANTS:
        pipeline = train(variant, run, steps, accelerator)
        make = partial(_make, pipeline)
        values = [quality.of_motion(make(e), e.speech) for e in track(excerpts, variant.name)]
        values += [quality.of_recording(make(e), e.speech) for e in track(recordings, f"{variant.name}: recordings")]
        values += [quality.of_several(make, e) for e in track(excerpts[::EVERY], f"{variant.name}: silence")]
        cells = [str(estimate([v[name] for v in values if name in v])) for name in MEASURES]
        lines.append(f"| {variant.name} | {' | '.join(cells)} |")
        with replacing(out) as path:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _make(pipeline: SynTalkerPipeline, excerpt: Excerpt) -> Motion:
    return pipeline.generate(excerpt.speech, seed=excerpt.seed, finish=False)


def train(variant: Variant, run: Path, steps: int, accelerator: str) -> SynTalkerPipeline:
    """The variant as a pipeline for the upper body, trained now if it was not before."""
    trained = variant.trained_as
    first = next(other.name for other in VARIANTS if other.trained_as == trained)
    folder = run / "ablation" / first.replace(" ", "-")
    store = _store(trained, run, folder)
    of_part = run / PART
    base = load_json(TrainTokenizer, of_part / "config.json")
    code_dim = trained.code_dim or base.model.quantizer.code_dim
    if trained.code_dim is not None:
        of_part = folder / PART
        quantizer = replace(base.model.quantizer, code_dim=code_dim)
        config = replace(base, model=replace(base.model, quantizer=quantizer))
        if not is_finished(of_part, config, "tokenizer.safetensors"):
            tokenizer.train(config, of_part)
    model = replace(starter.DENOISER, parts=(PART,), code_dim=code_dim, style_dim=None)  # nothing is read here
    training = Training(round(steps * trained.longer), 32, lr=5e-4, accelerator=accelerator)
    shares = starter.of_speakers(starter.STARTERS[starter.made_as(run / "store")].shares["diffusion"])
    config = TrainDiffusion(store, {PART: of_part}, shares, model, training, variant.beta, starter.LOSS_WEIGHTS)
    if not is_finished(folder / "diffusion", config, "denoiser.safetensors"):
        diffusion.train(config, folder / "diffusion")
    return _pipeline(variant, model, TrainedTokenizer.load(of_part), folder, Store(run / "store"))


def _store(variant: Variant, run: Path, folder: Path) -> Path:
    if variant.synthetic == 1 and variant.columns is None:
        return run / "store"
    path = folder / "store"
    if not path.exists():
        write_store(path, _changed(Store(run / "store").clips("train"), variant))
    return path


def _changed(clips: Iterator[StoredClip], variant: Variant) -> Iterator[StoredClip]:
    planted = 0
    for clip in clips:
        if clip.info.source == "synthetic":
            planted += 1
            if planted % 16 >= 16 * variant.synthetic:
                continue
        speech = clip.speech.copy()
        if variant.columns is not None:
            speech[:, [c for c in range(speech.shape[1]) if c not in variant.columns]] = 0
        yield replace(clip, speech=speech)


def _pipeline(
    variant: Variant, model: DenoiserConfig, trained: TrainedTokenizer, folder: Path, store: Store
) -> SynTalkerPipeline:
    config = SynTalkerModel(
        name="ablation",
        licence="",
        denoiser=model,
        tokenizers={PART: trained.model.config},
        steps=variant.steps,
        snap=variant.snap,
        guidance=GuidanceConfig(speech=variant.guidance),
    )
    networks = SynTalkerNetworks(config)
    networks.denoiser.load_state_dict(load_file(folder / "diffusion" / "denoiser.safetensors"))
    networks.tokenizers[PART].load_state_dict(trained.model.state_dict())
    rest = starter.rest_latents(store, {PART: trained}, model)
    statistics = {f"{PART}.mean": trained.mean, f"{PART}.std": trained.std, "rest": rest}
    pipeline = _HardOfHearing(Checkpoint(config, networks.eval().requires_grad_(False), statistics))
    pipeline.columns = variant.columns
    return pipeline


if __name__ == "__main__":
    command.run(ablate)
