"""A motion as one html file that plays it: body, sound and player inside, nothing fetched, no program needed.

The player (viewer/viewer.js, bundled with three.js into assets/viewer) poses the body at the time of the sound.
"""

import base64
import html
import io
import json
from importlib.resources import files
from pathlib import Path
from string import Template

import av
import numpy as np

import cospeech
from cospeech.body import Body
from cospeech.formats import gltf
from cospeech.formats.output import replacing
from cospeech.motion import Motion
from cospeech.speech import Speech

SOUND_RATE = 48_000  # samples a second of the embedded sound
SOUND_BIT_RATE = 64_000


def write(
    motion: Motion,
    path: str | Path,
    *,
    audio: Speech | str | Path | None = None,
    body: Body | None = None,
    embed_licensed_body: bool = False,
) -> None:
    """Write one self-contained html file.

    Args:
        motion: What to play. Its metadata is shown under the title.
        path: The file to write; its stem becomes the title.
        audio: The speech it belongs to, or a recording of it: heard with the motion, and its clock.
        body: The body to show, the mannequin unless given.
        embed_licensed_body: Consent to put the mesh of a licensed `body` into the file.
    """
    text = page(motion, audio=audio, body=body, embed_licensed_body=embed_licensed_body, title=Path(path).stem)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page(
    motion: Motion,
    *,
    audio: Speech | str | Path | None = None,
    body: Body | None = None,
    embed_licensed_body: bool = False,
    title: str = "Motion",
) -> str:
    """The text of the html file that `write` writes; it also works as the `srcdoc` of an iframe.

    It plays until both motion and sound have ended: the longer sound is heard over the last pose, the shorter one is
    followed by silence. Scripts in it find `window.cospeech`: await `ready`, then `duration`, `currentTime`,
    `seek(seconds)`, `play()`, `pause()`, `jointPosition(name)`.
    """
    speech = audio if isinstance(audio, Speech | None) else Speech.load(audio)
    duration_s = max(motion.duration_s, speech.duration_s if speech else 0.0)
    metadata = {"title": title, "duration": duration_s, "lines": list(motion.metadata.items())}
    assets = files("cospeech") / "assets" / "viewer"
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        generator=html.escape(f"cospeech {cospeech.__version__}"),
        title=html.escape(title),
        metadata=json.dumps(metadata).replace("<", "\\u003c"),  # a `</script>` in it must not end the block
        body=_base64(gltf.to_bytes(motion, body, embed_licensed_body=embed_licensed_body)),
        sound=_base64(encode_sound(speech, duration_s)) if speech else "",
        viewer=(assets / "viewer.js").read_text(encoding="utf-8"),
    )


def encode_sound(speech: Speech, duration_s: float) -> bytes:
    """The speech as AAC in an m4a, followed by silence up to `duration_s`.

    Of the compressed kinds that every browser plays, this is the one whose time can be trusted: its edit list removes
    the encoder's delay and its index makes seeking exact. MP3 came back 24 ms off after some seeks.
    A browser that ignored the edit list would be one AAC frame late, 21 ms at this rate.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        stream.bit_rate = SOUND_BIT_RATE
        num_samples = max(len(speech.samples), round(duration_s * speech.rate))
        for start in range(0, num_samples, speech.rate):  # a second at a time
            block = np.zeros((1, min(speech.rate, num_samples - start)), np.float32)
            heard = speech.samples[start : start + speech.rate].clip(-1, 1)
            block[0, : len(heard)] = heard
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = speech.rate, start  # PyAV resamples to the rate of the stream
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
