"""A space of motions and sentences, trained for a moment on a few made-up clips."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cospeech import checkpoint, cli
from cospeech import config as configs
from cospeech.data.store import ClipInfo, StoredClip, write_store
from cospeech.errors import CheckpointError, DataError
from cospeech.models.tmr import DistilBertConfig, MotionEncoder, TextEncoder, TmrConfig
from cospeech.recipes import retrieval, tmr
from cospeech.recipes.loop import Training
from cospeech.recipes.tmr import TrainTmr
from cospeech.skeleton import INDEX, REST_TRANSLATION
from cospeech.word_pieces import Pieces

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "raises", "the", "left", "right", "arm", "bows", "a", "person"]
MODEL = TmrConfig(width=32, depth=1, heads=2, mlp_width=32, text=DistilBertConfig(len(WORDS), 16, 12, 1, 2, 16))
TRAINING = Training(steps=120, batch_size=6, lr=3e-3, warmup_steps=5, accelerator="cpu", precision="32-true")


def clip(number: int, joint: str, axis: int, caption: str) -> StoredClip:
    poses = np.zeros((90, 55, 3))
    poses[:, INDEX[joint], axis] = np.sin(np.linspace(0, 3 + 0.2 * number, 90))
    info = ClipInfo(f"clip {number}", "train", "made up", "none", 90, ("upper",), (caption, f"a person {caption}"))
    return StoredClip(info, poses, np.tile(REST_TRANSLATION, (90, 1)), np.zeros((90, 52)), np.zeros((90, 68)))


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> TrainTmr:
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


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    tmr.train(config, run)
    return run


def load(run):
    encoders = MotionEncoder(MODEL), TextEncoder(MODEL)
    for encoder, name in zip(encoders, ("motion_encoder", "text_encoder"), strict=True):
        encoder.load_state_dict(load_file(run / f"{name}.safetensors"))
        encoder.eval()
    return encoders


@torch.inference_mode()
def test_sentences_find_their_motions(config, trained):
    motion_encoder, text_encoder = load(trained)
    statistics = load_file(trained / "statistics.safetensors")
    items, mean, _ = tmr.clips(config)
    torch.testing.assert_close(statistics["mean"], torch.from_numpy(mean))
    split = Pieces(checkpoint.read_word_pieces(trained / "word_pieces.txt", MODEL), 16)
    captions = ["raises the left arm", "raises the right arm", "bows"]  # clips are mirrored, and so are captions
    texts = torch.nn.functional.normalize(text_encoder(*split(captions)).mean, dim=1)
    for item in items:
        motion = motion_encoder(torch.from_numpy(item.vectors)[None].float()).mean[0]
        assert item.captions[0] == captions[int((texts @ motion).argmax())]


def test_every_loss_falls_and_the_language_stays(config, trained):
    split = Pieces(WORDS, 16)
    items, _, _ = tmr.clips(config)
    batch = tmr.draw(items, config, split, None, 0)
    language = tmr._language(config)
    torch.manual_seed(1)
    step = tmr._TrainingStep(config, language).eval()
    before = {name: loss.item() for name, loss in step(*batch).items()}
    state = torch.load(trained / "last.pt", weights_only=True)["model"]
    step.load_state_dict(state)
    after = {name: loss.item() for name, loss in step(*batch).items()}
    for name in ("loss", "motion_to_motion", "text_to_motion", "contrast"):
        assert after[name] < 0.9 * before[name], name
    for name, tensor in language.items():
        assert torch.equal(state[f"text_encoder.language.{name}"], tensor)


def test_a_batch_depends_on_its_key_and_masks_padding_and_equal_captions(config):
    items, _, _ = tmr.clips(config)
    split = Pieces(WORDS, 16)
    first, again, other = (tmr.draw(items, config, split, None, *key) for key in ((0, 1), (0, 1), (0, 2)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.motion, other.motion)
    assert first.motion.shape == (6, 60, 623)
    assert first.valid.all()
    texts = [tuple(row.tolist()) for row in first.pieces]
    assert first.same.tolist() == [[a == b for b in texts] for a in texts]
    alike = {caption: np.ones(4) / 2 for item in items for caption in item.captions}
    assert tmr.draw(items, config, split, alike, 0).same.all()


def test_what_is_no_distilbert_and_what_has_no_captions_is_said(config, tmp_path):
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(CheckpointError, match="not the vocabulary"):
        tmr.train(replace(config, distilbert=tmp_path), tmp_path / "run")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        tmr.train(replace(config, distilbert=tmp_path), tmp_path / "run")
    save_file({"distilbert.embeddings.LayerNorm.weight": torch.zeros(12)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: .*word_embeddings"):
        tmr.train(replace(config, distilbert=tmp_path), tmp_path / "run")
    with pytest.raises(DataError, match="no clip of 500 frames"):
        tmr.train(replace(config, shortest=500), tmp_path / "run")


def test_retrieval_is_measured_for_a_run(config, trained, capsys, monkeypatch):
    monkeypatch.setattr(retrieval.retrieval, "BATCH", 4)
    retrieval.measure(trained, config.store, split="train")
    printed = capsys.readouterr().out
    for word in ("6 pairs", "small", "text to", "MedR"):
        assert word in printed
    with pytest.raises(DataError, match="no clip of the split test has a caption"):
        retrieval.measure(trained, config.store)


def test_a_run_is_made_by_the_command(config, tmp_path):
    small = replace(config, training=replace(TRAINING, steps=1, precision="auto"))
    tables = configs.to_dict(small)
    toml = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    toml = [line for line in toml if not line.endswith("null")]
    for name in ("training", "model"):
        toml += [f"[{name}]"] + [f"{key} = {json.dumps(v)}" for key, v in tables[name].items() if key != "text"]
    toml += ["[model.text]"] + [f"{key} = {json.dumps(value)}" for key, value in tables["model"]["text"].items()]
    (tmp_path / "tmr.toml").write_text("\n".join(toml))
    assert cli.main(["train", "tmr", str(tmp_path / "tmr.toml"), str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "text_encoder.safetensors").is_file()
