"""What the published systems do by mistake and their weights have learned. A checkpoint's config names those it needs.

Source: SynTalker, arXiv:2410.00464, MambaTalk, arXiv:2403.09471, and their code. Some can be turned off without asking
the network for what it never saw: `--quirks none` does that. A model trained here has none.
"""

from dataclasses import dataclass
from typing import Literal

from cospeech.errors import ConfigError

Protocol = Literal["corrected", "published"]  # of measures and losses: without the papers' mistakes, or with them


@dataclass(frozen=True)
class Quirk:
    does: str
    removable: bool = False  # the network works as well, or better, without it


QUIRKS: dict[str, Quirk] = {
    "double-resampling": Quirk("the recording goes by way of 22.05 kHz to 16 kHz"),
    "onset-positions": Quirk(
        "onsets are marked at the samples whose numbers are those of the detector's frames: all in the first instants"
    ),
    "loose-seams": Quirk("the last latents of a window are told to the next one, not continued by it"),
    "double-normalisation": Quirk("motions of BEAT2 whose style is taken are normalised twice"),
    "audio-step-533": Quirk("a frame is 533 samples, not 533.3: windows hear ever earlier, 2.2 s in an hour", True),
    "whole-windows": Quirk("what does not fill a window, or a second, is left out at the end", True),
    "first-step": Quirk("the body starts one step away from x = z = 0", True),
    "seed-length": Quirk("with a seed motion, nothing is generated beyond its whole seconds", True),
    "forgotten-jaw": Quirk("every window but the first is told that the jaw is closed", True),
    "forgotten-place": Quirk(
        "every window is told that it begins where the first one did, and moves as channels say that were not trained",
        True,
    ),
    "felt-contacts": Quirk("the feet's contacts are told to what moves the body, which was trained without them", True),
    "seed-face": Quirk("jaw, expressions and body shape are those of the seed motion", True),
}
MAMBATALK = (
    *("double-resampling", "audio-step-533", "whole-windows", "seed-length"),
    *("forgotten-jaw", "forgotten-place", "felt-contacts"),
)
SYNTALKER = (
    *("double-resampling", "onset-positions", "loose-seams", "audio-step-533", "whole-windows", "seed-length"),
)
SYNTALKER_S = (*SYNTALKER, "first-step", "seed-face")
SYNTALKER_T = (*SYNTALKER, "double-normalisation")


def check(names: tuple[str, ...]) -> None:
    """Raise ConfigError for a quirk that is not known."""
    for name in names:
        if name not in QUIRKS:
            raise ConfigError(f"Unknown quirk `{name}`. Known: {', '.join(QUIRKS)}.")


def without_removable(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if not QUIRKS[name].removable)
