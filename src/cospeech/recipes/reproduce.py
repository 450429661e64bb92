"""A paper's row beside the measured one, from nothing: download, import, prepare, evaluate.

    cospeech reproduce mambatalk out --accept

Each step leaves a folder in `out` and is not done again when that is whole, so that an interrupted run goes on:

    downloads/  what was published       beat2.store  embedder/
    mambatalk/model  mambatalk/published  mambatalk/corrected    and likewise of the other systems
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from cospeech import checkpoint as checkpoints
from cospeech import download
from cospeech.body import load_smplx
from cospeech.data import beat2, prepare
from cospeech.data.store import Store
from cospeech.download import Choice
from cospeech.errors import CheckpointError, ConfigError
from cospeech.quirks import Protocol
from cospeech.recipes import evaluate
from cospeech.recipes.beside import MODEL
from cospeech.recipes.evaluate import Evaluate
from cospeech.recipes.report import shown
from cospeech.released.embedder import import_embedder
from cospeech.released.mambatalk import import_mambatalk
from cospeech.released.syntalker import import_syntalker

Stage = Callable[[str], AbstractContextManager[Callable[[float], None]]]
JOINT_SPEED = Path("beat_english_v2.0.0", "weights", "mean_vel_smplxflame_30.npy")
SPEAKER = 2  # Scott, on whom the papers measure
PROTOCOLS: tuple[Protocol, ...] = ("published", "corrected")


class Paper(NamedTuple):
    """What was published of a system on the test takes of speaker 2."""

    row: str
    measures: dict[str, float]  # as `recipes.scores` names and scales them
    certainty: str


PAPERS = {
    "syntalker-s": Paper(
        "SynTalker, without both kinds of additional data",
        {"FGD": 0.4687, "beat consistency": 0.736},
        "from listings by others; which row of the paper they are is inferred",
    ),
    "syntalker-t": Paper(
        "SynTalker, whole",
        {"FGD": 0.6413, "beat consistency": 0.7971, "L1 diversity, m": 12.721},
        "from later papers that quote it; its own code computes no gesture measures of this system",
    ),
    "mambatalk": Paper(
        "MambaTalk",
        {
            "FGD": 0.5366,
            "beat consistency": 0.7812,
            "L1 diversity, m": 13.05,
            "face MSE, m^2": 6.289e-7,
            "LVD, m": 6.897e-5,
        },
        "the first three are quoted by others, too; those of the face are little certain",
    ),
}
Name = Literal["syntalker-s", "syntalker-t", "mambatalk"]


@dataclass(frozen=True)
class Reproduce:
    """Args:
    body: A SMPL-X file, without which joints are those of the mannequin and errors of the face are not measured.
    steps: Diffusion steps, instead of those of the protocols: to try it out.
    mirror: Address that has everything the hosts have.
    """

    name: Name
    out: Path
    body: Path | None = None
    device: str = "cpu"
    workers: int = 1
    steps: int | None = None
    mirror: str | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.system is None:
            raise ConfigError(f"--steps: {self.name} has no diffusion. Leave it out.")
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: must be at least 1.")
        if self.body:
            load_smplx(self.body)  # an error now rather than after the download

    @property
    def system(self) -> Literal["S", "T"] | None:
        return {"syntalker-s": "S", "syntalker-t": "T"}.get(self.name)  # type: ignore[return-value]

    @property
    def model(self) -> Path:
        return self.out / self.name / "model"

    @property
    def embedder(self) -> Path:
        return self.out / "embedder"

    @property
    def store(self) -> Path:
        return self.out / "beat2.store"

    def download(self, name: str) -> Path:
        return self.out / "downloads" / name

    def report(self, protocol: Protocol) -> Path:
        return self.out / self.name / protocol


def choices(name: Name) -> dict[str, Choice]:
    """What is downloaded, and which of its files."""
    if name == "mambatalk":
        weights = {"mambatalk": Choice(), "wav2vec2": Choice()}
    else:
        weights = {"syntalker": Choice(system="S" if name == "syntalker-s" else "T")}
    return weights | {"beat2": Choice(speakers=(SPEAKER,))}


def run(config: Reproduce, stage: Stage) -> list[tuple[str, ...]]:
    """The licences of `choices` have been accepted.

    Args:
        stage: Given the name of what is being done, a context manager of a function that is called with the share.

    Returns:
        A header, then one row for each measure: the paper's value, and the measured one in both protocols.
    """
    for name, choice in choices(config.name).items():
        with stage(f"download {name}") as progress:
            download.fetch(download.plan(name, config.download(name), choice, config.mirror), progress)
    with stage("import"):
        _import(config)
    jobs = beat2.jobs(config.download("beat2"), ("english",), (SPEAKER,))
    with stage("prepare beat2") as progress:
        prepare.run(jobs, config.store, f"beat2, speaker {SPEAKER}", config.workers, progress=progress)
    results = {}
    for protocol in PROTOCOLS:
        settings = Evaluate(
            str(config.model),
            config.store,
            config.report(protocol),
            protocol,
            embedder=config.embedder,
            body=config.body,
            joint_speed=config.download("beat2") / JOINT_SPEED,
            steps=config.steps,
            device=config.device,
            workers=config.workers,
        )
        results[protocol] = evaluate.run(settings, lambda what, of=protocol: stage(f"{what}, {of}"))
    return rows(config.name, results)


def _import(config: Reproduce) -> None:
    if not _is_whole(config.embedder, checkpoints.load_embedder):
        import_embedder([config.download("beat2")], config.embedder)
    if _is_whole(config.model, checkpoints.load):
        return
    if config.system:
        import_syntalker([config.download("syntalker")], config.model, config.system, None)
    else:
        import_mambatalk([config.download("mambatalk")], config.model, str(config.download("wav2vec2")))


def _is_whole(directory: Path, load: Callable) -> bool:
    try:
        load(directory)
    except CheckpointError:
        return False
    return True


def rows(name: Name, results: dict[Protocol, dict]) -> list[tuple[str, ...]]:
    """The table of `run` out of the reports of both protocols."""
    paper, measured = PAPERS[name], {of: content["systems"][MODEL]["measures"] for of, content in results.items()}
    table = [("measure", "paper", *(f"measured, {protocol}" for protocol in measured))]
    for measure in dict.fromkeys((*paper.measures, *(m for of in measured.values() for m in of))):
        published = f"{paper.measures[measure]:.4g}" if measure in paper.measures else ""
        table.append((measure, published, *(shown(found.get(measure)) for found in measured.values())))
    return table


def notes(config: Reproduce) -> list[str]:
    """What keeps the measured numbers from being those of the paper."""
    store = Store(config.store)
    num_clips, dropped = len(evaluate.test_clips(store, "test")), store.dropped()
    found = [f"measured on {num_clips} takes of speaker {SPEAKER} that are for testing"]
    if dropped:
        found.append(f"{len(dropped)} takes are left out: `cospeech check {config.store}` tells which and why")
    if config.body is None:
        found.append("the papers' joints and faces are those of SMPL-X; give your own file to --body")
    if config.steps is not None:
        found.append(f"the published protocol has 1000 diffusion steps, this run {config.steps}")
    return found
