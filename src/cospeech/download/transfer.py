"""One file over HTTP: resumed where it was cut off, and checked.

What has come so far lies beside the file as `.part`, with the ETag of what it is a part of as `.part.etag`. Python's
own client does the HTTP: that of huggingface_hub has been another one in each of its three major versions.
"""

import hashlib
import re
import ssl
import threading
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from cospeech.errors import DownloadError

PART, ETAG = ".part", ".part.etag"
_CHUNK = 1 << 18
_TIMEOUT_S = 30.0
_PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # between attempts that bring nothing
_LONGEST_WAIT_S = 60.0  # of what a busy host asks for
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_AGAIN = "What has come is kept: run the command again to go on."


class Stopped(Exception):
    """Somebody asked to stop; what has come is kept."""


class _Cut(Exception):
    """Ended too early, or could not begin: worth another attempt, after so many seconds if the host says how many."""

    def __init__(self, reason: object, wait_s: float = 0.0):
        super().__init__(str(reason) or type(reason).__name__)
        self.wait_s = wait_s


def fetch(
    url: str,
    target: Path,
    size: int | None,
    sha256: str | None,
    advance: Callable[[int], None] = lambda num_bytes: None,
    stop: threading.Event | None = None,
) -> str:
    """Fetch a file, going on with what is there of it. `settle` then puts it in place.

    Args:
        target: Where the file will be; its folder is made.
        size: Bytes it must have; None: what the host says.
        sha256: What it must be; None: anything.
        advance: Told of bytes as they come, and of negative ones when they turn out to be of no use.
        stop: `Stopped` is raised soon after it is set.

    Returns:
        The SHA-256 of the file.

    Raises:
        DownloadError: the address is refused or leads nowhere, the connection fails again and again, the disk is full,
            or what came is not what was published.
    """
    check_url(url)
    stop = stop or threading.Event()
    part = target.with_name(target.name + PART)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if size is not None and _length(part) > size:
            _discard(part)
        resumed = _length(part) > 0
        advance(_length(part))
        _receive(url, part, size, sha256, advance, stop)
        found = hash_file(part)
        if sha256 and found != sha256 and resumed:  # its beginning may have been of another version
            advance(-_discard(part))
            _receive(url, part, size, sha256, advance, stop)
            found = hash_file(part)
        if sha256 and found != sha256:
            advance(-_discard(part))
            raise DownloadError(
                f"{url}: what came is not what was published: its SHA-256 is {found}, not {sha256}. It was thrown "
                "away. Try again later, or from another network."
            )
        return found
    except OSError as error:
        raise _cannot_write(target, error) from None


def settle(target: Path) -> None:
    """Give a file that has been fetched its name."""
    try:
        target.with_name(target.name + PART).replace(target)
        target.with_name(target.name + ETAG).unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(target, error) from None


def num_bytes(target: Path) -> int:
    """That have come of a file and wait for the others."""
    return _length(target.with_name(target.name + PART))


def check_url(url: str) -> None:
    """Raise `DownloadError` where an address is neither https nor, on this machine, http."""
    parts = urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname))):
        return
    raise DownloadError(f"{url}: refused. Files are fetched by https only, and by http from this machine itself.")


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cannot_write(target: Path, error: OSError) -> DownloadError:
    return DownloadError(
        f"{target}: cannot be written: {error.strerror or error}. What has come is kept: make space, or see to the "
        "rights of the folder, and run the command again."
    )


def _receive(
    url: str, part: Path, size: int | None, sha256: str | None, advance: Callable[[int], None], stop: threading.Event
) -> None:
    """Attempts until the part is whole; those that get further than all before them do not count as failed."""
    failures, furthest = 0, _length(part)
    while size is None or _length(part) < size or size == 0:
        try:
            return _attempt(url, part, size, sha256, advance, stop)
        except _Cut as cut:
            failures = 0 if _length(part) > furthest else failures + 1
            furthest = max(furthest, _length(part))
            if failures > len(_PAUSES_S):
                raise DownloadError(f"{url}: {cut}, {failures} times in a row. {_AGAIN}") from None
            if stop.wait(max(_PAUSES_S[max(failures - 1, 0)], cut.wait_s)):
                raise Stopped from None


def _attempt(
    url: str, part: Path, size: int | None, sha256: str | None, advance: Callable[[int], None], stop: threading.Event
) -> None:
    offset, etag = _length(part), _read(part.with_name(part.name.removesuffix(PART) + ETAG))
    headers = {"User-Agent": "cospeech", "Accept-Encoding": "identity"}
    if offset and (etag or sha256):  # else nothing would tell whether the rest belongs to the beginning
        headers["Range"] = f"bytes={offset}-"
        if etag:
            headers["If-Range"] = etag
    with _open(url, headers, part, advance) as response:
        if response.status == 206:
            range_ = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            changed = etag and response.headers.get("ETag", etag) != etag
            if not range_ or int(range_[1]) != offset or changed:
                advance(-_discard(part))
                raise _Cut("the host sent another part than was asked for")
            total = None if range_[2] == "*" else int(range_[2])
        else:
            total = _number(response.headers.get("Content-Length"))
        if size is not None and total is not None and total != size:
            raise DownloadError(f"{url}: has {total:,} bytes at the host, but {size:,} were published.")
        if response.status != 206:  # all of it: nothing was there, the host knows no ranges, or the file has changed
            advance(-_discard(part))
            offset = 0
            _remember(part, response.headers.get("ETag"))
        with part.open("ab") as file:
            while chunk := _read_chunk(response):
                if stop.is_set():
                    raise Stopped
                file.write(chunk)
                offset += len(chunk)
                advance(len(chunk))
                if size is not None and offset > size:
                    break
    wanted = size if size is not None else total
    if wanted is not None and offset > wanted:
        advance(-_discard(part))
        raise DownloadError(f"{url}: more came than the {wanted:,} bytes that were published. It was thrown away.")
    if wanted is not None and offset < wanted:
        raise _Cut(f"the connection ended after {offset:,} of {wanted:,} bytes")


def _open(url: str, headers: dict[str, str], part: Path, advance: Callable[[int], None]) -> HTTPResponse:
    try:
        return build_opener(_Redirects).open(Request(url, headers=headers), timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # nothing beyond what is here, yet that is not all: of another version
            advance(-_discard(part))
            raise _Cut("the host has no such part of the file") from None
        if error.code in _BUSY:
            wait_s = min(_number(error.headers.get("Retry-After")) or 0, _LONGEST_WAIT_S)
            raise _Cut(f"the host answers {error.code}", wait_s) from None
        if 300 <= error.code < 400:
            raise DownloadError(f"{url}: leads in a circle, or to where nothing is fetched from.") from None
        if error.code in (404, 410):
            raise DownloadError(f"{url}: not there (any more).") from None
        raise DownloadError(f"{url}: the host refuses it ({error.code} {error.reason}).") from None
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(f"{url}: the host cannot prove who it is ({error.reason.verify_message}).") from None
        raise _Cut(error.reason) from None
    except (HTTPException, OSError) as error:
        raise _Cut(error) from None


def _read_chunk(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (HTTPException, OSError) as error:
        raise _Cut(error) from None


class _Redirects(HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        check_url(newurl)
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise DownloadError(f"{req.full_url}: leads to {newurl}, by another scheme. Refused.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _discard(part: Path) -> int:
    """Returns how many bytes there were."""
    length = _length(part)
    part.unlink(missing_ok=True)
    return length


def _remember(part: Path, etag: str | None) -> None:
    path = part.with_name(part.name.removesuffix(PART) + ETAG)
    if etag and etag.startswith('"'):  # a weak one (W/) does not promise the same bytes
        path.write_text(etag, encoding="latin-1")
    else:
        path.unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="latin-1") if path.exists() else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
