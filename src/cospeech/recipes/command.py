"""Recipes as commands: `python -m cospeech.recipes.NAME`."""

import sys
from collections.abc import Callable

from cospeech.errors import CospeechError


def run(function: Callable[..., object]) -> None:
    """Call it with what stands in the command line; an error of the user's is one line, as in `cospeech`."""
    import tyro  # which training does without

    try:
        tyro.cli(function)
    except CospeechError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
