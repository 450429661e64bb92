"""Change a motion, and write it as a page that plays it with its sound."""

from pathlib import Path

import cospeech

RECORDING = Path(__file__).parent / "jfk.flac"

speech = cospeech.Speech.load(RECORDING)
cospeech.save(cospeech.load_pipeline("starter").generate(speech), "out/jfk.npz")

motion = cospeech.load_motion("out/jfk.npz")
cospeech.save(motion, "out/jfk.html", audio=speech)  # one file, open it in a browser; no network needed
cospeech.save(motion.resample(60), "out/jfk-60fps.glb")
cospeech.save(motion.mirror(), "out/jfk-mirrored.bvh")
cospeech.save(motion[0:2.5].join(motion[8:11]), "out/jfk-short.npz")  # seconds
