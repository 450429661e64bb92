"""On the little real data there is every loss of every training falls: `COSPEECH_DATA=... pytest -m data -k real`."""

import os
import re
from pathlib import Path

import pytest

from cospeech import config as configs
from cospeech.data import prepare
from cospeech.data.store import write_store
from cospeech.recipes import diffusion, syntalker, tmr, tokenizer, vocabulary
from cospeech.recipes.syntalker import diffusion_config, tokenizer_config

pytestmark = pytest.mark.data
FEW = ["training.accelerator=cpu", "training.steps=400", "training.batch_size=16"]
NARROW = [*FEW, "model.width=64", "training.lr=0.001"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("real") / "store.npz"
    infos = write_store(path, prepare.real(Path(os.environ["COSPEECH_DATA"])))
    spoken = [info for info in infos if info.words]
    assert spoken
    assert all(info.num_samples for info in spoken)
    return path


def fall(said: str, names: list[str]) -> None:
    """The losses of the last step are below those of the hundredth."""
    steps = {int(line[0]): line[1] for line in re.findall(r"step (\d+)/\d+ (.*)", said)}
    assert len(steps) >= 4
    for name in names:
        first, last = (float(re.search(rf"\b{name} ([\d.e-]+)", steps[step])[1]) for step in (100, max(steps)))
        assert last < first, (name, first, last)


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """Of both systems: part -> run directory."""
    folder = tmp_path_factory.mktemp("tokenizers")
    return {system: {part: folder / system / part for part in syntalker.TOKENIZERS[system]} for system in ("S", "T")}


@pytest.mark.parametrize(
    ("system", "part"), [(system, part) for system, parts in syntalker.TOKENIZERS.items() for part in parts]
)
def test_losses_of_tokenizers_fall_on_real_motion(system, part, store, runs, capsys):
    few = [*NARROW, "model.quantizer.code_dim=32", "training.warmup_steps=50", "training.drops=[300]"]
    tokenizer.train(configs.changed(tokenizer_config(system, part, store), few), runs[system][part])
    fall(capsys.readouterr().out, ["loss", "position", "velocity"])


def test_losses_of_the_space_fall_on_real_motion(store, tmr_config, tmp_path, capsys):
    config = configs.changed(tmr_config, [f"store={store}", *FEW, "training.steps=1500", "training.lr=0.002"])
    tmr.train(config, tmp_path / "run")
    fall(capsys.readouterr().out, ["loss", "motion_to_motion", "text_to_motion", "contrast"])


@pytest.mark.parametrize("system", ["S", "T"])
def test_losses_of_denoisers_fall_on_real_motion(system, store, runs, tmr_config, tmp_path, capsys):
    space = None
    if system == "T":
        space = tmp_path / "tmr"
        tmr.train(configs.changed(tmr_config, [f"store={store}", *FEW]), space)
    parts = syntalker.DENOISERS[system].parts
    vocabulary.make(store, out=tmp_path / "words", width=16)
    config = diffusion_config(
        system, store, {part: runs[system][part] for part in parts}, Path(tmp_path / "words"), space, system == "T"
    )
    few = [*NARROW, "model.code_dim=32", "model.depth=2", "model.heads=2", "model.mlp_width=64", "model.audio.width=32"]
    capsys.readouterr()
    diffusion.train(configs.changed(config, few), tmp_path / "run")
    fall(capsys.readouterr().out, ["loss"])
