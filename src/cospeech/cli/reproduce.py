"""`cospeech reproduce`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from cospeech.cli.download import accepted
from cospeech.cli.options import check_device
from cospeech.cli.progress import progress_bar


def reproduce(
    name: Annotated[Literal["syntalker-s", "syntalker-t", "mambatalk"], arg(metavar="NAME")],
    out: Annotated[Path, arg(metavar="OUT")],
    /,
    accept: bool = False,
    body: Path | None = None,
    device: str = "cpu",
    workers: int | None = None,
    steps: int | None = None,
    mirror: Annotated[str | None, arg(metavar="URL")] = None,
) -> None:
    """Download a published system and its test data, run it, and print the paper's row beside the measured one.

    Shows the licences first. An interrupted run goes on where it was. One folder can hold all three systems, which
    share the corpus.

    Example: cospeech reproduce mambatalk mambatalk-results --accept --body SMPLX_NEUTRAL_2020.npz

    Args:
        name: syntalker-s: speech alone. syntalker-t: the whole system, without a prompt. mambatalk.
        out: Folder for everything: downloads, store, model, and a report for each protocol.
        accept: Agree to the licences that are shown. Without it you are asked.
        body: Your own SMPL-X file, which the papers' joints and faces are of and nobody may pass on. Without it joints
            are those of the shipped body, and errors of the face are not measured.
        device: cpu, cuda for all there are, cuda:1, ...
        workers: Processes that prepare and measure. Default: one for each core.
        steps: Diffusion steps, fewer than published, to try it out. Not of mambatalk, which has none.
        mirror: Address that has everything under the same paths as the hosts, instead of them.
    """
    import os

    from cospeech.cli.tables import print_table
    from cospeech.recipes import reproduce as reproducing

    workers = os.cpu_count() or 1 if workers is None else workers
    config = reproducing.Reproduce(name, out, body, device, workers, steps, mirror)
    check_device(device)
    accepted(reproducing.choices(name), accept)
    rows = reproducing.run(config, progress_bar)
    paper = reproducing.PAPERS[name]
    print_table(rows, paper.row, width=160)
    print(f"the paper's numbers: {paper.certainty}")
    for note in reproducing.notes(config):
        print(f"note: {note}")
    for protocol in reproducing.PROTOCOLS:
        print(f"wrote {config.report(protocol) / 'report.html'}")
