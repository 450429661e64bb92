"""`cospeech models` and `cospeech import`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from cospeech.errors import ConfigError


def models() -> None:
    """List the known models: size, licence and what they do."""
    from rich.console import Console
    from rich.table import Table

    from cospeech.checkpoint import RELEASED

    table = Table("name", "what it does", "size", "licence")
    for model in RELEASED.values():
        table.add_row(model.name, model.summary, f"{model.size_mb:g} MB", model.licence)
    Console().print(table)
    print("Any checkpoint directory or hub id works in place of a name.")


def import_(
    system_name: Annotated[Literal["syntalker", "mambatalk", "embedder"], arg(metavar="SYSTEM", name="name")],
    paths: Annotated[tuple[Path, ...], arg(metavar="PATHS")],
    /,
    out: Path,
    system: Literal["S", "T"] | None = None,
    distilbert: str | None = None,
    wav2vec2: str | None = None,
) -> None:
    """Turn released weights of a published system into a checkpoint directory that --model takes.

    Examples: cospeech import syntalker SynTalker/ckpt SynTalker/mean_std --out syntalker-s;
    cospeech import mambatalk MambaTalk/pretrained --wav2vec2 facebook/wav2vec2-base-960h --out mambatalk;
    cospeech import embedder BEAT2/weights/AESKConv_240_100.bin --out embedder

    Args:
        system_name: syntalker: last_500.bin (system S) or last_600.bin (T), the net_300000.pth of each body part, the
            arrays in mean_std and, for words, vocab.pkl; for T the text_epoch=299.ckpt and motion_epoch=299.ckpt.
            mambatalk: mambatalk_100.bin, face.bin, upper.bin, hands.bin, lower_foot.bin, foot.bin and, for words,
            vocab.pkl.
            embedder: AESKConv_240_100.bin, in which motions are compared: what the Frechet gesture distance needs.
        paths: Files, and folders that are searched for files of those names.
        out: Checkpoint directory to write.
        system: Which of the two, where both are found: S follows speech, T styles from a text-motion space as well.
        distilbert: For T: folder or hub id of DistilBERT, such as distilbert/distilbert-base-uncased. To read text it
            needs the vocab.txt there, or among PATHS.
        wav2vec2: For mambatalk: folder or hub id of the model it hears with, facebook/wav2vec2-base-960h, where that is
            not among PATHS.
    """
    from rich.console import Console
    from rich.table import Table

    if system_name != "syntalker" and (system or distilbert):
        raise ConfigError("--system and --distilbert belong to syntalker. Leave them out.")
    if system_name != "mambatalk" and wav2vec2:
        raise ConfigError("--wav2vec2 belongs to mambatalk. Leave it out.")
    if system_name == "mambatalk":
        from cospeech.released.mambatalk import import_mambatalk

        done = import_mambatalk(paths, out, wav2vec2)
    elif system_name == "embedder":
        from cospeech.released.embedder import import_embedder

        done = import_embedder(paths, out)
    else:
        from cospeech.released.syntalker import import_syntalker

        done = import_syntalker(paths, out, system, distilbert)
    table = Table("network", "tensors", "parameters", "SHA-256", "fixed pass", box=None, pad_edge=False)
    for piece in done.pieces:
        print(f"{piece.role}: {piece.path}")
        if check := done.checks.get(piece.role):
            tensors, parameters = str(len(piece.tensors)), f"{check.parameters:,}"
            table.add_row(piece.role, tensors, parameters, check.sum, f"{check.passes:.4f}")
    Console().print(table)
    for line in done.unused:
        print(f"not used: {line}")
    config = done.checkpoint.config
    print(f"wrote {out}: {config.name}, licence {config.licence}; see {out / 'CARD.md'}")
