"""What batches and processes gain where many recordings become motions, on this machine.

    python -m cospeech.recipes.bench_clips

The windows of a recording follow each other, as each begins with the last latents of the one before. So only windows of
different recordings can share a batch: `Pipeline.generate_many`.
"""

import time
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from cospeech.pipeline import Pipeline, Request, load_pipeline
from cospeech.recipes import command, processes
from cospeech.speech import Speech

TIMES = 2  # of which the fastest counts
BATCHES = (1, 2, 8, 16)
PROCESSES = (1, 2)


def show(model: str = "starter", recordings: int = 16) -> None:
    """Print the processor time of a recording in batches of all sizes, and the seconds of one process and of two.

    Args:
        model: A released name, a checkpoint directory, or a hub id.
        recordings: How many become motions.
    """
    torch.set_num_threads(1)
    speech = Speech.load(Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg")))
    pipeline = load_pipeline(model)
    table = Table("recordings in a batch", "processor seconds of each", "times as fast", title=f"{model}, one thread")
    alone = 0.0
    for size in BATCHES:
        requests = [Request(speech, seed=seed) for seed in range(size)]
        seconds = _processor_s(lambda requests=requests: list(pipeline.generate_many(requests))) / size
        alone = alone or seconds
        table.add_row(str(size), f"{seconds:.2f}", f"{alone / seconds:.2f}")
    Console().print(table)
    table = Table("processes", "seconds", "times as fast", title=f"{model}, {recordings} recordings in batches of 8")
    alone = 0.0
    for count in PROCESSES:
        begun = time.perf_counter()
        job = partial(_generate, model, speech)
        batches = processes.batches(range(recordings))
        processes.each(job, batches, lambda share: None, ["cpu"] * count)
        seconds = time.perf_counter() - begun
        alone = alone or seconds
        table.add_row(str(count), f"{seconds:.1f}", f"{alone / seconds:.2f}")
    Console().print(table)


def _processor_s(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(TIMES):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def _generate(model: str, speech: Speech, seeds: list[int]) -> None:
    for _ in _loaded(model).generate_many([Request(speech, seed=seed) for seed in seeds]):
        pass


@cache
def _loaded(model: str) -> Pipeline:
    return load_pipeline(model)


if __name__ == "__main__":
    command.run(show)
