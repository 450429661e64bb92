import json

import numpy as np
import pytest

from cospeech import prompts
from cospeech.errors import PromptError
from cospeech.prompts import Prompt, active, as_json, check, of_parts, read_timeline

PARTS = ("upper", "hands", "lower_trans", "face")


def test_a_timeline_is_read_from_json_and_from_a_file(tmp_path):
    given = [
        {"part": "upper", "text": " raises the\nright hand ", "start": 1, "end": 2.5},
        {"text": "walks forward", "strength": 2},
    ]
    expected = [Prompt("raises the right hand", "upper", 1.0, 2.5), Prompt("walks forward", "whole", strength=2.0)]
    assert read_timeline(json.dumps(given)) == expected
    (tmp_path / "plan.json").write_text(json.dumps(given))
    assert read_timeline(str(tmp_path / "plan.json")) == expected
    assert read_timeline("[]") == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("[{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"text": "waves"}', "must be a list"),
        ('["waves"]', "must be a list"),
        ('[{"text": "waves", "from": 1}]', "unknown field `from`"),
        ('[{"part": "upper"}]', "has no `text`"),
        ('[{"text": ""}]', "1 to 300 characters"),
        ('[{"text": " \\n "}]', "1 to 300 characters"),
        (json.dumps([{"text": "a" * 10_000}]), "1 to 300 characters, this one 10000"),
        ('[{"text": 3}]', "`text` must be text"),
        ('[{"text": null}]', "`text` must be text"),
        ('[{"text": "waves", "part": "head"}]', "unknown part `head`"),
        ('[{"text": "waves", "part": 3}]', "`part` must be text"),
        ('[{"text": "waves", "start": 3, "end": 2}]', "cannot last from 3 s to 2 s"),
        ('[{"text": "waves", "start": 2, "end": 2}]', "cannot last"),
        ('[{"text": "waves", "start": -1}]', "cannot last from -1 s to the end"),
        ('[{"text": "waves", "start": "1"}]', "`start` must be a number"),
        ('[{"text": "waves", "start": true}]', "`start` must be a number"),
        ('[{"text": "waves", "end": NaN}]', "`end` must be a number"),
        ('[{"text": "waves", "end": Infinity}]', "`end` must be a number"),
        ('[{"text": "waves", "strength": -1}]', "`strength` must be 0 to 10"),
        ('[{"text": "waves", "strength": 1e9}]', "`strength` must be 0 to 10"),
        ("nowhere.json", "nowhere.json: cannot be read"),
        ("a" * 5000, "cannot be read"),
    ],
)
def test_a_timeline_that_makes_no_sense_is_one_line(given, says):
    with pytest.raises(PromptError) as refusal:
        read_timeline(given)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_emoji_and_other_scripts_are_text():
    assert Prompt("👋 машет рукой 挥手").text == "👋 машет рукой 挥手"


def test_prompts_of_a_part_do_not_overlap_and_begin_while_somebody_speaks():
    check([Prompt("a", "upper", 0, 2), Prompt("b", "upper", 2), Prompt("c", "hands", 1), Prompt("d", "whole")], 5.0)
    check([Prompt("a", "upper", 0, 100)], 5.0)  # what is beyond the speech does not count
    with pytest.raises(PromptError, match=r"begins at 5 s, the speech lasts 5\.00 s"):
        check([Prompt("a", "upper", 5)], 5.0)
    for first in (Prompt("a", "upper"), Prompt("a", "upper", 0, 3)):
        with pytest.raises(PromptError, match="'a' and 'b' are both for `upper` at 2 s"):
            check([Prompt("b", "upper", 2), first], 5.0)


def test_a_prompt_comes_and_goes_softly_and_hands_over_to_the_next():
    times = np.arange(0, 10, 0.1)
    now = active([Prompt("a", "upper", 2, 5), Prompt("b", "upper", 5)], PARTS, times)
    assert list(now) == ["upper"]
    first, second = now["upper"].weights
    assert first[times < 1.7].max() == 0
    assert first[(times > 2.3) & (times < 4.7)].min() == 1
    assert np.abs(np.diff(first)).max() < 0.35
    np.testing.assert_allclose((first + second)[times > 2.3], 1, atol=1e-9)
    assert second[-1] == 1


def test_a_prompt_from_the_beginning_is_there_from_the_beginning():
    times = np.array([0.0, 0.1, 9.9])
    assert active(of_parts({"lower": "walks", "hands": ""}), PARTS, times)["lower_trans"].weights.tolist() == [
        [1, 1, 1]
    ]


def test_the_whole_is_for_what_has_nothing_of_its_own():
    times = np.array([1.0, 4.0])
    now = active([Prompt("walks"), Prompt("waves", "upper", 3)], PARTS, times)
    assert set(now) == {"upper", "hands", "lower_trans"}  # a face has no prompt
    assert [prompt.text for prompt in now["upper"].prompts] == ["waves", "walks"]
    assert now["upper"].weights.tolist() == [[0, 1], [1, 0]]
    assert now["hands"].weights.tolist() == [[1, 1]]


def test_where_no_prompt_is_there_is_none():
    assert active([Prompt("waves", "upper", 8)], PARTS, np.array([1.0, 2.0])) == {}
    assert prompts.HANDOVER_S < 1


def test_prompts_go_through_json_and_back():
    prompts = [Prompt("winkt \N{WAVING HAND SIGN}", "upper", 1.5, 4.0, 0.5), Prompt("bows")]
    said = as_json(prompts)
    assert said.endswith('{"text": "bows"}]')
    assert read_timeline(said) == prompts


def test_hands_may_go_along_with_the_upper_body_where_they_have_no_words():
    times = np.arange(0, 10, 0.25)
    prompts = [Prompt("points", "upper", 1, 8), Prompt("fist", "hands", 4, 6), Prompt("bows")]
    apart, along = (active(prompts, PARTS, times, along)["hands"] for along in (False, True))
    assert [prompt.text for prompt in apart.prompts] == ["fist", "bows"]
    assert [prompt.text for prompt in along.prompts] == ["fist", "points", "bows"]
    at = {text: along.weights[n] for n, text in enumerate(("fist", "points", "bows"))}
    assert at["points"][times == 2] == at["points"][times == 7] == 1
    assert at["fist"][times == 5] == 1
    assert at["points"][times == 5] == 0
    assert at["bows"][times == 9] == 1
    np.testing.assert_allclose(along.weights.sum(axis=0), 1)
    np.testing.assert_array_equal(
        active(prompts, PARTS, times, True)["upper"].weights, active(prompts, PARTS, times)["upper"].weights
    )
