import math

import pytest
import torch

from cospeech.nn.layers import Attention, DropPath, TransformerBlock, WaveformBlock, rotary_table, rotate, sinusoids


def test_position_table_is_sine_then_cosine():
    table = sinusoids(50, 6)
    for position in (0, 1, 49):
        for pair in range(3):
            angle = position / 10000 ** (2 * pair / 6)
            assert table[position, 2 * pair] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 2 * pair + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def test_rotation_keeps_lengths_and_makes_products_depend_on_distance_only():
    torch.manual_seed(0)
    cos, sin = rotary_table(20, 8)
    a, b = torch.randn(2, 1, 1, 16)
    a, b = rotate(a.expand(1, 20, 16), cos, sin)[0], rotate(b.expand(1, 20, 16), cos, sin)[0]
    torch.testing.assert_close(a.norm(dim=-1), a[0].norm().expand(20))
    products = a @ b.mT
    torch.testing.assert_close(products[3:, 3:], products[:-3, :-3], atol=1e-5, rtol=0)
    assert not torch.allclose(products[0], products[0, 0].expand(20), atol=0.1)


def test_attention_equals_softmax_written_out():
    torch.manual_seed(0)
    attention, x = Attention(12, 3), torch.randn(2, 7, 12)
    query, key, value = attention.qkv(x).chunk(3, dim=-1)
    heads = []
    for q, k, v in zip(query.chunk(3, -1), key.chunk(3, -1), value.chunk(3, -1), strict=True):
        heads.append((q @ k.mT / 2).softmax(dim=-1) @ v)
    torch.testing.assert_close(attention(x), attention.out(torch.cat(heads, dim=-1)))


def test_drop_path_keeps_the_mean_and_drops_whole_clips():
    torch.manual_seed(0)
    drop, x = DropPath(0.25), torch.ones(8000, 2, 3)
    out = drop(x)
    assert out.mean() == pytest.approx(1, abs=0.03)
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    torch.testing.assert_close(out.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert torch.equal(drop.eval()(x), x)


def test_dropped_block_is_the_identity():
    block, x = TransformerBlock(8, 2, 16, drop_path=1 - 1e-9), torch.randn(2, 3, 8)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("stride", "padding", "length"), [(5, 1700, 14322), (1, 7, 68224), (6, 0, 11369)])
def test_waveform_block_lengths(stride, padding, length):
    block = WaveformBlock(1, 1, stride, padding).eval()
    with torch.inference_mode():
        assert block(torch.zeros(1, 1, 68224)).shape[-1] == length
