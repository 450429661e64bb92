import numpy as np
import parity
import pytest
import torch

from cospeech.errors import ConfigError
from cospeech.nn.diffusion import add_noise, cosine_schedule, respace, x0_loss

FULL = cosine_schedule()


def test_schedule_has_the_published_values():
    np.testing.assert_allclose(FULL.betas[:3], [4.12842248e-5, 4.61417527e-5, 5.09994812e-5], rtol=1e-8)
    np.testing.assert_allclose(FULL.betas[-3:], [0.55555376, 0.74999939, 0.999], rtol=1e-7)
    np.testing.assert_allclose(FULL.signal[[0, 500, 999]], [0.999958716, 0.492285172, 2.42876691e-9], rtol=1e-8)


def test_fifty_steps_equal_the_published_ones():
    expected, schedule = parity.load("schedule_ddim50.npz"), respace(FULL, 50)
    assert schedule.timesteps.tolist() == expected["timestep_map"].tolist() == list(range(0, 1000, 20))
    for actual, name in [
        (schedule.betas, "betas"),
        (schedule.signal, "alphas_cumprod"),
        (schedule.posterior_mean[0], "posterior_mean_coef1"),
        (schedule.posterior_mean[1], "posterior_mean_coef2"),
        (np.log(schedule.posterior_variance), "posterior_log_variance_clipped"),
    ]:
        np.testing.assert_allclose(actual, expected[name], rtol=1e-10, err_msg=name)
    assert schedule.signal[-1] == pytest.approx(8.76529e-4, rel=1e-6)


@pytest.mark.parametrize("num_steps", [1, 3, 8, 999, 1000])
def test_any_number_of_steps_keeps_the_signal_at_its_timesteps(num_steps):
    schedule = respace(FULL, num_steps)
    assert len(set(schedule.timesteps.tolist())) == num_steps
    np.testing.assert_allclose(schedule.signal, FULL.signal[schedule.timesteps], rtol=1e-9)


@pytest.mark.parametrize("num_steps", [0, 1001])
def test_impossible_numbers_of_steps_are_refused(num_steps):
    with pytest.raises(ConfigError, match="1 to 1000 steps"):
        respace(FULL, num_steps)


def test_noising_at_once_equals_noising_step_by_step():
    rng = np.random.default_rng(0)
    x = np.full(200_000, 3.0)
    for beta in FULL.betas[:300]:
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * rng.standard_normal(x.shape)
    torch.manual_seed(0)
    x0 = torch.full((1, 200_000, 1), 3.0)
    at_once = add_noise(x0, torch.tensor([299]), torch.randn_like(x0), FULL)
    assert at_once.mean().item() == pytest.approx(x.mean(), abs=0.01)
    assert at_once.std().item() == pytest.approx(x.std(), abs=0.01)


def test_each_row_has_its_own_noise_level():
    noisy = add_noise(torch.ones(2, 3, 4), torch.tensor([0, 999]), torch.zeros(2, 3, 4), FULL)
    torch.testing.assert_close(noisy[:, 0, 0], torch.tensor(FULL.signal[[0, 999]]).sqrt().float())


def test_loss_is_smooth_l1_of_what_the_mask_keeps():
    x0 = torch.zeros(2, 2, 3)
    predicted = torch.tensor([0.5, 2.0, 9.0]).expand(2, 2, 3).clone()
    small, large, huge = 0.5 * 0.5**2, 2 - 0.5, 9 - 0.5
    assert x0_loss(predicted, x0) == pytest.approx((small + large + huge) / 3)
    assert x0_loss(predicted, x0, torch.ones(2, 2, 1)) == pytest.approx((small + large + huge) / 3)
    mask = torch.ones(2, 2, 3)
    mask[..., 2] = 0  # a part that was not captured
    assert x0_loss(predicted, x0, mask) == pytest.approx((small + large) / 2)
    mask[1] = 0  # a clip without anything does not water down the others
    assert x0_loss(predicted, x0, mask) == pytest.approx((small + large) / 2)
    assert x0_loss(predicted, x0, torch.zeros(2, 2, 1)) == 0
