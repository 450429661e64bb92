"""What every corpus reader yields."""

from dataclasses import dataclass

from cospeech.motion import Motion
from cospeech.speech import Speech


@dataclass(frozen=True)
class Caption:
    text: str
    source: str  # who wrote it: a recipe may drop captions whose licence it cannot carry


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of a corpus: motion, speech or both.

    Args:
        id: Unique over all corpora: "corpus/clip".
        split: train, val or test.
        motion: None for speech alone.
        speech: None for motion alone; as long as the motion where there are both.
        licence: Name of the licence the data is under.
        has: What is recorded: of "upper", "hands", "lower", "face", "speech". The rest of `motion` is at rest.
        tags: Facts by which recipes may leave clips out, such as "scenery" (climbing on things nobody sees).
    """

    id: str
    split: str
    motion: Motion | None
    speech: Speech | None
    captions: tuple[Caption, ...]
    licence: str
    has: frozenset[str]
    tags: frozenset[str] = frozenset()
