"""report.html of an evaluation, and the table of a comparison: to be read by people."""

import html
import io
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from cospeech.errors import MissingExtra
from cospeech.formats import html as player
from cospeech.formats.output import replacing
from cospeech.metrics.interval import Ratio
from cospeech.motion import Motion
from cospeech.recipes import scores, text_scores
from cospeech.recipes.obedience import OBEYED_ROW
from cospeech.speech import Speech

RANKED_BY = "wrists follow the energy"  # which clips are best and worst
SHOWN = 3  # clips at either end
_ARROWS = {-1: "↓", 1: "↑", 0: "≈ real", None: ""}
Shown = Callable[[int], tuple[Motion, Motion, Speech]]


def check(content: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError, ValueError or AttributeError for what `recipes.evaluate` would not have written."""
    clips, systems, settings = content["clips"], content["systems"], content["settings"]
    texts = [content["protocol"], content["corpus"], content["model"]["name"], content["model"]["licence"]]
    texts += [clip["id"] for clip in clips] + [settings["split"], *content["notes"], *content["versions"].values()]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError
    for name in ("model", "store", "embedder", "body", "joint_speed", "text_motion"):
        settings["sums"][name]
    for name in ("model", "ground truth"):
        systems[name]
    if text := content["text"]:
        "" + text["space"]
        0 + text["clips"] + text["repetitions"]
    for system in (*systems.values(), *(text["systems"].values() if text else ())):
        for value, low, high in system["measures"].values():
            0.0 + value + (low or 0.0) + (high or 0.0)
    for system in systems.values():
        if len(system["clips"]) != len(clips):
            raise ValueError
        for count, of in (pair for clip in system["clips"] for pair in clip.values() if pair is not None):
            0.0 + count + of


def better(measure: str) -> int | None:
    """-1: less, 1: more, 0: as real people have it, None: that depends."""
    if measure.startswith(OBEYED_ROW):
        return 1
    return (scores.BETTER | text_scores.BETTER).get(measure, 0)


def rows(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A header, then one row for each measure: what is better, and value and interval of every system.

    Args:
        content: That of report.json, or what is "text" in it.
    """
    systems = content["systems"]
    names = dict.fromkeys(name for system in systems.values() for name in system["measures"])
    table = [("measure", "better", *systems)]
    for name in names:
        table.append(
            (name, _ARROWS[better(name)], *(shown(system["measures"].get(name)) for system in systems.values()))
        )
    return table


def shown(estimate: Sequence[float | None] | None) -> str:
    if estimate is None:
        return ""
    value, low, high = estimate
    value += 0.0  # no "-0"
    return f"{value:.4g}" + ("" if low is None or low == high else f" [{low:.3g}, {high:.3g}]")


def values(content: Mapping[str, Any], system: str, measure: str) -> list[Ratio]:
    """Of every clip; NaN where it has none."""
    of_clips = (clip.get(measure) for clip in content["systems"][system]["clips"])
    return [Ratio(*pair) if pair else Ratio(np.nan, np.nan) for pair in of_clips]


def write(content: Mapping[str, Any], path: Path, show: Shown) -> None:
    """Args:
    show: Made motion, real motion and speech of a clip, by its place in the report.
    """
    order = ranked(content)
    ends = {"best": order[:SHOWN], "worst": order[::-1][: min(SHOWN, len(order) // 2)]}
    players = "".join(
        f"<h3>{title}: {_clip_title(content, place)}</h3><div class=pair>{_players(path, place, show)}</div>"
        for title, places in ends.items()
        for place in places
    )
    learned = sum(clip["trained_on"] for clip in content["clips"])
    notes = list(content["notes"])
    if learned:
        notes.insert(0, f"{learned} of the clips are named in the model's CARD as learned from: marked with *.")
    text = Template((files("cospeech.recipes") / "report.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(content["model"]["name"]),
        about="".join(f"<dt>{html.escape(k)}<dd>{html.escape(v)}" for k, v in about(content).items()),
        notes="".join(f"<li>{html.escape(note)}" for note in notes),
        table=_table(rows(content)) if content["clips"] else "",
        text=_text(content["text"]),
        plots="".join(f"<figure>{plot}</figure>" for plot in _plots(content)),
        ranked_by=html.escape(RANKED_BY),
        players=players,
        clips=_table(
            [("clip", "seconds", *_measured(content)), *(_clip_row(content, n) for n in range(len(content["clips"])))]
        ),
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def text_title(text: Mapping[str, Any]) -> str:
    return f"Motions from captions: {text['clips']} clips, {text['repetitions']} repetitions"


def _text(text: Mapping[str, Any] | None) -> str:
    if text is None:
        return ""
    return (
        f"<h2>{html.escape(text_title(text))}</h2><p>Mean of the repetitions, with the 95 % interval of that mean. "
        f"Embedded by {html.escape(text['space'])}.</p><div class=wide>{_table(rows(text))}</div>"
    )


def ranked(content: Mapping[str, Any]) -> list[int]:
    """Places of the clips, those first whose motion fits their speech best; clips too short to say are left out."""
    found = [pair.value for pair in values(content, "model", RANKED_BY)]
    return sorted((n for n, value in enumerate(found) if np.isfinite(value)), key=lambda n: -found[n])


def about(content: Mapping[str, Any]) -> dict[str, str]:
    """What was measured, of what, with what."""
    settings, versions = content["settings"], content["versions"]
    return {
        "model": f"{content['model']['name']}, licence {content['model']['licence']}",
        "store": content["corpus"],
        "clips": f"{len(content['clips'])}, split {settings['split']}",
        "protocol": content["protocol"],
        "seed": str(settings["seed"]),
        "body": settings["body"] or "the shipped mannequin",
        "embedder": settings["embedder"] or "none",
        "prompts": "; ".join(f"{each['part']}: {each['text']}" for each in settings["prompts"]) or "none",
        "mean speeds of joints": settings["joint_speed"] or "of the store's clips for training",
        "sums": ", ".join(f"{name} {digest}" for name, digest in settings["sums"].items() if digest),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _measured(content: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for clip in content["systems"]["model"]["clips"] for name in clip))


def _clip_title(content: Mapping[str, Any], place: int) -> str:
    clip = content["clips"][place]
    return html.escape(clip["id"] + ("*" if clip["trained_on"] else ""))


def _clip_row(content: Mapping[str, Any], place: int) -> tuple[str, ...]:
    clip, found = content["clips"][place], content["systems"]["model"]["clips"][place]
    cells = [Ratio(*found[n]).value if found.get(n) else np.nan for n in _measured(content)]
    name = clip["id"] + ("*" if clip["trained_on"] else "")
    return (name, f"{clip['seconds']:.1f}", *("" if np.isnan(value) else f"{value:.4g}" for value in cells))


def _table(lines: Sequence[Sequence[str]]) -> str:
    header, *body = ([html.escape(cell) for cell in line] for line in lines)
    head = "".join(f"<th>{cell}" for cell in header)
    return (
        f"<table><thead><tr>{head}<tbody>"
        + "".join("<tr>" + "".join(f"<td>{c}" for c in line) for line in body)
        + "</table>"
    )


def _players(path: Path, place: int, show: Shown) -> str:
    made, real, speech = show(place)
    frames = []
    for name, motion in (("made", made), ("real", real)):
        target = path.parent / "players" / f"{place}-{name}.html"
        with replacing(target) as temporary:
            temporary.write_text(player.page(motion, audio=speech, title=name), encoding="utf-8")
        frames.append(f'<iframe loading=lazy title="{name}" src="players/{target.name}"></iframe>')
    return "".join(frames)


def _plots(content: Mapping[str, Any]) -> list[str]:
    """One SVG for each measure that has values of clips: how they spread, system by system."""
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise MissingExtra("matplotlib", "metrics") from error
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "cospeech"  # equal content, equal file
    systems, drawings = list(content["systems"]), []
    for name in _measured(content):
        columns = [np.array([pair.value for pair in values(content, system, name)]) for system in systems]
        columns = [column[np.isfinite(column)] for column in columns]
        figure = Figure(figsize=(3.2, 2.2))
        axes = figure.add_axes((0.16, 0.2, 0.82, 0.68))  # a layout worked out for each takes longer than the rest
        for at, column in enumerate(columns):
            spread = np.linspace(-0.2, 0.2, len(column)) if len(column) > 1 else np.zeros(len(column))
            axes.plot(at + spread, column, ".", alpha=0.5)
            if len(column):
                axes.plot([at - 0.3, at + 0.3], [np.median(column)] * 2, "k-", linewidth=1.5)
        axes.set_title(name, fontsize=8)
        axes.set_xticks(range(len(systems)), systems, fontsize=6, rotation=20)
        axes.tick_params(axis="y", labelsize=6)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", metadata={"Date": None})
        drawings.append(drawing.getvalue()[drawing.getvalue().index("<svg") :])
    return drawings
