"""Miniature corpora in the layouts in which they are published, of motion made on the fly."""

import pickle
from pathlib import Path

import numpy as np

from cospeech import features, positions, skeleton
from cospeech.data import standing
from cospeech.motion import Motion
from cospeech.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from cospeech.skeleton import REST_PELVIS

TO_Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)  # (x, y, z) -> (x, -z, y)
SMPLH_REST_PELVIS = np.array([-0.0018, -0.2233, 0.0282], np.float32)
SMPLH_JOINTS = [j for j in range(55) if j not in (22, 23, 24)]


def moving(num_frames: int, fps: float, seed: int = 0, hands: bool = True) -> Motion:
    """Somebody who stands, shifts their weight and closes one finger after the other; z of the body is the time."""
    motion = standing.stand(num_frames, fps, np.random.default_rng(seed))
    poses, translation = motion.poses.copy(), motion.translation.copy()
    if hands:
        at = np.arange(num_frames)[:, None] / fps
        poses[:, skeleton.HANDS, 2] = 0.4 * np.sin(at + 0.2 * np.arange(30))
    translation[:, 2] = np.arange(num_frames) / fps
    return Motion(poses, translation, fps)


def write_amass(path: Path, motion: Motion, smplh: bool = False, fps: float | None = None, **changes) -> None:
    """As AMASS has it: z up, SMPL-X or SMPL-H. `fps` is what the file says, `changes` replaces arrays."""
    turned = TO_Z_UP @ axis_angle_to_matrix(motion.poses[:, 0])
    poses = motion.poses.copy()
    poses[:, 0] = matrix_to_axis_angle(turned)
    pelvis = (motion.translation + REST_PELVIS) @ TO_Z_UP.T
    arrays = {
        "gender": "male",
        "trans": (pelvis - (SMPLH_REST_PELVIS if smplh else REST_PELVIS)).astype(np.float64),
        "betas": np.linspace(-1, 1, 16),
        "poses": poses[:, SMPLH_JOINTS if smplh else slice(None)].reshape(len(motion), -1).astype(np.float64),
    }
    if smplh:
        arrays |= {"mocap_framerate": np.float64(fps or motion.fps), "dmpls": np.zeros((len(motion), 8))}
    else:
        arrays |= {"mocap_frame_rate": np.float64(fps or motion.fps), "surface_model_type": "smplx"}
        arrays |= {"root_orient": poses[:, 0], "markers_latent": np.zeros((3, 3))}
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays |= changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


INDEX_HEADER = "source_path,start_frame,end_frame,new_name\n"


def write_humanml3d(folder: Path, rows: dict[str, str], splits: dict[str, list[str]], texts: dict[str, str]) -> None:
    """`rows`: name -> "source_path,start,end"; `texts`: name -> content."""
    (folder / "HumanML3D" / "texts").mkdir(parents=True)
    (folder / "index.csv").write_text(INDEX_HEADER + "".join(f"{row},{name}.npy\n" for name, row in rows.items()))
    for split in ("train", "val", "test"):
        (folder / "HumanML3D" / f"{split}.txt").write_text("".join(f"{name}\n" for name in splits.get(split, [])))
    for name, content in texts.items():
        (folder / "HumanML3D" / "texts" / f"{name}.txt").write_text(content)


def cache_entries(motion: Motion, kind: str, length: int, stride: int = 20, speaker: int = 2) -> list[list]:
    """The windows of one recording at 30 frames a second, as the published loaders cut and pack them."""
    poses = motion.poses.reshape(len(motion), -1)
    contacts = features.contacts(motion.poses, motion.translation)
    translation = motion.translation - motion.translation[0] * [1, 0, 1]
    steps = features.translation_to_channels(translation)
    betas = np.repeat(motion.betas[None], len(motion), axis=0)
    vectors = positions.vectors(motion.poses, motion.translation)
    last = len(vectors) if kind == "T" else len(motion)
    made = []
    for start in range(0, last - length + 1, stride):
        at = slice(start, start + length)
        heard = np.zeros((round(length / 30 * 16_000), 2))
        word, speakers = np.zeros(length, np.int64), np.full((length, 1), speaker - 1)
        expressions = motion.expressions[at].astype(np.float64)
        match kind:
            case "S":
                row = np.concatenate([poses, contacts], axis=1)[at]
                entry = [row, heard, expressions, betas[at], word, [], [], speakers, translation[at], steps[at]]
            case "tokenizer":
                entry = [poses[at], betas[at], speakers, translation[at], steps[at]]
            case "T":
                entry = [vectors[at], heard, expressions, [], word, [], [], speakers, []]
        made.append(entry)
    return made


def write_cache(folder: Path, entries: list, split: str = "train") -> Path:
    """LMDB as published; an entry that is bytes is written as it is. Returns the folder of the cache."""
    import lmdb

    cache = folder / split / "smplxflame_30_cache"
    cache.mkdir(parents=True)
    with lmdb.open(str(cache), map_size=1 << 31) as environment, environment.begin(write=True) as transaction:
        for number, entry in enumerate(entries):
            value = entry if isinstance(entry, bytes) else pickle.dumps(entry, protocol=5)
            transaction.put(f"{number:05d}".encode(), value)
    return cache
