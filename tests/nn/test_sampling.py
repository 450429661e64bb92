import itertools

import numpy as np
import pytest
import torch

from cospeech.nn.diffusion import add_noise, cosine_schedule, respace
from cospeech.nn.sampling import ddim, ddpm, normals

FULL = cosine_schedule()


def noise_of(seed: int, shape=(2, 3, 4)):
    return normals(shape, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sampler", [ddim, ddpm])
@pytest.mark.parametrize("num_steps", [1, 7, 50])
def test_a_perfect_network_is_sampled_exactly(sampler, num_steps):
    truth = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(9))
    sample = sampler(lambda x, t: truth, noise_of(0), respace(FULL, num_steps))
    torch.testing.assert_close(sample, truth)


@pytest.mark.parametrize("sampler", [ddim, ddpm])
def test_the_network_is_told_original_timesteps_from_high_to_low(sampler):
    told = []

    def denoise(x, t):
        assert t.dtype == torch.int64
        told.append(t.tolist())
        return x

    sampler(denoise, noise_of(0), respace(FULL, 4))
    assert told == [[750, 750], [500, 500], [250, 250], [0, 0]]


def best_denoiser(mean: float, deviation: float):
    """The expectation of x0 given x_t when x0 is normal: what a trained network approaches."""

    def denoise(x, t):
        signal = torch.tensor(FULL.signal)[t][:, None, None].float()
        gain = signal.sqrt() * deviation**2 / (signal * deviation**2 + 1 - signal)
        return mean + gain * (x - signal.sqrt() * mean)

    return denoise


@pytest.mark.parametrize(
    ("sampler", "num_steps", "tolerance"),
    [(ddpm, 1000, 0.02), (ddim, 200, 0.03), (lambda *args: ddim(*args, eta=1.0), 1000, 0.02)],
)
def test_samples_of_a_normal_distribution_have_its_mean_and_deviation(sampler, num_steps, tolerance):
    sample = sampler(best_denoiser(2.0, 0.5), noise_of(0, (1, 20_000, 1)), respace(FULL, num_steps))
    assert sample.mean().item() == pytest.approx(2.0, abs=tolerance)
    assert sample.std().item() == pytest.approx(0.5, abs=tolerance)


def test_implicit_steps_stay_on_the_line_between_noise_and_clean():
    clean, noise = torch.randn(2, 1, 3, 4, generator=torch.Generator().manual_seed(1))
    schedule, seen = respace(FULL, 5), []

    def denoise(x, t):
        seen.append((x, t))
        return clean

    ddim(denoise, itertools.repeat(noise), schedule)
    start = (noise - schedule.signal[-1] ** 0.5 * clean) / (1 - schedule.signal[-1]) ** 0.5  # the start as x_t
    for x, t in seen:
        torch.testing.assert_close(x, add_noise(clean, t, start.float(), FULL), atol=1e-4, rtol=0)


def test_one_ancestral_step_by_hand():
    schedule, start, fresh = respace(FULL, 2), torch.full((1, 1, 1), 2.0), torch.full((1, 1, 1), -1.0)
    seen = []
    ddpm(lambda x, t: seen.append(x.item()) or torch.full_like(x, 0.5), iter([start, fresh, fresh]), schedule)
    beta, signal, previous = schedule.betas[1], schedule.signal[1], schedule.signal[0]
    mean = beta * np.sqrt(previous) / (1 - signal) * 0.5 + (1 - previous) * np.sqrt(1 - beta) / (1 - signal) * 2.0
    assert seen == [2.0, pytest.approx(mean - np.sqrt(beta * (1 - previous) / (1 - signal)), rel=1e-5)]


@pytest.mark.parametrize("sampler", [ddim, ddpm])
def test_noise_is_drawn_once_to_start_and_once_a_step(sampler):
    noise = iter([torch.zeros(1, 2, 3)] * 8)
    sampler(lambda x, t: x, noise, respace(FULL, 6))
    assert len(list(noise)) == 1


def test_a_seed_gives_the_same_sample_and_another_a_different_one():
    schedule, denoise = respace(FULL, 10), best_denoiser(0.0, 1.0)
    first, again, other = (ddpm(denoise, noise_of(seed), schedule) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_normals_are_drawn_with_the_channels_first():
    drawn = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(4))
    assert torch.equal(next(normals((1, 3, 5), torch.Generator().manual_seed(4))), drawn.mT)
