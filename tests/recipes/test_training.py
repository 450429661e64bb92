"""Trainings of a few steps on a store of a few made-up clips."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import resuming
import tiny
import torch
from safetensors.torch import load_file

from cospeech import config as configs
from cospeech.data.store import write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError
from cospeech.models.sentence import SentenceConfig, SentenceEncoder
from cospeech.models.syntalker import Denoiser
from cospeech.recipes import diffusion, tokenizer
from cospeech.recipes.diffusion import TrainDiffusion, TrainedTokenizer
from cospeech.recipes.loop import Training, learning_rate
from cospeech.recipes.tokenizer import TrainTokenizer

TRAINING = Training(steps=250, batch_size=8, lr=1e-2, warmup_steps=5, accelerator="cpu", precision="32-true")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Waving arms whose height is the loudness of what is heard."""
    rng = np.random.default_rng(0)

    def clip(number, has):
        at = np.arange(160) / 30
        loud = np.sin(2 * np.pi * rng.uniform(0.3, 1.0) * at + number)
        poses = np.zeros((160, 55, 3))
        poses[:, 16:22, 2] = loud[:, None]
        poses[:, 25:, 2] = 0.3 * loud[:, None]
        poses[:, :6, 0] = 0.1 * loud[:, None]
        info = ClipInfo(f"clip {number}", "train", "made up", "none", 160, has)
        face = np.clip(0.5 + 0.5 * loud[:, None] * np.ones(52), 0, 1)
        speech = loud[:, None] * np.ones(68)
        return StoredClip(info, poses, np.tile([0.1, 1.3, 0], (160, 1)), face, speech)

    everything = ("upper", "hands", "lower", "face", "speech")
    path = tmp_path_factory.mktemp("store") / "store"
    write_store(path, [clip(n, everything) for n in range(4)] + [clip(9, ("upper", "lower", "speech"))])
    return path


def tokenizer_config(store, part="upper", training=TRAINING):
    return TrainTokenizer(store, part, {"made up": 1.0}, tiny.tokenizer_config(part), training, window_frames=32)


@pytest.fixture(scope="module")
def tokenizers(store, tmp_path_factory):
    runs = {part: tmp_path_factory.mktemp(part) for part in tiny.PARTS}
    for part, run in runs.items():
        tokenizer.train(tokenizer_config(store, part), run)
    return runs


def reconstruction_error(run, store):
    trained = TrainedTokenizer.load(run)
    vectors = [
        diffusion.features.encode("upper", c.poses, c.translation) for c in tokenizer.Store(store).clips("train")
    ]
    with torch.no_grad():
        back = [trained.model.decode(trained.encode(v)[None])[0] * trained.std + trained.mean for v in vectors]
    return np.mean([np.abs(b.numpy() - v).mean() for b, v in zip(back, vectors, strict=True)])


def test_a_trained_tokenizer_reconstructs_better(store, tokenizers, tmp_path):
    tokenizer.train(tokenizer_config(store, training=replace(TRAINING, steps=1)), tmp_path)
    assert reconstruction_error(tokenizers["upper"], store) < 0.6 * reconstruction_error(tmp_path, store)


def test_latents_of_a_trained_tokenizer_have_unit_variance(store, tokenizers):
    trained = TrainedTokenizer.load(tokenizers["upper"])
    clips = list(tokenizer.Store(store).clips("train"))
    vectors = [diffusion.features.encode("upper", c.poses, c.translation) for c in clips]
    deviation = torch.cat([trained.encode(v) for v in vectors]).std()
    assert 0.8 < deviation < 1.25  # measured with the mirrored clips, too


def test_scaling_latents_changes_no_reconstruction(store, tokenizers):
    model = TrainedTokenizer.load(tokenizers["upper"]).model
    motion = torch.randn(1, 32, 78, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents, there = model.encode(motion), model.decode(model.encode(motion))
        tokenizer.scale_latents(model, 3.0)
        torch.testing.assert_close(model.encode(motion), 3 * latents)
        torch.testing.assert_close(model.decode(model.encode(motion)), there, atol=1e-4, rtol=1e-4)


def denoising_error(run, store, tokenizers):
    """Mean distance of predicted from true latents, halfway through the noise."""
    loaded = {part: TrainedTokenizer.load(path) for part, path in tokenizers.items()}
    denoiser = diffusion.Denoiser(tiny.DENOISER).eval()
    denoiser.load_state_dict(load_file(run / "denoiser.safetensors"))
    clip = next(tokenizer.Store(store).clips("train"))
    x0 = torch.from_numpy(diffusion.encode_clip(clip, loaded, tiny.DENOISER)[0].latents[:32])[None]
    speech = torch.tensor(clip.speech[None, :128])
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([500])
    with torch.no_grad():
        x_t = diffusion.add_noise(x0, t, noise, diffusion.cosine_schedule())
        return (denoiser(x_t, t, denoiser.condition(speech, None, x0[:, :4])) - x0).abs().mean().item()


def test_a_trained_denoiser_predicts_better(store, tokenizers, tmp_path):
    errors = []
    for steps in (1, 300):
        config = TrainDiffusion(store, tokenizers, {"made up": 1.0}, tiny.DENOISER, replace(TRAINING, steps=steps))
        diffusion.train(config, tmp_path / str(steps))
        errors.append(denoising_error(tmp_path / str(steps), store, tokenizers))
    assert errors[1] < 0.7 * errors[0]


def test_missing_parts_are_zero_and_not_known(store, tokenizers):
    loaded = {part: TrainedTokenizer.load(run) for part, run in tokenizers.items()}
    clip = list(tokenizer.Store(store).clips("train"))[-1]
    found = diffusion.encode_clip(clip, loaded, tiny.DENOISER)
    assert [len(each.latents) for each in found] == [40, 39, 39, 39]  # from each of the first four frames
    assert [each.first for each in found] == [0, 1, 2, 3]
    known = dict(zip(tiny.PARTS, found[0].known.reshape(40, 4, 4).mean(axis=(0, 2)), strict=True))
    assert known == {"upper": 1, "hands": 0, "lower_trans": 1, "face": 0}
    assert np.abs(found[0].latents.reshape(40, 4, 4)[:, 1]).max() == 0


def test_a_killed_run_goes_on_bit_exactly(store, tmp_path):
    training = replace(TRAINING, steps=200, save_every=20)
    resuming.check(tokenizer, tokenizer_config(store, training=training), "tokenizer.safetensors", tmp_path)


def test_a_run_directory_of_another_config_is_refused(store, tmp_path):
    tokenizer.train(tokenizer_config(store, training=replace(TRAINING, steps=1)), tmp_path)
    with pytest.raises(ConfigError, match="another config"):
        tokenizer.train(tokenizer_config(store, training=replace(TRAINING, steps=2)), tmp_path)


def test_a_run_says_what_it_ran_with(tokenizers):
    run = tokenizers["upper"]
    assert {p.name for p in run.iterdir()} >= {"config.json", "versions.json", "last.pt", "log"}
    assert configs.load_json(TrainTokenizer, run / "config.json").part == "upper"


def test_learning_rate_warms_up_and_falls():
    rates = [learning_rate(TRAINING, step) for step in range(TRAINING.steps)]
    assert rates[0] == pytest.approx(0.2, rel=0.01)
    assert max(rates) > 0.97
    assert rates[-1] == pytest.approx(TRAINING.final_lr, abs=0.01)


def test_training_imports_only_what_a_bare_machine_has():
    """torch, numpy, safetensors, pyarrow, Lightning Fabric, TensorBoard: nothing that reads sound or fetches models."""
    script = """
import sys
for name in ("soundfile", "soxr", "av", "huggingface_hub", "einops", "tyro", "rich", "PIL", "scipy"):
    sys.modules[name] = None  # importing it fails
import cospeech.recipes.diffusion, cospeech.recipes.starter, cospeech.recipes.tokenizer
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_two_processes_train_one_model(store, tokenizers, tmp_path):
    """Data-parallel over gloo: both networks train, and a run counts as one."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from cospeech.config import load_json\n"
        "from cospeech.recipes import diffusion, tokenizer\n"
        "if sys.argv[1] == 'tokenizer':\n"
        "    tokenizer.train(load_json(tokenizer.TrainTokenizer, sys.argv[2]), Path(sys.argv[3]))\n"
        "else:\n"
        "    diffusion.train(load_json(diffusion.TrainDiffusion, sys.argv[2]), Path(sys.argv[3]))\n"
    )
    training = replace(TRAINING, steps=8, save_every=4, devices=2)
    quantizer = replace(tiny.QUANTIZER, stage_dropout=0.5)  # the ranks must agree on it
    first = tokenizer_config(store, training=training)
    first = replace(first, model=replace(first.model, quantizer=quantizer))
    second = TrainDiffusion(store, tokenizers, {"made up": 1.0}, tiny.DENOISER, training)
    for name, config in (("tokenizer", first), ("diffusion", second)):
        configs.save_json(config, tmp_path / f"{name}.json")
        command = [sys.executable, str(script), name, str(tmp_path / f"{name}.json"), str(tmp_path / name)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr[-2000:]
        assert run.stdout.count(f"{name}: step 8/8") == 1
    assert load_file(tmp_path / "tokenizer" / "tokenizer.safetensors")
    assert load_file(tmp_path / "diffusion" / "denoiser.safetensors")


@pytest.mark.parametrize("change", [{"steps": 0}, {"batch_size": 0}, {"accelerator": "abacus"}, {"precision": "8-odd"}])
def test_impossible_trainings_are_refused(store, tmp_path, change):
    with pytest.raises(ConfigError):
        tokenizer.train(tokenizer_config(store, training=replace(TRAINING, **change)), tmp_path)


def test_a_denoiser_is_told_the_captions_of_its_clips(store, tokenizers, tmp_path, monkeypatch):
    """Of mirrored clips the mirrored ones; what has no speech is not heard, what has no caption gets no style."""

    def clip(name, has, captions):
        info = ClipInfo(name, "train", "told", "none", 160, has, captions)
        poses = np.full((160, 55, 3), 0.1)
        return StoredClip(info, poses, np.tile([0.1, 1.3, 0], (160, 1)), np.zeros((160, 52)), np.ones((160, 68)))

    kinds = [("silent", ("upper",), ("left arm up",)), ("talk", ("upper", "speech"), ()), ("neither", ("upper",), ())]
    write_store(tmp_path / "store", [clip(*kind) for kind in kinds])
    torch.manual_seed(0)
    encoder = SentenceEncoder(SentenceConfig(buckets=64, width=8, depth=1, heads=2, style_dim=6)).eval()
    monkeypatch.setattr(diffusion.distil, "load", lambda run: encoder)
    told = []
    condition = Denoiser.condition

    def listen(self, audio, words, seed, style=None, has_audio=None, has_style=None):
        told.extend(zip(style, has_style.tolist(), has_audio.tolist(), strict=True))
        return condition(self, audio, words, seed, style, has_audio, has_style)

    monkeypatch.setattr(Denoiser, "condition", listen)
    model, training = replace(tiny.DENOISER, style_dim=6), replace(TRAINING, steps=20)
    settings = {"sentences": tmp_path, "style_dropout": 0.2, "audio_dropout": 0.0}
    diffusion.train(
        TrainDiffusion(tmp_path / "store", tokenizers, {"told": 1.0}, model, training, **settings), tmp_path / "run"
    )
    with torch.inference_mode():
        styles = torch.cat([encoder(["left arm up", "right arm up"]).style, torch.zeros(1, 6)])
    counts = {}
    for style, has_style, has_audio in told:
        nearest = int((styles - style).norm(dim=1).argmin())
        torch.testing.assert_close(style, styles[nearest])
        counts[nearest, has_style, has_audio] = counts.get((nearest, has_style, has_audio), 0) + 1
    # Silent clips, as they are and mirrored, with a caption or none for the moment; and the one that talks.
    assert set(counts) == {(0, True, False), (0, False, False), (1, True, False), (1, False, False), (2, False, True)}
    assert counts[0, True, False] > counts[0, False, False]


def test_text_and_style_belong_together(store, tokenizers):
    with pytest.raises(ConfigError, match="`sentences`"):
        TrainDiffusion(store, tokenizers, {"made up": 1.0}, replace(tiny.DENOISER, style_dim=6), TRAINING)


def test_the_pelvis_weighs_more_in_the_parts_that_have_it(store):
    weights = tokenizer.channel_weights(replace(tokenizer_config(store, "lower_trans"), pelvis_weight=5.0))
    assert weights[:6].tolist() == [5.0] * 6
    assert weights[6:-3].tolist() == [1.0] * (len(weights) - 9)
    assert weights[-3:].tolist() == [5.0] * 3
    assert set(tokenizer.channel_weights(replace(tokenizer_config(store), pelvis_weight=5.0)).tolist()) == {1.0}
