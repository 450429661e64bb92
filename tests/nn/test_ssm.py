import sys
from types import ModuleType

import parity
import pytest
import torch
import torch.nn.functional as F

from cospeech.errors import CospeechWarning
from cospeech.nn import ssm
from cospeech.nn.ssm import Mamba, MambaState, selective_scan

PUBLISHED = {
    "widen.weight": "in_proj.weight",
    "convolution.weight": "conv1d.weight",
    "convolution.bias": "conv1d.bias",
    "select.weight": "x_proj.weight",
    "step.weight": "dt_proj.weight",
    "step.bias": "dt_proj.bias",
    "log_decay": "A_log",
    "skip": "D",
    "narrow.weight": "out_proj.weight",
}


def arguments(length: int, clips: int = 2, channels: int = 6, states: int = 4, seed: int = 0) -> list[torch.Tensor]:
    """x, delta, a, b, c, d, state of `selective_scan`, float64."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)

    delta, a = F.softplus(normal(clips, length, channels)), -normal(channels, states).exp()
    of_state = normal(clips, length, states), normal(clips, length, states)
    return [normal(clips, length, channels), delta, a, *of_state, normal(channels), normal(clips, channels, states)]


@pytest.mark.parametrize("form", ["loop", "chunks", "auto"])
def test_the_scan_equals_the_published_one(form):
    stored = parity.load_tensors("selective_scan_io.npz")
    delta = F.softplus(stored["delta"] + stored["delta_bias"][:, None])
    y, _ = selective_scan(stored["u"].mT, delta.mT, stored["A"], stored["B"].mT, stored["C"].mT, stored["D"], form=form)
    torch.testing.assert_close(y.mT * F.silu(stored["z"]), stored["out"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", [1, 2, ssm.CHUNK - 1, ssm.CHUNK, ssm.CHUNK + 1, 3 * ssm.CHUNK + 5])
def test_chunks_give_what_the_loop_gives_and_its_gradients(length):
    gradients = {}
    for form in ("loop", "chunks"):
        inputs = [each.requires_grad_() for each in arguments(length)]
        y, state = selective_scan(*inputs, form=form)
        (y.sin().sum() + state.cos().sum()).backward()
        gradients[form] = [y.detach(), state.detach(), *(each.grad for each in inputs)]
    for loop, chunks in zip(*gradients.values(), strict=True):
        torch.testing.assert_close(chunks, loop, atol=1e-9, rtol=1e-9)


def test_a_long_scan_stays_finite():
    x, delta, a, b, c, d, _ = (each.float() for each in arguments(20_000, clips=1, channels=3, states=2))
    delta, a = 100 * delta, 10 * a  # decays of exp(-1000): products of many of them are zero
    loop = selective_scan(x, delta, a, b, c, d, form="loop").output
    chunks = selective_scan(x, delta, a, b, c, d).output
    assert loop.isfinite().all()
    torch.testing.assert_close(chunks, loop, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("form", ["loop", "chunks"])
@pytest.mark.parametrize("cuts", [[1], [63, 64, 65], [7, 30, 31, 150]])
def test_pieces_with_their_state_are_the_whole(form, cuts):
    x, delta, a, b, c, d, state = arguments(160)
    whole = selective_scan(x, delta, a, b, c, d, state, form=form)
    outputs = []
    for piece in zip(*(each.tensor_split(cuts, dim=1) for each in (x, delta, b, c)), strict=True):
        output, state = selective_scan(*piece[:2], a, *piece[2:], d, state, form=form)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole.output)
    torch.testing.assert_close(state, whole.state)


def test_the_layer_equals_the_published_one():
    stored = parity.load_tensors("mamba_layer_io.npz")
    layer = Mamba(64)
    layer.load_state_dict({ours: stored[f"w.{theirs}"] for ours, theirs in PUBLISHED.items()})
    torch.testing.assert_close(layer(stored["x"]), stored["y"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", [1, 2, 3, 20])
@torch.inference_mode()
def test_the_layer_in_pieces_is_the_whole_layer(length):
    torch.manual_seed(0)
    layer = Mamba(16)
    x = torch.randn(2, 100, 16)
    pieces: list[torch.Tensor] = []
    state: MambaState | None = None
    for piece in x.split(length, dim=1):
        output, state = layer.piece(piece, state)
        pieces.append(output)
    torch.testing.assert_close(torch.cat(pieces, dim=1), layer(x), atol=1e-5, rtol=0)


def test_steps_start_between_a_thousandth_and_a_tenth():
    step = F.softplus(Mamba(256).step.bias)
    assert step.min() >= 9e-4
    assert step.max() <= 0.101
    assert step.log().std() > 1  # evenly on a logarithmic scale


@pytest.fixture
def kernel(monkeypatch):
    """Puts a module in the place of mamba-ssm's."""

    def install(module: ModuleType | None):
        ssm._kernel.cache_clear()
        for name in ("mamba_ssm", "mamba_ssm.ops"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", module)

    yield install
    ssm._kernel.cache_clear()


def test_the_kernel_is_given_time_last(kernel):
    module = ModuleType("selective_scan_interface")

    def selective_scan_fn(u, delta, a, b, c, d, return_last_state):
        y, state = selective_scan(u.mT, delta.mT, a, b.mT, c.mT, d, form="loop")
        return y.mT, state

    module.selective_scan_fn = selective_scan_fn
    kernel(module)
    *inputs, state = arguments(9)
    for ours, loop in zip(selective_scan(*inputs, form="kernel"), selective_scan(*inputs, form="loop"), strict=True):
        torch.testing.assert_close(ours, loop)
    with pytest.raises(ValueError, match="without a state"):
        selective_scan(*inputs, state, form="kernel")


def test_a_kernel_that_does_not_load_is_said_once_and_done_without(kernel):
    kernel(ModuleType("selective_scan_interface"))  # has no such function
    with pytest.warns(CospeechWarning, match="does not load"):
        assert ssm._kernel() is None
    assert ssm._kernel() is None  # a second warning would be an error here


def test_without_the_package_nothing_is_said():
    ssm._kernel.cache_clear()
    assert ssm._kernel() is None
