import parity
import pytest
import torch

from cospeech.config import from_dict, to_dict
from cospeech.errors import CheckpointError, ConfigError
from cospeech.models import mambatalk
from cospeech.models.mambatalk import AUTOENCODERS, PARTS, Autoencoder, AutoencoderConfig, MambaTalk, MambaTalkConfig
from cospeech.nn.published import meta

SMALL = MambaTalkConfig(num_words=40, width=64, audio_width=32, motion_width=32, code_dim=32, num_codes=32)
FILES = {"face": "face", "upper": "upper", "hands": "hands", "lower": "lower", "translation": "global"}
NUM_PARAMETERS = {"face": 2231168, "upper": 2172648, "hands": 2408472, "lower": 3714325, "translation": 3648789}


def published_state(config: MambaTalkConfig) -> dict[str, torch.Tensor]:
    """Of a `mambatalk_100.bin` made by the recipe of the fixtures, where both tables of words are one."""
    state = parity.weights({f"module.{name}": shape for name, shape in mambatalk.published_shapes(config).items()})
    state["module.text_pre_encoder_face.weight"] = state["module.text_pre_encoder_body.weight"]
    return state


@torch.inference_mode()
def test_equals_the_published_network():
    model = MambaTalk(SMALL).eval()
    model.load_state_dict(mambatalk.rename_published(published_state(SMALL), SMALL))
    stored = parity.load_tensors("small_mambatalk_io.npz")
    hidden = torch.ones_like(stored["in_motion"], dtype=torch.bool)
    hidden[:, :4] = False
    motion = torch.where(hidden, torch.nan, stored["in_motion"])  # is not looked at
    speaker = stored["in_id"][:, 0, 0].long()
    chosen = model(stored["audio"][None], stored["word"].long(), speaker, motion, hidden)
    for part in PARTS:
        expected = stored[f"rec_{part}"], stored[f"cls_{part}"]
        torch.testing.assert_close((chosen.latents[part], chosen.logits[part]), expected, atol=parity.TOLERANCE, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@torch.inference_mode()
def test_a_frozen_network_gives_the_same(dtype, tolerance):
    model = MambaTalk(SMALL).eval()
    model.load_state_dict(mambatalk.rename_published(published_state(SMALL), SMALL))
    stored = parity.load_tensors("small_mambatalk_io.npz")
    hidden = torch.ones_like(stored["in_motion"], dtype=torch.bool)
    hidden[:, :4] = False
    window = stored["audio"][None], stored["word"].long(), torch.tensor([1]), stored["in_motion"], hidden
    plain = model(*window)
    mambatalk.freeze(model, dtype)
    frozen = model(*window)
    for part in PARTS:
        torch.testing.assert_close(frozen.logits[part], plain.logits[part], atol=tolerance, rtol=tolerance)


def test_published_settings_have_the_published_tensors():
    config = MambaTalkConfig()
    expected = {name.removeprefix("module."): shape for name, shape in parity.shapes("mambatalk_main").items()}
    assert mambatalk.published_shapes(config) == expected
    unread = 2304 * 768 + 2304 + 3 * (768 * 768 + 768) + 4 * 768  # of a block whose result is thrown away
    ours = sum(parameter.numel() for parameter in meta(lambda: MambaTalk(config)).parameters())
    assert ours + unread == parity.num_parameters("mambatalk_main") == 199_366_553


@pytest.mark.parametrize("num_samples", [34112, 34133])
@torch.inference_mode()
def test_windows_of_training_and_of_inference_give_a_vector_a_frame(num_samples):
    ear = mambatalk.WaveformEncoder(3, 32).eval()
    assert ear(torch.zeros(1, num_samples, 3)).shape == (1, 64, 32)


@pytest.mark.parametrize("part", AUTOENCODERS)
def test_published_autoencoders_have_the_published_tensors(part):
    name, config = f"mambatalk_vq_{FILES[part]}", AUTOENCODERS[part]
    expected = {key.removeprefix("module."): shape for key, shape in parity.shapes(name).items()}
    assert mambatalk.published_autoencoder_shapes(config) == expected
    model = Autoencoder(config).eval()
    model.load_state_dict(mambatalk.rename_published_autoencoder(parity.weights(parity.shapes(name)), config))
    assert sum(parameter.numel() for parameter in model.parameters()) == NUM_PARAMETERS[part]


@pytest.mark.parametrize("part", AUTOENCODERS)
@torch.inference_mode()
def test_long_sequences_are_decoded_in_pieces_and_equal_the_whole(part):
    torch.manual_seed(0)
    config = AUTOENCODERS[part]
    model = Autoencoder(config).eval()
    if config.num_codes is None:
        motion = torch.randn(1, 100, config.channels)
        whole = model(motion)[0]
        for chunk in (1, 7, 64, 1000):
            torch.testing.assert_close(model.translate_long(motion, chunk), whole, atol=1e-5, rtol=0)
    else:
        codes = torch.randint(config.num_codes, (1, 100))
        for chunk in (1, 7, 64, 1000):
            torch.testing.assert_close(model.decode_long(codes, chunk), model.decode(codes), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_codes_are_the_nearest():
    torch.manual_seed(0)
    model = Autoencoder(AutoencoderConfig(5, width=8, num_codes=20)).eval()
    motion = torch.randn(2, 30, 5)
    distances = torch.cdist(model.encoder(motion), model.codebook.vectors)
    assert torch.equal(model.encode(motion), distances.argmin(dim=-1))
    reconstruction, coded = model(motion)
    torch.testing.assert_close(reconstruction, model.decode(coded.codes), atol=1e-6, rtol=0)


def test_the_gradient_reaches_encoder_codes_and_decoder():
    torch.manual_seed(0)
    model = Autoencoder(AutoencoderConfig(5, width=8, num_codes=20))
    motion = torch.randn(2, 30, 5)
    reconstruction, coded = model(motion)
    ((reconstruction - motion).square().mean() + coded.loss).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_every_parameter_of_the_network_learns():
    torch.manual_seed(0)
    model = MambaTalk(SMALL)
    hidden = torch.rand(2, 64, 337) < 0.5
    words, speaker = torch.randint(40, (2, 64)), torch.tensor([0, 24])
    chosen = model(torch.randn(2, 34133, 3), words, speaker, torch.randn(2, 64, 337), hidden)
    sum(each.square().mean() for each in (*chosen.latents.values(), *chosen.logits.values())).backward()
    silent = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert silent == []


def test_missing_foreign_and_misshapen_tensors_are_named():
    state = published_state(SMALL)
    with pytest.raises(CheckpointError, match=r"missing: speaker_encoder_face\.weight"):
        mambatalk.rename_published({k: v for k, v in state.items() if "speaker_encoder_face" not in k}, SMALL)
    with pytest.raises(CheckpointError, match="unknown: more"):
        mambatalk.rename_published({**state, "module.more": torch.zeros(1)}, SMALL)
    cut = {"module.speaker_encoder_face.weight": torch.zeros(24, 64)}
    with pytest.raises(CheckpointError, match=r"speaker_encoder_face\.weight \(24, 64\) instead of \(25, 64\)"):
        mambatalk.rename_published({**state, **cut}, SMALL)


def test_configs_survive_json():
    assert from_dict(MambaTalkConfig, to_dict(SMALL)) == SMALL
    for config in AUTOENCODERS.values():
        assert from_dict(AutoencoderConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"width": 0}, "`width`"),
        ({"width": 66}, "multiple of `heads`"),
        ({"heads": 0}, "`heads`"),
        ({"depth": -1}, "`depth`"),
        ({"seed_frames": 64}, "`seed_frames`"),
        ({"window_frames": 128}, "`window_frames`"),
        ({"motion_channels": 5}, "`motion_channels`"),
        ({"audio_channels": {"face": 3}}, "`audio_channels`"),
        ({"audio_channels": {"face": 5, "body": 2}}, "`audio_channels`"),
    ],
)
def test_impossible_settings_are_refused(change, problem):
    with pytest.raises(ConfigError, match=problem):
        MambaTalkConfig(**change)


@torch.no_grad()
def test_what_layers_add_begins_small_and_biases_at_zero():
    torch.manual_seed(0)
    model = MambaTalk(SMALL)
    for stack, depth in ((model.local_scan.scan["face"], 4), (model.global_scan.face, 1)):
        for layer in stack.layers:
            for linear in (layer.mamba.narrow, layer.narrow):
                reach = linear.weight.abs().max() * linear.in_features**0.5
                assert reach == pytest.approx((2 * depth) ** -0.5, rel=0.05)
        assert not stack.out.bias.any()
    mix = model.local_scan.mix["upper"]
    assert mix.out.weight.abs().max() * mix.out.in_features**0.5 == pytest.approx(2**-0.5, rel=0.05)
    for linear in (mix.qkv, mix.out, mix.widen, mix.narrow):
        assert not linear.bias.any()
    assert model.local_scan.scan["upper"].layers[0].mamba.step.bias.any()
    assert mix.qkv.weight.abs().max() == pytest.approx((6 / (4 * 64)) ** 0.5, rel=0.05)


def test_each_frame_drops_out_something_else():
    torch.manual_seed(0)
    model = MambaTalk(SMALL).global_scan.train()
    for block in (model.motion_block, model.place):
        block.eval()
    still, hidden = torch.zeros(1, 64, 337), torch.zeros(1, 64, 337, dtype=torch.bool)
    speaker, face = torch.randn(1, 1, 64), torch.zeros(1, 64, 32)
    seen = []
    model.motion_block.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    for training in (True, False):
        model.speaker_block.train(training)
        model.training = training
        model(still, hidden, speaker, face)
    noise = (seen[0] - seen[1])[0]  # (T, W)
    assert noise.std(dim=0).mean() > 0.05  # not the same in all frames
