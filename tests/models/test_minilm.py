import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cospeech.errors import CheckpointError
from cospeech.models import minilm
from cospeech.models.minilm import MiniLM
from cospeech.models.tmr import DistilBert, DistilBertConfig

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "raises", "the", "left", "arm"]
SMALL = DistilBertConfig(len(WORDS), 16, 12, 1, 3, 24)


@pytest.fixture
def folder(tmp_path):
    """In the layout of sentence-transformers, with a pooler and kinds of sentences."""
    torch.manual_seed(0)
    network = DistilBert(SMALL)
    ours = network.state_dict()
    layers = {"norm": "embeddings.LayerNorm", "pieces": "embeddings.word_embeddings"}
    layers |= {f"blocks.0.{our}": f"encoder.layer.0.{their}" for their, our in minilm._LAYER.items()}
    layers["positions"] = "embeddings.position_embeddings"
    state = {f"{layers[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": tensor for name, tensor in ours.items()}
    kinds = torch.randn(2, 12)
    state |= {"embeddings.token_type_embeddings.weight": kinds, "pooler.dense.weight": torch.zeros(3)}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "model.safetensors")
    vocabulary = {"model": {"vocab": {word: row for row, word in enumerate(WORDS)}}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(vocabulary))
    network.positions.weight.data += kinds[0]
    return tmp_path, network.eval()


@torch.inference_mode()
def test_a_sentence_is_the_mean_of_its_pieces(folder):
    path, network = folder
    encoder = MiniLM.load(path, SMALL)
    found = encoder(["Raises the left arm", "raises", "the left"])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    h = network(torch.tensor([[2, 5, 3]]))[0].mean(dim=0)
    np.testing.assert_allclose(found[1], (h / h.norm()).numpy(), atol=1e-6)
    assert encoder([]).shape[0] == 0


def test_what_is_no_sentence_encoder_is_said(folder):
    path, _ = folder
    with pytest.raises(CheckpointError, match="instead of"):
        MiniLM.load(path)
    (path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read as a sentence encoder"):
        MiniLM.load(path, SMALL)
