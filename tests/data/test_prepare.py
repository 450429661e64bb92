import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import soundfile

from cospeech import cli
from cospeech.data import beat2, prepare
from cospeech.data.clips import Job
from cospeech.data.prepare import Part
from cospeech.data.store import Dropped, Store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError, DataError, MissingExtra
from cospeech.formats import npz
from cospeech.motion import Motion
from cospeech.text import Word, write_words

RATE = 48_000


def make(number, bad=()):
    """A clip that depends on its number alone."""
    if number in bad:
        raise DataError("is no good")
    rng = np.random.default_rng(number)
    info = ClipInfo(f"clip {number}", "train", "made up", "free", 20, ("upper",))
    yield StoredClip(
        info,
        rng.normal(size=(20, 55, 3)).astype(np.float32),
        rng.normal(size=(20, 3)).astype(np.float32),
        np.zeros((20, 52)),
        np.zeros((20, 68)),
    )


def make_broken(number):
    clip = next(make(number))
    clip.poses[3] = np.nan
    yield clip


def make_slowly(number):
    time.sleep(0.05)
    yield from make(number)


def jobs(count, function=make, **options):
    return [Job(f"clip {n}", partial(function, n, **options)) for n in range(count)]


def ids(path):
    return [info.id for info in Store(path).infos]


def test_processes_machines_and_one_after_the_other_make_the_same_store(tmp_path):
    all_of_them = jobs(150, bad=(7, 149))
    prepare.run(all_of_them, tmp_path / "one", "made up")
    prepare.run(all_of_them, tmp_path / "two", "made up", workers=2)
    for number in (2, 3, 1):
        assert prepare.left(tmp_path / "parts") if number != 2 else True
        prepare.run(all_of_them, tmp_path / "parts", "made up", part=Part(number, 3))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) == 64 * 2 + 1
    for other in ("two", "parts"):
        assert sorted(path.name for path in (tmp_path / other).iterdir()) == names
        for name in names:
            assert (tmp_path / other / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert ids(tmp_path / "one") == [f"clip {n}" for n in range(150) if n not in (7, 149)]
    assert Store(tmp_path / "one").dropped() == [Dropped(f"clip {n}", "is no good") for n in (7, 149)]


def test_a_clip_with_values_that_are_no_numbers_is_left_out(tmp_path):
    prepare.run([*jobs(1), Job("clip 1", partial(make_broken, 1))], tmp_path / "store", "made up")
    assert ids(tmp_path / "store") == ["clip 0"]
    (dropped,) = Store(tmp_path / "store").dropped()
    assert "`poses` has values that are no numbers" in dropped.reason


def test_who_is_killed_goes_on_where_they_were(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_prepare import *;"
        "prepare.run(jobs(100, make_slowly), sys.argv[2], 'made up')"
    ).replace("sys.argv[2]", "__import__('pathlib').Path(sys.argv[2])")
    store = tmp_path / "store"
    process = subprocess.Popen([sys.executable, "-c", script, os.path.dirname(__file__), str(store)])
    while len(list(store.glob("*.json"))) < 8:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {path.name: path.stat().st_mtime_ns for path in store.glob("0*.json")}
    assert 0 < len(made) < 64
    with pytest.raises(DataError, match="are not made yet"):
        Store(store)
    prepare.run(jobs(100), store, "made up")
    assert {name: (store / name).stat().st_mtime_ns for name in made} == made
    assert ids(store) == [f"clip {n}" for n in range(100)]
    assert list(store.glob(".*")) == []


def test_a_store_of_other_clips_is_not_gone_on_with(tmp_path):
    prepare.run(jobs(3), tmp_path / "store", "made up")
    for others, corpus in ((jobs(4), "made up"), (jobs(3), "else")):
        with pytest.raises(DataError, match="other files, splits or settings"):
            prepare.run(others, tmp_path / "store", corpus)
    others = [Job(job.id, job.make, "test") for job in jobs(3)]
    with pytest.raises(DataError, match="other files, splits or settings"):
        prepare.run(others, tmp_path / "store", "made up")
    with pytest.raises(DataError, match=r"The id clip 0 is that of several clips, as of 1 more,"):
        prepare.run([*jobs(2), *jobs(2)], tmp_path / "else", "made up")
    with pytest.raises(DataError, match="no clips to prepare"):
        prepare.run([], tmp_path / "else", "made up")
    assert not (tmp_path / "else").exists()


def test_a_shard_that_was_deleted_is_made_again_and_no_other(tmp_path):
    store = tmp_path / "store"
    prepare.run(jobs(4), store, "made up")
    contents = {path.name: path.read_bytes() for path in store.iterdir()}
    times = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    (store / "00001.arrow").unlink()
    (store / "00002.json").unlink()
    assert prepare.left(store) == 2
    prepare.run(jobs(4), store, "made up")
    assert {path.name: path.read_bytes() for path in store.iterdir()} == contents
    made = {name for name, time_ns in times.items() if (store / name).stat().st_mtime_ns != time_ns}
    assert made == {"00001.arrow", "00001.json", "00002.arrow", "00002.json"}


def make_and_die(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    yield from make(number)


def test_a_process_that_is_killed_is_one_line_and_what_it_made_stays(tmp_path):
    with pytest.raises(DataError, match=r"a process was killed.* fewer --workers: it goes on where it was"):
        prepare.run(jobs(4, make_and_die), tmp_path / "store", "made up", workers=2)
    prepare.run(jobs(4), tmp_path / "store", "made up")
    assert ids(tmp_path / "store") == [f"clip {n}" for n in range(4)]


def test_ray_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"cospeech\[scale\]"):
        prepare.run(jobs(1), tmp_path / "store", "made up", engine="ray")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_ray_makes_the_same_store_in_processes_of_its_own(tmp_path):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        some = [
            Job(f"clip {n}", partial(beat2.read, beat2.Take(tmp_path, f"1_a_0_{n}_{n}", "train", "english")))
            for n in range(3)
        ]
        for n in range(2):
            take(tmp_path, f"1_a_0_{n}_{n}")
        prepare.run(some, tmp_path / "ray", "made up", engine="ray")
    finally:
        ray.shutdown()
    prepare.run(some, tmp_path / "local", "made up")
    assert ids(tmp_path / "ray") == ids(tmp_path / "local") == ["beat2/1_a_0_0_0", "beat2/1_a_0_1_1"]
    assert Store(tmp_path / "ray").dropped() == Store(tmp_path / "local").dropped()
    for one, other in zip(
        Store(tmp_path / "ray").clips("train"), Store(tmp_path / "local").clips("train"), strict=True
    ):
        np.testing.assert_array_equal(one.poses, other.poses)
        np.testing.assert_allclose(one.speech, other.speech, atol=1e-5)


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "a/b", "-1/4", "1/2/3"])
def test_parts_that_make_no_sense(text):
    with pytest.raises(ConfigError, match="must be like 2/8"):
        Part.parse(text)


# --- BEAT2 ------------------------------------------------------------------------------------------------------------


def take(folder, name, seconds=2.0, frames=None, rate=RATE, words=True, seed=0):
    rng = np.random.default_rng(seed)
    for kind in ("smplxflame_30", "wave16k", "textgrid"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    frames = round(seconds * 30) if frames is None else frames
    poses = rng.normal(size=(frames, 55, 3)) * 0.1
    motion = Motion(poses, rng.normal(size=(frames, 3)), 30, rng.normal(size=(frames, 100)), betas=rng.normal(size=300))
    npz.write(motion, folder / "smplxflame_30" / f"{name}.npz")
    soundfile.write(folder / "wave16k" / f"{name}.wav", 0.1 * rng.normal(size=round(seconds * rate)), rate)
    if words:
        write_words(folder / "textgrid" / f"{name}.TextGrid", [Word("hello", 0.2, 0.6)], seconds)
    return motion


def split_file(folder, *rows):
    (folder / "train_test_split.csv").write_text("\n".join(["id,type", *rows]) + "\n")


@pytest.fixture
def corpus(tmp_path):
    """Two languages, two speakers in the first."""
    english, chinese = tmp_path / "beat2" / "beat_english_v2.0.0", tmp_path / "beat2" / "beat_chinese_v2.0.0"
    motions = {
        name: take(english, name, seed=n) for n, name in enumerate(("2_scott_0_1_1", "2_scott_0_2_2", "4_x_0_1_1"))
    }
    split_file(english, "2_scott_0_1_1,test", "2_scott_0_2_2,train", "4_x_0_1_1,additional")
    motions |= {"12_y_0_1_1": take(chinese, "12_y_0_1_1", words=False)}
    split_file(chinese, "12_y_0_1_1,val")
    return tmp_path / "beat2", motions


def test_beat2_is_stored_as_it_is(corpus, tmp_path):
    source, motions = corpus
    prepare.run(beat2.jobs(source), tmp_path / "store", "beat2")
    clips = {
        clip.info.id: clip for split in ("train", "val", "test") for clip in Store(tmp_path / "store").clips(split)
    }
    assert {name: (clip.info.split, clip.info.speaker, clip.info.language) for name, clip in clips.items()} == {
        "beat2/2_scott_0_1_1": ("test", "2", "english"),
        "beat2/2_scott_0_2_2": ("train", "2", "english"),
        "beat2/12_y_0_1_1": ("val", "12", "chinese"),
    }
    for name, clip in clips.items():
        motion = motions[name.removeprefix("beat2/")]
        for key in ("poses", "translation", "expressions", "betas"):
            np.testing.assert_array_equal(getattr(clip, key), getattr(motion, key))
        assert len(clip.samples) == 2 * 16_000
        words = [word for word in clip.info.words if not word.is_pause]
        assert words == ([Word("hello", 0.2, 0.6)] if clip.info.language == "english" else [])
        assert clip.info.licence == beat2.LICENCE
        assert clip.speech.any()


def test_languages_and_speakers_are_chosen(corpus):
    source, _ = corpus
    names = lambda **options: [job.id for job in beat2.jobs(source, **options)]  # noqa: E731
    assert names(languages=["english"]) == ["beat2/2_scott_0_1_1", "beat2/2_scott_0_2_2"]
    assert names(speakers=[12]) == ["beat2/12_y_0_1_1"]
    assert "beat2/4_x_0_1_1" in names(additional=True)
    assert [job.id for job in beat2.jobs(source / "beat_chinese_v2.0.0")] == ["beat2/12_y_0_1_1"]
    with pytest.raises(DataError, match=r"has no klingon\. There is chinese, english"):
        names(languages=["klingon"])
    with pytest.raises(DataError, match="has no takes of the speakers 99 for train, val, test"):
        names(speakers=[99])


def test_bad_takes_are_left_out_with_the_reason(tmp_path):
    folder = tmp_path / "beat_english_v2.0.0"
    reasons = {}

    def bad(name, reason, **options):
        reasons[f"beat2/{name}"] = reason
        take(folder, name, **options)
        return folder / "smplxflame_30" / f"{name}.npz", folder / "wave16k" / f"{name}.wav"

    take(folder, "1_a_0_1_1", rate=22_050)  # any rate will do
    take(folder, "1_a_0_2_2", frames=75)  # half a second more motion than sound is cut
    _, wav = bad("1_a_0_3_3", "wave16k/1_a_0_3_3.wav is missing")
    wav.unlink()
    motion, _ = bad("1_a_0_4_4", "not an npz archive, or cut short")
    motion.write_bytes(motion.read_bytes()[:2000])
    motion, _ = bad("1_a_0_5_5", "contains NaN")
    with np.load(motion) as arrays:
        np.savez(motion, **{**arrays, "poses": np.full((60, 165), np.nan)})
    bad("1_a_0_6_6", "its motion lasts 20.0 s and its recording 2.0 s", frames=600)
    _, wav = bad("1_a_0_7_7", "1_a_0_7_7.wav")
    wav.write_bytes(b"RIFF no sound")
    bad("1_a_0_8_8", "not a Praat TextGrid")
    (folder / "textgrid" / "1_a_0_8_8.TextGrid").write_text("")
    motion, _ = bad("1_a_0_9_9", "`trans` has shape (59, 3), expected (60, 3)")
    with np.load(motion) as arrays:
        np.savez(motion, **{**arrays, "trans": np.zeros((59, 3))})
    grids = folder / "textgrid"
    bad("1_a_0_10_10", "holds no words")
    write_words(grids / "1_a_0_10_10.TextGrid", [], 2.0)
    bad("1_a_0_11_11", "its words go on to 71.0 s, the recording to 2.0 s")
    write_words(grids / "1_a_0_11_11.TextGrid", [Word("hello", 70, 71)], 2.0)
    bad("1_a_0_12_12", "'hello' at 0.2 s begins before 'oh' ends")
    text = (grids / "1_a_0_12_12.TextGrid").read_text()
    text = text.replace('text = ""', 'text = "oh"', 1).replace("xmax = 0.200000", "xmax = 0.300000")
    (grids / "1_a_0_12_12.TextGrid").write_text(text)
    text = (grids / "1_a_0_2_2.TextGrid").read_text()  # rounded, not overlapping
    text = text.replace('text = ""', 'text = "oh"', 1).replace("xmax = 0.200000", "xmax = 0.200500")
    (grids / "1_a_0_2_2.TextGrid").write_text(text)
    names = [f"1_a_0_{n}_{n}" for n in range(1, 13)]
    split_file(folder, *(f"{name},train" for name in names))
    prepare.run(beat2.jobs(folder), tmp_path / "store", "beat2")
    store = Store(tmp_path / "store")
    assert [(info.id, info.num_frames) for info in store.infos] == [("beat2/1_a_0_1_1", 60), ("beat2/1_a_0_2_2", 60)]
    found = {entry.id: entry.reason for entry in store.dropped()}
    assert found.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in found[name]
        assert "\n" not in found[name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("id,type\n2_scott_0_1_1,exam\n", "line 2: 2_scott_0_1_1 is of type 'exam'. Types are train, val, test, add"),
        ("name,kind\n2_scott_0_1_1,train\n", "is not a table with the columns id and type"),
        ("id,type\n2_scott_0_1_1\n", "line 2: 2_scott_0_1_1 is of type ''"),
        ("id,type\n,train\n", "line 2: '' is not the name of a take"),
        ("", "has no takes"),
        ("id,type\n../../2_scott,train\n", "is not the name of a take"),
        ("id,type\n2_scott_0_1_1,train\n2_scott_0_1_1,test\n", "line 3: 2_scott_0_1_1 for the second time, as test"),
    ],
)
def test_split_files_that_make_no_sense(content, message, tmp_path):
    take(tmp_path / "beat_english_v2.0.0", "2_scott_0_1_1")
    if content is not None:
        (tmp_path / "beat_english_v2.0.0" / "train_test_split.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        prepare.check(beat2.jobs(tmp_path))


def test_a_folder_that_is_no_beat2(tmp_path):
    with pytest.raises(DataError, match="neither it nor a folder in it has both smplxflame_30 and wave16k"):
        beat2.jobs(tmp_path)


def test_takes_that_are_no_jobs_are_told(corpus):
    source, _ = corpus
    english = source / "beat_english_v2.0.0"
    take(english, "2_scott_0_9_9")
    split_file(english, "2_scott_0_1_1,test", "2_scott_0_1_1,test", "2_scott_0_2_2,train", "4_x_0_1_1,additional")
    extra = "beat_english_v2.0.0: takes that are called additional: 1, such as 4_x_0_1_1; --additional takes them"
    unlisted = "beat_english_v2.0.0: takes that train_test_split.csv does not list: 1, such as 2_scott_0_9_9"
    assert beat2.notes(source) == [extra, unlisted]
    assert beat2.notes(source, additional=True, speakers=[2]) == [unlisted]
    assert beat2.notes(source, speakers=[4]) == [extra]
    assert beat2.notes(source, languages=["chinese"]) == []
    assert [job.id for job in beat2.jobs(source, speakers=[2])] == ["beat2/2_scott_0_1_1", "beat2/2_scott_0_2_2"]


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_prepare_and_check(corpus, tmp_path, capsys):
    source, store = corpus[0], tmp_path / "store"
    (source / "beat_chinese_v2.0.0" / "wave16k" / "12_y_0_1_1.wav").unlink()
    assert cli.main(["prepare", "beat2", str(source), str(store), "--workers", "1", "--shard", "1/2"]) == 0
    assert "1 shards" in capsys.readouterr().out
    assert cli.main(["check", str(store)]) == 2
    assert "are not made yet" in capsys.readouterr().err
    assert cli.main(["prepare", "beat2", str(source), str(store), "--workers", "1"]) == 0
    said = capsys.readouterr()
    assert "kept 2 clips, left out 1" in said.out
    assert f"licence: {beat2.LICENCE}" in said.out
    assert "left out: beat2/12_y_0_1_1: wave16k/12_y_0_1_1.wav is missing" in said.err
    assert cli.main(["check", str(store)]) == 0
    assert "all 3 shards are as they were written" in capsys.readouterr().out
    damaged = store / "00001.arrow"
    damaged.write_bytes(damaged.read_bytes().replace(b"scott", b"scatt"))
    assert cli.main(["check", str(store)]) == 2
    assert "00001.arrow: was changed or damaged" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_what_is_there_is_gone_on_with(corpus, tmp_path):
    limited = (
        "ulimit -f 100; exec "
        + f"{sys.executable} -m cospeech prepare beat2 {corpus[0]} {tmp_path / 'store'} --workers 1"
    )
    run = subprocess.run(["bash", "-c", limited], capture_output=True, text=True)
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1
    assert "cannot be written" in run.stderr
    prepare.run(beat2.jobs(corpus[0]), tmp_path / "store", "beat2")
    assert len(ids(tmp_path / "store")) == 3
