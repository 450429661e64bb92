"""What the page makes: motion for an order. Knows nothing of pages and visitors."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cospeech.body import Body
from cospeech.errors import ConfigError, CospeechWarning
from cospeech.motion import Motion
from cospeech.prompts import Prompt
from cospeech.skeleton import JAW
from cospeech.speech import Speech
from cospeech.text import with_pauses
from cospeech.words import find_words

if TYPE_CHECKING:
    from cospeech.pipeline import Pipeline

Progress = Callable[[float, str], None]  # the fraction done, and of what

_OF_ALL_FACES = "starter"  # gives one to a motion without, where no other model on offer has one


@dataclass(frozen=True)
class Order:
    """What a visitor wants, but for the speech.

    Args:
        model: One of those of the studio.
        transcript: What is said, for models that read words. Empty: nobody knows.
        steps: Diffusion steps; None: the model's own number.
        finish: As of `Pipeline.generate`.
        face: A model without a face gets that of another; False: nobody has one.
    """

    model: str
    prompts: tuple[Prompt, ...] = ()
    transcript: str = ""
    seed: int = 0
    steps: int | None = None
    finish: bool | None = None
    face: bool = True


class Studio:
    """The models, each loaded once, that work for one order at a time.

    Args:
        models: Released names, checkpoint directories or hub ids; the first is loaded by `warm_up`.
        body: Shown in place of the mannequin; a licensed one goes into every page that is watched.
    """

    def __init__(self, models: Sequence[str], device: str = "cpu", body: Body | None = None):
        self.models = tuple(models)
        self.device = device
        self.body = body
        self._pipelines: dict[str, Pipeline] = {}
        self._at_work = threading.Lock()

    def warm_up(self, speech: Speech) -> None:
        """Load the first model and use it once: the first time is slow."""
        self.make(speech, Order(self.models[0]))

    def make(self, speech: Speech, order: Order, progress: Progress | None = None) -> Motion:
        """Motion for a recording; `progress` may raise an error to stop it."""
        if order.model not in self.models:  # any other name would be looked for on disk and on the hub
            raise ConfigError("That model is not offered here.")
        progress = progress or (lambda fraction, task: None)
        with self._at_work:
            progress(0.0, "Loading the model")
            pipeline = self._pipeline(order.model)
            if order.transcript:
                speech = self._with_words(pipeline, speech, order.transcript, progress)
            motion = pipeline.generate(
                speech,
                timeline=order.prompts,
                seed=order.seed,
                steps=order.steps,
                finish=order.finish,
                progress=lambda fraction: progress(fraction, "Moving"),
            )
            if not order.face:
                return without_face(motion)
            if motion.face is None and not motion.expressions.any():
                progress(0.95, "Adding a face")
                motion = self._of_faces().add_face(motion, speech.cut(0, motion.duration_s), seed=order.seed)
            return motion

    def _pipeline(self, model: str) -> "Pipeline":
        from cospeech.pipeline import load_pipeline  # imports torch, which the first page need not wait for

        if model not in self._pipelines:
            self._pipelines[model] = load_pipeline(model, self.device)
        return self._pipelines[model]

    def _of_faces(self) -> "Pipeline":
        known = (pipeline for pipeline in self._pipelines.values() if pipeline.has_face)
        return next(known, None) or self._pipeline(_OF_ALL_FACES)

    def _with_words(self, pipeline: "Pipeline", speech: Speech, transcript: str, progress: Progress) -> Speech:
        if pipeline.ignores_words:
            warnings.warn(CospeechWarning(pipeline.ignores_words), stacklevel=2)
            return speech
        found = find_words(speech, transcript, progress=lambda fraction: progress(fraction, "Finding the words"))
        return replace(speech, words=with_pauses(found.words, speech.duration_s))


def without_face(motion: Motion) -> Motion:
    """The body alone, mouth shut."""
    poses = motion.poses.copy()
    poses[:, JAW] = 0
    return replace(motion, poses=poses, face=None, expressions=None)


_notes: ContextVar[list[str] | None] = ContextVar("notes", default=None)


@contextmanager
def notes() -> Iterator[list[str]]:
    """What this thread is warned of inside the block; needs `hear_warnings` once."""
    heard: list[str] = []
    token = _notes.set(heard)
    try:
        yield heard
    finally:
        _notes.reset(token)


def hear_warnings() -> None:
    """From now on warnings for the user go to whoever listens with `notes`, every time they occur.

    `warnings.catch_warnings` would mix up the threads of several visitors.
    """
    show = warnings.showwarning

    def note(message, category, *where) -> None:
        heard = _notes.get()
        if heard is not None and issubclass(category, CospeechWarning):
            heard.append(str(message))
        else:
            show(message, category, *where)

    warnings.simplefilter("always", CospeechWarning)
    warnings.showwarning = note
