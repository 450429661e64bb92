"""Speech in, full-body, hand and face motion out.

pipeline = cospeech.load_pipeline("starter")
motion = pipeline.generate(cospeech.Speech.load("talk.wav"), seed=0)
cospeech.save(motion, "talk.glb", audio="talk.wav")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cospeech.errors import CospeechError
    from cospeech.files import load_motion, save
    from cospeech.motion import Motion
    from cospeech.pipeline import Pipeline, load_pipeline
    from cospeech.speech import Speech

__version__ = "0.1.0.dev0"
__all__ = ["CospeechError", "Motion", "Pipeline", "Speech", "load_motion", "load_pipeline", "save"]

_HOME = {
    "CospeechError": "errors",
    "Motion": "motion",
    "Pipeline": "pipeline",
    "Speech": "speech",
    "load_motion": "files",
    "load_pipeline": "pipeline",
    "save": "files",
}


def __getattr__(name: str):  # PEP 562: a name is imported when first used, so `import cospeech` stays quick
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
