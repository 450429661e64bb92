"""Does a motion look like a human's: smooth wrists, feet that stand, hands outside the body, joints within range.

Inputs come from `body.joint_transforms` of the mannequin, unless stated otherwise. A motion that is too short for a
measure scores 0 in it.
"""

import numpy as np

from cospeech import collision, limits
from cospeech.body import JointTransforms, joint_positions, mannequin
from cospeech.metrics.interval import Ratio
from cospeech.rotation import axis_angle_to_quaternion
from cospeech.skeleton import FEET, INDEX, NUM_JOINTS, REST_TRANSLATION, WRISTS

CONTACT_M = 0.02  # a foot joint that near to its standing height touches the floor
TREMOR_HZ = (8.0, 15.0)  # faster than gesture, as fast as tremor and the noise of networks


def wrists_in_chest(transforms: JointTransforms) -> np.ndarray:
    """(T, 2, 3) left and right wrist in the frame of the chest (spine3), metres."""
    chest = INDEX["spine3"]
    offset = transforms.positions[:, WRISTS] - transforms.positions[:, [chest]]
    return offset @ transforms.rotations[:, chest]  # row vectors: the inverse rotation


def mean_jerk(points: np.ndarray, fps: float) -> float:
    """Mean length of the third derivative of the paths of points (T, P, 3), m/s^3, by differences.

    0 for constant acceleration. To be compared with a real person's at the same frame rate: as much below it looks
    like a puppet under water as above it like one that trembles.
    """
    jerk = np.diff(points, n=3, axis=0) * fps**3
    return float(np.linalg.norm(jerk, axis=-1).mean()) if len(jerk) else 0.0


def tremor_share(points: np.ndarray, fps: float, band_hz: tuple[float, float] = TREMOR_HZ) -> float:
    """Share of the power of the velocity of points (T, P, 3) that lies in a band of frequencies, 0 to 1.

    Lower is smoother; to be compared with a real person's, at any frame rate of at least twice the band. The spectrum
    is Welch's: Hann windows of 2 s, each starting in the middle of the one before, mean removed.
    Source: Welch 1967, IEEE Trans. Audio Electroacoustics 15(2).
    """
    velocity = np.diff(points.reshape(len(points), np.prod(points.shape[1:])), axis=0) * fps
    window = min(round(2 * fps), len(velocity))
    if window < 4:
        return 0.0
    starts = np.arange(0, len(velocity) - window + 1, max(window // 2, 1))
    pieces = velocity[starts[:, None] + np.arange(window)]  # (N, window, P * 3)
    pieces = (pieces - pieces.mean(axis=1, keepdims=True)) * np.hanning(window)[:, None]
    power = (np.abs(np.fft.rfft(pieces, axis=1)) ** 2).sum(axis=(0, 2))
    frequency = np.fft.rfftfreq(window, 1 / fps)
    total = power.sum()
    return float(power[(frequency >= band_hz[0]) & (frequency <= band_hz[1])].sum() / total) if total > 0 else 0.0


def seam_jump(points: np.ndarray, seams: np.ndarray, fps: float) -> Ratio:
    """Largest accelerations of points (T, P, 3) at the seams of windows, m/s^2, of those anywhere else.

    1 for seams that nobody sees; lower is as good. The largest of all points in the four frames about a seam, averaged
    over seams, by the largest in any four frames that touch none of these, averaged.

    Args:
        seams: First frame of every window but the first.

    Returns:
        NaN where there is no seam, or nothing between seams.
    """
    acceleration = np.zeros(len(points))
    acceleration[1:-1] = np.linalg.norm(np.diff(points, 2, axis=0), axis=-1).max(axis=1, initial=0) * fps**2
    if len(points) < 4 or len(seams) == 0:
        return Ratio(np.nan, np.nan)
    largest = np.lib.stride_tricks.sliding_window_view(acceleration, 4).max(axis=-1)  # of frames i to i + 3
    at = (np.asarray(seams) - 2).clip(0, len(largest) - 1)
    elsewhere = np.ones(len(largest), bool)
    for first in at:
        elsewhere[max(first - 3, 0) : first + 4] = False
    return (
        Ratio(float(largest[at].mean()), float(largest[elsewhere].mean())) if elsewhere.any() else Ratio(np.nan, np.nan)
    )


def foot_heights(positions: np.ndarray) -> np.ndarray:
    """(T, 55, 3) joints -> (T, 4) heights of `skeleton.FEET` above where they are in standing on y = 0, metres."""
    rest = joint_positions(mannequin(), np.zeros((1, NUM_JOINTS, 3)), REST_TRANSLATION[None])[0]
    return positions[:, FEET, 1] - rest[list(FEET), 1]


def contact_share(positions: np.ndarray) -> float:
    """Share of frames and feet in which the ankle or the ball of the foot is within 2 cm of its standing height.

    1 for who stands on both feet, about 0.6 of that for who walks; to be compared with a real person's. A real motion
    on the mannequin's legs scores lower than on its own, for joints stand a little higher or lower there.
    """
    touching = np.abs(foot_heights(positions)) < CONTACT_M  # (T, 4) ankles, balls
    return float((touching[:, :2] | touching[:, 2:]).mean()) if len(touching) else 0.0


def slide_cm_s(positions: np.ndarray, fps: float) -> float:
    """Mean speed over the floor of foot joints in contact, in cm/s: 0 is a foot that stands, lower is better.

    A joint is in contact between two frames if it is within 2 cm of its standing height in both.
    """
    touching = np.abs(foot_heights(positions)) < CONTACT_M
    speed = np.linalg.norm(np.diff(positions[:, FEET][..., [0, 2]], axis=0), axis=-1) * fps * 100
    both = touching[1:] & touching[:-1]
    return float(speed[both].mean()) if both.any() else 0.0


def below_floor_cm(positions: np.ndarray) -> float:
    """The largest depth of a foot joint below its standing height, centimetres: 0 is right, lower is better."""
    return float(max(-100 * foot_heights(positions).min(initial=0), 0.0))


def hands_inside_share(transforms: JointTransforms) -> float:
    """Share of frames in which a wrist, finger joint or fingertip is inside trunk, head or thighs; lower is better.

    Volumes are those of `collision`, which the mesh of the mannequin gives.
    """
    depths = collision.depths(transforms)
    return float((depths > 0).any(axis=(1, 2)).mean()) if len(depths) else 0.0


def root_drift(pelvis: np.ndarray, fps: float) -> float:
    """How far the pelvis (T, 3) gets in a minute, m/min: 0 for who stands, lower is better; walking counts.

    Largest distance over the floor between the mean places of the first and of any other five seconds, whether it comes
    back or not, by the time from the first to the last five.
    """
    window = min(round(5 * fps), len(pelvis) // 2)
    if window < 1:
        return 0.0
    places = np.lib.stride_tricks.sliding_window_view(pelvis[:, [0, 2]], window, axis=0).mean(axis=-1)
    distance = np.linalg.norm(places - places[0], axis=-1).max()
    return float(distance / ((len(pelvis) - window) / fps) * 60)


def limit_violation_share(poses: np.ndarray, tolerance_deg: float = 1.0) -> float:
    """Share of frames and joints of poses (T, 55, 3) outside the range of motion by more than a tolerance.

    0 is right, lower is better. Ranges and the joints that have one: `limits`.
    """
    excess = limits.excess(poses)[:, limits.LIMITED]
    return float((excess > np.radians(tolerance_deg)).mean()) if len(excess) else 0.0


def angular_speed(poses: np.ndarray, fps: float) -> np.ndarray:
    """(T, J, 3) axis-angle -> (T - 1, J) how fast each joint turns against its parent, rad/s."""
    quaternion = axis_angle_to_quaternion(poses.astype(np.float64))
    apart = np.minimum(
        np.linalg.norm(quaternion[1:] - quaternion[:-1], axis=-1),
        np.linalg.norm(quaternion[1:] + quaternion[:-1], axis=-1),
    )
    return 4 * np.arcsin(np.minimum(apart / 2, 1)) * fps
