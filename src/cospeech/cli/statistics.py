"""`cospeech statistics`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import UseAppendAction, arg

from cospeech.cli.options import load_body
from cospeech.cli.progress import progress_bar
from cospeech.errors import DataError, FormatError


def statistics(
    store: Annotated[Path, arg(metavar="STORE")],
    out: Annotated[Path, arg(metavar="OUT")],
    /,
    split: Literal["train", "val", "test"] = "train",
    source: Annotated[tuple[str, ...], UseAppendAction] = (),
    speaker: Annotated[tuple[str, ...], UseAppendAction] = (),
    body: Path | None = None,
) -> None:
    """Means and deviations of the channels that networks see, and mean speeds of joints, of any part of a store.

    Trainings find out their own and put them into the checkpoint; this is for looking, and for other programs.

    Example: cospeech statistics beat2.store speaker2.safetensors --speaker 2

    Args:
        store: Folder that `cospeech prepare` wrote.
        out: File to write, .safetensors: rotations.mean and .std (330,), translation.mean and .std (3,),
            humanml3d.mean and .std (623,), joint_speed (55,).
        split: Of which clips.
        source: Of which corpora, such as beat2. May be given several times. Default: all.
        speaker: Of which speakers, by their number or name. May be given several times. Default: all.
        body: A SMPL-X file of your own whose joints are measured instead of the shipped body's.
    """
    from safetensors.numpy import save_file

    from cospeech.body import mannequin
    from cospeech.data import statistics as measures
    from cospeech.data.store import Store
    from cospeech.formats.output import check_target, replacing

    if out.suffix != ".safetensors":
        raise FormatError(f"{out}: statistics can be written as .safetensors.")
    check_target(out)
    shown = load_body(body) or mannequin("light")
    opened = Store(store)
    wanted = [
        number
        for number, info in enumerate(opened.infos)
        if info.split == split and (not source or info.source in source) and (not speaker or info.speaker in speaker)
    ]
    if not wanted:
        raise DataError(f"{store}: has no such clip. `cospeech check {store}` tells what it holds.")
    with progress_bar(f"measure {store.name}") as progress:

        def clips():
            for count, number in enumerate(wanted):
                progress(count / len(wanted))
                yield opened.clip(number)

        found = measures.statistics(clips(), shown)
    with replacing(out) as path:
        save_file(found, path)
    print(f"wrote {out}: of {len(wanted)} clips")
