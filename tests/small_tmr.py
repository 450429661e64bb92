"""A space of motions and sentences, small enough to be trained for a moment on a few made-up clips."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cospeech.data.store import write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.models.tmr import DistilBertConfig, TextEncoder, TmrConfig
from cospeech.recipes import tmr
from cospeech.recipes.loop import Training
from cospeech.recipes.tmr import TrainTmr
from cospeech.skeleton import INDEX, REST_TRANSLATION

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "raises", "the", "left", "right", "arm", "bows", "a", "person"]
MODEL = TmrConfig(width=32, depth=1, heads=2, mlp_width=32, text=DistilBertConfig(len(WORDS), 16, 12, 1, 2, 16))
TRAINING = Training(steps=120, batch_size=6, lr=3e-3, warmup_steps=5, accelerator="cpu", precision="32-true")


def clip(number: int, joint: str, axis: int, caption: str) -> StoredClip:
    poses = np.zeros((90, 55, 3))
    poses[:, INDEX[joint], axis] = np.sin(np.linspace(0, 3 + 0.2 * number, 90))
    info = ClipInfo(f"clip {number}", "train", "made up", "none", 90, ("upper",), (caption, f"a person {caption}"))
    return StoredClip(info, poses, np.tile(REST_TRANSLATION, (90, 1)), np.zeros((90, 52)), np.zeros((90, 68)))


@pytest.fixture(scope="session")
def tmr_config(tmp_path_factory) -> TrainTmr:
    folder = tmp_path_factory.mktemp("tmr")
    kinds = [("left_shoulder", 2, "raises the left arm"), ("spine1", 0, "bows")]
    write_store(folder / "store", [clip(n, *kinds[n % 2]) for n in range(6)])
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    torch.manual_seed(0)
    published = {}
    for name, tensor in TextEncoder(MODEL).language.state_dict().items():
        for ours, theirs in (
            *(("pieces", "embeddings.word_embeddings"), ("positions", "embeddings.position_embeddings")),
            *(("norm", "embeddings.LayerNorm"), ("blocks", "transformer.layer"), ("query", "attention.q_lin")),
            *(("key", "attention.k_lin"), ("value", "attention.v_lin"), ("out", "attention.out_lin")),
            *(("attention_norm", "sa_layer_norm"), ("mlp.0", "ffn.lin1"), ("mlp.2", "ffn.lin2")),
            ("mlp_norm", "output_layer_norm"),
        ):
            parts = f".{name}.".split(f".{ours}.")
            name = f".{theirs}.".join(parts).strip(".") if len(parts) > 1 else name
        published[f"distilbert.{name}"] = tensor.contiguous()
    save_file(published | {"vocab_projector.bias": torch.zeros(3)}, folder / "model.safetensors")
    return TrainTmr(folder / "store", folder, TRAINING, model=MODEL, longest=60)


@pytest.fixture(scope="session")
def tmr_run(tmr_config, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    tmr.train(tmr_config, run)
    return run
