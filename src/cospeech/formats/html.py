"""A motion as one html file that plays it: body, sound and player inside, nothing fetched, no program needed.

The player (viewer/*.js, bundled with three.js into assets/viewer) poses the body at the time of the sound.
"""

import base64
import hashlib
import html
import io
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from types import MappingProxyType

import av
import numpy as np

import cospeech
from cospeech import prompts
from cospeech.body import Body, mannequin
from cospeech.errors import PromptError
from cospeech.formats import blocks
from cospeech.formats.gltf import check_may_embed
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
    beside: Mapping[str, Motion] = MappingProxyType({}),
) -> None:
    """Write one self-contained html file.

    Args:
        motion: What to play. Its metadata is shown under the title, and its prompts under the scrubber.
        path: The file to write; its stem becomes the title.
        audio: The speech it belongs to, or a recording of it: heard with the motion, and its clock. Its words, where
            they are known, are shown as they are said.
        body: A body to choose in the page, shown first; the mannequin is always there.
        embed_licensed_body: Consent to put the mesh of a licensed `body` into the file.
        beside: More motions by their titles, shown beside the first at the same time and from the same side.
    """
    text = page(
        motion,
        audio=audio,
        body=body,
        embed_licensed_body=embed_licensed_body,
        title=Path(path).stem,
        beside=beside,
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page(
    motion: Motion,
    *,
    audio: Speech | str | Path | None = None,
    body: Body | None = None,
    embed_licensed_body: bool = False,
    title: str = "Motion",
    beside: Mapping[str, Motion] = MappingProxyType({}),
) -> str:
    """The text of the html file that `write` writes; it also works as the `srcdoc` of an iframe.

    It plays until all motions and the sound have ended: the longer sound is heard over the last pose, the shorter one
    is followed by silence. Scripts in it find `window.cospeech`: await `ready`, then `duration`, `currentTime`,
    `seek(seconds)`, `play()`, `pause()`, `look("face")` and the other cameras, `show("skeleton")`, `show("mannequin")`,
    `show("smplx")`, `jointPosition(name)`. The page around an iframe may post it `{cospeech: "play"}`,
    `{cospeech: "pause"}` and `{cospeech: "seek", time: seconds}`.
    """
    bodies = [body or mannequin("full")]
    if bodies[0].embeds_licensed_mesh:
        check_may_embed(bodies[0], embed_licensed_body)
        bodies.append(mannequin("full"))
    speech = audio if isinstance(audio, Speech | None) else Speech.load(audio)
    motions = [(title, motion), *beside.items()]
    duration_s = max([one.duration_s for _, one in motions] + ([speech.duration_s] if speech else []))
    words = speech.words if speech else ()
    metadata = {
        "title": " | ".join(name for name, _ in motions),
        "duration": duration_s,
        "bodies": _choice(bodies),
        "words": [[word.text, word.start_s, word.end_s] for word in words if not word.is_pause],
        "motions": [{"title": name, "lines": _lines(one), "prompts": _prompts(one)} for name, one in motions],
    }
    data = {f"body-{i}": blocks.body_block(one) for i, one in enumerate(bodies)}
    data |= {f"motion-{i}": blocks.motion_block(one) for i, (_, one) in enumerate(motions)}
    data["sound"] = base64.b64encode(encode_sound(speech, duration_s)).decode("ascii") if speech else ""
    assets = files("cospeech") / "assets" / "viewer"
    viewer = (assets / "viewer.js").read_text(encoding="utf-8")
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        generator=html.escape(f"cospeech {cospeech.__version__}"),
        title=html.escape(metadata["title"]),
        metadata=json.dumps(metadata).replace("<", "\\u003c"),  # a `</script>` in it must not end the block
        blocks="\n".join(f'<script id="{name}" type="text/plain">{text}</script>' for name, text in data.items()),
        viewer=viewer,
        viewer_hash=base64.b64encode(hashlib.sha256(viewer.encode()).digest()).decode("ascii"),
    )


def _choice(bodies: Sequence[Body]) -> list[dict[str, str]]:
    """What the page calls each body, its button, and its licence."""
    labels = {"mannequin": "Mannequin" if len(bodies) > 1 else "Body", "smplx": "SMPL-X"}
    names = ["smplx" if body.embeds_licensed_mesh else "mannequin" for body in bodies]
    return [
        {"name": name, "label": labels[name], "licence": body.licence} for name, body in zip(names, bodies, strict=True)
    ]


def _lines(motion: Motion) -> list[tuple[str, str]]:
    """What is said about a motion; prompts that are shown as marks are not said again."""
    marked = bool(_prompts(motion))
    return [(name, text) for name, text in motion.metadata.items() if not (marked and name == "prompts")]


def _prompts(motion: Motion) -> list[dict]:
    """What the motion was told to do, as far as its metadata can be read."""
    text = motion.metadata.get("prompts", "")
    if not text.lstrip().startswith("["):  # it would be taken for the name of a file
        return []
    try:
        found = prompts.read_timeline(text)
    except PromptError:
        return []
    return [{"text": one.text, "part": one.part, "start": one.start, "end": one.end} for one in found]


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
