"""The obedience of planted actions is found, and the tables say it."""

import numpy as np
import pytest
import tiny

from cospeech.data import actions
from cospeech.data.actions import perform
from cospeech.pipeline import SynTalkerPipeline
from cospeech.prompts import Prompt
from cospeech.recipes import held_out, obedience
from cospeech.recipes.obedience import Answer, Asked

ACTIONS = {
    **{"right_hand_up": "raise_right_hand", "left_hand_up": "wave_left_hand", "walks_forward": "walk_forward"},
    **{"runs": "run", "turns_left": "turn_left", "bows": "bow", "points": "point_forward_right", "claps": "clap"},
    "crouches": "crouch",
}


@pytest.mark.parametrize("wanted", ACTIONS)
def test_planted_actions_obey_and_others_do_not(wanted):
    def does(action):
        return obedience.answer(perform(action, 300, 30, np.random.default_rng(3), lasts=True).motion, wanted)

    assert does(ACTIONS[wanted]).done
    assert not does("nod").done


@pytest.mark.parametrize("action", obedience.OF_ACTIONS)
def test_actions_whose_captions_have_a_criterion_meet_it(action):
    done = perform(action, 150, 30, np.random.default_rng(1), lasts=True).motion
    assert obedience.answer(done, obedience.OF_ACTIONS[action]).done


def test_a_criterion_is_known_by_the_words():
    for text in ("bows", "a person bows.", "Takes a polite bow!", "BOW"):
        assert obedience.criterion(text) == "bows"
    assert obedience.criterion("raises the left hand") == "left_hand_up"
    assert obedience.criterion("points up with the right hand") == "points"
    for text in ("nods", "raises both hands", "takes a bow and runs", "turns right", ""):
        assert obedience.criterion(text) is None
    wanted = {obedience.criterion(asked.text) for asked in obedience.paraphrases()}
    assert wanted == set(ACTIONS) == set(obedience.OF_ACTIONS.values())


def test_no_words_want_two_things():
    wanted = {}
    for caption in actions.captions():
        wanted.setdefault(obedience._plain(caption.text), set()).add(obedience.OF_ACTIONS.get(caption.action))
    assert not [text for text, of in wanted.items() if len(of) > 1 and obedience.criterion(text)]


def test_a_prompt_is_obeyed_in_its_own_frames_or_not_at_all():
    calm, bow = (perform(name, 150, 30, np.random.default_rng(1), lasts=True).motion for name in ("stand_still", "bow"))
    motion = calm.join(bow)
    prompts = [
        Prompt("bows", "whole", 0, 5),
        Prompt("bows", "whole", 5),
        Prompt("bows"),
        Prompt("thinks of bows"),
        Prompt("claps", "upper", 12),
    ]
    assert obedience.obeyed(motion, prompts) == {
        "obeyed: bows (whole, from 0 s to 5 s)": (0, 1),
        "obeyed: bows (whole, from 5 s)": (1, 1),
        "obeyed: bows (whole)": (1, 1),
    }


def test_prompts_are_no_captions_but_those_that_are_plain_names():
    captions = {caption.text for caption in actions.captions()}
    known = {asked.text for asked in obedience.paraphrases()} & captions
    assert known == {"walks forward", "runs", "turns left", "bows", "claps", "crouches"}


def test_every_prompt_has_a_criterion_and_is_in_the_table():
    prompts = obedience.paraphrases()
    assert len(prompts) >= 40
    answers = {asked: [Answer(0.5, n % 2 == 0, (0.1, 0.9)) for n in range(4)] for asked in prompts}
    header, *rows = obedience.by_motion(answers, {})
    assert {row[0].replace(" ", "_") for row in rows} == {asked.wanted for asked in prompts}
    assert sum(int(row[header.index("prompts")]) for row in rows) == len(prompts)
    header, *rows = obedience.by_prompt(answers)
    assert [row[0] for row in rows] == [asked.text for asked in prompts]
    assert {row[header.index("obeyed")] for row in rows} == {"2 of 4"}


def test_hands_pass_by_the_share_of_frames_others_by_the_share_of_clips():
    def table(named, other, done):
        answers = {
            Asked("left_hand_up", "upper", "a"): [Answer(named, False, (named, other))],
            **{
                Asked(wanted, "whole", wanted): [Answer(0, done, (0, 0))]
                for wanted in ACTIONS
                if wanted != "left_hand_up"
            },
        }
        return {row[0]: row[-2] for row in obedience.by_motion(answers, {})}

    assert table(0.6, 0.1, True)["left hand up"] == "yes"
    assert table(0.59, 0.1, True)["left hand up"] == table(0.6, 0.11, True)["left hand up"] == "NO"
    assert table(0.6, 0.1, True)["runs"] == "yes"
    assert table(0.6, 0.1, False)["runs"] == "NO"


def test_a_model_that_reads_goes_through_all_tables(monkeypatch):
    prompts = [Asked(wanted, "whole", wanted) for wanted in ACTIONS]
    monkeypatch.setattr(obedience, "EXCERPTS", 1)
    pipeline = SynTalkerPipeline(tiny.reading())
    pipeline.read.encoder.asks.bias.fill_(9.0)
    excerpts = held_out.excerpts(held_out.human_voices(None))[:1]
    tables = [
        obedience.by_prompt(obedience.of_prompts(pipeline, prompts, excerpts)),
        obedience.of_the_rest(pipeline, excerpts, excerpts),
        obedience.of_strength(pipeline, excerpts),
        obedience.of_seams(pipeline, excerpts),
        obedience.of_cost(pipeline, excerpts[0]),
    ]
    for header, *rows in tables:
        assert rows
        assert all(len(row) == len(header) for row in rows)
