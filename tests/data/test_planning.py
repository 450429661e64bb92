import numpy as np
import pytest

from cospeech.data.planning import KINDS, PAUSE_S, Persona, plan
from cospeech.syllables import Syllables

FPS = 30


@pytest.fixture
def syllables(rng):
    """Five syllables a second, every other one stressed, with pauses of a second."""
    frames = np.concatenate([np.arange(30, 150, 6), np.arange(180, 300, 6), np.arange(330, 450, 6)])
    stressed = np.arange(len(frames)) % 2 == 0
    return Syllables(frames, np.where(stressed, 0.6, -0.6), stressed)


def planned(syllables, seed, persona=None):
    rng = np.random.default_rng(seed)
    return plan(syllables, 480, FPS, persona or Persona.random(rng), rng)


def test_strokes_are_on_stressed_syllables_but_not_on_all(syllables):
    strokes = [s for seed in range(20) for unit in planned(syllables, seed) for s in unit.strokes if not s.beat]
    stressed = set(syllables.frames[syllables.stressed].tolist())
    assert {stroke.frame for stroke in strokes} <= stressed
    assert 0.3 < len(strokes) / (20 * len(stressed)) < 0.95


def test_there_are_far_fewer_strokes_than_syllables(syllables):
    strokes = [s for seed in range(20) for unit in planned(syllables, seed) for s in unit.strokes if not s.beat]
    assert len(strokes) < 0.5 * 20 * len(syllables.frames)


def test_a_pause_ends_a_unit(syllables):
    for seed in range(10):
        for unit in planned(syllables, seed):
            frames = [stroke.frame for stroke in unit.strokes]
            assert max(np.diff(frames, prepend=frames[0])) <= 120
            inside = syllables.frames[(syllables.frames >= frames[0]) & (syllables.frames <= unit.end)]
            assert np.diff(inside).max(initial=0) <= PAUSE_S * FPS


def test_only_the_first_stroke_comes_from_rest(syllables):
    for unit in planned(syllables, 1):
        assert [stroke.first for stroke in unit.strokes] == [True] + [False] * (len(unit.strokes) - 1)
        assert not unit.strokes[0].beat


def test_a_persona_favours_a_hand(syllables):
    persona = Persona(1.0, 1.0, 0.9, 0.0, 0.0, 0.0, "sides", tuple(np.full(len(KINDS), 1 / len(KINDS))))
    hands = [s.hands for seed in range(5) for unit in planned(syllables, seed, persona) for s in unit.strokes]
    assert set(hands) == {("right",)}


def test_no_syllables_no_gestures():
    nothing = Syllables(np.zeros(0, int), np.zeros(0), np.zeros(0, bool))
    assert planned(nothing, 0) == []
