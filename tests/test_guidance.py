from dataclasses import replace

import pytest
import tiny
import torch

from cospeech import guidance
from cospeech.guidance import by_speech, by_styles

CONFIG = replace(tiny.DENOISER, parts=("upper", "hands", "lower"), style_dim=3)


def predictions(follow, table):
    """(R, S, C) what a network would answer, from a table: (hears, style or None) -> value."""
    rows = []
    for r in range(len(follow.mix)):
        style = None if follow.has_style is None or not follow.has_style[r] else tuple(follow.style[r].tolist())
        rows.append(table[bool(follow.has_audio[r]), style])
    return torch.tensor(rows)[:, None, None].expand(-1, 2, CONFIG.channels)


def test_each_part_follows_its_own_prompt_as_published():
    upper, hands = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    a, u, s_upper, s_hands = 0.7, 0.1, -0.4, 0.9
    table = {(True, None): a, (False, None): u, (False, upper): s_upper, (False, hands): s_hands}
    follow = by_styles(CONFIG, {"upper": torch.tensor(upper), "hands": torch.tensor(hands)})
    of_upper, of_hands, of_lower = follow(predictions(follow, table))[0, 0].chunk(3)
    assert of_upper.tolist() == pytest.approx([a + 4 * (s_upper - u)] * 4)
    assert of_hands.tolist() == pytest.approx([u + 4 * (s_hands - u)] * 4)
    assert of_lower.tolist() == pytest.approx([a] * 4)


def test_strength_acts_and_equal_styles_share_a_prediction():
    style = torch.tensor([1.0, 2.0, 3.0])
    follow = by_styles(CONFIG, dict.fromkeys(CONFIG.parts, style), strength=2.0)
    assert len(follow.mix) == 3
    table = {(True, None): 1.0, (False, None): 0.5, (False, (1.0, 2.0, 3.0)): 3.0}
    upper, _, lower = follow(predictions(follow, table))[0, 0].chunk(3)
    assert upper[0] == 1 + 2 * 2.5
    assert lower[0] == 0.5 + 2 * 2.5


def test_without_a_style_one_prediction_is_enough():
    for follow in (by_styles(CONFIG, {}), by_speech(CONFIG, 1.0), guidance.plain(CONFIG)):
        assert len(follow.mix) == 1
        only = torch.randn(1, 2, CONFIG.channels)
        assert torch.equal(follow(only), only)


def test_speech_is_followed_further():
    follow = by_speech(CONFIG, 1.5)
    assert follow(predictions(follow, {(True, None): 2.0, (False, None): 1.0}))[0, 0, 0] == 2.5
