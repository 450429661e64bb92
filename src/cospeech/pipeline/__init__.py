"""Speech in, motion out: one class for each system, and `load_pipeline`, which knows which a checkpoint needs."""

from pathlib import Path

from cospeech import checkpoint as checkpoints
from cospeech.pipeline.base import Pipeline, Request
from cospeech.pipeline.mambatalk import MambaTalkPipeline
from cospeech.pipeline.syntalker import SynTalkerPipeline
from cospeech.pipeline.talker import TalkerPipeline

__all__ = ["MambaTalkPipeline", "Pipeline", "Request", "SynTalkerPipeline", "TalkerPipeline", "load_pipeline"]

_OF = {"syntalker": SynTalkerPipeline, "mambatalk": MambaTalkPipeline, "talker": TalkerPipeline}


def load_pipeline(
    model: str | Path = "starter", device: str = "cpu", quirks: str = "model", precision: str = "float32"
) -> SynTalkerPipeline | MambaTalkPipeline | TalkerPipeline:
    """Make a pipeline from a released name, a checkpoint directory or a hub id.

    Args:
        quirks: What `cospeech.quirks` a published model keeps: "model", all it was trained with; "none", only those
            without which it would be asked what it never saw.
        precision: "bf16" runs the network in bfloat16, which processors with AMX or AVX-512 BF16 do faster.
    """
    checkpoint = checkpoints.load(model, device)
    return _OF[checkpoint.config.architecture](checkpoint, device, quirks, precision)
