import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from cospeech import checkpoint, cli, load_motion
from cospeech.data import standing
from cospeech.data.store import write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError, DataError
from cospeech.motion import Motion
from cospeech.recipes import beside, compare, evaluate, report, scores
from cospeech.recipes.evaluate import Evaluate, learned_from
from cospeech.smoothing import smooth

SECONDS = 12


def talk(number, split="test", seconds=SECONDS, **info):
    """Somebody whose wrists move with the loudness of what is heard."""
    rng = np.random.default_rng(number)
    frames = round(seconds * 30)
    loud = smooth(rng.normal(size=frames), 6.0)
    loud = (loud - loud.min()) / np.ptp(loud)
    base = standing.stand(frames, 30, rng)
    poses = base.poses.copy()
    poses[:, [18, 19], 1] += 0.8 * loud[:, None]
    poses[:, 22, 0] = 0.1 * loud
    heard = np.repeat(loud, 534)[: round(seconds * 16_000)] * rng.normal(size=round(seconds * 16_000)) * 0.1
    face = np.zeros((frames, 52), np.float32)
    face[:, 24] = 0.3 * loud
    info = ClipInfo(f"beat2/{number}_a_0_1_1", split, "beat2", "free", frames, ("speech", "upper"), **info)
    speech = rng.normal(size=(frames, 68)).astype(np.float32)
    return StoredClip(info, poses, base.translation, face, speech, heard.astype(np.float32))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "store"
    write_store(path, [talk(1, "train"), talk(2), talk(3), talk(4, seconds=5)], "beat2")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    made = replace(tiny.checkpoint(), card="# tiny\n\nLearned from 3_a_0_1_1.\n")
    checkpoint.save(made, folder, torch.float32)
    return folder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedder") / "embedder"
    torch.manual_seed(0)
    from cospeech.models.embedder import Embedder, EmbedderConfig
    from cospeech.systems import EmbedderModel

    network = Embedder(EmbedderConfig())
    checkpoint.save_embedder(
        checkpoint.StoredEmbedder(EmbedderModel("e", "free", EmbedderConfig()), network, "# e\n"), folder
    )
    return folder


@pytest.fixture(scope="module")
def run(store, model, embedder, tmp_path_factory):
    """One evaluation for all tests that only look."""
    out = tmp_path_factory.mktemp("run") / "out"
    arguments = ["evaluate", str(model), str(store), "--out", str(out), "--embedder", str(embedder), "--workers", "1"]
    assert cli.main(arguments) == 0
    return out


def test_every_system_is_measured_on_every_clip(run):
    content = evaluate.read_report(run)
    assert [(clip["id"], clip["trained_on"]) for clip in content["clips"]] == [
        ("beat2/2_a_0_1_1", False),
        ("beat2/3_a_0_1_1", True),
        ("beat2/4_a_0_1_1", False),
    ]
    assert list(content["systems"]) == list(beside.SYSTEMS)
    for system in content["systems"].values():
        assert len(system["clips"]) == 3
        assert "wrists follow the energy" in system["measures"]
    real, model, shifted = (content["systems"][name]["measures"] for name in ("ground truth", "model", "shifted"))
    assert abs(real["FGD"][0]) < 1e-6 < model["FGD"][0]
    assert {f"FGD, {band} band" for band in ("slow", "middle", "quick")} <= model.keys()
    assert real["wrists follow the energy"][0] > shifted["wrists follow the energy"][0]
    assert content["systems"]["mean pose"]["measures"]["L1 diversity, m"][0] < 1e-3
    assert "blinks a minute" not in real  # of this face only the jaw is known
    assert "wrist jerk, m/s^3" not in shifted  # it is cut
    assert content["protocol"] == "corrected"
    assert not any("Fréchet" in note for note in content["notes"])


def test_what_is_measured_is_what_was_generated(run, store):
    paths = sorted((run / "motions").iterdir())
    assert [path.name for path in paths] == [f"beat2_{n}_a_0_1_1.npz" for n in (2, 3, 4)]
    assert [len(load_motion(path)) for path in paths] == [360, 360, 150]


def test_the_page_has_tables_plots_players_and_marks(run):
    page = (run / "report.html").read_text()
    assert page.count("<svg") > 10
    assert "beat2/3_a_0_1_1*" in page
    assert "named in the model&#x27;s CARD" in page
    for player in set(__import__("re").findall(r'src="(players/[^"]+)"', page)):
        assert (run / player).stat().st_size > 100_000


def test_an_interrupted_run_goes_on_and_other_settings_do_not(run, store, model, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(run / "motions", out / "motions")
    shutil.copy(run / "settings.json", out)
    (out / "motions" / "beat2_3_a_0_1_1.npz").unlink()
    made = []
    monkeypatch.setattr(evaluate, "_generate_one", lambda *a: made.append(a[2].info.id) or generate_one(*a))
    settings = Evaluate(str(model), store, out)
    content = evaluate.run(settings, quiet)
    assert made == ["beat2/3_a_0_1_1"]
    assert any("No Fréchet distances" in note for note in content["notes"])
    with pytest.raises(ConfigError, match="was begun with other settings"):
        evaluate.run(replace(settings, seed=1), quiet)
    with pytest.raises(ConfigError, match="holds other files"):
        evaluate.run(replace(settings, out=tmp_path), quiet)


generate_one = evaluate._generate_one


class quiet:
    def __init__(self, name):
        pass

    def __enter__(self):
        return lambda share: None

    def __exit__(self, *error):
        pass


def test_the_published_protocol_shows_the_model_the_real_beginning_and_keeps_the_real_face(
    store, model, tmp_path, monkeypatch
):
    asked = []
    from cospeech.pipeline import SynTalkerPipeline

    whole = SynTalkerPipeline.generate
    monkeypatch.setattr(
        SynTalkerPipeline,
        "generate",
        lambda self, speech, **how: asked.append(how) or whole(self, speech, **{**how, "sampler": None}),
    )
    content = evaluate.run(Evaluate(str(model), store, tmp_path / "out", "published"), quiet)
    assert {how["sampler"] for how in asked} == {"ddpm"}
    assert all(isinstance(how["seed_motion"], Motion) for how in asked)
    assert content["protocol"] == "published"
    measuring = beside.Measuring(
        store,
        (1,),
        (tmp_path / "out" / "motions" / "beat2_2_a_0_1_1.npz",),
        "published",
        None,
        None,
        np.ones(55),
        np.zeros((55, 3)),
        None,
    )
    clip = measuring.store.clip(1)
    np.testing.assert_array_equal(beside.SYSTEMS["model"](measuring, clip, 0).poses[:, 22], clip.poses[:, 22])


def test_two_processes_measure_the_same(run, store, model, embedder, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(run / "motions", out / "motions")
    shutil.copy(run / "settings.json", out)
    arguments = ["evaluate", str(model), str(store), "--out", str(out), "--embedder", str(embedder), "--workers", "2"]
    assert cli.main(arguments) == 0
    one, two = (evaluate.read_report(folder)["systems"] for folder in (run, out))
    for system in one:
        for name, found in one[system]["measures"].items():
            np.testing.assert_allclose(
                np.array(two[system]["measures"][name], float), np.array(found, float), rtol=1e-3, atol=1e-5
            )


def test_a_store_without_test_clips_says_so(tmp_path, model):
    write_store(tmp_path / "store", [talk(1, "train")])
    with pytest.raises(DataError, match="no clip of its split `test` has a recording"):
        evaluate.run(Evaluate(str(model), tmp_path / "store", tmp_path / "out"), quiet)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("card", "clip", "found"),
    [
        ("takes 2_scott_0_1_1 and others", "beat2/2_scott_0_1_1", True),
        ("takes 2_scott_0_1_10", "beat2/2_scott_0_1_1", False),
        ("takes 12_scott_0_1_1", "beat2/2_scott_0_1_1", False),
        ("beat2/2_scott_0_1_1/train", "beat2/2_scott_0_1_1/test", False),
        ("nothing", "beat2/2_scott_0_1_1", False),
    ],
)
def test_clips_that_a_card_names_are_known(card, clip, found):
    assert learned_from(card, clip) == found


# --- comparing --------------------------------------------------------------------------------------------------------


def changed(run, folder, change):
    shutil.copytree(run, folder)
    content = json.loads((folder / "report.json").read_text())
    change(content)
    (folder / "report.json").write_text(json.dumps(content))
    return folder


def test_a_run_beside_itself_differs_in_nothing(run, tmp_path, capsys):
    same = changed(run, tmp_path / "same", lambda content: None)
    header, *rows = compare.table(run, same)
    assert header[1:3] == (str(run), str(same))
    assert {row[-1] for row in rows} == {"neither, surely"}
    assert {row[4] for row in rows} == {"1.000"}
    assert any(row[0] == "FGD" for row in rows)
    assert cli.main(["compare", str(run), str(same), "--out", str(tmp_path / "table.md")]) == 0
    assert (tmp_path / "table.md").read_text().count("\n") == len(rows) + 2


def test_who_slides_more_on_every_clip_is_worse(run, tmp_path):
    def more(content):
        system = content["systems"]["model"]
        for clip in system["clips"]:
            clip["slide in contact, cm/s"][0] += 5
        system["measures"]["slide in contact, cm/s"][0] += 5

    worse = changed(run, tmp_path / "worse", more)
    row = next(row for row in compare.table(run, worse) if row[0].startswith("slide"))
    assert row[-1] == str(run)
    assert row[3].startswith("+5 [+5, +5]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(protocol="published"), "different protocols"),
        (lambda content: content["clips"].pop(), "different clips"),
        (lambda content: content.update(version=9), "is of version 9"),
    ],
)
def test_what_cannot_be_compared(run, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        compare.table(run, changed(run, tmp_path / "other", change))
    with pytest.raises(DataError, match=r"holds no report\.json"):
        compare.table(run, tmp_path)


def test_every_measure_that_has_a_direction_is_one_that_is_measured(run):
    measured = {name for system in evaluate.read_report(run)["systems"].values() for name in system["measures"]}
    assert set(scores.BETTER) - measured <= {
        "face MSE, m^2",
        "LVD, m",
        "lips open on p, b, m",
        "jaw follows the energy",
    }
    assert report.shown([1.0, None, None]) == "1"
