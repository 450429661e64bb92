"""A user's own recordings: what belongs together is found, what is no good is left out with its reason."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import skeletons
import soundfile

from cospeech import cli, rigs, skeleton
from cospeech.data import folder, prepare
from cospeech.data.store import Store
from cospeech.errors import ConfigError, DataError
from cospeech.formats import npz
from cospeech.motion import Motion
from cospeech.text import Word, write_words

RATE = 44_100
NAMES = {**rigs.HUMAN_IK.joints, "spine3": "Spine1", "neck": "Neck"}


def nodding(num_frames: int, fps: float = 30, joints=(12, 13, 16, 17, 20)) -> Motion:
    poses = np.zeros((num_frames, skeleton.NUM_JOINTS, 3))
    poses[:, list(joints), 0] = 0.3 * np.sin(np.arange(num_frames) / 5)[:, None]
    return Motion(poses, np.tile(skeleton.REST_TRANSLATION, (num_frames, 1)), fps)


def record(path: Path, seconds: float = 2.0, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=round(seconds * rate)), rate)
    return path


@pytest.fixture
def mine(tmp_path) -> Path:
    """Two recordings, one with npz and words, one with a BVH of another skeleton and a transcript."""
    record(tmp_path / "mine" / "anna_1.wav")
    npz.write(nodding(60), tmp_path / "mine" / "anna_1.npz")
    write_words(tmp_path / "mine" / "anna_1.TextGrid", [Word("hello", 0.2, 0.6)], 2.0)
    record(tmp_path / "mine" / "ben_1.flac", 3.0, 16_000)
    skeletons.write(tmp_path / "mine" / "ben_1.bvh", nodding(180, 60), NAMES)
    (tmp_path / "mine" / "ben_1.txt").write_text("hello there")
    return tmp_path / "mine"


def made(source: Path, **options) -> Store:
    store = source.parent / f"store{len(list(source.parent.iterdir()))}"
    given = {name: options.pop(name) for name in ("licence", "language") if name in options}
    prepare.run(folder.jobs(folder.takes(source, **options), **given), store, "folder")
    return Store(store)


def dropped(source: Path, **options) -> dict[str, str]:
    return {entry.id.removeprefix("folder/"): entry.reason for entry in made(source, **options).dropped()}


def clips(store: Store):
    return {info.id: store.clip(n) for n, info in enumerate(store.infos)}


def test_what_lies_beside_each_other_is_a_clip(mine):
    store = made(mine, test_share=0, licence="CC0", speaker_prefix=True, language="english")
    assert store.dropped() == []
    anna, ben = clips(store).values()
    assert [clip.info.id for clip in (anna, ben)] == ["folder/anna_1", "folder/ben_1"]
    assert [clip.info.speaker for clip in (anna, ben)] == ["anna", "ben"]
    assert {(clip.info.licence, clip.info.language, clip.info.split) for clip in (anna, ben)} == {
        ("CC0", "english", "train")
    }
    assert [clip.info.num_frames for clip in (anna, ben)] == [60, 90]  # of 60 a second every other
    assert [clip.info.num_samples for clip in (anna, ben)] == [32_000, 48_000]
    assert [word.text for word in anna.info.words if not word.is_pause] == ["hello"]
    assert ben.info.words == ()
    np.testing.assert_array_equal(anna.poses, nodding(60).poses)
    # Those of Ben were retargeted: his shoulders nod as Anna's.
    np.testing.assert_allclose(ben.poses[:60, 17], nodding(180, 60).poses[::2][:60, 17], atol=0.06)
    assert anna.info.has == ("speech", "upper")


def test_the_layout_of_beat2(tmp_path):
    source = tmp_path / "mine"
    record(source / "wave16k" / "a.wav")
    for name in ("smplxflame_30", "textgrid"):
        (source / name).mkdir()
    npz.write(nodding(60), source / "smplxflame_30" / "a.npz")
    write_words(source / "textgrid" / "a.TextGrid", [Word("hello", 0.2, 0.6)], 2.0)
    (clip,) = clips(made(source)).values()
    assert clip.info.words[1].text == "hello"
    assert clip.info.licence == "not stated"


def test_a_table_says_what_is_for_testing(mine):
    (mine / "test.csv").write_text("id,type,speaker\nben_1, test ,Ben\n")
    assert [(take.name, take.split, take.speaker) for take in folder.takes(mine)] == [
        ("anna_1", "train", ""),
        ("ben_1", "test", "Ben"),
    ]
    # MambaTalk's table lists tests alone, BEAT2's lists all.
    (mine / "test.csv").rename(mine / "train_test_split.csv")
    assert dropped(mine) == {"anna_1": "train_test_split.csv does not list it"}
    with pytest.raises(ConfigError, match=r"train_test_split\.csv says which recordings are for testing"):
        folder.takes(mine, test_share=0.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,type\nanna_1,test\n", "not a table with the columns id and type"),
        ("id,type\nanna_1\n", "not a table with the columns id and type"),
        ("id,type\nanna_1,dev\n", "'anna_1' is of type 'dev'. Types are train, val, test"),
        ("id,type\nanna_1,test\nanna_1,train\n", "has 'anna_1' twice, as test and as train"),
        ("id,type\nanna_1,t\udcffst\n", "not a table with the columns id and type"),
    ],
)
def test_tables_that_make_no_sense(mine, content, said):
    (mine / "test.csv").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=said) as raised:
        folder.takes(mine)
    assert str(mine / "test.csv") in str(raised.value)


def test_a_recording_stays_on_its_side_when_others_come(tmp_path):
    for n in range(200):
        (tmp_path / f"{n:03d}.wav").touch()
    split = {take.name: take.split for take in folder.takes(tmp_path)}
    assert 10 <= list(split.values()).count("test") <= 30
    for n in range(0, 200, 2):
        (tmp_path / f"{n:03d}.wav").unlink()
    assert all(split[take.name] == take.split for take in folder.takes(tmp_path))
    assert {take.split for take in folder.takes(tmp_path, test_share=0)} == {"train"}
    assert {take.split for take in folder.takes(tmp_path, test_share=1)} == {"test"}


def test_bad_takes_are_left_out_with_the_reason(mine):
    expected = {}

    def bad(name: str, reason: str) -> Path:
        """A good take under another name, for the caller to spoil."""
        for path in mine.glob("anna_1.*"):
            shutil.copy(path, path.with_name(f"{name}{path.suffix}"))
        expected[name] = reason
        return mine / name

    bad("no_motion", "there is no motion of it (.npz, .bvh, .amc)").with_suffix(".npz").unlink()
    npz_path = bad("cut_npz", "not an npz archive, or cut short").with_suffix(".npz")
    npz_path.write_bytes(npz_path.read_bytes()[:-100])
    with np.load(mine / "anna_1.npz") as members:
        arrays = dict(members)
    nans = arrays["poses"].copy()
    nans[3, 5] = np.nan
    np.savez(bad("nan", "`poses` contains NaN or infinity").with_suffix(".npz"), **{**arrays, "poses": nans})
    np.savez(
        bad("count", "`trans` has shape (59, 3), expected (60, 3)").with_suffix(".npz"),
        **{**arrays, "trans": arrays["trans"][:-1]},
    )
    npz.write(nodding(400), bad("long", "its motion lasts 13.3 s and its recording 2.0 s").with_suffix(".npz"))
    npz.write(nodding(60, joints=()), bad("rest", "its motion does not move").with_suffix(".npz"))
    bad("bad_bvh", "not a BVH file").with_suffix(".npz").unlink()
    (mine / "bad_bvh.bvh").write_text("hello")
    bad("short_bvh", "33 frames fit no usual frame rate in a recording of 2.0 s").with_suffix(".npz").unlink()
    skeletons.write(mine / "short_bvh.bvh", nodding(33), NAMES, promised=600)
    bad("silent", "the file is empty").with_suffix(".wav").write_bytes(b"")
    bad("noise", "not a recording that can be decoded").with_suffix(".wav").write_bytes(bytes(range(256)) * 20)
    grids = {
        "empty_grid": ([], "holds no words"),
        "late": ([Word("hello", 0.2, 0.6), Word("you", 70, 71)], "its words go on to 71.0 s, the recording to 2.0 s"),
    }
    for name, (words, reason) in grids.items():
        write_words(bad(name, reason).with_suffix(".TextGrid"), words, 2.0)
    grid = bad("no_grid", "not a Praat TextGrid").with_suffix(".TextGrid")
    grid.write_text("")
    grid = bad("overlap", "'hello' at 0.2 s begins before 'oh' ends").with_suffix(".TextGrid")
    text = (mine / "anna_1.TextGrid").read_text()
    grid.write_text(text.replace('text = ""', 'text = "oh"', 1).replace("xmax = 0.200000", "xmax = 0.300000"))

    found = dropped(mine)
    assert found.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in found[name], (name, found[name])
        assert "\n" not in found[name]


def test_rows_and_motions_without_a_recording_are_left_out_with_the_reason(mine):
    (mine / "test.csv").write_text("id,type\nghost,test\n")
    npz.write(nodding(60), mine / "mute.npz")
    assert dropped(mine) == dict.fromkeys(("ghost", "mute"), "there is no recording of it")


def test_a_bvh_that_lies_about_its_rate_goes_by_its_recording(mine):
    skeletons.write(mine / "ben_1.bvh", nodding(45, 120), NAMES, promised=360)
    (ben,) = (clip for clip in clips(made(mine)).values() if clip.info.id == "folder/ben_1")
    assert ben.info.num_frames == 90


def test_folders_that_make_no_sense(tmp_path, mine):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recordings in it"):
        folder.takes(tmp_path / "empty")
    with pytest.raises(DataError, match="cannot be read"):
        folder.takes(tmp_path / "missing")
    with pytest.raises(ConfigError, match="--test-share 2: must be between 0 and 1"):
        folder.takes(mine, test_share=2)
    record(mine / "anna_1.mp3.wav").rename(mine / "anna_1.ogg")
    with pytest.raises(DataError, match="The id folder/anna_1 is that of several clips"):
        made(mine)


def test_the_command(mine, tmp_path, capsys):
    record(mine / "cara_1.wav")
    store = tmp_path / "store"
    arguments = ["prepare", "folder", str(mine), str(store), "--workers", "1", "--licence", "mine", "--test-share", "0"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr()
    assert "kept 2 clips, left out 1" in said.out
    assert "licence: mine" in said.out
    assert "left out: folder/cara_1: there is no motion of it" in said.err
    assert (
        f"note: 1 clips have a transcript, but nobody knows when each word is said: `cospeech align {mine}" in said.err
    )
    assert "note: nothing is for testing" in said.err
    # With other settings it is another store.
    assert cli.main([*arguments[:-1], "1"]) == 2
    assert "was begun with folder, 3 train, 0 val, 0 test" in capsys.readouterr().err
    write_words(mine / "ben_1.TextGrid", [Word("hello", 0.2, 0.6)], 3.0)
    assert cli.main(arguments) == 2
    assert "other files, splits or settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("corpus", "options", "said"),
    [
        ("folder", ["--speakers", "2"], "--speakers: is for beat2, not for folder"),
        ("beat2", ["--licence", "mine"], "--licence: is for folder, not for beat2"),
        ("beat2", ["--test-share", "0"], "--test-share: is for folder, not for beat2"),
        ("folder", ["--languages", "a", "b"], "a folder is of one language"),
    ],
)
def test_options_of_another_corpus(corpus, options, said, mine, tmp_path, capsys):
    assert cli.main(["prepare", corpus, str(mine), str(tmp_path / "store"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
