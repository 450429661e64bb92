import parity
import pytest
import torch

from cospeech.errors import CheckpointError, ConfigError
from cospeech.models import tokenizer
from cospeech.models.tokenizer import Tokenizer, TokenizerConfig, rename_published
from cospeech.nn.quantize import QuantizerConfig

SMALL = TokenizerConfig(channels=78, width=32, quantizer=QuantizerConfig(code_dim=32, num_codes=64))
PUBLISHED = {
    "rvqvae_upper": (tokenizer.S_UPPER, 18_868_302),
    "rvqvae_hands": (tokenizer.S_HANDS, 19_181_748),
    "rvqvae_lower": (tokenizer.S_LOWER, 18_794_550),
    "rvqvae_lower_trans": (tokenizer.S_LOWER_TRANS, 18_803_769),
    "h3d_rvqvae_upper": (tokenizer.T_UPPER, 19_107_996),
    "h3d_rvqvae_hands": (tokenizer.T_HANDS, 19_734_888),
    "h3d_rvqvae_lower": (tokenizer.T_LOWER, 18_957_419),
}


@pytest.fixture(scope="module")
def published_state():
    return torch.load(parity.FIXTURES / "small_rvqvae_upper_net.pth", weights_only=True)


@pytest.fixture(scope="module")
def small(published_state):
    model = Tokenizer(SMALL).eval()
    model.load_state_dict(rename_published(published_state, SMALL))
    return model


@torch.inference_mode()
def test_equals_the_published_network(small):
    expected = parity.load_tensors("small_rvqvae_upper_io.npz")
    x, codes = expected["x"], expected["code_idx"].long()

    def close(actual, name):
        torch.testing.assert_close(actual, expected[name], atol=parity.TOLERANCE, rtol=0)

    close(small.encode(x), "map2latent")
    assert torch.equal(small.encode_codes(x), codes)
    close(small.quantizer.decode(codes).mT, "quantised_sum")
    close(small.decode(expected["map2latent"]), "latent2origin")
    close(small.decode_codes(codes), "forward_decoder")
    out = small(x)
    close(out.motion, "rec_pose")
    assert torch.equal(out.codes, codes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_have_the_published_tensors(name):
    config, num_parameters = PUBLISHED[name]
    model = tokenizer.published.meta(lambda: Tokenizer(config))
    assert sum(p.numel() for p in model.parameters()) == num_parameters == parity.num_parameters(f"syntalker_{name}")
    shapes = parity.shapes(f"syntalker_{name}")
    state = rename_published({key: torch.empty(shape, device="meta") for key, shape in shapes.items()}, config)
    model.load_state_dict(state, assign=True)  # raises unless every tensor of ours has come from one of theirs


@torch.inference_mode()
def test_full_size_weights_load_and_run():
    config = tokenizer.S_LOWER_TRANS
    model = Tokenizer(config).eval()
    model.load_state_dict(rename_published(parity.weights(parity.shapes("syntalker_rvqvae_lower_trans")), config))
    motion = model(torch.zeros(1, 32, 57)).motion
    assert motion.shape == (1, 32, 57)
    assert motion.isfinite().all()


def test_each_tensor_that_does_not_fit_is_named(published_state):
    state = dict(published_state["net"])
    state["encoder.model.99.weight"] = state.pop("encoder.model.4.bias")
    state["quantizer.layers.3.codebook"] = torch.zeros(64, 31)
    with pytest.raises(CheckpointError) as error:
        rename_published({"net": state}, SMALL)
    message = str(error.value)
    assert "missing: encoder.model.4.bias;" in message
    assert "unknown: encoder.model.99.weight;" in message
    assert "quantizer.layers.3.codebook (64, 31) instead of (64, 32)" in message


@pytest.mark.parametrize(("frames", "steps"), [(126, 31), (64, 16), (7, 1)])
def test_frames_beyond_whole_steps_are_left_out(small, frames, steps):
    with torch.inference_mode():
        latents = small.encode(torch.zeros(1, frames, 78))
        assert latents.shape == (1, steps, 32)
        assert small.decode(latents).shape == (1, 4 * steps, 78)


@pytest.mark.parametrize("config", [SMALL, TokenizerConfig(5, 16, 3, 2, 2, quantizer=QuantizerConfig(8, 16, 2))])
@torch.inference_mode()
def test_halo_is_what_one_step_reaches_and_not_a_step_more(config):
    torch.manual_seed(0)
    decoder = Tokenizer(config).eval().decoder
    steps, middle, frames = 4 * config.halo_steps, 2 * config.halo_steps, config.frames_per_step
    latents = torch.randn(1, steps, config.quantizer.code_dim)
    changed = latents.clone()
    changed[:, middle] += 10
    moved = (decoder(latents) != decoder(changed)).any(dim=-1)[0].nonzero()[:, 0] // frames
    assert moved.max() == middle + config.halo_steps
    assert moved.min() == middle - config.halo_steps


@pytest.mark.parametrize("chunk_steps", [1, 7, 40, 97, 200])
@pytest.mark.parametrize("snap", [True, False])
@torch.inference_mode()
def test_long_sequences_decode_in_chunks_to_the_same_frames(small, chunk_steps, snap):
    latents = small.encode(parity.inputs("long", (1, 388, 78)))
    chunked = small.decode_long(latents, snap, chunk_steps)
    torch.testing.assert_close(chunked, small.decode(latents, snap), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_latents_are_snapped_or_decoded_as_they_are(small):
    latents = small.encode(parity.inputs("long", (1, 40, 78)))
    codes = small.quantizer.decode(small.quantizer.encode(latents))
    torch.testing.assert_close(small.decode(latents), small.decode(codes, snap=False))
    assert not torch.allclose(small.decode(latents), small.decode(latents, snap=False), atol=1e-3)


def test_no_latents_decode_to_no_frames(small):
    assert small.decode_long(torch.zeros(2, 0, 32)).shape == (2, 0, 78)


def test_training_learns_to_reconstruct_and_uses_many_codes():
    torch.manual_seed(0)
    config = TokenizerConfig(
        4, 16, depth=1, dropout=0.0, quantizer=QuantizerConfig(8, 16, 2, min_uses=0.2, temperature=0.0)
    )
    model = Tokenizer(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    phase = torch.rand(16, 1, 4) * 6
    motion = torch.sin(torch.arange(32)[None, :, None] * 0.2 + phase)
    errors = []
    for _ in range(150):
        out = model(motion)
        error = torch.nn.functional.mse_loss(out.motion, motion)
        optimizer.zero_grad()
        (error + 0.02 * out.loss).backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.3 * errors[0]
    assert out.perplexity > 8  # of 16


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="`channels` must be positive"):
        TokenizerConfig(channels=0)
