import pickle
from pathlib import Path

import numpy as np
import pytest
import raw_corpora

from cospeech import positions
from cospeech.body import joint_positions, mannequin
from cospeech.cli import main
from cospeech.data import amass, humanml3d, prepare
from cospeech.data.store import Store
from cospeech.data.stored import StoredClip
from cospeech.errors import DataError
from cospeech.skeleton import INDEX, JOINTS, MIRROR

ROWS = {
    "000000": "./pose_data/KIT/3/kick high_poses.npy,10,41",
    "000001": "./pose_data/Eyes_Japan_Dataset/aita/turn_poses.npy,3,43",
    "000002": "./pose_data/humanact12/humanact12/P01.npy,0,-1",
    "000003": "./pose_data/Transitions_mocap/m/a_poses.npy,0,-1",
}
TEXTS = {
    "000000": "he raises his left hand.#he/PRON raise/VERB his/DET left/ADJ hand/NOUN#0.0#0.0\n"
    "waits#wait/VERB#nan#nan\nthen kicks#kick/VERB#0.5#1.2\n",
    "M000000": "he raises his right hand.#a/DET#0.0#0.0\nthen kicks#kick/VERB#0.5#1.2\n",
    "000001": "turns#turn/VERB#0.2#0.4\n",
    "M000001": "turns#turn/VERB#0.0#0.0\n",
    "000002": "sits#sit/VERB#0.0#0.0\n",
    "M000002": "sits#sit/VERB#0.0#0.0\n",
    "000003": "falls#fall/VERB#0.0#0.0\n",
    "M000003": "falls#fall/VERB#0.0#0.0\n",
}
SPLITS = {
    "train": ["000000", "M000000", "000002", "M000002", "000003", "M000003"],
    "val": ["000001"],
    "test": ["M000001"],
}


@pytest.fixture
def corpus(tmp_path) -> tuple[Path, Path]:
    source, amass = tmp_path / "HumanML3D", tmp_path / "AMASS"
    raw_corpora.write_amass(amass / "KIT" / "3" / "kick high_poses.npz", raw_corpora.moving(300, 100), smplh=True)
    turn = raw_corpora.moving(360, 60)
    raw_corpora.write_amass(amass / "Eyes_Japan_Dataset" / "aita" / "turn_poses.npz", turn, smplh=True)
    raw_corpora.write_amass(
        amass / "Transitions" / "m" / "a_poses.npz", raw_corpora.moving(120, 60, seed=1), smplh=True
    )
    raw_corpora.write_humanml3d(source, ROWS, SPLITS, TEXTS)
    sitting = raw_corpora.moving(40, 20)
    joints = joint_positions(mannequin("light"), sitting.poses, sitting.translation)[:, :24]
    (source / "pose_data" / "humanact12" / "humanact12").mkdir(parents=True)
    np.save(source / "pose_data" / "humanact12" / "humanact12" / "P01.npy", joints * [-1, 1, 1])
    return source, amass


def made(source: Path, amass: Path) -> dict[str, StoredClip]:
    prepare.run(humanml3d.jobs(source, amass), source / "store", "humanml3d")
    store = Store(source / "store")
    return {info.id.removeprefix("humanml3d/"): store.clip(n) for n, info in enumerate(store.infos)}


def test_the_frames_captions_and_splits_that_were_published(corpus):
    clips = made(*corpus)
    assert list(clips) == [
        *("000000", "000000/0.5-1.2", "M000000", "M000000/0.5-1.2"),
        *("000001", "000001/0.2-0.4", "M000001", "000002", "M000002", "000003", "M000003"),
    ]
    assert clips["000000"].info.captions == ("he raises his left hand.", "waits")
    assert clips["M000000"].info.captions == ("he raises his right hand.",)
    assert clips["000000/0.5-1.2"].info.captions == ("then kicks",)
    assert clips["000001"].info.captions == ()
    assert {name: clip.info.split for name, clip in clips.items() if "000001" in name} == {
        "000001": "val",
        "000001/0.2-0.4": "val",
        "M000001": "test",
    }
    # the pelvis goes ahead by a metre a second
    for name, start_s, end_s in (
        ("000000", 0.5, 2.05),
        ("000000/0.5-1.2", 1.0, 1.7),
        ("000001", 3.15, 5.15),  # three seconds are left out in front
        ("000001/0.2-0.4", 3.35, 3.55),
        ("000003", 0.5, 2.0),  # and here half a second
        ("000002", 0.0, 2.0),
    ):
        clip = clips[name]
        assert clip.info.num_frames == pytest.approx((end_s - start_s) * 30, abs=1), name
        assert clip.translation[0, 2] == pytest.approx(start_s, abs=0.035), name
    assert clips["000002"].info.has == ("lower", "upper")
    assert clips["000002"].info.licence.startswith("HumanAct12")
    assert "KIT" in clips["M000000"].info.licence


def test_a_part_may_end_behind_the_clip(corpus):
    source, amass = corpus
    (source / "HumanML3D" / "texts" / "M000001.txt").write_text("turns#turn/VERB#1.5#inf\n")
    assert made(source, amass)["M000001/1.5-inf"].info.num_frames == 15


def test_jobs_go_to_other_processes(corpus):
    jobs = humanml3d.jobs(*corpus)
    assert [job.id for job in pickle.loads(pickle.dumps(jobs))] == [job.id for job in jobs]
    prepare.run(jobs, corpus[0] / "store", "humanml3d", workers=2)
    assert len(Store(corpus[0] / "store").infos) == len(jobs)


def test_mirrored_copies_exchange_the_right_fingers(corpus):
    clips = made(*corpus)
    body = mannequin("light")
    original, mirrored = (
        joint_positions(body, clips[name].poses, clips[name].translation) for name in ("000000", "M000000")
    )
    pelvis = original[:, :1] * [1, 0, 1]
    np.testing.assert_allclose(
        (original - pelvis)[:, MIRROR], ((mirrored - mirrored[:, :1] * [1, 0, 1]) * [-1, 1, 1]), atol=2e-3
    )
    for j, name in enumerate(JOINTS):
        if name.startswith("left_index"):
            other = INDEX[name.replace("left", "right")]
            np.testing.assert_allclose(
                clips["M000000"].poses[:, other], clips["000000"].poses[:, j] * [1, -1, -1], atol=1e-6
            )


@pytest.mark.parametrize(
    ("subset", "rate", "start_s", "end_s"),
    [
        ("KIT", 100, 0.25, 1.5),  # every fifth frame was taken: 20 a second
        ("CMU", 50, 0.2, 1.2),  # every other: 25, counted as if they were 20
        ("HumanEva", 59.94, 10 / 59.94, 60 / 59.94),
        ("CMU", 30, 5 / 30, 1.0),
        ("Eyes_Japan_Dataset", 60, 3.25, 4.5),
        ("MPI_HDM05", 120, 3.25, 4.5),
        ("TotalCapture", 60, 1.25, 2.5),
        ("MPI_Limits", 50, 1.0, 2.0),  # 20 frames of 25 a second in front
        ("Transitions_mocap", 60, 0.75, 2.0),
    ],
)
def test_frames_5_to_30_of_the_index_are_those_that_were_taken(subset, rate, start_s, end_s, tmp_path):
    path = tmp_path / subset / "s" / "a_poses.npz"
    raw_corpora.write_amass(path, raw_corpora.moving(round(5 * rate), rate), smplh=True)
    row = humanml3d.Row(f"{subset}/s/a_poses.npy", 5, 30)
    (clip,) = humanml3d.read(humanml3d.Take("000009", "train", row, amass.Take(f"{subset}/s/a", path, None), ()))
    assert clip.info.num_frames == pytest.approx(30 * (end_s - start_s), abs=1)
    assert clip.translation[0, 2] == pytest.approx(start_s, abs=0.02)  # z is the time


def test_positions_of_humanact12_become_rotations_of_the_same_person(corpus):
    clip = made(*corpus)["000002"]
    motion = raw_corpora.moving(40, 20)
    wanted = joint_positions(mannequin("light"), motion.poses, motion.translation)[::2, positions.BODY]
    found = joint_positions(mannequin("light"), clip.poses, clip.translation)[::3, positions.BODY]
    np.testing.assert_allclose(found, wanted, atol=1e-3)


DAMAGE = {
    "no text": r"texts/000000\.txt: cannot be read",
    "odd text": r"texts/000000\.txt: has a line that is not like",
    "no motion": r"the motion KIT/3/kick_high of AMASS is missing",
    "bad motion": "not an npz archive",
    "in no list": r"is in none of train\.txt, val\.txt, test\.txt",
    "too short": "another recording, or a wrong frame rate",
    "part behind the end": "no such part",
    "no positions": r"humanact12\.zip",
    "exchanged": "toes point backwards",
    "pickled": "pickled Python objects",
    "other positions": r"expected \(frames, 24, 3\)",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_clip_is_left_out_with_its_reason(corpus, damage, capsys):
    source, amass = corpus
    text = source / "HumanML3D" / "texts" / "000000.txt"
    kick = amass / "KIT" / "3" / "kick high_poses.npz"
    pose = source / "pose_data" / "humanact12" / "humanact12" / "P01.npy"
    match damage:
        case "no text":
            text.unlink()
        case "odd text":
            text.write_text("he kicks#0.0\n")
        case "no motion":
            kick.unlink()
        case "bad motion":
            kick.write_bytes(b"hello")
        case "in no list":
            (source / "HumanML3D" / "train.txt").write_text("M000000\n")
        case "too short":
            raw_corpora.write_amass(kick, raw_corpora.moving(60, 100), smplh=True)
        case "part behind the end":
            text.write_text("kicks#kick/VERB#7.0#9.0\n")
        case "no positions":
            pose.unlink()
        case "exchanged":
            np.save(pose, np.load(pose) * [-1, 1, 1])
        case "pickled":
            np.save(pose, np.array([None]))
        case "other positions":
            np.save(pose, np.zeros((5, 66)))
    assert (
        main(["prepare", "humanml3d", str(source), str(source / "store"), "--amass", str(amass), "--workers", "1"]) == 0
    )
    shown = capsys.readouterr()
    store = Store(source / "store")
    (reason, *_) = (entry.reason for entry in store.dropped() if "\n" not in entry.reason)
    with pytest.raises(DataError, match=DAMAGE[damage]):
        raise DataError(reason)
    assert f"kept {len(store.infos)} clips, left out {len(store.dropped())}" in shown.out
    assert len(store.infos) >= 4


def test_lists_that_contradict_each_other_are_one_line(corpus, capsys):
    source, amass = corpus
    lists, index = source / "HumanML3D", source / "index.csv"

    def says(*more: str) -> str:
        assert main(["prepare", "humanml3d", str(source), str(source / "store"), *more]) == 2
        shown = capsys.readouterr().err
        assert shown.count("\n") == 1
        return shown

    with_motions = ("--amass", str(amass))
    assert "Name the folder of AMASS with --amass" in says()
    (lists / "test.txt").write_text("M000001\n000000\n")
    assert "test.txt: has 000000, which is in train.txt, too" in says(*with_motions)
    (lists / "test.txt").unlink()
    assert "test.txt: cannot be read" in says(*with_motions)
    good = index.read_text()
    index.write_text(good + "x,0,1,000001.npy\n")
    assert "line 6: a second 000001" in says(*with_motions)
    index.write_text(good.replace(",10,41", ",ten,41"))
    assert "line 2: start_frame and end_frame must be numbers" in says(*with_motions)
    index.write_text("path\nx\n")
    assert "index.csv: is no table of source_path" in says(*with_motions)
    index.unlink()
    assert "index.csv: cannot be read" in says(*with_motions)


def test_a_name_that_the_index_lacks_is_left_out(corpus):
    source, amass = corpus
    with (source / "HumanML3D" / "test.txt").open("a") as file:
        file.write("999999\n")
    made(source, amass)
    (entry,) = Store(source / "store").dropped()
    assert (entry.id, entry.reason) == ("humanml3d/999999", "is in test.txt, but not in index.csv")
