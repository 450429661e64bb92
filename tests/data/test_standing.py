import numpy as np
import pytest

from cospeech import skeleton
from cospeech.body import joint_positions, joint_transforms, mannequin
from cospeech.data import standing
from cospeech.errors import DataError
from cospeech.metrics import physics
from cospeech.motion import Motion


@pytest.fixture(params=range(4))
def motion(request):
    return standing.stand(1800, 30, np.random.default_rng(request.param))


def test_feet_stand_on_the_floor_and_do_not_slide(motion):
    joints = joint_positions(mannequin("light"), motion.poses, motion.translation)
    assert physics.contact_share(joints) > 0.85
    assert physics.slide_cm_s(joints, 30) < 1.0  # a foot that is put elsewhere lifts off and touches down
    assert physics.below_floor_cm(joints) < 0.3


def test_the_weight_shifts_but_nobody_walks_off(motion):
    pelvis = motion.translation[:, [0, 2]]
    assert 0.02 < np.ptp(pelvis[:, 0]) < 0.25
    assert physics.root_drift(motion.translation, 30) < 0.3


def test_the_chest_stays_upright(motion):
    chest = joint_transforms(mannequin("light"), motion.poses, motion.translation).rotations[
        :, skeleton.INDEX["spine3"]
    ]
    assert np.degrees(np.arccos(chest[:, 1, 1].clip(-1, 1))).max() < 8


def test_pieces_of_real_people_are_strung_together(rng):
    rest = np.tile(skeleton.REST_TRANSLATION, (120, 1))
    poses = np.zeros((120, 55, 3))
    poses[:, skeleton.INDEX["left_hip"], 0] = np.linspace(0, 0.2, 120)
    poses[:, skeleton.INDEX["left_shoulder"], 2] = 1.0
    strung = standing.string_together([Motion(poses, rest)], 500, rng)
    assert len(strung) == 500
    assert np.abs(np.diff(strung.poses, axis=0)).max() < 0.05
    assert not strung.poses[:, skeleton.INDEX["left_shoulder"]].any()  # arms do not come along


def test_no_idle_clip_is_long_enough(rng):
    with pytest.raises(DataError, match="two seconds"):
        standing.string_together([Motion(np.zeros((5, 55, 3)), np.zeros((5, 3)))], 100, rng)
