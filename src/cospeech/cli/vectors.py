"""`cospeech vectors`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from cospeech.cli.options import load_body
from cospeech.cli.progress import progress_bar


def vectors(
    store: Annotated[Path, arg(metavar="STORE")],
    out: Annotated[Path, arg(metavar="OUT")],
    /,
    kind: Literal["263", "623"] = "263",
    body: Path | None = None,
) -> None:
    """Write the clips of a store as vectors of HumanML3D, for other people's code: .npy files, Mean, Std and lists.

    An interrupted run goes on where it was.

    Example: cospeech vectors humanml3d.store HumanML3D --kind 263

    Args:
        store: Folder that `cospeech prepare` wrote.
        out: Folder to write.
        kind: 263: 22 joints at 20 frames a second, as HumanML3D. 623: with hands at 30, as SynTalker's system T.
        body: A SMPL-X file of your own: the vectors are then nearer to the published ones.
    """
    from cospeech.data import vectors as writing
    from cospeech.data.store import Store

    shape = load_body(body)
    with progress_bar(f"vectors {out.name}") as progress:
        writing.write(Store(store), out, kind, shape, progress)
    print(f"wrote {out}: {kind} numbers a frame, {writing.FRAME_RATES[kind]} frames a second")
