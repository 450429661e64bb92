"""The published evaluation's numbers from end to end: `COSPEECH_PARITY=FOLDER pytest -m data -k published_metrics`."""

import os
from pathlib import Path

import numpy as np
import published_metrics as published
import pytest

from cospeech.metrics import beat, frechet
from cospeech.metrics.diversity import l1_diversity
from cospeech.models.embedder import Embedder, EmbedderConfig, embed, rename_published


@pytest.mark.data
def test_from_recordings_and_poses_to_the_published_values():
    if "COSPEECH_PARITY" not in os.environ:
        pytest.skip("COSPEECH_PARITY names no folder")
    with np.load(Path(os.environ["COSPEECH_PARITY"]) / "metrics" / "synthetic_io.npz") as file:
        arrays = {name: file[name] for name in file.files}
    wanted = published.VALUES["synthetic"]
    # What was resampled before: no second time by way of 22.05 kHz.
    samples = arrays["wav"].astype(np.float32) / 32768
    found = beat._onsets(samples[32_000 : len(samples) - 32_000])
    assert np.array_equal(found, arrays["onset_times"])
    assert found.tolist() == wanted["onset_times_int16_wav"]
    network = Embedder(EmbedderConfig()).eval()
    network.load_state_dict(rename_published(published.embedder_state(), EmbedderConfig()))
    latents = []
    for clip in "AB":
        poses = arrays[f"pose_{clip}"].reshape(-1, 55, 3)
        latents.append(embed(network, poses, "published"))
        np.testing.assert_allclose(latents[-1], arrays[f"latent_{clip}"], atol=1e-4)
        joints = published.joints(poses, arrays["rest_joints"])
        assert l1_diversity(joints).value == pytest.approx(wanted[f"l1div_{clip}"], rel=1e-6)
    assert frechet.frechet_distance(*latents, "published") == pytest.approx(wanted["frechet_A_B"], rel=1e-4)
    joints = arrays["joints_A"].reshape(-1, 55, 3)
    np.testing.assert_allclose(
        published.joints(arrays["pose_A"].reshape(-1, 55, 3), arrays["rest_joints"]), joints, atol=1e-6
    )
    value = beat.beat_consistency(joints, found, arrays["mean_vel"], "published").value
    assert value == pytest.approx(wanted["bc_after_inplace_l1div_A"], rel=1e-6)
