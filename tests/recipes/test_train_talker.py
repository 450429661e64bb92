"""A talker trained over tokenizers, all of it made small, from a store of a few made-up clips."""

from dataclasses import replace

import numpy as np
import pytest
import resuming
import torch
from safetensors.torch import load_file

from cospeech.data.store import write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError
from cospeech.models.syntalker import FrameEncoderConfig
from cospeech.models.talker import Talker, TalkerConfig
from cospeech.models.tokenizer import TokenizerConfig
from cospeech.nn.quantize import QuantizerConfig
from cospeech.recipes import talker, tokenizer
from cospeech.recipes.diffusion import TrainedTokenizer
from cospeech.recipes.loop import Training
from cospeech.recipes.talker import TrainTalker
from cospeech.recipes.tokenizer import TrainTokenizer
from cospeech.skeleton import REST_TRANSLATION

PARTS = {"upper": 78, "face": 52}
ON_CPU = {"accelerator": "cpu", "precision": "32-true", "warmup_steps": 1, "save_every": 2}
MODEL = TalkerConfig(
    parts=tuple(PARTS),
    audio=FrameEncoderConfig(width=8, depth=2, kernel=3),
    code_dim=4,
    num_codes=8,
    width=16,
    mlp_width=16,
    num_states=4,
    depth=1,
)


def talk(number: int, num_frames: int = 150, faces: bool = True) -> StoredClip:
    rng = np.random.default_rng(number)
    loud = np.sin(np.arange(num_frames) / 6 + number)
    poses = np.zeros((num_frames, 55, 3))
    poses[:, 16:22, 2] = 0.5 * loud[:, None]
    face = np.clip(loud, 0, 1)[:, None] * rng.uniform(size=52) * faces
    has = ("upper", "hands", "lower", "speech", *(["face"] if faces else []))
    info = ClipInfo(f"talk {number}", "train", "synthetic", "a licence", num_frames, has)
    speech = loud[:, None] * rng.normal(size=68)
    return StoredClip(info, poses, np.tile(REST_TRANSLATION, (num_frames, 1)), face, speech)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "store"
    silent = talk(3)
    silent = replace(silent, info=replace(silent.info, id="walk", has=("upper", "lower")))
    write_store(path, [talk(1), talk(2, faces=False), silent])
    return path


@pytest.fixture(scope="module")
def tokenizers(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    quantizer = QuantizerConfig(code_dim=4, num_codes=8, num_stages=3, temperature=0.0, min_uses=0.1)
    for part, channels in PARTS.items():
        config = TrainTokenizer(
            store,
            part,
            {"synthetic": 1.0},
            TokenizerConfig(channels, width=8, depth=1, quantizer=quantizer),
            Training(steps=3, batch_size=2, **ON_CPU),
            window_frames=32,
        )
        tokenizer.train(config, folder / part)
    return {part: folder / part for part in PARTS}


def config(store, tokenizers, steps: int = 3) -> TrainTalker:
    training = Training(steps=steps, batch_size=4, **ON_CPU)
    return TrainTalker(store, tokenizers, {"synthetic": 1.0}, MODEL, training, window_steps=12)


def test_a_training_ends_with_a_talker(store, tokenizers, tmp_path, capsys):
    talker.train(config(store, tokenizers, 101), tmp_path / "run")
    Talker(MODEL).load_state_dict(load_file(tmp_path / "run" / talker.RESULT))
    assert "codes" in capsys.readouterr().out


def test_clips_are_encoded_from_each_frame_of_a_step(store, tokenizers):
    settings = config(store, tokenizers)
    trained = {part: TrainedTokenizer.load(run) for part, run in tokenizers.items()}
    items, sources = talker._items(settings, trained)
    assert len(items) == 2 * 2 * 4  # clips with speech, mirrored too, four frames
    assert sources == ["synthetic"] * 16
    assert [item.known.tolist() for item in items[::8]] == [[1, 1], [1, 0]]
    for item, num_steps in zip(items[:4], (37, 37, 37, 36), strict=True):
        assert item.latents.shape == (num_steps, 8)
        assert item.codes.shape == (num_steps, 2, 2)
        assert item.features.shape == (4 * num_steps, 68)
    np.testing.assert_array_equal(items[1].features[:-1], items[0].features[1:])


def test_a_batch_knows_what_was_before_it(store, tokenizers):
    settings = config(store, tokenizers)
    items, _ = talker._items(settings, {part: TrainedTokenizer.load(run) for part, run in tokenizers.items()})
    batch = talker._batch(settings, items, [(0, 0), (0, 5)], torch.device("cpu"))
    assert (batch.before[0] == -1).all()
    np.testing.assert_array_equal(batch.before[1], items[0].codes[4])
    np.testing.assert_array_equal(batch.codes[1], items[0].codes[5:17])
    np.testing.assert_array_equal(batch.features[1], items[0].features[20:68])


def test_codes_become_their_vectors():
    codebooks = torch.randn(2, 3, 5, 4)
    codes = torch.tensor([[[0, 4, 1], [2, -1, 3]]])
    vectors = talker.vectors_of(codebooks, codes)
    torch.testing.assert_close(vectors[0, 0, 1], codebooks[0, 1, 4])
    torch.testing.assert_close(vectors[0, 1, 2], codebooks[1, 2, 3])
    assert not vectors[0, 1, 1].any()


def test_a_killed_training_goes_on_exactly(store, tokenizers, tmp_path):
    resuming.check(talker, config(store, tokenizers, 120), talker.RESULT, tmp_path)


def test_tokenizers_must_have_the_codes_that_are_chosen(store, tokenizers, tmp_path):
    wrong = replace(config(store, tokenizers), model=replace(MODEL, num_codes=9))
    with pytest.raises(ConfigError, match="other codes"):
        talker.train(wrong, tmp_path)
