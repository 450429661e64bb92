"""Evaluate a model on the clips of a store: make motion for each, measure it, and set it beside floor and ceiling.

    cospeech evaluate starter beat2.store --out results/starter

Beside the model the motions of `recipes.beside` are measured: what a measure says means little but between these. With
a text-motion space clips are made from their captions, too, and measured by `recipes.text_scores`.

A run leaves in its folder settings.json, motions/ (one npz a clip; an interrupted run goes on where it was), text/,
embeddings.npz, report.html, and at last report.json with every value of every clip. What is whole is not made again.
"""

import hashlib
import json
import platform
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

import cospeech
from cospeech import checkpoint as checkpoints
from cospeech.data.statistics import joint_speed_of, read_joint_speed
from cospeech.data.store import Store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError, CospeechError, CospeechWarning, DataError
from cospeech.files import load_motion
from cospeech.formats import npz
from cospeech.formats.output import replacing
from cospeech.metrics.frechet import Clips, frechet_distance, frechet_estimates
from cospeech.metrics.interval import FEW, Estimate, Ratio, estimate
from cospeech.metrics.text import REPLICATIONS
from cospeech.motion import Motion
from cospeech.pipeline import Pipeline, Request, load_pipeline
from cospeech.prompts import Prompt
from cospeech.quirks import Protocol
from cospeech.recipes import obedience, processes, quality, report, retrieval, scores, text_scores
from cospeech.recipes.beside import MODEL, REAL, SYSTEMS, Measuring, body_of, mean_pose_of
from cospeech.recipes.scores import FPS, RATE
from cospeech.speech import Speech

SETTINGS, REPORT, EMBEDDINGS, MOTIONS = "settings.json", "report.json", "embeddings.npz", "motions"
VERSION = 2
NO_SPEECH = "No clip of the split has a recording: only motions from captions were measured."
Progress = Callable[[float], None]
Embedded = Mapping[str, np.ndarray]  # of one clip, as `scores.embeddings` gives it


@dataclass(frozen=True)
class Evaluate:
    """Args:
    protocol: "published" generates and measures as the papers' code does: the model is shown the first frames of the
        real motion, diffusion runs all its steps with noise, a face it has none of is the real one. "corrected": it
        starts from rest and is asked for what `cospeech generate` gives.
    embedder: What `cospeech import embedder` or `cospeech train embedder` made. None: no Fréchet distance.
    body: A SMPL-X file, whose joints and face are measured instead of the mannequin's, with the shape of each speaker.
    joint_speed: As `data.statistics.read_joint_speed` reads, for beat consistency; None: of what the store has for
        training.
    steps: Diffusion steps; None: as many as the protocol says.
    text_motion: The run of a `cospeech train tmr`, or an imported model with such a space. None: captions are not
        looked at. With one the store need not have speech.
    repetitions: How often a motion is made from each caption.
    """

    model: str
    store: Path
    out: Path
    protocol: Protocol = "corrected"
    split: str = "test"
    embedder: Path | None = None
    body: Path | None = None
    joint_speed: Path | None = None
    seed: int = 0
    steps: int | None = None
    prompts: tuple[Prompt, ...] = ()
    device: str = "cpu"
    workers: int = 1  # processes that measure, and that generate on the CPU
    text_motion: Path | None = None
    repetitions: int = REPLICATIONS


# --- the run ----------------------------------------------------------------------------------------------------------


def run(settings: Evaluate, progress: Callable[[str], Any]) -> dict[str, Any]:
    """Returns the content of report.json.

    Args:
        progress: Given the name of what is being done, a context manager of a function that is called with the share.
    """
    store = Store(settings.store)
    places = test_clips(store, settings.split)
    if not places and settings.text_motion is None:
        raise DataError(
            f"{store.path}: no clip of its split `{settings.split}` has a recording and a motion to compare with."
        )
    body_of(settings.body)
    if settings.embedder:
        checkpoints.load_embedder(settings.embedder)
    if settings.text_motion:
        text_scores.captioned(store, settings.split)
        retrieval.load(settings.text_motion)
    speeds = read_joint_speed(settings.joint_speed) if settings.joint_speed else None
    checkpoint = checkpoints.find(settings.model)
    made_of = _begin(settings, store, checkpoint)
    if finished := _finished(settings.out, made_of):
        return finished
    pipeline = load_pipeline(settings.model, settings.device)
    if settings.text_motion:
        text_scores.check_reads(pipeline)
    found = _measured(settings, store, places, pipeline, speeds, progress) if places else []
    of_system = {name: [clip[name] for clip in found] for name in (found[0] if found else SYSTEMS)}
    embedded = {name: [vectors for _, vectors in each] for name, each in of_system.items()}
    _save_embeddings(settings.out / EMBEDDINGS, embedded)
    distances = _distances(embedded, settings.protocol)
    of_text = None
    if settings.text_motion:
        with progress("generate from captions") as share:
            of_text = text_scores.measure(settings, settings.text_motion, store, pipeline, share)
    card = (checkpoint / checkpoints.CARD).read_text(encoding="utf-8")
    content = {
        "version": VERSION,
        "model": {"name": pipeline.config.name, "licence": pipeline.config.licence},
        "corpus": store.corpus,
        "protocol": settings.protocol,
        "settings": made_of,
        "versions": _versions(),
        "clips": [
            {"id": info.id, "seconds": round(info.num_frames / FPS, 3), "trained_on": learned_from(card, info.id)}
            for info in (store.infos[place] for place in places)
        ],
        "systems": {
            name: {
                "measures": summary([values for values, _ in each], distances.get(name, {})),
                "clips": [_json(values) for values, _ in each],
            }
            for name, each in of_system.items()
        },
        "text": of_text,
    }
    content["notes"] = (
        _notes(settings, embedded[REAL], content["systems"][MODEL]["measures"]) if places else [NO_SPEECH]
    )
    content["notes"] += text_scores.notes(of_text) if of_text else []
    report.write(content, settings.out / "report.html", lambda place: _player(settings, store, places[place]))
    with replacing(settings.out / REPORT) as path:
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return content


def test_clips(store: Store, split: str) -> list[int]:
    """Numbers in `store.infos` of the clips of a split that have speech and motion."""
    return [n for n, info in enumerate(store.infos) if info.split == split and info.num_samples and "upper" in info.has]


def generate(settings: Evaluate, store: Store, places: Sequence[int], pipeline: Pipeline, progress: Progress) -> None:
    """Make the motions that are not there yet, on all devices."""
    (settings.out / MOTIONS).mkdir(parents=True, exist_ok=True)
    left = [n for n in places if not motion_path(settings.out, store.infos[n]).is_file()]
    left.sort(key=lambda n: -store.infos[n].num_frames)  # batches are of about one length
    devices = processes.devices(settings.device, settings.workers, len(left))
    batches = processes.batches(left, len(devices))
    if len(devices) > 1:
        processes.each(partial(_generate_there, settings), batches, progress, devices)
    else:
        processes.each(lambda these: _generate(settings, pipeline, [store.clip(n) for n in these]), batches, progress)


def _generate_there(settings: Evaluate, numbers: Sequence[int]) -> None:
    pipeline, store = _loaded(settings)
    _generate(settings, pipeline, [store.clip(n) for n in numbers])


@lru_cache(maxsize=1)
def _loaded(settings: Evaluate) -> tuple[Pipeline, Store]:
    """For a process that does nothing else."""
    return load_pipeline(settings.model, settings.device), Store(settings.store)


def _generate(settings: Evaluate, pipeline: Pipeline, clips: Sequence[StoredClip]) -> None:
    requests = [_request(settings, pipeline, clip) for clip in clips]
    published = settings.protocol == "published"
    with warnings.catch_warnings():
        if published:  # that it generates less than the speech lasts is part of it
            warnings.simplefilter("ignore", CospeechWarning)
        sampler = "ddpm" if published and pipeline.has_chance else None
        try:
            motions = pipeline.generate_many(requests, steps=settings.steps, sampler=sampler)
            for clip, motion in zip(clips, motions, strict=True):
                _keep(settings, clip, motion)
        except CospeechError as error:
            if len(clips) == 1:
                raise type(error)(f"{clips[0].info.id}: {error}") from None
            for clip in clips:  # which one it is shows by itself
                _generate(settings, pipeline, [clip])


def _request(settings: Evaluate, pipeline: Pipeline, clip: StoredClip) -> Request:
    speaker = getattr(pipeline.config, "speaker", None)
    if speaker is not None and clip.info.speaker.isdecimal():
        speaker = int(clip.info.speaker)
    start = scores.motion_of(clip) if settings.protocol == "published" else None
    return Request(Speech(clip.samples, RATE, clip.info.words), settings.prompts, speaker, settings.seed, start)


def _keep(settings: Evaluate, clip: StoredClip, motion: Motion) -> None:
    npz.write(replace(motion, betas=clip.betas), motion_path(settings.out, clip.info))


def motion_path(out: Path, info: ClipInfo) -> Path:
    return out / MOTIONS / (quote(info.id, safe="") + ".npz")


def summary(values: Sequence[quality.Values], distances: Mapping[str, Estimate]) -> dict[str, list[float | None]]:
    """Measure -> value and 95 % interval, over clips; a measure that no clip has is left out."""
    found = dict(distances)
    for name in dict.fromkeys(name for clip in values for name in clip):
        never = quality.WANTED[name].never if name in quality.WANTED else None
        found[name] = estimate([clip[name] for clip in values if name in clip], never)
    return {
        name: [round(number, 9) if np.isfinite(number) else None for number in each]
        for name, each in found.items()
        if np.isfinite(each.value)
    }


def _distances(embedded: Mapping[str, Sequence[Embedded]], protocol: Protocol) -> dict[str, dict[str, Estimate]]:
    """System -> Fréchet distance -> estimate."""
    found: dict[str, dict[str, Estimate]] = {name: {} for name in embedded}
    kinds = {scores.WHOLE: "FGD"} | {band: f"FGD, {band} band" for band in scores.BANDS}
    for kind, title in kinds.items():
        of_system = {
            name: [clip[kind] for clip in clips if kind in clip and len(clip[kind])] for name, clips in embedded.items()
        }
        real = of_system.pop(REAL)
        of_system = {name: clips for name, clips in of_system.items() if clips}
        if sum(map(len, real)) < 2:
            continue
        for name, each in zip(of_system, _frechet(list(of_system.values()), real, protocol), strict=True):
            found[name][title] = each
        found[REAL][title] = Estimate(0.0, 0.0, 0.0)
    return found


def _frechet(runs: Sequence[Clips], real: Clips, protocol: Protocol) -> list[Estimate]:
    if protocol == "corrected":
        return frechet_estimates(runs, real)
    together = np.concatenate(real)
    values = [frechet_distance(np.concatenate(made), together, protocol) for made in runs]
    return [Estimate(value, np.nan, np.nan) for value in values]


def learned_from(card: str, clip: str) -> bool:
    """Whether a CARD names the clip among what was learned from, with its corpus or, if it is no mere word, without."""
    names = [re.escape(clip)]
    if re.search(r"\d", short := clip.split("/")[-1]):
        names.append(re.escape(short))
    return re.search(rf"(?<![\w/])(?:{'|'.join(names)})(?![\w/])", card) is not None


# --- parts of it ------------------------------------------------------------------------------------------------------


def _measured(
    settings: Evaluate,
    store: Store,
    places: Sequence[int],
    pipeline: Pipeline,
    speeds: np.ndarray | None,
    progress: Callable[[str], Any],
) -> list[dict]:
    """What `Measuring` says of every clip, whose motion is made first.

    Args:
        speeds: Of joints; None: those of the store.
    """
    with progress("generate") as share:
        generate(settings, store, places, pipeline, share)
    if speeds is None:
        with progress("speeds of joints") as share:
            speeds = joint_speed_of(store, body_of(settings.body), share)
    measuring = Measuring(
        settings.store,
        tuple(places),
        tuple(motion_path(settings.out, store.infos[place]) for place in places),
        settings.protocol,
        settings.body,
        settings.embedder,
        speeds,
        mean_pose_of(store, places),
        pipeline.windows.hop_frames if pipeline.windows is not None else None,
        settings.prompts,
    )
    with progress("measure") as share:
        return _all(measuring, settings.workers, share)


def _all(measuring: Measuring, workers: int, progress: Progress) -> list[dict]:
    """What `measuring` says of every clip."""
    places = range(len(measuring.clips))
    return processes.each(measuring, places, progress, ["cpu"] * min(workers, len(places)))


def _begin(settings: Evaluate, store: Store, checkpoint: Path) -> dict[str, Any]:
    """Settle that the folder is new, or holds motions that were made with the same settings; returns these."""
    wanted: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    for name in ("out", "device", "workers"):  # which do not change what comes out
        del wanted[name]
    wanted["sums"] = {
        "model": _digest((checkpoint / checkpoints.SUMS).read_bytes()),
        "store": _digest("".join(store.sums()).encode()),
        "embedder": settings.embedder and _digest((settings.embedder / checkpoints.SUMS).read_bytes()),
        "body": settings.body and _digest(settings.body.read_bytes()),
        "joint_speed": settings.joint_speed and _digest(settings.joint_speed.read_bytes()),
        "text_motion": settings.text_motion and text_scores.digest(settings.text_motion),
    }
    path = settings.out / SETTINGS
    if path.is_file():
        was, now = _made_of(_read_json(path)), _made_of(wanted)
        made = any(any((settings.out / folder).glob("[!.]*")) for folder in (MOTIONS, text_scores.FOLDER))
        if made and was != now:
            others = ", ".join(name for name in now if was.get(name, ...) != now[name])
            raise ConfigError(
                f"{settings.out}: was begun with other settings ({others}), see {SETTINGS}. Choose another folder."
            )
    elif settings.out.is_dir() and any(settings.out.glob("[!.]*")):
        raise ConfigError(f"{settings.out}: holds other files. Choose a new or empty folder.")
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    return wanted


def _made_of(settings: Any) -> dict[str, Any]:
    """What motions depend on; nothing for what are no settings."""
    try:
        sums = {name: settings["sums"][name] for name in ("model", "store")}
        return sums | {name: settings[name] for name in ("protocol", "split", "seed", "steps", "prompts")}
    except (KeyError, TypeError):
        return {}


def _finished(out: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a run that was made with the same settings and versions, and is whole."""
    try:
        content = read_report(out)
    except DataError:
        return None
    return content if (content["settings"], content["versions"]) == (settings, _versions()) else None


def _versions() -> dict[str, str]:
    return {
        "cospeech": cospeech.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _save_embeddings(path: Path, embedded: Mapping[str, Sequence[Embedded]]) -> None:
    """What a comparison with another run needs."""
    arrays = {
        f"{system}/{place}/{name}": vectors
        for system in (MODEL, REAL)
        for place, clip in enumerate(embedded[system])
        for name, vectors in clip.items()
    }
    if arrays:
        with replacing(path) as temporary:
            np.savez(temporary, **arrays)


def _notes(settings: Evaluate, real: Sequence[Embedded], measures: Mapping[str, Sequence[float | None]]) -> list[str]:
    notes = []
    unknown = [repr(prompt.text) for prompt in settings.prompts if obedience.criterion(prompt.text) is None]
    if unknown:
        notes.append(f"Not measured: whether {', '.join(unknown)} was obeyed. No criterion is known for such words.")
    if len(real) < FEW:
        notes.append(f"Of {len(real)} clips intervals are too narrow. Ten or more are needed to trust them.")
    if len(real) < 2:
        notes.append("There is no other clip whose motion could be compared with.")
    if not settings.embedder:
        notes.append(
            "No Fréchet distances: they need --embedder, made by `cospeech import embedder` from the released "
            "AESKConv_240_100.bin or by `cospeech train embedder`."
        )
    elif not any(len(clip[scores.WHOLE]) for clip in real):
        notes.append("No Fréchet distances: every clip is shorter than what the embedder sees at a time.")
    if settings.body is None:
        notes.append(
            "Joints are those of the shipped body. With --body and a SMPL-X file they are those of the papers."
        )
        notes.append("No errors of the face: they need a SMPL-X file as --body, and FLAME expressions on both sides.")
    if measures.get("face MSE, m^2", [None])[0] == 0:
        notes.append(
            "The model has no face of its own. The published protocol measures it with the real one, so that errors of "
            "the face are zero."
        )
    return notes


def _json(values: quality.Values) -> dict[str, list[float] | None]:
    """Measure -> count and of what; None where there was nothing to measure."""
    pairs = {name: value if isinstance(value, Ratio) else Ratio(value, 1.0) for name, value in values.items()}
    return {name: [float(x) for x in pair] if np.isfinite(pair).all() else None for name, pair in pairs.items()}


def _player(settings: Evaluate, store: Store, number: int) -> tuple[Motion, Motion, Speech]:
    """What was made for a clip, the real motion, and the speech of both."""
    clip = store.clip(number)
    made = load_motion(motion_path(settings.out, clip.info))
    return made, scores.motion_of(clip), Speech(clip.samples, RATE)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def read_report(folder: Path) -> dict[str, Any]:
    """report.json of a finished run, from whoever it comes."""
    path = folder / REPORT
    content = _read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{folder}: holds no {REPORT} of `cospeech evaluate`.")
    if content.get("version") != VERSION:
        raise DataError(f"{path}: is of version {content.get('version')!s:.20}, expected {VERSION}. Evaluate again.")
    try:
        report.check(content)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{path}: is damaged, or not of `cospeech evaluate`.") from None
    return content
