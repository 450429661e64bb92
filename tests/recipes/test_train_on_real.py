"""On the little real data there is every loss of every training falls: `COSPEECH_DATA=... pytest -m data -k real`."""

import contextlib
import io
import os
import re
from functools import cache
from pathlib import Path

import numpy as np
import published_mambatalk
import pytest

from cospeech import config as configs
from cospeech.data import starters
from cospeech.data.store import write_store
from cospeech.models.mambatalk import AUTOENCODERS, BODY, PARTS
from cospeech.recipes import autoencoder, diffusion, mambatalk, syntalker, tmr, tokenizer, vocabulary
from cospeech.recipes.syntalker import diffusion_config, tokenizer_config

pytestmark = pytest.mark.data
FEW = ["training.accelerator=cpu", "training.steps=600", "training.batch_size=16", "training.devices=1"]
NARROW = [*FEW, "model.width=64", "training.lr=0.001"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("real") / "store"
    infos = write_store(path, starters.real(Path(os.environ["COSPEECH_DATA"])))
    spoken = [info for info in infos if info.words]
    assert spoken
    assert all(info.num_samples for info in spoken)
    return path


def said_by(train, config, run: Path) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        train(config, run)
    return out.getvalue()


def fall(said: str, *names: str) -> None:
    """Losses, which are those of one batch every hundred steps, are lower in the end than in the beginning."""
    for name in names:
        values = [float(value) for value in re.findall(rf"\b{name} ([\d.e-]+)", said)]
        assert len(values) >= 6
        assert np.mean(values[-3:]) < np.mean(values[:3]), (name, values)


@pytest.fixture(scope="module")
def tokenizers(store, tmp_path_factory):
    """System and part -> its run directory and what was said in its training, which is done when it is asked for."""
    folder = tmp_path_factory.mktemp("tokenizers")

    @cache
    def train(system: str, part: str) -> tuple[Path, str]:
        few = [*NARROW, "model.quantizer.code_dim=32", "training.warmup_steps=50", "training.drops=[500]"]
        config = configs.changed(tokenizer_config(system, part, store), few)
        return folder / system / part, said_by(tokenizer.train, config, folder / system / part)

    return train


@pytest.mark.parametrize(
    ("system", "part"), [(system, part) for system, parts in syntalker.TOKENIZERS.items() for part in parts]
)
def test_losses_of_tokenizers_fall_on_real_motion(system, part, tokenizers):
    fall(tokenizers(system, part)[1], "loss", "position", "velocity")


@pytest.fixture(scope="module")
def space(store, tmr_config, tmp_path_factory):
    run = tmp_path_factory.mktemp("tmr") / "run"
    config = configs.changed(tmr_config, [f"store={store}", *FEW, "training.steps=1500", "training.lr=0.002"])
    return run, said_by(tmr.train, config, run)


def test_losses_of_the_space_fall_on_real_motion(space):
    fall(space[1], "loss", "motion_to_motion", "text_to_motion", "contrast")


@pytest.mark.parametrize("system", ["S", "T"])
def test_losses_of_denoisers_fall_on_real_motion(system, store, tokenizers, space, tmp_path):
    runs = {part: tokenizers(system, part)[0] for part in syntalker.DENOISERS[system].parts}
    vocabulary.make(store, out=tmp_path / "words", width=16)
    config = diffusion_config(
        system, store, runs, tmp_path / "words", space[0] if system == "T" else None, system == "T"
    )
    few = [*NARROW, "model.code_dim=32", "model.depth=2", "model.heads=2", "model.mlp_width=64", "model.audio.width=32"]
    fall(said_by(diffusion.train, configs.changed(config, few), tmp_path / "run"), "loss")


@pytest.fixture(scope="module")
def autoencoders(store, tmp_path_factory):
    """Part -> its run directory and what was said in its training."""
    folder = tmp_path_factory.mktemp("autoencoders")

    @cache
    def train(part: str) -> tuple[Path, str]:
        few = [*FEW, "training.batch_size=2", "training.lr=0.001", "training.drops=[]", "model.width=64"]
        config = mambatalk.autoencoder_config(part, store, settings=few)
        return folder / part, said_by(autoencoder.train, config, folder / part)

    return train


@pytest.mark.parametrize("part", AUTOENCODERS)
def test_losses_of_autoencoders_fall_on_real_motion(part, autoencoders):
    terms = {"face": ["rotation", "expressions"], "lower": ["rotation", "contact", "joints"]}
    fall(autoencoders(part)[1], "loss", *terms.get(part, ["place"] if part == "translation" else ["rotation", "skin"]))


def test_losses_of_mambatalk_fall_on_real_speech(store, autoencoders, tmp_path):
    published_mambatalk.write_recogniser(tmp_path / "wav2vec2")
    vocabulary.make(store, out=tmp_path / "words", width=8)
    runs = {part: autoencoders(part)[0] for part in AUTOENCODERS}
    few = [*FEW, "training.batch_size=4", "training.lr=0.001", "model.width=64", "model.code_dim=64", "model.depth=2"]
    few += ["model.audio_width=32", "model.motion_width=32"]
    config = mambatalk.network_config(store, runs, tmp_path / "words", tmp_path / "wav2vec2", few)
    said = said_by(mambatalk.train, config, tmp_path / "run")
    fall(said, "loss", *(f"{part} latents" for part in PARTS), *(f"{part} codes" for part in BODY))
