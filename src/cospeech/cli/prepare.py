"""`cospeech prepare` and `cospeech check`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from cospeech.cli.progress import progress_bar
from cospeech.errors import ConfigError

_OPTIONS = {  # of each corpus
    "beat2": ("languages", "speakers", "additional"),
    "amass": ("smplh",),
    "humanml3d": ("amass", "smplh"),
    "beat-cache": (),
    "folder": ("languages", "test-share", "licence", "speaker-prefix"),
}


def prepare(
    corpus: Annotated[Literal["beat2", "amass", "humanml3d", "beat-cache", "folder"], arg(metavar="CORPUS")],
    source: Annotated[Path, arg(metavar="SRC")],
    store: Annotated[Path, arg(metavar="STORE")],
    /,
    languages: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = (),
    speakers: Annotated[tuple[int, ...], arg(metavar="NUMBER ...")] = (),
    additional: bool = False,
    amass: Path | None = None,
    smplh: Path | None = None,
    test_share: float | None = None,
    licence: str = "",
    speaker_prefix: bool = False,
    workers: int | None = None,
    engine: Literal["local", "ray"] = "local",
    shard: str | None = None,
) -> None:
    """Turn a corpus as it was published into a store, from which everything here learns and is measured.

    An interrupted run goes on where it was. Clips that are no good are left out, and a table says which and why.

    Examples: cospeech prepare beat2 beat_english_v2.0.0 beat2.store --speakers 2;
    cospeech prepare folder my-recordings mine.store --licence "all mine"

    Args:
        corpus: beat2: a folder with smplxflame_30, wave16k, textgrid and train_test_split.csv, or one with such folders
            of several languages. amass: a folder with SUBSET/SUBJECT/*.npz, as SMPL-H or SMPL-X. humanml3d: a folder
            with index.csv, texts and the lists of splits. beat-cache: the published caches of SynTalker. folder:
            recordings of your own, in the folder or in wave16k in it, with motion (.npz, .bvh, .amc) and TextGrids of
            the same names beside them. What comes out of each: docs/data.md.
        source: Its folder.
        store: Folder to write.
        languages: Of beat2: such as english chinese. Default: all there are. Of folder: the one that is spoken.
        speakers: Of beat2: numbers of speakers. Default: all.
        additional: Of beat2: train on the takes that its split file calls additional, too.
        amass: Of humanml3d: the folder of AMASS, which has its motions.
        smplh: Of amass and humanml3d: the folder of AMASS as SMPL-H, which knows the frame rates of its SMPL-X files.
        test_share: Of folder: how much is for testing where it has no table of splits. Default: 0.1.
        licence: Of folder: that of the recordings, kept with every clip. Default: not stated.
        speaker_prefix: Of folder: names of recordings begin with the speaker, as in anna_01.wav.
        workers: Processes. Default: one for each core.
        engine: ray: as tasks of Ray Data on all machines of its cluster, which must see the same disk.
        shard: Make only a part, such as 2/8: for an array of eight jobs on machines that see the same disk.
    """
    from cospeech.data import prepare as preparing

    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: must be at least 1.")
    part = preparing.Part.parse(shard) if shard else None
    given = {"languages": languages, "speakers": speakers, "additional": additional, "amass": amass, "smplh": smplh}
    given |= {"licence": licence, "speaker-prefix": speaker_prefix, "test-share": test_share is not None}
    for name, value in given.items():
        if value and name not in _OPTIONS[corpus]:
            belongs = " and ".join(each for each, options in _OPTIONS.items() if name in options)
            raise ConfigError(f"--{name}: is for {belongs}, not for {corpus}. Leave it out.")
    which = [corpus, *languages, *(f"speaker {number}" for number in speakers), *(["additional"] if additional else [])]
    notes: list[str] = []
    match corpus:
        case "beat2":
            from cospeech.data import beat2

            jobs = beat2.jobs(source, languages, speakers, additional)
            notes = beat2.notes(source, languages, speakers, additional)
        case "amass":
            from cospeech.data import amass as captures

            jobs = captures.jobs(source, smplh)
        case "humanml3d":
            from cospeech.data import humanml3d

            if amass is None:
                raise ConfigError("humanml3d: holds no motions. Name the folder of AMASS with --amass.")
            jobs = humanml3d.jobs(source, amass, smplh)
        case "beat-cache":
            from cospeech.data import beat_cache

            jobs = beat_cache.jobs(source)
        case "folder":
            from cospeech.data import folder

            if len(languages) > 1:
                raise ConfigError("--languages: a folder is of one language. Prepare a store for each.")
            takes = folder.takes(source, test_share, speaker_prefix)
            jobs = folder.jobs(takes, licence or folder.LICENCE, *languages)
            which += [folder.summary(takes), f"licence {licence or folder.LICENCE}"]
            notes = folder.notes(takes)
    which += ["rates of SMPL-H"] if smplh else []
    with progress_bar(f"prepare {corpus}") as progress:
        preparing.run(jobs, store, ", ".join(which), workers or os.cpu_count() or 1, part, engine, progress)
    if left := preparing.left(store):
        print(f"{left} shards of {store} are left for the other machines")
        return
    _show(store)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def check(store: Annotated[Path, arg(metavar="STORE")], /) -> None:
    """Verify every checksum of a store, and tell what it holds.

    Example: cospeech check beat2.store

    Args:
        store: Folder that `cospeech prepare` wrote.
    """
    from cospeech.data.store import Store

    opened = Store(store)
    with progress_bar(f"check {store.name}") as progress:
        for shard in opened.check():
            progress((shard + 1) / opened.num_shards)
    print(f"{store}: all {opened.num_shards} shards are as they were written")
    _show(store)


def _show(store: Path) -> None:
    """What a store holds, its licences, and what was left out."""
    from rich.console import Console
    from rich.table import Table

    from cospeech.data.prepare import table
    from cospeech.data.store import Store

    opened = Store(store)
    print(f"{store}: {opened.corpus}")
    header, *rows = table(opened)
    shown = Table(*header)
    for row in rows:
        shown.add_row(*row)
    Console().print(shown)
    for licence in sorted({info.licence for info in opened.infos}):
        print(f"licence: {licence}")
    dropped = opened.dropped()
    for entry in dropped:
        print(f"left out: {entry.id}: {entry.reason}", file=sys.stderr)
    print(f"kept {len(opened.infos)} clips, left out {len(dropped)}")
