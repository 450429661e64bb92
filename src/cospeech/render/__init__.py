"""A motion as a film or a picture: the body in a quiet studio, drawn on the CPU, with the speech as its sound.

Cameras: "body" (the whole person), "face", and "face+body", both side by side.
"""

from cospeech.render.video import still, write

__all__ = ["still", "write"]
