"""SynTalker trained with the published settings, made small, from a store of a few made-up clips to a checkpoint."""

import subprocess
import sys
import time

import numpy as np
import pytest
import resuming
import torch
from safetensors.torch import load_file

from cospeech import cli, load_pipeline
from cospeech import config as configs
from cospeech.data.store import Store, write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import CheckpointError, ConfigError, DataError, MissingExtra
from cospeech.models.syntalker import Denoiser
from cospeech.recipes import diffusion, loop, plan, syntalker, vocabulary
from cospeech.recipes.diffusion import TrainDiffusion
from cospeech.recipes.loop import learning_rate
from cospeech.recipes.syntalker import MakeSynTalker, diffusion_config, tokenizer_config
from cospeech.skeleton import REST_TRANSLATION
from cospeech.speech import Speech
from cospeech.text import PAD, UNKNOWN, Word

ON_CPU = ("training.accelerator=cpu", "training.save_every=2")
SMALL = (
    *(f"{network}.{setting}" for network in ("tokenizer", "diffusion") for setting in ON_CPU),
    *(f"tokenizer.{s}" for s in ("training.steps=3", "training.batch_size=4", "model.width=8", "model.depth=1")),
    *(f"tokenizer.model.quantizer.{s}" for s in ("code_dim=4", "num_codes=8", "num_stages=2")),
    *(f"diffusion.{s}" for s in ("training.steps=3", "training.batch_size=4", "model.width=16", "model.depth=1")),
    *(f"diffusion.model.{s}" for s in ("code_dim=4", "heads=2", "mlp_width=16", "rotary_groups=2", "speech_width=8")),
    *("diffusion.model.audio.width=8", "diffusion.model.words.width=4"),
)


def talk(number: int, num_frames: int = 170) -> StoredClip:
    rng = np.random.default_rng(number)
    loud = np.sin(np.arange(num_frames) / 6 + number)
    poses = np.zeros((num_frames, 55, 3))
    poses[:, 16:22, 2] = 0.5 * loud[:, None]
    poses[:, 25:, 2] = 0.2 * loud[:, None]
    words = (Word("hello", 0.5, 1.0), Word("", 1.0, 1.4), Word("World", 1.4, 2.5))
    has = ("upper", "hands", "lower", "speech")
    info = ClipInfo(f"talk {number}", "train", "beat2", "a licence", num_frames, has, words=words)
    samples = (0.1 * np.repeat(loud, 534) * rng.normal(size=534 * num_frames)).astype(np.float32)
    still = np.zeros((num_frames, 52)), np.zeros((num_frames, 68))
    return StoredClip(info, poses, np.tile(REST_TRANSLATION, (num_frames, 1)), *still, samples[: num_frames * 533])


def walk(number: int) -> StoredClip:
    clip = talk(number, 150)
    info = ClipInfo(
        f"walk {number}", "train", "amass", "another", 150, ("upper", "hands", "lower"), ("a person walks",)
    )
    return StoredClip(info, clip.poses, clip.translation, clip.face, clip.speech)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "store"
    write_store(path, [talk(0), walk(1), talk(2), walk(3), talk(4)])
    return path


@pytest.fixture(scope="module")
def words(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    (folder / "cc.vec").write_text("3 4\nhello 1 2 3 4\nnobody 0 0 0 0\nworld 5 6 7 8\n")
    vocabulary.make(store, folder / "cc.vec", out=folder / "made")
    return folder / "made"


def test_a_store_keeps_recordings_and_words(store):
    first, walks, *_ = Store(store).clips("train")
    there = talk(0)
    np.testing.assert_allclose(first.samples, there.samples, atol=1 / 32767)
    assert first.info.words == there.info.words
    assert len(walks.samples) == 0
    third = next(clip for clip in Store(store).clips("train") if clip.info.id == "talk 2")
    np.testing.assert_allclose(third.samples, talk(2).samples, atol=1 / 32767)


def test_words_of_a_store_get_rows_and_vectors(store, words, tmp_path):
    rows, vectors = vocabulary.load(words)
    assert rows == {"": PAD, "World": UNKNOWN + 1, "hello": UNKNOWN + 2}
    torch.testing.assert_close(vectors[rows["hello"]], torch.tensor([1.0, 2, 3, 4]))
    torch.testing.assert_close(vectors[rows["World"]], torch.tensor([5.0, 6, 7, 8]))  # the file has small letters only
    alone = vocabulary.make(store, out=tmp_path / "alone", width=8, least=3)
    assert alone.vectors.shape == (6, 8)
    (tmp_path / "bad.vec").write_text("1 4\nhello 1 2 3\n")
    with pytest.raises(DataError, match="'hello' is not 4 numbers"):
        vocabulary.make(store, tmp_path / "bad.vec", out=tmp_path / "bad")
    with pytest.raises(DataError, match="has words"):
        vocabulary.make(store, out=tmp_path / "none", least=99)


def test_published_settings(store, words):
    upper = tokenizer_config("S", "upper", store)
    assert (upper.training.steps, upper.training.batch_size, upper.training.lr) == (300_000, 256, 2e-4)
    assert upper.sources == {"beat2": 1.0}
    assert set(tokenizer_config("T", "lower", store).sources) == {"beat2", "amass"}
    rates = [learning_rate(upper.training, step) for step in (0, 999, 199_999, 200_000, 299_999)]
    assert rates == pytest.approx([0.001, 1, 1, 0.05, 0.05])
    s = diffusion_config("S", store, {}, words)
    # 170 frames have three windows of 128 every 20; an epoch of 9 is less than a batch of 40, and counts as one.
    assert s.training.steps == 500
    assert s.sources == {"beat2": 1.0}
    assert [learning_rate(s.training, step) for step in (0, 499)] == [1.0, 1.0]
    smaller = diffusion_config("S", store, {}, words, settings=["training.batch_size=2", "training.devices=2"])
    assert smaller.training.steps == 500 * (9 // 4)
    assert diffusion_config("S", store, {}, words, settings=["training.steps=7"]).training.steps == 7


def test_the_mix_is_two_to_one_and_an_epoch_counts_both(store, words, tmr_run):
    few = ["training.batch_size=2"]
    config = diffusion_config("T", store, {}, words, tmr_run, use_amass=True, settings=few)
    assert config.training.steps == 600 * ((3 * 3 + 2 * 2) // 2)
    sources = ["beat2", "amass without speech"]
    assert diffusion._shares(config, sources) == pytest.approx(dict(zip(sources, (2 / 3, 1 / 3), strict=True)))
    rates = [
        learning_rate(config.training, step) for step in (0, config.training.steps // 3, config.training.steps - 1)
    ]
    assert rates == pytest.approx([1, 0.1, 0.01])
    alone = diffusion_config("T", store, {}, words, tmr_run, settings=few)
    assert alone.training.steps == 600 * (9 // 2)
    assert alone.sources == {"beat2": 1.0}


def test_what_does_not_fit_together_is_said_before_anything_is_trained(store, words, tmr_run, tmp_path, monkeypatch):
    monkeypatch.setattr(syntalker.loop, "train_together", lambda *_: pytest.fail("training has begun"))

    def make(settings=(), system="S", space=None, amass=False, out="run", store=store):
        return syntalker.make(MakeSynTalker(store, tmp_path / out, system, words, space, amass, (*SMALL, *settings)))

    for setting, message in [
        ("tokenizer.model.downsamplings=3", "frames_per_step 8, the denoiser needs 4"),
        ("tokenizer.model.quantizer.code_dim=8", "code_dim 8, the denoiser needs 4"),
        ('diffusion.quirks=["nonsense"]', "Unknown quirk"),
        ("diffusion.caption_share=1.0", "`caption_share` is for styles"),
        ("diffusion.weights.uper=3.0", "`uper`"),
        ("diffusion.audio_dropout_under_style=0.5", "with styles"),
        ("diffusion.training.devices=3", "were started|Cannot train"),
    ]:
        if "devices" in setting:
            monkeypatch.setenv("WORLD_SIZE", "2")
        with pytest.raises(ConfigError, match=message):
            make([setting])
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(ConfigError, match="--use-amass is for"):
        make(amass=True)
    (tmp_path / "mine" / "checkpoint").mkdir(parents=True)
    (tmp_path / "mine" / "checkpoint" / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="other files"):
        make(out="mine")
    mute = talk(1)
    write_store(tmp_path / "mute.npz", [StoredClip(mute.info, mute.poses, mute.translation, mute.face, mute.speech)])
    with pytest.raises(DataError, match="without recordings"):
        make(store=tmp_path / "mute.npz")
    write_store(tmp_path / "talk.npz", [talk(1)])
    with pytest.raises(DataError, match="every training clip has speech"):
        make(system="T", space=tmr_run, amass=True, store=tmp_path / "talk.npz")


def test_the_first_error_of_several_trainings_ends_the_others(tmp_path):
    begin = time.monotonic()
    with pytest.raises(MissingExtra, match="nonsense"):
        loop.train_together([(_waits, None, tmp_path), (_fails, None, tmp_path), (_waits, None, tmp_path)], 2)
    assert time.monotonic() - begin < 60


def _waits(*_):
    time.sleep(120)


def _fails(*_):
    raise MissingExtra("nonsense", "train")


@pytest.mark.parametrize("system", ["S", "T"])
def test_from_a_store_to_motion(system, store, words, tmr_run, tmp_path):
    space = tmr_run if system == "T" else None
    settings = (*SMALL, 'diffusion.quirks=["onset-positions"]')
    made = syntalker.make(MakeSynTalker(store, tmp_path / "run", system, words, space, system == "T", settings))
    pipeline = load_pipeline(made)
    assert pipeline.quirks == ("onset-positions",)
    assert "a licence" in pipeline.config.licence
    assert pipeline.vocabulary["hello"] == UNKNOWN + 2
    speech = Speech(talk(9).samples, 16_000, talk(9).info.words)
    prompts = {"upper": "raises the left arm"} if system == "T" else {}
    motion = pipeline.generate(speech, steps=2, **prompts)
    assert len(motion) == speech.num_frames(30)
    assert np.isfinite(motion.poses).all()
    # What is trained already is not trained again.
    before = (tmp_path / "run" / "diffusion" / "denoiser.safetensors").stat().st_mtime_ns
    syntalker.make(MakeSynTalker(store, tmp_path / "run", system, words, space, system == "T", settings))
    assert (tmp_path / "run" / "diffusion" / "denoiser.safetensors").stat().st_mtime_ns == before
    if system == "T":
        pipeline.style_of(np.random.default_rng(0).normal(size=(100, 623)).astype(np.float32))


@pytest.fixture(scope="module")
def tokenizers(store, words, tmr_run, tmp_path_factory):
    """Runs of both systems' tokenizers, and the settings of denoisers over them."""
    found = {}
    for system in ("S", "T"):
        out = tmp_path_factory.mktemp(system)
        runs = {part: out / part for part in syntalker.DENOISERS[system].parts}
        for part, run in runs.items():
            config = configs.changed(tokenizer_config(system, part, store), plan.of_network("tokenizer", SMALL))
            syntalker.tokenizer.train(config, run)
        config = diffusion_config(
            system, store, runs, words, tmr_run if system == "T" else None, use_amass=system == "T"
        )
        found[system] = configs.changed(config, plan.of_network("diffusion", SMALL))
    return found


def test_what_a_denoiser_of_t_is_told(tokenizers, words, tmp_path, monkeypatch):
    """Speech of who speaks, silence and padding for who does not; styles of the motions, three tenths unread."""
    told = []
    condition = Denoiser.condition

    def listen(self, audio, words, seed, style=None, has_audio=None, has_style=None):
        told.extend(zip(audio, words, style, has_audio.tolist(), has_style.tolist(), strict=True))
        return condition(self, audio, words, seed, style, has_audio, has_style)

    monkeypatch.setattr(Denoiser, "condition", listen)
    config = configs.changed(tokenizers["T"], ["training.steps=40"])
    diffusion.train(config, tmp_path / "run")
    assert 0.2 < np.mean([not read for *_, read in told]) < 0.4
    heard = [each for each in told if each[3]]
    assert 0.55 < len(heard) / len(told) < 0.78
    for audio, rows, style, has_audio, _ in told:
        assert style.abs().max() > 0
        assert bool(audio.any()) == has_audio
        if not has_audio:
            assert not rows.any()
    rows = vocabulary.load(words).rows
    assert any((rows["hello"] == w).any() for _, w, *_ in heard)


def test_captions_are_styles_as_often_as_one_likes(tokenizers, store):
    config = configs.changed(tokenizers["T"], ["caption_share=1.0"])
    styles = diffusion.Styles.of(config)
    clips = {clip.info.id: clip for clip in Store(store).clips("train")}
    vectors = torch.stack([styles.vectors(clips[name])[:128] for name in ("talk 0", "walk 1")])
    batch = diffusion.Batch(*[None] * 5, ["", "a person walks"], vectors)
    style, there = styles(batch, np.random.default_rng(0))
    assert there.all()
    torch.testing.assert_close(style[0], styles.space.motion_encoder(vectors[:1]).mean[0])
    assert (style[1] - styles.space.motion_encoder(vectors[1:]).mean[0]).abs().max() > 1e-3
    half = diffusion.Styles.of(configs.changed(tokenizers["T"], ["caption_share=0.5"]))
    drawn = [half(batch, np.random.default_rng(n))[0][1] for n in range(40)]
    by_caption = np.mean([torch.allclose(each, style[1]) for each in drawn])
    assert 0.25 < by_caption < 0.75
    motions = diffusion.Styles.of(tokenizers["T"])(batch, np.random.default_rng(0))[0]
    torch.testing.assert_close(motions, styles.space.motion_encoder(vectors).mean)


@pytest.mark.parametrize("system", ["S", "T"])
def test_a_killed_denoiser_goes_on_bit_exactly(system, tokenizers, tmp_path):
    config = configs.changed(tokenizers[system], ["training.steps=30"])
    resuming.check(diffusion, config, "denoiser.safetensors", tmp_path)


def test_word_vectors_begin_the_table_and_are_learned(tokenizers, words, tmp_path):
    diffusion.train(configs.changed(tokenizers["S"], ["training.steps=1", "training.lr=0.0"]), tmp_path / "still")
    table = load_file(tmp_path / "still" / "denoiser.safetensors")["speech_encoder.word_table.weight"]
    torch.testing.assert_close(table, vocabulary.load(words).vectors)
    diffusion.train(configs.changed(tokenizers["S"], ["training.steps=3", "training.lr=0.01"]), tmp_path / "moves")
    moved = load_file(tmp_path / "moves" / "denoiser.safetensors")["speech_encoder.word_table.weight"]
    assert (moved - table).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["syntalker-s", "STORE", "OUT"], "--vocabulary is missing"),
        (["syntalker-t", "STORE", "OUT", "--vocabulary", "WORDS"], "--tmr"),
        (["syntalker-s", "STORE", "OUT", "--vocabulary", "WORDS", "--tmr", "OUT"], "--tmr"),
        (["syntalker-s", "STORE", "OUT", "--vocabulary", "WORDS", "--set", "steps=3"], "neither"),
        (
            ["syntalker-s", "STORE", "OUT", "--vocabulary", "WORDS", "--set", "tokenizer.steps=3"],
            "unknown setting `steps`",
        ),
        (["syntalker-s", "STORE", "OUT", "--vocabulary", "OUT"], "holds no vocabulary"),
        (["syntalker-s", "STORE", "OUT", "--teacher", "OUT"], "--teacher has no use"),
        (["tokenizer", "syntalker-s/face", "OUT", "--store", "STORE"], "Unknown settings `syntalker-s/face`"),
        (["tokenizer", "syntalker-s/upper", "OUT"], "need --store"),
        (["diffusion", "syntalker-s", "OUT", "--store", "STORE"], "--store goes with"),
        (["tmr", "x.toml", "OUT", "--use-amass"], "--use-amass has no use"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, message, store, words, tmp_path, capsys):
    places = {"STORE": str(store), "OUT": str(tmp_path / "out"), "WORDS": str(words)}
    assert cli.main(["train", *(places.get(each, each) for each in arguments)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_published_tokenizer_by_name(store, tmp_path):
    small = [setting.removeprefix("tokenizer.") for setting in SMALL if setting.startswith("tokenizer.")]
    arguments = ["tokenizer", "syntalker-t/hands", str(tmp_path / "run"), "--store", str(store)]
    assert cli.main(["train", *arguments, *(each for setting in small for each in ("--set", setting))]) == 0
    config = configs.load_json(syntalker.TrainTokenizer, tmp_path / "run" / "config.json")
    assert (config.motion, config.part, config.model.channels) == ("humanml3d", "hands", 360)


def test_settings_of_training_belong_together(store, tokenizers):
    config = configs.to_dict(tokenizers["S"])
    for change in ({"vocabulary": None}, {"tmr": "x"}, {"sentences": "x"}):
        with pytest.raises(ConfigError):
            configs.from_dict(TrainDiffusion, config | change)


@pytest.mark.parametrize("system", ["S", "T"])
def test_two_processes_train_one_denoiser(system, tokenizers, tmp_path):
    """Data-parallel over gloo."""
    config = configs.changed(tokenizers[system], ["training.steps=4", "training.devices=2"])
    configs.save_json(config, tmp_path / "config.json")
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from cospeech.config import load_json\n"
        "from cospeech.recipes.diffusion import TrainDiffusion, train\n"
        "train(load_json(TrainDiffusion, sys.argv[1]), Path(sys.argv[2]))\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "config.json"), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("step 4/4") == 1
    alone = configs.changed(tokenizers[system], ["training.steps=4"])
    diffusion.train(alone, tmp_path / "alone")
    weights = [load_file(tmp_path / run / "denoiser.safetensors") for run in ("run", "alone")]
    assert any(
        (weights[0][name] - weights[1][name]).abs().max() > 1e-6 for name in weights[0]
    )  # of twice as many windows
