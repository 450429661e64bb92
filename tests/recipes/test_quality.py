import json

import numpy as np
import pytest
import tiny

from cospeech.checkpoint import save
from cospeech.data.voices import Phone
from cospeech.errors import DataError, FormatError
from cospeech.metrics.interval import Estimate
from cospeech.motion import Motion
from cospeech.pipeline import SynTalkerPipeline
from cospeech.recipes import quality
from cospeech.recipes.held_out import Excerpt, Voice


def test_a_motion_follows_its_own_recording_and_planted_lips_close_on_what_is_said(speech):
    """Phones are given to what is planted; strokes and silence are measured where they are."""
    long = quality.Speech(np.tile(speech.samples, 4), speech.rate)
    phones = tuple(Phone("p", second + 0.1, second + 0.2) for second in range(1, 9))
    excerpt = Excerpt("a", long.cut(0, 10), 0, phones)
    planted = quality.systems(SynTalkerPipeline(tiny.checkpoint()))["planted"](excerpt)
    assert quality.of_motion(planted, excerpt.speech, phones)["lips open on p, b, m"].count == 0
    for pausing in quality.interrupted(excerpt).values():
        assert [p.start_s for p in pausing.phones] == [p.start_s + (3 if p.start_s > 5 else 0) for p in phones]
    found = quality.of_recording(planted, excerpt.speech)
    assert found["jaw follows the energy"].of > 0


def test_the_table_says_what_passes():
    names = list(quality.WANTED)
    good = {name: Estimate(np.nan, np.nan, np.nan) for name in names}
    good["rest inside speech"] = Estimate(0.10, 0.05, 0.15)
    good["strokes a minute"] = Estimate(100, 90, 110)
    other = good | {"diversity, m": Estimate(0.1, 0.1, 0.1)}
    header, *rows = quality.table({"model": good, "planted": other}, {"strokes a minute": 63.0})
    assert header == ("measure", "model", "planted", "real minute", "wanted", "")
    cells = {row[0]: row for row in rows}
    assert cells["rest inside speech"][-2:] == ("at most 0.15", "yes")
    assert cells["strokes a minute"][3:] == ("63", "42 to 94.5", "NO")
    assert cells["diversity, m"][-1] == "NO"  # what another system has and the model lacks does not pass
    assert "blinks a minute" not in cells  # of what none has nothing can be said


def test_of_what_must_be_sure_the_interval_decides():
    name = "wrists follow the energy"
    found = {each: Estimate(np.nan, np.nan, np.nan) for each in quality.WANTED}
    for lowest, passes in ((0.54, "NO"), (0.56, "yes")):
        row = quality.table({"model": {**found, name: Estimate(0.65, lowest, 0.7)}}, {})[1]
        assert (row[0], *row[-2:]) == (name, "0.6 to 0.85, surely over 0.55", passes)


def test_every_measure_of_a_model_is_a_number(speech):
    pipeline = SynTalkerPipeline(tiny.checkpoint())
    long = quality.Speech(np.tile(speech.samples, 4), speech.rate).cut(0, 10)
    results = quality.measure(pipeline, [Voice("a", long, (Phone("p", 1.0, 1.1),))], few=False)
    assert set(results) == {"model", "no finish", "other speech", "planted", "mean pose"}
    of_real = json.loads(quality.REAL_MINUTE.read_text())["quality"]
    measured = {name for name, found in results["model"].items() if np.isfinite(found.value)}
    # A model of random weights may make no stroke and no contact.
    assert set(of_real) - measured <= {"stroke to stress, of shuffled", "nearest other second, m"}
    assert results["planted"]["strokes a minute"].value > 20
    assert results["mean pose"]["wrist speed, m/s"].value < 1e-6


def test_a_motion_that_stops_in_silence_scores_zero_there(speech):
    excerpt = Excerpt("a", quality.Speech(np.tile(speech.samples, 4), speech.rate).cut(0, 10), 0)

    def waves_until_second_five(heard):
        poses = np.zeros((heard.speech.num_frames(30), 55, 3))
        moving = np.ones(len(poses), bool)
        moving[150:240] = False
        poses[:, 16, 2] = np.cumsum(0.1 * moving * np.cos(np.arange(len(poses))))
        return Motion(poses, np.zeros((len(poses), 3)))

    quiet = quality.of_several(waves_until_second_five, excerpt)["speed in digital silence, of speech"]
    assert quiet.count / quiet.of < 0.05


def test_what_cannot_be_measured_or_written_is_said_first(tmp_path, monkeypatch):
    def slow(*args):
        raise AssertionError("the slow part has begun")

    monkeypatch.setattr(quality, "load_pipeline", slow)
    with pytest.raises(FormatError, match=r"\.json or \.md"):
        quality.run("starter", None, tmp_path / "table.csv")
    (tmp_path / "table.md").mkdir()
    with pytest.raises(FormatError, match="is a folder"):
        quality.run("starter", None, tmp_path / "table.md")
    with pytest.raises(DataError, match="speech/librispeech"):
        quality.run("starter", tmp_path / "nowhere", None)


def test_the_numbers_are_written_as_json_and_as_a_table(speech, tmp_path, monkeypatch):
    save(tiny.checkpoint(), tmp_path / "model")
    found = {name: Estimate(np.nan, np.nan, np.nan) for name in quality.WANTED} | {"diversity, m": Estimate(1, 0, 2)}
    monkeypatch.setattr(quality, "measure", lambda pipeline, speakers, few: {"model": found})
    long = Voice("sv+f5", quality.Speech(np.tile(speech.samples, 4), speech.rate))
    monkeypatch.setattr(quality.held_out, "synthetic_voices", lambda: [long])
    for name in ("table.json", "table.md"):
        quality.run(str(tmp_path / "model"), None, tmp_path / name)
    results = json.loads((tmp_path / "table.json").read_text(), parse_constant=pytest.fail)["results"]
    assert results["human"]["model"]["diversity, m"] == {"value": 1, "low": 0, "high": 2}
    assert results["synthetic"]["model"]["blinks a minute"] is None
    table = (tmp_path / "table.md").read_text()
    assert "synthetic voices, 1 excerpts of 1 voices" in table
    assert "diversity" in table
    assert "blinks" not in table  # which no system has: no row says that the model fails


def test_the_real_minute_is_complete():
    real = json.loads(quality.REAL_MINUTE.read_text())["quality"]
    assert {name for name, wanted in quality.WANTED.items() if wanted.of_real} <= set(real)
    assert real["strokes a minute"] == pytest.approx(63, rel=0.1)
    assert real["wrist speed, m/s"] == pytest.approx(0.56, rel=0.1)
    assert real["wrists follow the energy"] == pytest.approx(0.56, abs=0.005)
