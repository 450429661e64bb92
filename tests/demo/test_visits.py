"""What visitors brought and got is theirs alone, and gone when they leave."""

import os
import time

import numpy as np
import pytest

from cospeech import skeleton
from cospeech.demo.visits import ALONE, Result, Visits
from cospeech.motion import Motion
from cospeech.speech import Speech


@pytest.fixture
def visits(tmp_path):
    return Visits(tmp_path, keep_s=100)


def add_result(visit):
    number, folder = visit.new_folder()
    folder.mkdir(parents=True)
    (folder / ALONE).write_text("<p>")
    motion = Motion(np.zeros((2, 55, 3)), np.tile(skeleton.REST_TRANSLATION, (2, 1)))
    visit.add(Result(number, "talk", "seed 0", motion, Speech(np.ones(10), 10), folder))
    return folder


def bring(visits, visit, name="talk.wav", content="sound"):
    path = visits.uploads / content / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    visits.take_in(visit, path)
    return path


def test_who_leaves_takes_all_along_but_not_what_another_brought_too(visits):
    first, second = visits.of("a"), visits.of("b")
    assert visits.of("a") is first
    both, own = bring(visits, first), bring(visits, first, content="other sound")
    bring(visits, second)
    folders = add_result(first), add_result(second)
    visits.leave("a")
    assert first.gone.is_set()
    assert not own.exists()
    assert not own.parent.exists()
    assert both.exists()
    assert [folder.exists() for folder in folders] == [False, True]
    visits.leave("b")
    visits.leave("b")
    assert not both.exists()
    assert visits.of("a") is not first


def test_what_is_no_upload_is_never_deleted(visits, tmp_path):
    example = tmp_path / "example.ogg"
    example.write_text("sound")
    for path in (example, visits.uploads / ".." / "example.ogg"):
        visits.take_in(visits.of("a"), path)
    visits.leave("a")
    assert example.exists()


def test_the_last_two_results_are_kept(visits):
    visit = visits.of("a")
    folders = [add_result(visit) for _ in range(3)]
    assert [folder.exists() for folder in folders] == [False, True, True]
    assert [result.number for result in visit.results] == [2, 3]


def test_what_is_old_or_nobodys_is_swept(visits):
    idle, active = visits.of("a"), visits.of("b")
    kept = bring(visits, active, content="kept"), add_result(active)
    lost = bring(visits, idle), add_result(idle)
    idle.seen -= 101
    stray = visits.folder / "someone" / "1"
    stray.mkdir(parents=True)  # what was being made when its visitor left
    unheard = visits.uploads / "x" / "big.wav"
    unheard.parent.mkdir()
    unheard.write_text("-")
    broken_off = visits.uploads / "tmpabc"
    broken_off.write_text("-")
    visits.sweep()
    assert all(path.exists() for path in kept)
    assert unheard.exists()  # it may be about to be heard
    assert not any(path.exists() for path in (*lost, stray))
    os.utime(unheard, (time.time() - 101,) * 2)
    for path in (broken_off, kept[0]):
        os.utime(path, (time.time() - 101,) * 2)
    visits.sweep()
    assert not unheard.parent.exists()
    assert not broken_off.exists()
    assert kept[0].exists()  # old, but its visitor is there


def test_an_order_that_was_stopped_stays_so_when_the_next_one_begins(visits):
    visit = visits.of("a")
    first = visit.new_order()
    visit.stop.set()
    second = visit.new_order()
    assert first.is_set()
    assert not second.is_set()


def test_only_files_of_results_are_handed_out(visits, tmp_path):
    visit = visits.of("a")
    folder = add_result(visit)
    (tmp_path / "secret").write_text("-")
    (folder / "sub").mkdir()
    token = visit.folder.name
    assert visits.file(token, "1", ALONE) == folder / ALONE
    for asked in (
        (token, "1", "other"), (token, "2", ALONE), ("x", "1", ALONE), (token, "1", "sub"), (token, "1", "../1/alone"),
        (token, "..", "secret"), ("..", "..", "secret"), (token, "1", "../../../secret"), (token, "1", ".."),
        (token, "1", ""),
    ):  # fmt: skip
        assert visits.file(*asked) is None
    assert len(token) > 20
