import numpy as np
import pytest

from cospeech import rotation
from cospeech.data.store import ClipInfo, Store, StoredClip, mirrored_caption, write_store
from cospeech.errors import DataError


def clip(name, split, num_frames, rng, has=("upper", "speech")):
    info = ClipInfo(name, split, "made up", "none", num_frames, has, ("waves",))
    return StoredClip(
        info,
        poses=rng.uniform(-1.8, 1.8, size=(num_frames, 55, 3)),
        translation=np.cumsum(rng.normal(size=(num_frames, 3)), axis=0),
        face=rng.uniform(size=(num_frames, 52)),
        speech=rng.uniform(-3.9, 3.9, size=(num_frames, 68)),
    )


def test_what_is_stored_comes_back_within_the_stated_steps(tmp_path, rng):
    clips = [clip("a", "train", 40, rng), clip("b", "test", 1, rng), clip("c", "train", 33, rng)]
    write_store(tmp_path / "store.npz", clips)
    back = list(Store(tmp_path / "store.npz").clips("train"))
    assert [c.info for c in back] == [clips[0].info, clips[2].info]
    for there, here in zip((clips[0], clips[2]), back, strict=True):
        np.testing.assert_allclose(here.poses, there.poses, atol=1e-4)
        np.testing.assert_allclose(here.translation, there.translation, atol=1e-4)
        np.testing.assert_allclose(here.face, there.face, atol=1 / 255)
        np.testing.assert_allclose(here.speech, there.speech, atol=1 / 32)
    assert [c.info.id for c in Store(tmp_path / "store.npz").clips("test")] == ["b"]
    assert list(Store(tmp_path / "store.npz").clips("val")) == []


def test_rotations_near_half_a_turn_survive(tmp_path, rng):
    stored = clip("a", "train", 30, rng)
    stored.poses[:, 0] = [np.pi, 0, 0]
    stored.poses[1::2, 0] = [-np.pi, 0, 0]  # the same rotation, as far away as numbers get
    write_store(tmp_path / "store.npz", [stored])
    back = next(Store(tmp_path / "store.npz").clips("train"))
    there, here = (rotation.axis_angle_to_matrix(poses[:, 0]) for poses in (stored.poses, back.poses))
    np.testing.assert_allclose(here, there, atol=1e-3)


def test_a_mirrored_clip_hears_the_same(rng):
    stored = clip("a", "train", 10, rng)
    np.testing.assert_array_equal(stored.mirrored().speech, stored.speech)
    assert not np.allclose(stored.mirrored().poses, stored.poses)


def test_errors_name_the_file(tmp_path):
    with pytest.raises(DataError, match="no such store"):
        Store(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"text\.npz"):
        Store(tmp_path / "text.npz")
    with pytest.raises(DataError, match="no clips"):
        write_store(tmp_path / "empty.npz", [])


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
