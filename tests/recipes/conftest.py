"""Trainings that several tests need."""

import pytest
import torch
from safetensors.torch import save_file
from small_tmr import MODEL, TRAINING, WORDS, clip

from cospeech.data.store import write_store
from cospeech.models.tmr import TextEncoder
from cospeech.recipes import tmr
from cospeech.recipes.tmr import TrainTmr


@pytest.fixture(scope="session")
def tmr_config(tmp_path_factory) -> TrainTmr:
    folder = tmp_path_factory.mktemp("tmr")
    kinds = [("left_shoulder", 2, "raises the left arm"), ("spine1", 0, "bows")]
    write_store(folder / "store.npz", [clip(n, *kinds[n % 2]) for n in range(6)])
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
    return TrainTmr(folder / "store.npz", folder, TRAINING, model=MODEL, longest=60)


@pytest.fixture(scope="session")
def tmr_run(tmr_config, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    tmr.train(tmr_config, run)
    return run
