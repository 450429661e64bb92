"""A space of motions and sentences, trained for a moment on a few made-up clips."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_tmr import MODEL, TRAINING, WORDS

from cospeech import checkpoint, cli
from cospeech import config as configs
from cospeech.errors import CheckpointError, DataError
from cospeech.models.tmr import MotionEncoder, TextEncoder
from cospeech.recipes import retrieval, tmr
from cospeech.word_pieces import Pieces


def load(run):
    encoders = MotionEncoder(MODEL), TextEncoder(MODEL)
    for encoder, name in zip(encoders, ("motion_encoder", "text_encoder"), strict=True):
        encoder.load_state_dict(load_file(run / f"{name}.safetensors"))
        encoder.eval()
    return encoders


@torch.inference_mode()
def test_sentences_find_their_motions(tmr_config, tmr_run):
    motion_encoder, text_encoder = load(tmr_run)
    statistics = load_file(tmr_run / "statistics.safetensors")
    items, mean, _ = tmr.clips(tmr_config)
    torch.testing.assert_close(statistics["mean"], torch.from_numpy(mean))
    split = Pieces(checkpoint.read_word_pieces(tmr_run / "word_pieces.txt", MODEL), 16)
    captions = ["raises the left arm", "raises the right arm", "bows"]  # clips are mirrored, and so are captions
    texts = torch.nn.functional.normalize(text_encoder(*split(captions)).mean, dim=1)
    for item in items:
        motion = motion_encoder(torch.from_numpy(item.vectors)[None].float()).mean[0]
        assert item.captions[0] == captions[int((texts @ motion).argmax())]


def test_every_loss_falls_and_the_language_stays(tmr_config, tmr_run):
    split = Pieces(WORDS, 16)
    items, _, _ = tmr.clips(tmr_config)
    batch = tmr.draw(items, tmr_config, split, None, 0)
    language = tmr._language(tmr_config.distilbert, MODEL)
    torch.manual_seed(1)
    step = tmr._TrainingStep(tmr_config, language).eval()
    before = {name: loss.item() for name, loss in step(*batch).items()}
    state = torch.load(tmr_run / "last.pt", weights_only=True)["model"]
    step.load_state_dict(state)
    after = {name: loss.item() for name, loss in step(*batch).items()}
    for name in ("loss", "motion_to_motion", "text_to_motion", "contrast"):
        assert after[name] < 0.9 * before[name], name
    for name, tensor in language.items():
        assert torch.equal(state[f"text_encoder.language.{name}"], tensor)


def test_a_batch_depends_on_its_key_and_masks_padding_and_equal_captions(tmr_config):
    items, _, _ = tmr.clips(tmr_config)
    split = Pieces(WORDS, 16)
    first, again, other = (tmr.draw(items, tmr_config, split, None, *key) for key in ((0, 1), (0, 1), (0, 2)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.motion, other.motion)
    assert first.motion.shape == (6, 60, 623)
    assert first.valid.all()
    texts = [tuple(row.tolist()) for row in first.pieces]
    assert first.same.tolist() == [[a == b for b in texts] for a in texts]
    alike = {caption: np.ones(4) / 2 for item in items for caption in item.captions}
    assert tmr.draw(items, tmr_config, split, alike, 0).same.all()


def test_what_is_no_distilbert_and_what_has_no_captions_is_said(tmr_config, tmp_path):
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(CheckpointError, match="not the vocabulary"):
        tmr.train(replace(tmr_config, distilbert=tmp_path), tmp_path / "run")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        tmr.train(replace(tmr_config, distilbert=tmp_path), tmp_path / "run")
    save_file({"distilbert.embeddings.LayerNorm.weight": torch.zeros(12)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: .*word_embeddings"):
        tmr.train(replace(tmr_config, distilbert=tmp_path), tmp_path / "run")
    with pytest.raises(DataError, match="no clip of 500 frames"):
        tmr.train(replace(tmr_config, shortest=500), tmp_path / "run")


def test_retrieval_is_measured_for_a_run(tmr_config, tmr_run, capsys, monkeypatch):
    monkeypatch.setattr(retrieval.retrieval, "BATCH", 4)
    retrieval.measure(tmr_run, tmr_config.store, split="train")
    printed = capsys.readouterr().out
    for word in ("6 pairs", "small", "text to", "MedR"):
        assert word in printed
    with pytest.raises(DataError, match="no clip of the split test has a caption"):
        retrieval.measure(tmr_run, tmr_config.store)


def test_a_run_is_made_by_the_command(tmr_config, tmp_path):
    small = replace(tmr_config, training=replace(TRAINING, steps=1, precision="auto"))
    tables = configs.to_dict(small)
    toml = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    toml = [line for line in toml if not line.endswith("null")]
    for name in ("training", "model"):
        toml += [f"[{name}]"] + [f"{key} = {json.dumps(v)}" for key, v in tables[name].items() if key != "text"]
    toml += ["[model.text]"] + [f"{key} = {json.dumps(value)}" for key, value in tables["model"]["text"].items()]
    (tmp_path / "tmr.toml").write_text("\n".join(toml))
    assert cli.main(["train", "tmr", str(tmp_path / "tmr.toml"), str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "text_encoder.safetensors").is_file()
