"""What a motion consists of, and where the wrists are in every frame."""

from pathlib import Path

import numpy as np

import cospeech
from cospeech import body, skeleton

RECORDING = Path(__file__).parent / "jfk.flac"

motion = cospeech.load_pipeline("starter").generate(cospeech.Speech.load(RECORDING))
print(motion)
print("poses", motion.poses.shape, "axis-angle, radians")
print("translation", motion.translation.shape, "metres")
print("face", motion.face.shape, "ARKit weights, 0 to 1")
print("made by", dict(motion.metadata))

joints = body.joint_positions(body.mannequin(), motion.poses, motion.translation)  # (T, 55, 3) metres, y up
for side in ("left", "right"):
    wrist = joints[:, skeleton.INDEX[f"{side}_wrist"]]
    speed = np.linalg.norm(np.diff(wrist, axis=0), axis=-1) * motion.fps
    print(f"{side} wrist: highest at {wrist[:, 1].max():.2f} m, fastest {speed.max():.2f} m/s")
mouth = motion.face[:, skeleton.ARKIT.index("jawOpen")]
print(f"mouth: widest open {mouth.max():.2f} at {mouth.argmax() / motion.fps:.2f} s")
