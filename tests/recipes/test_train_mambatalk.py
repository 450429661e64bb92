"""MambaTalk trained with the published settings, made small, from a store of a few made-up clips to a checkpoint."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import published_mambatalk
import pytest
import resuming
import torch

from cospeech import cli, features, load_pipeline, rotation, skeleton
from cospeech import config as configs
from cospeech.body import joint_positions, mannequin, skin
from cospeech.data.statistics import read_joint_speed
from cospeech.data.store import Store, write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import CheckpointError, ConfigError, DataError
from cospeech.models.mambatalk import AUTOENCODERS, PARTS, MambaTalk, MambaTalkConfig
from cospeech.recipes import autoencoder, mambatalk, vocabulary
from cospeech.recipes.autoencoder import LOSSES, TrainAutoencoder
from cospeech.recipes.mambatalk import MakeMambaTalk, autoencoder_config, network_config
from cospeech.skeleton import REST_TRANSLATION
from cospeech.speech import Speech
from cospeech.text import Word

ON_CPU = ("training.accelerator=cpu", "training.save_every=2")
SMALL = (
    *(f"{network}.{setting}" for network in ("tokenizer", "network") for setting in ON_CPU),
    *(f"tokenizer.{s}" for s in ("training.steps=3", "training.batch_size=2", "model.width=8", "window_frames=16")),
    *(f"network.{s}" for s in ("training.steps=3", "training.batch_size=2", "model.width=16", "model.depth=1")),
    *(f"network.model.{s}" for s in ("face_depth=1", "audio_width=16", "motion_width=8", "code_dim=8")),
)


def talk(number: int, num_frames: int = 130) -> StoredClip:
    rng = np.random.default_rng(number)
    loud = np.sin(np.arange(num_frames) / 6 + number)
    poses = np.zeros((num_frames, 55, 3))
    poses[:, 16:22, 2] = 0.5 * loud[:, None]
    poses[:, 25:, 2] = 0.2 * loud[:, None]
    poses[:, skeleton.JAW, 0] = 0.1 + 0.1 * loud
    translation = np.tile(REST_TRANSLATION, (num_frames, 1)) + 0.1 * loud[:, None]
    words = (Word("hello", 0.5, 1.0), Word("", 1.0, 1.4), Word("World", 1.4, 2.5))
    has = ("upper", "hands", "lower", "speech")
    info = ClipInfo(f"beat2/{number}_someone", "train", "beat2", "a licence", num_frames, has, words=words)
    samples = (0.1 * np.repeat(loud, 534) * rng.normal(size=534 * num_frames)).astype(np.float32)
    still = np.zeros((num_frames, 52)), np.zeros((num_frames, 68))
    expressions = rng.normal(size=(1, 100)) * loud[:, None]
    return StoredClip(info, poses, translation, *still, samples[: num_frames * 533], expressions)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "store"
    silent = replace(talk(4), samples=np.zeros(0, np.float32), expressions=None)
    silent = replace(silent, info=replace(silent.info, id="walk", has=("upper", "lower"), source="amass"))
    write_store(path, [talk(1), talk(2), silent, talk(30)])
    return path


@pytest.fixture(scope="module")
def words(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    vocabulary.make(store, out=folder, width=6)
    return folder


@pytest.fixture(scope="module")
def hears(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wav2vec2")
    published_mambatalk.write_recogniser(folder)
    return folder


@pytest.fixture(scope="module")
def made(store, words, hears, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    settings = [each for setting in SMALL for each in ("--set", setting)]
    command = ["train", "mambatalk", str(store), str(out), "--vocabulary", str(words), "--wav2vec2", str(hears)]
    assert cli.main([*command, *settings]) == 0
    return out


def test_a_store_keeps_expressions(store):
    clips = list(Store(store).clips("train"))
    assert [clip.info.has_expressions for clip in clips] == [True, True, False, True]
    np.testing.assert_allclose(clips[3].expressions, talk(30).expressions, atol=1e-3)
    assert clips[2].expressions is None
    assert clips[0].mirrored().expressions is None


def test_published_settings(store, words, hears):
    for part in AUTOENCODERS:
        config = autoencoder_config(part, store)
        assert (config.training.batch_size, config.training.lr, config.training.betas) == (64, 1.5e-4, (0.5, 0.999))
        assert config.training.drops == (() if part == "upper" else (0.975,))
        assert config.model == AUTOENCODERS[part]
        assert config.sources == {"beat2": 1.0}
        assert config.training.steps == (500 if part == "upper" else 800)  # epochs of 12 windows: one batch each
    config = network_config(store, {}, words, hears)
    assert (config.training.batch_size, config.training.lr, config.training.clip_norm) == (64, 2.5e-4, 0.99)
    assert config.training.steps == 200
    assert config.model == replace(MambaTalkConfig(), num_words=6, word_dim=6)
    assert autoencoder_config("upper", store, settings=["training.steps=7"]).training.steps == 7


def test_a_trained_model_generates(made):
    pipeline = load_pipeline(made / "checkpoint")
    assert pipeline.quirks == ()
    assert pipeline.config.speaker in (1, 2, 8)  # 30 shares the row of 8; they have spoken as long as each other
    samples = np.random.default_rng(0).normal(size=16_000 * 5).astype(np.float32) * 0.1
    motion = pipeline.generate(Speech(samples, 16_000, (Word("hello", 0.5, 1.0),)))
    assert len(motion) == 150
    assert np.isfinite(motion.poses).all()
    speeds = read_joint_speed(made / "checkpoint" / "statistics.safetensors")
    assert (speeds > 0).any()
    card = (made / "checkpoint" / "CARD.md").read_text()
    assert "a licence" in card
    assert "beat2: 100%" in card


def test_a_finished_training_is_not_done_again(made, store, words, hears):
    before = {
        path: path.stat().st_mtime_ns for path in made.glob("*/*.safetensors") if path.parent.name != "checkpoint"
    }
    mambatalk.make(MakeMambaTalk(store, made, words, hears, settings=SMALL))
    assert before == {path: path.stat().st_mtime_ns for path in before}


def small(store, part, protocol="corrected", steps=3):
    of_part = [s.removeprefix("tokenizer.") for s in SMALL if s.startswith("tokenizer.") and "steps" not in s]
    return autoencoder_config(part, store, protocol, [*of_part, f"training.steps={steps}"])


@pytest.mark.parametrize("protocol", ["corrected", "published"])
@pytest.mark.parametrize("part", AUTOENCODERS)
def test_losses_fall_to_nothing_where_all_is_right(store, part, protocol):
    clip = next(Store(store).clips("train"))
    motion = torch.from_numpy(autoencoder.vectors_of(clip, part))[None]
    made = motion.clone()
    if part == "translation":
        made[..., features.LEGS_MOVE] = autoencoder.speed(motion[..., features.LEGS_MOVE])
    body = mannequin("light")
    right = LOSSES[part](part, made, motion, body, protocol)
    wrong = LOSSES[part](part, made + 0.3 * torch.randn_like(made), motion, body, protocol)
    for name, value in right.items():
        if name == "skating":
            continue  # feet that ought to stand move a little
        # Central differences walk nearly, not quite, where the body went.
        assert value < (0.05 if part == "translation" else 2e-3), name
        assert wrong[name] > value, name


def table(part, made, motion, body, protocol):
    """Sum of the losses of a part, written down once more: weights and terms as published."""
    d = 2 if protocol == "published" else 1

    def l1(a, b, n=0, dim=1):
        return (a.diff(n=n, dim=dim) - b.diff(n=n, dim=dim)).abs().mean()

    def l2(a, b, n=0, dim=1):
        return (a.diff(n=n, dim=dim) - b.diff(n=n, dim=dim)).square().mean()

    def turned(vectors, joints):
        return rotation.rotation_6d_to_matrix(vectors[..., : 6 * len(joints)].reshape(*vectors.shape[:2], -1, 6))

    def angle(a, b):
        trace = torch.einsum("btjxy,btjxy->btj", a, b)
        return ((trace - 1) / 2).clamp(-1 + 1e-6, 1 - 1e-6).acos().mean()

    def body_of(rotations, joints):
        whole = torch.eye(3).repeat(*rotations.shape[:2], 55, 1, 1)
        whole[:, :, list(joints)] = rotations
        return whole

    def skating(joints, contacts):
        steps = torch.zeros(*joints.shape[:2], 4, 3)
        steps[:, :-1] = (joints[:, 1:] - joints[:, :-1])[:, :, [7, 8, 10, 11]].abs()
        return 20 * torch.where((contacts > 0.95)[..., None], steps, 0.0).mean()

    still = torch.zeros(*made.shape[:2], 3)
    if part in ("upper", "hands"):
        joints = skeleton.UPPER if part == "upper" else skeleton.HANDS
        a, b = turned(made, joints), turned(motion, joints)
        u, v = (skin(body, body_of(each, joints), still) for each in (a, b))
        return angle(a, b) + l1(a, b, 1) + l1(a, b, 2) + l2(u, v) + l1(u, v, 1, d) + l1(u, v, 2, d)
    if part == "face":
        a, b = turned(made, [22]), turned(motion, [22])
        x, y = made[..., 6:], motion[..., 6:]
        faces = []
        for jaw, shown in ((a, y), (b, x)) if protocol == "published" else ((a, x), (b, y)):
            face = torch.zeros(*made.shape[:2], 52)
            face[..., skeleton.JAW_OPEN] = torch.atan2(jaw[:, :, 0, 2, 1], jaw[:, :, 0, 1, 1]) / 0.3
            faces.append(skin(body, body_of(jaw, [22]), still, face, shown))
        over = sum(l2(*faces, n, d if n else 1) for n in (0, 1, 2))
        return angle(a, b) + l2(a, b, 1) + l2(a, b, 2) + l2(x, y) + l2(x, y, 1) + l2(x, y, 2) + over
    a, b = turned(made[..., :54], skeleton.LOWER), turned(motion[..., :54], skeleton.LOWER)
    contact = l2(made[..., 57:], motion[..., 57:])
    place = motion[..., 54:57]
    if part == "lower":
        at = still if protocol == "published" else place
        u, v = (joint_positions(body, body_of(each, skeleton.LOWER), at) for each in (a, b))
        return angle(a, b) + l1(a, b, 1) + l1(a, b, 2) + contact + l2(u, v) + skating(u, made[..., 57:])
    wanted, walked = torch.zeros_like(place), made[..., 54:57].clone()
    for t in range(place.shape[1]):
        near = [max(t - 1, 0), min(t + 1, place.shape[1] - 1)]
        wanted[:, t] = (place[:, near[1]] - place[:, near[0]]) * 30 / (near[1] - near[0])
        if t:
            walked[:, t, ::2] = walked[:, t - 1, ::2] + made[:, t - 1, 54:57:2] / 30
        else:
            walked[:, t, ::2] = place[:, 0, ::2]
    total = contact
    for axis in (0, 2):
        speeds = made[..., 54 + axis], wanted[..., axis]
        total = total + l1(*speeds) + 5 * l1(*speeds, 1) + 5 * l1(*speeds, 2)
    total = total + l1(walked, place) + 5 * l1(walked, place, 1) + 5 * l1(walked, place, 2)
    pose = body_of(b, skeleton.LOWER)
    u, v = skin(body, pose, walked), skin(body, pose, place)
    total = total + l2(u, v) + 5 * l2(u, v, 1, d) + 5 * l2(u, v, 2, d)
    return total + skating(joint_positions(body, pose, walked), made[..., 57:])


@pytest.mark.parametrize("protocol", ["corrected", "published"])
@pytest.mark.parametrize("part", AUTOENCODERS)
def test_losses_are_those_of_the_table(store, part, protocol):
    clip = next(Store(store).clips("train"))
    motion = torch.from_numpy(autoencoder.vectors_of(clip, part))[None, :25]
    torch.manual_seed(0)
    made = motion + 0.2 * torch.randn_like(motion)
    body = mannequin("light")
    shapes = 0.01 * np.random.default_rng(0).normal(size=(100, body.vertices.size)).astype(np.float32)
    body = replace(body, expression_shapes=shapes)  # a body that shows expressions
    terms = LOSSES[part](part, made, motion, body, protocol)
    torch.testing.assert_close(torch.stack([*terms.values()]).sum(), table(part, made, motion, body, protocol))


def test_the_network_is_asked_three_times():
    config = MambaTalkConfig(num_words=9, word_dim=4, width=16, audio_width=16, motion_width=8, code_dim=8, num_codes=8)
    config = replace(config, depth=1, face_depth=1, dropout=0.0)
    step = mambatalk._TrainingStep(MambaTalk(config)).eval()
    torch.manual_seed(0)
    codes = {part: torch.randint(8, (2, 64)) for part in PARTS}
    latents = {part: torch.randn(2, 64, 8) for part in PARTS}
    batch = mambatalk.Batch(
        torch.randn(2, 64, 337),
        latents,
        codes,
        torch.randn(2, 34_133, 3),
        torch.randint(9, (2, 64)),
        torch.tensor([0, 24]),
    )
    hidden = mambatalk._hidden(config, batch.motion, 0.5)
    expected = 0
    for i, each in enumerate(hidden):
        chosen = step.network(batch.audio, batch.words, batch.speaker, batch.motion, each)
        for part in PARTS:
            expected = expected + 3 * (chosen.latents[part] - latents[part]).square().mean()
            logs = chosen.logits[part].log_softmax(dim=-1).gather(-1, codes[part][..., None])
            expected = expected - logs.mean() * (0 if part == "face" and i == 0 else 1)
    torch.testing.assert_close(torch.stack([*step(batch, hidden).values()]).sum(), expected)


def test_gradients_reach_everything_that_is_made(store):
    clip = next(Store(store).clips("train"))
    for part in AUTOENCODERS:
        motion = torch.from_numpy(autoencoder.vectors_of(clip, part))[None, :20]
        made = (motion + 0.1 * torch.randn_like(motion)).requires_grad_()
        torch.stack([*LOSSES[part](part, made, motion, mannequin("light"), "corrected").values()]).sum().backward()
        silent = (made.grad == 0).all(dim=(0, 1)).nonzero().flatten().tolist()
        unasked = {"lower": [54, 55, 56], "translation": list(range(54))}  # no loss says anything about these
        assert silent == unasked.get(part, [])


def test_published_and_corrected_losses_differ_where_the_mistakes_are(store):
    clip = next(Store(store).clips("train"))
    body = mannequin("light")
    differ = {}
    for part in AUTOENCODERS:
        motion = torch.from_numpy(autoencoder.vectors_of(clip, part))[None]
        torch.manual_seed(0)
        made = motion + 0.05 * torch.randn_like(motion)
        if part in ("lower", "translation"):
            made[..., features.LEGS_CONTACTS] = 1
        terms = [LOSSES[part](part, made, motion, body, protocol) for protocol in ("published", "corrected")]
        differ[part] = {name for name in terms[0] if not torch.isclose(terms[0][name], terms[1][name])}
    over_skin = {"skin speed", "skin acceleration"}
    assert differ["upper"] == differ["hands"] == differ["translation"] == over_skin
    assert differ["face"] >= over_skin  # the package's body shows no expressions that could be swapped
    assert differ["lower"] == {"skating"}


def test_the_mesh_follows_matrices_as_it_follows_angles():
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 0.5, (1, 7, 55, 3)).astype(np.float32)
    place = rng.normal(size=(1, 7, 3)).astype(np.float32)
    body = mannequin("light")
    matrices = rotation.axis_angle_to_matrix(torch.from_numpy(poses))
    joints = joint_positions(body, matrices, torch.from_numpy(place))
    np.testing.assert_allclose(joints, joint_positions(body, poses, place), atol=1e-5)


def test_speed_and_way_are_inverses():
    place = torch.randn(2, 50, 3).cumsum(dim=1) * 0.01
    speed = autoencoder.speed(place)
    forward = (place[:, 1:] - place[:, :-1]) * 30
    torch.testing.assert_close(speed[:, 1:-1, 0], (forward[:, 1:, 0] + forward[:, :-1, 0]) / 2)
    exact = torch.cat([forward, forward[:, -1:]], dim=1)
    exact[..., 1] = place[..., 1]
    torch.testing.assert_close(autoencoder._walked(exact, place[:, 0]), place, atol=1e-5, rtol=0)
    np.testing.assert_allclose(features.walked(exact[0].numpy(), place[0, 0].numpy()), place[0], atol=1e-5)


def test_what_is_hidden_grows(store):
    model = MambaTalkConfig()
    motion = torch.zeros(20, 64, 337)
    torch.manual_seed(0)
    for done, part in ((0.0, 0.05), (0.5, 0.525), (1.0, 1.0)):
        generating, random, again = mambatalk._hidden(model, motion, done)
        assert not generating[:, :4].any()
        assert generating[:, 4:].all()
        assert random is again
        assert abs(random.float().mean() - part) < 0.01


@pytest.mark.parametrize("part", ["upper", "translation"])
def test_a_killed_autoencoder_goes_on_exactly(store, tmp_path, part):
    resuming.check(autoencoder, small(store, part, steps=40), autoencoder.RESULT, tmp_path)


def test_a_killed_network_goes_on_exactly(made, store, words, hears, tmp_path):
    runs = {part: made / part for part in AUTOENCODERS}
    settings = [s.removeprefix("network.") for s in SMALL if s.startswith("network.") and "steps" not in s]
    config = network_config(store, runs, words, hears, [*settings, "training.steps=25"])
    resuming.check(mambatalk, config, mambatalk.RESULT, tmp_path)


@pytest.mark.parametrize("recipe", ["autoencoder", "mambatalk"])
def test_two_processes_train_one_network(recipe, made, store, words, hears, tmp_path):
    """Data-parallel over gloo; characters are heard by one of them."""
    if recipe == "autoencoder":
        kind, result, config = "TrainAutoencoder", autoencoder.RESULT, small(store, "lower", steps=3)
    else:
        runs = {part: made / part for part in AUTOENCODERS}
        settings = [s.removeprefix("network.") for s in SMALL if s.startswith("network.")]
        kind, result, config = "TrainMambaTalk", mambatalk.RESULT, network_config(store, runs, words, hears, settings)
    configs.save_json(configs.changed(config, ["training.devices=2"]), tmp_path / "config.json")
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from cospeech.config import load_json\n"
        f"from cospeech.recipes.{recipe} import {kind}, train\n"
        f"train(load_json({kind}, sys.argv[1]), Path(sys.argv[2]))\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "config.json"), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("step 3/3") == 1
    assert (tmp_path / "run" / result).is_file()


def test_an_autoencoder_by_its_name(store, tmp_path):
    settings = ["training.steps=2", "training.batch_size=2", "model.width=8", "training.accelerator=cpu"]
    options = [each for setting in settings for each in ("--set", setting)]
    command = ["train", "autoencoder", "mambatalk/lower", str(tmp_path / "run"), *options]
    assert cli.main([*command, "--store", str(store), "--protocol", "published"]) == 0
    assert (tmp_path / "run" / autoencoder.RESULT).is_file()
    assert cli.main(command) == 2  # without a store


def test_mistakes_are_named(made, store, words, hears, tmp_path, capsys):
    assert cli.main(["train", "mambatalk", str(store), str(tmp_path / "x")]) == 2
    assert "--vocabulary is missing" in capsys.readouterr().err
    assert cli.main(["train", "syntalker-s", str(store), str(tmp_path / "x"), "--wav2vec2", str(hears)]) == 2
    assert "--wav2vec2 has no use" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="neither a setting"):
        mambatalk.make(MakeMambaTalk(store, tmp_path, words, hears, settings=("diffusion.training.steps=1",)))
    with pytest.raises(ConfigError, match=r"Unknown settings `mambatalk/legs`"):
        mambatalk.named("mambatalk/legs", store, "corrected")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text((made / "face" / "config.json").read_text())
    with pytest.raises(CheckpointError, match="holds no finished autoencoder"):
        mambatalk.load_autoencoder(tmp_path / "empty")
    mute = tmp_path / "mute.npz"
    write_store(mute, [replace(talk(1), samples=np.zeros(0, np.float32))])
    runs = {part: made / part for part in AUTOENCODERS}
    config = network_config(mute, runs, words, hears, ["training.accelerator=cpu", "training.steps=1"])
    with pytest.raises(DataError, match="without recordings"):
        mambatalk.train(config, tmp_path / "mute")
    faceless = tmp_path / "faceless.npz"
    write_store(faceless, [replace(talk(1), expressions=None)])
    with pytest.raises(DataError, match="part `face`"):
        autoencoder_config("face", faceless)


def test_a_config_survives_json(store):
    from cospeech.config import from_dict, to_dict

    config = small(store, "face")
    assert from_dict(TrainAutoencoder, to_dict(config)) == config
