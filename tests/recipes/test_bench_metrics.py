from cospeech.recipes import bench_metrics

MEASURES = ("FGD, published", "bands", "beat consistency, published", "LVD, corrected", "mismatch", "seam jump")


def test_the_benchmark_tells_what_a_clip_and_a_hundred_minutes_cost(capsys, monkeypatch):
    monkeypatch.setattr(bench_metrics, "MINUTE", 150)
    monkeypatch.setattr(bench_metrics, "CLIPS", 3)
    bench_metrics.main(clips=2)
    printed = capsys.readouterr().out
    for measure in (*MEASURES, "all, one after the other", "2 clips of 150 frames"):
        assert measure in printed
    per_clip, together = bench_metrics.costs(1)
    assert all(seconds >= 0 for seconds in (*per_clip.values(), *together.values()))
    assert per_clip["bands"] > 0
