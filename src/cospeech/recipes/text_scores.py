"""Do motions made from captions alone fit them? The text measures of HumanML3D, for `cospeech evaluate --text-motion`.

Every captioned clip of the split is made again from its first caption, in silence and as long as it is, ten seconds at
most, in every repetition with another seed. A text-motion space embeds captions and motions. Such spaces are trained by
angles: embeddings are brought to length one before `metrics.text` takes distances between them.

Beside the model: the mean pose of the clips held still, the real motion of another clip, and the real motion.

What was made is kept as embeddings, one file a clip, in a folder for each space: an interrupted run goes on there.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from cospeech import checkpoint as checkpoints
from cospeech.data.store import Store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.errors import ConfigError, CospeechError, CospeechWarning, DataError
from cospeech.formats.output import replacing
from cospeech.metrics import text
from cospeech.metrics.retrieval import BATCH
from cospeech.motion import Motion
from cospeech.pipeline import Pipeline, Request, load_pipeline
from cospeech.prompts import LONGEST as LONGEST_TEXT
from cospeech.prompts import Prompt
from cospeech.recipes import processes, retrieval
from cospeech.recipes.beside import MEAN, MODEL, OTHER, REAL, held_still, mean_pose_of
from cospeech.recipes.scores import FPS, RATE, motion_of
from cospeech.recipes.tmr import FILES, TrainTmr
from cospeech.speech import Speech

if TYPE_CHECKING:
    from cospeech.recipes.evaluate import Evaluate, Progress

Embed = Callable[[StoredClip | Motion], np.ndarray]
FOLDER = "text"
SHORTEST, LONGEST = TrainTmr.shortest, TrainTmr.longest  # frames: what spaces are trained on unless told otherwise
BETTER = {  # as in `scores`; None: that depends
    **{f"R-precision top {top}": 1 for top in (1, 2, 3)},
    **{"matching score": -1, "FID": -1, "diversity": 0, "multimodality": None},
}


def captioned(store: Store, split: str) -> list[int]:
    """Numbers in `store.infos` of the clips of a split that can be made again from a caption."""
    found = [
        n
        for n, info in enumerate(store.infos)
        if info.split == split and info.num_frames > SHORTEST and "upper" in info.has and _caption(info)
    ]
    if len(found) < 2:
        raise DataError(
            f"{store.path}: {len(found)} clips of its split `{split}` with more than {SHORTEST} frames have a caption, "
            "two or more are needed. Leave --text-motion out."
        )
    return found


def check_reads(pipeline: Pipeline) -> None:
    if not pipeline.reads_text:
        raise ConfigError(
            f"The model `{pipeline.config.name}` follows speech only, it makes no motion from captions. Leave "
            "--text-motion out."
        )


def digest(space: Path) -> str:
    """Of what decides about embeddings."""
    if (space / FILES[0]).is_file():
        names = FILES
    else:
        space, names = checkpoints.find(space), (checkpoints.SUMS,)
    return hashlib.sha256(b"".join((space / name).read_bytes() for name in names)).hexdigest()[:16]


def measure(
    settings: "Evaluate", space: Path, store: Store, pipeline: Pipeline, progress: "Progress"
) -> dict[str, Any]:
    """What report.json says about text: the space, how many clips and repetitions, and the measures of each system."""
    clips = captioned(store, settings.split)
    of_motion, of_text = retrieval.load(space)
    made = _made(settings, space, store, clips, pipeline, of_motion, progress)  # (N, R, D)
    texts = _unit([of_text(_caption(store.infos[n])) for n in clips])
    real = _unit([of_motion(_beginning(store.clip(n))) for n in clips])
    pose = mean_pose_of(store, clips)
    still = _unit([of_motion(held_still(pose, _beginning(store.clip(n)))) for n in clips])
    other = np.roll(real, len(clips) // 2, axis=0)
    repetitions = range(settings.repetitions)
    systems: dict[str, Any] = {}
    for name, motions in ((MODEL, made), (MEAN, still), (OTHER, other), (REAL, real)):
        found = []
        for n in repetitions:
            these = motions[:, n] if name == MODEL else motions
            found.append(text.scores(texts, these, real, n, settings.protocol))
            if name == MODEL and settings.repetitions >= text.PAIRS_OF_TEXT:
                found[-1]["multimodality"] = text.multimodality(made, n)
        measures = text.over_replications(found)
        systems[name] = {
            "measures": {
                measure: [round(number, 9) for number in estimate]
                for measure, estimate in measures.items()
                if np.isfinite(estimate.value)
            }
        }
    return {
        "space": str(space),
        "clips": len(clips),
        "repetitions": settings.repetitions,
        "width": real.shape[1],
        "systems": systems,
    }


def notes(content: dict[str, Any]) -> list[str]:
    """What keeps text measures from being what they are elsewhere."""
    clips, repetitions = content["clips"], content["repetitions"]
    found = ["Text measures depend on the text-motion space: those in another one cannot be compared."]
    if clips < BATCH:
        found.append(f"No R-precision: it needs {BATCH} captioned clips, there are {clips}.")
    if clips <= content["width"]:
        found.append(f"FID says little of so few motions: {clips}, each embedded as {content['width']} numbers.")
    if repetitions < text.PAIRS_OF_TEXT:
        found.append(f"No multimodality: it needs {text.PAIRS_OF_TEXT} repetitions, there are {repetitions}.")
    if repetitions < text.REPLICATIONS:
        found.append(f"The protocol of the text measures has {text.REPLICATIONS} repetitions, this run {repetitions}.")
    return found


def _made(
    settings: "Evaluate",
    space: Path,
    store: Store,
    clips: Sequence[int],
    pipeline: Pipeline,
    embed: Embed,
    progress: "Progress",
) -> np.ndarray:
    """(N, R, D) embeddings of motions made from the captions; what is there already is not made again."""
    folder = settings.out / FOLDER / digest(space)
    left = [n for n in clips if len(_kept(folder, store.infos[n])) < settings.repetitions]
    devices = processes.devices(settings.device, settings.workers, len(left))
    if len(devices) > 1:
        processes.each(partial(_make_there, settings, space, folder), left, progress, devices)
    else:
        processes.each(lambda n: _make(settings, folder, pipeline, embed, store.clip(n)), left, progress)
    return _unit([_kept(folder, store.infos[n])[: settings.repetitions] for n in clips])


def _make_there(settings: "Evaluate", space: Path, folder: Path, number: int) -> None:
    pipeline, embed, store = _loaded(settings, space)
    _make(settings, folder, pipeline, embed, store.clip(number))


@lru_cache(maxsize=1)
def _loaded(settings: "Evaluate", space: Path) -> tuple[Pipeline, Embed, Store]:
    """For a process that does nothing else."""
    of_motion, _ = retrieval.load(space)
    return load_pipeline(settings.model, settings.device), of_motion, Store(settings.store)


def _make(settings: "Evaluate", folder: Path, pipeline: Pipeline, embed: Embed, clip: StoredClip) -> None:
    """Write (R, D): one embedding for each repetition."""
    seconds = min(clip.info.num_frames, LONGEST) / FPS
    silence = Speech(np.zeros(round(seconds * RATE), np.float32), RATE)
    prompt = Prompt(_caption(clip.info))
    requests = [Request(silence, [prompt], seed=settings.seed + n) for n in range(settings.repetitions)]
    sampler = "ddpm" if settings.protocol == "published" else None
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CospeechWarning)  # captions that the model does not understand count, too
        try:
            for batch in processes.batches(requests):
                found += map(embed, pipeline.generate_many(batch, steps=settings.steps, sampler=sampler))
        except CospeechError as error:
            raise type(error)(f"{clip.info.id}: {error}") from None
    with replacing(_path(folder, clip.info)) as path:
        np.save(path, np.stack(found))


def _kept(folder: Path, info: ClipInfo) -> np.ndarray:
    """What `_make` wrote; (0,) where it did not yet."""
    try:
        return np.load(_path(folder, info), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return np.zeros(0)


def _path(folder: Path, info: ClipInfo) -> Path:
    return folder / (quote(info.id, safe="") + ".npy")


def _caption(info: ClipInfo) -> str:
    """The first caption that is short enough for a prompt; "" where there is none."""
    return next((caption for caption in info.captions if 0 < len(caption.strip()) <= LONGEST_TEXT), "")


def _beginning(clip: StoredClip) -> Motion:
    return motion_of(clip)[: LONGEST / FPS]


def _unit(embeddings: Sequence[np.ndarray]) -> np.ndarray:
    vectors = np.stack(embeddings).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
