from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from cospeech.errors import ConfigError
from cospeech.nn.quantize import QuantizerConfig, ResidualQuantizer

CONFIG = QuantizerConfig(code_dim=4, num_codes=8, num_stages=3, stage_dropout=0.0, temperature=0.0)


def quantizer(config: QuantizerConfig = CONFIG) -> ResidualQuantizer:
    """Every code far from the others, so that rounding cannot change a choice."""
    torch.manual_seed(0)
    model = ResidualQuantizer(config)
    codebooks = torch.randn_like(model.codebooks) * torch.tensor([1.0, 0.4, 0.1])[: config.num_stages, None, None]
    model.load_state_dict({"codebooks": codebooks})
    return model


def nearest_codes(x, codebooks):
    """One row, one stage, one code at a time."""
    codes = torch.zeros(*x.shape[:2], len(codebooks), dtype=torch.int64)
    for b in range(x.shape[0]):
        for s in range(x.shape[1]):
            residual = x[b, s].clone()
            for q, codebook in enumerate(codebooks):
                distances = [(residual - code).square().sum().item() for code in codebook]
                codes[b, s, q] = distances.index(min(distances))
                residual = residual - codebook[codes[b, s, q]]
    return codes


def test_codes_are_the_nearest_of_what_is_left():
    model, x = quantizer().eval(), torch.randn(2, 5, 4)
    expected = nearest_codes(x, model.codebooks)
    assert torch.equal(model.encode(x), expected)
    out = model(x)
    assert torch.equal(out.codes, expected)
    total = sum(model.codebooks[q][expected[..., q]] for q in range(3))
    torch.testing.assert_close(out.latents, total)
    torch.testing.assert_close(model.decode(expected), total)


def test_encoding_in_training_is_that_of_evaluation():
    model, x = quantizer(replace(CONFIG, temperature=0.5, stage_dropout=1.0)), torch.randn(2, 5, 4)
    assert torch.equal(model.train().encode(x), model.eval().encode(x))


def test_input_is_left_alone():
    model, x = quantizer().train(), torch.randn(2, 5, 4)
    before = x.clone()
    model(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(("rule", "num_stages", "factor"), [("per_stage", 3, 3), ("per_stage", 2, 2), ("once", 3, 1)])
def test_gradient_reaches_the_encoder_times_the_active_stages(rule, num_stages, factor):
    model = quantizer(replace(CONFIG, straight_through=rule, num_stages=num_stages))
    x, weight = torch.randn(2, 5, 4, requires_grad=True), torch.randn(2, 5, 4)
    (model(x).latents * weight).sum().backward()
    torch.testing.assert_close(x.grad, factor * weight)


def test_commitment_pulls_x_to_each_partial_sum():
    model, x = quantizer().eval(), torch.randn(2, 5, 4, requires_grad=True)
    out = model(x)
    partial, expected = torch.zeros_like(x), []
    for q in range(3):
        partial = partial + model.codebooks[q][out.codes[..., q]]
        expected.append(F.mse_loss(x, partial))
    expected = torch.stack(expected).mean()
    torch.testing.assert_close(out.loss, expected)
    (of_loss,) = torch.autograd.grad(out.loss, x)
    torch.testing.assert_close(of_loss, torch.autograd.grad(expected, x)[0])


def test_perplexity_counts_codes_in_use():
    config = replace(CONFIG, num_stages=1, num_codes=4)
    model = ResidualQuantizer(config).eval()
    model.load_state_dict({"codebooks": torch.eye(4)[None]})
    assert model(torch.eye(4)[None, :2].repeat(1, 3, 1)).perplexity == pytest.approx(2, rel=1e-4)
    assert model(torch.eye(4)[None, :1]).perplexity == pytest.approx(1, rel=1e-4)


def test_averages_move_by_hand():
    config = QuantizerConfig(
        code_dim=1, num_codes=3, num_stages=1, decay=0.9, stage_dropout=0.0, temperature=0.0, replace_with="first"
    )
    model = ResidualQuantizer(config).train()
    model.load_state_dict({"codebooks": torch.tensor([[[0.0], [10.0], [20.0]]])})
    out = model(torch.tensor([[[1.0], [9.0], [2.0], [11.0], [3.0]]]))
    assert out.latents.flatten().tolist() == [0, 10, 0, 10, 0]  # by the codebook as it was
    torch.testing.assert_close(model.counts, torch.tensor([[0.9 + 0.3, 0.9 + 0.2, 0.9]]))
    torch.testing.assert_close(model.sums[0, :, 0], torch.tensor([0.6, 9 + 2.0, 18.0]))
    # The third code was used less than once a step: the third row of the batch replaces it.
    torch.testing.assert_close(model.codebooks[0, :, 0], torch.tensor([0.6 / 1.2, 11 / 1.1, 2.0]))


def test_random_replacement_takes_rows_of_the_batch_and_lets_them_live():
    config = replace(CONFIG, num_stages=1, min_uses=0.5, decay=0.5)
    model = ResidualQuantizer(config).train()
    codebooks = torch.full((1, 8, 4), 1e3)
    codebooks[0, 0] = 0
    model.load_state_dict({"codebooks": codebooks})
    x = torch.randn(1, 50, 4)
    model(x)
    model(x)  # unused codes fall from 1 to 0.5 to 0.25 uses a step: now they are replaced
    rows = {tuple(row.tolist()) for row in x[0]}
    assert all(tuple(code.tolist()) in rows for code in model.codebooks[0, 1:])
    assert model.counts.min() == 0.5
    torch.testing.assert_close(model.sums[0, 1:] / model.counts[0, 1:, None], model.codebooks[0, 1:])


@pytest.mark.parametrize("replace_with", ["first", "random"])
@pytest.mark.parametrize("num_rows", [3, 40])
def test_first_training_step_takes_codes_from_the_batch(replace_with, num_rows):
    torch.manual_seed(0)
    model = ResidualQuantizer(replace(CONFIG, replace_with=replace_with, min_uses=0.0, decay=1.0)).train()
    x = torch.randn(1, num_rows, 4)
    out = model(x)
    assert model.initialised.all()
    distance = (model.codebooks[0][:, None] - x[0]).norm(dim=-1).amin(dim=1)
    assert distance.max() < (0.05 if num_rows < 8 else 1e-6)  # too few rows are repeated with a little noise
    if replace_with == "first" and num_rows > 8:
        torch.testing.assert_close(model.codebooks[0], x[0, :8])
        assert out.codes[0, :8, 0].tolist() == list(range(8))


def test_dropped_stages_are_marked_and_not_trained():
    torch.manual_seed(0)
    model = quantizer(replace(CONFIG, stage_dropout=1.0)).train()
    seen = set()
    for _ in range(40):
        before = model.codebooks.clone()
        codes = model(torch.randn(2, 5, 4)).codes
        active = int((codes[0, 0] >= 0).sum())
        assert (codes[..., :active] >= 0).all()
        assert (codes[..., active:] == -1).all()
        assert torch.equal(model.codebooks[active:], before[active:])
        seen.add(active)
    assert seen == {1, 2, 3}


def test_a_stage_skipped_at_first_still_starts_from_a_batch():
    torch.manual_seed(0)
    model = ResidualQuantizer(replace(CONFIG, stage_dropout=1.0, min_uses=0.0)).train()
    while not model.initialised.all():
        active = int((model(torch.randn(2, 20, 4)).codes[0, 0] >= 0).sum())
        assert model.initialised[:active].all()
        assert not model.codebooks[~model.initialised].any()
    assert model.codebooks.flatten(1).any(dim=1).all()


def test_gumbel_choice_follows_softmax_of_negative_distance():
    torch.manual_seed(0)
    config = QuantizerConfig(code_dim=1, num_codes=3, num_stages=1, stage_dropout=0.0, temperature=0.5)
    model = ResidualQuantizer(config).train()
    model.load_state_dict({"codebooks": torch.tensor([[[0.0], [0.5], [1.5]]])})
    codes = model(torch.full((1, 40_000, 1), 0.2)).codes
    share = torch.bincount(codes.flatten(), minlength=3) / 40_000
    expected = (-torch.tensor([0.04, 0.09, 1.69]) / 0.5).softmax(dim=0)
    torch.testing.assert_close(share, expected, atol=0.01, rtol=0)


def test_training_resumes_where_it_was_saved():
    x = torch.randn(3, 2, 5, 4)
    model = quantizer().train()
    model(x[0])
    resumed = ResidualQuantizer(CONFIG).train()
    resumed.load_state_dict(model.state_dict())
    for step in (1, 2):
        torch.manual_seed(step)
        expected = model(x[step])
        torch.manual_seed(step)
        assert torch.equal(resumed(x[step]).codes, expected.codes)
    assert torch.equal(resumed.codebooks, model.codebooks)


def test_two_devices_move_the_codebooks_as_one_large_batch_would(monkeypatch):
    x = torch.randn(1, 30, 4)
    config = replace(CONFIG, min_uses=0.0)  # nothing is replaced: that is random
    one = quantizer(config).train()
    one(torch.cat([x, x]))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.mul_(2))  # the other device sees x too
    monkeypatch.setattr(torch.distributed, "broadcast", lambda tensor, source: None)  # and draws what x's device draws
    two = quantizer(config).train()
    two(x)
    torch.testing.assert_close(two.codebooks, one.codebooks)
    torch.testing.assert_close(two.counts, one.counts)


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="`num_stages`"):
        QuantizerConfig(num_stages=0)
    with pytest.raises(ConfigError, match="`decay`"):
        QuantizerConfig(decay=1.5)
