from cospeech import skeleton


def test_parents_come_before_their_children():
    assert skeleton.PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(skeleton.PARENTS) if joint)


def test_smplx_order():
    named = {0: "pelvis", 9: "spine3", 15: "head", 20: "left_wrist", 22: "jaw", 25: "left_index1", 31: "left_pinky1"}
    named |= {37: "left_thumb1", 40: "right_index1", 54: "right_thumb3"}
    assert {j: skeleton.JOINTS[j] for j in named} == named
    assert skeleton.NUM_JOINTS == len(set(skeleton.JOINTS)) == 55


def test_every_finger_hangs_from_its_wrist():
    for side in ("left", "right"):
        for finger in ("index", "middle", "pinky", "ring", "thumb"):
            chain = [skeleton.INDEX[f"{side}_{finger}{n}"] for n in (1, 2, 3)]
            assert [skeleton.PARENTS[j] for j in chain] == [skeleton.INDEX[f"{side}_wrist"], *chain[:2]]


def test_mirroring_twice_is_nothing_and_keeps_the_tree():
    assert [skeleton.MIRROR[j] for j in skeleton.MIRROR] == list(range(55))
    for j in range(1, 55):
        assert skeleton.PARENTS[skeleton.MIRROR[j]] == skeleton.MIRROR[skeleton.PARENTS[j]]


def test_arkit_has_52_shapes_and_sides_swap():
    assert len(set(skeleton.ARKIT)) == 52
    assert skeleton.ARKIT[skeleton.ARKIT_MIRROR[skeleton.ARKIT_INDEX["mouthLeft"]]] == "mouthRight"
    assert skeleton.ARKIT[skeleton.ARKIT_MIRROR[skeleton.JAW_OPEN]] == "jawOpen"
