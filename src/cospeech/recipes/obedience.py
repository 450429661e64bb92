"""Whether a model does what it is told, and what that costs: `cospeech bench --obedience`.

Every prompt of `paraphrases.json`, which was written down before the training that is measured, over ten seconds of
voices that no starter learned from. A prompt counts as obeyed where `metrics.obedience` finds its motion; of raised
hands it is reported as well in which share of the frames the named and the other wrist are above the chest.

`cospeech evaluate` asks the same of the prompts that it is given, where their wording tells what they want: `obeyed`.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cospeech.body import joint_transforms, mannequin
from cospeech.data import actions, bandai_namco
from cospeech.errors import FormatError
from cospeech.formats.output import check_target, replacing
from cospeech.metrics import gesture, obedience, physics
from cospeech.metrics.interval import Ratio, estimate
from cospeech.motion import Motion
from cospeech.pipeline import Pipeline, load_pipeline
from cospeech.prompts import Prompt
from cospeech.recipes import held_out, quality
from cospeech.recipes.held_out import Excerpt

EXCERPTS = 4  # for each prompt: half human, half synthetic
OBEYED = 0.8  # share of the clips, at least
OBEYED_ROW = "obeyed: "  # what names of measures begin with that say of how many clips a prompt was obeyed
SPEECH = ("wrists follow the energy", "stroke to stress, of shuffled", "strokes a minute", "wrist speed, m/s")
FACE = ("jaw follows the energy", "lips open in pauses", "blinks a minute")
LOOKS = (
    *("wrist jerk, m/s^3", "8-15 Hz in wrist velocity", "slide in contact, cm/s"),
    *("deepest foot below the floor, cm", "hands inside the body", "joints outside their limits"),
)
LOWER, UPPER = "crouches", "points at something"  # prompts under which the other parts are measured
STRENGTHS = (0.0, 0.5, 1.0, 2.0)
HANDOVERS = ((2.5, 6.0), (3.0, 7.5))  # from when to when, seconds
SEAM_S = 0.6
TIMES = 3  # of which the fastest counts


OF_ACTIONS = {  # of `data.moves`, whose captions ask for what a criterion knows: what they want
    **{f"{action}_{side}_hand": f"{side}_hand_up" for action in ("raise", "wave") for side in ("left", "right")},
    **{f"point_{where}_{side}": "points" for where in ("forward", "up", "down", "aside") for side in ("left", "right")},
    **{"walk_forward": "walks_forward", "run": "runs", "turn_left": "turns_left", "bow": "bows", "clap": "claps"},
    **{"crouch": "crouches", "do_squats": "crouches"},
}
REAL_CONTENTS = {  # of Bandai Namco's clips: what a caption that asks for it would want
    **{"bow": "bows", "walk": "walks_forward", "run": "runs", "dash": "runs", "walk-turn-left": "turns_left"},
    **{f"{action}-{side}-hand": f"{side}_hand_up" for action in ("raise-up", "wave") for side in ("left", "right")},
}


class Asked(NamedTuple):
    """One line of `paraphrases.json`."""

    wanted: str
    part: str
    text: str


# Captions of Bandai Namco's clips whose content and style no starter saw together, where there is a criterion.
STYLED = (
    *(Asked("bows", "whole", f"a person bows {how}") for how in ("angrily", "in a feminine way")),
    *(Asked("runs", "whole", f"a person runs forward {how}") for how in ("happily", "proudly", "in a feminine way")),
)


class Answer(NamedTuple):
    """What a model did about a prompt over one excerpt."""

    value: float
    done: bool
    up: tuple[float, float]  # share of the frames with the left and the right wrist above the chest


def paraphrases() -> list[Asked]:
    text = (files("cospeech.recipes") / "paraphrases.json").read_text(encoding="utf-8")
    return [Asked(**line) for line in json.loads(text)]


def answer(motion: Motion, wanted: str) -> Answer:
    transforms = joint_transforms(mannequin(), motion.poses, motion.translation)
    obeyed = obedience.CRITERIA[wanted](transforms, motion.poses, motion.fps)
    return Answer(obeyed.value, obeyed.done, obedience.wrists_up(transforms))


def criterion(text: str) -> str | None:
    """Key of `metrics.obedience.CRITERIA` for what a sentence asks; None where its wording is not among those known.

    Known are those of `paraphrases.json` and the captions of actions.
    """
    return _criteria().get(_plain(text))


@cache
def _criteria() -> dict[str, str]:
    known = {_plain(each.text): OF_ACTIONS[each.action] for each in actions.captions() if each.action in OF_ACTIONS}
    return known | {_plain(asked.text): asked.wanted for asked in paraphrases()}


def _plain(text: str) -> str:
    """Words without what does not matter: capitals, commas, the full stop."""
    return " ".join(re.findall(r"[\w']+", text.casefold()))


def obeyed(motion: Motion, prompts: Sequence[Prompt]) -> dict[str, Ratio]:
    """Of each prompt with a criterion: 1 if the motion does what it asks, in the frames in which it asks it, 0 if not.

    Prompts that begin when the motion is over are left out.
    """
    found = {}
    for prompt in prompts:
        wanted = criterion(prompt.text)
        asked = motion[min(prompt.start, motion.duration_s) : prompt.end]
        if wanted and len(asked):
            found[_row(prompt)] = Ratio(float(answer(asked, wanted).done), 1.0)
    return found


def _row(prompt: Prompt) -> str:
    when = "" if prompt.start == 0 and prompt.end is None else f", from {prompt.start:g} s"
    when += "" if prompt.end is None else f" to {prompt.end:g} s"
    return f"{OBEYED_ROW}{prompt.text} ({prompt.part}{when})"


def of_prompts(pipeline: Pipeline, prompts: Sequence[Asked], excerpts: Sequence[Excerpt]) -> dict[Asked, list[Answer]]:
    found = defaultdict(list)
    for n, asked in enumerate(track(prompts, "prompts")):
        for k in range(EXCERPTS):
            excerpt = excerpts[(EXCERPTS * n + k) % len(excerpts)]
            motion = pipeline.generate(excerpt.speech, seed=excerpt.seed, **{asked.part: asked.text})
            found[asked].append(answer(motion, asked.wanted))
    return dict(found)


def of_real_clips(data: Path | None) -> dict[str, list[Answer]]:
    """Wanted -> what captioned clips of real people give; nothing where the data set is not there."""
    folder = data / "bandai_namco" if data else None
    if folder is None or not folder.is_dir():
        return {}
    found = defaultdict(list)
    for clip in track(list(bandai_namco.clips(folder, mannequin().joints)), "real clips"):
        if wanted := REAL_CONTENTS.get(clip.id.split("_")[2]):
            found[wanted].append(answer(clip.motion, wanted))
    return dict(found)


def by_motion(answers: dict[Asked, list[Answer]], real: dict[str, list[Answer]]) -> list[tuple[str, ...]]:
    """A header, then one row for each kind of motion."""
    rows = [
        ("motion", "prompts", "clips", "obeyed", "wanted", "named wrist up", "other wrist up", "", "of real clips obey")
    ]
    for wanted in obedience.CRITERIA:
        own = [given for asked, given in answers.items() if asked.wanted == wanted]
        clips = [each for given in own for each in given]
        share = float(np.mean([each.done for each in clips]))
        row = (wanted.replace("_", " "), str(len(own)), str(len(clips)), f"{share:.2f}")
        of_real = real.get(wanted, [])
        there = f"{sum(each.done for each in of_real)} of {len(of_real)}" if of_real else ""
        if wanted.endswith("_hand_up"):
            left, right = np.mean([each.up for each in clips], axis=0).tolist()
            named, other = (left, right) if wanted.startswith("left") else (right, left)
            passed = named >= obedience.ABOVE and other <= obedience.OTHER
            limits = f"{obedience.ABOVE:g} and {obedience.OTHER:g} of frames"
            if of_real:
                there += (
                    f", wrist up {np.mean([each.up[0 if wanted.startswith('left') else 1] for each in of_real]):.2f}"
                )
            rows.append((*row, limits, f"{named:.2f}", f"{other:.2f}", "yes" if passed else "NO", there))
        else:
            rows.append((*row, f"{OBEYED:g}", "", "", "yes" if share >= OBEYED else "NO", there))
    return rows


def by_prompt(answers: dict[Asked, list[Answer]]) -> list[tuple[str, ...]]:
    """A header, then one row for each prompt: all of them."""
    rows = [("prompt", "for", "motion", "obeyed", "measured")]
    for asked, given in answers.items():
        value = np.mean([each.value for each in given])
        done = f"{sum(each.done for each in given)} of {len(given)}"
        rows.append((asked.text, asked.part, asked.wanted.replace("_", " "), done, f"{value:.2f}"))
    return rows


def of_the_rest(pipeline: Pipeline, excerpts: Sequence[Excerpt], whole: Sequence[Excerpt]) -> list[tuple[str, ...]]:
    """Do parts without a prompt go on following the speech, and does prompted motion look as good as any other?"""
    cases = {"no prompt": {}, f"--lower {LOWER!r}": {"lower": LOWER}, f"--upper {UPPER!r}": {"upper": UPPER}}
    found = {}
    for name, prompts in cases.items():
        motions = [pipeline.generate(e.speech, seed=e.seed, **prompts) for e in track(excerpts, name)]
        values = [quality.of_motion(m, e.speech, e.phones) for m, e in zip(motions, excerpts, strict=True)]
        motions = [pipeline.generate(e.speech, seed=e.seed, **prompts) for e in track(whole, f"{name}: recordings")]
        found[name] = values + [quality.of_recording(m, e.speech) for m, e in zip(motions, whole, strict=True)]
    real = quality.real_measures()
    rows = [("measure", *cases, "wanted")]
    for measure in (*SPEECH, *FACE, *LOOKS):
        cells = []
        for name, values in found.items():
            if measure in SPEECH and name.startswith("--upper"):
                cells.append("")  # those arms do something else
                continue
            never = quality.WANTED[measure].never
            shown = estimate([v[measure] for v in values if measure in v], never)
            wanted, passed = quality.judged(measure, shown, real)
            cells.append(f"{shown.value:.3g}" + ("" if passed else " NO"))
        rows.append((measure, *cells, wanted))
    return rows


def of_strength(pipeline: Pipeline, excerpts: Sequence[Excerpt]) -> list[tuple[str, ...]]:
    """Share of the frames with a hand up that was asked to be, at every strength."""
    rows = [("strength", *(f"{strength:g}" for strength in STRENGTHS))]
    shares = []
    for strength in STRENGTHS:
        ups = []
        for excerpt in excerpts:
            motion = pipeline.generate(
                excerpt.speech, upper="raises the left hand", strength=strength, seed=excerpt.seed
            )
            ups.append(answer(motion, "left_hand_up").up[0])
        shares.append(f"{np.mean(ups):.2f}")
    return [*rows, ("left wrist above the chest", *shares)]


def of_seams(pipeline: Pipeline, excerpts: Sequence[Excerpt]) -> list[tuple[str, ...]]:
    """The fastest that wrists speed up where prompts come and go, and anywhere else: metres a second, squared."""
    near, far = [], []
    for excerpt in track(excerpts, "hand-over"):
        for start, end in HANDOVERS:
            prompt = Prompt("waves with the right hand", "upper", start, end)
            motion = pipeline.generate(excerpt.speech, timeline=[prompt], seed=excerpt.seed)
            wrists = physics.wrists_in_chest(joint_transforms(mannequin(), motion.poses, motion.translation))
            change = gesture.wrist_acceleration(wrists, motion.fps)
            at = np.arange(len(change)) / motion.fps
            seam = np.min([np.abs(at - start), np.abs(at - end)], axis=0) < SEAM_S
            near.append(change[seam].max())
            far.append(change[~seam].max())
    return [
        ("wrist acceleration, m/s^2", "where prompts come and go", "elsewhere"),
        ("largest of a clip, mean", f"{np.mean(near):.1f}", f"{np.mean(far):.1f}"),
    ]


def of_cost(pipeline: Pipeline, excerpt: Excerpt) -> list[tuple[str, ...]]:
    """Seconds with and without one prompt, turn and turn about."""
    seconds: dict[str, list[float]] = {"": [], UPPER: []}
    pipeline.generate(excerpt.speech, upper=UPPER)  # reads and warms up
    for _ in range(TIMES):
        for text, taken in seconds.items():
            begin = time.perf_counter()
            pipeline.generate(excerpt.speech, upper=text)
            taken.append(time.perf_counter() - begin)
    speech, prompted = (min(taken) for taken in seconds.values())
    return [
        ("time", "speech alone", "with one prompt", "ratio", "wanted"),
        ("seconds", f"{speech:.2f}", f"{prompted:.2f}", f"{prompted / speech:.2f}", "at most 1.6"),
    ]


def run(model: str, data: Path | None, out: Path | None, device: str = "cpu") -> None:
    """Print the tables; with `out` write them as .md as well."""
    if out and out.suffix != ".md":
        raise FormatError(f"{out}: these measures can be written as .md.")
    if out:
        check_target(out)
    human, spoken = held_out.human_voices(data), held_out.synthetic_voices()
    pipeline = load_pipeline(model, device)
    pairs = zip(held_out.excerpts(human), held_out.excerpts(spoken), strict=False)
    excerpts = [excerpt for pair in pairs for excerpt in pair]
    answers = of_prompts(pipeline, paraphrases(), excerpts)
    tables = {
        "what is done": by_motion(answers, of_real_clips(data)),
        "every prompt": by_prompt(answers),
        "contents in styles never seen together": by_prompt(of_prompts(pipeline, STYLED, excerpts)),
        "the other parts, and how prompted motion looks": of_the_rest(
            pipeline, excerpts, held_out.recordings([*human, *spoken])
        ),
        "strength": of_strength(pipeline, excerpts[:EXCERPTS]),
        "hand-over": of_seams(pipeline, excerpts),
        "cost": of_cost(pipeline, excerpts[0]),
    }
    console = Console()
    if not console.is_terminal:  # a file is as wide as the table
        console = Console(width=200)
    lines = []
    for title, (header, *rows) in tables.items():
        shown = Table(*header, title=f"{model}: {title}")
        for row in rows:
            shown.add_row(*row)
        console.print(shown)
        lines += [f"**{model}: {title}**", "", *quality.markdown(header, rows), ""]
    if out:
        with replacing(out) as path:
            path.write_text("\n".join(lines), encoding="utf-8")
