"""The finish of generated motion: what a network cannot promise is made true.

A network predicts the path of the pelvis and the pose of every joint apart, with small errors that add up: the body
drifts, its feet slide and float, a hand ends up in a thigh. The steps:

1. Joints are kept inside their ranges of motion (`ranges`; the ranges are those of `limits`).
2. Wrists and fingers turn no faster than people turn them (`ranges`).
3. The body is carried by feet that stand still on the floor (`feet`). Legs that were not where standing legs can be
   may leave their ranges for that: soles on the floor come first.
4. Hands are kept out of the body and out of each other (`hands`).

Before all that, `steady` takes out the tremble that networks have and people have not.
"""

from dataclasses import replace

from cospeech.finish import feet, hands, ranges
from cospeech.motion import Motion


def steady(motion: Motion) -> Motion:
    """Low-pass trunk, arms and fingers at about 7 Hz. Once, on what a network made: twice is smoother still."""
    return replace(motion, poses=ranges.steady(motion.poses, motion.fps)) if len(motion) else motion


def finish(motion: Motion) -> Motion:
    """Make a generated motion keep to the floor, to its body and to the ranges of its joints.

    For people who talk, standing or walking on the floor y = 0; somebody who jumps is pulled down. The motion starts
    where it started. Expressions and face stay.
    """
    if len(motion) == 0:
        return motion
    poses = ranges.limit_speed(ranges.limit_range(motion.poses, motion.fps), motion.fps)
    poses, translation = feet.stand(poses, motion.translation, motion.fps)
    poses = hands.push_out(poses, translation, motion.fps)
    return replace(motion, poses=poses, translation=translation)
