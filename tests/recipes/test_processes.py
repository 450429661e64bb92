"""Work is spread over processes; each has one device for its own."""

import os

import pytest
import torch

from cospeech.errors import DataError
from cospeech.recipes import processes


def squared(number):
    return number**2, os.getpid(), torch.get_num_threads()


def refused(number):
    raise DataError(f"clip {number}: is bad")


def test_results_come_in_order_and_progress_ends_at_one():
    shares = []
    assert processes.each(lambda n: -n, [3, 1, 2], shares.append) == [-3, -1, -2]
    assert shares == pytest.approx([1 / 3, 2 / 3, 1])
    assert processes.each(squared, [], shares.append, ["cpu", "cpu"]) == []


def test_several_devices_are_several_processes_with_one_thread_each():
    shares = []
    found = processes.each(squared, range(8), shares.append, ["cpu", "cpu"])
    assert [value for value, *_ in found] == [n**2 for n in range(8)]
    assert os.getpid() not in {process for _, process, _ in found}
    assert {threads for *_, threads in found} == {1}
    assert shares[-1] == 1


def test_an_error_of_one_item_is_the_error_of_all():
    with pytest.raises(DataError, match="clip 0: is bad"):
        processes.each(refused, range(50), lambda share: None, ["cpu", "cpu"])


@pytest.mark.parametrize(
    ("name", "workers", "items", "count"),
    [("cpu", 2, 100, 2), ("cpu", 8, 9, 2), ("cpu", 2, 3, 1), ("cpu", 1, 100, 1), ("cpu", 4, 0, 1), ("cuda:1", 4, 9, 1)],
)
def test_a_process_is_started_where_there_is_enough_to_do(name, workers, items, count):
    assert processes.devices(name, workers, items) == [name] * count


def test_batches_are_for_all_processes_and_not_too_large():
    assert processes.batches(range(20)) == [range(8), range(8, 16), range(16, 20)]
    assert processes.batches(range(9), 2) == [range(5), range(5, 9)]
    assert processes.batches([], 2) == []


def test_all_graphics_cards_are_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert processes.devices("cuda", 1, 10) == ["cuda:0", "cuda:1", "cuda:2"]
    assert processes.devices("cuda", 1, 2) == ["cuda:0", "cuda:1"]
    assert processes.devices("cuda:2", 1, 10) == ["cuda:2"]
