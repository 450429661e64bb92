import math

import parity
import pytest
import torch

from cospeech.errors import CheckpointError
from cospeech.models.tmr import (
    DistilBertConfig,
    Gaussian,
    MotionDecoder,
    MotionEncoder,
    TextEncoder,
    TmrConfig,
    contrast,
    divergence,
    rename_published_motion,
    rename_published_text,
)
from cospeech.nn.published import meta

SMALL = TmrConfig(width=16, depth=1, heads=2, mlp_width=8, text=DistilBertConfig(50, 20, 12, 2, 3, 24))


@pytest.mark.parametrize(
    ("name", "build", "rename", "num_parameters"),
    [
        ("tmr_motion", MotionEncoder, rename_published_motion, 3_319_296),
        ("tmr_text", TextEncoder, rename_published_text, 69_719_296),
    ],
)
def test_published_settings_have_the_published_tensors(name, build, rename, num_parameters):
    model = meta(lambda: build(TmrConfig()))
    assert sum(p.numel() for p in model.parameters()) == num_parameters == parity.num_parameters(f"syntalker_{name}")
    state = {key: torch.empty(shape, device="meta") for key, shape in parity.shapes(f"syntalker_{name}").items()}
    model.load_state_dict(rename(state, TmrConfig()), assign=True)
    with pytest.raises(CheckpointError, match=r"missing: seqTransEncoder\.layers\.0\.norm1\.bias"):
        rename({key: value for key, value in state.items() if "layers.0.norm1.bias" not in key}, TmrConfig())


def test_the_position_numbers_of_older_files_are_no_error():
    state = {key: torch.empty(shape, device="meta") for key, shape in parity.shapes("syntalker_tmr_text").items()}
    state["text_model.embeddings.position_ids"] = torch.arange(512)[None]
    rename_published_text(state, TmrConfig())


@torch.inference_mode()
def test_the_text_encoder_equals_one_written_out():
    torch.manual_seed(0)
    model = TextEncoder(SMALL).eval()
    pieces, valid = torch.tensor([[3, 7, 9, 0]]), torch.tensor([[True, True, True, False]])
    h = model.language.norm(model.language.pieces(pieces[0, :3]) + model.language.positions.weight[:3])
    for block in model.language.blocks:
        heads = []
        for q, k, v in zip(*(layer(h).chunk(3, dim=1) for layer in (block.query, block.key, block.value)), strict=True):
            heads.append((q @ k.T / 2).softmax(dim=1) @ v)  # 12 channels, 3 heads
        h = block.attention_norm(h + block.out(torch.cat(heads, dim=1)))
        h = block.mlp_norm(h + block.mlp(h))
    expected = model.gather(model.embed(h.relu())[None], None)
    found = model(pieces, valid)
    torch.testing.assert_close(found.mean, expected.mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.log_variance, expected.log_variance, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_padding_of_motions_is_not_read():
    torch.manual_seed(0)
    model = MotionEncoder(SMALL).eval()
    motion = torch.randn(1, 7, 623)
    padded = torch.cat([motion, torch.full((1, 3, 623), 9.0)], dim=1)
    valid = torch.arange(10)[None] < 7
    torch.testing.assert_close(model(padded, valid).mean, model(motion).mean, atol=1e-5, rtol=0)
    assert not torch.allclose(model(padded).mean, model(motion).mean)


def test_divergence_and_contrast_by_hand():
    a = Gaussian(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]]))
    b = Gaussian(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2 * math.log(2)]]))
    expected = torch.distributions.kl_divergence(
        *(torch.distributions.Normal(g.mean, (0.5 * g.log_variance).exp()) for g in (a, b))
    ).mean()
    torch.testing.assert_close(divergence(a, b), expected)
    assert divergence(a, a) == 0
    motion, text = torch.eye(3), torch.eye(3)
    none = torch.zeros(3, 3, dtype=torch.bool)
    alone = math.log(math.exp(10) + 2) - 10
    assert contrast(motion, text, none, 0.1).item() == pytest.approx(alone, abs=1e-6)
    assert contrast(motion, text[[1, 0, 2]], none, 0.1).item() > 5
    everything = torch.ones(3, 3, dtype=torch.bool)  # all the same: nothing to tell apart
    assert contrast(motion, text[[1, 0, 2]], everything, 0.1).item() == pytest.approx(0)


@torch.inference_mode()
def test_padding_is_neither_read_nor_made_by_the_decoder():
    torch.manual_seed(0)
    decoder = MotionDecoder(SMALL).eval()
    embedding = torch.randn(1, 16)
    valid = torch.arange(12)[None] < 8
    padded, alone = decoder(embedding, valid), decoder(embedding, torch.ones(1, 8, dtype=torch.bool))
    torch.testing.assert_close(padded[:, :8], alone)
    assert not padded[:, 8:].any()
