"""Text prompts: what parts of the body should do, from when to when, and how strongly."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cospeech.errors import PromptError
from cospeech.smoothing import ease

PARTS = ("upper", "hands", "lower", "whole")
LONGEST = 300  # characters: a sentence or two
STRONGEST = 10.0
HANDOVER_S = 0.5  # from one prompt to the next, or from a prompt to the speech


@dataclass(frozen=True)
class Prompt:
    """What a part of the body should do.

    Args:
        text: A sentence, such as "raises the right hand".
        part: One of `PARTS`; `whole` is for the parts that have no prompt of their own at the time.
        start: Second at which it begins.
        end: Second at which it is over; None: with the speech. What lies beyond the speech does not count.
        strength: 1: as much as the model was tuned for. 0: not at all. 2: twice as far from what it would do anyway.
    """

    text: str
    part: str = "whole"
    start: float = 0.0
    end: float | None = None
    strength: float = 1.0

    def __post_init__(self) -> None:
        for name, kind in (("text", str), ("part", str), ("start", float), ("end", float), ("strength", float)):
            value = getattr(self, name)
            if value is None and name == "end":
                continue
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
                object.__setattr__(self, name, value)
            if not isinstance(value, kind) or (kind is float and not np.isfinite(value)):
                raise PromptError(f"{self._said()}: `{name}` must be {'text' if kind is str else 'a number'}.")
        if self.part not in PARTS:
            raise PromptError(f"{self._said()}: unknown part `{self.part}`. Parts: {', '.join(PARTS)}.")
        object.__setattr__(self, "text", " ".join(self.text.split()))
        if not self.text or len(self.text) > LONGEST:
            raise PromptError(f"{self._said()}: a prompt has 1 to {LONGEST} characters, this one {len(self.text)}.")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            end = "the end" if self.end is None else f"{self.end:g} s"
            raise PromptError(f"{self._said()}: it cannot last from {self.start:g} s to {end}.")
        if not 0 <= self.strength <= STRONGEST:
            raise PromptError(f"{self._said()}: `strength` must be 0 to {STRONGEST:g}, got {self.strength:g}.")

    def _said(self) -> str:
        text = self.text if isinstance(self.text, str) else type(self.text).__name__
        return f"Prompt {' '.join(text.split())[:40]!r}"


def read_timeline(given: str | Path) -> list[Prompt]:
    """The prompts of a JSON file, or of JSON itself: a list of objects with the fields of `Prompt`.

    [{"part": "upper", "text": "waves with the right hand", "start": 1.5, "end": 4}]
    """
    text, where = str(given), "The timeline"
    if not text.lstrip().startswith(("[", "{")):
        where = str(given)
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise PromptError(f"{where}: cannot be read as a timeline: {reason}.") from None
    try:
        items = json.loads(text)
    except ValueError as error:
        raise PromptError(f"{where}: not JSON: {error}.") from None
    except RecursionError:
        raise PromptError(f"{where}: nested too deeply for a timeline.") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise PromptError(f'{where}: must be a list of prompts, such as [{{"part": "upper", "text": "waves"}}].')
    known = [field.name for field in fields(Prompt)]
    for item in items:
        for key in item:
            if key not in known:
                raise PromptError(f"{where}: unknown field `{key[:40]}`. Known: {', '.join(known)}.")
        if "text" not in item:
            raise PromptError(f"{where}: a prompt has no `text`.")
    return [Prompt(**item) for item in items]


def as_json(prompts: Sequence[Prompt]) -> str:
    """What `read_timeline` reads, without what is as it would be anyway."""
    plain = Prompt("x")
    kept = [{name: v for name, v in vars(prompt).items() if v != getattr(plain, name)} for prompt in prompts]
    return json.dumps(kept, ensure_ascii=False)


def check(prompts: Sequence[Prompt], duration_s: float) -> None:
    """Raise `PromptError` where prompts of one part overlap, or one begins when the speech is over."""
    for part in PARTS:
        of_part = sorted((prompt for prompt in prompts if prompt.part == part), key=lambda prompt: prompt.start)
        for prompt in of_part:
            if prompt.start >= duration_s:
                raise PromptError(
                    f"Prompt {prompt.text[:40]!r} begins at {prompt.start:g} s, the speech lasts {duration_s:.2f} s."
                )
        for before, after in pairwise(of_part):
            if before.end is None or before.end > after.start:
                raise PromptError(
                    f"Prompts {before.text[:40]!r} and {after.text[:40]!r} are both for `{part}` at {after.start:g} s."
                )


class Active(NamedTuple):
    """How much of each prompt is in a body part at each of N times."""

    prompts: tuple[Prompt, ...]
    weights: np.ndarray  # (len(prompts), N), 0 to 1; what is left to 1 is left to the speech


def active(
    prompts: Sequence[Prompt], parts: Sequence[str], times: np.ndarray, hands_go_along: bool = False
) -> dict[str, Active]:
    """Body part -> the prompts that are in it at some of the times (N,), and how much.

    Prompts come and go over half a second, the middle of which is their beginning or end. Prompts of `whole` fill what
    those of a part itself leave.

    Args:
        parts: Of a model, such as `lower_trans`, to which a prompt for `lower` goes.
        hands_go_along: Before those of `whole`, prompts of `upper` fill what those of `hands` leave.
    """
    found: dict[str, Active] = {}
    for part in parts:
        if part == "face":
            continue
        own = part.partition("_")[0]
        inside, weights, left = [], [], np.ones(len(times))
        for name in (own, *(["upper"] if own == "hands" and hands_go_along else []), "whole"):
            of_name = [prompt for prompt in prompts if prompt.part == name]
            here = [np.minimum(_presence(prompt, times), left) for prompt in of_name]
            left = left - np.sum(here, axis=0) if here else left
            inside, weights = [*inside, *of_name], [*weights, *here]
        both = [(prompt, weight) for prompt, weight in zip(inside, weights, strict=True) if weight.any()]
        if both:
            found[part] = Active(tuple(prompt for prompt, _ in both), np.stack([weight for _, weight in both]))
    return found


def _presence(prompt: Prompt, times: np.ndarray) -> np.ndarray:
    """(N,) 0 to 1. A prompt that begins with the speech is there from its first frame."""
    come = ease((times - prompt.start) / HANDOVER_S + 0.5) if prompt.start > 0 else np.ones(len(times))
    go = ease((prompt.end - times) / HANDOVER_S + 0.5) if prompt.end is not None else np.ones(len(times))
    return come * go


def of_parts(texts: Mapping[str, str], strength: float = 1.0) -> list[Prompt]:
    """A prompt over the whole speech for each part with a text that is not empty."""
    return [Prompt(text, part, strength=strength) for part, text in texts.items() if text]
