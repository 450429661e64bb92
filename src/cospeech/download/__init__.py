"""Published checkpoints and corpora, fetched: only the files that are needed, resumed, and checked.

`plan` looks at what is here and asks the hosts about what is not; `fetch` carries the plan out. The SHA-256 of every
file that came stands in SHA256SUMS of its folder, as `sha256sum -c` reads it: a file that still has that sum is whole
and is not fetched again. Whoever calls `plan` has accepted the licences.

The hub's own library says which files there are, how long, with which SHA-256; the bytes come by `transfer`, because
that library throws away what has come of a file when it is interrupted (huggingface_hub pull request 4228).
"""

import shutil
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from typing import Literal

from cospeech.download import transfer
from cospeech.download.hosts import HubHost, WebHost
from cospeech.download.table import PUBLISHED, Hub, Published, Source
from cospeech.errors import ConfigError, CospeechWarning, DownloadError
from cospeech.formats.output import check_target

SUMS = "SHA256SUMS"
_AT_ONCE = 4  # most of BEAT2's thousands of files are small: waiting for the host is most of their time
_PATIENCE = 3  # files that fail one after the other before the rest is left for another time

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Choice:
    """Which of the published files are wanted."""

    system: Literal["S", "T"] | None = None  # of SynTalker; None: both
    language: str = "english"  # of BEAT2
    speakers: tuple[int, ...] = ()  # of BEAT2, by number; empty: all
    only: tuple[str, ...] = ()  # patterns of names, such as *.npy, or of whole paths; empty: all


@dataclass(frozen=True)
class Wanted:
    """A file that is not here yet."""

    url: str
    path: str  # below the folder
    size: int | None = None  # bytes
    sha256: str | None = None


@dataclass(frozen=True)
class Plan:
    out: Path
    here: tuple[str, ...]  # paths of files that are here and whole
    wanted: tuple[Wanted, ...]
    missing: tuple[str, ...]  # what the hosts do not have

    @property
    def num_bytes(self) -> int:
        """Still to come, as far as sizes are known."""
        return sum(max((each.size or 0) - transfer.num_bytes(self.out / each.path), 0) for each in self.wanted)


def find(name: str) -> Published:
    if name not in PUBLISHED:
        raise ConfigError(f"Nothing is known as `{name}`. Known: {', '.join(PUBLISHED)}.")
    return PUBLISHED[name]


def sources(name: str, choice: Choice = Choice()) -> list[Source]:
    """Where the chosen files come from, under which licences.

    Raises:
        ConfigError: nothing has that name, or nothing is chosen.
    """
    chosen = []
    for source in find(name).sources:
        files = [replace(file, path=file.path.format(language=choice.language)) for file in source.files]
        files = [file for file in files if file.system in (None, choice.system or file.system)]
        files = [file for file in files if _matches(file.path, choice.only)]
        folders = tuple(folder.format(language=choice.language) for folder in source.folders)
        if files or folders:
            chosen.append(replace(source, files=tuple(files), folders=folders))
    if not chosen:
        names = sorted({PurePosixPath(file.path).name for source in find(name).sources for file in source.files})
        raise ConfigError(f"--only {' '.join(choice.only)}: there is no such file. There are {', '.join(names)}.")
    return chosen


def plan(
    name: str, out: Path, choice: Choice = Choice(), mirror: str | None = None, progress: Progress = lambda done: None
) -> Plan:
    """What is here and whole, and what is to be fetched. Fetches nothing.

    Hosts are asked only about files that are not here and whose size is not known, and for listings of folders.

    Args:
        mirror: Address that has everything under the same paths as the hosts; None: the hosts.
        progress: Told which share of the files that are here has been checked.

    Raises:
        ConfigError: see `sources`.
        DownloadError: a host cannot be asked, or another file lies where one of ours would.
    """
    check_target(out / SUMS)
    if mirror:
        transfer.check_url(mirror)
        mirror = mirror.rstrip("/")
    sums = _read_sums(out)
    chosen = sources(name, choice)
    whole = _whole(out, sums, chosen, choice, progress)
    wanted: list[Wanted] = []
    missing, speakers = [], set()
    for source in chosen:
        host = HubHost(source.host, mirror) if isinstance(source.host, Hub) else WebHost(source.host, mirror)
        files = list(source.files)
        for folder in source.folders:
            listed = host.files_in(folder)
            if listed is None:
                missing.append(f"{folder} ({source.host.page})")
            speakers |= {_speaker(file.path) for file in listed or ()} - {None}
            files += [file for file in listed or () if _takes(choice, file.path)]
        files = [file for file in files if _below(source, file.path) not in whole]
        for file, known in zip(files, host.ask(files), strict=True):
            if known is None:
                missing.append(f"{file.path} ({source.host.page})")
            else:
                wanted.append(Wanted(host.url(file.path), _below(source, file.path), known.size, known.sha256))
    if strangers := set(choice.speakers) - speakers:
        raise ConfigError(
            f"--speakers {_numbers(strangers)}: not in the {choice.language} part, which has {_numbers(speakers)}."
        )
    if not (whole or wanted or missing):
        raise ConfigError(f"--only {' '.join(choice.only)}: there is no such file.")
    expected = [replace(each, sha256=_expected(each, sums)) for each in wanted]
    found = {each.path for each in expected if _is_there(out, each, sums)}
    return Plan(
        out,
        here=tuple(sorted(whole | found)),
        wanted=tuple(each for each in expected if each.path not in found),
        missing=tuple(missing),
    )


def fetch(plan: Plan, progress: Progress = lambda done: None) -> None:
    """Fetch what is wanted. What has come stays when it is interrupted, and another call with a new plan goes on.

    A file that fails does not keep the others from coming, unless several fail one after the other.

    Args:
        progress: Told which share of the bytes has come.

    Raises:
        DownloadError: too little space, said before the first byte; files that failed, or that the hosts do not have.
    """
    _check_space(plan)
    total = sum(each.size or 0 for each in plan.wanted)
    done, lock, stop = 0, threading.Lock(), threading.Event()

    def advance(num_bytes: int) -> None:
        nonlocal done
        with lock:
            done += num_bytes
            if total:
                progress(min(done / total, 1.0))

    def get(wanted: Wanted) -> None:
        target = plan.out / wanted.path
        sha256 = transfer.fetch(wanted.url, target, wanted.size, wanted.sha256, advance, stop)
        with lock:
            if stop.is_set():
                raise transfer.Stopped
            _add_sum(plan.out, wanted.path, sha256)  # first: a file without a sum would not be taken for ours
            transfer.settle(target)

    waiting, outcomes = deque(plan.wanted), SimpleQueue[Exception | None]()

    def work() -> None:
        while not stop.is_set():
            try:
                wanted = waiting.popleft()
            except IndexError:  # all are taken
                return
            try:
                get(wanted)
                outcomes.put(None)
            except Exception as error:  # raised where it is waited for
                outcomes.put(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(_AT_ONCE)]
    failed, in_a_row = [], 0
    try:
        for thread in threads:
            thread.start()
        for _ in plan.wanted:
            error = outcomes.get()
            if error is not None and not isinstance(error, DownloadError):
                raise error
            in_a_row = in_a_row + 1 if error else 0
            failed += [str(error)] * bool(error)
            if in_a_row == _PATIENCE:
                break
    finally:
        with lock:
            stop.set()
    for thread in threads:  # not after an interruption: some may be waiting for a host that does not answer
        thread.join()
    if len(failed) > 1:
        raise DownloadError(f"{failed[0]} {len(failed) - 1} more failed.")
    if failed:
        raise DownloadError(failed[0])
    if plan.missing:
        raise DownloadError(f"Not there (any more): {'; '.join(plan.missing)}. The other files have come.")


def _check_space(plan: Plan) -> None:
    folder = plan.out.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if plan.num_bytes > free:
        raise DownloadError(
            f"{plan.out}: {plan.num_bytes:,} bytes are to come, but only {free:,} are free there. Make space, choose "
            "another folder, or fewer files with --only."
        )


def _whole(
    out: Path, sums: Mapping[str, str], chosen: Sequence[Source], choice: Choice, progress: Progress
) -> set[str]:
    """Paths of chosen files that are here and still have the sums they had when they came."""
    names = {_below(source, file.path) for source in chosen for file in source.files}
    folders = [_below(source, folder) for source in chosen for folder in source.folders]
    ours = [
        path
        for path in sums
        if (path in names or (_takes(choice, path) and any(fnmatchcase(path, folder) for folder in folders)))
        and (out / path).is_file()
    ]
    total, done, whole = sum((out / path).stat().st_size for path in ours), 0, set()
    for path in ours:
        if transfer.hash_file(out / path) == sums[path]:
            whole.add(path)
        else:
            message = f"{out / path}: is no longer what was fetched. It is fetched again."
            warnings.warn(CospeechWarning(message), stacklevel=3)
        done += (out / path).stat().st_size
        progress(done / max(total, 1))
    return whole


def _expected(wanted: Wanted, sums: Mapping[str, str]) -> str | None:
    first = sums.get(wanted.path)
    if first and wanted.sha256 and first != wanted.sha256:
        raise DownloadError(
            f"{wanted.url}: its SHA-256 is {wanted.sha256} now; when it was first fetched it was {first}. It has been "
            f"exchanged. Delete its line in {SUMS} to take the new one."
        )
    return wanted.sha256 or first


def _is_there(out: Path, wanted: Wanted, sums: Mapping[str, str]) -> bool:
    """Whether a file that this program did not fetch is the wanted one. `DownloadError` where it is another."""
    target = out / wanted.path
    if wanted.path in sums or not target.exists():
        return False
    if wanted.sha256 and target.is_file() and transfer.hash_file(target) == wanted.sha256:
        return True
    raise DownloadError(
        f"{target}: is there, but "
        + ("is not what was published." if wanted.sha256 else "nothing is known to compare it with.")
        + " Move it away, or choose another folder."
    )


def _read_sums(out: Path) -> dict[str, str]:
    """Path below `out` -> SHA-256; of a path that came twice the last."""
    try:
        lines = (out / SUMS).read_text(encoding="utf-8").splitlines()
        return {path: sha256 for sha256, path in (line.split(maxsplit=1) for line in lines)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DownloadError(f"{out / SUMS}: cannot be read ({error}). Delete it, or choose another folder.") from None


def _add_sum(out: Path, path: str, sha256: str) -> None:
    try:
        with (out / SUMS).open("a", encoding="utf-8") as file:
            file.write(f"{sha256}  {path}\n")
    except OSError as error:
        raise DownloadError(f"{out / SUMS}: cannot be written: {error.strerror or error}.") from None


def _below(source: Source, path: str) -> str:
    return str(PurePosixPath(source.into, path))


def _matches(path: str, patterns: Iterable[str]) -> bool:
    patterns = tuple(patterns)
    return not patterns or any(fnmatchcase(each, p) for p in patterns for each in (path, PurePosixPath(path).name))


def _takes(choice: Choice, path: str) -> bool:
    """Of a file of a folder."""
    return _matches(path, choice.only) and (not choice.speakers or _speaker(path) in choice.speakers)


def _speaker(path: str) -> int | None:
    """Of a file of BEAT2, such as 2_scott_0_1_1.npz."""
    number = PurePosixPath(path).name.partition("_")[0]
    return int(number) if number.isdecimal() else None


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
