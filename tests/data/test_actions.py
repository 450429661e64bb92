import re

import numpy as np
import pytest

from cospeech import limits, skeleton
from cospeech.body import joint_positions, joint_transforms, mannequin
from cospeech.data import actions, standing
from cospeech.data.actions import perform
from cospeech.data.moves import ACTIONS
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import DataError
from cospeech.metrics.obedience import CRITERIA
from cospeech.motion import Motion
from cospeech.prosody import NUM_FEATURES
from cospeech.rotation import axis_angle_to_matrix

REAL_STEP_M = 0.129  # 99.9th percentile of how far the fastest joint of the real minute goes in a frame
FEET_STEP_M = {"walk_forward": 0.16, "run": 0.27}  # twice to three times the speed of who walks or runs
ONE_SIDE = [name for name in ACTIONS if "left" not in name]  # left ones are mirror images, see below


def positions(motion):
    return joint_positions(mannequin("light"), motion.poses.astype(float), motion.translation.astype(float))


def of(joints, name):
    return joints[:, skeleton.INDEX[name]]


def middle(performed):
    return (performed.start + performed.end) // 2


def does(name, seed=0, num_frames=210, lasts=False):
    performed = perform(name, num_frames, 30, np.random.default_rng(seed), lasts=lasts)
    return performed, positions(performed.motion)


@pytest.fixture
def talking():
    """Arms and head that are never still, over legs that stand."""
    base = standing.stand(210, 30, np.random.default_rng(5))
    at, poses = np.arange(210) / 30, np.array(base.poses)
    for side, out in (("left", 1), ("right", -1)):
        poses[:, skeleton.INDEX[f"{side}_shoulder"], 2] = -out * (1.0 + 0.2 * np.sin(7 * at))
        poses[:, skeleton.INDEX[f"{side}_elbow"], 1] = -out * (1.2 + 0.3 * np.sin(5 * at + out))
    poses[:, skeleton.INDEX["head"], 0] = 0.1 * np.sin(6 * at)
    return Motion(poses, base.translation, 30, face=np.full((210, len(skeleton.ARKIT)), 0.1))


@pytest.mark.parametrize(("side", "other"), [("right", "left"), ("left", "right")])
def test_a_raised_hand_is_above_the_head_and_the_other_hangs(side, other):
    for seed in range(3):
        performed, joints = does(f"raise_{side}_hand", seed)
        frame = middle(performed)
        assert of(joints, f"{side}_wrist")[frame, 1] > of(joints, "head")[frame, 1]
        assert of(joints, f"{other}_wrist")[frame, 1] < of(joints, "spine2")[frame, 1]


def test_who_crouches_goes_down_and_keeps_the_feet_in_place():
    for seed in range(3):
        performed, joints = does("crouch", seed)
        frame = middle(performed)
        assert of(joints, "pelvis")[0, 1] - of(joints, "pelvis")[frame, 1] > 0.2
        feet = joints[:, skeleton.FEET]
        assert np.abs(feet - feet[0]).max() < 0.005
        # the weight is over the feet, or they would fall over backwards
        assert of(joints, "head")[frame, 2] > of(joints, "left_ankle")[frame, 2]


def test_who_points_right_stretches_the_right_arm_to_their_right():
    performed, joints = does("point_aside_right")
    reach = (of(joints, "right_index3") - of(joints, "right_shoulder"))[middle(performed)]
    assert reach[0] < -0.45
    assert abs(reach[1]) < 0.2


@pytest.mark.parametrize(
    ("name", "way"),
    [("step_right", (-1, 0)), ("step_left", (1, 0)), ("step_forward", (0, 1)), ("step_back", (0, -1))],
)
def test_who_steps_goes_there_foot_by_foot(name, way):
    performed, joints = does(name, num_frames=120)  # too short to come back
    feet = joints[:, skeleton.FEET][..., [0, 2]]
    assert ((feet[-1] - feet[0]) @ way).min() > 0.15
    ankles = joints[:, [skeleton.INDEX["left_ankle"], skeleton.INDEX["right_ankle"]], 1]
    assert (ankles - ankles[0]).min(axis=1).max() < 0.01  # one of them is always on the floor
    assert performed.end == 120


def test_head_turns_are_as_the_person_sees_them():
    for name, axis, sign in [("look_left", 0, 1), ("look_right", 0, -1), ("look_up", 1, 1), ("look_down", 1, -1)]:
        performed, _ = does(name)
        chain = [0, *(skeleton.INDEX[joint] for joint in ("spine1", "spine2", "spine3", "neck", "head"))]
        turn = np.linalg.multi_dot(axis_angle_to_matrix(performed.motion.poses[middle(performed), chain]))
        assert sign * (turn @ [0, 0, 1])[axis] > 0.4, name


def test_a_wave_goes_to_and_fro_beside_the_head():
    performed, joints = does("wave_right_hand", seed=1)
    x = of(joints, "right_wrist")[performed.start : performed.end, 0]
    high = of(joints, "right_wrist")[performed.start : performed.end, 1] > of(joints, "right_shoulder")[0, 1]
    assert np.sum(np.diff(np.sign(np.diff(x[high]))) != 0) >= 3


@pytest.mark.parametrize(
    ("action", "wanted"), [("clap", "claps"), ("bow", "bows"), ("crouch", "crouches"), ("run", "runs")]
)
def test_what_lasts_is_still_done_at_the_end(action, wanted):
    for seed in range(3):
        performed, _ = does(action, seed, 300, lasts=True)
        late = performed.motion.poses[150:], performed.motion.translation[150:]
        transforms = joint_transforms(mannequin(), *(each.astype(float) for each in late))
        assert CRITERIA[wanted](transforms, late[0], 30).done, seed
        assert performed.there < 100


@pytest.mark.parametrize("name", ["walk_forward", "run"])
def test_who_walks_gets_ahead_on_feet_that_stand_and_stops_upright(name):
    performed, joints = does(name, seed=1)
    speed = np.diff(of(joints, "pelvis")[:, 2]) * 30
    going = slice(performed.there, performed.end - 45)
    assert speed[going].mean() > {"walk_forward": 0.7, "run": 1.5}[name]
    assert len(speed[performed.end :]) > 30
    assert np.abs(speed[performed.end :]).max() < 0.1
    balls = joints[:, skeleton.FEET[2:]]
    slides = np.linalg.norm(np.diff(balls[..., [0, 2]], axis=0), axis=-1).min(axis=1) * 30
    assert np.median(slides) < 0.1


@pytest.mark.parametrize("name", ONE_SIDE)
def test_every_action_is_one_that_people_can_do(name):
    performed, joints = does(name, seed=2)
    assert np.degrees(limits.excess(performed.motion.poses).max()) < 1
    assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() < FEET_STEP_M.get(name, REAL_STEP_M)
    feet = joints[:, skeleton.FEET]
    assert (feet[..., 1] - feet[0, :, 1]).min() > -0.005


@pytest.mark.parametrize("name", ONE_SIDE)
def test_talking_hands_are_taken_and_given_back_without_a_jump(name, talking):
    performed = perform(name, 210, 30, np.random.default_rng(4), talking)
    steps = np.linalg.norm(np.diff(positions(performed.motion), axis=0), axis=-1)
    assert steps.max() < FEET_STEP_M.get(name, REAL_STEP_M)
    np.testing.assert_array_equal(performed.motion.face, talking.face)


def test_the_other_hand_goes_on_talking(talking):
    performed = perform("point_forward_right", 210, 30, np.random.default_rng(4), talking)
    left = [j for j, joint in enumerate(skeleton.JOINTS) if joint.startswith("left_") and j in skeleton.UPPER]
    right = [skeleton.MIRROR[j] for j in left]
    change = np.abs(performed.motion.poses - talking.poses)
    assert change[:, left].max() < 0.02  # only what the finish does
    assert change[middle(performed), right].max() > 0.5
    assert change[: performed.start, right].max() < 0.02


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_that_is_held_goes_on_with_small_beats(side, talking):
    performed = perform(f"point_forward_{side}", 210, 30, np.random.default_rng(4), talking, lasts=True)
    held, wrist = slice(performed.there + 15, performed.end), skeleton.INDEX[f"{side}_wrist"]
    talked, beats = (np.diff(positions(motion)[held, wrist, 1]) for motion in (talking, performed.motion))
    assert np.corrcoef(talked, beats)[0, 1] > 0.7
    assert 0.1 < beats.std() / talked.std() < 0.6


def test_left_is_the_mirror_image_of_right(talking):
    right = perform("raise_right_hand", 210, 30, np.random.default_rng(7), talking)
    left = perform("raise_left_hand", 210, 30, np.random.default_rng(7), talking.mirror())
    np.testing.assert_allclose(left.motion.mirror().poses, right.motion.poses, atol=1e-5)
    assert right.captions == tuple(text.replace("left", "right") for text in left.captions)


def test_captions_name_the_side_that_acts_and_mirror_with_it():
    by_action = {}
    for caption in actions.captions():
        by_action.setdefault(caption.action, []).append(caption.text)
    assert set(by_action) == set(ACTIONS)
    assert "raises the right hand" in by_action["raise_right_hand"]
    assert "a person is crouching down" in by_action["crouch"]
    for name, texts in by_action.items():
        assert len(texts) >= 30
        assert not any(mark in text for text in texts for mark in "~{}"), name
        if "left" in name:
            mirrored = [text.replace("left", "right") for text in texts]
            assert mirrored == by_action[name.replace("left", "right")]
            assert any("left" in text for text in texts)
            assert not any(re.search(r"\bright\b", text) for text in texts)


def test_verbs_are_inflected():
    assert actions._inflect("~stretch it and ~wave", "third") == "stretches it and waves"
    assert actions._inflect("~nod and ~squat and ~bow", "gerund") == "nodding and squatting and bowing"
    assert actions._inflect("~raise it", "gerund") == "raising it"


def test_same_seed_same_motion_other_seed_other_motion():
    (first, a), (_, again), (other, b) = does("clap", 1), does("clap", 1), does("clap", 2)
    np.testing.assert_array_equal(a, again)
    assert np.abs(a - b).max() > 0.05
    assert first.captions != other.captions


@pytest.mark.parametrize("name", ["step_right", "run"])
def test_an_action_that_does_not_fit_is_an_error(name):
    with pytest.raises(DataError, match="Ask for more frames"):
        does(name, num_frames=60)


def test_legs_stay_in_an_action_that_the_end_cuts_off():
    cut_off = 0
    for seed in range(60):
        score = actions._play(ACTIONS["bow"], 200, 30, np.random.default_rng(seed), lasts=True)
        if np.abs(score.values("pelvis")[-1]).max() > 0.1:
            cut_off += 1
            assert score.end == 200
    assert cut_off > 3


def test_clips_of_silent_people_say_what_is_real_in_them():
    for clip in actions._silent_clips(["nod", "crouch"], seed=0):
        assert len(clip.poses) == len(clip.speech) == clip.info.num_frames
        assert clip.info.has == ("upper", "hands", "lower")
        assert len(set(clip.info.captions)) == 12
        assert not clip.speech.any()


def test_clips_spoken_over_keep_the_speech_the_face_and_the_licence(talking, rng):
    motion = talking.join(talking, talking)
    speech = rng.normal(size=(len(motion), NUM_FEATURES)).astype(np.float32)
    info = ClipInfo("talk", "val", "synthetic", "a licence", len(motion), ("upper", "hands", "lower", "face", "speech"))
    clip = StoredClip(info, motion.poses, motion.translation, motion.face, speech)
    pieces = list(actions._spoken_clips([clip] * 8, seed=0))
    assert len({piece.info.id for piece in pieces}) > 8
    for piece in pieces:
        first = int(piece.info.id.rpartition("/")[2])
        kept = slice(first, first + piece.info.num_frames)
        assert (piece.info.has, piece.info.licence, piece.info.split) == (info.has, info.licence, "val")
        np.testing.assert_array_equal(piece.speech, speech[kept])
        assert np.abs(piece.poses - motion.poses[kept]).max() > 0.1
    told = np.mean([bool(piece.info.captions) for piece in pieces])
    assert 0.5 < told < 1


def test_actions_begin_before_they_are_seen_or_go_on(talking):
    """Most captioned windows have to start an action; in the others, and without captions, it is there at once."""
    motion = talking.join(*[talking] * 5)
    info = ClipInfo("talk", "train", "synthetic", "", len(motion), ("upper", "hands", "lower", "face", "speech"))
    clip = StoredClip(info, motion.poses, motion.translation, motion.face, np.zeros((len(motion), NUM_FEATURES)))
    begun = {}
    for piece in actions._spoken_clips([clip] * 12, seed=1):
        before = motion.poses[int(piece.info.id.rpartition("/")[2]) :][: len(piece.poses)]
        change = np.abs(piece.poses - before)[:16, : skeleton.JAW].max()
        begun.setdefault(bool(piece.info.captions), []).append(change > 0.15)
    assert 0.1 < np.mean(begun[True]) < 0.5
    assert np.mean(begun[False]) > 0.7


def test_who_crouches_while_talking_keeps_the_hands_for_gestures(talking):
    upper = [skeleton.INDEX[f"{side}_{joint}"] for side in ("left", "right") for joint in ("shoulder", "elbow")]
    crouched = perform("crouch", 210, 30, np.random.default_rng(4), talking)
    assert np.abs(crouched.motion.poses[:, upper] - talking.poses[:, upper]).max() < 0.15  # but for what limits ask
    silent, _ = does("crouch", seed=4)
    knees = positions(silent.motion)[middle(silent)]
    assert knees[skeleton.INDEX["left_wrist"], 1] < 0.75 * knees[skeleton.INDEX["head"], 1]


def test_who_turns_makes_a_quarter_turn_on_the_spot():
    performed, joints = does("turn_left", seed=1, lasts=True)
    facing = axis_angle_to_matrix(performed.motion.poses[-1, 0])[:, 2]
    assert np.degrees(np.arctan2(facing[0], facing[2])) == pytest.approx(90, abs=15)
    assert np.linalg.norm((joints[-1, 0] - joints[0, 0])[[0, 2]]) < 0.15
