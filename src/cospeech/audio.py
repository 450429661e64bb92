"""Recordings in: decoding any common sound file to mono samples, and changing the sample rate.

libsndfile reads wav, aiff, flac, ogg, mp3 and more; FFmpeg (PyAV) reads what it cannot: m4a, aac, webm, and the
sound of a video. A file is recognised by its content: many a `.wav` is an mp3.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import soundfile
import soxr

from cospeech.errors import AudioError, CospeechWarning

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".mp4", ".webm")  # of recordings in a folder
SAMPLE_RATE = 16_000  # samples a second that speech features and networks work at

_BLOCK = 4096  # frames decoded at a time; a damaged block is lost whole
_RESAMPLE_BLOCK = 1 << 18
_PADDING_S = 0.15  # lossy encoders work in frames: lengths within this of the stated one are the same length
# FFmpeg would also open playlists, which name other files, and draw text files as video.
_CONTAINERS = "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
_UNKNOWN_BYTES = 0x7FFF_0000  # from here on, the size in a header was written before the end was known,
_UNKNOWN_FRAMES = 1 << 62  # and likewise the frames of a flac that was piped


class _Decoded(NamedTuple):
    samples: np.ndarray  # (N,) float32, mean of the channels
    rate: int
    promised_s: float  # length by the header; 0 when it states none


def decode(path: Path, longest_s: float = math.inf) -> tuple[np.ndarray, int]:
    """Decode a recording to mono.

    A file that breaks off gives the samples in front of the break, and a `CospeechWarning`.

    Args:
        path: A sound file, or a video with sound; its suffix does not matter.
        longest_s: What lasts longer is an `AudioError`, before it fills the memory.

    Returns:
        (N,) float32 samples, the mean of the channels, nominally -1..1; and the sample rate in Hz.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: is a folder. Name one recording in it.")
    try:
        with _Nameless(io.FileIO(path)) as file:
            if not file.peek(1):
                raise AudioError(f"{path}: the file is empty. Export or copy the recording again.")
            decoded = _decode_libsndfile(file, longest_s) or _decode_ffmpeg(path, longest_s)
    except _TooLong:
        raise AudioError(f"{path}: lasts longer than {longest_s:g} s, the limit here. Cut it into pieces.") from None
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file. Check the spelling and the folder.") from None
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error}).") from None

    samples, rate, promised_s = decoded
    if not np.isfinite([samples.min(), samples.max()]).all():
        raise AudioError(f"{path}: contains NaN or infinite samples. Export the recording again, as 16-bit wav.")
    found_s = len(samples) / rate
    if found_s < promised_s - _PADDING_S:
        warnings.warn(
            CospeechWarning(
                f"{path}: breaks off: {found_s:.2f} s of sound found, {promised_s:.2f} s promised by its header. "
                "Going on with what is there."
            ),
            stacklevel=2,
        )
    return samples, rate


def resample(samples: np.ndarray, rate: int, new_rate: int, length: Callable[[float], int] = round) -> np.ndarray:
    """Change the sample rate: (N,) float32 -> (length(N * (new_rate / rate)),) float32, time zero kept.

    Runs in blocks: needs no memory beyond its result. The same rate gives back the same array.
    """
    if rate == new_rate:
        return samples
    out = np.zeros(max(1, length(len(samples) * (new_rate / rate))), np.float32)
    stream = soxr.ResampleStream(rate, new_rate, num_channels=1, dtype="float32", quality="HQ")
    filled = 0
    for start in range(0, len(samples), _RESAMPLE_BLOCK):
        last = start + _RESAMPLE_BLOCK >= len(samples)
        block = stream.resample_chunk(np.ascontiguousarray(samples[start : start + _RESAMPLE_BLOCK]), last=last)
        block = block[: len(out) - filled]  # soxr rounds up where we round
        out[filled : filled + len(block)] = block
        filled += len(block)
    return out


class _TooLong(Exception):
    """There is more sound than is wanted."""


class _Nameless(io.BufferedReader):
    """A file whose suffix nobody can see: libsndfile would take `talk.raw` for headerless samples."""

    name = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """libsndfile seeks where a damaged header sends it, and cannot take an exception back."""
        with suppress(OSError, OverflowError, ValueError):
            return super().seek(offset, whence)
        return self.tell()


def _decode_libsndfile(file: _Nameless, longest_s: float) -> _Decoded | None:
    """None when libsndfile does not know the content, finds no sound in it, or would not read it to its end."""
    head = file.read(1 << 16)
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        return None
    with sound:
        if sound.frames >= _UNKNOWN_FRAMES:
            return None
        if sound.format == "MP3" and not any(tag in head for tag in (b"Xing", b"Info", b"VBRI")):
            return None  # libsndfile guesses its length from the bit rate of the first frames, and stops there
        samples = _join(_libsndfile_blocks(sound), longest_s, lambda: sound.samplerate)
        if not len(samples):
            return None
        promised = sound.frames
        # libsndfile clips the frames to what the file can hold, and mentions the header's claim in its log only.
        if claim := re.search(r"(?:data|SSND|Riff size|riff) *: (\d+) \(should be (\d+)\)", sound.extra_info):
            claimed_bytes, actual_bytes = map(int, claim.groups())
            if 0 < actual_bytes < claimed_bytes < _UNKNOWN_BYTES:
                promised = len(samples) * claimed_bytes / actual_bytes
        return _Decoded(samples, sound.samplerate, promised / sound.samplerate)


def _libsndfile_blocks(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    with suppress(soundfile.LibsndfileError):  # damaged here: keep what came before
        while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
            yield block.mean(axis=1)  # (_BLOCK, channels) -> (_BLOCK,)


def _decode_ffmpeg(path: Path, longest_s: float) -> _Decoded:
    try:
        container = av.open(
            f"file:{path}",  # without the scheme, `talk:1.wav` would be one
            metadata_errors="replace",  # tags in other encodings than UTF-8 are no reason to refuse a recording
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
        )
    except av.FFmpegError:
        raise AudioError(f"{path}: not a recording that can be decoded. Use wav, flac, mp3, ogg or m4a.") from None
    with container:
        if not container.streams.audio:
            raise AudioError(f"{path}: contains no sound. Name a recording, or a video with a sound track.")
        stream = container.streams.audio[0]
        rates: list[int] = []
        samples = _join(_ffmpeg_blocks(container, rates), longest_s, lambda: rates[0])
        if not len(samples):
            raise AudioError(f"{path}: no sound can be decoded from it. Export or copy the recording again.")
        # Only mp4 and its kin state the length of the track; elsewhere FFmpeg estimates it from the bit rate.
        if "mp4" not in container.format.name or not stream.duration:
            return _Decoded(samples, rates[0], 0)
        stated_s = float(stream.duration * stream.time_base)
        if len(samples) / rates[0] < stated_s + _PADDING_S:
            samples = samples[: max(1, round(stated_s * rates[0]))]
        return _Decoded(samples, rates[0], stated_s)


def _ffmpeg_blocks(container: av.container.InputContainer, rates: list[int]) -> Iterator[np.ndarray]:
    """Mono blocks of the first sound track; the sample rate is known, and put in `rates`, with the first."""
    to_float = av.AudioResampler(format="fltp")
    with suppress(av.FFmpegError):  # damaged here: keep what came before
        for frame in container.decode(audio=0):
            for planar in to_float.resample(frame):
                if not rates:
                    rates.append(planar.sample_rate)
                yield planar.to_ndarray().mean(axis=0)  # (channels, n) -> (n,)


def _join(blocks: Iterator[np.ndarray], longest_s: float, rate: Callable[[], int]) -> np.ndarray:
    """Concatenate float32 blocks without ever holding the samples twice, as a list of blocks would.

    Args:
        longest_s: What is longer, by more than an encoder pads, raises `_TooLong`.
        rate: Asked when there is a block: FFmpeg knows it no sooner.
    """
    buffer = bytearray()
    for block in blocks:
        buffer += np.ascontiguousarray(block, np.float32).data.cast("B")
        if len(buffer) / 4 > (longest_s + _PADDING_S) * rate():
            raise _TooLong
    return np.frombuffer(buffer, np.float32)
