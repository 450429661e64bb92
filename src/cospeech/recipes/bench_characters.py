"""How well a motion fits on characters: `python -m cospeech.recipes.bench_characters MOTION CHARACTER ...`

Of every character: how far wrists and ankles are at most from where its proportions put them; how far a sole is below
the floor at most, further than ours in proportion; how far the ball of a foot moves at most from one frame to the next
while ours moves less than a tenth of a millimetre; and the largest turn of a bone from one frame to the next, whose
bound is that of any joint of the motion plus 5 degrees. Measured on the bones as they are written, moved by plain
forward kinematics; centimetres as if its legs were as long as ours.
"""

import argparse
from pathlib import Path

import numpy as np

from cospeech import character, rotation
from cospeech.body import joint_transforms, mannequin
from cospeech.capture import Bones, Movement
from cospeech.character import moving
from cospeech.files import load_motion
from cospeech.motion import Motion
from cospeech.skeleton import INDEX, REST_TRANSLATION

STILL_M = 1e-4


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion", type=Path)
    parser.add_argument("characters", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    motion = load_motion(options.motion)
    bound = most_turned(rotation.axis_angle_to_quaternion(motion.poses.swapaxes(0, 1).astype(np.float64)))
    print(f"largest turn in {options.motion.name}: {bound:.1f} degrees a frame")
    print("| character | bones moved | hands cm | feet cm | sinks cm | slides cm | degrees a frame |")
    print("|---|---|---|---|---|---|---|")
    for path in options.characters:
        found = measure(motion, character.load(path))
        print(f"| {path.name} | " + " | ".join(f"{found[name]:.{digits}f}" for name, digits in COLUMNS.items()) + " |")


COLUMNS = {"bones": 0, "hands_cm": 2, "feet_cm": 2, "sinks_cm": 2, "slides_cm": 2, "degrees": 1}


def measure(motion: Motion, of: character.Character) -> dict[str, float]:
    """The numbers of one character, lengths as if its legs were those of our body."""
    fit, bones = of.fit, of.file.bones
    movement = moving.move(motion, fit)
    wanted = moving.targets(motion, fit)
    at = {name: moved(bones, movement, fit.person.joints[name])[1] for name in wanted}
    centimetres = 100 / fit.legs
    found = {"bones": len(movement.joints), "degrees": most_turned(movement.rotations)}
    for part, joint in (("hands", "wrist"), ("feet", "ankle")):
        off = [np.linalg.norm(at[f"{s}_{joint}"] - wanted[f"{s}_{joint}"], axis=-1).max() for s in moving.SIDES]
        found[f"{part}_cm"] = centimetres * max(off)
    ours = joint_transforms(mannequin("light"), motion.poses.astype(np.float64), motion.translation.astype(np.float64))
    slides, sinks = [0.0], [0.0]
    for side in moving.SIDES:
        joint = fit.person.joints[f"{side}_ankle"]
        turned, ankle = moved(bones, movement, joint)
        turned = fit.axes.T @ turned @ bones.rotations[joint].T @ fit.axes  # from how it rests, in our axes
        ball = ankle @ fit.axes + turned @ fit.ball(side)
        step = np.linalg.norm(np.diff(ours.positions[:, INDEX[f"{side}_foot"]], axis=0), axis=-1)
        slides.append(np.linalg.norm(np.diff(ball, axis=0), axis=-1)[step < STILL_M].max(initial=0))
        low = (ankle @ fit.axes)[:, 1] + moving.lowest(
            turned, fit.ankle_height, fit.ball(side), moving.HEEL_M * fit.legs
        )
        j = INDEX[f"{side}_ankle"]
        rest = mannequin("light").joints + REST_TRANSLATION
        to_ball = rest[INDEX[f"{side}_foot"]] - rest[j]
        our_low = ours.positions[:, j, 1] + moving.lowest(ours.rotations[:, j], rest[j, 1], to_ball, moving.HEEL_M)
        sinks.append((np.minimum(our_low, 0) * fit.legs - np.minimum(low, 0)).max())
    return found | {"slides_cm": centimetres * max(slides), "sinks_cm": centimetres * max(sinks)}


def moved(bones: Bones, movement: Movement, joint: int) -> tuple[np.ndarray, np.ndarray]:
    """World rotation (T, 3, 3) and position (T, 3) of a joint, by forward kinematics from the root of all."""
    moving_by = dict(zip(movement.joints, movement.rotations, strict=True))
    turned, at = np.eye(3), np.zeros(3)
    for j in bones.path(-1, joint):
        parent = bones.parents[j]
        before = bones.rotations[parent] if parent >= 0 else np.eye(3)
        offset = before.T @ (bones.positions[j] - (bones.positions[parent] if parent >= 0 else 0))
        at = movement.path if j == movement.root else at + turned @ offset
        local = before.T @ bones.rotations[j]
        if j in moving_by:
            local = rotation.quaternion_to_matrix(moving_by[j].astype(np.float64))
        turned = turned @ local
    return turned, at


def most_turned(quaternions: np.ndarray) -> float:
    """The largest angle between neighbours in time of (J, T, 4), degrees."""
    cosine = np.abs(np.sum(quaternions[:, 1:] * quaternions[:, :-1], axis=-1)).clip(max=1)
    return float(np.degrees(2 * np.arccos(cosine.min(initial=1))))


if __name__ == "__main__":
    main()
