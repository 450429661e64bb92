"""`cospeech bench`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from cospeech.cli.options import check_device
from cospeech.errors import ConfigError


def bench(
    model: Annotated[str, arg(metavar="MODEL")] = "starter",
    /,
    audio: Path | None = None,
    device: str = "cpu",
    hour: bool = False,
    quality: bool = False,
    obedience: bool = False,
    data: Path | None = None,
    out: Path | None = None,
) -> None:
    """Measure a model on this machine: speed, memory, exact length, seams; or how its motion looks, or obeys.

    Args:
        model: A released name, a checkpoint directory, or a hub id.
        audio: Recording to measure with, repeated as often as needed. Default: the recording in the package.
        device: cpu, cuda, ...
        hour: Also generate motion for an hour of speech and compare its memory with that of a minute. Takes minutes.
        quality: Instead measure whether the motion follows voices nobody trained on, is not mechanical and looks human,
            beside planted, random and real motion. Takes minutes and needs espeak-ng.
        obedience: Instead measure whether it does what text prompts say, and whether the other parts go on following
            the speech. Takes minutes and needs espeak-ng.
        data: For these: a folder with speech/librispeech for more human voices than the one in the package.
        out: For these: a .md file for the numbers; of --quality also .json.
    """
    from cospeech.recipes import bench as recipe

    check_device(device)
    if quality or obedience:
        from cospeech.recipes import obedience as obeys
        from cospeech.recipes import quality as looks

        if audio or hour or (quality and obedience):
            raise ConfigError("--quality and --obedience are measured each by itself, without --audio and --hour.")
        (looks if quality else obeys).run(model, data, out, device)
    else:
        if data or out:
            raise ConfigError("--data and --out belong to --quality and --obedience. Give one, or leave them out.")
        recipe.run(model, audio, device, hour)
