"""Trainings of an embedder of a few steps on a store of a few made-up clips."""

import json
from dataclasses import replace

import numpy as np
import pytest
import resuming
import torch

from cospeech import checkpoint as checkpoints
from cospeech import cli
from cospeech import config as configs
from cospeech.data.store import ClipInfo, Store, StoredClip, write_store
from cospeech.errors import CheckpointError, DataError
from cospeech.metrics.frechet import frechet_distance
from cospeech.models.embedder import Embedder, EmbedderConfig, embed
from cospeech.recipes import embedder
from cospeech.recipes.autoencoder import geodesic, matrices
from cospeech.recipes.embedder import TrainEmbedder
from cospeech.recipes.loop import Training
from cospeech.skeleton import REST_TRANSLATION

SMALL = EmbedderConfig(widths=(2, 2), window_frames=16)
TRAINING = Training(steps=60, batch_size=2, lr=3e-3, warmup_steps=5, accelerator="cpu", precision="32-true")


def waving(number, has=("upper", "hands", "lower", "speech"), num_frames=130):
    loud = np.sin(np.arange(num_frames) / (4 + number) + number)
    poses = np.zeros((num_frames, 55, 3))
    poses[:, 16:22, 2] = 0.5 * loud[:, None]
    poses[:, 25:, 2] = 0.2 * loud[:, None]
    translation = np.tile(REST_TRANSLATION, (num_frames, 1))
    info = ClipInfo(f"clip {number}", "train", "made up", "a licence", num_frames, has)
    return StoredClip(info, poses, translation, np.zeros((num_frames, 52)), np.zeros((num_frames, 68)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "store.npz"
    write_store(path, [waving(1), waving(2), waving(3, has=("upper", "lower")), waving(4)])
    return path


@pytest.fixture(scope="module")
def config(store):
    return TrainEmbedder(store, {"made up": 1.0}, TRAINING, SMALL)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    embedder.train(config, directory)
    return directory


def turned_away(network, store):
    """Mean angle, radians, between joints and what comes back of them; how long 6-D vectors are says nothing."""
    clips = [torch.from_numpy(embedder.vectors_of(clip)[None, :128]) for clip in Store(store).clips("train")]
    with torch.no_grad():
        return float(np.mean([geodesic(matrices(network(clip)), matrices(clip)) for clip in clips]))


@pytest.mark.parametrize("protocol", ["corrected", "published"])
def test_training_brings_the_motion_back(config, store, run, protocol, tmp_path):
    if protocol == "published":
        run = tmp_path / "run"
        embedder.train(replace(config, protocol=protocol), run)
    stored = checkpoints.load_embedder(run / "checkpoint")
    assert turned_away(stored.network, store) < 0.3 < turned_away(Embedder(SMALL).eval(), store)
    assert stored.config.network == SMALL
    assert stored.config.licence == "those of its data: a licence"
    for told in ("60 steps", "made up: 1.00", "cannot be compared with published"):
        assert told in stored.card


def test_a_trained_embedder_tells_motions_apart(run, store):
    network = checkpoints.load_embedder(run / "checkpoint").network
    same, twice, other = (embed(network, poses) for poses in (waving(1).poses, waving(1).poses, 0 * waving(1).poses))
    assert frechet_distance(same, twice) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(same, other) > 1e-3


def test_a_killed_run_goes_on_bit_for_bit(config, tmp_path):
    short = replace(config, training=replace(TRAINING, steps=12, save_every=2))
    resuming.check(embedder, short, "checkpoint/model.safetensors", tmp_path)


def test_published_settings_are_fitted_to_the_store(store):
    settings = embedder.named("emage", store, settings=["training.batch_size=2"])
    assert settings.sources == {"made up": 1.0}
    assert settings.training.steps == 100 * (3 * 4 // 2)  # of three clips with hands each has four windows, 20 apart
    assert settings.model == EmbedderConfig()
    assert settings.training.betas == (0.5, 0.999)
    assert embedder.named("emage", store, "published", ["training.steps=7"]).training.steps == 7


def test_a_run_is_made_by_the_command(config, store, tmp_path, capsys):
    small = ["training.steps=2", "training.batch_size=2", "training.accelerator=cpu", "model.window_frames=16"]
    options = [part for setting in small for part in ("--set", setting)]
    command = ["train", "embedder", "emage", str(tmp_path / "a"), "--store", str(store), "--protocol", "published"]
    assert cli.main([*command, *options]) == 0
    assert checkpoints.load_embedder(tmp_path / "a" / "checkpoint").config.network.widths == (6, 6, 12, 12)
    tables = configs.to_dict(replace(config, training=replace(TRAINING, steps=2)))
    toml = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if isinstance(value, str)]
    for name in ("sources", "training", "model"):
        toml += [f"[{name}]"] + [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in tables[name].items()]
    (tmp_path / "emage.toml").write_text("\n".join(toml))
    assert cli.main(["train", "embedder", str(tmp_path / "emage.toml"), str(tmp_path / "b")]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["emage", "RUN"], "need --store"),
        (["other", "RUN", "--store", "STORE"], "Known: emage"),
        (["emage", "RUN", "--store", "nowhere.npz"], "no such store"),
        (["missing.toml", "RUN"], "cannot be read"),
        (["missing.toml", "RUN", "--protocol", "published"], "one of the settings"),
        (["emage", "RUN", "--store", "STORE", "--tmr", "x"], "has no use for embedder"),
        (["emage", "RUN", "--store", "STORE", "--set", "model.widths=[7]"], "must be multiples"),
    ],
)
def test_what_cannot_be_trained_is_one_line(store, tmp_path, capsys, options, message):
    options = [{"RUN": str(tmp_path / "run"), "STORE": str(store)}.get(option, option) for option in options]
    assert cli.main(["train", "embedder", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_store_without_hands_and_a_folder_of_something_else_are_said(config, tmp_path):
    write_store(tmp_path / "store.npz", [waving(1, has=("upper", "lower"))])
    with pytest.raises(DataError, match="upper body, hands and legs"):
        embedder.train(replace(config, store=tmp_path / "store.npz"), tmp_path / "run")
    with pytest.raises(DataError, match="upper body, hands and legs"):
        embedder.named("emage", tmp_path / "store.npz")
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    (tmp_path / "run" / "checkpoint" / "mine.txt").write_text("")
    with pytest.raises(CheckpointError, match="holds other files"):
        embedder.train(config, tmp_path / "run")
