"""Every error cospeech raises on purpose: one line for the user, exit code 2 on the command line.

Anything else that escapes is a bug and shows its traceback.
"""


class CospeechError(Exception):
    """Base of all errors below."""


class ConfigError(CospeechError):
    """A setting that is unknown, of the wrong type, or impossible."""


class AudioError(CospeechError):
    """A recording that is missing, empty, or cannot be decoded."""


class MotionError(CospeechError):
    """A motion whose arrays do not fit together."""


class DataError(CospeechError):
    """A file of a corpus, a store or a motion file that cannot be read."""


class FormatError(CospeechError):
    """A file suffix nobody writes or reads, or a target that cannot be written."""


class CheckpointError(CospeechError):
    """A model that is unknown, incomplete or corrupted."""


class DownloadError(CospeechError):
    """A published file that cannot be fetched, or is not what was published."""


class PromptError(CospeechError):
    """A text prompt the model cannot follow or that makes no sense."""


class MissingExtra(CospeechError):
    """An optional package is needed: names the extra to install."""

    def __init__(self, package: str, extra: str):
        super().__init__(f"`{package}` is not installed. Install it with: pip install 'cospeech[{extra}]'")
        self._given = package, extra

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), self._given  # it may come from another process


class CospeechWarning(UserWarning):
    """Something was wrong but could be mended; the command line prints it as one line."""
