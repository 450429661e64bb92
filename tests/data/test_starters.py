"""What the two starters learn from, and what they must not: tiny corpora in the places of the real ones."""

import numpy as np
import pytest
import soundfile

from cospeech import skeleton
from cospeech.data import starters, voices
from cospeech.data.clips import Caption, Clip
from cospeech.errors import DataError
from cospeech.formats import npz
from cospeech.motion import Motion
from cospeech.speech import Speech

RATE = 16_000
LEFT_OUT = ("librispeech", "jfk", "pilot")  # folders beside those that are used


def standing(seconds):
    num_frames = round(30 * seconds)
    return Motion(np.zeros((num_frames, 55, 3)), np.tile(skeleton.REST_TRANSLATION, (num_frames, 1)))


def clip(name, split="train", licence="free", captions=(), tags=()):
    return Clip(name, split, standing(3), None, captions, licence, frozenset({"upper", "lower"}), frozenset(tags))


def only_called_for_the_starter(*args):
    raise AssertionError("read for a starter that may be used for anything")
    yield


@pytest.fixture
def data(tmp_path, speech, monkeypatch):
    """A folder of corpora, three voices of espeak-ng, one of them held out, and two actions."""
    for folder in ("mfa", "cmu_arctic"):
        (tmp_path / "speech" / folder).mkdir(parents=True)
        soundfile.write(tmp_path / "speech" / folder / f"{folder}.wav", speech.samples, speech.rate)
    for folder in LEFT_OUT:
        (tmp_path / "speech" / folder).mkdir()
        (tmp_path / "speech" / folder / "a.wav").write_text("no sound: whoever reads it fails")

    def monologues(count, seed):
        for voice in ("en-us+f1", "sv+f2", "fr+m7")[:count]:
            yield voice, Speech(np.tile(speech.samples, 3), speech.rate), (voices.Phone("p", 0.2, 0.3),)

    def captured(folder, joints):
        captions = (Caption("a person walks", "cmu-index"), Caption("a man strolls", "kit-ml"))
        yield clip("cmu/01_01", tags=("scenery",))
        yield clip("cmu/02_01", captions=captions)

    monkeypatch.setattr(starters.voices, "monologues", monologues)
    monkeypatch.setattr(starters.cmu, "clips", captured)
    monkeypatch.setattr(starters, "PLANTED_S", 8)
    actions = {name: starters.actions.ACTIONS[name] for name in ("nod", "raise_left_hand")}
    monkeypatch.setattr(starters.actions, "ACTIONS", actions)
    return tmp_path


def test_the_starter_for_any_use_learns_from_nothing_that_is_not_free(data, monkeypatch):
    for corpus in (starters.beat2, starters.bandai_namco):
        monkeypatch.setattr(corpus, "clips", only_called_for_the_starter)
    stood_on = []
    plant = starters.synthetic.plant
    monkeypatch.setattr(
        starters.synthetic, "plant", lambda speech, idle, *a: stood_on.append(idle) or plant(speech, idle, *a)
    )
    infos = [stored.info for stored in starters.starter_open(data)]
    assert {info.source for info in infos} == {"cmu", "synthetic", "actions"}
    assert {info.licence for info in infos} == {"free", starters.PLANTED_LICENCE}
    assert len(stood_on) > 5
    assert not any(stood_on)  # nobody's captured legs
    assert not any(word in info.id for info in infos for word in ("beat2", "bandai", *LEFT_OUT))
    (walk,) = (info for info in infos if info.source == "cmu")  # but not the clip that climbs on scenery
    assert walk.captions == ("a person walks",)
    assert len({info.id for info in infos}) == len(infos)


def test_voices_that_are_held_out_are_never_trained_on(data):
    split = {info.id: info.split for info in (stored.info for stored in starters.starter_open(data))}
    spoken = {name: where for name, where in split.items() if "+" in name}
    assert {name for name, where in spoken.items() if where == "train"} == {n for n in spoken if "en-us+f1" in n}
    assert {"synthetic/sv+f2/1", "synthetic/fr+m7/2"} < set(spoken)
    assert any(name.startswith("actions/") and spoken[name] == "val" for name in spoken)
    assert split["synthetic/silence"] == "val"


def test_human_recordings_are_varied_until_there_is_enough(data):
    made = [s for s in starters.starter_open(data) if s.info.id.startswith(("synthetic/mfa", "synthetic/cmu_arctic"))]
    assert sum(len(stored.poses) for stored in made) >= 8 * 30
    lengths = [len(stored.poses) for stored in made]
    assert lengths[:2] == [90, 90]  # first as they are
    assert len(set(lengths)) > 1
    assert all(set(stored.info.has) == {"upper", "hands", "lower", "face", "speech"} for stored in made)


def test_the_tested_seconds_of_the_real_minute_are_not_heard_in_training(data, monkeypatch):
    """Second 48 onwards is loud in this one: nothing loud may get into a training clip."""
    folder = data / "beat2_scott"
    for name in ("wave16k", "smplxflame_30"):
        (folder / name).mkdir(parents=True)
    samples = 0.05 * np.sign(np.sin(2 * np.pi * 120 * np.arange(round(63.53 * RATE)) / RATE))
    samples[48 * RATE :] *= 10
    soundfile.write(folder / "wave16k" / f"{starters.beat2.REAL_MINUTE}.wav", samples, RATE)
    motion = standing(63.53)
    npz.write(motion, folder / "smplxflame_30" / f"{starters.beat2.REAL_MINUTE}.npz")
    monkeypatch.setattr(starters.bandai_namco, "clips", lambda *a: iter([clip("bandai_namco/a_wave-b_normal_001")]))
    heard: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    stored = starters._stored

    def spy(info, motion, speech):
        if speech is not None and "2_scott" in info.id:
            heard[info.split].append(speech.samples)
        return stored(info, motion, speech)

    monkeypatch.setattr(starters, "_stored", spy)
    monkeypatch.setattr(starters, "PLANTED_S", 60)
    monkeypatch.setattr(starters, "_planted", lambda *a: iter(()))
    clips = list(starters.starter(data))
    assert {"beat2", "bandai_namco", "cmu", "synthetic"} == {c.info.source for c in clips}
    assert len(heard["train"]) == 3  # as it is, and planted on twice
    assert max(np.abs(part).max() for part in heard["train"]) < 0.1
    (tested,) = heard["test"]
    assert len(tested) == round(11.5 * RATE)
    assert np.abs(tested).min() > 0.4
    planted = [c.info for c in clips if c.info.source == "synthetic"]
    for info in planted:
        assert starters.PLANTED_LICENCE in info.licence
        assert starters.STANDING_LICENCE in info.licence
        assert starters.beat2.LICENCE in info.licence  # the speech is theirs


def test_what_is_missing_is_said_before_anything_is_prepared(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="mfa or cmu_arctic"):
        starters.check(tmp_path)
    (tmp_path / "speech" / "mfa").mkdir(parents=True)
    (tmp_path / "speech" / "mfa" / "a.wav").touch()

    def none():
        raise DataError("espeak-ng is needed")

    monkeypatch.setattr(voices, "_library", none)
    with pytest.raises(DataError, match="espeak-ng"):
        starters.check(tmp_path)
