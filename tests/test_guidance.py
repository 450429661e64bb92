from dataclasses import replace

import pytest
import tiny
import torch

from cospeech.errors import ConfigError
from cospeech.guidance import GuidanceConfig, Styled, mixed, plain

CONFIG = replace(tiny.DENOISER, parts=("upper", "hands", "lower"), style_dim=3)
STEPS = CONFIG.window_steps
PUBLISHED = GuidanceConfig()


def predictions(follow, table):
    """(R, S, C) what a network would answer, from a table: (hears, style or None) -> value."""
    rows = []
    for r in range(len(follow.mix)):
        style = None if follow.has_style is None or not follow.has_style[r] else tuple(follow.style[r].tolist())
        rows.append(table[bool(follow.has_audio[r]), style])
    return torch.tensor(rows)[:, None, None].expand(-1, STEPS, CONFIG.channels)


def always(style, strength=1.0):
    return [Styled(torch.tensor(style), strength, torch.ones(STEPS))]


def test_each_part_follows_its_own_prompt_as_published():
    upper, hands = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    a, u, s_upper, s_hands = 0.7, 0.1, -0.4, 0.9
    table = {(True, None): a, (False, None): u, (False, upper): s_upper, (False, hands): s_hands}
    follow = mixed(CONFIG, PUBLISHED, {"upper": always(upper), "hands": always(hands)})
    for step in follow(predictions(follow, table))[0]:
        of_upper, of_hands, of_lower = step.chunk(3)
        assert of_upper.tolist() == pytest.approx([a + 4 * (s_upper - u)] * 4)
        assert of_hands.tolist() == pytest.approx([u + 4 * (s_hands - u)] * 4)
        assert of_lower.tolist() == pytest.approx([a] * 4)


def test_strength_acts_and_equal_styles_share_a_prediction():
    style = (1.0, 2.0, 3.0)
    follow = mixed(CONFIG, PUBLISHED, {part: always(style, 0.5) for part in CONFIG.parts})
    assert len(follow.mix) == 3
    table = {(True, None): 1.0, (False, None): 0.5, (False, style): 3.0}
    upper, _, lower = follow(predictions(follow, table))[0, 0].chunk(3)
    assert upper[0] == 1 + 2 * 2.5
    assert lower[0] == 0.5 + 0.5 * 0.5 + 2 * 2.5  # half as strong, half deaf


def test_without_strength_a_prompt_changes_nothing():
    follow = mixed(CONFIG, PUBLISHED, {part: always((1.0, 2.0, 3.0), 0.0) for part in CONFIG.parts})
    assert len(follow.mix) == 1
    assert follow.has_audio.tolist() == [True]
    half = mixed(CONFIG, PUBLISHED, {"hands": always((1.0, 2.0, 3.0), 0.5)})
    table = {(True, None): 1.0, (False, None): 0.0, (False, (1.0, 2.0, 3.0)): 1.0}
    assert half(predictions(half, table))[0, 0, 4] == 0.5 * 1 + 0.5 * 4


def test_from_speech_to_a_prompt_and_to_the_next():
    """Weights over time: at 0 a part does what it would without a prompt, at 1 what it would with it alone."""
    first, second = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    table = {(True, None): 0.7, (False, None): 0.1, (False, first): -0.4, (False, second): 0.9}
    weights = torch.zeros(2, STEPS)
    weights[0, 8:16], weights[1, 16:], weights[:, 16] = 1, 1, 0.5
    styles = [Styled(torch.tensor(s), 1.0, w) for s, w in zip((first, second), weights, strict=True)]
    follow = mixed(CONFIG, PUBLISHED, {"hands": styles})
    hands = follow(predictions(follow, table))[0, :, 4]
    alone = [0.1 + 4 * (table[False, style] - 0.1) for style in (first, second)]
    assert hands[:8].tolist() == pytest.approx([0.7] * 8)
    assert hands[8:16].tolist() == pytest.approx([alone[0]] * 8)
    assert hands[16] == pytest.approx(sum(alone) / 2)
    assert hands[17:].tolist() == pytest.approx([alone[1]] * (STEPS - 17))


def test_without_a_style_one_prediction_is_enough():
    for follow in (mixed(CONFIG, PUBLISHED, {}), mixed(CONFIG, PUBLISHED, {"upper": []}), plain(CONFIG)):
        assert len(follow.mix) == 1
        only = torch.randn(1, STEPS, CONFIG.channels)
        assert torch.equal(follow(only), only)


def test_speech_is_followed_further_with_and_without_prompts():
    table = {(True, None): 2.0, (False, None): 1.0, (False, (1.0, 0.0, 0.0)): 3.0}
    further = GuidanceConfig(speech=1.5, prompt=2.0)
    follow = mixed(CONFIG, further, {})
    assert follow(predictions(follow, table))[0, 0, 0] == 2.5
    follow = mixed(CONFIG, further, {part: always((1.0, 0.0, 0.0)) for part in ("upper", "hands")})
    upper, hands, lower = follow(predictions(follow, table))[0, 0].chunk(3)
    assert (upper[0], hands[0], lower[0]) == (2.5 + 4, 1 + 4, 2.5)


def test_parts_may_follow_the_speech_otherwise():
    table = {(True, None): 2.0, (False, None): 1.0}
    follow = mixed(CONFIG, GuidanceConfig(speech_of={"hands": 3.0}), {})
    upper, hands, lower = follow(predictions(follow, table))[0, 0].chunk(3)
    assert (upper[0], hands[0], lower[0]) == (2, 1 + 3, 2)


def test_impossible_guidance_is_refused():
    with pytest.raises(ConfigError, match="`prompt`"):
        GuidanceConfig(prompt=-1)
    with pytest.raises(ConfigError, match="`upper`"):
        GuidanceConfig(speech_of={"upper": 11})
