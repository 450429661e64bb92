"""Two evaluations of the same clips side by side, with a paired test: does the second differ from the first?

cospeech compare results/a results/b
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cospeech.errors import DataError
from cospeech.metrics import frechet, interval
from cospeech.metrics.interval import Difference
from cospeech.recipes import quality, scores
from cospeech.recipes.beside import MODEL, REAL
from cospeech.recipes.evaluate import EMBEDDINGS, read_report
from cospeech.recipes.report import better, shown, values

SURE = 0.05


def table(first: Path, second: Path) -> list[tuple[str, ...]]:
    """A header, then one row for each measure that both have: values, difference with interval, p, and who is better.

    Raises:
        DataError: they were measured on other clips, or otherwise.
    """
    a, b = read_report(first), read_report(second)
    sums = [content["settings"]["sums"] for content in (a, b)]
    for what, one, other in (
        ("protocols", a["protocol"], b["protocol"]),
        ("clips", [clip["id"] for clip in a["clips"]], [clip["id"] for clip in b["clips"]]),
        ("stores", sums[0]["store"], sums[1]["store"]),
        ("bodies", sums[0]["body"], sums[1]["body"]),
        ("speeds of joints", sums[0]["joint_speed"], sums[1]["joint_speed"]),
        ("embedders", sums[0]["embedder"], sums[1]["embedder"]),
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
    clips = len(a["clips"])
    sources = ((first, MODEL), (second, MODEL), (first, REAL))
    made, other, real = (_embeddings(folder, system, band, clips) for folder, system in sources)
    distances = [frechet.frechet_distance(np.concatenate(side), np.concatenate(real)) for side in (made, other)]
    return interval.difference_around(*distances, *frechet.resampled_each([made, other], real), clips)


def _embeddings(folder: Path, system: str, band: str, clips: int) -> list[np.ndarray]:
    path = folder / EMBEDDINGS
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[f"{system}/{place}/{band}"].astype(np.float64) for place in range(clips)]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: is missing, damaged, or of another run ({error}). Evaluate again.") from None


def _better(name: str, found: Difference, a: dict[str, Any], b: dict[str, Any], first: str, second: str) -> str:
    if found.p >= SURE:
        return "neither, surely"
    wanted = better(name)
    if wanted == 0:
        real = a["systems"][REAL]["measures"].get(name)
        if real is None:
            return ""
        near = [abs(content["systems"][MODEL]["measures"][name][0] - real[0]) for content in (a, b)]
        return f"{second if near[1] < near[0] else first}, nearer to real"
    return second if (found.value > 0) == (wanted > 0) else first
