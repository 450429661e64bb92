"""What the page makes, without a page."""

import threading
import warnings

import numpy as np
import pytest
import tiny

from cospeech import checkpoint, pipeline, skeleton
from cospeech.demo.studio import Order, Studio, hear_warnings, notes
from cospeech.errors import ConfigError, CospeechWarning
from cospeech.prompts import Prompt


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    checkpoint.save(tiny.reading(), folder)
    return str(folder)


@pytest.fixture
def studio(model):
    return Studio([model])


@pytest.fixture
def hearing():
    with warnings.catch_warnings():
        hear_warnings()
        yield


def test_an_order_is_what_the_pipeline_would_make(studio, model, speech):
    prompts = (Prompt("waves", "upper", start=1.0),)
    motion = studio.make(speech, Order(model, prompts, seed=3, steps=2, finish=False))
    expected = pipeline.load_pipeline(model).generate(speech, timeline=prompts, seed=3, steps=2, finish=False)
    np.testing.assert_array_equal(motion.poses, expected.poses)
    assert motion.metadata == expected.metadata


def test_a_model_is_loaded_once_whoever_asks(studio, model, speech, monkeypatch):
    loads = []
    load = pipeline.load_pipeline
    monkeypatch.setattr(pipeline, "load_pipeline", lambda *given: loads.append(given) or load(*given))
    visitors = [threading.Thread(target=studio.make, args=(speech, Order(model, steps=1))) for _ in range(3)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(loads) == 1


def test_without_a_face_the_mouth_stays_shut(studio, model, speech):
    motion = studio.make(speech, Order(model, steps=1, face=False))
    assert motion.face is None
    assert not motion.poses[:, skeleton.JAW].any()


def test_who_stops_lets_the_next_one_in(studio, model, speech):
    def stop(fraction, task):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        studio.make(speech, Order(model), stop)
    assert len(studio.make(speech, Order(model, steps=1))) == 90


def test_a_model_that_is_not_offered_is_not_looked_for(studio, speech, tmp_path):
    with pytest.raises(ConfigError, match="not offered here"):
        studio.make(speech, Order(str(tmp_path)))


def test_a_transcript_that_nobody_reads_is_a_note(studio, model, speech, hearing):
    for _ in range(2):  # every time
        with notes() as heard:
            studio.make(speech, Order(model, transcript="and so", steps=1))
        assert heard == ["The model `tiny` does not read words: it follows the sound alone."]


def test_everybody_hears_only_of_their_own(hearing):
    heard = {}
    both = threading.Barrier(2)

    def visit(name):
        with notes() as mine:
            both.wait()
            warnings.warn(CospeechWarning(name), stacklevel=1)
            both.wait()
        heard[name] = mine

    visitors = [threading.Thread(target=visit, args=(name,)) for name in "ab"]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert heard == {"a": ["a"], "b": ["b"]}
