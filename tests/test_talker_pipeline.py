"""The pipeline of a talker, made so small that tests make it in a blink."""

import numpy as np
import pytest
import tiny
import torch

from cospeech import Speech, load_pipeline
from cospeech import checkpoint as checkpoints
from cospeech.checkpoint import Checkpoint
from cospeech.errors import ConfigError, PromptError
from cospeech.models.syntalker import FrameEncoderConfig
from cospeech.models.talker import TalkerConfig
from cospeech.pipeline import TalkerPipeline
from cospeech.pipeline import talker as pipelines
from cospeech.systems import TalkerModel


def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    model = TalkerConfig(
        parts=tiny.PARTS,
        audio=FrameEncoderConfig(width=8, depth=2, kernel=3),
        code_dim=4,
        num_codes=32,
        width=16,
        mlp_width=16,
        num_states=4,
        depth=1,
    )
    plain = tiny.checkpoint()
    config = TalkerModel("tiny talker", "none", model, plain.config.tokenizers)
    networks = config.build().eval().requires_grad_(False)
    networks.tokenizers.load_state_dict(plain.networks.tokenizers.state_dict())
    statistics = {name: each for name, each in plain.statistics.items() if name != "rest"}
    return Checkpoint(config, networks, statistics, card="# tiny talker\n")


@pytest.fixture(scope="module")
def pipeline() -> TalkerPipeline:
    return TalkerPipeline(checkpoint())


@pytest.mark.parametrize("seconds", [0.01, 0.05, 1.0, 3.3])
def test_motion_is_as_long_as_the_speech(pipeline, speech, seconds):
    cut = Speech(np.resize(speech.samples, round(seconds * speech.rate)), speech.rate)
    motion = pipeline.generate(cut)
    assert len(motion) == max(1, round(seconds * 30))
    assert np.isfinite(motion.poses).all()
    assert motion.face is not None


def test_the_seed_decides(pipeline, speech):
    a, b, again = (pipeline.generate(speech, seed=seed, finish=False) for seed in (0, 1, 0))
    np.testing.assert_array_equal(a.poses, again.poses)
    assert not np.allclose(a.poses, b.poses, atol=1e-3)


def test_it_hears(pipeline, speech):
    backwards = Speech(speech.samples[::-1].copy(), speech.rate)
    a, b = (pipeline.generate(each, finish=False) for each in (speech, backwards))
    assert not np.allclose(a.poses, b.poses, atol=1e-3)


def test_speech_is_encoded_in_pieces_that_do_not_show(pipeline, speech, monkeypatch):
    whole = pipeline.generate(speech, finish=False)
    for size in (1, 3, 8):
        monkeypatch.setattr(pipelines, "_HEARD", size)
        np.testing.assert_allclose(pipeline.generate(speech, finish=False).poses, whole.poses, atol=1e-4)


def test_a_checkpoint_comes_back(tmp_path, speech):
    there = checkpoint()
    checkpoints.save(there, tmp_path / "made", torch.float32)
    back = load_pipeline(tmp_path / "made")
    np.testing.assert_array_equal(back.generate(speech).poses, TalkerPipeline(there).generate(speech).poses)


def test_what_it_does_not_have_is_refused(pipeline, speech):
    motion = pipeline.generate(speech)
    for settings in ({"steps": 3}, {"sampler": "ddim"}, {"speaker": 2}, {"seed_motion": motion}, {"seed": -1}):
        with pytest.raises(ConfigError):
            pipeline.generate(speech, **settings)
    with pytest.raises(PromptError):
        pipeline.generate(speech, upper="waves")
    with pytest.raises(ConfigError, match="float32"):
        TalkerPipeline(checkpoint(), precision="bf16")
    with pytest.raises(ConfigError, match="quirks"):
        TalkerPipeline(checkpoint(), quirks="some")
