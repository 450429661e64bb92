import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import raw_corpora

from cospeech.body import mannequin
from cospeech.cli import main
from cospeech.data import amass, cmu, prepare
from cospeech.data.store import Store
from cospeech.errors import DataError
from cospeech.motion import Motion
from cospeech.rotation import axis_angle_to_matrix
from cospeech.skeleton import INDEX


def made(source: Path, out: Path, smplh: Path | None = None) -> Store:
    prepare.run(amass.jobs(source, smplh), out, "amass")
    return Store(out)


@pytest.fixture(scope="module")
def motion() -> Motion:
    return raw_corpora.moving(120, 60)


def test_smplx_gets_the_frame_rate_of_its_twin_and_thirty_frames_a_second(tmp_path, motion):
    raw_corpora.write_amass(tmp_path / "X" / "CMU" / "01" / "01_01_stageii.npz", motion, fps=120)
    raw_corpora.write_amass(tmp_path / "H" / "CMU" / "01" / "01_01_poses.npz", motion, smplh=True)
    (clip,) = made(tmp_path / "X", tmp_path / "store", tmp_path / "H").clips("train")
    assert (clip.info.id, clip.info.source, clip.info.num_frames) == ("amass/CMU/01/01_01", "amass", 60)
    assert "CMU" in clip.info.licence
    assert "non-commercial" in clip.info.licence
    np.testing.assert_allclose(
        axis_angle_to_matrix(clip.poses), axis_angle_to_matrix(motion.poses[::2].astype(float)), atol=1e-5
    )
    np.testing.assert_allclose(clip.translation, motion.translation[::2], atol=1e-5)
    np.testing.assert_allclose(clip.betas[:16], np.linspace(-1, 1, 16), atol=1e-6)


def test_smplh_is_right_by_itself(tmp_path, motion):
    raw_corpora.write_amass(tmp_path / "H" / "KIT" / "3" / "walk_poses.npz", motion, smplh=True)
    (clip,) = made(tmp_path / "H", tmp_path / "store").clips("train")
    assert (clip.info.source, clip.info.num_frames) == ("amass", 60)
    np.testing.assert_allclose(clip.translation, motion.translation[::2], atol=1e-5)
    assert not clip.betas.any()


def test_a_clip_without_a_twin_keeps_its_own_rate_and_the_table_says_how_many(tmp_path, motion):
    x, h = tmp_path / "X", tmp_path / "H"
    for name in ("CMU/01/01_01", "CMU/01/01_02", "BMLmovi/Subject_1/a_1", "DFaust/50002/hop", "BMLhandball/S01/t_1"):
        raw_corpora.write_amass(x / f"{name}_stageii.npz", motion, fps=120)
    for name in ("CMU/01/01_01", "BMLmovi/Subject_1/a_1", "DFaust_67/50002/hop", "BMLhandball/S01/t_1"):
        raw_corpora.write_amass(h / f"{name}_poses.npz", motion, smplh=True)
    store = made(x, tmp_path / "store", h)
    assert {info.id: info.num_frames for info in store.infos if info.source == "amass"} == {"amass/CMU/01/01_01": 60}
    own = [info for info in store.infos if info.source == "amass (own rate)"]
    assert {info.num_frames for info in own} == {30}
    assert ("amass (own rate)", "", "train", "4") in [row[:4] for row in prepare.table(store)]


def test_names_without_spaces_splits_and_hands(tmp_path, motion):
    still = raw_corpora.moving(12, 60, hands=False)
    x, h = tmp_path / "X", tmp_path / "H"
    raw_corpora.write_amass(x / "HDM05" / "bd" / "HDM_bd_cut_stageii.npz", motion, fps=120)
    raw_corpora.write_amass(h / "MPI_HDM05" / "bd" / "HDM bd cut_poses.npz", motion, smplh=True)
    raw_corpora.write_amass(x / "SSM" / "s" / "a_stageii.npz", still)
    for shape in ("shape", "male_stagei", "neutral_stagei"):
        np.savez(x / "SSM" / "s" / f"{shape}.npz", betas=np.zeros(16))
    infos = made(x, tmp_path / "store", h).infos
    assert [(info.id, info.split, info.source) for info in infos] == [
        ("amass/MPI_HDM05/bd/HDM_bd_cut", "val", "amass"),
        ("amass/SSM_synced/s/a", "test", "amass (own rate)"),
    ]
    assert [info.has for info in infos] == [("hands", "lower", "upper"), ("lower", "upper")]


def test_subsets_may_be_links_and_the_folder_a_subset(tmp_path, motion, monkeypatch):
    raw_corpora.write_amass(tmp_path / "disk" / "KIT" / "3" / "a_poses.npz", motion, smplh=True)
    (tmp_path / "AMASS").mkdir()
    (tmp_path / "AMASS" / "KIT").symlink_to(tmp_path / "disk" / "KIT")
    monkeypatch.chdir(tmp_path / "disk" / "KIT")
    for folder in (tmp_path / "AMASS", tmp_path / "disk" / "KIT", Path(".")):
        assert [take.name for take in amass.takes(folder)] == ["KIT/3/a"]


def test_rotations_are_interpolated_along_the_arc(tmp_path):
    """A quarter turn in each of 100 frames a second: between them it is not a straight line of axis-angles."""
    poses = np.zeros((100, 55, 3))
    poses[:, INDEX["left_shoulder"], 1] = (np.arange(100) * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi
    motion = Motion(poses, np.tile([0, 1.3, 0], (100, 1)), 100)
    raw_corpora.write_amass(tmp_path / "A" / "b" / "c_poses.npz", motion, smplh=True)
    (clip,) = made(tmp_path, tmp_path.with_name("turning.store")).clips("train")
    assert clip.info.num_frames == 30
    wanted = np.zeros((30, 3))
    wanted[:, 1] = np.arange(30) / 30 * 100 * np.pi / 2
    found = axis_angle_to_matrix(clip.poses[:, INDEX["left_shoulder"]])
    np.testing.assert_allclose(found, axis_angle_to_matrix(wanted), atol=1e-4)


DAMAGE = {
    "corrupt": "not an npz archive",
    "cut": "not an npz archive, or cut short",
    "nan": "NaN",
    "frames": r"`trans` has shape \(60, 3\), expected \(120, 3\)",
    "columns": r"expected \(frames, 165\)",
    "rate": "no frame rate",
    "no motion": "no array `poses`",
    "twin": "not an npz archive",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_clip_is_left_out_with_its_reason(tmp_path, motion, damage, capsys):
    x, h = tmp_path / "X", tmp_path / "H"
    raw_corpora.write_amass(x / "CMU" / "01" / "good_stageii.npz", motion)
    bad, twin = x / "CMU" / "01" / "bad_stageii.npz", h / "CMU" / "01" / "bad_poses.npz"
    poses = motion.poses.reshape(120, -1).copy()
    poses[7, 9] = np.nan
    changes = {
        "nan": {"poses": poses},
        "frames": {"trans": np.zeros((60, 3))},
        "columns": {"poses": np.zeros((120, 72))},
        "rate": {"mocap_frame_rate": None},
        "no motion": {"poses": None},
    }
    raw_corpora.write_amass(bad, motion, **changes.get(damage, {}))
    raw_corpora.write_amass(h / "KIT" / "1" / "other_poses.npz", motion, smplh=True)
    if damage == "corrupt":
        bad.write_bytes(b"hello")
    if damage == "cut":
        bad.write_bytes(bad.read_bytes()[:-100])
    if damage == "twin":
        twin.parent.mkdir(parents=True)
        twin.write_bytes(b"hello")
    arguments = ["prepare", "amass", str(x), str(tmp_path / "store"), "--smplh", str(h), "--workers", "1"]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert "kept 1 clips, left out 1" in shown.out
    assert shown.err.startswith("left out: amass/CMU/01/bad: ")
    assert shown.err.count("\n") == 1
    assert [info.id for info in Store(tmp_path / "store").infos] == ["amass/CMU/01/good"]
    with pytest.raises(DataError, match=DAMAGE[damage]):
        list(amass.read(amass.takes(x, h)[0]))


def test_what_cannot_be_prepared_is_one_line(tmp_path, motion, capsys):
    x, h = tmp_path / "X", tmp_path / "H"
    raw_corpora.write_amass(x / "CMU" / "01" / "a_stageii.npz", motion)
    (tmp_path / "empty").mkdir()
    store = str(tmp_path / "store")

    def says(*arguments: str) -> str:
        assert main(["prepare", *arguments]) == 2
        shown = capsys.readouterr().err
        assert shown.count("\n") == 1
        return shown

    assert "empty: no SUBSET/SUBJECT/*.npz" in says("amass", str(tmp_path / "empty"), store)
    assert "_poses.npz below it" in says("amass", str(x), store, "--smplh", str(tmp_path / "empty"))
    assert "--speakers: is for beat2, not for amass" in says("amass", str(x), store, "--speakers", "2")
    assert "--smplh: is for amass and humanml3d, not for beat2" in says("beat2", str(x), store, "--smplh", str(h))
    raw_corpora.write_amass(x / "CMU" / "01" / "a_poses.npz", motion, smplh=True)
    assert "The id amass/CMU/01/a is that of several clips" in says("amass", str(x), store)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "store.json").write_text('{"version": 1, "corpus": "", "shards": 1}')
    (x / "CMU" / "01" / "a_poses.npz").unlink()
    refused = says("amass", str(x), str(tmp_path / "old"))
    assert "a store of version 1, expected 2. Remove the folder, then make it again" in refused
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_is_one_line_and_what_is_finished_stays(tmp_path, motion, workers):
    long = motion.join(*[motion] * 8)
    raw_corpora.write_amass(tmp_path / "X" / "CMU" / "01" / "a_stageii.npz", motion[0:0.1])
    raw_corpora.write_amass(tmp_path / "X" / "CMU" / "01" / "b_stageii.npz", long)
    command = ["prepare", "amass", str(tmp_path / "X"), str(tmp_path / "store"), "--workers", workers]
    run = subprocess.run(
        [sys.executable, "-m", "cospeech", *command],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.strip().startswith("error: ")
    assert run.stderr.strip().count("\n") == 0
    assert "00001.arrow: cannot be written" in run.stderr
    assert "File too large" in run.stderr
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"store.json", "00000.arrow", "00000.json"}
    assert main(command) == 0  # and it goes on where it was
    assert len(Store(tmp_path / "store").infos) == 2


@pytest.mark.data
def test_a_real_walk_keeps_its_speed(tmp_path):
    """CMU 02_01, as SMPL-X that says 120 frames a second and has 60, with and without its twin."""
    body = mannequin("light")
    folder = Path(os.environ["COSPEECH_DATA"]) / "cmu"
    walk = next(clip.motion for clip in cmu.clips(folder, body.joints) if clip.id == "cmu/02_01").resample(60)
    raw_corpora.write_amass(tmp_path / "X" / "CMU" / "02" / "02_01_stageii.npz", walk, fps=120)
    raw_corpora.write_amass(tmp_path / "H" / "CMU" / "02" / "02_01_poses.npz", walk, smplh=True)
    for smplh, speed in ((tmp_path / "H", 1.1), (None, 2.2)):
        (clip,) = made(tmp_path / "X", tmp_path / f"{speed}.store", smplh).clips("train")
        travelled = np.linalg.norm((clip.translation[-1] - clip.translation[0])[[0, 2]])
        assert travelled / (clip.info.num_frames / 30) == pytest.approx(speed, rel=0.1)
        assert clip.info.has == ("lower", "upper")
