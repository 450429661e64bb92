import json
from dataclasses import replace

import numpy as np
import parity
import published_mambatalk
import pytest
import torch

from cospeech import Motion, Speech, cli, load_pipeline, rotation, skeleton, wav2vec2
from cospeech import checkpoint as checkpoints
from cospeech.errors import CheckpointError, ConfigError, CospeechWarning, MissingExtra, PromptError
from cospeech.models import mambatalk
from cospeech.models.mambatalk import PARTS, MambaTalkConfig
from cospeech.pipeline import MambaTalkPipeline
from cospeech.prompts import Prompt
from cospeech.quirks import MAMBATALK
from cospeech.recipes import plain_mambatalk as plain
from cospeech.released.mambatalk import import_mambatalk
from cospeech.text import UNKNOWN, Word, word_indices
from cospeech.wav2vec2 import Recogniser

SHORT_SEED = pytest.mark.filterwarnings("ignore:The seed motion lasts:cospeech.errors.CospeechWarning")
NO_WORDS = pytest.mark.filterwarnings(r"ignore:vocab\.pkl:cospeech.errors.CospeechWarning")


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        published_mambatalk.make_small(patch)
        yield
    published_mambatalk.released._kinds.cache_clear()


@pytest.fixture(scope="module")
def states():
    return published_mambatalk.states()


@pytest.fixture(scope="module")
def files(states, tmp_path_factory):
    """Everything that was released, as it was, and a model that hears."""
    folder = tmp_path_factory.mktemp("released")
    published_mambatalk.write(folder / "pretrained", states)
    published_mambatalk.write_recogniser(folder / "wav2vec2-base-960h")
    (folder / "vocab.pkl").write_bytes((parity.FIXTURES / "vocab_small.pkl").read_bytes())
    return folder


@pytest.fixture(scope="module")
def imported(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("imported") / "mambatalk"
    return out, import_mambatalk([files], out)


@pytest.fixture(scope="module")
def pipelines(imported):
    return {quirks: load_pipeline(imported[0], quirks=quirks) for quirks in ("model", "none")}


@pytest.fixture(scope="module")
def talk():
    """Nine seconds and a bit, at a rate that is resampled."""
    rng = np.random.default_rng(3)
    loud = np.repeat(rng.uniform(0, 0.3, 93), 2400)
    samples = (loud * rng.standard_normal(len(loud))).astype(np.float32)
    words = [Word("the", 0.2, 1.0), Word("", 1.0, 1.5), Word("of", 1.5, 3.0), Word("unheard", 3.0, 4.0)]
    return Speech(samples, 24_000, tuple(words))


@pytest.fixture(scope="module")
def moving():
    """Eight seconds of somebody who turns all joints and walks."""
    rng = np.random.default_rng(4)
    poses = rng.normal(0, 0.3, (1, 55, 3)) + rng.normal(0, 0.02, (240, 55, 3)).cumsum(axis=0)
    translation = np.array([[1.0, 1.3, -2.0]]) + rng.normal(0, 0.01, (240, 3)).cumsum(axis=0)
    return Motion(poses.astype(np.float32), translation.astype(np.float32), 30, betas=np.full(300, 0.1, np.float32))


def published(states, pipeline, speech, seed, speaker=1, num_frames=None):
    """What the published procedure makes of a recording: sound and words as it hears them, all at once."""
    hearing = pipeline.hear(speech, pipeline.num_frames(speech))
    wave = hearing.sound.normalised(0, len(hearing.sound.samples))
    characters = []
    for i, character in enumerate(hearing.characters):
        begin, end = (n * len(wave) // len(hearing.characters) for n in (i, i + 1))
        characters += [character] * (end - begin)
    audio = np.stack([plain_amplitude(hearing.sound.samples), characters, wave], axis=1).astype(np.float32)
    num_frames = num_frames or int(speech.duration_s) * 30
    words = torch.from_numpy(word_indices(speech.words, num_frames, 30, pipeline.vocabulary))
    return plain.generate(states, torch.from_numpy(audio), words, speaker, seed)


def plain_amplitude(samples):
    ahead = [np.abs(samples[i : i + 1024]).max() for i in range(len(samples) - 1023)]
    return np.array(ahead + [ahead[-1]] * 1023)


def same(motion, body):
    matrices = [rotation.axis_angle_to_matrix(each.poses) for each in (motion, body)]
    np.testing.assert_allclose(*matrices, atol=1e-4)
    np.testing.assert_allclose(motion.translation, body.translation, atol=1e-4)
    np.testing.assert_allclose(motion.expressions, body.expressions, atol=1e-4)


@torch.inference_mode()
def test_speech_and_words_become_the_published_motion(pipelines, states, talk):
    pipeline = pipelines["model"]
    body = published(states, pipeline, talk, pipeline.statistics["rest"])
    motion = pipeline.generate(talk)
    assert len(motion) == len(body.poses) == 244
    assert all(len(np.unique(codes)) > 2 for codes in body.codes.values())
    same(motion, body)


@SHORT_SEED
@torch.inference_mode()
def test_a_seed_motion_is_told_as_published(pipelines, states, talk, moving):
    pipeline = pipelines["model"]
    seed = torch.zeros(4, 337)
    seed[:, :330] = torch.from_numpy(rotation.axis_angle_to_rotation_6d(moving.poses[:4])).flatten(1)
    seed[:, 330:333] = torch.tensor(moving.translation[:4])
    seed[:, 333:] = pipeline.encode_seed(moving)[:, 333:]
    torch.testing.assert_close(pipeline.encode_seed(moving), seed)
    motion = pipeline.generate(talk, seed_motion=moving)
    same(motion, published(states, pipeline, talk, seed, num_frames=240))
    assert len(motion) == 184  # no longer than the seed motion, in whole windows
    np.testing.assert_array_equal(motion.betas, moving.betas)
    assert motion.translation[0, 0] == moving.translation[0, 0]


@torch.inference_mode()
def test_speakers_have_their_rows(pipelines, states, talk):
    pipeline = pipelines["model"]
    for speaker, row in ((1, 0), (25, 24), (30, 7), (28, 13), (27, 18)):
        body = published(states, pipeline, talk.cut(0, 5), pipeline.statistics["rest"], row)
        same(pipeline.generate(talk.cut(0, 5), speaker=speaker), body)
    for nobody in (0, -1, 26, 31):
        with pytest.raises(ConfigError, match="speaker"):
            pipeline.generate(talk, speaker=nobody)


@SHORT_SEED
@pytest.mark.parametrize("quirk", MAMBATALK)
def test_every_quirk_is_a_switch(imported, talk, moving, quirk):
    checkpoint = checkpoints.load(imported[0])
    kept = tuple(name for name in MAMBATALK if name != quirk)
    without = MambaTalkPipeline(replace(checkpoint, config=replace(checkpoint.config, quirks=kept)))
    lengths = {"whole-windows": 240, "seed-length": 244}
    assert len(without.generate(talk, seed_motion=moving)) == lengths.get(quirk, 184)
    if quirk not in lengths:  # a second window hears something else, or is told something else
        seen = []
        for pipeline in (load_pipeline(imported[0]), without):
            hearing = pipeline.hear(talk, 244)
            codes = next(pipeline.choose_windows(hearing, 2))
            told, _ = pipeline._continued(codes, torch.zeros(3))
            decoded = pipeline.decode(codes, 64)
            seen.append((hearing.window(60).audio, told, torch.tensor(decoded.translation)))
        assert not all(torch.equal(*each) for each in zip(*seen, strict=True))


def test_without_forgetting_a_window_is_told_where_it_is_and_how_the_jaw_stands(pipelines, talk):
    told = {}
    for name, pipeline in pipelines.items():
        hearing = pipeline.hear(talk, 124)
        codes = next(pipeline.choose_windows(hearing, 2))
        told[name] = pipeline._continued(codes, torch.tensor([5.0, 0, -3]))
    jaw = slice(6 * skeleton.JAW, 6 * skeleton.JAW + 6)
    identity = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(4, -1)
    torch.testing.assert_close(told["model"][0][:, jaw], identity)
    assert not torch.allclose(told["none"][0][:, jaw], identity, atol=1e-3)
    assert told["model"][1].tolist() == [5, 0, -3]
    torch.testing.assert_close(told["none"][1], told["none"][0][0, 330:333])  # the next window begins with these


@pytest.mark.parametrize("seconds", [0.05, 0.1, 2.0, 4.0, 5.3])
def test_without_quirks_motion_is_as_long_as_the_speech(pipelines, talk, seconds):
    speech = talk.cut(0, seconds)
    motion = pipelines["none"].generate(speech)
    assert len(motion) == max(1, round(speech.duration_s * 30))
    assert np.isfinite(motion.poses).all()
    assert np.isfinite(motion.expressions).all()
    assert motion.metadata["quirks"] == "none"


def test_silence_becomes_motion_too(pipelines):
    for pipeline in pipelines.values():
        motion = pipeline.generate(Speech(np.zeros(16_000, np.float32), 16_000))
        assert len(motion) == 30
        assert np.isfinite(motion.poses).all()


def test_words_matter_and_their_lack_is_said(files, pipelines, talk, tmp_path):
    silent = Speech(talk.samples, talk.rate)
    said, unsaid = (pipelines["model"].generate(speech) for speech in (talk, silent))
    assert not np.allclose(said.poses, unsaid.poses, atol=1e-3)
    with pytest.warns(CospeechWarning, match=r"vocab\.pkl"):
        import_mambatalk([files / "pretrained", files / "wav2vec2-base-960h"], tmp_path / "out")
    with pytest.warns(CospeechWarning, match="does not know any word"):
        unknown = load_pipeline(tmp_path / "out").generate(talk)
    np.testing.assert_array_equal(unknown.poses, unsaid.poses)


def test_the_window_hears_what_stands_at_its_place(pipelines, talk):
    quirky, exact = (pipelines[name].hear(talk, 200) for name in ("model", "none"))
    for hearing, first in ((quirky, 60 * 533), (exact, 32_000)):
        heard = hearing.window(60)
        assert heard.audio.shape == (1, 34_112, 3)
        assert heard.words.shape == (1, 64)
        np.testing.assert_array_equal(heard.audio[0, :, 2], hearing.sound.normalised(first, first + 34_112))
        assert set(heard.audio[0, :, 1].unique().tolist()) <= set(range(32))
    beyond = exact.window(264)  # nine seconds and 0.3
    assert not beyond.audio[0, -16_000:].any()
    assert (beyond.words[0, -20:] == UNKNOWN).all()


def test_the_same_motion_twice_and_whatever_the_seed(pipelines, talk):
    a, b = (pipelines["model"].generate(talk, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(a.poses, b.poses)


def test_half_precision_gives_about_the_same(imported, pipelines, talk):
    half = load_pipeline(imported[0], precision="bf16")
    codes = []
    for pipeline in (pipelines["model"], half):
        hearing = pipeline.hear(talk, 244)
        windows = list(pipeline.choose_windows(hearing, 4))
        codes.append({part: torch.cat([window[part] for window in windows], dim=1) for part in PARTS})
    for part in PARTS:
        assert (codes[0][part] == codes[1][part]).float().mean() > 0.9  # a small network decides narrowly


def test_what_it_does_not_have_is_refused(pipelines, talk, moving):
    generate = pipelines["model"].generate
    with pytest.raises(PromptError, match="follows speech only"):
        generate(talk, upper="waves")
    with pytest.raises(PromptError, match="follows speech only"):
        generate(talk, timeline=[Prompt("waves", "upper", 0, 1)])
    with pytest.raises(ConfigError, match="no diffusion"):
        generate(talk, steps=5)
    with pytest.raises(ConfigError, match="no diffusion"):
        generate(talk, sampler="ddim")
    with pytest.raises(ConfigError, match="3 frames at 30 fps, 4 are needed"):
        generate(talk, seed_motion=moving[0:0.1])
    with pytest.raises(ConfigError, match="no face to give"):
        pipelines["model"].add_face(moving, talk)


def test_the_command_line_imports_and_generates(files, talk, tmp_path, capsys):
    import soundfile

    pretrained, hears = str(files / "pretrained"), str(files / "wav2vec2-base-960h")
    vocabulary = str(files / "vocab.pkl")
    out = tmp_path / "mambatalk"
    assert cli.main(["import", "mambatalk", pretrained, vocabulary, "--wav2vec2", hears, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for role in ("network", *PARTS, "translation", "wav2vec2"):
        assert f"{role}: " in printed
    assert "licence not stated" in printed
    assert "not stated" in (out / "CARD.md").read_text()
    soundfile.write(tmp_path / "talk.wav", talk.samples, talk.rate)
    options = ["--model", str(out), "--speaker", "2", "--quirks", "none"]
    assert cli.main(["generate", str(tmp_path / "talk.wav"), str(tmp_path / "talk.npz"), *options]) == 0
    with np.load(tmp_path / "talk.npz") as arrays:
        assert arrays["poses"].shape == (279, 165)
        assert arrays["expressions"].any()
    assert cli.main(["import", "syntalker", pretrained, "--wav2vec2", hears, "--out", str(tmp_path / "x")]) == 2
    assert cli.main(["import", "mambatalk", pretrained, "--system", "S", "--out", str(tmp_path / "x")]) == 2


def test_the_checkpoint_is_whole(imported, talk, tmp_path):
    """It needs nothing that lay beside the released files."""
    directory, _ = imported
    names = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert {"wav2vec2/config.json", "wav2vec2/model.safetensors", "vocabulary.json"} <= names
    (directory / "wav2vec2" / "model.safetensors").rename(tmp_path / "away")
    try:
        with pytest.raises(CheckpointError, match=r"model\.safetensors: missing"):
            load_pipeline(directory).generate(talk)
    finally:
        (tmp_path / "away").rename(directory / "wav2vec2" / "model.safetensors")


def test_licensed_bodies_are_left_alone(files, tmp_path):
    body = files / "SMPLX_NEUTRAL_2020.npz"
    body.write_bytes(b"secret")
    try:
        unused = import_mambatalk([files], tmp_path / "out").unused
    finally:
        body.unlink()
    assert any("SMPLX_NEUTRAL_2020.npz: a licensed body" in line for line in unused)
    assert not list((tmp_path / "out").rglob("SMPLX*"))


@NO_WORDS
def test_two_imports_of_the_same_files_have_the_same_sums(files, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "wav2vec2"
    published_mambatalk.write_recogniser(folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["wav2vec2.masked_spec_embed"]  # as the released file, which lacks it
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    checks = []
    for name in "ab":
        torch.manual_seed(ord(name))
        checks.append(import_mambatalk([files / "pretrained", folder], tmp_path / name).checks)
    assert checks[0] == checks[1]
    modes = {path.stat().st_mode for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert len(modes) == 1  # whoever may read one file may read all


def test_a_wrong_speaker_is_refused_before_anything_is_heard(pipelines, talk, monkeypatch):
    monkeypatch.setattr(Recogniser, "characters", lambda *_: pytest.fail("it has been heard"))
    with pytest.raises(ConfigError, match="speaker"):
        pipelines["model"].generate(talk, speaker=99)


def test_networks_belong_to_one_pipeline(imported):
    checkpoint = checkpoints.load(imported[0])
    MambaTalkPipeline(checkpoint)
    with pytest.raises(ConfigError, match="load it again"):
        MambaTalkPipeline(checkpoint)


@NO_WORDS
@pytest.mark.parametrize("role", ["network", *PARTS, "translation"])
def test_a_missing_file_is_named(states, files, tmp_path, role):
    published_mambatalk.write(tmp_path / "in", {name: state for name, state in states.items() if name != role})
    name = "mambatalk_100.bin" if role == "network" else published_mambatalk.released.FILES[role]
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        import_mambatalk([tmp_path / "in", files / "wav2vec2-base-960h"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@NO_WORDS
def test_missing_foreign_and_misshapen_tensors_are_named(states, files, tmp_path):
    first = {name: tensor for name, tensor in states["network"].items() if name != "local_scan.body_proj.bias"}
    changes = {
        "missing: local_scan.body_proj.bias": {"network": first},
        "unknown: more": {"network": {**states["network"], "more": torch.zeros(1)}},
        r"encoder.main.0.bias \(31,\) instead of \(32,\)": {
            "upper": {**states["upper"], "encoder.main.0.bias": torch.zeros(31)}
        },
        "NaN": {"hands": {**states["hands"], "encoder.main.0.bias": torch.full((32,), torch.nan)}},
    }
    for i, (problem, change) in enumerate(changes.items()):
        published_mambatalk.write(tmp_path / str(i), {**states, **change})
        with pytest.raises(CheckpointError, match=problem):
            import_mambatalk([tmp_path / str(i), files / "wav2vec2-base-960h"], tmp_path / "out")


@NO_WORDS
def test_a_model_that_hears_is_needed_and_must_be_the_right_one(files, tmp_path):
    weights = files / "pretrained"
    with pytest.raises(CheckpointError, match="facebook/wav2vec2-base-960h"):
        import_mambatalk([weights], tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"no such folder.*facebook/wav2vec2-base-960h.*starters need none"):
        import_mambatalk([weights], tmp_path / "out", str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match=r"no such folder.*facebook/wav2vec2-base-960h.*starters need none"):
        Recogniser.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no model"):
        Recogniser.load(tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    with pytest.raises(CheckpointError, match="of the kind hubert"):
        Recogniser.load(tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        Recogniser.load(tmp_path / "empty")
    published_mambatalk.write_recogniser(tmp_path / "letters", num_characters=40)
    with pytest.raises(CheckpointError, match="of 40 characters"):
        import_mambatalk([weights, tmp_path / "letters"], tmp_path / "out")
    published_mambatalk.write_recogniser(tmp_path / "order")
    rows = {character: 31 - row for row, character in enumerate(wav2vec2.CHARACTERS)}
    (tmp_path / "order" / "vocab.json").write_text(json.dumps(rows))
    with pytest.raises(CheckpointError, match="other characters"):
        import_mambatalk([weights, tmp_path / "order"], tmp_path / "out")
    published_mambatalk.write_recogniser(tmp_path / "cut")
    data = (tmp_path / "cut" / "model.safetensors").read_bytes()
    (tmp_path / "cut" / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        import_mambatalk([weights, tmp_path / "cut"], tmp_path / "out")


def test_without_transformers_the_extra_is_named(files, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"cospeech\[mambatalk\]"):
        Recogniser.load(files / "wav2vec2-base-960h")


@pytest.mark.parametrize("num_samples", [0, 1, 399, 400, 720, 16_000, 400_000])
@torch.inference_mode()
def test_characters_are_those_of_the_whole_model(files, num_samples):
    recogniser = Recogniser.load(files / "wav2vec2-base-960h")
    samples = np.random.default_rng(num_samples).standard_normal(num_samples).astype(np.float32)
    found = recogniser.characters(samples)
    whole = torch.from_numpy(np.pad(samples, (0, max(0, 400 - num_samples))))
    np.testing.assert_array_equal(found, recogniser.model(whole[None]).logits[0].argmax(dim=-1))


@torch.inference_mode()
def test_long_recordings_are_heard_in_pieces_and_hear_the_same(tmp_path, monkeypatch):
    published_mambatalk.write_recogniser(tmp_path, positions=128)  # as published: more than a second each way
    recogniser = Recogniser.load(tmp_path)
    samples = np.random.default_rng(0).standard_normal(16_000 * 130).astype(np.float32)
    whole = recogniser.model(torch.from_numpy(samples)[None]).logits[0].argmax(dim=-1).numpy()
    found = recogniser.characters(samples)
    assert len(found) == len(whole)
    assert (found == whole).mean() >= 0.999
    assert len(np.unique(whole)) > 5
    monkeypatch.setattr(wav2vec2, "_CONTEXT", 0)
    assert (recogniser.characters(samples) == whole).mean() < 0.999


@pytest.mark.slow
@torch.inference_mode()
def test_at_its_published_size_it_is_the_published_network():
    config = MambaTalkConfig()
    state = parity.weights(mambatalk.published_shapes(config))
    model = mambatalk.MambaTalk(config).eval().requires_grad_(False)
    model.load_state_dict(mambatalk.rename_published(state, config))
    audio = parity.inputs("audio", (1, 34112, 3)) * torch.tensor([0.1, 10.0, 1.0])
    words, known = torch.arange(64)[None], parity.inputs("motion", (4, 337), 0.5)
    latents, logits = plain.window(state, audio[0], words[0], 1, known)
    motion, hidden = torch.zeros(1, 64, 337), torch.ones(1, 64, 337, dtype=torch.bool)
    motion[0, :4], hidden[:, :4] = known, False
    for freeze in (False, True):
        if freeze:
            mambatalk.freeze(model)
        chosen = model(audio, words, torch.tensor([1]), motion, hidden)
        for part in PARTS:
            torch.testing.assert_close(chosen.latents[part][0], latents[part], atol=1e-4, rtol=0)
            torch.testing.assert_close(chosen.logits[part][0], logits[part], atol=1e-4, rtol=0)
