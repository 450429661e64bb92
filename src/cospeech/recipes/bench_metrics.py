"""What measuring costs on this machine: `python -m cospeech.recipes.bench_metrics`.

Clips of a minute, made up: a body that waves and steps, a face that speaks, noise with syllables. Each measure is timed
as an evaluation calls it, once for each clip, and those of all clips together once; the body and what is heard of the
speech are worked out once for all measures of a clip. The networks that make the motion are not part of it.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from cospeech import checkpoint as checkpoints
from cospeech import prosody, skeleton
from cospeech.body import Body, joint_positions, joint_transforms, mannequin
from cospeech.data.store import write_store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.formats import npz
from cospeech.metrics import bands, beat, diversity, face, frechet, gesture, interval, obedience, physics, text
from cospeech.models.embedder import Embedder, EmbedderConfig, embed
from cospeech.motion import Motion
from cospeech.recipes import command
from cospeech.recipes.beside import Measuring
from cospeech.recipes.timing import cpu_seconds
from cospeech.systems import EmbedderModel

FPS, MINUTE = 30, 1800
RATE = 16_000
WINDOW = 120  # frames between seams
CLIPS = 100  # of which the total tells


def main(clips: int = 6) -> None:
    """Print seconds of a clip of a minute, and of a hundred such clips.

    Args:
        clips: Clips to measure.
    """
    per_clip, together = costs(clips)
    table = Table("measure", "s a clip", f"s {CLIPS} clips")
    for name, seconds in sorted(per_clip.items(), key=lambda cost: -cost[1]):
        table.add_row(name, f"{seconds:.3f}", f"{seconds * CLIPS:.1f}")
    for name, seconds in together.items():
        table.add_row(name, "", f"{seconds:.1f}")
    total = CLIPS * sum(per_clip.values()) + sum(together.values())
    table.add_row("all, one after the other", f"{sum(per_clip.values()):.3f}", f"{total:.1f}")
    Console().print(table)
    evaluated = evaluation_cost(clips)
    print(
        f"`cospeech evaluate`, model, floor and ceiling by one protocol: {evaluated:.2f} s a clip, "
        f"{CLIPS * evaluated:.0f} s {CLIPS} clips, and twice the FGDs above"
    )
    print(f"{clips} clips of {MINUTE} frames; seconds of processor time, of which two cores take half as many")


def evaluation_cost(clips: int) -> float:
    """CPU seconds of a clip of a minute for all that an evaluation measures, beside the distances of all clips."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        stored = []
        for number in range(max(clips, 2)):
            info = ClipInfo(f"{number}", "test", "made up", "free", MINUTE, ("speech", "upper"))
            place = np.tile(skeleton.REST_TRANSLATION, (MINUTE, 1))
            face, heard = np.zeros((MINUTE, len(skeleton.ARKIT))), np.zeros((MINUTE, prosody.NUM_FEATURES))
            stored.append(StoredClip(info, _clip(number), place, face, heard, _speech(number)))
            npz.write(Motion(_clip(number + clips), place, FPS, face=face), folder / f"{number}.npz")
        write_store(folder / "store", stored)
        config = EmbedderModel("bench", "none", EmbedderConfig())
        embedder = checkpoints.StoredEmbedder(config, Embedder(config.network), "# bench\n")
        checkpoints.save_embedder(embedder, folder / "embedder")
        paths = tuple(folder / f"{number}.npz" for number in range(len(stored)))
        ruler = (None, folder / "embedder", np.full(55, 0.1), np.zeros((55, 3)), WINDOW)
        measuring = Measuring(folder / "store", tuple(range(len(stored))), paths, "corrected", *ruler)
        measuring(0)  # what is read once
        return sum(cpu_seconds(partial(measuring, place)) for place in range(clips)) / clips


def costs(clips: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measure -> CPU seconds of a clip, the mean; measure of all clips together -> CPU seconds for a hundred."""
    torch.manual_seed(0)
    network = Embedder(EmbedderConfig()).eval()
    spent: dict[str, float] = defaultdict(float)
    embeddings: dict[str, list[np.ndarray]] = defaultdict(list)

    def timed(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        done: list[Any] = []
        spent[name] += cpu_seconds(lambda: done.append(work(*arguments))) / clips
        return done[0]

    for number in range(clips):
        made, real, samples = _clip(number), _clip(number + clips), _speech(number)
        about = bands.mean_pose(real)
        for side, poses in (("made", made), ("real", real)):
            for protocol in ("corrected", "published"):
                embedded = timed(f"embedding, {protocol}", embed, network, poses, protocol)
                embeddings[f"{side} {protocol}"].append(embedded)
            for band, each in zip(bands.Bands._fields, timed("bands", bands.split, poses, FPS, about), strict=True):
                embeddings[f"{side} {band}"].append(timed("embedding of bands", embed, network, each))
        _measure(made, real, samples, timed)

    hundred = {name: [each[i % clips] for i in range(CLIPS)] for name, each in embeddings.items()}
    return dict(spent), {name: cpu_seconds(work) for name, work in _together(hundred).items()}


def _together(embeddings: dict[str, list[np.ndarray]]) -> dict[str, Callable[[], Any]]:
    """What is measured of all clips at once."""
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(2, 4000, 512))
    values = rng.normal(size=(2, CLIPS)).tolist()
    whole = [np.concatenate(embeddings[f"{side} published"]) for side in ("made", "real")]
    kinds = ("corrected", *bands.Bands._fields)
    seeds = range(text.REPLICATIONS)
    return {
        "FGD, published": lambda: frechet.frechet_distance(*whole, "published"),
        "FGD and of bands, with intervals": lambda: [
            frechet.frechet_estimate(embeddings[f"made {kind}"], embeddings[f"real {kind}"]) for kind in kinds
        ],
        "text measures, 20 times 4000 pairs": lambda: [text.scores(*pairs, pairs[1], seed) for seed in seeds],
        "40 intervals and differences": lambda: [
            (interval.estimate(values[0]), interval.difference(*values)) for _ in range(40)
        ],
    }


def _measure(made: np.ndarray, real: np.ndarray, samples: np.ndarray, timed: Callable[..., Any]) -> None:
    """All measures of a clip but those of its embeddings."""
    place = np.tile(skeleton.REST_TRANSLATION, (MINUTE, 1))
    in_place = timed("joints in place", joint_positions, mannequin(), made, np.zeros((MINUTE, 3), np.float32))
    timed("L1 diversity", diversity.l1_diversity, in_place)
    speeds = beat.mean_joint_speeds([in_place])
    for protocol in ("corrected", "published"):
        onsets = timed(f"onsets, {protocol}", beat.onset_times, samples, RATE, MINUTE, protocol)
        timed(f"beat consistency, {protocol}", beat.beat_consistency, in_place, onsets, speeds, protocol)
    head, vertices = face.moving_part(mannequin()), len(mannequin().vertices)
    weights = np.random.default_rng(0).random((2, MINUTE, len(skeleton.ARKIT)), np.float32)
    shown = [timed("face meshes", _face_mesh, head, each) for each in weights]
    timed("face MSE", face.vertex_mse, *shown, vertices)
    for protocol in ("corrected", "published"):
        timed(f"LVD, {protocol}", face.lvd, *shown, protocol, vertices)
    transforms = timed("joints and wrists", joint_transforms, mannequin(), made, place)
    wrists = physics.wrists_in_chest(transforms)
    heard = timed("what is heard", prosody.speech_features, samples, MINUTE, FPS)
    acceleration = gesture.wrist_acceleration(wrists, FPS)
    timed("mismatch", gesture.follows, acceleration, heard[:, prosody.ENERGY], FPS)
    timed("jerk, tremor", lambda: (physics.mean_jerk(wrists, FPS), physics.tremor_share(wrists, FPS)))
    timed("contact, slide, floor", lambda: [measure(transforms.positions, FPS) for measure in _FEET])
    timed("hands inside the body", physics.hands_inside_share, transforms)
    timed("limits", physics.limit_violation_share, made)
    timed("drift", physics.root_drift, transforms.positions[:, 0], FPS)
    timed("seam jump", physics.seam_jump, transforms.positions, np.arange(WINDOW, MINUTE, WINDOW), FPS)
    timed("recurrence", gesture.recurrence, wrists, FPS)
    phones = [("p", second, second + 0.1) for second in range(60)]
    timed("blinks, lips", lambda: (face.num_blinks(weights[0]), face.open_closures(weights[0], phones, FPS)))
    timed("prompt obedience", lambda: [each(transforms, made, FPS) for each in obedience.CRITERIA.values()])


_FEET = (
    lambda positions, fps: physics.contact_share(positions),
    physics.slide_cm_s,
    lambda positions, fps: physics.below_floor_cm(positions),
)


def _face_mesh(head: Body, weights: np.ndarray) -> np.ndarray:
    """(T, V, 3) of a body at rest with a face (T, 52), for which shapes are added up and nothing is skinned."""
    assert head.face_shapes is not None
    shapes = head.face_shapes.deltas.reshape(len(skeleton.ARKIT), -1)
    return head.vertices + (weights @ shapes).reshape(len(weights), -1, 3)


def _clip(seed: int) -> np.ndarray:
    """(T, 55, 3) float32: joints that swing at rates of their own, of all bands."""
    rng = np.random.default_rng(seed)
    at = np.arange(MINUTE)[:, None, None, None] / FPS
    rate, phase = rng.uniform(0.1, 5, (2, 1, 55, 3, 3))
    poses = (0.15 * np.sin(2 * np.pi * rate * at + phase)).sum(axis=-1)
    poses[:, skeleton.WRISTS] += 0.02 * rng.standard_normal((MINUTE, 2, 3))
    return poses.astype(np.float32)


def _speech(seed: int) -> np.ndarray:
    """(N,) float32 noise, as loud as syllables are."""
    rng = np.random.default_rng(seed)
    at = np.arange(MINUTE * RATE // FPS) / RATE
    loud = np.clip(np.sin(2 * np.pi * 4 * at) + np.sin(2 * np.pi * 0.7 * at + seed), 0, None)
    return (0.1 * loud * rng.standard_normal(len(at))).astype(np.float32)


if __name__ == "__main__":
    command.run(main)
