"""`cospeech download`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from cospeech.cli.progress import progress_bar
from cospeech.errors import ConfigError

if TYPE_CHECKING:
    from cospeech.download import Choice, Plan


def download(
    name: Annotated[Literal["syntalker", "mambatalk", "wav2vec2", "beat2"] | None, arg(metavar="NAME")] = None,
    out: Annotated[Path | None, arg(metavar="OUT")] = None,
    /,
    accept: bool = False,
    only: Annotated[tuple[str, ...], arg(metavar="FILE ...")] = (),
    system: Literal["S", "T"] | None = None,
    language: Literal["english", "chinese", "spanish", "japanese"] | None = None,
    speakers: Annotated[tuple[int, ...], arg(metavar="NUMBER ...")] = (),
    mirror: Annotated[str | None, arg(metavar="URL")] = None,
) -> None:
    """Fetch published weights or a corpus: the needed files only, checked. Without NAME: list what there is.

    Shows the licences first and fetches nothing before they are accepted. What has come stays when it is interrupted,
    and the same command goes on; files that are whole are not fetched again.

    Examples: cospeech download syntalker published/syntalker --system S --accept;
    cospeech download beat2 BEAT2 --speakers 2 --accept

    Args:
        name: syntalker, mambatalk: released weights, for `cospeech import`. wav2vec2: what MambaTalk hears with. beat2:
            speech, words and motion, for `cospeech prepare`.
        out: Folder to put the files in.
        accept: Agree to the licences that are shown. Without it you are asked.
        only: Names of files, or patterns such as '*.npy', that are wanted and no others.
        system: Of syntalker: only what this system needs. S: speech; T: speech and text.
        language: Of beat2. Default: english.
        speakers: Of beat2: numbers of speakers. Default: all.
        mirror: Address that has everything under the same paths as the hosts, instead of them. For the Hugging Face hub
            alone, HF_ENDPOINT does the same.
    """
    from cospeech import download as downloads

    if name is None:
        return _list()
    if out is None:
        raise ConfigError(f"cospeech download {name}: needs the folder to put the files in, OUT.")
    known = downloads.find(name)
    for option, value in {"system": system, "language": language, "speakers": speakers}.items():
        if value and option not in known.options:
            raise ConfigError(f"--{option} does not belong to {name}. Leave it out.")
    choice = downloads.Choice(system, language or "english", speakers, only)
    accepted({name: choice}, accept)
    with progress_bar(f"check {out}") as progress:
        plan = downloads.plan(name, out, choice, mirror, progress)
    print(_summary(plan))
    with progress_bar(f"download {name}") as progress:
        downloads.fetch(plan, progress)
    print(f"{len(plan.here) + len(plan.wanted)} files in {out}; {downloads.SUMS} there has the sums of those that came")
    for command in known.then:
        if not system or "--system" not in command or f"--system {system}" in command:
            print(f"next: {command.format(out=out)}")


def accepted(choices: Mapping[str, "Choice"], accept: bool) -> None:
    """Show the licences of what is to be fetched, by name, and ask where nobody has accepted them yet."""
    _show_licences(choices)
    if not accept and not _agreed():
        raise ConfigError("The licences have not been accepted: read them above, then run it again with --accept.")


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from cospeech.download.table import BODY, PUBLISHED

    console = Console()
    for each in PUBLISHED.values():
        console.print(f"[bold]{each.name}[/]: {each.what}", highlight=False)
        table = Table("what and from where", "size", "licence")
        for source in each.sources:
            size = "not known" if source.size is None else _bytes(source.size)
            table.add_row(f"{source.what}\n{source.host.page}", size, source.licence)
        console.print(table)
    for each in PUBLISHED.values():
        if each.by_hand:
            print(f"{each.name}: {each.by_hand}")
    print(BODY)


def _show_licences(choices: Mapping[str, "Choice"]) -> None:
    from rich.console import Console
    from rich.table import Table

    from cospeech.download import sources

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    shown = {source.what: source for name, choice in choices.items() for source in sources(name, choice)}
    for source in shown.values():
        table.add_row("[bold]what", f"[bold]{source.what}")
        table.add_row("from", source.host.page)
        table.add_row("licence", source.licence)
        table.add_row("", source.meaning)
        table.add_row("read it at", "\n".join(source.terms))
        table.add_row()
    Console().print(table)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Do you accept them? [y/N] ").strip().lower() in ("y", "yes")


def _summary(plan: "Plan") -> str:
    unknown = sum(each.size is None for each in plan.wanted)
    return (
        f"{len(plan.here)} files are here and whole; {len(plan.wanted)} to fetch, {_bytes(plan.num_bytes)}"
        + f" and {unknown} of unknown size" * bool(unknown)
        + f"; {len(plan.missing)} not at their hosts" * bool(plan.missing)
    )


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
