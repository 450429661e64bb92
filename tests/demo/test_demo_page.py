"""`cospeech demo` as a visitor meets it: Chromium, a server of its own, real files."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from chromium import BROWSER, FLAGS, in_browser

import cospeech
from cospeech.files import load_motion
from cospeech.prompts import Prompt

pytestmark = in_browser
MAX_SECONDS, MAX_MEGABYTES = 20, 2
MARKUP = '<img src=x onerror="window.harmed=1"><b>waves</b>\'"`${1}{{1}}'
MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


class Server:
    def __init__(self, url: str, folder: Path):
        self.url = url
        self.folder = folder  # in which it keeps its own

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("server")
    limits = ["--max-seconds", str(MAX_SECONDS), "--max-megabytes", str(MAX_MEGABYTES)]
    command = [sys.executable, "-m", "cospeech", "demo", "--port", "0", *limits]
    environment = os.environ | {"TMPDIR": str(folder), "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            line = process.stdout.readline()
            yield Server(re.search(r"http://127\.0\.0\.1:\d+", line)[0], folder)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
    assert not any(folder.iterdir())


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=[*FLAGS, *MICROPHONE])
        yield browser
        browser.close()


@pytest.fixture
def visitor(server, browser):
    """Opens the page as somebody who has never been there; nothing may be asked of other hosts, nothing may fail."""
    contexts, complaints, asked = [], [], []

    def open_page(size=(900, 600), **options):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        context.set_default_timeout(90_000)  # the machine may be busy
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(server.url)
        page.get_by_role("button", name="Generate", exact=True).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []


def upload(page, path):
    page.locator("#speech input[type=file]").first.set_input_files(path)
    page.locator("#status").get_by_text("s of speech").wait_for()


def generate(page):
    """Click, and wait for the new player."""
    before = page.locator("#stage iframe").first.get_attribute("src") if page.locator("#stage iframe").count() else ""
    page.get_by_role("button", name="Generate", exact=True).click()
    page.wait_for_function(
        "before => (document.querySelector('#stage iframe')?.getAttribute('src') ?? '') !== before", arg=before
    )
    return ready(page.locator("#stage iframe").first)


def ready(frame):
    frame.scroll_into_view_if_needed()
    player = frame.element_handle().content_frame()
    player.wait_for_selector("body[data-state=ready]")
    return player


def download(page, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def choose(page, label: str, choice: str):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=choice).click()


def eventually(condition, page=None, seconds=90):
    """Until this is true. Players allow no waiting inside them: their page evaluates no strings."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50) if page else time.sleep(0.05)


def problem(page) -> str:
    page.locator("#status .problem").wait_for()
    return page.locator("#status").inner_text().strip()


def test_from_upload_to_download(visitor, speech_wav, speech, tmp_path):
    page = visitor()
    upload(page, speech_wav)
    page.locator("#prompt-upper").get_by_role("textbox").fill("raises the right hand")
    page.get_by_role("button", name="Words with times").click()
    page.get_by_role("button", name="Add words with times").click()
    row = page.locator("#timeline fieldset")
    row.get_by_label("Part").select_option("lower")
    row.get_by_label("Words").fill("walks forward")
    row.get_by_label("From").fill("1")
    player = generate(page)

    player.get_by_role("button", name="Play").click()
    eventually(lambda: player.evaluate("cospeech.currentTime > 0.3"), page)
    player.get_by_role("button", name="Pause").click()
    player.get_by_label("Time").fill("2.5")
    assert player.evaluate("cospeech.currentTime") == pytest.approx(2.5, abs=0.02)
    assert player.evaluate("cospeech.duration") == pytest.approx(3.0, abs=0.05)

    choose(page, "Format", ".npz: SMPL-X poses (beat2)")
    motion = load_motion(download(page, tmp_path))
    prompts = [Prompt("raises the right hand", "upper"), Prompt("walks forward", "lower", start=1.0)]
    expected = cospeech.load_pipeline().generate(speech, timeline=prompts, seed=0)
    assert len(motion) == 90
    assert json.loads(motion.metadata["prompts"])[1]["start"] == 1
    # The recording was 16-bit on its way, and threads add up in another order.
    assert np.abs(motion.poses - expected.poses).max() < 0.05


def test_what_is_no_recording_or_too_long_or_too_large_is_said_in_one_line(visitor, tmp_path):
    page = visitor()
    page.get_by_role("button", name="Generate", exact=True).click()
    assert problem(page) == "Record or upload speech first, or take an example."

    chooser = page.locator("#speech input[type=file]").first
    (tmp_path / "notes.wav").write_text("buy milk")
    chooser.set_input_files(tmp_path / "notes.wav")
    page.get_by_text("notes.wav: not a recording that can be decoded. Use wav, flac, mp3, ogg or m4a.").wait_for()
    soundfile.write(tmp_path / "long.flac", np.zeros(2 * 3600 * 8000, np.int16), 8000)  # two hours, small
    assert (tmp_path / "long.flac").stat().st_size < MAX_MEGABYTES * 1e6
    chooser.set_input_files(tmp_path / "long.flac")
    page.get_by_text("long.flac: lasts longer than 20 s, the limit here. Cut it into pieces.").wait_for()
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    chooser.set_input_files(tmp_path / "silent.wav")
    page.get_by_text("The recording is silent").wait_for()


def test_a_file_beyond_the_limit_is_not_taken(server, tmp_path):
    import httpx

    content = {"files": ("big.wav", b"\0" * (MAX_MEGABYTES * 1_000_000 + 1000))}
    answer = httpx.post(f"{server.url}/gradio_api/upload", files=content, trust_env=False)
    assert answer.status_code == 413
    assert "big.wav" not in server.files()


def test_markup_in_words_and_hostile_names_stay_text(visitor, speech_wav, tmp_path):
    named = tmp_path / "..\"'<img src=x onerror=harmed=1> naïve 漢字 $(id).wav"
    named.write_bytes(speech_wav.read_bytes())
    page = visitor()
    upload(page, named)
    page.locator("#prompt-whole").get_by_role("textbox").fill(MARKUP)
    player = generate(page)
    page.get_by_role("button", name="Words with times").click()
    page.get_by_role("button", name="Add words with times").click()
    page.locator("#timeline fieldset").get_by_label("Words").fill(MARKUP)
    generate(page)
    page.get_by_label("Show the result before beside it").check()
    page.locator("#stage iframe").nth(1).wait_for()
    assert MARKUP in page.locator("#stage figcaption").nth(1).inner_text()
    page.locator("#timeline fieldset").get_by_label("To", exact=True).fill("0")
    page.locator("#timeline fieldset").get_by_label("From").fill("2")
    page.get_by_role("button", name="Generate", exact=True).click()
    assert problem(page).startswith(f"Prompt '{MARKUP[:40]}")
    saved = download(page, tmp_path / "saved")
    assert re.fullmatch(r"[\w ()-]+\.glb", saved.name)
    assert "naïve 漢字" in saved.name
    for frame in (page.main_frame, *page.frames, player):
        if not frame.is_detached():
            assert frame.evaluate("window.harmed") is None
            assert frame.locator("img[src=x]").count() == 0


def test_two_visitors_wait_for_each_other_get_their_own_and_nobody_the_others(visitor, server, speech_wav, jfk_flac):
    first, second = visitor(), visitor()
    upload(first, jfk_flac)
    upload(second, speech_wav)
    first.get_by_role("button", name="Model and more").click()
    first.get_by_label("Diffusion steps").fill("100")
    first.get_by_role("button", name="Generate", exact=True).click()
    first.get_by_role("button", name="Stop").and_(first.locator(":enabled")).wait_for()
    second.get_by_role("button", name="Generate", exact=True).click()
    second.locator("#stage").get_by_text(re.compile(r"queue: \d")).wait_for()
    lengths = [ready(page.locator("#stage iframe").first).evaluate("cospeech.duration") for page in (second, first)]
    assert lengths == pytest.approx([3.0, 11.0], abs=0.05)
    mine, other = (page.locator("#stage iframe").get_attribute("src") for page in (first, second))
    assert mine.split("/")[1] != other.split("/")[1]

    first.goto("about:blank")
    eventually(lambda: server.files().count("page") == 1)  # only what the first one made is gone
    assert second.request.get(f"{server.url}/{mine}").status == 404
    assert second.request.get(f"{server.url}/{other}").ok
    assert "jfk.flac" not in server.files()
    assert "talk.wav" in server.files()
    second.goto("about:blank")
    eventually(lambda: not server.files())


def test_stop_and_then_two_results_that_play_together(visitor, speech_wav):
    page = visitor()
    upload(page, speech_wav)
    page.get_by_role("button", name="Model and more").click()
    page.get_by_label("Diffusion steps").fill("100")
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    page.locator("#status").get_by_text("Stopped.").wait_for()
    page.get_by_role("button", name="Generate", exact=True).and_(page.locator(":enabled")).wait_for()
    page.wait_for_timeout(500)
    assert page.locator("#stage iframe").count() == 0

    page.get_by_label("Diffusion steps").fill("5")
    generate(page)
    page.get_by_label("Seed", exact=True).fill("7")
    generate(page)
    page.get_by_label("Show the result before beside it").check()
    page.locator("#stage iframe").nth(1).wait_for()
    players = [ready(page.locator("#stage iframe").nth(i)) for i in range(2)]
    assert page.locator("figcaption").all_inner_texts() == ["seed 7", "seed 0"]
    wrists = [player.evaluate("(cospeech.seek(1.5), cospeech.jointPosition('left_wrist'))") for player in players]
    assert np.abs(np.subtract(*wrists)).max() > 0.01
    page.get_by_role("button", name="Both from the start").click()
    eventually(
        lambda: all(player.evaluate("cospeech.currentTime > 0.2 && !cospeech.paused") for player in players), page
    )
    page.get_by_role("button", name="Pause both").click()
    times = [player.evaluate("cospeech.currentTime") for player in players]
    assert times[0] == pytest.approx(times[1], abs=0.05)


def test_on_a_phone_and_on_a_visitors_own_character(visitor, speech_wav, tmp_path):
    page = visitor(size=(390, 844), has_touch=True, is_mobile=True)
    upload(page, speech_wav)
    generate(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    page.get_by_role("button", name="On your own character").tap()
    mixamo = Path(__file__).parents[1] / "fixtures" / "characters" / "mixamo.glb"
    page.locator("#character input[type=file]").set_input_files(mixamo)
    page.get_by_text("Your character: ").wait_for()
    page.get_by_role("button", name="Download").tap()
    page.locator("#made a").wait_for()
    with page.expect_download() as waiting:
        page.locator("#made a").tap()
    waiting.value.save_as(tmp_path / "own.glb")
    saved = (tmp_path / "own.glb").read_bytes()
    assert b"mixamorig" in saved
    assert b'"animations"' in saved


def test_with_a_keyboard_alone(visitor):
    page = visitor()

    def tab_to(selector, most=60):
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("selector => !!document.activeElement.closest(selector)", selector):
                return
        raise AssertionError(f"{selector} is not reached with Tab")

    tab_to("#examples button")
    page.keyboard.press("Enter")
    page.locator("#speech").get_by_text("0:11").wait_for()
    tab_to("#prompt-upper")
    page.keyboard.type("waves")
    tab_to("#generate")
    page.keyboard.press("Enter")
    player = ready(page.locator("#stage iframe").first)
    tab_to("#stage iframe")
    for _ in range(3):  # into the player, to the button
        if player.evaluate("document.activeElement.id") == "play":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    eventually(lambda: player.evaluate("cospeech.currentTime > 0.1"), page)


def test_what_is_recorded_moves_the_body(visitor):
    page = visitor(permissions=["microphone"])
    page.locator("#speech").get_by_label("Record audio").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1200)
    page.get_by_role("button", name="Stop", exact=True).first.click()
    page.locator("#status").get_by_text("s of speech").wait_for()
    player = generate(page)
    assert player.evaluate("cospeech.duration") > 0.8
