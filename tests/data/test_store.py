import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cospeech.data import store as stores
from cospeech.data.store import Dropped, Store, write_index, write_shard, write_store
from cospeech.data.stored import ClipInfo, StoredClip, mirrored_caption
from cospeech.errors import DataError
from cospeech.text import Word


def clip(name, split, num_frames, rng, has=("upper", "speech"), **info):
    info = ClipInfo(name, split, "made up", "none", num_frames, has, ("waves",), **info)
    return StoredClip(
        info,
        poses=rng.uniform(-1.8, 1.8, size=(num_frames, 55, 3)).astype(np.float32),
        translation=np.cumsum(rng.normal(size=(num_frames, 3)), axis=0).astype(np.float32),
        face=rng.uniform(size=(num_frames, 52)).astype(np.float32),
        speech=rng.uniform(-3.9, 3.9, size=(num_frames, 68)).astype(np.float32),
    )


def test_what_is_stored_comes_back_bit_for_bit(tmp_path, rng):
    words = (Word("hello", 0.1, 0.30000000000000004), Word("", 0.4, 0.5))
    clips = [
        clip("a", "train", 40, rng, words=words, speaker="2", language="english"),
        clip("b", "test", 1, rng),
        replace(clip("c", "train", 33, rng), samples=rng.normal(size=17_600).astype(np.float32)),
        replace(clip("d", "train", 5, rng), expressions=rng.normal(size=(5, 100)).astype(np.float32)),
    ]
    written = write_store(tmp_path / "store", clips)
    store = Store(tmp_path / "store")
    assert store.infos == written
    assert written[0] == clips[0].info
    assert (written[2].num_samples, written[2].has_expressions, written[3].has_expressions) == (17_600, False, True)
    back = list(store.clips("train"))
    assert [c.info.id for c in back] == ["a", "c", "d"]
    for there, here in zip((clips[0], clips[2], clips[3]), back, strict=True):
        for name in ("poses", "translation", "face", "speech", "samples"):
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
            assert getattr(here, name).dtype == np.float32
        assert (here.expressions is None) == (there.expressions is None)
    np.testing.assert_array_equal(back[2].expressions, clips[3].expressions)
    assert [c.info.id for c in store.clips("test")] == ["b"]
    assert list(store.clips("val")) == []
    with pytest.raises(DataError, match="Unknown split `dev`"):
        store.clips("dev")


def test_arrays_are_views_of_the_file_and_zeros_take_no_room(tmp_path, rng):
    full = [clip(str(n), "train", 300, rng) for n in range(3)]
    write_store(tmp_path / "full", full)
    write_store(tmp_path / "empty", [replace(c, face=np.zeros((300, 52)), speech=np.zeros((300, 68))) for c in full])
    sizes = [sum(file.stat().st_size for file in (tmp_path / name).glob("*.arrow")) for name in ("full", "empty")]
    assert sizes[0] - sizes[1] > 0.95 * 3 * 300 * 120 * 4
    before = pa.total_allocated_bytes()
    one = next(Store(tmp_path / "full").clips("train"))
    assert pa.total_allocated_bytes() - before < 10_000
    assert not one.poses.flags.owndata
    assert not one.poses.flags.writeable
    assert not next(Store(tmp_path / "empty").clips("train")).face.any()


def test_many_clips_are_several_shards_in_order(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(stores, "CLIPS_PER_SHARD", 2)
    write_store(tmp_path / "store", (clip(str(n), "train", 3, rng) for n in range(5)), corpus="made up, version 3")
    store = Store(tmp_path / "store")
    assert (store.num_shards, store.corpus) == (3, "made up, version 3")
    assert [info.id for info in store.infos] == ["0", "1", "2", "3", "4"]
    assert list(store.check()) == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_a_store_that_fails_in_the_middle_leaves_the_old_one(tmp_path, rng):
    write_store(tmp_path / "store", [clip("old", "train", 3, rng)])

    def clips():
        yield clip("new", "train", 3, rng)
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        write_store(tmp_path / "store", clips())
    assert [info.id for info in Store(tmp_path / "store").infos] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_store_with_missing_shards_says_so_and_one_with_dropped_clips_tells_which(tmp_path, rng):
    write_index(tmp_path, "made up", 2)
    write_shard(tmp_path, 1, [clip("a", "train", 3, rng)], [Dropped("b", "its wav is missing")])
    with pytest.raises(DataError, match="1 of its 2 shards are not made yet"):
        Store(tmp_path)
    write_shard(tmp_path, 0, [])
    store = Store(tmp_path)
    assert store.dropped() == [Dropped("b", "its wav is missing")]
    assert [info.id for info in store.infos] == ["a"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "text"])
def test_damage_is_found(tmp_path, rng, damage):
    write_store(tmp_path / "store", [clip("a", "train", 50, rng)])
    path = tmp_path / "store" / "00000.arrow"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"00000\.arrow: was changed or damaged"):
            list(Store(tmp_path / "store").check())
        return
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[:5000] if damage == "cut" else b"hello")
    said = r"00000\.arrow: is damaged .* Delete it and run" if damage != "gone" else "1 of its 1 shards are not made"
    with pytest.raises(DataError, match=said):
        Store(tmp_path / "store")


def test_errors_name_the_folder(tmp_path, rng):
    with pytest.raises(DataError, match="no such store"):
        Store(tmp_path / "none")
    (tmp_path / "old.npz").write_text("hello")
    with pytest.raises(DataError, match=r"old\.npz: a file, as stores of version 1 were"):
        Store(tmp_path / "old.npz")
    with pytest.raises(DataError, match="no clips"):
        write_store(tmp_path / "empty", [])
    write_store(tmp_path / "store", [clip("a", "train", 3, rng)])
    index = tmp_path / "store" / "store.json"
    for version, advice in ((7, "Use the newer cospeech"), (1, "Remove the folder, then make it again")):
        index.write_text(json.dumps({"version": version, "corpus": "beat2, speaker 2", "shards": 1}))
        with pytest.raises(DataError, match=f"version {version}, expected 2. {advice}.* It holds beat2, speaker 2"):
            Store(tmp_path / "store")
    index.write_text("{")
    with pytest.raises(DataError, match=r"its store\.json is damaged"):
        Store(tmp_path / "store")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(DataError, match="holds other files"):
        write_store(tmp_path / "mine", [clip("a", "train", 3, rng)])
    with pytest.raises(DataError, match="is a file"):
        write_store(tmp_path / "old.npz", [clip("a", "train", 3, rng)])


def test_a_clip_whose_arrays_do_not_fit_is_refused(tmp_path, rng):
    good = clip("a", "train", 3, rng)
    with pytest.raises(DataError, match=r"a: `poses` has shape \(2, 55, 3\), expected 3 x 165"):
        write_store(tmp_path / "store", [replace(good, poses=good.poses[:2])])
    poses = good.poses.copy()
    poses[1, 4, 2] = np.nan
    with pytest.raises(DataError, match="a: `poses` has values that are no numbers"):
        write_store(tmp_path / "store", [replace(good, poses=poses)])
    assert list(tmp_path.iterdir()) == []


def test_a_mirrored_clip_hears_the_same(rng):
    stored = clip("a", "train", 10, rng)
    np.testing.assert_array_equal(stored.mirrored().speech, stored.speech)
    assert not np.allclose(stored.mirrored().poses, stored.poses)


@pytest.mark.parametrize(
    ("caption", "mirrored"),
    [
        ("raises the right hand", "raises the left hand"),
        ("Left, then right.", "right, then left."),
        ("steps leftwards", "steps rightwards"),
        ("turns clockwise", "turns counterclockwise"),
        ("is brightly dressed and leftover", "is brightly dressed and leftover"),
    ],
)
def test_captions_change_sides(caption, mirrored):
    assert mirrored_caption(caption) == mirrored
