import tiny
import torch

from cospeech import checkpoint
from cospeech.recipes import bench_clips


def test_the_tables_are_printed(tmp_path, capsys, monkeypatch):
    checkpoint.save(tiny.checkpoint(), tmp_path / "tiny", torch.float32)
    monkeypatch.setattr(bench_clips, "BATCHES", (1, 3))
    monkeypatch.setattr(bench_clips, "PROCESSES", (1,))
    bench_clips.show(str(tmp_path / "tiny"), recordings=2)
    printed = capsys.readouterr().out
    assert "recordings in a batch" in printed
    assert "processes" in printed
    assert "1.00" in printed
