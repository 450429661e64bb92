"""A gesture of the whole body, for tests of skeletons."""

import numpy as np

from cospeech.skeleton import INDEX, NUM_JOINTS

FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def gesture_poses(num_frames: int = 60) -> np.ndarray:
    """(T, 55, 3) at 30 fps, slow and smooth: elbows, knees and fingers bend the way they bend."""
    time = np.arange(num_frames)[:, None] / 30
    poses = np.zeros((num_frames, NUM_JOINTS, 3))

    def move(joint: str, middle, swing, phase: float) -> None:
        poses[:, INDEX[joint]] = np.array(middle) + np.array(swing) * np.sin(2 * time + phase)

    for joint in ("spine1", "spine2", "spine3"):
        move(joint, [0.05, 0, 0], [0.03, 0.05, 0.04], 0)
    for joint in ("neck", "head"):
        move(joint, [0, 0, 0], [0.1, 0.1, 0.05], 1)
    for side, sign, phase in (("left", 1, 0.0), ("right", -1, 2.0)):
        move(f"{side}_shoulder", [0.1, -0.3 * sign, -1.0 * sign], [0.2, 0.3, 0.3], phase)
        move(f"{side}_elbow", [0, -1.2 * sign, 0], [0, 0.5, 0], phase)
        move(f"{side}_wrist", [0.2, 0, 0], [0.4, 0.2, 0.2], phase)
        move(f"{side}_hip", [-0.3, 0, 0], [0.2, 0, 0.05], phase)
        move(f"{side}_knee", [0.5, 0, 0], [0.2, 0, 0], phase)
        move(f"{side}_ankle", [-0.2, 0, 0], [0.1, 0, 0], phase)
        for n, finger in enumerate(FINGERS):
            for joint in (1, 2, 3):
                move(f"{side}_{finger}{joint}", [0, 0, -0.5 * sign], [0, 0, 0.3], phase + n)
    return poses
