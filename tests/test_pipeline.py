from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from cospeech import features, prosody, skeleton
from cospeech.errors import ConfigError, CospeechWarning, PromptError
from cospeech.guidance import GuidanceConfig
from cospeech.motion import Motion
from cospeech.pipeline import Request
from cospeech.pipeline.syntalker import SAMPLERS, SynTalkerPipeline
from cospeech.prompts import Prompt
from cospeech.speech import Speech
from cospeech.systems import SynTalkerNetworks

RATE = 16_000


@pytest.fixture(scope="module")
def pipeline():
    return SynTalkerPipeline(tiny.checkpoint())


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
    first, second = ([each.window(start).audio for each in heard] for start in (0, 224))
    torch.testing.assert_close(*first, atol=1e-2, rtol=0)
    assert (second[0] - second[1]).abs().max() > 0.1


def test_windows_continue_each_other(pipeline, monkeypatch):
    """Each window begins with the last latents of the one before: kept at every step, not only as a condition."""
    config, known = pipeline.config.denoiser, pipeline.config.denoiser.seed_steps
    hearing = pipeline.hear(speech(8), 240)
    samples = []
    ddim = SAMPLERS["ddim"]

    def remember(denoise, noise, schedule):
        seen = []

        def watched(x_t, t):
            seen.append(denoise(x_t, t))
            return seen[-1]

        samples.append((ddim(watched, noise, schedule), seen))
        return samples[-1][0]

    monkeypatch.setitem(SAMPLERS, "ddim", remember)
    first, second = pipeline.sample_windows(hearing, 2, seed=0, steps=5)
    (before, _), (after, predictions) = samples
    assert len(predictions) == 5
    for prediction in predictions:
        assert torch.equal(prediction[:, :known], before[:, -known:])
    torch.testing.assert_close(after[:, :known], before[:, -known:])
    assert torch.equal(first, before * config.latent_scale)
    assert torch.equal(second, after[:, known:] * config.latent_scale)


def test_a_seed_motion_is_what_the_motion_begins_with(pipeline):
    """Up to what the tokenizers keep of it; a motion without a face begins with a face at rest."""
    before = pipeline.generate(speech(4), seed=3)
    for seed_motion in (before, replace(before, face=None)):
        known = pipeline.encode_seed(seed_motion)
        first = next(pipeline.sample_windows(pipeline.hear(speech(3), 90), 1, seed=0, steps=2, before=known))
        torch.testing.assert_close(first[:, : known.shape[1]], known)
    assert len(pipeline.generate(speech(3), seed_motion=before)) == 90
    with pytest.raises(ConfigError, match="16 are needed"):
        pipeline.encode_seed(before[:0.4])


def test_several_recordings_at_once_give_what_each_gives_alone():
    """Of unlike lengths, seeds, prompts and beginnings."""
    reads = SynTalkerPipeline(tiny.reading())
    reads.read.encoder.asks.bias.fill_(9.0)
    start = reads.generate(speech(1))
    requests = [
        Request(speech(9), seed=1),
        Request(speech(1, 1), [Prompt("bows")], seed=2),
        Request(speech(14, 2), [Prompt("waves", "upper", 1, 3), Prompt("walks", "lower")], seed_motion=start),
        Request(speech(4, 3), seed=1, seed_motion=start),
    ]
    for request, motion in zip(requests, reads.generate_many(requests, steps=4), strict=True):
        alone = reads.generate(
            request.speech,
            timeline=request.timeline,
            seed=request.seed,
            seed_motion=request.seed_motion,
            steps=4,
        )
        np.testing.assert_allclose(motion.poses, alone.poses, atol=1e-5)
        np.testing.assert_allclose(motion.translation, alone.translation, atol=1e-5)
        np.testing.assert_allclose(motion.face, alone.face, atol=1e-5)
        assert motion.metadata == alone.metadata
    assert list(reads.generate_many([])) == []
    with pytest.raises(ConfigError, match="Unknown sampler"):
        list(reads.generate_many(requests, sampler="euler"))


def test_several_recordings_share_one_batch(pipeline, monkeypatch):
    rows = []
    monkeypatch.setattr(
        pipeline.frozen, "forward", lambda *a, plain=pipeline.frozen.forward: rows.append(len(a[0])) or plain(*a)
    )
    list(pipeline.generate_many([Request(speech(9)), Request(speech(4))], steps=2))
    assert rows == [2, 2, 1, 1, 1, 1]  # both in their first window, the longer one in its other two


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
    heard, heard_quiet, heard_fine = (pipeline.hear(s, frames).features[:frames] for s in (base, quiet, fine))
    torch.testing.assert_close(heard_quiet, heard, atol=1e-3, rtol=0)
    assert (heard_fine - heard).abs().mean() < 0.02
    assert heard.shape[1] == prosody.NUM_FEATURES


def guided(guidance: float) -> SynTalkerPipeline:
    checkpoint = tiny.checkpoint()
    torch.nn.init.normal_(checkpoint.networks.denoiser.speech_encoder.audio.no_audio)
    return SynTalkerPipeline(replace(checkpoint, config=replace(checkpoint.config, guidance=GuidanceConfig(guidance))))


def test_guidance_goes_on_from_what_no_speech_gives_to_what_the_speech_gives():
    """In one step the result is the network's x0, which is linear in the guidance."""
    hearing = guided(1.0).hear(speech(3), 90)
    none, plain, twice = (next(guided(g).sample_windows(hearing, 1, seed=0, steps=1)) for g in (0.0, 1.0, 2.0))
    assert (plain - none).abs().max() > 1e-3
    torch.testing.assert_close(twice, none + 2 * (plain - none), atol=1e-5, rtol=1e-4)


def test_a_starter_reads_text_by_itself_and_lets_be_what_asks_for_nothing():
    checkpoint = tiny.reading()
    pipeline = SynTalkerPipeline(checkpoint)
    talk = speech(5)
    free = pipeline.generate(talk, finish=False)
    for asks in (True, False):
        torch.nn.init.constant_(checkpoint.networks.sentences.asks.bias, 9.0 if asks else -9.0)
        if asks:
            told = pipeline.generate(talk, upper="raises the right hand", finish=False)
            assert np.abs(told.poses - free.poses).max() > 1e-3
            assert told.metadata["prompts"] == '[{"text": "raises the right hand", "part": "upper"}]'
            assert "prompts" not in free.metadata
        else:
            with pytest.warns(CospeechWarning, match="asks for no motion"):
                same = pipeline.generate(talk, upper="how do I cook rice", finish=False)
            np.testing.assert_array_equal(same.poses, free.poses)


def test_without_guidance_at_all_the_speech_does_not_matter():
    first, second = (guided(0.0).generate(speech(5, seed), finish=False) for seed in (0, 1))
    np.testing.assert_array_equal(first.poses, second.poses)


def test_a_face_is_added_and_the_body_left_alone(pipeline):
    talk = speech(3)
    body = pipeline.generate(talk, seed=5).resample(60)
    faceless = replace(body, face=None)
    wanted = pipeline.generate(talk, seed=1, finish=False)
    made = pipeline.add_face(faceless, talk, seed=1)
    np.testing.assert_array_equal(made.face[::2], wanted.face)
    jaw = skeleton.JAW
    np.testing.assert_allclose(made.poses[:, jaw, 0], 0.30 * made.face[:, skeleton.JAW_OPEN], atol=1e-6)
    np.testing.assert_array_equal(np.delete(made.poses, jaw, axis=1), np.delete(body.poses, jaw, axis=1))


@pytest.mark.parametrize("frames", [61, 119])
def test_a_motion_that_ends_before_the_speech_or_little_later_gets_a_face(pipeline, frames):
    motion = Motion(np.zeros((frames, 55, 3)), np.zeros((frames, 3)))
    for seconds in (3, 9):
        assert pipeline.add_face(motion, speech(seconds)).face.shape == (frames, 52)
    with pytest.raises(ConfigError, match="do not belong together"):
        pipeline.add_face(motion, speech(1))


def test_a_model_without_a_face_has_none_to_give():
    checkpoint, parts = tiny.checkpoint(), ("upper",)
    config = replace(
        checkpoint.config,
        denoiser=replace(tiny.DENOISER, parts=parts),
        tokenizers={part: tiny.tokenizer_config(part) for part in parts},
    )
    rest = checkpoint.statistics["rest"][:, : config.denoiser.channels]
    networks = SynTalkerNetworks(config).eval()
    faceless = SynTalkerPipeline(
        replace(checkpoint, config=config, networks=networks, statistics=checkpoint.statistics | {"rest": rest})
    )
    with pytest.raises(ConfigError, match="has no face to give"):
        faceless.add_face(Motion(np.zeros((30, 55, 3)), np.zeros((30, 3))), speech(1))
