"""A bar for what takes long."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(task: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, where that is a terminal, that appears when a task takes longer than two seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_interactive,
    )  # fmt: skip
    row = bar.add_task(task, total=1.0)
    begun = time.monotonic()

    def update(fraction: float) -> None:
        if not bar.live.is_started and time.monotonic() - begun > 2:
            bar.start()
        bar.update(row, completed=fraction)

    try:
        yield update
    finally:
        bar.stop()
