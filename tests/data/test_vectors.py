import json
import os
from pathlib import Path

import numpy as np
import pytest
import raw_corpora

from cospeech import humanml3d, positions
from cospeech.body import joint_positions, mannequin
from cospeech.cli import main
from cospeech.data import vectors
from cospeech.data.clips import Clip, pack
from cospeech.data.store import Store, write_store
from cospeech.errors import DataError
from cospeech.motion import Motion

GROUPS = {"263": [1, 2, 1, 63, 126, 66, 4], "623": [1, 2, 1, 153, 306, 156, 4]}


def clip(name: str, split: str, motion: Motion, licence: str = "none"):
    return pack(Clip(name, split, motion, None, (), licence, frozenset({"upper", "lower"})), "made up")


@pytest.fixture
def store(tmp_path) -> Path:
    clips = [
        clip(f"made_up/{name}", split, raw_corpora.moving(frames, 30, seed=frames))
        for name, split, frames in (
            ("a", "train", 90),
            ("M/b", "train", 60),
            ("c", "test", 45),
            ("c/1-2", "train", 30),
            ("short", "val", 1),
        )
    ]
    write_store(tmp_path / "store", clips, "made up")
    return tmp_path / "store"


@pytest.mark.parametrize(("kind", "frames"), [("263", [59, 39, 29]), ("623", [89, 59, 44])])
def test_other_people_s_files(store, tmp_path, kind, frames, capsys):
    out = tmp_path / "out"
    assert main(["vectors", str(store), str(out), "--kind", kind]) == 0
    assert f"{kind} numbers a frame" in capsys.readouterr().out
    read = {name: np.load(out / "new_joint_vecs" / f"{name}.npy") for name in ("a", "M/b", "c")}
    assert [array.shape for array in read.values()] == [(count, int(kind)) for count in frames]
    assert all(array.dtype == np.float32 for array in read.values())
    assert not (out / "new_joint_vecs" / "c").exists()  # a part of what is there as a whole
    lists = [(out / f"{split}.txt").read_text().split() for split in ("train", "val", "test")]
    assert lists == [["a", "M/b"], [], ["c"]]
    learned = np.concatenate([read["a"], read["M/b"]]).astype(np.float64)
    np.testing.assert_allclose(np.load(out / "Mean.npy"), learned.mean(axis=0), atol=1e-5)
    deviation = np.load(out / "Std.npy")
    ends = np.cumsum(GROUPS[kind])
    for begin, end in zip([0, *ends], ends, strict=False):
        np.testing.assert_allclose(deviation[begin:end], learned.std(axis=0)[begin:end].mean(), atol=1e-5)
    about = json.loads((out / "about.json").read_text())
    assert (about["kind"], about["store"], about["licences"]) == (kind, "made up", ["none"])


def test_the_joints_of_the_clip_stand_in_its_vector(store, tmp_path):
    vectors.write(Store(store), tmp_path / "out", "623")
    motion = raw_corpora.moving(90, 30, seed=90)
    wanted = humanml3d.placed(
        joint_positions(mannequin("light"), motion.poses, motion.translation)[:, positions.JOINTS]
    )
    found = humanml3d.joint_positions(np.load(tmp_path / "out" / "new_joint_vecs" / "a.npy"))
    np.testing.assert_allclose(found, wanted[:-1], atol=1e-4)


def test_an_interrupted_run_goes_on_and_other_vectors_are_not_mixed_in(store, tmp_path):
    def stop(share: float) -> None:
        if share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vectors.write(Store(store), tmp_path / "out", "263", progress=stop)
    first = tmp_path / "out" / "new_joint_vecs" / "a.npy"
    made = first.stat().st_mtime_ns
    assert not (tmp_path / "out" / "Mean.npy").exists()
    vectors.write(Store(store), tmp_path / "out", "263")
    assert first.stat().st_mtime_ns == made
    assert (tmp_path / "out" / "Mean.npy").exists()
    with pytest.raises(DataError, match="holds other vectors"):
        vectors.write(Store(store), tmp_path / "out", "623")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(DataError, match="holds something else"):
        vectors.write(Store(store), tmp_path / "mine", "263")


def test_stores_without_a_mean_or_with_one_name_twice_are_refused(tmp_path):
    motion = raw_corpora.moving(9, 30)
    write_store(tmp_path / "test", [clip("x/a", "test", motion)])
    with pytest.raises(DataError, match="no clip for training"):
        vectors.write(Store(tmp_path / "test"), tmp_path / "out", "263")
    write_store(tmp_path / "twice", [clip("x/a", "train", motion), clip("y/a", "train", motion)])
    with pytest.raises(DataError, match="one name"):
        vectors.write(Store(tmp_path / "twice"), tmp_path / "other", "263")


@pytest.mark.data
def test_published_joints_through_a_store_come_near_their_published_vectors(tmp_path):
    """Their rotations on the mannequin, 30 frames a second and back; in deviations of the published data."""
    folder = Path(os.environ["COSPEECH_DATA"]) / "humanml3d_samples"
    joints, published = (np.load(folder / kind / "012314.npy") for kind in ("new_joints", "new_joint_vecs"))
    lengths = np.linalg.norm(joints[0, [4, 7, 18, 20]] - joints[0, [1, 4, 16, 18]], axis=-1)
    np.testing.assert_allclose(lengths, np.array(humanml3d.BONE_LENGTHS)[[4, 7, 18, 20]], atol=1e-5)
    same = humanml3d.with_bones(joints, humanml3d.BONE_LENGTHS)
    np.testing.assert_allclose(same, joints, atol=1e-4)
    motion = Motion(*positions.to_poses(joints, mannequin("light").joints), 20).resample(30)
    write_store(tmp_path / "store", [clip("humanml3d/012314", "train", motion)])
    vectors.write(Store(tmp_path / "store"), tmp_path / "out", "263")
    found = np.load(tmp_path / "out" / "new_joint_vecs" / "012314.npy")
    assert len(found) == len(joints) - 1
    apart = np.abs(found - published[: len(found)])
    assert apart[:, 4:67].mean() < 0.025  # metres
    assert apart[:, 1:3].mean() * 20 < 0.1  # metres a second
    back = humanml3d.joint_positions(found)
    np.testing.assert_allclose(np.linalg.norm(back[:, 4] - back[:, 1], axis=-1), lengths[0], atol=1e-4)
