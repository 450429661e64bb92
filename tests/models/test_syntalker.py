import itertools
from dataclasses import replace

import parity
import pytest
import torch

from cospeech.config import from_dict, to_dict
from cospeech.errors import CheckpointError, ConfigError
from cospeech.models.syntalker import (
    SYSTEM_S,
    SYSTEM_T,
    Conditions,
    Denoiser,
    DenoiserConfig,
    FrameEncoderConfig,
    FrozenDenoiser,
    WaveformEncoderConfig,
    WordsConfig,
    rename_published,
)
from cospeech.nn.diffusion import cosine_schedule, respace
from cospeech.nn.published import meta
from cospeech.nn.sampling import ddim

PARITY_S = DenoiserConfig(
    parts=("upper", "hands", "lower"),
    audio=WaveformEncoderConfig(width=32),
    words=WordsConfig(num_words=40, width=32),
    code_dim=32,
    speech_width=32,
    width=64,
    depth=2,
    mlp_width=128,
)
PARITY_T = replace(PARITY_S, style_dim=256)
OURS = DenoiserConfig(
    parts=("upper", "hands", "lower", "face"),
    audio=FrameEncoderConfig(channels=6, width=16),
    style_dim=5,
    code_dim=8,
    speech_width=16,
    width=32,
    depth=2,
    mlp_width=64,
    rotary_groups=4,
)
UNREAD = 64 * 6 + 64  # parameters of a published layer that no input reaches


def published_denoiser(name: str, config: DenoiserConfig) -> Denoiser:
    model = Denoiser(config).eval()
    model.load_state_dict(rename_published(parity.weights(parity.shapes(name)), config))
    return model


def published_inputs():
    """The stored tensors, time-major; both rows of the batch hear the same audio."""
    stored = parity.load_tensors("small_denoiser_cospeech_io.npz")
    audio = stored["audio_features"].expand(2, -1, -1)
    return stored, stored["x"][:, :, 0].mT, audio, stored["word"].long(), stored["seed"]


def close(actual, expected):
    """Compare (B, S, C) with the published (B, C, 1, S)."""
    torch.testing.assert_close(actual, expected[:, :, 0].mT, atol=parity.TOLERANCE, rtol=0)


@torch.inference_mode()
def test_system_s_equals_the_published_network():
    model = published_denoiser("small_denoiser_cospeech", PARITY_S)
    stored, x, audio, words, seed = published_inputs()
    torch.testing.assert_close(model.speech_encoder.audio(audio), stored["wav_encoder"], atol=parity.TOLERANCE, rtol=0)
    conditions = model.condition(audio, words, seed)
    close(model(x, torch.tensor([500, 500]), conditions), stored["out_t500"])

    noise = itertools.repeat(parity.inputs("ddim_noise", (1, 96, 1, 32))[:, :, 0].mT)
    first = Conditions(conditions.context[:1])
    for network in (model, FrozenDenoiser(model)):
        sample = ddim(lambda x, t, network=network: network(x, t, first), noise, respace(cosine_schedule(), 50))
        close(sample, stored["ddim50_sample"])


@torch.inference_mode()
def test_system_t_equals_the_published_network():
    model = published_denoiser("small_denoiser_h3d", PARITY_T)
    _, x, audio, words, seed = published_inputs()
    stored, t = parity.load_tensors("small_denoiser_h3d_io.npz"), torch.tensor([500, 500])
    style, no = stored["style_feature"], torch.tensor([False, False])
    close(model(x, t, model.condition(audio, words, seed, style)), stored["out_t500"])
    close(FrozenDenoiser(model)(x, t, model.condition(audio, words, seed, style)), stored["out_t500"])
    close(model(x, t, model.condition(audio, words, seed)), stored["out_t500_uncond"])
    close(model(x, t, model.condition(audio, words, seed, style, has_style=no)), stored["out_t500_uncond"])
    close(model(x, t, model.condition(audio, words, seed, style, has_audio=no)), stored["out_t500_uncond_audio"])


@pytest.mark.parametrize(
    ("name", "config", "num_parameters", "unread"),
    [
        ("syntalker_denoiser_cospeech", SYSTEM_S, 29_607_012, UNREAD),
        ("syntalker_denoiser_h3d", SYSTEM_T, 30_001_252, UNREAD + 256),
    ],
)
def test_published_settings_have_the_published_tensors(name, config, num_parameters, unread):
    ours = sum(p.numel() for p in meta(lambda: Denoiser(config)).parameters())
    assert ours + unread == num_parameters == parity.num_parameters(name)
    model = published_denoiser(name, config)
    samples, words = torch.zeros(1, 68224, 2), torch.zeros(1, 128, dtype=torch.int64)
    with torch.inference_mode():
        conditions = model.condition(samples, words, torch.zeros(1, 4, 1536))
        assert model(torch.zeros(1, 32, 1536), torch.tensor([980]), conditions).isfinite().all()


@pytest.mark.parametrize("num_samples", [68224, 68266])
def test_inference_and_training_windows_both_give_one_vector_per_frame(num_samples):
    model = Denoiser(PARITY_S).eval()
    with torch.inference_mode():
        assert model.speech_encoder.audio(torch.zeros(1, num_samples, 2)).shape == (1, 128, 32)


def test_each_tensor_that_does_not_fit_is_named():
    state = parity.weights(parity.shapes("small_denoiser_cospeech"))
    del state["module.embed_text.bias"]
    state["module.extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"missing: embed_text\.bias; unknown: extra"):
        rename_published(state, PARITY_S)
    with pytest.raises(CheckpointError, match=r"input_process3\.weight"):
        rename_published(parity.weights(parity.shapes("small_denoiser_cospeech")), PARITY_T)


def our_inputs(batch: int):
    torch.manual_seed(1)
    x, seed = torch.randn(batch, 32, OURS.channels), torch.randn(batch, 4, OURS.channels)
    return x, torch.randn(batch, 128, 6), seed, torch.randn(batch, 5)


def plain_denoiser(model: Denoiser, x, t, speech, seed, style):
    """Section by section as published: concatenations, sines and softmax written out."""
    steps, width = x.shape[1], model.config.width
    timestep = model.embed_timestep(model.timestep_table[t]) + model.embed_seed(seed.flatten(1))
    h = model.join(torch.cat([timestep[:, None].expand(-1, steps, -1), model.embed_latents(x), speech], dim=-1))
    h = model.join_style(torch.cat([h, style[:, None].expand(-1, steps, -1)], dim=-1))
    rotated, half = h.clone(), width // model.config.rotary_groups // 2
    for p, group, j in itertools.product(range(steps), range(model.config.rotary_groups), range(half)):
        angle = torch.tensor(p * 10000 ** (-j / half))
        first, second = group * 2 * half + j, group * 2 * half + j + half
        rotated[:, p, first] = h[:, p, first] * angle.cos() - h[:, p, second] * angle.sin()
        rotated[:, p, second] = h[:, p, second] * angle.cos() + h[:, p, first] * angle.sin()
    h = rotated
    for block in model.blocks:
        query, key, value = block.attention.qkv(block.attention_norm(h)).chunk(3, dim=-1)
        heads = []
        for q, k, v in zip(*(a.chunk(model.config.heads, dim=-1) for a in (query, key, value)), strict=True):
            heads.append((q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1) @ v)
        h = h + block.attention.out(torch.cat(heads, dim=-1))
        h = h + block.mlp(block.mlp_norm(h))
    return model.out(h)


@torch.inference_mode()
def test_conditioning_once_equals_the_plain_network():
    torch.manual_seed(0)
    model = Denoiser(OURS).eval()
    x, features, seed, style = our_inputs(2)
    t = torch.tensor([3, 900])
    expected = plain_denoiser(model, x, t, model.encode_speech(features), seed, style)
    torch.testing.assert_close(model(x, t, model.condition(features, None, seed, style)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("style_dim", [None, 5])
@torch.inference_mode()
def test_the_frozen_network_equals_the_plain_one(style_dim):
    torch.manual_seed(0)
    model = Denoiser(replace(OURS, style_dim=style_dim)).eval()
    x, features, seed, style = our_inputs(3)
    conditions = model.condition(features, None, seed, style if style_dim else None)
    t = torch.tensor([0, 500, 999])
    expected = model(x, t, conditions)
    torch.testing.assert_close(FrozenDenoiser(model)(x, t, conditions), expected, atol=1e-5, rtol=0)
    half = FrozenDenoiser(model, torch.bfloat16)(x, t, conditions)
    assert 0 < (half - expected).norm() < 0.02 * expected.norm()


@torch.inference_mode()
def test_what_a_clip_does_not_have_is_not_read():
    torch.manual_seed(0)
    model = Denoiser(OURS).eval()
    torch.nn.init.normal_(model.no_style)
    torch.nn.init.normal_(model.speech_encoder.audio.no_audio)
    _, features, seed, style = our_inputs(2)
    has = torch.tensor([True, False])
    contexts = model.condition(features, None, seed, style, has_audio=has, has_style=has).context
    nonsense = torch.tensor([0.0, float("nan")])
    again = model.condition(
        features + nonsense[:, None, None], None, seed, style + nonsense[:, None], has_audio=has, has_style=has
    ).context
    assert torch.equal(contexts, again)
    alone = model.condition(features, None, seed, style).context
    torch.testing.assert_close(contexts[0], alone[0])
    assert (contexts[1] - alone[1]).abs().max() > 0.1


def test_words_of_a_clip_without_speech_are_silence():
    torch.manual_seed(0)
    config = replace(OURS, words=WordsConfig(num_words=9, embedding_dim=7, width=4))
    model = Denoiser(config).eval()
    _, features, _, _ = our_inputs(1)
    no, words = torch.tensor([False]), torch.randint(1, 9, (1, 128))
    silent = model.encode_speech(features, torch.zeros_like(words), no)
    assert torch.equal(model.encode_speech(features, words, no), silent)
    assert not torch.allclose(model.encode_speech(features, words), silent)


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = Denoiser(replace(OURS, drop_path=0.0))
    x, features, seed, style = our_inputs(2)
    has = torch.tensor([True, False])
    conditions = model.condition(features, None, seed, style, has_audio=has, has_style=has)
    model(x, torch.tensor([1, 2]), conditions).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_rows_of_a_batch_do_not_mix():
    torch.manual_seed(0)
    model = Denoiser(OURS).eval()
    x, features, seed, style = our_inputs(3)
    t = torch.tensor([0, 500, 999])
    with torch.inference_mode():
        together = model(x, t, model.condition(features, None, seed, style))
        alone = model(x[1:2], t[1:2], model.condition(features[1:2], None, seed[1:2], style[1:2]))
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)


def test_config_survives_json():
    for config in (SYSTEM_S, SYSTEM_T, OURS):
        assert from_dict(DenoiserConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [({"parts": ("upper", "upper")}, "once"), ({"heads": 5}, "`heads`"), ({"rotary_groups": 5}, "rotary")],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(OURS, **change)
