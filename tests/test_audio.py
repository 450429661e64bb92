"""Every recording here is made by the test: soundfile and PyAV write what `audio` has to read."""

import os
import struct
import tracemalloc
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from cospeech import audio
from cospeech.errors import AudioError, CospeechWarning

RATE = 16_000


def tone(duration_s: float = 3.0, rate: int = RATE, hz: float = 220.0) -> np.ndarray:
    """(N,) float32: a tone with noise, so that compressed files are not all one block."""
    noise = np.random.default_rng(0).standard_normal(round(duration_s * rate))
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(len(noise)) / rate) + 0.02 * noise).astype(np.float32)


def write(path: Path, samples: np.ndarray, kind: str, subtype: str | None = None, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, format=kind, subtype=subtype)
    return path


def write_ffmpeg(path: Path, samples: np.ndarray, rate: int, container: str, codec: str, **options: str) -> Path:
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = "mono"
        for start in range(0, len(samples), 960):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960].copy(), format="fltp", layout="mono")
            frame.rate, frame.pts = rate, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n], b[:n])[0, 1])


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 100),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "ULAW", 0.02),
        ("AIFF", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
    ],
)
def test_every_bit_depth_gives_the_samples_back(tmp_path, kind, subtype, tolerance):
    samples, rate = audio.decode(write(tmp_path / "talk.wav", tone(), kind, subtype))
    assert rate == RATE
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone(), atol=tolerance)


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)])
def test_lossy_files_keep_length_and_time(tmp_path, kind, subtype):
    samples, rate = audio.decode(write(tmp_path / "talk.wav", tone(), kind, subtype))
    assert (len(samples), rate) == (len(tone()), RATE)
    assert correlation(samples, tone()) > 0.95


@pytest.mark.parametrize(
    ("container", "codec", "rate"), [("ipod", "aac", 44_100), ("mp4", "aac", 16_000), ("webm", "libopus", 48_000)]
)
def test_what_ffmpeg_reads_keeps_length_and_time(tmp_path, container, codec, rate):
    path = write_ffmpeg(tmp_path / "talk.wav", tone(rate=rate), rate, container, codec)
    samples, found = audio.decode(path)
    assert found == rate
    assert len(samples) == pytest.approx(3 * rate, abs=2)
    assert correlation(samples, tone(rate=rate)) > 0.95


def test_raw_aac_promises_no_length(tmp_path):
    samples, _ = audio.decode(write_ffmpeg(tmp_path / "talk.m4a", tone(), RATE, "adts", "aac"))
    assert 3.0 <= len(samples) / RATE < 3.15


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 96_000])
def test_any_rate_is_told(tmp_path, rate):
    assert audio.decode(write(tmp_path / "talk.wav", tone(rate=rate), "WAV", rate=rate))[1] == rate


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(tmp_path, channels):
    sound = np.zeros((3 * RATE, channels), np.float32)
    sound[:, 0] = tone()
    samples, _ = audio.decode(write(tmp_path / "talk.wav", sound, "WAV", "FLOAT"))
    np.testing.assert_allclose(samples, tone() / channels, atol=1e-7)


def test_the_suffix_does_not_matter_not_even_one_that_means_headerless(tmp_path):
    path = write(tmp_path / "talk.raw", tone(), "FLAC")
    assert len(audio.decode(path)[0]) == 3 * RATE


def test_names_that_look_like_addresses_are_files(tmp_path):
    plain = write_ffmpeg(tmp_path / "plain.m4a", tone(), RATE, "ipod", "aac")
    path = plain.rename(tmp_path / "talk:1 ?#%20.m4a")
    assert len(audio.decode(path)[0]) == 3 * RATE


# --- what is broken ---------------------------------------------------------------------------------------------


def broken(path: Path) -> Path:
    """A file or folder of the given name that holds no usable sound."""
    match path.name:
        case "folder.wav":
            path.mkdir()
        case "empty.wav":
            path.touch()
        case "text.wav":
            path.write_text("This is a transcript, not a recording.\n" * 100)
        case "letter.wav":
            path.write_text("x")
        case "playlist.wav":
            path.write_text("#EXTM3U\n#EXTINF:1\ntalk.m4a\n")
        case "noise.wav":
            path.write_bytes(np.random.default_rng(0).bytes(100_000))
        case "nothing.wav":
            write(path, np.zeros(0, np.float32), "WAV")
        case "header.wav" | "header.flac" | "header.aiff" | "header.ogg" | "header.mp3":
            kind = path.suffix[1:].upper()
            path.write_bytes(write(path, tone(), kind).read_bytes()[:40])
        case "unfinished.m4a":  # its index comes last, and never came
            cut(write_ffmpeg(path, tone(), RATE, "ipod", "aac"), 0.6)
        case "nan.wav" | "inf.wav":
            write(path, np.array([0, float(path.stem), 0], np.float32), "WAV", "FLOAT")
    return path


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("missing.wav", "no such file"),
        ("folder.wav", "is a folder"),
        ("empty.wav", "is empty"),
        ("text.wav", "not a recording"),
        ("letter.wav", "not a recording"),
        ("playlist.wav", "not a recording"),
        ("noise.wav", "not a recording"),
        ("nothing.wav", "no sound"),
        ("header.wav", "not a recording"),
        ("header.flac", "not a recording"),
        ("header.aiff", "not a recording"),
        ("header.ogg", "not a recording"),
        ("header.mp3", "not a recording"),
        ("unfinished.m4a", "not a recording"),
        ("nan.wav", "NaN or infinite"),
        ("inf.wav", "NaN or infinite"),
    ],
)
def test_what_is_no_recording_is_one_line(tmp_path, name, what):
    path = broken(tmp_path / name)
    with pytest.raises(AudioError, match=what) as caught:
        audio.decode(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_video_without_sound_says_so(tmp_path):
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(AudioError, match="contains no sound"):
        audio.decode(path)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "DOUBLE"), ("WAV", "ULAW"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16")],
)
def test_a_truncated_file_gives_what_is_there_and_one_warning(tmp_path, kind, subtype):
    path = cut(write(tmp_path / "talk", tone(), kind, subtype), 0.6)
    with pytest.warns(CospeechWarning) as caught:
        samples, _ = audio.decode(path)
    found_s = len(samples) / RATE
    assert 1.4 < found_s <= 1.81
    np.testing.assert_allclose(samples, tone()[: len(samples)], atol=0.02)
    (warning,) = caught
    assert f"{found_s:.2f} s of sound found, 3.00 s promised" in str(warning.message)


def test_a_truncated_mp3_is_measured_by_its_own_header(tmp_path):
    path = cut(write(tmp_path / "talk.mp3", tone(), "MP3"), 0.6)
    with pytest.warns(CospeechWarning, match=r"1\.\d\d s of sound found, 3\.00 s promised"):
        samples, _ = audio.decode(path)
    assert correlation(samples, tone()) > 0.95


def test_an_mp3_that_states_no_length_is_read_to_its_end(tmp_path):
    """libsndfile would guess its length from the bit rate of the first frames, and stop there."""
    samples = tone(6.0) * np.repeat([1.0, 0.0], 3 * RATE).astype(np.float32)
    path = tmp_path / "talk.mp3"
    for loud_first in (True, False):
        expected = samples if loud_first else samples[::-1]
        soundfile.write(path, expected, RATE, format="MP3", bitrate_mode="VARIABLE")
        content = path.read_bytes()
        assert b"Xing" in content
        path.write_bytes(content.replace(b"Xing", bytes(4)))
        found, _ = audio.decode(path)
        assert len(found) / RATE == pytest.approx(6, abs=0.3)


def test_a_truncated_ogg_promises_nothing_and_is_used(tmp_path):
    path = cut(write(tmp_path / "talk.ogg", tone(20.0), "OGG", "VORBIS"), 0.6)
    samples, _ = audio.decode(path)
    assert 8 < len(samples) / RATE < 14
    assert correlation(samples, tone(20.0)) > 0.95


def test_a_truncated_m4a_with_its_index_in_front(tmp_path):
    path = write_ffmpeg(tmp_path / "talk.m4a", tone(), RATE, "ipod", "aac", movflags="faststart")
    with pytest.warns(CospeechWarning, match=r"1\.\d\d s of sound found, 3\.00 s promised"):
        samples, _ = audio.decode(cut(path, 0.6))
    assert correlation(samples, tone()) > 0.95


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_streamed_wav_promises_nothing(tmp_path, size):
    path = write(tmp_path / "talk.wav", tone(), "WAV", "PCM_16")
    content = bytearray(path.read_bytes())
    for at in (4, content.index(b"data") + 4):
        content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples, _ = audio.decode(path)
    assert len(samples) == 3 * RATE


def test_one_sample_is_a_recording(tmp_path):
    assert len(audio.decode(write(tmp_path / "click.wav", tone()[:1], "WAV"))[0]) == 1


def test_decoding_needs_little_more_than_the_samples(tmp_path):
    path = write(tmp_path / "talk.wav", np.zeros((120 * 44_100, 2), np.float32), "WAV", "PCM_16", 44_100)
    tracemalloc.start()
    try:
        samples, _ = audio.decode(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * samples.nbytes


@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", "PCM_16"), ("OGG", "OPUS"), ("MP3", None)])
def test_what_lasts_too_long_is_an_error_before_it_fills_the_memory(tmp_path, kind, subtype):
    """Two minutes of silence are a small file and many samples."""
    path = write(tmp_path / "talk.wav", np.zeros(120 * 48_000, np.float32), kind, subtype, 48_000)
    tracemalloc.start()
    try:
        with pytest.raises(AudioError, match=r"lasts longer than 10 s, the limit here\. Cut it"):
            audio.decode(path, longest_s=10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 10 * 48_000 * 4
    assert len(audio.decode(path, longest_s=120)[0]) >= 120 * 48_000


def test_the_limit_counts_what_ffmpeg_decodes(tmp_path):
    path = write_ffmpeg(tmp_path / "talk.m4a", tone(3.0, 44_100), 44_100, "ipod", "aac")
    assert len(audio.decode(path, longest_s=3)[0]) == pytest.approx(3 * 44_100, abs=2048)
    with pytest.raises(AudioError, match="lasts longer than 2 s"):
        audio.decode(path, longest_s=2)


# --- resample ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("count", [1, 2, 777, 50_001, 600_003])
def test_resampling_gives_exactly_the_rounded_length(rate, count):
    assert len(audio.resample(np.zeros(count, np.float32), rate, RATE)) == max(1, round(count * RATE / rate))


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_resampling_keeps_time_and_level(rate):
    there = audio.resample(tone(40.0, hz=440.0)[: 30 * RATE], RATE, rate)  # more than one block
    time = np.arange(len(there)) / rate
    expected = 0.3 * np.sin(2 * np.pi * 440 * time)
    inner = slice(rate // 10, -rate // 10)
    amplitude = 2 * np.mean(there[inner] * np.exp(-2j * np.pi * 440 * time[inner]))
    assert abs(amplitude) == pytest.approx(0.3, rel=0.01)
    assert np.angle(amplitude * 1j) == pytest.approx(0, abs=0.01)  # 4 microseconds
    assert correlation(there, expected) > 0.99


def test_resampling_removes_what_the_new_rate_cannot_hold():
    high = np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(audio.resample(high, 48_000, RATE)[200:-200]).max() < 1e-3


def test_the_same_rate_is_the_same_array():
    samples = tone()
    assert audio.resample(samples, RATE, RATE) is samples


def test_resampling_needs_no_memory_beyond_its_result():
    samples = np.zeros(8_000_000, np.float32)
    tracemalloc.start()
    try:
        result = audio.resample(samples, 48_000, RATE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < result.nbytes + 8 * 4 * audio._RESAMPLE_BLOCK


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path / "talk.wav", tone(), "WAV")
    path.chmod(0)
    with pytest.raises(AudioError, match="cannot be read"):
        audio.decode(path)
