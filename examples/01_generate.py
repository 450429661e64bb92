"""Speech in, motion out, as three files for three kinds of tools."""

from pathlib import Path

import cospeech

RECORDING = Path(__file__).parent / "jfk.flac"

pipeline = cospeech.load_pipeline("starter")  # keep it: loading takes longer than generating
speech = cospeech.Speech.load(RECORDING)
for seed in range(2):  # another seed, another way to say it
    motion = pipeline.generate(speech, seed=seed)
    print(f"seed {seed}: {motion}")
    for suffix in ("npz", "bvh", "glb"):  # SMPL-X tools; animation tools; game engines and browsers
        cospeech.save(motion, f"out/jfk-{seed}.{suffix}")
