import pytest
import torch
import torch.nn.functional as F

from cospeech.nn.convolution import FrozenWaveformBlock, TiledConvolution
from cospeech.nn.layers import WaveformBlock


@pytest.mark.parametrize("length", [1, 7, 49, 50, 51, 130])
@pytest.mark.parametrize(("kernel", "tile"), [(15, 64), (15, 32), (15, 15), (3, 8), (1, 4)])
def test_tiles_give_what_a_convolution_gives(length, kernel, tile):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(5, 3, kernel), torch.randn(5), torch.randn(2, 3, length)
    expected = F.conv1d(x, weight, bias, padding=kernel // 2)
    torch.testing.assert_close(TiledConvolution(weight, bias, tile)(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kernel", "tile"), [(4, 8), (15, 14)])
def test_impossible_tiles_are_refused(kernel, tile):
    with pytest.raises(ValueError, match="tile"):
        TiledConvolution(torch.zeros(1, 1, kernel), torch.zeros(1), tile)


@pytest.mark.parametrize("sizes", [(3, 8, 5, 100), (8, 8, 1, 7), (8, 16, 6, 0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
@torch.inference_mode()
def test_frozen_and_plain_blocks_agree(sizes, dtype, tolerance):
    torch.manual_seed(0)
    block = WaveformBlock(*sizes)
    for norm in (module for module in block.modules() if isinstance(module, torch.nn.BatchNorm1d)):
        torch.nn.init.normal_(norm.weight, 1, 0.1)
        torch.nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    block.eval()
    x = torch.randn(2, sizes[0], 300)
    before = x.clone()
    frozen = FrozenWaveformBlock(block, dtype)(x)
    torch.testing.assert_close(frozen, block(x), atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(x, before)
