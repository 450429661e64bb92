"""Files come whole or not at all, whatever befalls them on the way."""

import hashlib
import subprocess
import sys
import threading

import pytest

from cospeech.download import transfer
from cospeech.errors import DownloadError

CONTENT = bytes(range(256)) * 4000  # a megabyte: several chunks
SIZE = len(CONTENT)
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def get(host, tmp_path):
    """Fetch the one file of the host; returns its SHA-256 and what came."""
    host.plain["/a/file.bin"] = CONTENT

    def get(size=SIZE, sha256=SUM, **options):
        target = tmp_path / "new" / "file.bin"
        found = transfer.fetch(f"{host.url}/a/file.bin", target, size, sha256, **options)
        assert not target.exists()
        transfer.settle(target)
        return found, target.read_bytes()

    return get


def left(tmp_path) -> dict[str, int]:
    """Name -> size of what is there, ETags aside."""
    return {
        path.name: path.stat().st_size
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.name.endswith(transfer.ETAG)
    }


@pytest.mark.parametrize("size", [None, SIZE])
@pytest.mark.parametrize("sha256", [None, SUM])
def test_a_file_comes_whole_and_nothing_else_stays(get, tmp_path, size, sha256):
    assert get(size, sha256) == (SUM, CONTENT)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.bin"]


def test_an_empty_file_comes(host, tmp_path):
    host.plain["/empty"] = b""
    assert transfer.fetch(f"{host.url}/empty", tmp_path / "empty", 0, None) == hashlib.sha256(b"").hexdigest()
    transfer.settle(tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_connection_that_is_cut_goes_on_where_it_was_and_progress_counts_every_byte_once(get, host):
    host.faults["file.bin"] = ["cut", "cut"]
    came = []
    assert get(advance=came.append) == (SUM, CONTENT)
    half = SIZE // 2
    assert host.bytes_asked("file.bin") == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert sum(came) == SIZE


def test_another_run_goes_on_where_the_last_one_ended(get, host, tmp_path, monkeypatch):
    host.faults["file.bin"] = ["cut", 503, 503, 503, 503]
    with pytest.raises(DownloadError, match=r"answers 503, 4 times in a row. What has come is kept"):
        get()
    assert left(tmp_path) == {"file.bin.part": SIZE // 2}
    assert get() == (SUM, CONTENT)
    assert host.bytes_asked("file.bin")[-1] == f"bytes={SIZE // 2}-"


def test_a_file_that_changed_between_two_attempts_is_fetched_from_its_beginning(get, host):
    host.faults["file.bin"] = ["cut", 404]
    with pytest.raises(DownloadError, match="not there"):
        get(None, None)
    changed = CONTENT[::-1]
    host.plain["/a/file.bin"] = changed
    came = []
    assert get(None, None, advance=came.append) == (hashlib.sha256(changed).hexdigest(), changed)
    assert sum(came) == len(changed)


def test_without_etag_and_sum_nobody_knows_whether_the_rest_fits_so_all_is_fetched_again(get, host):
    host.etags = False
    host.faults["file.bin"] = ["cut"]
    assert get(None, None) == (SUM, CONTENT)
    assert host.bytes_asked("file.bin") == [None, None]


def test_with_a_sum_the_rest_is_fetched_and_when_it_does_not_fit_everything(get, host, tmp_path):
    host.etags = False
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file.bin.part").write_bytes(b"of another version")
    assert get() == (SUM, CONTENT)
    assert host.bytes_asked("file.bin") == ["bytes=18-", None]


def test_a_host_without_ranges_sends_all_again(get, host):
    host.ranges = False
    host.faults["file.bin"] = ["cut"]
    came = []
    assert get(advance=came.append) == (SUM, CONTENT)
    assert sum(came) == SIZE


@pytest.mark.parametrize("length", [SIZE, SIZE + 7])
def test_a_part_beyond_the_end_is_thrown_away_and_a_full_one_taken_if_it_is_right(get, host, tmp_path, length):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file.bin.part").write_bytes((CONTENT + b"too long")[:length])
    assert get() == (SUM, CONTENT)
    assert len(host.asked) == (length > SIZE)


def test_a_part_of_which_the_host_knows_no_rest_is_thrown_away(get, host, tmp_path):  # 416
    host.etags = False
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file.bin.part").write_bytes(CONTENT + b"too long")
    assert get(None) == (SUM, CONTENT)
    assert host.bytes_asked("file.bin") == [f"bytes={SIZE + 8}-", None]


def test_a_wrong_sum_is_an_error_that_leaves_nothing(get, host, tmp_path):
    host.plain["/a/file.bin"] = CONTENT[:-1] + b"!"
    with pytest.raises(DownloadError, match=rf"is not what was published: its SHA-256 is [0-9a-f]+, not {SUM}"):
        get()
    assert left(tmp_path) == {}


@pytest.mark.parametrize("fault", ["shorter", "longer", "endless"])
def test_a_length_that_is_not_the_published_one_is_an_error(get, host, tmp_path, fault):
    host.faults["file.bin"] = [fault]
    with pytest.raises(DownloadError, match=r"has 1,02[34],[19]00 bytes at the host, but 1,024,000|more came than"):
        get()
    assert left(tmp_path) == {}


def test_a_length_that_the_host_promises_and_never_sends_is_an_error(get, host, tmp_path):
    host.faults["file.bin"] = ["longer"] * 9
    with pytest.raises(DownloadError, match=r"ended after 1,024,000 of 1,024,100 bytes|has no such part"):
        get(None, None)


@pytest.mark.parametrize(
    ("to", "match"),
    [
        ("to {url}/a/file.bin", "leads in a circle"),
        ("to ftp://127.0.0.1/file.bin", "by https only"),
        ("to https://127.0.0.1/file.bin", "by another scheme"),
        ("to http://example.com/file.bin", "refused. Files are fetched by https only"),
        ("to file:///etc/passwd", "to where nothing is fetched from"),
    ],
)
def test_redirects_in_a_circle_by_another_scheme_or_in_the_open_are_refused(get, host, to, match):
    host.faults["file.bin"] = [to] * 20
    with pytest.raises(DownloadError, match=match):
        get()


def test_a_redirect_to_another_address_of_the_same_scheme_is_followed(get, host):
    host.plain["/elsewhere"] = CONTENT
    host.faults["file.bin"] = ["to {url}/elsewhere"]
    assert get() == (SUM, CONTENT)


@pytest.mark.parametrize("url", ["http://example.com/a", "ftp://127.0.0.1/a", "file:///etc/passwd", "https:///a", "a"])
def test_addresses_that_are_not_https_are_refused_before_anything_is_asked(url, tmp_path):
    with pytest.raises(DownloadError, match="by https only"):
        transfer.fetch(url, tmp_path / "file", None, None)
    assert left(tmp_path) == {}


@pytest.mark.parametrize(("status", "match"), [(404, "not there"), (410, "not there"), (403, r"refuses it \(403")])
def test_what_no_second_attempt_would_mend_is_said_at_once(get, host, status, match):
    host.faults["file.bin"] = [status]
    with pytest.raises(DownloadError, match=match):
        get()
    assert len(host.asked) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_host_is_asked_again(get, host, status):
    host.faults["file.bin"] = [status, status]
    assert get() == (SUM, CONTENT)


def test_a_host_that_is_not_there_is_one_line(host, tmp_path):
    with pytest.raises(DownloadError, match="refused, 4 times in a row"):
        transfer.fetch("http://127.0.0.1:9/file", tmp_path / "file", None, None)


def test_what_has_come_stays_when_somebody_stops_it(get, host, tmp_path):
    stop = threading.Event()
    with pytest.raises(transfer.Stopped):
        get(stop=stop, advance=lambda num_bytes: stop.set() if num_bytes else None)
    assert 0 < left(tmp_path)["file.bin.part"] < SIZE
    assert get() == (SUM, CONTENT)
    assert host.bytes_asked("file.bin")[-1].startswith("bytes=")


FULL = """
import resource, signal, sys
from pathlib import Path
from cospeech.download import transfer
from cospeech.errors import DownloadError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    transfer.fetch(sys.argv[1], Path(sys.argv[2]), None, None)
except DownloadError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_disk_that_is_full_is_one_line_and_the_rest_comes_when_there_is_space(get, host, tmp_path):
    target = tmp_path / "new" / "file.bin"
    run = subprocess.run(
        [sys.executable, "-c", FULL, f"{host.url}/a/file.bin", target], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith(f"{target}: cannot be written: File too large. What has come is kept")
    assert left(tmp_path) == {"file.bin.part": 300_000}
    assert get() == (SUM, CONTENT)
    assert host.bytes_asked("file.bin")[-1] == "bytes=300000-"
