"""Where every file is written: beside its target first, renamed when whole, so nothing half-written is left."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cospeech.errors import FormatError

_ADVICE = {
    errno.ENOSPC: "Free some space or write elsewhere.",
    errno.EDQUOT: "Free some space or write elsewhere.",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f) or write elsewhere.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Missing parent folders are created. Yields a temporary path beside `path`, with the same suffix, for the caller
    to write; it replaces `path` when the block ends well and is removed when it does not. An `OSError` in the block,
    such as a full disk, becomes a one-line `FormatError` that names `path`.
    """
    path = Path(path)
    check_target(path)
    target = Path(os.path.realpath(path))  # a symbolic link stays one: what it points at is replaced
    temporary = target.with_name(f".{target.stem[:64]}-{secrets.token_hex(4)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_target(path: str | Path) -> None:
    """Raise `FormatError` when `path` cannot become a file: call it before the slow part. Touches nothing."""
    path = Path(path)
    try:
        existing = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        existing = None
    except OSError as error:  # a name that is too long, a loop of links, a folder that may not be entered
        raise _cannot_write(path, error) from error
    if existing:
        if stat.S_ISDIR(existing.st_mode):
            raise FormatError(f"{path}: is a folder. Give the name of a file to write.")
        if not stat.S_ISREG(existing.st_mode):
            raise FormatError(f"{path}: is a device or a pipe, not a file. Give the name of a file to write.")
        if not os.access(path, os.W_OK):
            raise FormatError(f"{path}: exists and is read-only. Write elsewhere or change its rights.")
    folder = Path(os.path.realpath(path)).parent
    while not folder.exists():  # the folders below the first existing one will be created
        folder = folder.parent
    if not folder.is_dir():
        raise FormatError(f"{path}: {folder} is a file, not a folder. Write elsewhere.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FormatError(f"{path}: the folder {folder} may not be written to. Write elsewhere or change its rights.")


def _cannot_write(path: Path, error: OSError) -> FormatError:
    reason = error.strerror or str(error) or type(error).__name__
    return FormatError(f"{path}: cannot be written: {reason}. {_ADVICE.get(error.errno or 0, 'Write elsewhere.')}")
