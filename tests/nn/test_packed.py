import pytest
import torch
import torch.nn.functional as F

from cospeech.nn import packed
from cospeech.nn.packed import PackedLinear


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 24), (3, 7, 24), (24,), (2, 1, 24)])
@torch.inference_mode()
def test_packed_and_plain_agree(packs, gelu, bias, shape, monkeypatch):
    if not packs:
        monkeypatch.setattr(packed, "_can_pack", lambda *_: False)
    torch.manual_seed(0)
    layer = torch.nn.Linear(24, 40, bias=bias)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        ours = PackedLinear(layer.weight, layer.bias, dtype, gelu)
        x = torch.randn(shape)
        expected = layer(x)
        expected = F.gelu(expected) if gelu else expected
        found = ours(x.to(dtype))
        assert found.dtype == dtype
        torch.testing.assert_close(found.float(), expected, atol=tolerance, rtol=tolerance)


def test_the_weights_are_a_copy():
    layer = torch.nn.Linear(4, 4)
    with torch.inference_mode():
        ours, x = PackedLinear(layer.weight, layer.bias, torch.float32), torch.ones(2, 4)
        before = ours(x)
        layer.weight.data.zero_()
        layer.bias.data.zero_()
        assert torch.equal(ours(x), before)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@torch.inference_mode()
def test_a_packed_network_gives_the_same(dtype, tolerance):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ModuleDict({"a": torch.nn.Linear(5, 4)}))
    x = torch.randn(7, 6)
    expected = network[1]["a"](network[0](x))
    packed.pack(network, dtype)
    found = network[1]["a"](network[0](x))
    assert found.dtype == torch.float32
    assert not any(isinstance(module, torch.nn.Linear) for module in network.modules())
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
