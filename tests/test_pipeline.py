import numpy as np
import pytest
import tiny
import torch

from cospeech import features, prosody
from cospeech.errors import ConfigError, PromptError
from cospeech.pipeline import Pipeline
from cospeech.speech import Speech

RATE = 16_000


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(tiny.checkpoint())


def speech(seconds, seed=0, rate=RATE):
    rng = np.random.default_rng(seed)
    at = np.arange(round(seconds * rate)) / rate
    loud = np.abs(np.sin(2 * np.pi * 1.7 * at + seed)) ** 2
    return Speech(0.3 * loud * np.sign(np.sin(2 * np.pi * 110 * at)) + 1e-3 * rng.normal(size=len(at)), rate)


@pytest.mark.parametrize(("seconds", "frames"), [(0.05, 2), (1, 30), (4.3, 129), (8.0, 240), (63.53, 1906)])
def test_exactly_as_long_as_the_speech(pipeline, seconds, frames):
    motion = pipeline.generate(speech(seconds))
    assert len(motion) == frames == round(seconds * 30)
    assert np.isfinite(motion.poses).all()


@pytest.mark.parametrize("num_frames", [1, 16, 127, 128, 129, 240, 241, 5000])
def test_windows_cover_every_frame_and_no_more(pipeline, num_frames):
    count = pipeline.num_windows(num_frames)
    assert 112 * count + 16 >= num_frames
    assert count == 1 or 112 * (count - 1) + 16 < num_frames


def test_motion_starts_at_the_origin(pipeline):
    motion = pipeline.generate(speech(3))
    np.testing.assert_array_equal(motion.translation[0, [0, 2]], 0)


def test_the_seed_decides(pipeline):
    first, again, other = (pipeline.generate(speech(6), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.poses, again.poses)
    assert np.abs(first.poses - other.poses).max() > 1e-3


def test_the_future_is_not_heard_before_its_window(pipeline):
    """The first window sees four seconds: what is said after eight does not change it."""
    long = speech(12)
    changed = Speech(np.concatenate([long.samples[: 8 * RATE], long.samples[8 * RATE :][::-1] * 0.999]), RATE)
    heard = [pipeline.hear(s, 360) for s in (long, changed)]
    torch.testing.assert_close(heard[0][:, :128], heard[1][:, :128], atol=1e-2, rtol=0)
    assert (heard[0][:, 250:] - heard[1][:, 250:]).abs().max() > 0.1


def test_windows_continue_each_other(pipeline):
    """Each window begins with the last latents of the one before: kept at every step, not only as a condition."""
    config = pipeline.config.denoiser
    heard = pipeline.hear(speech(8), 240)
    pieces = []

    def remember(x_t, t, conditions, plain=pipeline.denoiser.forward):
        pieces.append(x_t)
        return plain(x_t, t, conditions)

    pipeline.denoiser.forward = remember
    try:
        first, second = pipeline.sample_windows(heard, 0, steps=5)
    finally:
        del pipeline.denoiser.forward
    assert first.shape[1] == config.window_steps
    assert second.shape[1] == config.window_steps - config.seed_steps
    assert len(pieces) == 10


def test_conditions_are_made_once_for_each_window(pipeline, monkeypatch):
    calls = []
    monkeypatch.setattr(
        pipeline.denoiser.speech_encoder.audio,
        "forward",
        lambda *a, plain=pipeline.denoiser.speech_encoder.audio.forward: calls.append(1) or plain(*a),
    )
    pipeline.generate(speech(8), steps=7)
    assert len(calls) == 2


def test_decoding_puts_each_part_in_its_place(pipeline):
    config = pipeline.config.denoiser
    latents = torch.randn(1, 40, config.channels, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        motion = pipeline.decode(latents, 150)
        upper = pipeline.tokenizers["upper"].decode(latents[..., : config.code_dim])[0, :150]
    wanted = (upper * 0.1 + pipeline.statistics["upper.mean"]).numpy()
    got = features.encode("upper", motion.poses, motion.translation)
    # 6-D vectors of a network are not orthonormal, rotations are: compare what the first row points at
    wanted, got = (v.reshape(150, 13, 6)[..., :3] for v in (wanted, got))
    np.testing.assert_allclose(got, wanted / np.linalg.norm(wanted, axis=-1, keepdims=True), atol=1e-4)


def test_provenance_is_written_down(pipeline):
    metadata = pipeline.generate(speech(1), seed=7).metadata
    assert metadata["model"] == "tiny"
    assert metadata["seed"] == "7"
    assert {"licence", "version"} <= set(metadata)


def test_progress_ends_at_one(pipeline):
    seen = []
    pipeline.generate(speech(9), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.parametrize("part", ["upper", "hands", "lower", "whole"])
def test_a_prompt_to_a_model_without_text_is_an_error(pipeline, part):
    with pytest.raises(PromptError, match="speech only"):
        pipeline.generate(speech(1), **{part: "waves"})


def test_unknown_samplers_and_step_counts_are_errors(pipeline):
    with pytest.raises(ConfigError, match="euler"):
        pipeline.generate(speech(1), sampler="euler")
    with pytest.raises(ConfigError, match="1 to 1000"):
        pipeline.generate(speech(1), steps=0)


def test_loudness_and_sample_rate_are_not_heard(pipeline):
    base = speech(4)
    quiet, fine = Speech(base.samples * 10 ** (-30 / 20), RATE), base.resample(48_000)
    frames = base.num_frames(30)
    heard, heard_quiet, heard_fine = (pipeline.hear(s, frames)[0, :frames] for s in (base, quiet, fine))
    torch.testing.assert_close(heard_quiet, heard, atol=1e-3, rtol=0)
    assert (heard_fine - heard).abs().mean() < 0.02
    assert heard.shape[1] == prosody.NUM_FEATURES
