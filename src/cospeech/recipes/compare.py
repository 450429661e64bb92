"""Two evaluations of the same clips side by side, with a paired test: does the second differ from the first?

cospeech compare results/a results/b
"""

from pathlib import Path
from typing import Any

import numpy as np

from cospeech.errors import DataError
from cospeech.metrics import frechet, interval
from cospeech.metrics.interval import Difference
from cospeech.recipes import quality, scores
from cospeech.recipes.beside import MODEL, REAL
from cospeech.recipes.evaluate import EMBEDDINGS, read_report
from cospeech.recipes.report import shown, values

SURE = 0.05


def table(first: Path, second: Path) -> list[tuple[str, ...]]:
    """A header, then one row for each measure that both have: values, difference with interval, p, and who is better.

    Raises:
        DataError: they were measured on other clips, or otherwise.
    """
    a, b = read_report(first), read_report(second)
    for what, one, other in (
        ("protocols", a["protocol"], b["protocol"]),
        ("clips", [clip["id"] for clip in a["clips"]], [clip["id"] for clip in b["clips"]]),
        ("stores", a["store"]["sums"], b["store"]["sums"]),
        ("bodies", a["settings"]["body"], b["settings"]["body"]),
    ):
        if one != other:
            raise DataError(f"{first} and {second} were measured with different {what}: they cannot be compared.")
    measures = [name for name in a["systems"][MODEL]["measures"] if name in b["systems"][MODEL]["measures"]]
    rows = [("measure", str(first), str(second), "difference", "p", "better")]
    for name in measures:
        found = _difference(name, a, b, first, second)
        if found is None:
            continue
        cells = [shown(content["systems"][MODEL]["measures"][name]) for content in (a, b)]
        interval_text = f"{found.value:+.3g} [{found.low:+.3g}, {found.high:+.3g}]"
        rows.append(
            (name, *cells, interval_text, f"{found.p:.3f}", _better(name, found, a, b, str(first), str(second)))
        )
    return rows


def _difference(name: str, a: dict[str, Any], b: dict[str, Any], first: Path, second: Path) -> Difference | None:
    if name.startswith("FGD"):
        return _of_embeddings(name, a, first, second)
    if name in quality.WANTED and quality.WANTED[name].never:
        return None  # the worst clip of each: nothing to pair
    found = interval.difference(values(a, MODEL, name), values(b, MODEL, name))
    return None if np.isnan(found.value) else found


def _of_embeddings(name: str, a: dict[str, Any], first: Path, second: Path) -> Difference | None:
    if a["protocol"] == "published":
        return None  # published distances have no interval
    band = name.removeprefix("FGD, ").removesuffix(" band") if name != "FGD" else scores.WHOLE
    clips = range(len(a["clips"]))
    sides = []
    for folder, system in ((first, MODEL), (second, MODEL), (first, REAL)):
        with np.load(folder / EMBEDDINGS, allow_pickle=False) as arrays:
            sides.append([arrays[f"{system}/{place}/{band}"] for place in clips])
    made, other, real = sides
    distances = [frechet.frechet_distance(np.concatenate(side), np.concatenate(real)) for side in (made, other)]
    drawn = [frechet.resampled(side, real) for side in (made, other)]
    return interval.difference_around(*distances, *drawn)


def _better(name: str, found: Difference, a: dict[str, Any], b: dict[str, Any], first: str, second: str) -> str:
    if found.p >= SURE:
        return "neither, surely"
    wanted = scores.BETTER.get(name, 0)
    if wanted == 0:
        real = a["systems"][REAL]["measures"].get(name)
        if real is None:
            return ""
        near = [abs(content["systems"][MODEL]["measures"][name][0] - real[0]) for content in (a, b)]
        return f"{second if near[1] < near[0] else first}, nearer to real"
    return second if (found.value > 0) == (wanted > 0) else first
