"""The html player: its parts, and the page in a real browser, opened from a file without any network."""

import io
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from chromium import BROWSER, FLAGS, in_browser
from smplx_file import smplx_arrays

from cospeech import skeleton
from cospeech.body import joint_positions, load_smplx, mannequin
from cospeech.errors import FormatError
from cospeech.formats import html
from cospeech.motion import Motion
from cospeech.speech import Speech

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000


@pytest.fixture(scope="module")
def motion():
    """Two seconds of an arm that rises, with a head that turns and a mouth that opens."""
    at = np.linspace(0, 1, 60)
    poses = np.zeros((60, 55, 3))
    poses[:, skeleton.INDEX["left_shoulder"], 2] = -1.2 + 2 * at
    poses[:, skeleton.INDEX["right_shoulder"], 2] = 1.2
    poses[:, skeleton.INDEX["head"], 1] = 0.3 * np.sin(6 * at)
    face = np.zeros((60, 52))
    face[:, skeleton.JAW_OPEN] = at
    translation = skeleton.REST_TRANSLATION + at[:, None] * [0.3, 0, 0]
    return Motion(poses, translation, face=face, metadata={"model": "none", "licence": "<b>any</b></script>"})


@pytest.fixture(scope="module")
def speech():
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE:][:160] = 0.9  # a click after one second
    return Speech(samples, RATE)


@pytest.fixture(scope="module")
def smplx_body(tmp_path_factory):
    path = tmp_path_factory.mktemp("body") / "SMPLX_TEST.npz"
    np.savez(path, **smplx_arrays(np.random.default_rng(0)))
    return load_smplx(path)


# Parts of the page


def test_one_file_with_nothing_to_fetch(motion, speech):
    page = html.page(motion, audio=speech)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", page)
    assert "three.js" in page
    assert "Permission is hereby granted" in page  # the licence of what is bundled


def test_the_sound_starts_when_the_motion_starts():
    """The delay of the encoder is cut off by who plays it: the click comes out where it was put in."""
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE:][:160] = 0.9
    with av.open(io.BytesIO(html.encode_sound(Speech(samples, RATE), 2.0))) as container:
        blocks = [(float(frame.time), frame.to_ndarray().mean(axis=0)) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    heard = np.concatenate([block for _, block in blocks])
    click_s = blocks[0][0] + np.flatnonzero(np.abs(heard) > 0.3)[0] / rate
    assert click_s == pytest.approx(1.0, abs=0.005)


def test_a_minute_with_its_sound_is_sent_in_under_three_megabytes(rng):
    # Noise cannot be packed; these joints swing as those of speakers do, and all 52 face shapes move.
    at = np.linspace(0, 60, 1800)[:, None]
    waves = sum(np.sin(at * rng.uniform(0.5, 9, 165) + rng.uniform(0, 6, 165)) / n for n in range(1, 6))
    face = np.abs(np.sin(at * rng.uniform(0.5, 9, 52)))
    minute = Motion(0.1 * waves.reshape(-1, 55, 3), np.zeros((1800, 3)), face=face)
    noise = Speech(0.1 * rng.normal(size=60 * RATE).astype(np.float32), RATE)
    assert len(html.page(minute, audio=noise).encode()) < 3_000_000


def test_a_licensed_body_needs_consent_and_is_the_first_to_choose(motion, smplx_body):
    with pytest.raises(FormatError, match="embed_licensed_body"):
        html.page(motion, body=smplx_body)
    page = html.page(motion, body=smplx_body, embed_licensed_body=True)
    found = json.loads(re.search(r'id="metadata"[^>]*>(.*?)</script>', page).group(1))
    assert [body["label"] for body in found["bodies"]] == ["SMPL-X", "Mannequin"]
    assert "not for redistribution" in found["bodies"][0]["licence"]


def test_prompts_are_never_read_from_a_file_that_the_metadata_names(motion, tmp_path):
    (tmp_path / "timeline.json").write_text('[{"text": "from a file"}]')
    page = html.page(motion.with_metadata({"prompts": str(tmp_path / "timeline.json")}))
    assert "from a file" not in page


def test_the_committed_bundle_is_made_of_the_committed_sources():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from build_viewer import BUNDLE, source_hash
    finally:
        sys.path.pop(0)
    assert source_hash() in BUNDLE.read_text(encoding="utf-8")[:400], "run: python scripts/build_viewer.py"


# In a browser


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Write a motion to a page and open it; what it asks for and complains about is checked at the end."""
    asked, complaints, contexts = [], [], []

    def run(motion, audio=None, size=(900, 700), touch=False):
        html.write(motion, tmp_path / "talk.html", audio=audio)
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, has_touch=touch)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "talk.html").as_uri())
        assert page.evaluate("cospeech.ready")
        return page

    yield run
    for context in contexts:
        context.close()
    assert not complaints
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def wait_until(page, condition, seconds=20):
    """The page allows no evaluation of strings by its own scripts, so it is asked from outside."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


class TestInBrowser:
    pytestmark = in_browser

    def test_joints_are_where_the_motion_says(self, open_page, motion, speech):
        page = open_page(motion, speech)
        joints = joint_positions(mannequin(), motion.poses, motion.translation)
        for frame in (0, 20, 45):
            page.evaluate(f"cospeech.seek({frame / 30})")
            for name in ("pelvis", "head", "left_wrist", "right_index3"):
                shown = page.evaluate(f"cospeech.jointPosition('{name}')")
                np.testing.assert_allclose(shown, joints[frame, skeleton.INDEX[name]], atol=1e-3)

    def test_the_body_is_drawn_and_moves(self, open_page, motion):
        from PIL import Image

        page = open_page(motion)
        pictures = []
        for seconds in (0.0, 1.8):
            page.evaluate(f"cospeech.seek({seconds})")
            page.wait_for_timeout(400)
            picture = page.locator("canvas").first.screenshot()
            pictures.append(np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int))
        assert pictures[0].std() > 15
        assert np.abs(pictures[0] - pictures[1]).mean() > 0.5

    def test_the_sound_is_the_clock(self, open_page, motion, speech):
        page = open_page(motion, speech)
        page.evaluate("cospeech.play()")
        wait_until(page, "cospeech.currentTime > 0.3")
        page.evaluate("cospeech.pause()")
        first = page.evaluate("cospeech.currentTime")
        audio = page.evaluate("document.querySelector('audio')?.currentTime ?? null")
        page.wait_for_timeout(300)
        assert page.evaluate("cospeech.currentTime") == first
        assert audio is None or audio == pytest.approx(first, abs=1e-6)
        assert page.evaluate("cospeech.duration") == pytest.approx(2.0, abs=0.05)

    def test_without_sound_it_plays_on_its_own_clock(self, open_page, motion):
        page = open_page(motion)
        page.evaluate("cospeech.play()")
        wait_until(page, "cospeech.currentTime > 0.2")
        assert not page.evaluate("cospeech.paused")

    def test_the_keyboard_scrubs_and_pauses(self, open_page, motion, speech):
        page = open_page(motion, speech)
        page.evaluate("cospeech.seek(0)")
        page.evaluate("cospeech.pause()")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("cospeech.currentTime") > 0.02
        page.keyboard.press(" ")
        wait_until(page, "!cospeech.paused")
        page.keyboard.press(" ")
        wait_until(page, "cospeech.paused")

    def test_metadata_is_text_whatever_it_holds(self, open_page, motion):
        hostile = motion.with_metadata(
            {"model": "</script><script>window.broken = 1</script><img src=x onerror=alert(1)>"}
        )
        page = open_page(hostile)
        assert page.evaluate("window.broken") is None
        assert "</script><script>window.broken" in page.inner_text("body")

    def test_a_single_frame(self, open_page, motion):
        page = open_page(motion[: 1 / 30])
        assert len(page.evaluate("cospeech.jointPosition('head')")) == 3

    def test_a_phone(self, open_page, motion, speech):
        page = open_page(motion, speech, size=(390, 844), touch=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        button = page.get_by_role("button").first.bounding_box()
        assert button["width"] >= 24
        assert button["height"] >= 24

    def test_a_motion_without_a_face(self, open_page, motion):
        page = open_page(replace(motion, face=None))
        assert page.evaluate("cospeech.duration") == pytest.approx(2.0, abs=0.05)
