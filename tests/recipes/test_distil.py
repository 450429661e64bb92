import numpy as np
import torch

from cospeech.data import everyday
from cospeech.recipes import distil
from cospeech.recipes.distil import Text, alike


def test_what_asks_for_the_same_is_alike_and_left_is_not_right():
    teacher = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.9, 0.5], [0.0, 1.0]]), dim=1)
    wanted, known = alike(teacher, ["raise_left_hand", "raise_right_hand", "raise_left_hand", "nothing"])
    own = teacher @ teacher.mT
    assert wanted[0, 1] == wanted[1, 2] == distil.OTHER
    assert wanted[0, 2] == max(distil.SAME, own[0, 2])
    torch.testing.assert_close(wanted[3, :3], own[3, :3])
    assert known.sum() == 12


def test_everyday_sentences_ask_for_nothing_and_are_many():
    talk = everyday.sentences(np.random.default_rng(0))
    found = {next(talk) for _ in range(2000)}
    assert len(found) > 1000
    assert not [text for text in found if any(word in text.split() for word in ("hand", "arm", "walks", "bows"))]


def test_some_sentences_are_kept_for_measuring_and_slips_change_little(rng):
    corpus = [Text(str(n), "", str(n // 2)) for n in range(1000)]
    learned, kept = distil.divided(corpus, 0.1)
    assert 60 < len(kept) < 140
    assert not {each.phrase for each in learned} & {each.phrase for each in kept}
    assert distil.divided(corpus, 0.1)[1] == kept
    spoiled = [distil.spoiled("raises the right hand", rng) for _ in range(300)]
    assert 10 < sum(text != "raises the right hand" for text in spoiled) < 60
    assert {len(text) for text in spoiled} <= {20, 21}


def test_a_sentence_nearer_to_its_action_than_to_others_loses_less():
    near, far = torch.eye(3), torch.eye(3).roll(1, dims=0)
    action = torch.arange(3)
    assert distil._apart(near, action) < distil._apart(0.5 * torch.ones(3, 3), action) < distil._apart(far, action)
    assert distil._apart(near[:0], action[:0]) == 0
