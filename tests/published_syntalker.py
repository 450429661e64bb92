"""SynTalker's files as they were published: names, folders, tensors and sizes, with pseudo-random weights."""

import json
from pathlib import Path

import numpy as np
import parity
import torch

S = ("denoiser_cospeech", "rvqvae_upper", "rvqvae_hands", "rvqvae_lower_trans")
T = ("denoiser_h3d", "h3d_rvqvae_upper", "h3d_rvqvae_hands", "h3d_rvqvae_lower")
TMR = ("tmr_text", "tmr_motion")
NUM_WORDS = 40  # of the small vocabulary, whose words the denoisers here know


def state(name: str) -> dict[str, torch.Tensor]:
    """The tensors of a published file under their names, `module.` and all, with a small table of words."""
    shapes = parity.shapes(f"syntalker_{name}")
    table = next((key for key in shapes if key.endswith("text_pre_encoder_body.weight")), None)
    if table:
        shapes[table] = (NUM_WORDS, 300)
    return parity.weights(shapes)


def write(folder: Path, name: str, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    """Write one published file below `folder` and return where."""
    about = json.loads((parity.FIXTURES / "keys" / f"syntalker_{name}.json").read_text())
    path = folder / about["published_file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = state(name) if tensors is None else tensors
    torch.save(tensors if about["top_level_key"].startswith("(") else {about["top_level_key"]: tensors}, path)
    return path


def write_word_pieces(folder: Path) -> Path:
    """vocab.txt of a BERT with other words: special pieces in their places, words, letters."""
    pieces = [f"[unused{i}]" for i in range(30_522)]
    pieces[0], pieces[100:104] = "[PAD]", ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(ord("a") + i) for i in range(26)]
    known = ["raises", "the", "right", "left", "hand", "wave", "##s", *letters, *(f"##{letter}" for letter in letters)]
    known = list(dict.fromkeys(known))
    pieces[1000 : 1000 + len(known)] = known
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return folder / "vocab.txt"


def write_arrays(folder: Path) -> None:
    """Mean and standard deviation of plausible sizes: identity rotations on average."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    mean = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), 55)
    np.save(folder / "beatx_2_330_mean.npy", mean)
    np.save(folder / "beatx_2_330_std.npy", rng.uniform(0.05, 0.2, 330).astype(np.float32))
    np.save(folder / "beatx_2_trans_mean.npy", np.array([-1e-5, 1.3067, 3e-5]))
    np.save(folder / "beatx_2_trans_std.npy", np.array([0.0043, 0.0166, 0.006]))
    np.save(folder / "beatx_1-30_amass_h3d_mean.npy", rng.normal(0, 0.1, 623).astype(np.float32))
    np.save(folder / "beatx_1-30_amass_h3d_std.npy", rng.uniform(0.005, 0.5, 623).astype(np.float32))
