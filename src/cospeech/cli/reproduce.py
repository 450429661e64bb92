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

    Shows the licences first. An interrupted run goes on where it was.

    Example: cospeech reproduce mambatalk mambatalk-results --accept --body SMPLX_NEUTRAL_2020.npz

    Args:
        name: syntalker-s: speech alone. syntalker-t: the whole system, without a prompt. mambatalk.
        out: Folder for everything: downloads, model, store, and a report for each protocol.
        accept: Agree to the licences that are shown. Without it you are asked.
        body: Your own SMPL-X file, which the papers' joints and faces are of and nobody may pass on. Without it joints
            are those of the shipped body, and errors of the face are not measured.
        device: cpu, cuda for all there are, cuda:1, ...
        workers: Processes that prepare and measure. Default: one for each core.
        steps: Diffusion steps, fewer than published, to try it out.
        mirror: Address that has everything under the same paths as the hosts, instead of them.
    """
    import os

    from rich.console import Console
    from rich.table import Table

    from cospeech.recipes import reproduce as reproducing

    check_device(device)
    for source, choice in reproducing.choices(name).items():
        accepted(source, choice, accept)
    config = reproducing.Reproduce(name, out, body, device, workers or os.cpu_count() or 1, steps, mirror)
    header, *rows = reproducing.run(config, progress_bar)
    paper = reproducing.PAPERS[name]
    table = Table(*header, title=paper.row)
    for row in rows:
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    print(f"the paper's numbers: {paper.certainty}")
    if body is None:
        print("note: the papers' joints and faces are those of SMPL-X; give your own file to --body")
    for protocol in reproducing.PROTOCOLS:
        print(f"wrote {out / protocol / 'report.html'}")
