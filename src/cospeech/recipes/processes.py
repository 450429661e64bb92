"""The same work on many clips, spread over processes and devices."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.queues import Queue
from typing import TypeVar

import torch

from cospeech.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")
FEWEST = 4  # items for which it pays to start a process that has to load a model
TOGETHER = 8  # items in a batch: more are hardly faster, see `recipes.bench_clips`


def devices(name: str, workers: int, items: int) -> list[str]:
    """The device of each process that generates: of cuda every one there is; on the CPU as many as are worth it.

    Args:
        items: How many there are to do.
    """
    if name == "cuda" and torch.cuda.device_count() > 1:
        return [f"cuda:{n}" for n in range(torch.cuda.device_count())][: max(items, 1)]
    return [name] * (max(1, min(workers, items // FEWEST)) if name == "cpu" else 1)


def batches(items: Sequence[Item], processes: int = 1) -> list[Sequence[Item]]:
    """Items to be done together, so that there is a batch for every process."""
    size = max(1, min(TOGETHER, -(-len(items) // processes)))
    return [items[start : start + size] for start in range(0, len(items), size)]


def each(
    job: Callable[[Item], Result],
    items: Sequence[Item],
    progress: Callable[[float], None],
    devices: Sequence[str] = ("cpu",),
) -> list[Result]:
    """What a job returns for every item, in order; in this process where there is but one device.

    Args:
        job: With several devices something that can be pickled. It finds "cuda" to be the device of its process.
        progress: Called with the share that is done.
    """

    def counted(results: Iterable[Result]) -> list[Result]:
        found = []
        for result in results:
            found.append(result)
            progress(len(found) / len(items))
        return found

    if len(devices) == 1:
        return counted(map(job, items))
    context = get_context("spawn")
    waiting = context.Queue()
    for device in devices:
        waiting.put(device)
    with ProcessPoolExecutor(len(devices), context, _settle, (waiting,)) as pool:
        try:
            return counted(pool.map(job, items))
        except BrokenProcessPool:
            raise DataError(
                "A process was killed, as it is where memory runs out. Run it again with fewer --workers: motions that "
                "are made stay."
            ) from None


def _settle(waiting: Queue) -> None:
    """Give the process one of the devices for its own."""
    device = torch.device(waiting.get())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)
