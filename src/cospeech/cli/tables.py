"""Tables on the terminal."""

from collections.abc import Sequence


def print_table(lines: Sequence[Sequence[str]], title: str = "", width: int = 200) -> None:
    """A header and rows, whose text is shown as it is; on a terminal as wide as that, in a file as wide as needed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    header, *rows = ([escape(cell) for cell in line] for line in lines)
    table = Table(*header, title=escape(title))
    for row in rows:
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=width)).print(table)
