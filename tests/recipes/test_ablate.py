from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from cospeech import prosody
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.recipes import ablate
from cospeech.recipes.ablate import VARIANTS, Variant


def clips(count, source="synthetic"):
    for number in range(count):
        info = ClipInfo(f"{source}/{number}", "train", source, "none", 4, ("speech",))
        yield StoredClip(info, np.zeros((4, 55, 3)), np.zeros((4, 3)), np.zeros((4, 52)), np.ones((4, 68), np.float32))


@pytest.mark.parametrize(("share", "left"), [(1.0, 32), (0.5, 16), (0.125, 4)])
def test_a_share_of_the_planted_clips_is_used_and_all_others(share, left):
    assert len(list(ablate._changed(clips(32), Variant("", synthetic=share)))) == left
    assert len(list(ablate._changed(clips(32, "beat2"), Variant("", synthetic=share)))) == 32


def test_columns_that_are_left_out_are_zero_in_training_and_in_use(speech):
    columns = (prosody.ENERGY, prosody.ONSET)
    (clip,) = ablate._changed(clips(1), Variant("", columns=columns))
    assert clip.speech.any(axis=0).nonzero()[0].tolist() == list(columns)
    pipeline = ablate._HardOfHearing(tiny.checkpoint())
    whole = pipeline.hear(speech, 90).features
    pipeline.columns = columns
    heard = pipeline.hear(speech, 90).features
    torch.testing.assert_close(heard[..., columns], whole[..., columns])
    assert heard.any(dim=0).nonzero()[:, 0].tolist() == list(columns)


def test_variants_that_only_sample_otherwise_share_a_training():
    trainings = {variant.trained_as for variant in VARIANTS}
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS) > len(trainings)
    starter = VARIANTS[0]
    for variant in (replace(starter, guidance=2.0), replace(starter, steps=10)):
        assert variant.trained_as == starter.trained_as
    assert replace(starter, code_dim=16).trained_as != starter.trained_as
