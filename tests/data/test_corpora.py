"""The corpora of other skeletons: tiny ones in the same layout, and, marked `data`, the real ones."""

import json
import os
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cospeech.body import joint_positions, mannequin, skin
from cospeech.data import bandai_namco, cmu
from cospeech.data.clips import Clip
from cospeech.errors import DataError
from cospeech.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from cospeech.skeleton import INDEX

FILES = {
    bandai_namco: ("motions_30fps.npz", "clips.jsonl"),
    cmu: ("cmu_s01_s03_30fps.npz", "cmu_s01_s03.jsonl"),
}
CORPORA = pytest.mark.parametrize("corpus", FILES, ids=["bandai_namco", "cmu"])


@pytest.fixture(scope="module")
def body():
    return mannequin("light")


def pack(folder: Path, corpus, body) -> Path:
    """Two clips of 5 and 7 frames, sliding forward in our T pose, on a skeleton of the corpus's joints and no turns."""
    names = corpus._JOINTS
    places = {ours: body.joints[INDEX[ours]].astype(float) for ours in names}
    parents = [-1] + [0] * (len(names) - 1)  # a star: with no turns only the places count
    offsets = np.array([places[name] - places["pelvis"] for name in names])
    count = 12
    trans = np.tile(places["pelvis"], (count, 1))
    trans[:, 2] += np.arange(count) / 30
    rotations = np.zeros((count, len(names), 3), np.float32)
    arrays = {"trans": trans, "parents": np.array(parents), "joint_names": np.array([*names.values()]), "fps": 30}
    arrays |= {"clip_start": np.array([0, 5]), "clip_len": np.array([5, 7]), "clip_names": np.array(["01_08", "02_01"])}
    if corpus is cmu:
        arrays |= {"poses": rotations, "offsets": np.stack([offsets] * 3), "clip_subject": np.array([0, 1])}
    else:
        arrays |= {"poses_i16": rotations.astype(np.int16), "pose_scale": 1e-4, "offsets": offsets[None]}
    labels = [{"id": "02_01", "frames": 7, "split": "train"}, {"id": "01_08", "frames": 5, "split": "val"}]
    motions, captions = FILES[corpus]
    np.savez(folder / motions, **arrays)
    written = {"captions": [{"text": "walk", "source": "cmu-index"}] if corpus is cmu else ["walk"]}
    (folder / captions).write_text("".join(json.dumps(label | written) + "\n" for label in labels))
    return folder


@CORPORA
def test_a_packed_corpus_is_read_by_label_not_by_order(tmp_path, body, corpus):
    clips = list(corpus.clips(pack(tmp_path, corpus, body), body.joints))
    name = corpus.__name__.rsplit(".", 1)[-1]
    assert [clip.id for clip in clips] == [f"{name}/02_01", f"{name}/01_08"]
    assert [len(clip.motion) for clip in clips] == [7, 5]
    assert [clip.split for clip in clips] == ["train", "val"]
    for clip in clips:
        assert clip.captions[0].text == "walk"
        assert (clip.licence, clip.has, clip.speech) == (corpus.LICENCE, {"upper", "lower"}, None)


@CORPORA
def test_limbs_point_where_they_pointed_and_the_body_travels(tmp_path, body, corpus):
    clip = next(corpus.clips(pack(tmp_path, corpus, body), body.joints))
    positions = joint_positions(body, clip.motion.poses, clip.motion.translation)
    for side in ("left", "right"):
        for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")):
            for a, b in pairwise(INDEX[f"{side}_{joint}"] for joint in limb):
                bone, rest = positions[0, b] - positions[0, a], body.joints[b] - body.joints[a]
                assert bone @ rest / np.linalg.norm(bone) / np.linalg.norm(rest) > np.cos(np.radians(1))
    travelled = np.linalg.norm((clip.motion.translation[-1] - clip.motion.translation[0])[[0, 2]])
    assert travelled == pytest.approx(6 / 30, abs=0.005)


@CORPORA
@pytest.mark.parametrize("damage", ["missing", "cut", "no labels", "bad labels", "other labels"])
def test_a_damaged_corpus_is_one_line(tmp_path, body, corpus, damage):
    motions, labels = (pack(tmp_path, corpus, body) / name for name in FILES[corpus])
    match damage:
        case "missing":
            motions.unlink()
        case "cut":
            motions.write_bytes(motions.read_bytes()[:-200])
        case "no labels":
            labels.unlink()
        case "bad labels":
            labels.write_text('["02_01"]\n{"id"')
        case "other labels":
            labels.write_text('{"id": "99_99"}\n')
    with pytest.raises(DataError) as caught:
        next(corpus.clips(tmp_path, body.joints))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


# --- the real ones ----------------------------------------------------------------------------------------------


def data(name: str) -> Path:
    return Path(os.environ["COSPEECH_DATA"]) / name


@pytest.fixture(scope="module")
def gestures(body) -> dict[str, list[Clip]]:
    """Some clips of each content of Bandai Namco."""
    folder = data("bandai_namco")
    labels = map(json.loads, (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines())
    content = {label["id"]: label["content"] for label in labels}
    by_content: dict[str, list[Clip]] = defaultdict(list)
    counted: Counter[str] = Counter()
    for clip in bandai_namco.clips(folder, body.joints):
        counted[clip.split] += 1
        by_content[content[clip.id.removeprefix("bandai_namco/")]].append(clip)
    assert counted == {"train": 907, "val": 56, "test": 51}
    return by_content


def share_above_chest(clip: Clip, body, side: str) -> float:
    positions = joint_positions(body, clip.motion.poses, clip.motion.translation)
    return float((positions[:, INDEX[f"{side}_wrist"], 1] > positions[:, INDEX["spine3"], 1]).mean())


def lowest_points(clip: Clip, body) -> np.ndarray:
    """Metres above the floor, every third of a second."""
    return skin(body, clip.motion.poses[::10], clip.motion.translation[::10])[..., 1].min(axis=1)


@pytest.mark.data
@pytest.mark.parametrize("content", ["wave-right-hand", "raise-up-right-hand", "wave-left-hand", "raise-up-left-hand"])
def test_the_hand_that_is_named_goes_up(gestures, body, content):
    side, other = ("left", "right") if "left" in content else ("right", "left")
    clips = gestures[content]
    assert len(clips) == 84
    assert np.mean([share_above_chest(clip, body, side) for clip in clips]) > 0.6
    assert max(share_above_chest(clip, body, other) for clip in clips) == 0
    wrists = joint_positions(body, clips[0].motion.poses, clips[0].motion.translation)[:, INDEX[f"{side}_wrist"], 0]
    assert (np.sign(wrists) == (1 if side == "left" else -1)).mean() > 0.9


@pytest.mark.data
def test_walks_go_forward_and_feet_stay_on_the_floor(gestures, body):
    speeds, heights = [], []
    for clip in gestures["walk"]:
        speeds.append((clip.motion.translation[-1] - clip.motion.translation[0]) / clip.motion.duration_s)
        low = lowest_points(clip, body)
        assert low.min() > -0.05, clip.id
        heights.append(np.median(low))
    across, _, ahead = np.mean(speeds, axis=0)
    assert ahead == pytest.approx(1.1, abs=0.15)
    assert abs(across) < 0.1
    assert np.median(heights) < 0.01
    assert np.max(heights) < 0.05


@pytest.mark.data
def test_no_joint_jumps(gestures):
    """Between two frames no more than a fast human turns: retargeting adds no flips."""
    for clips in gestures.values():
        for clip in clips[:3]:
            turned = axis_angle_to_matrix(clip.motion.poses[:, :22])
            step = matrix_to_axis_angle(np.swapaxes(turned[:-1], -1, -2) @ turned[1:])
            assert np.degrees(np.linalg.norm(step, axis=-1)).max() < 90, clip.id


@pytest.mark.data
def test_cmu_is_complete_and_walks(body):
    clips = {clip.id.removeprefix("cmu/"): clip for clip in cmu.clips(data("cmu"), body.joints)}
    assert Counter(clip.split for clip in clips.values()) == {"train": 23, "test": 3, "val": 2}
    assert sum(len(clip.motion) for clip in clips.values()) == 19_451
    assert Counter(c.source for clip in clips.values() for c in clip.captions) == {"cmu-index": 28, "kit-ml": 6}
    for name, speed in (("02_01", 1.1), ("02_02", 1.5), ("02_03", 2.4)):
        motion = clips[name].motion
        assert (motion.translation[-1, 2] - motion.translation[0, 2]) / motion.duration_s == pytest.approx(
            speed, abs=0.15
        )
        low = lowest_points(clips[name], body)
        assert -0.03 < low.min() < 0.05
    assert all(("scenery" in clip.tags) == name.startswith("01") for name, clip in clips.items())
