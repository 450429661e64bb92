import errno
import json

import pytest
import tiny
import torch
from safetensors.torch import load_file

from cospeech import checkpoint
from cospeech.errors import CheckpointError
from cospeech.nn.quantize import TRAINING_ONLY


@pytest.fixture
def directory(tmp_path):
    checkpoint.save(tiny.checkpoint(), tmp_path / "tiny")
    return tmp_path / "tiny"


def test_what_is_saved_is_loaded(directory):
    there, here = tiny.checkpoint(), checkpoint.load(directory)
    assert here.config == there.config
    assert here.card == there.card
    for name, tensor in there.networks.state_dict().items():
        if name.rpartition(".")[2] not in TRAINING_ONLY:
            step = 1 / 16 if name in checkpoint.COARSE else 1e-3  # of eight bits, and of sixteen
            torch.testing.assert_close(here.networks.state_dict()[name], tensor, atol=2e-3, rtol=step)
    torch.testing.assert_close(dict(here.statistics), dict(there.statistics))


def test_the_table_of_a_sentence_encoder_is_coarse_and_reads_the_same(tmp_path):
    there = tiny.reading()
    checkpoint.save(there, tmp_path / "half")
    checkpoint.save(there, tmp_path / "single", torch.float32)
    stored = {name: load_file(tmp_path / name / checkpoint.WEIGHTS) for name in ("half", "single")}
    assert stored["half"]["sentences.grams.weight"].dtype is torch.float8_e4m3fn
    assert {tensor.dtype for tensor in stored["single"].values() if tensor.is_floating_point()} == {torch.float32}
    texts = ["raises the right hand", "what a nice day"]
    before, after = (c.networks.sentences(texts).style for c in (there, checkpoint.load(tmp_path / "half")))
    assert torch.nn.functional.cosine_similarity(before, after).min() > 0.99


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(directory, monkeypatch):
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match="cannot be written: No space left"):
        checkpoint.save(tiny.checkpoint(1), directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_a_checkpoint_takes_the_place_of_another_and_of_nothing_else(directory, tmp_path):
    (directory / "notes.txt").write_text("mine")
    checkpoint.save(tiny.checkpoint(1), directory)
    assert (directory / "notes.txt").read_text() == "mine"
    new = tiny.checkpoint(1).networks.denoiser.embed_seed.weight
    torch.testing.assert_close(checkpoint.load(directory).networks.denoiser.embed_seed.weight, new, atol=2e-3, rtol=0)
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="other files"):
        checkpoint.save(tiny.checkpoint(), tmp_path / "bert")
    assert [path.name for path in (tmp_path / "bert").iterdir()] == ["config.json"]


def test_who_may_read_the_config_may_read_the_weights(directory):
    assert len({path.stat().st_mode for path in directory.iterdir()}) == 1


def test_nothing_that_only_training_needs_is_stored(directory):
    assert not [name for name in load_file(directory / "model.safetensors") if name.endswith((".sums", ".counts"))]


@pytest.mark.parametrize("name", [checkpoint.CONFIG, checkpoint.WEIGHTS, checkpoint.STATISTICS, checkpoint.CARD])
def test_a_damaged_file_is_named(directory, name):
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: damaged"):
        checkpoint.load(directory)


@pytest.mark.parametrize("name", [checkpoint.CONFIG, checkpoint.WEIGHTS, checkpoint.SUMS])
def test_a_missing_file_is_named(directory, name):
    (directory / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(directory)


def test_truncated_weights_are_an_error_even_with_a_matching_checksum(directory):
    path = directory / checkpoint.WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    _sign(directory)
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        checkpoint.load(directory)


def test_a_config_that_does_not_fit_the_weights_is_an_error(directory):
    config = json.loads((directory / checkpoint.CONFIG).read_text())
    config["denoiser"]["depth"] = 2
    (directory / checkpoint.CONFIG).write_text(json.dumps(config))
    _sign(directory)
    with pytest.raises(CheckpointError, match=r"blocks\.1\.[a-z_.]+` is missing"):
        checkpoint.load(directory)


def test_an_unknown_setting_is_an_error(directory):
    config = json.loads((directory / checkpoint.CONFIG).read_text())
    config["surprise"] = 1
    (directory / checkpoint.CONFIG).write_text(json.dumps(config))
    _sign(directory)
    with pytest.raises(CheckpointError, match="surprise"):
        checkpoint.load(directory)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("denoiser", "heads"), 0, "heads"),
        (("denoiser", "mlp_width"), 2**40, "mlp_width"),
        (("denoiser", "mlp_width"), 60_000, "mlp"),
        (("denoiser", "frames_per_step"), 8, "frames a step"),
        (("fps",), 0, "fps"),
        (("fps",), -30, "fps"),
        (("steps",), 0, "steps"),
    ],
)
def test_impossible_configs_are_refused_before_anything_is_built(directory, path, value, message):
    config = json.loads((directory / checkpoint.CONFIG).read_text())
    table = config
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    (directory / checkpoint.CONFIG).write_text(json.dumps(config))
    _sign(directory)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(directory)


def test_statistics_must_fit(directory):
    from safetensors.torch import load_file, save_file

    path = directory / checkpoint.STATISTICS
    whole = load_file(path)
    for broken in ({k: v for k, v in whole.items() if k != "rest"}, {**whole, "upper.mean": torch.zeros(3)}):
        save_file(broken, path)
        _sign(directory)
        with pytest.raises(CheckpointError, match="statistics"):
            checkpoint.load(directory)


def test_a_slip_in_a_path_does_not_ask_the_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(CheckpointError, match="Unknown model `runs/startr`"):
        checkpoint.load("runs/startr")


def test_checksums_may_not_point_outside(directory):
    (directory / checkpoint.SUMS).write_text("0" * 64 + "  ../secret\n")
    with pytest.raises(CheckpointError, match="must name"):
        checkpoint.load(directory)


def test_unknown_names_list_the_known_ones(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="starter"):
        checkpoint.load("startr")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        checkpoint.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="this is a file"):
        checkpoint.load(tmp_path / "file")


def _sign(directory):
    lines = (directory / checkpoint.SUMS).read_text().splitlines()
    names = [line.split(maxsplit=1)[1] for line in lines]
    sums = "".join(f"{checkpoint._sha256(directory / name)}  {name}\n" for name in names)
    (directory / checkpoint.SUMS).write_text(sums)
