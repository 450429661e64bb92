import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cospeech import cli, positions, rotation
from cospeech.body import joint_positions, mannequin
from cospeech.data import statistics as measures
from cospeech.data.statistics import joint_speed, statistics
from cospeech.data.store import write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import DataError


def clip(name, num_frames, rng, split="train", speaker="2"):
    info = ClipInfo(name, split, "made up", "free", num_frames, ("upper",), speaker=speaker)
    poses = np.cumsum(rng.normal(size=(num_frames, 55, 3)) * 0.02, axis=0).astype(np.float32)
    translation = np.cumsum(rng.normal(size=(num_frames, 3)) * 0.01, axis=0).astype(np.float32)
    return StoredClip(info, poses, translation, np.zeros((num_frames, 52)), np.zeros((num_frames, 68)))


def test_pieces_and_clips_count_as_one_long_table(rng, monkeypatch):
    clips = [clip("a", 50, rng), clip("b", 33, rng), clip("too short", 1, rng)]
    monkeypatch.setattr(measures, "_CHUNK", 16)
    found = statistics(clips, mannequin("light"))
    rotations = np.concatenate([rotation.axis_angle_to_rotation_6d(c.poses).reshape(-1, 330) for c in clips[:2]])
    vectors = np.concatenate([positions.vectors(c.poses, c.translation) for c in clips[:2]])
    for name, rows in (("rotations", rotations), ("humanml3d", vectors)):
        np.testing.assert_allclose(found[f"{name}.mean"], rows.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(found[f"{name}.std"], rows.std(axis=0), atol=1e-4)
    joints = [joint_positions(mannequin("light"), c.poses, c.translation) for c in clips[:2]]
    speeds = np.concatenate([np.linalg.norm(np.gradient(each, 1 / 30, axis=0), axis=-1) for each in joints])
    np.testing.assert_allclose(found["joint_speed"], speeds.mean(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(joint_speed(clips, mannequin("light")), found["joint_speed"])
    assert found["translation.mean"][1] == pytest.approx(
        np.concatenate([c.translation for c in clips[:2]])[:, 1].mean()
    )
    with pytest.raises(DataError, match="no clips of at least two frames"):
        statistics(clips[2:], mannequin("light"))


def test_the_command_measures_the_part_that_is_asked_for(tmp_path, rng, capsys):
    clips = [clip("a", 20, rng), clip("b", 30, rng, speaker="4"), clip("c", 25, rng, split="test", speaker="4")]
    write_store(tmp_path / "store", clips)
    out = tmp_path / "four.safetensors"
    assert cli.main(["statistics", str(tmp_path / "store"), str(out), "--speakers", "4"]) == 0
    assert "of 1 clips" in capsys.readouterr().out
    wanted = statistics(clips[1:2], mannequin("light"))
    found = load_file(out)
    assert found.keys() == wanted.keys()
    np.testing.assert_array_equal(found["joint_speed"], wanted["joint_speed"])
    for arguments, message in (
        (["four.npz"], "can be written as .safetensors"),
        ([str(out), "--speakers", "9"], "has no such clip"),
        ([str(out), "--sources", "beat2"], "has no such clip"),
    ):
        assert cli.main(["statistics", str(tmp_path / "store"), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_speeds_of_joints_are_read_from_either_kind_of_file(tmp_path):
    speeds = np.linspace(0, 1, 55, dtype=np.float32)
    np.save(tmp_path / "published.npy", speeds.astype(np.float64))
    save_file({"joint_speed": speeds, "else": speeds}, tmp_path / "ours.safetensors")
    for name in ("published.npy", "ours.safetensors"):
        np.testing.assert_array_equal(measures.read_joint_speed(tmp_path / name), speeds)


@pytest.mark.parametrize("bad", [np.zeros(54), np.full(55, np.nan), np.full(55, -1.0), None])
def test_files_of_other_speeds_are_one_line(bad, tmp_path):
    for name in ("speeds.npy", "speeds.safetensors"):
        path = tmp_path / name
        path.write_bytes(b"nothing")
        if bad is not None:
            np.save(path, bad) if path.suffix == ".npy" else save_file({"joint_speed": bad}, path)
        with pytest.raises(DataError, match=rf"{name}: (must hold 55 speeds|cannot be read|is neither)"):
            measures.read_joint_speed(path)
    with pytest.raises(DataError, match="is neither"):
        measures.read_joint_speed(tmp_path)
