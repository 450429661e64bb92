"""The command line: one function per command, its signature the interface, its docstring the help.

Nothing slow is imported before it is needed, so that `--help` is quick.
"""

import os
import sys
import warnings
from collections.abc import Callable

import tyro

from cospeech.cli.align import align
from cospeech.cli.bench import bench
from cospeech.cli.convert import convert, view
from cospeech.cli.demo import demo
from cospeech.cli.download import download
from cospeech.cli.evaluate import compare, evaluate
from cospeech.cli.generate import generate
from cospeech.cli.models import import_, models
from cospeech.cli.prepare import check, prepare
from cospeech.cli.reproduce import reproduce
from cospeech.cli.statistics import statistics
from cospeech.cli.train import train
from cospeech.cli.vectors import vectors
from cospeech.errors import CospeechError, CospeechWarning

COMMANDS: dict[str, Callable[..., None]] = {
    "generate": generate,
    "convert": convert,
    "view": view,
    "demo": demo,
    "align": align,
    "models": models,
    "bench": bench,
    "download": download,
    "import": import_,
    "prepare": prepare,
    "check": check,
    "statistics": statistics,
    "vectors": vectors,
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "reproduce": reproduce,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0, 2 for an error of the user's, 130 when interrupted."""
    if (sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        import cospeech

        print(f"cospeech {cospeech.__version__}")
        return 0
    warnings.showwarning = _print_warning
    # Read when torch starts. OpenMP's own choice, to wait by spinning, costs seconds where other programs are busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="cospeech",
            description="Speech in, full-body, hand and face motion out.",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        sys.stdout.flush()
    except CospeechError as error:  # ours: one line. Anything else is a bug: full traceback.
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return 1
    return 0


def _nobody_reads() -> bool:
    """Whether the program behind a pipe, such as `head`, has read enough of what is printed. Prints no more then."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _print_warning(message, category, filename, lineno, file=None, line=None) -> None:
    if issubclass(category, CospeechWarning):
        print(f"warning: {message}", file=sys.stderr)
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))
