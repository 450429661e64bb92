"""`cospeech evaluate` and `cospeech compare`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from cospeech.cli.options import check_device
from cospeech.cli.progress import progress_bar
from cospeech.errors import ConfigError, FormatError


def evaluate(
    model: Annotated[str, arg(metavar="MODEL")],
    store: Annotated[Path, arg(metavar="STORE")],
    /,
    out: Path,
    protocol: Literal["corrected", "published"] = "corrected",
    split: Literal["train", "val", "test"] = "test",
    embedder: Path | None = None,
    body: Path | None = None,
    joint_speed: Path | None = None,
    upper: str = "",
    hands: str = "",
    lower: str = "",
    whole: str = "",
    strength: float = 1.0,
    timeline: str = "",
    seed: int = 0,
    steps: int | None = None,
    device: str = "cpu",
    workers: int | None = None,
    text_motion: Path | None = None,
    repetitions: int | None = None,
) -> None:
    """Generate the test clips of a store and measure them beside floor and ceiling. An interrupted run goes on.

    Examples: cospeech evaluate starter beat2.store --out results/starter;
    cospeech evaluate starter humanml3d.store --text-motion runs/tmr --out results/text

    Args:
        model: A released name, a checkpoint directory, or a hub id.
        store: Folder that `cospeech prepare` wrote.
        out: Folder for motions, report.json with every value, and report.html.
        protocol: published: as the papers' code generates and measures, mistakes and all, to set beside their numbers.
            corrected: without them. See docs/metrics.md.
        split: Which clips. One that the model was not trained on.
        embedder: For Fréchet distances: what `cospeech import embedder` or `cospeech train embedder` made.
        body: A SMPL-X file of your own whose joints and face are measured, as in the papers. Default: the shipped body.
        joint_speed: Mean speeds of joints that beat consistency asks for: BEAT2's mean_vel_smplxflame_30.npy, for
            published numbers, or what `cospeech statistics` wrote. Default: those of the store's clips for training.
        upper: As of `cospeech generate`, for every clip.
        hands: Likewise.
        lower: Likewise.
        whole: Likewise.
        strength: Likewise.
        timeline: Likewise.
        seed: Likewise.
        steps: Diffusion steps, instead of those of the protocol.
        device: cpu, cuda for all there are, cuda:1, ...
        workers: Processes that measure, and that generate on the CPU. Default: one for each core.
        text_motion: Also make motions from the captions of clips and measure how they fit (R-precision, FID, ...), in
            this text-motion space: the run of a `cospeech train tmr`, or a model that `cospeech import syntalker` made.
            The store then need not have speech.
        repetitions: How often a motion is made from each caption. Default: 20, as the protocol of HumanML3D has it.
    """
    import os

    from cospeech.cli.tables import print_table
    from cospeech.metrics.text import REPLICATIONS
    from cospeech.prompts import of_parts, read_timeline
    from cospeech.recipes import evaluate as evaluation
    from cospeech.recipes import report

    check_device(device)
    prompts = of_parts({"upper": upper, "hands": hands, "lower": lower, "whole": whole}, strength)
    prompts += read_timeline(timeline) if timeline else []
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: must be at least 1.")
    if repetitions is not None and (repetitions < 1 or text_motion is None):
        raise ConfigError(f"--repetitions {repetitions}: must be at least 1, and belongs to --text-motion.")
    settings = evaluation.Evaluate(
        model,
        store,
        out,
        protocol,
        split,
        embedder,
        body,
        joint_speed,
        seed,
        steps,
        tuple(prompts),
        device,
        workers or os.cpu_count() or 1,
        text_motion,
        repetitions or REPLICATIONS,
    )
    content = evaluation.run(settings, progress_bar)
    name = f"{content['model']['name']}, protocol {protocol}"
    if content["clips"]:
        print_table(report.rows(content), f"{name}, {len(content['clips'])} clips")
    if content["text"]:
        print_table(report.rows(content["text"]), f"{name}. {report.text_title(content['text'])}")
    for note in content["notes"]:
        print(f"note: {note}")
    print(f"wrote {out / 'report.html'} and {out / evaluation.REPORT}")


def compare(
    first: Annotated[Path, arg(metavar="A")],
    second: Annotated[Path, arg(metavar="B")],
    /,
    out: Path | None = None,
) -> None:
    """Set two evaluations of the same clips side by side, with a paired test.

    Example: cospeech compare results/starter results/mine

    Args:
        first: Folder of an evaluation.
        second: Folder of another one.
        out: Also write the table there, as .md.
    """
    from cospeech.cli.tables import print_table
    from cospeech.formats.output import replacing
    from cospeech.recipes import compare as comparing
    from cospeech.recipes.quality import markdown

    if out and out.suffix != ".md":
        raise FormatError(f"{out}: a comparison can be written as .md.")
    header, *rows = comparing.table(first, second)
    print_table([header, *rows])
    if out:
        with replacing(out) as path:
            path.write_text("\n".join(markdown(header, rows)) + "\n", encoding="utf-8")
        print(f"wrote {out}")
