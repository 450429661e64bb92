import pytest
from chromium import in_browser

from cospeech.recipes import bench_demo

pytestmark = [*in_browser, pytest.mark.slow]


def test_it_prints_what_visitors_wait_for(capsys):
    pytest.importorskip("gradio")
    bench_demo.main(times=1)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[2:]] == list(bench_demo.WANTED_S)
    assert all(float(row[1]) > 0 and float(row[2]) > 0 for row in rows[2:])
