"""What the published evaluation made of synthetic motions, and the motions."""

import json
from dataclasses import replace

import numpy as np
import parity
import torch

from cospeech.body import joint_positions, mannequin

STEP = 2.0**-19  # radians; the motion is stored rounded to it
VALUES = json.loads((parity.FIXTURES / "metrics_values.json").read_text())


def arrays() -> dict[str, np.ndarray]:
    """The arrays of the fixture, `pose_A` as (T, 55, 3) axis-angle."""
    found = parity.load("metrics_io.npz")
    # Stored as second differences over time, the bytes of a number apart from each other: so they compress.
    differences = np.ascontiguousarray(found["pose_A"].T).view("<i4").reshape(165, -1)
    whole = np.cumsum(np.cumsum(differences, axis=1), axis=1)
    return found | {"pose_A": (whole.T * STEP).astype(np.float32).reshape(-1, 55, 3)}


def joints(poses: np.ndarray, rest_joints: np.ndarray) -> np.ndarray:
    """(T, 55, 3) of the synthetic skeleton, whose translation is zero."""
    body = replace(mannequin("light"), joints=rest_joints)
    return joint_positions(body, poses.astype(np.float64), np.zeros((len(poses), 3)))


def embedder_state() -> dict[str, torch.Tensor]:
    """The tensors of the published embedder with pseudo-random weights; the masks are those of the skeleton."""
    state = parity.weights(parity.shapes("fgd_vaeskconv"))
    return state | {name: torch.from_numpy(mask).float() for name, mask in parity.load("fgd_masks.npz").items()}
