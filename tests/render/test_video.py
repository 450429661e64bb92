from itertools import pairwise

import av
import numpy as np
import pytest

from cospeech import skeleton
from cospeech.errors import FormatError, MotionError
from cospeech.motion import Motion
from cospeech.render import still, write
from cospeech.speech import Speech

SIZE = (160, 128)
RATE = 16_000


@pytest.fixture(scope="module")
def motion():
    """Arms hang, and are flung up at frame 20."""
    poses = np.zeros((40, 55, 3))
    for side, turn in (("left", -1.2), ("right", 1.2)):
        poses[:20, skeleton.INDEX[f"{side}_shoulder"], 2] = turn
        poses[20:, skeleton.INDEX[f"{side}_shoulder"], 2] = -turn
    return Motion(poses, np.tile(skeleton.REST_TRANSLATION, (40, 1)), metadata={"model": "none", "licence": "any"})


@pytest.fixture(scope="module")
def speech():
    """Silence with a click at the second at which the arms move."""
    samples = np.zeros(round(40 / 30 * RATE), np.float32)
    samples[round(20 / 30 * RATE) :][:80] = 0.9
    return Speech(samples, RATE)


@pytest.fixture(scope="module")
def film(motion, speech, tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "talk.mp4"
    write(motion, path, audio=speech, size=SIZE)
    return path


def pictures(path):
    with av.open(str(path)) as container:
        return [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_as_many_frames_as_the_motion_at_its_rate(film):
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == SIZE
        assert stream.average_rate == 30
        assert stream.codec_context.name == "h264"
    times = [time for time, _ in pictures(film)]
    np.testing.assert_allclose(times, np.arange(40) / 30, atol=1e-3)


def test_sound_and_motion_are_in_sync(film):
    """The arms and the click were made for the same second: what comes out is less than a frame apart."""
    shown = pictures(film)
    changes = [np.abs(b[1].astype(int) - a[1]).mean() for a, b in pairwise(shown)]
    moved_s = shown[int(np.argmax(changes)) + 1][0]
    with av.open(str(film)) as container:
        stream = container.streams.audio[0]
        blocks = [(float(f.time), f.to_ndarray().mean(axis=0), f.sample_rate) for f in container.decode(stream)]
    samples = np.concatenate([block for _, block, _ in blocks])
    clicked_s = blocks[0][0] + np.flatnonzero(np.abs(samples) > 0.3)[0] / blocks[0][2]
    assert moved_s == pytest.approx(20 / 30, abs=1e-3)
    assert clicked_s == pytest.approx(moved_s, abs=0.01)


def test_the_film_says_where_it_comes_from(film):
    with av.open(str(film)) as container:
        assert container.metadata["comment"] == "model: none; licence: any"
        assert container.metadata["title"] == "talk"


def test_a_film_without_sound(motion, tmp_path):
    write(motion[:0.1], tmp_path / "a.mp4", size=SIZE)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not container.streams.audio


def test_one_frame_is_a_film(motion, tmp_path):
    write(motion[: 1 / 30], tmp_path / "a.mp4", size=SIZE)
    assert len(pictures(tmp_path / "a.mp4")) == 1


def test_cameras_show_different_things(motion):
    body, face, both = (
        np.asarray(still(motion, 0.0, camera=camera, size=SIZE), int) for camera in ("body", "face", "face+body")
    )
    skin = (body[..., 0] > body[..., 2] + 25).mean(), (face[..., 0] > face[..., 2] + 25).mean()
    assert skin[1] > 4 * skin[0]  # a face is mostly skin, a dressed body is not
    assert np.abs(both[:, :80] - both[:, 80:]).mean() > 5


def test_the_body_stands_in_the_middle(motion):
    """Against the empty studio: what is not background lies around the middle column and nearly fills the height."""
    empty = np.asarray(still(Motion(motion.poses[:1], [[0, -50.0, 0]]), 0.0, size=SIZE), int)
    picture = np.asarray(still(motion, 0.0, size=SIZE), int)
    rows, columns = np.nonzero(np.abs(picture - empty).sum(axis=-1) > 90)
    assert abs(np.median(columns) - SIZE[0] / 2) < 8
    assert np.ptp(rows) > 0.55 * SIZE[1]


def test_a_still_is_the_frame_of_the_film(motion, film):
    filmed = pictures(film)[30][1].astype(int)
    assert np.abs(np.asarray(still(motion, 1.0, size=SIZE), int) - filmed).mean() < 4  # what the codec changes


def test_a_film_looks_the_same_every_time(motion, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write(motion[:0.2], tmp_path / name, size=SIZE)
    for (_, a), (_, b) in zip(pictures(tmp_path / "a.mp4"), pictures(tmp_path / "b.mp4"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_progress_ends_at_one(motion, tmp_path):
    seen = []
    write(motion[:0.2], tmp_path / "a.mp4", size=SIZE, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_what_cannot_be_filmed_leaves_nothing(motion, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError):
        write(motion, tmp_path / "file" / "a.mp4", size=SIZE)
    with pytest.raises(FormatError, match="without frames"):
        write(motion[:0], tmp_path / "a.mp4", size=SIZE)
    with pytest.raises(MotionError, match="No picture"):
        still(motion, 99.0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
