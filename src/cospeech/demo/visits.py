"""What visitors brought and got, each in a folder of their own, until they leave."""

import secrets
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cospeech.character import Character
from cospeech.motion import Motion
from cospeech.speech import Speech

KEPT = 2  # results of a visitor: the last and the one before, to be seen side by side
# Pages that play a result, alone or beside the one before. No file that a visitor downloads is without a suffix.
PAGES = ALONE, BESIDE = ("alone", "beside")


@dataclass(frozen=True, eq=False)
class Result:
    number: int  # of this visitor, from 1
    name: str  # that its files get
    caption: str  # what was wanted, in words
    motion: Motion
    speech: Speech
    folder: Path


@dataclass(eq=False)
class Visit:
    folder: Path  # its name is not to be guessed: who knows it may read what is in it
    seen: float  # time.monotonic() when the visitor was last active
    uploads: set[Path] = field(default_factory=set)
    results: tuple[Result, ...] = ()  # the last one last
    character: Character | None = None
    stop: threading.Event = field(default_factory=threading.Event)  # what is made now is not wanted any more
    gone: threading.Event = field(default_factory=threading.Event)  # the visitor has left
    _made: int = 0

    def new_order(self) -> threading.Event:
        """What `stop` is from now on. One that was stopped before may be at work yet, and is not to go on."""
        self.stop = threading.Event()
        return self.stop

    def new_folder(self) -> tuple[int, Path]:
        """Number and folder of the next result."""
        self._made += 1
        return self._made, self.folder / str(self._made)

    def add(self, result: Result) -> None:
        results = (*self.results, result)
        self.results = results[-KEPT:]
        for old in results[:-KEPT]:
            shutil.rmtree(old.folder, ignore_errors=True)


class Visits:
    """All visitors. Files are below `root`: `uploads`, where Gradio puts them, and `visits`.

    Args:
        keep_s: Seconds after which what a visitor who does nothing brought and got is deleted.
    """

    def __init__(self, root: Path, keep_s: float):
        self.root = root
        self.uploads = root / "uploads"
        self.folder = root / "visits"
        self.keep_s = keep_s
        self._of: dict[str, Visit] = {}  # by session
        self._lock = threading.Lock()

    def of(self, session: str) -> Visit:
        """The visit of a session, begun if it is new or was forgotten."""
        with self._lock:
            if session not in self._of:
                self._of[session] = Visit(self.folder / secrets.token_urlsafe(16), 0.0)
            visit = self._of[session]
            visit.seen = time.monotonic()
            return visit

    def take_in(self, visit: Visit, path: Path) -> None:
        """A visitor brought this file, or chose one that is no upload and is never deleted."""
        if path.resolve().is_relative_to(self.uploads.resolve()):
            with self._lock:
                visit.uploads.add(path)

    def leave(self, session: str) -> None:
        """Stop what is made for a visitor, and delete all files that nobody else has."""
        with self._lock:
            visit = self._of.pop(session, None)
            if visit is None:
                return
            visit.gone.set()
            own = visit.uploads - {path for other in self._of.values() for path in other.uploads}
        shutil.rmtree(visit.folder, ignore_errors=True)
        for path in own:
            self._delete_upload(path)

    def stop_all(self) -> None:
        """Stop whatever is being made."""
        for visit in [*self._of.values()]:
            visit.gone.set()

    def sweep(self) -> None:
        """Delete what is too old, or was written for a visitor who left meanwhile."""
        with self._lock:
            now = time.monotonic()
            old = [session for session, visit in self._of.items() if now - visit.seen > self.keep_s]
        for session in old:
            self.leave(session)
        # What is there is listed first: somebody who comes meanwhile is known then. Beside the folders of uploads lie
        # temporary files that Gradio forgets: those of uploads that were broken off, and empty ones.
        folders = set(self.folder.glob("*"))
        uploads = {path for path in self.uploads.rglob("*") if path.is_file()}
        with self._lock:
            folders -= {visit.folder for visit in self._of.values()}
            uploads -= {path for visit in self._of.values() for path in visit.uploads}
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for path in uploads:
            if time.time() - _modified(path) > self.keep_s:
                self._delete_upload(path)

    def file(self, token: str, number: str, name: str) -> Path | None:
        """A file of a result, if there is one: a name with folders in it is none."""
        folder = self.folder / token / number
        with self._lock:
            known = [result.folder for visit in self._of.values() for result in visit.results]
        there = folder in known and Path(name).name == name and (folder / name).is_file()
        return folder / name if there else None

    def _delete_upload(self, path: Path) -> None:
        """With the folder that Gradio made for it."""
        path.unlink(missing_ok=True)
        if path.parent != self.uploads:
            with suppress(OSError):  # another name of the same recording is in it
                path.parent.rmdir()


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile
        return time.time()
