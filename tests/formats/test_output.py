"""A file is written completely or not at all, and a target that cannot be written gives one line."""

import os
import resource
import subprocess
import sys

import pytest

from cospeech.errors import FormatError
from cospeech.formats.output import check_target, replacing


def test_the_file_appears_only_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "deep" / "talk.npz"
    with replacing(target) as temporary:
        assert temporary.suffix == ".npz"
        assert temporary.parent == target.parent
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert os.listdir(target.parent) == ["talk.npz"]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), FormatError("said elsewhere")])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    target = tmp_path / "talk.npz"
    target.write_bytes(b"old")

    def write():
        with replacing(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["talk.npz"]


def test_a_block_that_writes_nothing_is_an_error_not_an_empty_file(tmp_path):
    with pytest.raises(FormatError), replacing(tmp_path / "talk.npz"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_symbolic_link_stays_a_link(tmp_path):
    (tmp_path / "real.npz").write_bytes(b"old")
    (tmp_path / "link.npz").symlink_to("real.npz")
    with replacing(tmp_path / "link.npz") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "link.npz").is_symlink()
    assert (tmp_path / "real.npz").read_bytes() == b"new"


def test_targets_that_cannot_be_files_fail_before_anything_is_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    before = sorted(os.listdir(tmp_path))
    for target, said in {
        tmp_path / "file" / "talk.npz": "file is a file, not a folder",
        tmp_path / "file" / "deeper" / "talk.npz": "file is a file, not a folder",
        tmp_path / "folder.npz": "is a folder",
        tmp_path / ("x" * 300 + ".npz"): "too long",
        tmp_path / "loop.npz": "cannot be written",
        "/dev/null": "device",
    }.items():
        with pytest.raises(FormatError) as raised:
            check_target(target)
        assert said in str(raised.value)
        assert str(target) in str(raised.value)
        assert "\n" not in str(raised.value)
        with pytest.raises(FormatError), replacing(target):
            pytest.fail("the block must not run")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_rights_are_checked_first(tmp_path):
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o500)
    with pytest.raises(FormatError, match="may not be written to"):
        check_target(tmp_path / "locked" / "talk.npz")
    (tmp_path / "kept.npz").write_bytes(b"")
    (tmp_path / "kept.npz").chmod(0o400)
    with pytest.raises(FormatError, match="read-only"):
        check_target(tmp_path / "kept.npz")


FULL_DISK = """
import sys
from cospeech.errors import FormatError
from cospeech.formats.output import replacing
try:
    with replacing(sys.argv[1]) as temporary:
        temporary.write_bytes(bytes(100_000))
except FormatError as error:
    sys.exit(str(error))
"""


def test_no_space_left_is_one_line_and_leaves_nothing(tmp_path):
    target = tmp_path / "talk.npz"
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.returncode == 1
    assert run.stderr.strip().count("\n") == 0
    assert f"{target}: cannot be written: File too large" in run.stderr
    assert os.listdir(tmp_path) == []
