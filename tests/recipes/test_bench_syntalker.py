"""The slow side that the fast one is compared with, and the benchmark that compares them."""

import numpy as np
import torch

from cospeech import waveform
from cospeech.nn.diffusion import cosine_schedule
from cospeech.nn.sampling import ddpm
from cospeech.recipes import bench_syntalker
from cospeech.recipes import plain_syntalker as plain


def test_both_paths_are_measured_stage_by_stage_and_give_the_same(monkeypatch):
    monkeypatch.setattr(bench_syntalker, "STEPS", 2)
    monkeypatch.setattr(bench_syntalker, "FAST_WINDOWS", 1)
    rows = []
    for row in bench_syntalker.measure("S", {"float32": 50.0, "bf16": 100.0}, plain_path=True):
        rows.append(row)
        if row.path == "bf16" and row.stage == "all":
            break  # before all 1000 steps
    assert [row.path for row in rows] == ["published"] * 5 + ["float32"] * 5 + ["bf16"] * 5
    for path in ("published", "float32", "bf16"):
        of_path = {row.stage.split(",")[0]: row for row in rows if row.path == path}
        parts = (of_path[stage] for stage in ("amplitude", "sampling", "quantising"))
        np.testing.assert_allclose(sum(row.gflop for row in parts), of_path["all"].gflop)
        assert of_path["speech encoder"].gflop < of_path["sampling"].gflop
    differences = [float(row.difference) for row in rows if row.difference]
    assert len(differences) == 2
    assert differences[0] < 1e-4
    assert differences[1] < 0.05


def test_the_published_amplitude_and_the_quick_one(rng):
    samples = rng.normal(size=5000).astype(np.float32)
    np.testing.assert_array_equal(plain.amplitude(samples), waveform.amplitude(samples))


def test_all_1000_ancestral_steps(rng):
    noise = [torch.from_numpy(rng.standard_normal((3, 4))) for _ in range(1001)]

    def predict(x, t):
        return torch.tanh(0.3 * x + t / 1000)

    slow = plain.ddpm(predict, iter(noise))
    fast = ddpm(lambda x, t: predict(x[0], int(t[0]))[None], (n[None] for n in noise), cosine_schedule(1000))
    torch.testing.assert_close(fast[0], slow, atol=1e-6, rtol=0)
