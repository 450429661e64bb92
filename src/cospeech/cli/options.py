"""What options of several commands mean."""

from pathlib import Path
from typing import TYPE_CHECKING

from cospeech.errors import ConfigError

if TYPE_CHECKING:
    from cospeech.body import Body
    from cospeech.character import Character


def load_body(path: Path | None) -> "Body | None":
    if path is None:
        return None
    from cospeech.body import load_smplx

    body = load_smplx(path)
    print(f"body {path}: {body.licence}")
    return body


def check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # an AssertionError where torch was built without CUDA
        raise ConfigError(f"--device {device}: cannot be used ({str(error).splitlines()[0]}). Use cpu.") from None


def load_character(path: Path | None) -> "Character | None":
    if path is None:
        return None
    from cospeech import character

    own = character.load(path)
    print(f"character {path}: {'; '.join(own.notes)}")
    return own
