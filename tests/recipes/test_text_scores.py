"""Motions from captions, measured in a space that was trained for a moment."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tiny
import torch
from small_tmr import clip
from test_evaluate import quiet, talk

from cospeech import checkpoint, cli
from cospeech.data.store import Store, write_store
from cospeech.errors import ConfigError, DataError
from cospeech.pipeline import SynTalkerPipeline
from cospeech.prompts import Prompt
from cospeech.recipes import evaluate, report, retrieval, text_scores
from cospeech.recipes.evaluate import Evaluate
from cospeech.recipes.text_scores import captioned

CAPTIONS = ("left_shoulder", 2, "raises the left arm"), ("spine1", 0, "bows")
REPETITIONS = 3


def for_tests(number):
    found = clip(number, *CAPTIONS[number % 2])
    return replace(found, info=replace(found.info, split="test"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Clips with captions and without speech, as HumanML3D has them."""
    path = tmp_path_factory.mktemp("captions") / "store"
    write_store(path, [for_tests(n) for n in range(34)], "humanml3d")
    return path


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "reads"
    made = tiny.reading()
    made.networks.sentences.asks.bias.fill_(9.0)  # every text asks for a motion
    checkpoint.save(made, folder, torch.float32)
    return folder


@pytest.fixture(scope="module")
def out(store, reads, tmr_run, tmp_path_factory):
    """One evaluation for all tests that only look."""
    out = tmp_path_factory.mktemp("run") / "out"
    command = ["evaluate", str(reads), str(store), "--out", str(out), "--text-motion", str(tmr_run), "--workers", "1"]
    assert cli.main([*command, "--repetitions", str(REPETITIONS), "--steps", "1"]) == 0
    return out


def settings(store, reads, tmr_run, out, **more):
    given = {"text_motion": tmr_run, "repetitions": REPETITIONS, "steps": 1} | more
    return Evaluate(str(reads), store, out, **given)


def test_real_motion_fits_its_captions_and_the_floor_does_not(out):
    content = evaluate.read_report(out)
    assert content["clips"] == []  # nobody speaks
    found = content["text"]
    assert (found["clips"], found["repetitions"]) == (34, REPETITIONS)
    measures = {name: system["measures"] for name, system in found["systems"].items()}
    assert list(measures) == ["model", "mean pose", "other clip", "ground truth"]
    real, still, other = (measures[name] for name in ("ground truth", "mean pose", "other clip"))
    assert real["matching score"][0] < min(measures["model"]["matching score"][0], still["matching score"][0])
    assert real["FID"][0] == pytest.approx(0, abs=1e-6)
    assert other["FID"][0] == pytest.approx(0, abs=1e-6)
    assert still["diversity"][0] < 0.1 < real["diversity"][0]
    assert measures["model"]["FID"][0] > 0.01
    low, high = real["R-precision top 1"][1:]
    assert 0 < low <= high <= 1
    assert "multimodality" not in measures["model"]  # of so few repetitions
    notes = " ".join(content["notes"])
    for said in ("No clip of the split has a recording", "No multimodality", "20 repetitions"):
        assert said in notes


def test_tables_are_on_the_page_and_on_the_terminal(out, store, reads, tmr_run, capsys):
    page = (out / "report.html").read_text()
    assert "Motions from captions: 34 clips, 3 repetitions" in page
    assert "<td>matching score<td>↓" in page
    command = ["evaluate", str(reads), str(store), "--out", str(out), "--text-motion", str(tmr_run)]
    assert cli.main([*command, "--repetitions", "3", "--steps", "1"]) == 0  # it is whole: shown again
    assert "R-precision top 3" in capsys.readouterr().out


def test_motions_are_made_of_captions_in_silence_with_another_seed_each_time(store, reads, tmr_run, tmp_path):
    asked = []

    class Spy(SynTalkerPipeline):
        def generate_many(self, requests, **how):
            for request in requests:
                (prompt,), speech = request.timeline, request.speech
                asked.append((prompt.text, prompt.part, request.seed, np.abs(speech.samples).max(), speech.duration_s))
            return super().generate_many(requests, **how)

    pipeline = Spy(checkpoint.load(reads))
    these = settings(store, reads, tmr_run, tmp_path, seed=5)
    clips = Store(store)
    text_scores._make(these, tmp_path, pipeline, retrieval.load(tmr_run)[0], clips.clip(1))
    assert asked == [("bows", "whole", 5 + n, 0.0, 3.0) for n in range(REPETITIONS)]
    made = text_scores._kept(tmp_path, clips.infos[1])
    assert made.shape[0] == REPETITIONS
    assert np.abs(made[0] - made[1]).max() > 1e-4


def test_what_is_made_is_not_made_again_and_more_repetitions_are(store, reads, tmr_run, tmp_path, monkeypatch):
    these = replace(settings(store, reads, tmr_run, tmp_path), repetitions=2)
    clips, pipeline, (embed, _) = Store(store), SynTalkerPipeline(checkpoint.load(reads)), retrieval.load(tmr_run)
    made = []
    monkeypatch.setattr(text_scores, "_make", lambda *a: made.append(a[-1].info.id) or make(*a))
    arguments = (tmr_run, clips, [0, 1], pipeline, embed, lambda share: None)
    first = text_scores._made(these, *arguments)
    assert first.shape[:2] == (2, 2)
    np.testing.assert_allclose(np.linalg.norm(first, axis=-1), 1)
    (file,) = tmp_path.glob("text/*/clip%200.npy")
    file.write_bytes(file.read_bytes()[:100])  # as a full disk leaves it
    again = text_scores._made(these, *arguments)
    np.testing.assert_allclose(again, first, atol=1e-5)
    assert made == ["clip 0", "clip 1", "clip 0"]
    text_scores._made(replace(these, repetitions=1), *arguments)
    assert len(made) == 3
    text_scores._made(replace(these, repetitions=3), *arguments)
    assert len(made) == 5


make = text_scores._make


def test_other_settings_need_another_folder_though_nothing_is_in_motions(out, store, reads, tmr_run):
    with pytest.raises(ConfigError, match=r"begun with other settings \(seed\)"):
        evaluate.run(settings(store, reads, tmr_run, out, seed=1), quiet)


def test_what_another_process_is_given_makes_the_same(out, store, reads, tmr_run, tmp_path):
    these = settings(store, reads, tmr_run, tmp_path)
    job = pickle.loads(pickle.dumps(partial(text_scores._make_there, these, tmr_run, tmp_path)))
    for number in (0, 1):
        job(number)
    text_scores._loaded.cache_clear()
    (folder,) = (out / "text").iterdir()
    for info in Store(store).infos[:2]:
        np.testing.assert_allclose(text_scores._kept(tmp_path, info), text_scores._kept(folder, info), atol=1e-4)


def test_speech_and_captions_are_both_measured(reads, tmr_run, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_players", lambda *_: "")
    monkeypatch.setattr(report, "_plots", lambda *_: [])
    write_store(tmp_path / "store", [talk(1, "train"), talk(2, seconds=5), for_tests(0), for_tests(1)])
    prompts = Prompt("Lift your right arm.", "upper", 1, 3), Prompt("hops", "lower")
    content = evaluate.run(
        settings(tmp_path / "store", reads, tmr_run, tmp_path / "out", repetitions=1, prompts=prompts), quiet
    )
    assert len(content["clips"]) == 1
    assert content["text"]["clips"] == 2
    assert "R-precision top 1" not in content["text"]["systems"]["model"]["measures"]
    row = "obeyed: Lift your right arm. (upper, from 1 s to 3 s)"
    systems = content["systems"]
    assert [name for name, of in systems.items() if row in of["measures"]] == ["model", "mean pose", "ground truth"]
    assert systems["ground truth"]["clips"][0][row] == [0.0, 1.0]  # nobody asked that person
    assert next(line for line in report.rows(content) if line[0] == row)[1] == "↑"
    notes = " ".join(content["notes"])
    assert "whether 'hops' was obeyed" in notes
    assert "No R-precision: it needs 32 captioned clips, there are 2" in notes
    assert evaluate.read_report(tmp_path / "out") == content


def test_who_cannot_read_and_what_has_no_captions_is_one_line(store, reads, tmr_run, tmp_path, capsys):
    deaf = tmp_path / "deaf"
    checkpoint.save(tiny.checkpoint(), deaf, torch.float32)
    command = ["evaluate", str(deaf), str(store), "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--text-motion", str(tmr_run)]) == 2
    assert "error: The model `tiny` follows speech only" in capsys.readouterr().err
    assert cli.main([*command, "--repetitions", "3"]) == 2
    assert "belongs to --text-motion" in capsys.readouterr().err
    assert cli.main([*command, "--text-motion", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    write_store(tmp_path / "store", [talk(1), for_tests(1)])
    with pytest.raises(DataError, match=r"1 clips of its split `test` .* Leave --text-motion out"):
        evaluate.run(settings(tmp_path / "store", reads, tmr_run, tmp_path / "out"), quiet)


def test_a_caption_too_long_for_a_prompt_gives_way_to_the_next(tmp_path):
    clips = [for_tests(n) for n in range(4)]
    for n, captions in enumerate([("x" * 301, "bows"), ("x" * 301,), (" ",), ("bows",)]):
        clips[n] = replace(clips[n], info=replace(clips[n].info, captions=captions))
    write_store(tmp_path / "store", clips)
    store = Store(tmp_path / "store")
    assert captioned(store, "test") == [0, 3]
    assert text_scores._caption(store.infos[0]) == "bows"
