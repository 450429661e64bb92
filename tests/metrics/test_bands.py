import numpy as np
import published_metrics as published
import pytest
import torch

from cospeech import rotation
from cospeech.metrics import bands
from cospeech.metrics.frechet import frechet_distance
from cospeech.models.embedder import Embedder, EmbedderConfig, embed

FPS = 30.0
TIME = np.arange(300) / FPS


def swinging(hz, radians=0.3, joint=16):
    poses = np.zeros((300, 55, 3))
    poses[:, joint, 2] = radians * np.sin(2 * np.pi * hz * TIME)
    return poses


def sizes(poses, about=None):
    about = np.zeros((55, 3)) if about is None else about
    found = bands.split(poses, FPS, about)
    return [float(np.sqrt(((each - each.mean(0)) ** 2).sum(axis=(1, 2)).mean())) for each in found]


@pytest.mark.parametrize(("hz", "band"), [(0.4, 0), (2.0, 1), (6.0, 2)])
def test_a_swing_is_in_its_band_alone(hz, band):
    found = sizes(swinging(hz))
    whole = 0.3 / np.sqrt(2)
    assert found[band] == pytest.approx(whole, rel=0.03)
    assert sum(found[band + 1 :]) < 0.01 * whole  # slow movement is most of all: nothing of it may look quick
    assert sum(found[:band]) < 0.3 * whole  # what is cut off in its middle ends elsewhere than it began


def test_slow_times_middle_and_quick_is_the_motion(rng):
    noise = rng.normal(0, 0.2, (300, 55, 3))
    turning = np.zeros((300, 55, 3))
    turning[:, 0, 1] = TIME * 2  # three turns around, past half a turn again and again
    poses = rotation.matrix_to_axis_angle(
        rotation.axis_angle_to_matrix(turning) @ rotation.axis_angle_to_matrix(bands.low_pass(noise, FPS, 5.0))
    )
    slow, middle, quick = bands.split(poses, FPS, np.zeros((55, 3)))
    back = rotation.axis_angle_to_matrix(slow) @ rotation.axis_angle_to_matrix(middle + quick)
    np.testing.assert_allclose(back, rotation.axis_angle_to_matrix(poses), atol=1e-5)
    assert np.abs(middle[:, 0]).max() < 0.5  # who turns round slowly has no quick movement where the angle wraps


def test_no_band_is_late():
    poses = swinging(2.0)
    middle = bands.split(poses, FPS, np.zeros((55, 3))).middle[:, 16, 2]
    inside = slice(30, -30)
    lags = [np.corrcoef(np.roll(middle, lag)[inside], poses[inside, 16, 2])[0, 1] for lag in (-1, 0, 1)]
    assert np.argmax(lags) == 1


def test_quick_bands_tell_nothing_of_postures(rng):
    """Two who move alike in different postures are the same to them; the slow band tells them apart."""
    about = rng.normal(0, 0.3, (55, 3))
    bent = swinging(2.0)
    bent[:, 16] += [0, 0, 0.8]
    one, other = (bands.split(poses, FPS, about) for poses in (swinging(2.0), bent))
    np.testing.assert_allclose(one.middle, other.middle, atol=0.01)
    np.testing.assert_allclose(one.middle.mean(axis=0), about, atol=0.02)
    assert np.abs(one.slow - other.slow).max() > 0.7


def test_a_constant_and_a_slope_stay_what_they_are_at_their_ends():
    slope = np.stack([np.ones(300), TIME], axis=1)
    found = bands.low_pass(slope, FPS, 1.0)
    np.testing.assert_allclose(found[:, 0], 1)
    assert np.abs(found[:, 1] - TIME).max() < 0.15
    assert np.array_equal(bands.low_pass(slope, 20.0, 15.0).round(9), slope.round(9))  # beyond what 20 fps can hold


def test_the_mean_pose_of_a_swing_is_its_middle():
    np.testing.assert_allclose(bands.mean_pose(swinging(1.0))[16], 0, atol=1e-6)


def test_a_tremble_and_missing_strokes_are_seen_in_their_bands():
    """Beside the distance of the two halves of a motion from each other, which is what people differ by anyhow."""
    torch.manual_seed(0)
    network = Embedder(EmbedderConfig()).eval()
    real = published.arrays()["pose_A"]
    about = bands.mean_pose(real)

    def distances(a, b):
        pairs = [(a, b), *zip(*(bands.split(each, FPS, about) for each in (a, b)), strict=True)]
        return np.array([frechet_distance(*(embed(network, each) for each in pair)) for pair in pairs])

    natural = distances(real[:256], real[256:])
    tremble = 0.02 * np.sin(2 * np.pi * 8 * np.arange(512) / FPS)[:, None, None] * np.ones((55, 3))
    trembling = distances((real + tremble).astype(np.float32), real) / natural
    assert trembling[0] < 0.05
    assert trembling[3] > 10 * trembling[0]
    assert max(trembling[1:3]) < 0.1 * trembling[3]
    slowed = distances(bands.low_pass(real.astype(np.float64), FPS, 1.0).astype(np.float32), real) / natural
    assert slowed[2] > 5 * slowed[1]


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_short_motions_have_bands(num_frames):
    for each in bands.split(swinging(2.0)[:num_frames], FPS, np.zeros((55, 3))):
        assert each.shape == (num_frames, 55, 3)
