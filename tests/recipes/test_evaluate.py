import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from chromium import BROWSER, FLAGS, in_browser
from smplx_file import smplx_arrays

from cospeech import checkpoint, cli, load_motion
from cospeech.body import joint_positions, load_smplx
from cospeech.data import standing
from cospeech.data.store import Store, write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError, DataError
from cospeech.formats import npz
from cospeech.metrics import diversity
from cospeech.models.embedder import Embedder, EmbedderConfig
from cospeech.motion import Motion
from cospeech.pipeline import SynTalkerPipeline
from cospeech.recipes import beside, compare, evaluate, report, scores
from cospeech.recipes.evaluate import Evaluate, learned_from
from cospeech.smoothing import smooth
from cospeech.speech import Speech
from cospeech.systems import EmbedderModel

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
    config = EmbedderConfig(widths=(2, 2, 2, 1))  # decompositions of 240 by 240 numbers take most of an evaluation
    made = checkpoint.StoredEmbedder(EmbedderModel("e", "free", config), Embedder(config), "# e\n")
    checkpoint.save_embedder(made, folder)
    return folder


@pytest.fixture(scope="module")
def run(store, model, embedder, tmp_path_factory):
    """One evaluation for all tests that only look."""
    out = tmp_path_factory.mktemp("run") / "out"
    arguments = ["evaluate", str(model), str(store), "--out", str(out), "--embedder", str(embedder), "--workers", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "SHOWN", 1)
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
    assert [path.name for path in paths] == [f"beat2%2F{n}_a_0_1_1.npz" for n in (2, 3, 4)]
    assert [len(load_motion(path)) for path in paths] == [360, 360, 150]


def test_the_page_has_tables_plots_players_and_marks(run):
    page = (run / "report.html").read_text()
    assert page.count("<svg") > 10
    assert "beat2/3_a_0_1_1*" in page
    assert "named in the model&#x27;s CARD" in page
    players = set(re.findall(r'src="(players/[^"]+)"', page))
    assert len(players) == 2 * 2  # the best clip and the worst, made and real
    for player in players:
        assert (run / player).stat().st_size > 100_000


def begun(run, out):
    """A run that has made its motions and was then interrupted."""
    shutil.copytree(run / "motions", out / "motions")
    shutil.copy(run / "settings.json", out)
    return out


def test_an_interrupted_run_goes_on_and_other_settings_do_not(run, store, model, tmp_path, monkeypatch):
    out = begun(run, tmp_path / "out")
    (out / "motions" / "beat2%2F3_a_0_1_1.npz").unlink()
    made = []
    monkeypatch.setattr(evaluate, "_keep", lambda *a: made.append(a[1].info.id) or keep(*a))
    settings = Evaluate(str(model), store, out)
    content = evaluate.run(settings, quiet)
    assert made == ["beat2/3_a_0_1_1"]
    assert any("No Fréchet distances" in note for note in content["notes"])
    made.clear()
    monkeypatch.setattr(evaluate, "_all", None)  # nothing is measured again, either
    assert evaluate.run(settings, quiet) == content
    assert made == []
    with pytest.raises(ConfigError, match=r"was begun with other settings \(seed\)"):
        evaluate.run(replace(settings, seed=1), quiet)
    with pytest.raises(ConfigError, match="holds other files"):
        evaluate.run(replace(settings, out=tmp_path), quiet)


keep = evaluate._keep


def test_who_is_killed_in_the_middle_of_generation_goes_on(run, store, model, tmp_path, monkeypatch):
    out = tmp_path / "out"
    script = (
        "import sys, time; sys.path[:0] = sys.argv[1:3]; import test_evaluate as t; from pathlib import Path;"
        "t.evaluate._keep = lambda *a: (t.keep(*a), time.sleep(0.5));"
        "t.evaluate.run(t.Evaluate(sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5])), t.quiet)"
    )
    here = Path(__file__).parent
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, (here, here.parent, model, store, out))])
    while not list(out.glob("motions/[!.]*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (out / "motions" / ".half-written.npz").write_bytes(b"what a killed process leaves")
    there = {path: path.stat().st_mtime_ns for path in out.glob("motions/[!.]*")}
    assert 0 < len(there) < 3
    assert not (out / "report.json").exists()
    monkeypatch.setattr(evaluate, "_all", None)
    with pytest.raises(TypeError):
        evaluate.run(Evaluate(str(model), store, out), quiet)
    assert {path: path.stat().st_mtime_ns for path in there} == there
    for path in out.glob("motions/[!.]*"):
        np.testing.assert_allclose(load_motion(path).poses, load_motion(run / "motions" / path.name).poses, atol=1e-4)
    assert len(list(out.glob("motions/[!.]*"))) == 3


class quiet:
    def __init__(self, name):
        pass

    def __enter__(self):
        return lambda share: None

    def __exit__(self, *error):
        pass


def test_the_published_protocol_shows_the_model_the_real_beginning(store, model, tmp_path, monkeypatch):
    asked = []
    whole = SynTalkerPipeline.generate_many
    monkeypatch.setattr(
        SynTalkerPipeline,
        "generate_many",
        lambda self, requests, **how: asked.append((requests, how)) or whole(self, requests),
    )
    measured = []
    monkeypatch.setattr(evaluate, "_all", lambda measuring, *_: measured.append(measuring))
    with pytest.raises(TypeError):
        evaluate.run(Evaluate(str(model), store, tmp_path / "out", "published"), quiet)
    ((requests, how),) = asked
    assert how["sampler"] == "ddpm"
    assert all(isinstance(request.seed_motion, Motion) for request in requests)
    (measuring,) = measured
    assert measuring.protocol == "published"


def measuring(store, paths, protocol="published", body=None):
    """Of all clips that are for testing."""
    return beside.Measuring(
        store, (1, 2, 3)[: len(paths)], tuple(paths), protocol, body, None, np.ones(55), np.zeros((55, 3)), None
    )


def test_only_who_has_no_face_is_measured_with_the_real_one(store, tmp_path):
    clip = Store(store).clip(1)
    real = scores.motion_of(clip)
    poses = real.poses.copy()
    poses[:, 22] = 0.3
    for name, face in (("faceless", None), ("with a face", np.full((len(real), 52), 0.2))):
        npz.write(Motion(poses, real.translation, face=face), tmp_path / f"{name}.npz")
    of = lambda name, **how: beside.SYSTEMS["model"](measuring(store, [tmp_path / name], **how), clip, 0)  # noqa: E731
    np.testing.assert_array_equal(of("faceless.npz").poses[:, 22], clip.poses[:, 22])
    np.testing.assert_array_equal(of("with a face.npz").poses[:, 22], poses[:, 22])
    np.testing.assert_array_equal(of("faceless.npz", protocol="corrected").poses[:, 22], poses[:, 22])


def test_all_are_measured_over_the_frames_that_the_model_made(store, tmp_path):
    clip = Store(store).clip(1)
    npz.write(scores.motion_of(clip)[0:8], tmp_path / "short.npz")
    of_clip, lengths = scores.of_clip, []

    def spy(made, real, speech, onsets, *rest):
        lengths.append((len(made), len(real), round(speech.duration_s * 30)))
        return of_clip(made, real, speech, onsets, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "of_clip", spy)
        measuring(store, [tmp_path / "short.npz"] * 2)(0)
    assert set(lengths) == {(240, 240, 240)}
    assert len(lengths) == 5


def test_faces_are_measured_on_the_body_of_a_smplx_file_with_the_shape_of_the_person(tmp_path, rng):
    shapes = smplx_arrays(rng, directions=400)
    np.savez(tmp_path / "body.npz", **shapes)
    clips = [replace(talk(n), expressions=rng.normal(size=(360, 100)).astype(np.float32)) for n in (1, 2)]
    clips = [replace(clip, betas=np.full(300, n, np.float32)) for n, clip in enumerate(clips)]
    clips = [replace(clip, info=replace(clip.info, has_expressions=True)) for clip in clips]
    write_store(tmp_path / "store", clips)
    real = [scores.motion_of(clip) for clip in clips]
    paths = [tmp_path / f"{n}.npz" for n in range(2)]
    for path, motion in zip(paths, real, strict=True):
        npz.write(replace(motion, expressions=motion.expressions + 0.1), path)
    measured = beside.Measuring(
        *(tmp_path / "store", (0, 1), tuple(paths), "corrected", tmp_path / "body.npz", None),
        *(np.ones(55), np.zeros((55, 3)), None),
    )
    found = [measured(place) for place in range(2)]
    offset = 0.1 * shapes["shapedirs"][:, :, 300:].sum(axis=-1)
    for values in found:
        # turned with the jaw, and shared with the head, a difference becomes a little shorter
        assert values["model"][0]["face MSE, m^2"].value == pytest.approx((offset**2).mean(), rel=0.05)
        assert values["ground truth"][0]["face MSE, m^2"].value == 0
        assert values["model"][0]["LVD, m"].value < 1e-3 < values["shifted"][0]["LVD, m"].value
    joints = joint_positions(load_smplx(tmp_path / "body.npz", clips[1].betas), real[1].poses, 0 * real[1].translation)
    wanted = diversity.l1_diversity(joints).value
    assert found[1]["ground truth"][0]["L1 diversity, m"].value == pytest.approx(wanted, rel=1e-5)
    assert wanted != pytest.approx(diversity.l1_diversity(joints_of_average(tmp_path, real[1])).value, rel=1e-2)


def test_the_published_protocol_adds_the_mean_of_smplx_to_the_fingers(tmp_path, rng):
    arrays = smplx_arrays(rng)
    np.savez(tmp_path / "body.npz", **arrays)
    body, clip = load_smplx(tmp_path / "body.npz"), talk(1)
    real, speech = scores.motion_of(clip), Speech(clip.samples, 16_000)
    bent = real.poses.copy()
    bent[:, 25:40] += arrays["hands_meanl"].reshape(15, 3)
    bent[:, 40:55] += arrays["hands_meanr"].reshape(15, 3)
    for protocol, poses in (("published", bent), ("corrected", real.poses)):
        ruler = scores.Ruler(protocol, body, np.ones(55), np.zeros((55, 3)))
        found = scores.of_clip(real, real, speech, np.array([1.0]), ruler)["L1 diversity, m"].value
        joints = joint_positions(body, poses, np.zeros((len(real), 3)))
        assert found == pytest.approx(diversity.l1_diversity(joints).value, rel=1e-5)
    flat = scores.Ruler("published", replace(body, mean_hands=None), np.ones(55), np.zeros((55, 3)))
    found = scores.of_clip(real, real, speech, np.array([1.0]), flat)["L1 diversity, m"].value
    assert found == pytest.approx(diversity.l1_diversity(joints).value, rel=1e-5)


def joints_of_average(folder, motion):
    return joint_positions(load_smplx(folder / "body.npz"), motion.poses, 0 * motion.translation)


def test_speeds_of_joints_come_from_a_file(store, model, tmp_path, monkeypatch):
    np.save(tmp_path / "speeds.npy", np.arange(55.0))
    measured = []
    monkeypatch.setattr(evaluate, "_all", lambda measuring, *_: measured.append(measuring))
    monkeypatch.setattr(evaluate, "joint_speed_of", None)
    with pytest.raises(TypeError):
        evaluate.run(Evaluate(str(model), store, tmp_path / "out", joint_speed=tmp_path / "speeds.npy"), quiet)
    np.testing.assert_array_equal(measured[0].joint_speed, np.arange(55))


def test_two_processes_measure_the_same(run, store):
    paths = sorted((run / "motions").iterdir())
    one, two = (evaluate._all(measuring(store, paths), workers, lambda share: None) for workers in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert first.keys() == second.keys()
        for system in first:
            for name, value in first[system][0].items():
                np.testing.assert_allclose(second[system][0][name], value, rtol=1e-3, atol=1e-5)


def killed(place):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_one_line():
    killed.clips = (1, 2)
    with pytest.raises(DataError, match=r"A process was killed.* fewer --workers"):
        evaluate._all(killed, 2, lambda share: None)


def test_a_store_without_test_clips_says_so(tmp_path, model):
    write_store(tmp_path / "store", [talk(1, "train")])
    with pytest.raises(DataError, match="no clip of its split `test` has a recording"):
        evaluate.run(Evaluate(str(model), tmp_path / "store", tmp_path / "out"), quiet)
    assert not (tmp_path / "out").exists()


def test_a_clip_that_cannot_be_made_is_named_and_other_settings_may_follow(store, model, tmp_path, capsys):
    command = ["evaluate", str(model), str(store), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert cli.main([*command, "--upper", "raises the hand"]) == 2
    assert capsys.readouterr().err.startswith("error: beat2/2_a_0_1_1: The model `tiny` ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "_all", None)
        with pytest.raises(TypeError):
            cli.main(command)
    assert len(list((tmp_path / "out" / "motions").iterdir())) == 3


@pytest.mark.parametrize(
    ("card", "clip", "found"),
    [
        ("takes 2_scott_0_1_1 and others", "beat2/2_scott_0_1_1", True),
        ("takes 2_scott_0_1_10", "beat2/2_scott_0_1_1", False),
        ("takes 12_scott_0_1_1", "beat2/2_scott_0_1_1", False),
        ("beat2/2_scott_0_1_1/train", "beat2/2_scott_0_1_1/test", False),
        ("tested on the test split of the corpus test", "beat2/2_scott_0_1_1/test", False),
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


def test_who_slides_more_on_every_clip_is_worse_but_three_clips_prove_nothing(run, tmp_path):
    def more(content):
        system = content["systems"]["model"]
        for clip in system["clips"]:
            clip["slide in contact, cm/s"] = [clip["slide in contact, cm/s"][0] + 5, 1.0]
        system["measures"]["slide in contact, cm/s"][0] += 5

    def thrice(content):
        content["clips"] *= 3
        for system in content["systems"].values():
            system["clips"] = [dict(clip) for clip in system["clips"] * 3]
            system["measures"] = {name: of for name, of in system["measures"].items() if not name.startswith("FGD")}

    worse = changed(run, tmp_path / "worse", more)
    row = next(row for row in compare.table(run, worse) if row[0].startswith("slide"))
    assert row[3:] == ("+5 [+5, +5]", "0.250", "neither, surely")
    many = changed(run, tmp_path / "many", thrice)
    worse = changed(many, tmp_path / "many and worse", more)
    row = next(row for row in compare.table(many, worse) if row[0].startswith("slide"))
    assert row[3:] == ("+5 [+5, +5]", "0.004", str(many))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(protocol="published"), "different protocols"),
        (lambda content: content["clips"][0].update(id="other"), "different clips"),
        (lambda content: content["settings"]["sums"].update(embedder="else"), "different embedders"),
        (lambda content: content["settings"]["sums"].update(body="else"), "different bodies"),
        (lambda content: content.update(version=9), "is of version 9"),
    ],
)
def test_what_cannot_be_compared(run, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        compare.table(run, changed(run, tmp_path / "other", change))
    with pytest.raises(DataError, match=r"holds no report\.json"):
        compare.table(run, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("systems"),
        lambda content: content.update(clips=3),
        lambda content: content["clips"][0].update(id=["x"]),
        lambda content: content["systems"].pop("ground truth"),
        lambda content: content["systems"]["model"]["clips"].pop(),
        lambda content: content["systems"]["model"]["measures"].update(FGD=[1.0]),
        lambda content: content["systems"]["model"]["measures"].update(FGD=["1", "2", "3"]),
        lambda content: content["systems"]["model"]["clips"][0].update({"LVD, m": [1.0, "x"]}),
        lambda content: content["settings"].pop("sums"),
        lambda content: content.update(version=[1]),
        lambda content: content.pop("text"),
        lambda content: content.update(text={"space": 1, "clips": 1, "repetitions": 1, "systems": {}}),
        lambda content: content.update(text={"space": "", "clips": 1, "repetitions": 1, "systems": {"model": 1}}),
    ],
)
def test_a_report_that_somebody_tampered_with_is_one_line(run, tmp_path, change, capsys):
    other = changed(run, tmp_path / "other", change)
    assert cli.main(["compare", str(run), str(other)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", ["", "[" * 100_000, "null", "[]", '{"version": 1}'])
def test_what_is_no_report_is_one_line(run, tmp_path, content, capsys):
    (tmp_path / "report.json").write_text(content)
    assert cli.main(["compare", str(run), str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_embeddings_that_are_damaged_are_one_line(run, tmp_path, capsys):
    other = changed(run, tmp_path / "other", lambda content: None)
    whole = (other / "embeddings.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:2000] + bytes(200) + whole[2200:]):
        (other / "embeddings.npz").write_bytes(content)
        assert cli.main(["compare", str(run), str(other)]) == 2
        assert "embeddings.npz: is missing, damaged" in capsys.readouterr().err


# --- the page ---------------------------------------------------------------------------------------------------------


def test_ids_and_prompts_are_text_whatever_they_hold(run, tmp_path, monkeypatch):
    bad = "<img src=x onerror=alert(1)>$title${table}</script>&amp;"
    content = evaluate.read_report(run)
    content["model"] = {"name": bad, "licence": bad}
    content["clips"] = [{**clip, "id": bad} for clip in content["clips"]]
    content["settings"]["prompts"] = [{"part": "upper", "text": bad}]
    content["notes"] = [bad]
    monkeypatch.setattr(report, "_players", lambda *_: "")
    monkeypatch.setattr(report, "_plots", lambda *_: [])
    report.write(content, tmp_path / "report.html", None)
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert "</script>" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;$title${table}&lt;/script&gt;&amp;amp;") >= 7


class TestInBrowser:
    pytestmark = in_browser

    def test_it_is_whole_on_a_screen_and_on_a_phone(self, run):
        sync_api = pytest.importorskip("playwright.sync_api")
        complaints, asked = [], []
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
            for size in ((1200, 800), (390, 844)):  # the last one plays
                page = browser.new_page(viewport={"width": size[0], "height": size[1]})
                page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.on("request", lambda request: asked.append(request.url))
                page.goto((run / "report.html").as_uri())
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), size
            assert page.locator("figure svg").count() > 10
            player = page.locator("iframe").first
            player.scroll_into_view_if_needed()
            frame = player.element_handle().content_frame()
            frame.wait_for_load_state()
            assert frame.evaluate("cospeech.ready")
            frame.evaluate("cospeech.play()")
            deadline = time.monotonic() + 20
            while not frame.evaluate("cospeech.currentTime > 0.1"):
                assert time.monotonic() < deadline
                page.wait_for_timeout(50)
            browser.close()
        assert not complaints
        assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def test_every_measure_that_has_a_direction_is_one_that_is_measured(run):
    measured = {name for system in evaluate.read_report(run)["systems"].values() for name in system["measures"]}
    assert set(scores.BETTER) - measured <= {
        "face MSE, m^2",
        "LVD, m",
        "lips open on p, b, m",
        "jaw follows the energy",
    }
    assert report.shown([1.0, None, None]) == "1"
