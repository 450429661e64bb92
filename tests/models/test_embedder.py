from dataclasses import replace

import numpy as np
import parity
import published_metrics as published
import pytest
import torch

from cospeech import rotation
from cospeech.errors import CheckpointError, ConfigError
from cospeech.models import embedder
from cospeech.models.embedder import BONES, Embedder, EmbedderConfig, distances, embed, pools, rename_published

CONFIG = EmbedderConfig()


@pytest.fixture(scope="module")
def network():
    network = Embedder(CONFIG)
    network.load_state_dict(rename_published(published.embedder_state(), CONFIG))
    return network.eval()


@pytest.fixture(scope="module")
def arrays():
    return published.arrays()


def test_every_tensor_of_the_published_file_is_known():
    assert embedder.published_shapes(CONFIG) == parity.shapes("fgd_vaeskconv")
    sizes = [np.prod(shape) for shape in embedder.published_shapes(CONFIG).values()]
    assert sum(sizes) == parity.num_parameters("fgd_vaeskconv")


def test_masks_from_the_skeleton_are_those_in_the_published_file():
    names, *_ = embedder._published(CONFIG)
    ours = Embedder(CONFIG).state_dict()
    masks = parity.load("fgd_masks.npz")
    assert len(masks) == 8
    for name, mask in masks.items():
        assert np.array_equal(ours[names[name]].numpy(), mask), name


def test_chains_are_joined_two_by_two():
    legs = [[0], [1, 4], [7, 10], [2, 5], [8, 11]]
    assert pools(BONES)[:11] == [*legs, [3], [6, 9], [12, 15], [22], [23], [24]]
    assert [len(edges) for edges in CONFIG.edges] == [55, 35, 20, 20, 20]
    second = pools(CONFIG.edges[1])
    assert second == [[0], [1, 2], [3, 4], [5, 6], [7], [8], [9], [10], *([i, i + 1] for i in range(11, 35, 2))]
    assert sorted(edge for group in pools(BONES) for edge in group) == list(range(55))


def test_pools_are_means_over_what_they_join():
    pool = Embedder(CONFIG).encoder.layers[0].pool
    assert pool.shape == (210, 330)
    torch.testing.assert_close(pool.sum(dim=1), torch.ones(210))
    left_leg = pool[6:12]  # of its six channels the means of those of edges 1 and 4
    torch.testing.assert_close(left_leg[:, 6:12], torch.eye(6) / 2)
    torch.testing.assert_close(left_leg[:, 24:30], torch.eye(6) / 2)
    assert Embedder(CONFIG).encoder.layers[2].pool is None


def test_distances_are_steps_between_edges():
    found = distances(BONES)
    assert found[0, 0] == 0
    assert found[0, 1] == found[1, 2] == found[1, 4] == 1  # they share the pelvis, or the hip with the knee
    assert found[0, 10] == 4  # from the pelvis down to the ball of the foot
    assert np.array_equal(found, found.T)


def test_published_latents(network, arrays):
    found = embed(network, arrays["pose_A"], "published")
    assert found.shape == (32, 240)
    np.testing.assert_allclose(found, arrays["latent_A"], atol=parity.TOLERANCE)
    longer = np.concatenate([arrays["pose_A"], arrays["pose_A"][:31]])  # what does not fill 32 frames is left out
    assert np.array_equal(embed(network, longer, "published"), found)


def test_by_the_corrected_protocol_a_window_is_the_same_whatever_comes_after(network, arrays):
    poses = arrays["pose_A"]
    whole = embed(network, poses)
    assert whole.shape == (32, 240)
    np.testing.assert_allclose(embed(network, poses[:128]), whole[:8], atol=1e-5)
    assert np.abs(embed(network, poses[:128], "published") - embed(network, poses, "published")[:8]).max() > 0.01


def test_by_the_corrected_protocol_nobody_looks_at_eyes_and_jaw(network, arrays):
    staring = arrays["pose_A"].copy()
    staring[:, 22:25] = 0
    staring.flags.writeable = False
    assert np.array_equal(embed(network, staring), embed(network, arrays["pose_A"]))
    assert not np.allclose(embed(network, staring, "published"), arrays["latent_A"], atol=1e-3)


@pytest.mark.parametrize("num_frames", [0, 1, 31])
def test_a_clip_that_is_too_short_has_no_embedding(network, num_frames):
    for protocol in ("published", "corrected"):
        assert embed(network, np.zeros((num_frames, 55, 3), np.float32), protocol).shape == (0, 240)


def test_an_edge_sees_its_neighbours_alone(network):
    """Turning the left wrist changes nothing of the legs before the second layer."""
    layer = network.encoder.layers[0]
    still = torch.zeros(1, 330, 32)
    turned = still.clone()
    turned[:, 6 * 20 : 6 * 21] = 1
    with torch.no_grad():
        changed = (layer.residual(turned) - layer.residual(still)).abs().sum(dim=(0, 2)).unflatten(0, (55, 6)).sum(1)
    near = np.flatnonzero(distances(BONES)[20] <= 2)
    assert np.array_equal(np.flatnonzero(changed.numpy()), near)


def test_the_decoder_by_a_plain_reference(network):
    """As the published one is described: up, convolution, leaky ReLU, four times, then one more convolution."""
    state = published.embedder_state()
    h = torch.from_numpy(parity.load("metrics_io.npz")["latent_A"][None, :4]).mT

    def convolved(x, name):
        return torch.nn.functional.conv1d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    def leaky(x):
        return torch.where(x > 0, x, 0.2 * x)

    with torch.inference_mode():
        found = network.decoder(h.mT)
        for block in (0, 1):
            inner = leaky(convolved(h, f"decoder.main.{block}.model.0"))
            h = h + convolved(inner, f"decoder.main.{block}.model.2")
        for layer in (3, 6, 9, 12):
            h = leaky(convolved(h.repeat_interleave(2, dim=2), f"decoder.main.{layer}"))
        torch.testing.assert_close(found, convolved(h, "decoder.main.14").mT)
    assert found.shape == (1, 64, 330)


def test_what_does_not_fit_is_named():
    state = published.embedder_state()
    del state["encoder.layers.1.0.common.0.weight"]
    state["fc_mu.weight"] = torch.zeros(3)
    with pytest.raises(CheckpointError, match=r"missing: encoder\.layers\.1\.0\.common.*another shape: fc_mu\.weight"):
        rename_published(state, CONFIG)


@pytest.mark.parametrize("change", [{"widths": ()}, {"widths": (0, 6)}, {"widths": (7, 6)}, {"window_frames": 63}])
def test_impossible_settings(change):
    with pytest.raises(ConfigError, match="must be"):
        replace(CONFIG, **change)


def test_rotations_are_those_the_published_evaluation_feeds(arrays):
    d6 = rotation.axis_angle_to_rotation_6d(arrays["pose_A"])
    matrices = rotation.axis_angle_to_matrix(arrays["pose_A"])
    np.testing.assert_allclose(d6[..., :3], matrices[..., 0, :])
