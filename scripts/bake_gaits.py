"""Bake `src/cospeech/data/gaits.npz`: one cycle of a walk and one of a run, made to join their own beginnings.

    python scripts/bake_gaits.py ../shared/data/cmu

From clips 02_01 and 02_03 of the CMU Graphics Lab motion capture database, mocap.cs.cmu.edu, created with funding from
NSF EIA-0196217; free for any use and to be passed on, but not to be sold by itself.
"""

import argparse
from pathlib import Path

import numpy as np

from cospeech import rotation
from cospeech.body import joint_transforms, mannequin
from cospeech.data import cmu
from cospeech.motion import Motion
from cospeech.skeleton import INDEX, NUM_JOINTS

ASSET = Path(__file__).resolve().parents[1] / "src/cospeech/data/gaits.npz"
CLIPS = {"walk": "cmu/02_01", "run": "cmu/02_03"}
CYCLE_S = (0.6, 1.3)
JOINTS = 22  # of the body, without hands and face


def find_cycle(motion: Motion) -> tuple[int, int]:
    """The two frames between which the body comes back to the same pose and speed most exactly."""
    joints = joint_transforms(mannequin(), motion.poses, motion.translation).positions[:, :JOINTS]
    around = joints - joints[:, :1]
    speed = np.gradient(around, axis=0)
    shortest, longest = (round(seconds * motion.fps) for seconds in CYCLE_S)
    pairs = [
        (
            np.linalg.norm(around[a] - around[b], axis=-1).mean() + np.linalg.norm(speed[a] - speed[b], axis=-1).mean(),
            a,
            b,
        )
        for a in range(1, len(motion) - shortest)
        for b in range(a + shortest, min(a + longest, len(motion) - 1))
    ]
    return min(pairs)[1:]


def cycle(motion: Motion) -> dict[str, np.ndarray]:
    """A cycle as `cospeech.data.gait.Cycle` has it, along +z."""
    first, last = find_cycle(motion)
    way = motion.translation[last] - motion.translation[first]
    straight = rotation.axis_angle_to_matrix(np.array([0.0, -np.arctan2(way[0], way[2]), 0.0]))
    poses = motion.poses[first : last + 1, :JOINTS].astype(np.float64)
    poses[:, 0] = rotation.matrix_to_axis_angle(straight @ rotation.axis_angle_to_matrix(poses[:, 0]))
    rest = mannequin().joints[0].astype(np.float64)
    pelvis = (motion.translation[first : last + 1] - motion.translation[first] * [1, 0, 1] + rest) @ straight.T
    share = np.linspace(0, 1, last - first + 1)  # of the difference between end and beginning that is taken out
    turns = rotation.axis_angle_to_matrix(poses)
    back = rotation.matrix_to_axis_angle(np.swapaxes(turns[-1], -1, -2) @ turns[0])
    turns = turns @ rotation.axis_angle_to_matrix(share[:, None, None] * back)
    stride = float(pelvis[-1, 2] - pelvis[0, 2])
    offsets = pelvis - share[:, None] * (pelvis[-1] - pelvis[0])
    offsets[:, [0, 2]] -= offsets[:, [0, 2]].mean(axis=0)
    poses = rotation.matrix_to_axis_angle(turns)[:-1].astype(np.float32)
    return {
        "poses": poses,
        "offsets": offsets[:-1].astype(np.float32),
        "stride": np.float32(stride),
        "passing": np.float32(passing(poses)),
    }


def passing(poses: np.ndarray) -> float:
    """Part of the cycle (N, 22, 3), below a half, at which one foot passes the other; again half a cycle later."""
    full = np.zeros((len(poses), NUM_JOINTS, 3))
    full[:, :JOINTS] = poses
    joints = joint_transforms(mannequin(), full, np.zeros((len(full), 3))).positions
    apart = np.abs(joints[:, INDEX["left_ankle"], 2] - joints[:, INDEX["right_ankle"], 2])
    half = len(apart) // 2
    return float(np.argmin(apart[:half] + apart[half : 2 * half]) / len(apart))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cmu", type=Path, help="folder of the data set")
    folder = parser.parse_args().cmu
    motions = {clip.id: clip.motion for clip in cmu.clips(folder, mannequin().joints)}
    arrays = {}
    for name, clip in CLIPS.items():
        found = cycle(motions[clip])
        print(f"{name}: {len(found['poses'])} frames, {found['stride']:.2f} m")
        arrays |= {f"{name}_{key}": value for key, value in found.items()}
    np.savez_compressed(ASSET, **arrays)


if __name__ == "__main__":
    main()
