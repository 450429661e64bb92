"""Raw corpora -> stores: in parallel, clip by clip, and where it was interrupted it goes on.

A corpus reader (`beat2.jobs` and its siblings) says which clips there are; each is made in a process of its own, a
shard at a time, so that no process holds more than one clip. A clip that cannot be made is left out, and its shard says
why. Which clip is in which shard depends on the list of jobs alone: the same on every machine that has a part of them.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, NamedTuple

from cospeech.data import store as stores
from cospeech.data.clips import Job
from cospeech.data.store import (
    CLIPS_PER_SHARD,
    Dropped,
    Store,
    check_clip,
    check_folder,
    missing_shards,
    write_index,
    write_shard,
)
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError, CospeechError, DataError, MissingExtra

_FEWEST_SHARDS = 64  # where there are so many clips: work for many processes


class Part(NamedTuple):
    """The share of the shards that one machine of several makes."""

    number: int  # 1 to of
    of: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Of text such as "2/8"."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise ConfigError(f"--shard {text}: must be like 2/8, the second part of eight.")
        return cls(int(number), int(of))


class _Shard(NamedTuple):
    """What one process makes at a time."""

    path: Path  # of the store
    number: int
    jobs: tuple[Job, ...]


def run(
    jobs: Sequence[Job],
    path: Path,
    corpus: str,
    workers: int = 1,
    part: Part | None = None,
    engine: Literal["local", "ray"] = "local",
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Make what of a store is not made yet.

    Args:
        corpus: What the clips are made as, such as "beat2, speakers 2". A store that was begun as something else, or
            of other clips, is not gone on with.
        workers: Processes on this machine.
        part: Only this machine's share of the shards.
        engine: ray: as tasks of Ray Data, on all machines of its cluster.

    Raises:
        DataError: there are no clips, two have one id, or the folder holds something else.
    """
    check(jobs)
    num_shards = _count(len(jobs))
    _begin(path, f"{corpus} ({_digest(jobs)})", num_shards)
    todo = [
        _Shard(path, n, tuple(jobs[n * len(jobs) // num_shards : (n + 1) * len(jobs) // num_shards]))
        for n in missing_shards(path, num_shards)
        if part is None or n % part.of == part.number - 1
    ]
    done = _with_ray(todo) if engine == "ray" else _here(todo, workers)
    for count, _ in enumerate(done, 1):
        progress(count / len(todo))
    if not missing_shards(path, num_shards):
        for left_behind in path.glob(".*"):  # by a process that was killed
            left_behind.unlink()


def left(path: Path) -> int:
    """How many shards of a store are not made yet."""
    return len(missing_shards(path, stores.read_index(path)["shards"]))


def check(jobs: Sequence[Job]) -> None:
    if not jobs:
        raise DataError("There are no clips to prepare.")
    counts = Counter(job.id for job in jobs)
    if double := [name for name, count in counts.items() if count > 1]:
        more = f", as of {len(double) - 1} more," if len(double) > 1 else ""
        raise DataError(f"The id {double[0]} is that of several clips{more} but ids are unique. Rename their files.")


def _count(num_jobs: int) -> int:
    """Number of shards."""
    return max(-(-num_jobs // CLIPS_PER_SHARD), min(_FEWEST_SHARDS, num_jobs))


def _digest(jobs: Sequence[Job]) -> str:
    return hashlib.sha256("\n".join(f"{job.id} {job.settings}" for job in jobs).encode()).hexdigest()[:12]


def _begin(path: Path, corpus: str, num_shards: int) -> None:
    check_folder(path)
    if not (path / stores.INDEX).is_file():
        write_index(path, corpus, num_shards)
    elif (found := stores.read_index(path)) != {"corpus": corpus, "shards": num_shards}:
        raise DataError(
            f"{path}: was begun with {found['corpus']}, not {corpus}: other files, splits or settings. Choose another "
            "folder or remove it."
        )


def _here(todo: Sequence[_Shard], workers: int) -> Iterator[None]:
    if workers == 1 or len(todo) < 2:
        yield from map(_make, todo)
        return
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=get_context("spawn")) as pool:
        for finished in as_completed([pool.submit(_make, shard) for shard in todo]):
            try:
                yield finished.result()
            except BrokenProcessPool:
                raise DataError(
                    f"{todo[0].path}: a process was killed, as it is where memory runs out. Run it again with fewer "
                    "--workers: it goes on where it was."
                ) from None


def _with_ray(todo: Sequence[_Shard]) -> Iterator[None]:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtra("ray", "scale") from error
    shards = ray.data.from_items([{"shard": shard} for shard in todo], override_num_blocks=max(len(todo), 1))
    yield from shards.map(_make_row).iter_rows()


def _make_row(row: dict[str, _Shard]) -> dict[str, int]:
    _make(row["shard"])
    return {"shard": row["shard"].number}


def _make(shard: _Shard) -> None:
    dropped: list[Dropped] = []
    write_shard(shard.path, shard.number, _made(shard.jobs, dropped), dropped)


def _made(jobs: Iterable[Job], dropped: list[Dropped]) -> Iterator[StoredClip]:
    for job in jobs:
        try:
            for clip in job.make():
                check_clip(clip)
                yield clip
        except CospeechError as error:
            dropped.append(Dropped(job.id, str(error)))


# --- what a store holds -----------------------------------------------------------------------------------------------


def table(store: Store) -> list[tuple[str, ...]]:
    """A header, then a row for each source, language and split; the last row is all."""
    groups: dict[tuple[str, str, str], list[ClipInfo]] = defaultdict(list)
    for info in store.infos:
        groups[info.source, info.language, info.split].append(info)
    rows = [(*group, *_sums(infos)) for group, infos in sorted(groups.items())]
    header = ("source", "language", "split", "clips", "hours", "speakers", "words", "with captions")
    return [header, *rows, ("all", "", "", *_sums(store.infos))]


def _sums(infos: Sequence[ClipInfo]) -> tuple[str, ...]:
    return (
        f"{len(infos):,}",
        f"{sum(info.num_frames for info in infos) / 30 / 3600:.2f}",
        str(len({(info.source, info.speaker) for info in infos if info.speaker})),
        f"{sum(not word.is_pause for info in infos for word in info.words):,}",
        f"{sum(bool(info.captions) for info in infos):,}",
    )
