import numpy as np
import pytest

from cospeech.data.windows import Windows
from cospeech.errors import DataError


@pytest.fixture
def clips():
    return [{"at": np.arange(n)[:, None] + 1000 * i} for i, n in enumerate((50, 9, 200, 30))]


def test_windows_are_whole_pieces_of_one_clip(clips):
    at = Windows(clips, ["a", "a", "a", "b"], {"a": 1.0, "b": 1.0}, 10).batch(500, 0)["at"][..., 0]
    assert at.shape == (500, 10)
    np.testing.assert_array_equal(np.diff(at, axis=1), 1)
    assert set(at[:, 0] // 1000) == {0, 2, 3}  # clip 1 is too short
    assert at[at[:, 0] < 1000, -1].max() == 49  # the last window is drawn too


def test_sources_get_their_share_and_long_clips_more(clips):
    number = Windows(clips, ["a", "a", "a", "b"], {"a": 3.0, "b": 1.0}, 10).batch(20_000, 0)["at"][:, 0, 0] // 1000
    share = np.bincount(number, minlength=4) / 20_000
    np.testing.assert_allclose(share, [0.75 * 41 / 232, 0, 0.75 * 191 / 232, 0.25], atol=0.015)


def test_the_same_key_gives_the_same_windows(clips):
    windows = Windows(clips, ["a", "a", "a", "b"], {"a": 1.0}, 10)
    np.testing.assert_array_equal(windows.batch(8, 0, 5)["at"], windows.batch(8, 0, 5)["at"])
    assert (windows.batch(8, 0, 5)["at"] != windows.batch(8, 0, 6)["at"]).any()


def test_a_source_without_windows_is_an_error(clips):
    with pytest.raises(DataError, match="`b`"):
        Windows(clips, ["a", "a", "a", "b"], {"a": 1.0, "b": 1.0}, 40)
    with pytest.raises(DataError, match="nothing to train on"):
        Windows(clips, ["a", "a", "a", "b"], {"c": 0.0}, 10)
