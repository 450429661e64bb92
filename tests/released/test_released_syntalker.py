"""Released SynTalker: from its files, a recording and its words to the published poses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import parity
import published_syntalker as released
import pytest
import soundfile
import torch
from conftest import speech_like

from cospeech import Motion, Speech, cli, humanml3d, load_motion, positions, rotation, skeleton, waveform
from cospeech import checkpoint as checkpoints
from cospeech.body import joint_positions, mannequin
from cospeech.errors import CheckpointError, ConfigError, CospeechWarning, PromptError
from cospeech.pipeline import SynTalkerPipeline, load_pipeline
from cospeech.prompts import Prompt
from cospeech.recipes import plain_syntalker as plain
from cospeech.released.syntalker import import_syntalker
from cospeech.text import Word, read_words

PARTS_T = ("upper", "hands", "lower")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Both systems, as they are when everything was downloaded."""
    folder = tmp_path_factory.mktemp("SynTalker")
    for name in (*released.S, *released.T, "rvqvae_lower", *released.TMR):
        released.write(folder, name)
    released.write_arrays(folder / "mean_std")
    released.write_word_pieces(folder / "distilbert-base-uncased")
    (folder / "weights").mkdir()
    shutil.copy(parity.FIXTURES / "vocab_small.pkl", folder / "weights" / "vocab.pkl")
    (folder / "SMPLX_NEUTRAL_2020.npz").write_bytes(b"licensed")
    return folder


@pytest.fixture(scope="module")
def imported(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("imported")
    return {system: (out / system, import_syntalker([files], out / system, system)) for system in ("S", "T")}


@pytest.fixture(scope="module")
def pipelines(imported):
    return {system: load_pipeline(directory) for system, (directory, _) in imported.items()}


@pytest.fixture(scope="module")
def talk():
    """Nine seconds and a bit: two windows, a remainder, and words that end before the sound does."""
    samples = librosa.resample(speech_like(9.3), orig_sr=16_000, target_sr=44_100)
    return Speech(samples, 44_100, read_words(parity.FIXTURES / "sample.TextGrid"))


@pytest.fixture(scope="module")
def seed_motion():
    rng = np.random.default_rng(3)
    wave = np.sin(np.arange(300)[:, None, None] / 20 + rng.uniform(0, 6, (55, 3)))
    translation = np.array([1.0, 1.3, -2.0]) + 0.02 * np.cumsum(rng.standard_normal((300, 3)), axis=0)
    expressions = rng.standard_normal((300, 100))
    return Motion(0.2 * wave, translation, 30, expressions=expressions, betas=rng.standard_normal(300))


def published_hearing(talk: Speech, num_frames: int) -> tuple[np.ndarray, list[int]]:
    """(N, 2) amplitude and onsets, and a row of the word table for every frame, by librosa and loops."""
    x = librosa.resample(
        librosa.resample(talk.samples, orig_sr=44_100, target_sr=22_050), orig_sr=22_050, target_sr=16_000
    )
    heard = np.zeros((len(x), 2))
    windows = np.lib.stride_tricks.sliding_window_view(np.abs(x), 1024)
    heard[: len(windows), 0] = windows.max(axis=1)
    heard[len(windows) :, 0] = heard[len(windows) - 1, 0]
    heard[librosa.onset.onset_detect(y=x, sr=16_000), 1] = 1  # frames, taken for samples
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<sos>", "<eos>", "<unk>"])} | parity_vocabulary()
    rows = []
    for frame in range(num_frames):
        said = [w for w in talk.words if w.start_s <= frame / 30 <= w.end_s]
        rows.append(0 if said and said[0].text == " " else vocabulary.get(said[0].text, 3) if said else 3)
    return heard, rows


def parity_vocabulary() -> dict[str, int]:
    return json.loads((parity.FIXTURES / "vocabulary_small.json").read_text())


def noise_of(seed: int):
    """What the published code draws for a seed: channels first."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(1, 1536, 1, 32, generator=generator)[0, :, 0].T


@torch.inference_mode()
def published_sample(states, talk, num_windows, scale, parts, noise, first_seed, styles=None, steps=2):
    heard, words = published_hearing(talk, num_windows * 112 + 16)
    denoiser = {key.removeprefix("module."): value for key, value in states["denoiser"].items()}
    seed, latents = first_seed, []
    for i in range(num_windows):
        audio = torch.from_numpy(heard[i * 59_696 : i * 59_696 + 68_224]).float()
        rows = torch.tensor(words[i * 112 : i * 112 + 128])
        sample = plain.ddim(plain.guided(denoiser, styles or {}, seed, audio, rows), noise, steps)
        latents.append(sample if i == 0 else sample[4:])
        seed = sample[-4:]
    latents = scale * torch.cat(latents)
    return {part: plain.decode(states[part], each) for part, each in zip(parts, latents.chunk(3, dim=1), strict=True)}


def test_system_s_gives_the_published_poses(files, pipelines, talk, seed_motion):
    parts = ("upper", "hands", "lower_trans")
    states = {part: released.state(f"rvqvae_{part}") for part in parts} | {
        "denoiser": released.state("denoiser_cospeech")
    }
    mean, std = (np.load(files / "mean_std" / f"beatx_2_330_{kind}.npy") for kind in ("mean", "std"))
    trans_mean, trans_std = (np.load(files / "mean_std" / f"beatx_2_trans_{kind}.npy") for kind in ("mean", "std"))
    rotations = rotation.axis_angle_to_rotation_6d(seed_motion.poses).reshape(-1, 330)
    step = np.diff(seed_motion.translation, axis=0, prepend=0)
    step[0], step[:, 1] = step[1], seed_motion.translation[:, 1]
    whole = np.concatenate([(rotations - mean) / std, (step - trans_mean) / trans_std], axis=1)
    columns = {
        "upper": [6 * j + k for j in (3, 6, 9, *range(12, 22)) for k in range(6)],
        "hands": list(range(150, 330)),
        "lower_trans": [6 * j + k for j in (0, 1, 2, 4, 5, 7, 8, 10, 11) for k in range(6)] + [330, 331, 332],
    }
    with torch.inference_mode():
        encoded = [plain.encode(states[part], torch.from_numpy(whole[:, columns[part]]).float())[:4] for part in parts]
    vectors = published_sample(states, talk, 2, 5, parts, noise_of(7), torch.cat(encoded, dim=1) / 5)
    vectors = {part: vector.numpy() for part, vector in vectors.items()}
    for part in parts:
        of_part = [c for c in columns[part] if c < 330]
        vectors[part][:, : len(of_part)] = vectors[part][:, : len(of_part)] * std[of_part] + mean[of_part]
    translation = vectors["lower_trans"][:, 54:] * trans_std + trans_mean
    translation[:, [0, 2]] = np.cumsum(translation[:, [0, 2]], axis=0)

    motion = pipelines["S"].generate(talk, seed=7, seed_motion=seed_motion, steps=2)

    assert len(motion) == 2 * 112 + 16 == 240
    for part in parts:
        joints = [c // 6 for c in columns[part][::6] if c < 330]
        expected = rotation.rotation_6d_to_matrix(vectors[part][:, : 6 * len(joints)].reshape(240, -1, 6))
        found = rotation.axis_angle_to_matrix(motion.poses[:, joints])
        np.testing.assert_allclose(found, expected, atol=parity.TOLERANCE)
    np.testing.assert_allclose(motion.translation, translation, atol=parity.TOLERANCE)
    np.testing.assert_array_equal(motion.poses[:, skeleton.JAW], seed_motion.poses[:240, skeleton.JAW])
    np.testing.assert_array_equal(motion.expressions, seed_motion.expressions[:240])


def test_system_t_gives_the_published_joints(files, pipelines, talk):
    states = {part: released.state(f"h3d_rvqvae_{part}") for part in PARTS_T}
    states["denoiser"] = released.state("denoiser_h3d")
    mean, std = (np.load(files / "mean_std" / f"beatx_1-30_amass_h3d_{kind}.npy") for kind in ("mean", "std"))
    styles = {0: parity.inputs("upper", (256,)), 1: parity.inputs("hands", (256,))}
    pipeline = pipelines["T"]
    clip = 0.3 * parity.inputs("clip", (300, 623)).numpy()
    normal = torch.from_numpy((clip - mean) / std).float()
    still = torch.zeros(128, 623)  # the mean pose
    with torch.inference_mode():
        encoded = {
            name: torch.cat([plain.encode(states[part], vectors[:, humanml3d.PARTS[part]]) for part in PARTS_T], dim=1)
            for name, vectors in (("clip", normal), ("still", still))
        }
    for given, seed_motion, num_windows in (({}, clip, 2), (styles, None, 1)):
        cut = talk if num_windows == 2 else talk.cut(0, 5.0)
        seed = encoded["still"][14:18] / 10 if seed_motion is None else encoded["clip"][:4] / 10
        parts = published_sample(states, cut, num_windows, 10, PARTS_T, noise_of(1), seed, given)
        whole = humanml3d.join({part: vector.numpy() for part, vector in parts.items()}) * std + mean
        by_name = {PARTS_T[part]: style.numpy() for part, style in given.items()}
        joints = pipeline.generate_joints(cut, styles=by_name, seed=1, steps=2, seed_motion=seed_motion)
        assert joints.shape == (num_windows * 112 + 16, 52, 3)
        np.testing.assert_allclose(joints, humanml3d.joint_positions(whole), atol=2e-4)


def test_system_t_takes_any_motion_as_its_seed_and_gives_rotations(pipelines, talk, seed_motion):
    pipeline, cut = pipelines["T"], talk.cut(0, 5.0)
    joints = joint_positions(mannequin(), seed_motion.poses, seed_motion.translation)[:, positions.JOINTS]
    vectors = humanml3d.features(humanml3d.placed(joints))
    torch.testing.assert_close(pipeline.encode_seed(seed_motion), pipeline.encode_seed(vectors), atol=1e-4, rtol=0)
    settings = {"seed": 1, "steps": 1, "seed_motion": seed_motion}
    motion, joints = pipeline.generate(cut, **settings), pipeline.generate_joints(cut, **settings)
    assert len(motion) == len(joints) == 128
    poses, _ = positions.to_poses(joints, mannequin().joints)
    np.testing.assert_allclose(motion.poses, poses, atol=1e-5)


# --- text -------------------------------------------------------------------------------------------------------


def test_a_prompt_is_the_style_of_its_sentence(imported, pipelines, talk):
    pipeline, cut = pipelines["T"], talk.cut(0, 5.0)
    text = "Raises the right hand"
    encoder = imported["T"][1].checkpoint.text_encoder
    pieces = ["[CLS]", "raises", "the", "right", "hand", "[SEP]"]
    rows = [imported["T"][1].checkpoint.word_pieces.index(piece) for piece in pieces]
    with torch.inference_mode():
        style = encoder(torch.tensor([rows])).mean[0].numpy()
    settings = {"seed": 1, "steps": 2}
    by_style = pipeline.generate_joints(cut, styles={"upper": style, "lower": style}, **settings)
    prompts = [Prompt(text, "upper"), Prompt(text, "lower")]
    np.testing.assert_allclose(pipeline.generate_joints(cut, prompts=prompts, **settings), by_style, atol=1e-5)
    nothing = pipeline.generate_joints(cut, **settings)
    assert np.abs(by_style - nothing).max() > 0.01
    for none in ([], [Prompt(text, "upper", strength=0)]):
        np.testing.assert_allclose(pipeline.generate_joints(cut, prompts=none, **settings), nothing, atol=1e-5)
    prompted, free = (pipeline.generate(cut, upper=words, **settings).poses for words in (text, ""))
    assert np.abs(prompted - free).max() > 0.01


def test_a_prompt_acts_while_it_lasts(pipelines, talk):
    """In the window after it is over, one prediction a step is enough again."""
    pipeline = pipelines["T"]
    follow = pipeline._following(talk, [Prompt("wave", "hands", 1.0, 3.0)])
    assert [len(follow(first).mix) for first in (0, 112)] == [3, 1]
    weights = follow(0).mix[0, :, 512]  # of the speech, in the hands
    assert weights[:6].tolist() == [1] * 6
    assert weights[12:20].abs().max() == 0
    assert weights[-6:].tolist() == [1] * 6


def test_text_that_cannot_be_read_is_said(pipelines, talk, files, tmp_path):
    with pytest.raises(PromptError, match="follows speech only"):
        pipelines["S"].generate(talk, upper="waves")
    with pytest.raises(PromptError, match="unknown part"):
        pipelines["T"].generate(talk, timeline=[Prompt("waves", "head")])
    without = [path for path in files.iterdir() if path.name != "distilbert-base-uncased"]
    with pytest.warns(CospeechWarning, match=r"vocab\.txt"):
        import_syntalker(without, tmp_path / "T", "T")
    with pytest.raises(CheckpointError, match=r"Import it again with that file"):
        load_pipeline(tmp_path / "T").generate(talk, upper="waves")
    released.write_word_pieces(tmp_path / "short")
    lines = (tmp_path / "short" / "vocab.txt").read_text().splitlines()
    (tmp_path / "short" / "vocab.txt").write_text("\n".join(lines[:-1]))
    with pytest.raises(CheckpointError, match="is not the vocabulary of the text encoder"):
        import_syntalker([*without, tmp_path / "short"], tmp_path / "other", "T")
    released.write_word_pieces(tmp_path / "whole")
    import_syntalker(without, tmp_path / "told", "T", distilbert=str(tmp_path / "whole"))
    assert load_pipeline(tmp_path / "told").generate(talk, upper="waves", steps=1)
    with pytest.raises(CheckpointError, match="missing from the folder of DistilBERT"):
        import_syntalker(without, tmp_path / "again", "T", distilbert=str(tmp_path))


# --- quirks -----------------------------------------------------------------------------------------------------


def test_without_quirks_the_motion_is_as_long_as_the_speech(imported, talk, seed_motion):
    pipeline = load_pipeline(imported["S"][0], quirks="none")
    motion = pipeline.generate(talk, seed_motion=seed_motion, steps=1)
    assert len(motion) == round(9.3 * 30)
    assert motion.translation[0, [0, 2]].tolist() == [0, 0]
    assert not motion.expressions.any()


@pytest.mark.parametrize("duration_s", [0.05, 1.0, 4.2, 4.9])
def test_speech_shorter_than_a_window_is_padded_and_the_motion_exactly_as_long(pipelines, talk, duration_s):
    assert len(pipelines["S"].generate(talk.cut(0, duration_s), steps=1)) == max(1, round(duration_s * 30))


@pytest.mark.parametrize(
    ("quirk", "without"),
    [
        ("double-resampling", lambda p, talk, seed: p.hear(talk, 240).sound.samples),
        ("onset-positions", lambda p, talk, seed: p.hear(talk, 240).window(0).audio[0, :, 1]),
        ("audio-step-533", lambda p, talk, seed: p.hear(talk, 240).window(112).audio[0, :, 0]),
        ("whole-windows", lambda p, talk, seed: p.num_frames(talk)),
        ("seed-length", lambda p, talk, seed: p.num_frames(talk.cut(0, 9.3), seed[:6.0])),
        ("first-step", lambda p, talk, seed: p.decode(torch.ones(1, 32, 1536), 128).translation),
        ("seed-face", lambda p, talk, seed: p.generate(talk.cut(0, 1), seed_motion=seed, steps=1).expressions),
        ("loose-seams", lambda p, talk, seed: list(p.sample_windows(p.hear(talk, 240), 2, 0, 2))[1]),
    ],
)
@pytest.mark.filterwarnings("ignore::cospeech.errors.CospeechWarning")
def test_each_quirk_is_a_switch(imported, talk, seed_motion, quirk, without):
    """Without it, and with all others, the model hears or gives something else."""
    checkpoint = imported["S"][1].checkpoint
    others = tuple(name for name in checkpoint.config.quirks if name != quirk)
    assert len(others) < len(checkpoint.config.quirks)
    there, gone = (
        SynTalkerPipeline(replace(checkpoint, config=replace(checkpoint.config, quirks=kept)))
        for kept in (checkpoint.config.quirks, others)
    )
    a, b = (np.asarray(without(pipeline, talk, seed_motion)) for pipeline in (there, gone))
    assert a.shape != b.shape or np.abs(a - b).max() > 1e-6


def test_a_short_seed_motion_ends_the_motion_and_says_so(pipelines, talk, seed_motion):
    with pytest.warns(CospeechWarning, match="quirks none"):
        motion = pipelines["S"].generate(talk, seed_motion=seed_motion[:6.5], steps=1)
    assert len(motion) == 128


def test_a_seed_motion_must_be_long_enough(pipelines, talk, seed_motion):
    with pytest.raises(ConfigError, match="16 are needed"):
        pipelines["S"].encode_seed(seed_motion[:0.5])


def test_words_matter_and_their_lack_is_said(files, pipelines, talk, tmp_path):
    silent = Speech(talk.samples, talk.rate)
    said, unsaid = (pipelines["S"].generate(speech, steps=1).poses for speech in (talk, silent))
    assert not np.allclose(said, unsaid, atol=1e-3)
    with pytest.warns(CospeechWarning, match=r"vocab\.pkl"):
        import_syntalker([files / "ckpt", files / "mean_std"], tmp_path / "S", "S")
    with pytest.warns(CospeechWarning, match="does not know any word"):
        unknown = load_pipeline(tmp_path / "S").generate(talk, steps=1).poses
    np.testing.assert_array_equal(unknown, unsaid)


def test_audio_steps_of_533_samples_and_exact_ones(imported, talk):
    quirky, exact = (load_pipeline(imported["S"][0], quirks=kept).hear(talk, 400) for kept in ("model", "none"))
    amplitude = waveform.amplitude(quirky.sound.samples)
    np.testing.assert_array_equal(quirky.window(112).audio[0, :100, 0], amplitude[59_696:59_796])
    np.testing.assert_array_equal(exact.window(112).audio[0, :100, 0], amplitude[59_733:59_833])


def test_the_amplitude_of_a_window_is_that_of_the_whole_recording(pipelines, talk):
    hearing = pipelines["S"].hear(talk, 400)
    whole = np.pad(waveform.amplitude(hearing.sound.samples), (0, 100_000))
    for start in (0, 112, 224, 270, 278, 279, 300):
        first = start * 533
        np.testing.assert_array_equal(hearing.window(start).audio[0, :, 0], whole[first : first + 68_224])


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ([Word("the", 0, 99)], [5] * 6),  # longer than the sound
        ([Word("the", 0, 0.05), Word("", 0.05, 0.08)], [5, 5, 4, 3, 3, 3]),  # shorter: unknown, as published
        ([Word("the", 0, 0.1), Word("of", 0.05, 0.2)], [5, 5, 5, 5, 10, 10]),  # overlapping: the earlier counts
        ([Word("The", 0, 1)], [3] * 6),  # not in the vocabulary
        ([], [3] * 6),
    ],
)
def test_words_that_do_not_fit_the_sound(pipelines, talk, words, rows):
    hearing = pipelines["S"].hear(Speech(talk.samples[:8820], talk.rate, words), 6)
    assert hearing.window(0).words[0, :6].tolist() == rows


def test_styles_come_from_motions_normalised_twice_or_once(pipelines, imported):
    """Twice are those of BEAT2."""
    motion = parity.inputs("motion", (64, 623)).numpy()
    pipeline, state = pipelines["T"], imported["T"][1].checkpoint
    mean, std = (np.empty(623, np.float32) for _ in range(2))
    for part, columns in humanml3d.PARTS.items():
        mean[columns], std[columns] = state.statistics[f"{part}.mean"], state.statistics[f"{part}.std"]
    once = (motion - mean) / std
    twice = (once - mean) / std
    for corpus, vectors in (("amass", once), ("beat2", twice)):
        with torch.inference_mode():
            expected = pipeline.motion_encoder(torch.from_numpy(vectors)[None]).mean[0]
        np.testing.assert_allclose(pipeline.style_of(motion, corpus), expected, atol=1e-5)
    for wrong in (motion[:, :622], motion[0], np.full_like(motion, np.nan)):
        with pytest.raises(ConfigError, match="623"):
            pipeline.style_of(wrong)
    with pytest.raises(ConfigError, match="amass or beat2"):
        pipeline.style_of(motion, "kit")


@torch.inference_mode()
def test_bfloat16_stays_close(imported, talk):
    """With codebooks that shrink from stage to stage, as trained ones do: then a late code that flips turns little."""
    exact, half = (load_pipeline(imported["S"][0], precision=p) for p in ("float32", "bf16"))
    for pipeline in (exact, half):
        for tokenizer in pipeline.tokenizers.values():
            tokenizer.quantizer.codebooks *= 0.5 ** torch.arange(6)[:, None, None]
    hearing = exact.hear(talk, 240)
    a, b = (torch.cat(list(p.sample_windows(hearing, 2, 0, 50)), dim=1) for p in (exact, half))
    assert 0 < (a - b).norm() / a.norm() < 0.02
    same = []
    for i, tokenizer in enumerate(exact.tokenizers.values()):
        first = [tokenizer.quantizer.encode(latents[..., 512 * i : 512 * (i + 1)])[..., 0] for latents in (a, b)]
        same.append((first[0] == first[1]).float().mean())
    assert sum(same) / 3 >= 0.98
    turns = [rotation.axis_angle_to_matrix(p.decode(latents, 240).poses) for p, latents in ((exact, a), (half, b))]
    cosine = (np.einsum("tjab,tjab->tj", *turns) - 1) / 2
    assert np.median(np.degrees(np.arccos(np.clip(cosine, -1, 1)))) < 0.5


def test_what_fits_another_system_is_refused(pipelines, talk):
    with pytest.raises(ConfigError, match="gives rotations"):
        pipelines["S"].generate_joints(talk)
    for styles in ({"upper": np.zeros(255)}, {"head": np.zeros(256)}, {"upper": np.full(256, np.nan)}):
        with pytest.raises(PromptError, match="256 numbers"):
            pipelines["T"].generate_joints(talk, styles=styles)


# --- import -----------------------------------------------------------------------------------------------------


def test_every_file_is_named_and_nothing_licensed_is_copied(imported, files):
    _, done = imported["T"]
    assert {piece.role for piece in done.pieces} >= {"denoiser", "upper", "hands", "lower", "text_encoder"}
    assert done.checkpoint.config.licence == "not stated"
    assert "Licence: not stated" in done.checkpoint.card
    assert any("SMPLX_NEUTRAL_2020.npz" in line and "left alone" in line for line in done.unused)
    for directory, _ in imported.values():
        assert not [path for path in directory.iterdir() if "SMPLX" in path.name]


def test_an_imported_checkpoint_is_loaded_as_it_was_imported(imported):
    directory, done = imported["T"]
    loaded = checkpoints.load(directory)
    assert loaded.config == done.checkpoint.config
    assert loaded.vocabulary == done.checkpoint.vocabulary
    for name, tensor in done.checkpoint.networks.state_dict().items():
        if name.rpartition(".")[2] not in ("sums", "counts", "initialised"):
            assert torch.equal(loaded.networks.state_dict()[name], tensor), name
    text = checkpoints.load_text_encoder(directory)
    pieces = torch.tensor([[101, 2000, 102]])
    with torch.inference_mode():
        assert torch.equal(text(pieces).mean, done.checkpoint.text_encoder(pieces).mean)


def test_both_systems_need_a_choice_and_none_is_said(files, tmp_path):
    with pytest.raises(CheckpointError, match="--system S"):
        import_syntalker([files], tmp_path / "out")
    with pytest.raises(CheckpointError, match="No denoiser"):
        import_syntalker([files / "mean_std"], tmp_path / "out")
    with pytest.raises(CheckpointError, match="no such file"):
        import_syntalker([tmp_path / "nowhere"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("not to be touched")
    with pytest.raises(CheckpointError, match="other files than a checkpoint's"):
        import_syntalker([files], tmp_path / "letters", "S")
    (tmp_path / "letters" / "config.json").write_text("{}")  # of another program
    with pytest.raises(CheckpointError, match="other files than a checkpoint's"):
        import_syntalker([files], tmp_path / "letters", "S")
    for target in (tmp_path / "letters" / "mine.txt" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(CheckpointError, match="no checkpoint can be written"):
            import_syntalker([files], target, "S")


@pytest.fixture
def half(tmp_path):
    """System S, to be damaged."""
    for name in released.S:
        released.write(tmp_path / "S", name)
    released.write_arrays(tmp_path / "S" / "mean_std")
    return tmp_path / "S"


@pytest.mark.filterwarnings("ignore::cospeech.errors.CospeechWarning")
def test_what_does_not_fit_is_one_line_and_leaves_nothing(half, tmp_path):
    upper = half / "ckpt/beatx2_rvqvae/RVQVAE_upper/net_300000.pth"
    denoiser = half / "ckpt/beatx2_cospeech_diffusion/last_500.bin"
    array = half / "mean_std/beatx_2_330_std.npy"
    whole = {path: path.read_bytes() for path in (upper, denoiser, array)}

    def refused(match: str) -> None:
        with pytest.raises(CheckpointError, match=match) as refusal:
            import_syntalker([half], tmp_path / "out")
        assert "\n" not in str(refusal.value)
        assert not (tmp_path / "out").exists()
        for path, content in whole.items():
            path.write_bytes(content)

    upper.unlink()
    refused("these are missing: the RVQ-VAE of upper")
    upper.write_bytes(whole[upper][:100_000])
    refused("net_300000.pth: damaged")
    flipped = bytearray(whole[upper])
    flipped[len(flipped) // 2] ^= 1
    upper.write_bytes(flipped)
    refused(r"net_300000\.pth: damaged: the checksum of .* Download it again")
    torch.save({"net": {"weight": torch.zeros(3)}}, upper)
    refused("no network of SynTalker")
    no_codebook = {k: v for k, v in released.state("rvqvae_upper").items() if k != "quantizer.layers.0.codebook"}
    torch.save({"net": no_codebook}, upper)
    refused(r"net_300000\.pth: .*missing: quantizer\.layers\.0\.codebook")
    flat = released.state("rvqvae_upper") | {"encoder.model.0.weight": torch.zeros(3)}
    torch.save({"net": flat}, upper)
    refused(r"encoder\.model\.0\.weight \(3,\) instead of")
    torch.save({"net": released.state("rvqvae_upper"), "optimizer": {}}, upper)
    refused("is not a tensor")
    upper.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    refused("refused")
    state = released.state("denoiser_cospeech")
    torch.save({"model_state": {k: v for k, v in state.items() if "embed_text.bias" not in k}}, denoiser)
    refused(r"last_500\.bin: .*missing: embed_text\.bias")
    for broken, says in (
        (torch.full((512,), torch.nan), "`embed_text.bias` contains NaN"),
        (torch.zeros(512, dtype=torch.complex64), "no plain tensor"),
        (torch.zeros(512).to_sparse(), "no plain tensor"),
        (torch.zeros(1).expand(512), r"claims \(512,\) numbers"),
        (torch.zeros(512, device="meta"), "no plain tensor"),
    ):
        torch.save({"model_state": state | {"module.embed_text.bias": broken}}, denoiser)
        refused(rf"last_500\.bin: .*{says}")
    torch.save({"model_state": state | {"embed_text.bias": torch.zeros(512)}}, denoiser)
    refused("both `embed_text.bias` and `module.embed_text.bias`")
    torch.save({"model_state": {k: v[:3] if "text_pre" in k else v for k, v in state.items()}}, denoiser)
    refused("the table of words, is missing or misshapen")
    torch.save({"model_state": state | {"module.extra": torch.zeros(1)}}, denoiser)
    refused("unknown: extra")
    torch.save({"model_state": state | {"module.embed_text.bias": torch.zeros(3)}}, denoiser)
    refused(r"embed_text\.bias \(3,\) instead of \(512,\)")
    np.save(array, np.ones(623, np.float32))
    refused(r"must hold 330 numbers")
    np.save(array, np.zeros(330, np.float32))
    refused("positive")
    np.save(array, np.full(330, 1e-60))
    refused("positive")
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(117) + "\n"
    array.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(100))
    refused("cannot be read")
    array.write_bytes(b"PK\x03\x04" + bytes(100))
    refused("cannot be read")
    np.save(array, np.array([{}], dtype=object), allow_pickle=True)
    refused("cannot be read")
    other = half / "copy/net_300000.pth"
    other.parent.mkdir()
    other.write_bytes(whole[upper])
    refused("Several files could be the upper")
    other.unlink()
    shutil.copy(parity.FIXTURES / "vocab_small.pkl", half / "vocab.pkl")
    torch.save({"model_state": {k: v[:20] if "text_pre" in k else v for k, v in state.items()}}, denoiser)
    refused("do not belong together")


@pytest.mark.filterwarnings("ignore::cospeech.errors.CospeechWarning")
def test_folders_are_searched_through_links_and_no_file_counts_twice(half, tmp_path, monkeypatch):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "deep").symlink_to(half)
    (tmp_path / "linked" / "back").symlink_to(tmp_path / "linked")
    monkeypatch.chdir(tmp_path)
    for paths in ([tmp_path / "linked"], [half, Path("S"), half / "ckpt"]):
        done = import_syntalker(paths, tmp_path / "out")
        assert len(done.pieces) == 8
    assert load_pipeline(tmp_path / "out").config.name == "syntalker-s"  # and a checkpoint may be replaced


def test_a_damaged_file_is_not_taken_for_an_absent_one(half, tmp_path):
    (half / "motion_epoch=299.ckpt").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(CheckpointError, match=r"motion_epoch=299\.ckpt: damaged"):
        import_syntalker([half], tmp_path / "out")


@pytest.mark.filterwarnings("ignore::cospeech.errors.CospeechWarning")
def test_the_self_check_sees_every_tensor(half, tmp_path):
    name = "ckpt/beatx2_rvqvae/RVQVAE_hands/net_300000.pth"
    first = import_syntalker([half], tmp_path / "first").checks
    state = released.state("rvqvae_hands")
    state["quantizer.layers.5.codebook"][511, 511] += 1e-3  # a code that the fixed pass does not use
    torch.save({"net": state}, half / name)
    second = import_syntalker([half], tmp_path / "second").checks
    assert first["hands"].sum != second["hands"].sum
    assert first["hands"].passes == pytest.approx(second["hands"].passes)
    assert {part: check.sum for part, check in first.items() if part != "hands"} == {
        part: check.sum for part, check in second.items() if part != "hands"
    }
    never_read = 64 * 6 + 64  # embed_style
    assert first["denoiser"].parameters == 29_607_012 - never_read - (11_195 - released.NUM_WORDS) * 300


@pytest.mark.filterwarnings("ignore::cospeech.errors.CospeechWarning")
def test_with_and_without_the_prefix_of_data_parallel(half, tmp_path):
    import_syntalker([half], tmp_path / "with")
    bare = {key.removeprefix("module."): value for key, value in released.state("denoiser_cospeech").items()}
    released.write(half, "denoiser_cospeech", bare)
    import_syntalker([half], tmp_path / "without")
    name = checkpoints.WEIGHTS
    assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()


# --- command line -----------------------------------------------------------------------------------------------


def test_from_published_files_to_motion_by_commands(files, talk, tmp_path, capsys):
    wav, grid = tmp_path / "talk.wav", parity.FIXTURES / "sample.TextGrid"
    soundfile.write(wav, talk.samples, talk.rate)
    assert cli.main(["import", "syntalker", str(files), "--system", "S", "--out", str(tmp_path / "S")]) == 0
    printed = capsys.readouterr().out
    for word in ("last_500.bin", "denoiser", "lower_trans", "222", "vocab.pkl", "licence not stated", "not used"):
        assert word in printed
    again = tmp_path / "again"
    assert cli.main(["import", "syntalker", str(files), "--system", "S", "--out", str(again)]) == 0
    passes = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("denoiser ")]
    assert passes[0] in printed  # the fixed pass is the same each time
    model = ["--model", str(tmp_path / "S"), "--steps", "1"]
    out = tmp_path / "talk.npz"
    assert cli.main(["generate", str(wav), str(out), *model, "--words", str(grid)]) == 0
    assert "length 8.00 s, 240 frames" in capsys.readouterr().out
    assert load_motion(out).metadata["licence"] == "not stated"
    assert "no finish" in load_motion(out).metadata["sampler"]
    for quirks, num_frames in (("model", 240), ("none", 279)):
        with_face = ["--face", "starter", "--quirks", quirks, "--finish", "on"]
        assert cli.main(["generate", str(wav), str(out), *model, *with_face]) == 0
        assert len(load_motion(out)) == num_frames
        assert load_motion(out).face.max() > 0.1


def test_positions_of_joints_by_command(imported, talk, tmp_path, capsys):
    wav, out = tmp_path / "talk.wav", tmp_path / "talk.npy"
    soundfile.write(wav, talk.samples[: 2 * talk.rate], talk.rate)
    model = ["--model", str(imported["T"][0]), "--steps", "1"]
    assert cli.main(["generate", str(wav), str(out), *model]) == 0
    assert np.load(out).shape == (60, 52, 3)
    out.unlink()
    for wrong, says in (
        (["generate", str(wav), str(out), *model, "--finish", "on"], "holds just these"),
        (["generate", str(wav), str(out), *model, "--face", "starter"], "keeps no face"),
        (["generate", str(wav), str(out), *model, "--camera", "face"], "has no use for `camera`"),
        (["generate", str(wav), str(out), *model, "--timeline", "[{"], "not JSON"),
        (["generate", str(wav), str(out), *model, "--timeline", '[{"text": "waves", "start": 9}]'], "begins at 9 s"),
    ):
        capsys.readouterr()
        assert cli.main(wrong) == 2
        assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.np*"))
