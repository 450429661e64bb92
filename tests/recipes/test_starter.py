"""What keeps one starter's data and networks from becoming another's."""

from pathlib import Path

import numpy as np
import pytest

from cospeech.data.store import write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError
from cospeech.recipes import starter
from cospeech.recipes.starter import CORPUS_VERSION, MakeStarter


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    def trained(*_):
        raise AssertionError("training has begun")

    monkeypatch.setattr(starter.distil, "load_teacher", lambda folder: None)
    monkeypatch.setattr(starter.loop, "train_together", trained)


def store(folder: Path, corpus: str) -> None:
    info = ClipInfo("synthetic/0", "train", "synthetic", "CC BY-NC", 4, ("upper", "hands", "lower", "face", "speech"))
    clip = StoredClip(info, np.zeros((4, 55, 3)), np.zeros((4, 3)), np.zeros((4, 52)), np.ones((4, 68), np.float32))
    write_store(folder / "store", [clip], corpus)


@pytest.mark.parametrize(
    "corpus", ["", f"starter, version {CORPUS_VERSION}", f"starter-open, version {CORPUS_VERSION - 1}"]
)
def test_a_store_of_something_else_is_not_learned_from(corpus, tmp_path):
    store(tmp_path, corpus)
    with pytest.raises(ConfigError, match="not of starter-open, version"):
        starter.make(MakeStarter(tmp_path, tmp_path, "starter-open", accelerator="cpu"))


def test_a_denoiser_is_not_kept_when_other_networks_are_trained_again(tmp_path):
    store(tmp_path, f"starter, version {CORPUS_VERSION}")
    (tmp_path / "diffusion").mkdir()
    for _ in range(2):
        with pytest.raises(ConfigError, match="was trained over other networks"):
            starter.make(MakeStarter(tmp_path, tmp_path, accelerator="cpu"))


def test_a_device_that_is_not_there_is_said_first(tmp_path):
    with pytest.raises(ConfigError, match="accelerator"):
        starter.make(MakeStarter(tmp_path, tmp_path, accelerator="abacus"))


def test_what_is_trained_over_a_starter_knows_which_it_was(tmp_path):
    store(tmp_path / "open", f"starter-open, version {CORPUS_VERSION}")
    assert starter.made_as(tmp_path / "open" / "store") == "starter-open"
    store(tmp_path / "other", "beat2")
    with pytest.raises(ConfigError, match="was not made for starter or starter-open"):
        starter.made_as(tmp_path / "other" / "store")


def test_speakers_alone_are_neither_acting_nor_silent():
    found = {name: set(starter.of_speakers(one.shares["diffusion"])) for name, one in starter.STARTERS.items()}
    assert found == {"starter": {"synthetic", "beat2"}, "starter-open": {"synthetic"}}
