import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import raw_corpora
from test_pickles import hostile

from cospeech import load_motion, positions
from cospeech.body import joint_positions, mannequin
from cospeech.cli import main
from cospeech.data import beat_cache, prepare
from cospeech.data.store import Store
from cospeech.errors import MissingExtra
from cospeech.motion import Motion

pytest.importorskip("lmdb")


@pytest.fixture(scope="module")
def motion() -> Motion:
    """260 frames with expressions."""
    rng = np.random.default_rng(0)
    return replace(raw_corpora.moving(260, 30), expressions=rng.normal(size=(260, 100)), betas=rng.normal(size=300))


@pytest.fixture(scope="module")
def other() -> Motion:
    return raw_corpora.moving(200, 30, seed=1)


def made(source: Path) -> Store:
    prepare.run(beat_cache.jobs(source), source / "store", "beat-cache")
    return Store(source / "store")


@pytest.mark.parametrize(("kind", "length"), [("S", 128), ("tokenizer", 64), ("T", 128)])
def test_windows_become_recordings_again(tmp_path, motion, other, kind, length):
    """Two recordings of two speakers, and of one."""
    entries = [raw_corpora.cache_entries(m, kind, length, speaker=s) for m, s in ((motion, 2), (other, 2), (other, 5))]
    raw_corpora.write_cache(tmp_path, [entry for some in entries for entry in some])
    whole = raw_corpora.cache_entries(other, kind, 199, speaker=7)[:1]
    raw_corpora.write_cache(tmp_path, whole, "test")
    store = made(tmp_path)
    firsts = [0, len(entries[0]), len(entries[0] + entries[1])]
    assert [info.id for info in store.infos] == [
        *(f"beat-cache/train/{n:05d}" for n in firsts),
        "beat-cache/test/00000",
    ]
    assert [info.speaker for info in store.infos] == ["2", "2", "5", "7"]
    assert {info.has for info in store.infos} == {("hands", "lower", "upper")}
    frames = len(motion) - (kind == "T")
    frames -= (frames - length) % 20  # what is left of the last window is in no cache
    clip = store.clip(0)
    assert clip.info.num_frames == frames
    assert (clip.info.words, clip.info.num_samples) == ((), 0)
    if kind == "T":
        body = mannequin("light")
        wanted, found = (
            joint_positions(body, m.poses[:frames], m.translation[:frames])[:, positions.JOINTS] for m in (motion, clip)
        )
        wanted = wanted - wanted[0, 0] * [1, 0, 1]
        np.testing.assert_allclose(found[..., 1], wanted[..., 1] - wanted[..., 1].min(), atol=2e-3)
        apart = np.linalg.norm(found[:, :, None] - found[:, None], axis=-1)
        np.testing.assert_allclose(apart, np.linalg.norm(wanted[:, :, None] - wanted[:, None], axis=-1), atol=2e-3)
    else:
        np.testing.assert_array_equal(clip.poses, motion.poses[:frames])
        moved = motion.translation - motion.translation[0] * [1, 0, 1]
        np.testing.assert_array_equal(clip.translation, moved[:frames].astype(np.float32))
        np.testing.assert_array_equal(clip.betas, motion.betas)
    if kind != "tokenizer":
        np.testing.assert_array_equal(clip.expressions, motion.expressions[:frames])


def test_windows_that_do_not_overlap_stay_windows(tmp_path, motion):
    entries = raw_corpora.cache_entries(motion, "S", 128, stride=130)
    assert len(entries) == 2
    raw_corpora.write_cache(tmp_path, entries[::-1])
    prepare.run(beat_cache.jobs(tmp_path), tmp_path / "store", "beat-cache", workers=2)
    assert [info.num_frames for info in Store(tmp_path / "store").infos] == [128, 128]


def test_another_stride_and_somebody_who_does_not_move(tmp_path, motion):
    still = replace(motion, poses=np.zeros_like(motion.poses), translation=np.ones_like(motion.translation))
    still = replace(still, expressions=np.zeros_like(motion.expressions))
    entries = raw_corpora.cache_entries(motion, "S", 64, stride=7) + raw_corpora.cache_entries(still, "S", 64)
    raw_corpora.write_cache(tmp_path, entries)
    assert [info.num_frames for info in made(tmp_path).infos] == [64 + 7 * 28, 64 + 20 * 9]


def pickled(entry: list) -> bytes:
    return pickle.dumps(entry, 5)


def changed(entry: list, at: int, value: object) -> bytes:
    return pickled([*entry[:at], value, *entry[at + 1 :]])


DAMAGE = {
    "cut": "damaged",
    "nan": "values that are no numbers",
    "frames": r"translation has shape (100, 3), expected (128, 3)",
    "expressions": r"expressions have shape (128, 50)",
    "betas": r"betas have shape (5, 300)",
    "width": r"its motion has shape (128, 99)",
    "one frame": r"its motion has shape (1, 169)",
    "no array": "something else than an array",
    "speaker": "nobody is its speaker",
    "a dictionary": "not a list of 5, 9 or 10 entries",
    "old protocol": "is no pickle of protocol 5",
    "system": "Do not trust this file",
    "in an array of objects": "refused",
    "objects from bytes": "refused: it has an array of `O8`",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_window_is_left_out_and_the_others_stay(tmp_path, motion, damage, capsys):
    entries: list = raw_corpora.cache_entries(motion, "S", 128)
    bad, poses = entries[3], entries[3][0].copy()
    poses[5, 7] = np.nan
    ran = tmp_path / "ran"
    entries[3] = {
        "cut": pickled(bad)[:-500],
        "nan": changed(bad, 0, poses),
        "frames": changed(bad, 8, bad[8][:100]),
        "expressions": changed(bad, 2, bad[2][:, :50]),
        "betas": changed(bad, 3, bad[3][:5]),
        "width": changed(bad, 0, bad[0][:, :99]),
        "one frame": changed(bad, 0, bad[0][:1]),
        "no array": changed(bad, 0, "walk"),
        "speaker": changed(bad, 7, []),
        "a dictionary": pickle.dumps({"poses": 1}, 5),
        "old protocol": pickle.dumps(bad, 2),
        **hostile(str(ran)),
    }[damage]
    raw_corpora.write_cache(tmp_path, entries)
    assert main(["prepare", "beat-cache", str(tmp_path), str(tmp_path / "store"), "--workers", "1"]) == 0
    shown = capsys.readouterr()
    assert "kept 2 clips, left out 1" in shown.out
    assert shown.err.startswith("left out: beat-cache/train/00003: ")
    assert DAMAGE[damage] in shown.err
    assert shown.err.count("\n") == 1
    assert [info.num_frames for info in Store(tmp_path / "store").infos] == [128 + 2 * 20, 128 + 2 * 20]
    assert not ran.exists()


def test_what_is_no_cache_of_syntalker_is_one_line(tmp_path, motion, capsys, monkeypatch):
    store = str(tmp_path / "store")

    def says(source: str) -> str:
        assert main(["prepare", "beat-cache", str(tmp_path / source), store]) == 2
        shown = capsys.readouterr().err
        assert shown.count("\n") == 1
        return shown

    entries = raw_corpora.cache_entries(motion, "S", 128)
    assert "has no train/*_cache/data.mdb" in says("none")
    raw_corpora.write_cache(tmp_path / "mamba", [b"\x00\x00\x00\x00\x09\x00\x00\x00" + bytes(100)])
    assert "no pyarrow for this Python has. Prepare the raw files with `cospeech prepare beat2`" in says("mamba")
    cache = raw_corpora.write_cache(tmp_path / "cut", entries)
    with (cache / "data.mdb").open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) // 2)
    assert "data.mdb is cut short" in says("cut")
    (raw_corpora.write_cache(tmp_path / "text", entries) / "data.mdb").write_text("hello")
    assert "text/train/smplxflame_30_cache: cannot be read" in says("text")
    cache = raw_corpora.write_cache(tmp_path / "two", entries)
    cache.with_name("other_cache").mkdir()
    (cache / "data.mdb").rename(cache.with_name("other_cache") / "data.mdb")
    raw_corpora.write_cache(tmp_path / "more", entries).rename(tmp_path / "two" / "train" / "x_cache")
    assert "has 2 caches" in says("two")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    (tmp_path / "more" / "train" / "y_cache").mkdir()
    (tmp_path / "more" / "train" / "y_cache" / "data.mdb").touch()
    with pytest.raises(MissingExtra, match=r"cospeech\[lmdb\]"):
        beat_cache.jobs(tmp_path / "more")


@pytest.mark.data
@pytest.mark.parametrize(("kind", "length"), [("S", 128), ("tokenizer", 64), ("T", 128)])
def test_the_real_minute_comes_out_of_its_windows(tmp_path, kind, length):
    path = Path(os.environ["COSPEECH_DATA"]) / "beat2_scott" / "smplxflame_30" / "2_scott_0_1_1.npz"
    motion = load_motion(path)
    entries = raw_corpora.cache_entries(motion, kind, length)
    raw_corpora.write_cache(tmp_path, entries)
    (clip,) = made(tmp_path).clips("train")
    frames = 20 * (len(entries) - 1) + length
    assert clip.info.num_frames == frames
    if kind != "T":
        np.testing.assert_array_equal(clip.poses, motion.poses[:frames])
        return
    again = positions.vectors(clip.poses, clip.translation)
    wanted = positions.vectors(motion.poses, motion.translation)[: len(again)]
    ric = np.abs(again - wanted)[:, 3:157]
    assert np.median(ric) < 1e-3
    assert np.abs(again - wanted)[:, 1:3].mean() < 1e-3
