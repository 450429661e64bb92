"""Pictures and sound to an mp4 by the encoders that PyAV brings along: H.264 and AAC."""

import io
import math
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from cospeech.body import Body, mannequin
from cospeech.errors import FormatError, MotionError
from cospeech.formats.html import encode_sound
from cospeech.formats.output import replacing
from cospeech.motion import Motion
from cospeech.render import frames
from cospeech.render.frames import Film
from cospeech.speech import Speech

SIZE = (1280, 720)  # pixels
_QUALITY = {"crf": "20", "preset": "veryfast"}
_KEY_FRAME_S = 4.0  # a player that seeks decodes at most so much
_BT709, _LIMITED = 1, 1  # AVColorSpace, AVColorPrimaries and AVColorTransferCharacteristic; AVColorRange


def write(
    motion: Motion,
    path: str | Path,
    *,
    audio: Speech | str | Path | None = None,
    body: Body | None = None,
    camera: str | None = None,
    size: tuple[int, int] = SIZE,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Film a motion: an mp4 of exactly its frames, each shown for 1 / fps seconds.

    Args:
        motion: What to film. Its metadata becomes the comment of the film, the stem of `path` its title.
        audio: The speech it belongs to, or a recording of it: heard in full from the first frame on, also where it is
            longer than the motion.
        body: Another body than the mannequin.
        camera: "body" (also None), "face" or "face+body".
        size: (width, height) in pixels, even numbers.
        progress: Called with the fraction done after each frame.
    """
    if len(motion) == 0:
        raise FormatError(f"{path}: a motion without frames cannot be filmed. Give at least one frame.")
    film = _film(motion, body, camera, size)
    speech = audio if isinstance(audio, Speech | None) else Speech.load(audio)
    comment = "; ".join(f"{name}: {value}" for name, value in motion.metadata.items())
    with replacing(path) as temporary:
        try:
            _encode(film, temporary, speech, {"title": Path(path).stem, "comment": comment}, progress)
        except av.FFmpegError as error:  # a full disk
            raise OSError(error.errno, error.strerror) from error


def still(
    motion: Motion, time_s: float, body: Body | None = None, camera: str | None = None, size: tuple[int, int] = SIZE
) -> Image.Image:
    """The picture that a film of the motion shows at a time; arguments as in `write`."""
    if not 0 <= time_s <= motion.duration_s or len(motion) == 0:
        raise MotionError(f"No picture at {time_s:g} s: the motion lasts {motion.duration_s:g} s.")
    film = _film(motion, body, camera, size)
    number = min(int(time_s * motion.fps + 1e-6), len(motion) - 1)
    return Image.fromarray(frames.draw(film.body, film[number]))


def _film(motion: Motion, body: Body | None, camera: str | None, size: tuple[int, int]) -> Film:
    """From afar the light level of the mannequin does, a face wants all its vertices."""
    camera = camera or "body"
    return Film(motion, body or mannequin("light" if camera == "body" else "full"), camera, size)


def _encode(
    film: Film,
    path: Path,
    speech: Speech | None,
    metadata: dict[str, str],
    progress: Callable[[float], None] | None,
) -> None:
    rate = Fraction(film.motion.fps).limit_denominator(100_000)
    with av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata.update(metadata)
        stream = container.add_stream("libx264", rate=rate, options=_QUALITY)
        stream.width, stream.height = film.size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = max(1, round(_KEY_FRAME_S * rate))
        codec = stream.codec_context
        codec.time_base = 1 / rate
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED
        sound = _Sound(container, speech) if speech else None
        with closing(frames.pictures(film)) as pictures:
            for number, picture in enumerate(pictures):
                container.mux(stream.encode(_video_frame(picture, number, 1 / rate)))
                if sound:
                    sound.mux((number + 1) / rate)
                if progress:
                    progress((number + 1) / len(film))
        container.mux(stream.encode(None))
        if sound:
            sound.mux(math.inf)


def _video_frame(picture: np.ndarray, number: int, time_base: Fraction) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
    frame.pts, frame.time_base = number, time_base
    return frame


class _Sound:
    """A sound track that is added piece by piece, so that picture and sound lie side by side in the file."""

    def __init__(self, container: av.container.OutputContainer, speech: Speech):
        self.container = container
        encoded = av.open(io.BytesIO(encode_sound(speech, 0.0)))
        self.stream = container.add_stream_from_template(encoded.streams.audio[0])
        self.packets = encoded.demux(audio=0)
        self.next = next(self.packets)

    def mux(self, until_s: float) -> None:
        """Add what is heard before a time."""
        while self.next.dts is not None and self.next.pts * self.next.time_base < until_s:
            self.next.stream = self.stream
            self.container.mux(self.next)
            self.next = next(self.packets)
