import json

import numpy as np
import parity
import published_metrics as published
import pytest
import torch

from cospeech import checkpoint as checkpoints
from cospeech import cli, load_pipeline
from cospeech.errors import CheckpointError
from cospeech.models.embedder import embed
from cospeech.released.embedder import import_embedder

NAME = "AESKConv_240_100.bin"


def write(folder, state, wrapped=True):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"module.{key}": tensor for key, tensor in state.items()} if wrapped else state
    torch.save({"model_state": tensors}, folder / NAME)
    return folder / NAME


@pytest.fixture(scope="module")
def state():
    return published.embedder_state()


@pytest.fixture(scope="module")
def imported(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    assert cli.main(["import", "embedder", str(write(folder / "weights", state)), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_an_imported_embedder_gives_the_published_latents(imported):
    assert {path.name for path in imported.iterdir()} == {"config.json", "model.safetensors", "CARD.md", "SHA256SUMS"}
    stored = checkpoints.load_embedder(imported)
    assert stored.config.name == "AESKConv_240_100"
    assert "not stated" in stored.card
    assert stored.directory == imported
    arrays = published.arrays()
    found = embed(stored.network, arrays["pose_A"], "published")
    np.testing.assert_allclose(found, arrays["latent_A"], atol=parity.TOLERANCE)


def test_masks_and_pools_are_those_of_the_file(imported, state):
    """The pools of the fixture are random: with those of the skeleton no latent would be right."""
    encoder = checkpoints.load_embedder(imported).network.encoder
    for i in (0, 1):
        assert torch.equal(encoder.layers[i].pool, state[f"encoder.layers.{i}.0.common.0.weight"])


def test_what_is_printed_tells_two_people_that_they_have_the_same(state, tmp_path, capsys):
    path = write(tmp_path, state, wrapped=False)
    (tmp_path / "SMPLX_NEUTRAL_2020.npz").write_bytes(b"")
    assert cli.main(["import", "embedder", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for expected in (str(path), " 56 ", "4,384,500", "not used:", "licensed body", "licence not stated"):
        assert expected in printed


def test_damaged_foreign_and_missing_files_are_one_line(state, tmp_path, capsys):
    def failing(folder):
        assert cli.main(["import", "embedder", str(folder), "--out", str(tmp_path / "out")]) == 2
        assert not (tmp_path / "out").exists()
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        return error

    (tmp_path / "empty").mkdir()
    assert "AESKConv_240_100.bin" in failing(tmp_path / "empty")
    short = {key: tensor for key, tensor in state.items() if key != "encoder.layers.2.0.shortcut.mask"}
    assert "missing: encoder.layers.2.0.shortcut.mask" in failing(write(tmp_path / "short", short))
    assert "unknown: extra" in failing(write(tmp_path / "more", state | {"extra": torch.zeros(3)}))
    wide = state | {"fc_mu.weight": torch.zeros(3, 3)}
    assert "fc_mu.weight (3, 3) instead of (240, 240)" in failing(write(tmp_path / "wide", wide))
    nan = state | {"decoder.main.14.bias": torch.full((330,), torch.nan)}
    assert "NaN" in failing(write(tmp_path / "nan", nan))
    foreign = {"some.weight": torch.zeros(3)}
    assert "no network of the embedder" in failing(write(tmp_path / "foreign", foreign))
    (tmp_path / "cut").mkdir()
    whole = write(tmp_path / "whole", state).read_bytes()
    (tmp_path / "cut" / NAME).write_bytes(whole[: len(whole) // 2])
    assert "damaged" in failing(tmp_path / "cut")
    (tmp_path / "twice" / "a").mkdir(parents=True)
    write(tmp_path / "twice" / "b", state)
    write(tmp_path / "twice" / "a", state)
    assert "Name one of them" in failing(tmp_path / "twice")


def test_options_of_other_systems_are_refused(state, tmp_path, capsys):
    for option in (["--system", "S"], ["--distilbert", "x"], ["--wav2vec2", "x"]):
        assert cli.main(["import", "embedder", str(tmp_path), "--out", str(tmp_path / "out"), *option]) == 2
        assert "Leave" in capsys.readouterr().err


def test_an_embedder_is_no_model_and_a_model_no_embedder(imported):
    with pytest.raises(CheckpointError, match="compares motions and makes none"):
        load_pipeline(imported)
    with pytest.raises(CheckpointError, match="is no embedder"):
        checkpoints.load_embedder("starter")
    with pytest.raises(CheckpointError, match="Unknown model"):
        checkpoints.load_embedder("nowhere")


def test_damage_to_the_directory_is_found(imported, state, tmp_path):
    import_embedder([write(tmp_path, state)], tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architecture"] == "embedder"
    weights = tmp_path / "out" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged"):
        checkpoints.load_embedder(tmp_path / "out")
    (tmp_path / "out" / "CARD.md").unlink()
    with pytest.raises(CheckpointError, match=r"missing|damaged"):
        checkpoints.load_embedder(tmp_path / "out")
    sums = tmp_path / "out" / "SHA256SUMS"
    sums.write_text("\n".join(line for line in sums.read_text().splitlines() if "CARD" not in line))
    with pytest.raises(CheckpointError, match="must name"):
        checkpoints.load_embedder(tmp_path / "out")


def test_a_model_is_replaced_whole(state, tmp_path):
    import tiny

    checkpoints.save(tiny.checkpoint(), tmp_path / "out")
    import_embedder([write(tmp_path, state)], tmp_path / "out")
    assert not (tmp_path / "out" / "statistics.safetensors").exists()
    assert checkpoints.load_embedder(tmp_path / "out").config.name == "AESKConv_240_100"
