"""`cospeech demo` as visitors meet it: Chromium, a server of its own, real files.

Pages are slow to load, so that two visitors do everything: one at a desk, one with a phone. A test begins with what it
needs, wherever the one before has ended.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from chromium import BROWSER, FLAGS, in_browser

from cospeech.body import joint_positions, mannequin
from cospeech.files import load_motion
from cospeech.prompts import Prompt, read_timeline
from cospeech.skeleton import INDEX

pytestmark = in_browser
MAX_MEGABYTES = 2
MARKUP = '<img src=x onerror="window.harmed=1"><b>waves</b>\'"`${1}{{1}}'
MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


class Server:
    def __init__(self, url: str, folder: Path):
        self.url = url
        self.folder = folder  # in which it keeps its own

    def files(self) -> list[str]:
        """But for the empty ones that Gradio leaves behind where a file is chosen."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "cospeech", "demo", "--port", "0", "--max-megabytes", str(MAX_MEGABYTES)]
    environment = os.environ | {"TMPDIR": str(folder), "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            line = process.stdout.readline()
            running = Server(re.search(r"http://127\.0\.0\.1:\d+", line)[0], folder)
            yield running
            eventually(lambda: not running.files())  # all visitors have left
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


@pytest.fixture(scope="module")
def visitor(server, browser):
    """Opens the page as somebody who has never been there; nothing may be asked of other hosts, nothing may fail."""
    contexts, complaints, asked = [], [], []

    def open_page(width, height, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(90_000)  # the machine may be busy
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(server.url)
        page.get_by_role("button", name="Generate", exact=True).wait_for()
        # Whoever waits for a busy machine need not keep it busy with what turns and pulses.
        page.add_style_tag(content="*, ::before, ::after { animation: none !important; transition: none !important }")
        return page

    yield open_page
    for context in contexts:
        context.close()
    # What is no recording is refused by the server; the player of uploads has tried it by then.
    assert not [complaint for complaint in complaints if "Waveform load error" not in complaint]
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []


@pytest.fixture(scope="module")
def page(visitor):
    page = visitor(800, 600, permissions=["microphone"])
    page.get_by_role("button", name="Model and more").click()
    page.get_by_role("button", name="Words with times").click()
    return page


@pytest.fixture(scope="module")
def phone(visitor):
    return visitor(390, 844, has_touch=True, is_mobile=True)


def upload(page, path):
    for name in ("Clear", "Upload file"):  # what was brought or recorded before
        button = page.locator("#speech").get_by_label(name)
        if button.is_visible():
            button.click()
    page.locator("#speech input[type=file]").first.set_input_files(path)
    page.locator("#status").get_by_text("s of speech").wait_for()


def generate(page):
    """Click, and wait until there is another player."""
    before = address(page)
    page.get_by_role("button", name="Generate", exact=True).click()
    eventually(lambda: address(page) != before, page)


def address(page) -> str:
    frame = page.locator("#stage iframe")
    return frame.get_attribute("src") if frame.count() else ""


def player_of(page):
    frame = page.locator("#stage iframe")
    frame.scroll_into_view_if_needed()
    player = frame.element_handle().content_frame()
    player.wait_for_selector("body[data-state=ready]")
    return player


def download(page, folder: Path) -> Path:
    page.get_by_role("button", name="Download").click()
    page.locator("#made a").wait_for()
    with page.expect_download() as waiting:
        page.locator("#made a").click()
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
        page.wait_for_timeout(200) if page else time.sleep(0.05)


def problem(page) -> str:
    page.locator("#status .problem").wait_for()
    return page.locator("#status").inner_text().strip()


def test_what_is_no_recording_is_said_in_one_line(page, tmp_path):
    page.get_by_role("button", name="Generate", exact=True).click()
    assert problem(page) == "Record or upload speech first, or take an example."
    (tmp_path / "notes.wav").write_text("buy milk")
    page.locator("#speech input[type=file]").first.set_input_files(tmp_path / "notes.wav")
    page.get_by_text("notes.wav: not a recording that can be decoded. Use wav, flac, mp3, ogg or m4a.").wait_for()


def test_a_file_beyond_the_limit_is_not_taken(server):
    import httpx

    content = {"files": ("big.wav", b"\0" * (MAX_MEGABYTES * 1_000_000 + 1000))}
    answer = httpx.post(f"{server.url}/gradio_api/upload", files=content, trust_env=False)
    assert answer.status_code == 413
    assert "big.wav" not in server.files()


def test_from_upload_to_download(page, speech_wav, tmp_path):
    upload(page, speech_wav)
    page.locator("#prompt-upper").get_by_role("textbox").fill("raises the right hand")
    page.get_by_role("button", name="Add words with times").click()
    row = page.locator("#timeline fieldset")
    row.get_by_label("Part").select_option("lower")
    row.get_by_label("Words").fill("walks forward")
    row.get_by_label("From").fill("1")
    generate(page)
    player = player_of(page)

    player.get_by_label("Speed").select_option("0.25")  # or it is over before a busy machine gets to the next button
    player.get_by_role("button", name="Play").click()
    eventually(lambda: player.evaluate("cospeech.currentTime > 0.1"), page)
    assert player.locator("#note").is_hidden()  # the sound is heard
    player.get_by_role("button", name="Pause").click()
    player.get_by_label("Time").fill("2.5")
    assert player.evaluate("cospeech.currentTime") == pytest.approx(2.5, abs=0.02)
    assert player.evaluate("cospeech.duration") == pytest.approx(3.0, abs=0.05)
    assert player.evaluate("origin") == "null"  # it reaches nothing of the page around it

    choose(page, "Format", ".npz: SMPL-X poses (beat2)")
    motion = load_motion(download(page, tmp_path))
    assert len(motion) == 90
    assert motion.metadata["model"] == "starter"
    prompts = [Prompt("raises the right hand", "upper"), Prompt("walks forward", "lower", start=1.0)]
    assert read_timeline(motion.metadata["prompts"]) == prompts
    shown = player.evaluate("cospeech.jointPosition('right_wrist')")
    wrist = joint_positions(mannequin(), motion.poses[75:76], motion.translation[75:76])[0, INDEX["right_wrist"]]
    np.testing.assert_allclose(shown, wrist, atol=1e-3)  # what is downloaded is what was seen
    row.get_by_role("button", name="Remove").click()


def test_markup_stays_text_and_two_results_play_together(page, speech_wav, tmp_path):
    named = tmp_path / "..\"'<img src=x onerror=harmed=1> naïve 漢字 $(id).wav"
    named.write_bytes(speech_wav.read_bytes())
    upload(page, named)
    page.get_by_label("Diffusion steps").fill("1")
    generate(page)
    page.locator("#prompt-upper").get_by_role("textbox").fill(MARKUP)
    page.get_by_label("Seed", exact=True).fill("7")
    generate(page)
    alone = address(page)
    page.get_by_label("Show the result before beside it").check()
    eventually(lambda: address(page) != alone, page)
    player = player_of(page)

    last, before = player.locator("h1").all_inner_texts()
    assert re.fullmatch(rf"\d+\. seed 7, upper: {re.escape(MARKUP)}", last)
    assert re.fullmatch(r"\d+\. seed 0.*", before)
    wrists = player.evaluate("(cospeech.seek(1.5), [0, 1].map((i) => cospeech.jointPosition('left_wrist', i)))")
    assert np.abs(np.subtract(*wrists)).max() > 0.01
    for frame in (page.main_frame, player):
        assert frame.evaluate("window.harmed") is None
        assert frame.locator("img[src=x]").count() == 0
    choose(page, "Format", ".bvh: skeleton (smplx)")
    saved = download(page, tmp_path / "saved")
    assert re.fullmatch(r"[\w ()-]+\.bvh", saved.name)
    assert "naïve 漢字" in saved.name

    page.get_by_role("button", name="Add words with times").click()
    row = page.locator("#timeline fieldset")
    row.get_by_label("Words").fill(MARKUP)
    row.get_by_label("From").fill("2")
    row.get_by_label("To", exact=True).fill("0")
    page.get_by_role("button", name="Generate", exact=True).click()
    assert problem(page).startswith(f"Prompt '{MARKUP[:40]}")
    row.get_by_role("button", name="Remove").click()
    page.get_by_label("Show the result before beside it").uncheck()


def test_on_a_phone_and_on_a_visitors_own_character(phone, speech_wav, tmp_path):
    upload(phone, speech_wav)
    generate(phone)
    assert phone.evaluate("document.scrollingElement.scrollWidth") <= 390
    phone.get_by_role("button", name="On your own character").tap()
    mixamo = Path(__file__).parents[1] / "fixtures" / "characters" / "mixamo.glb"
    phone.locator("#character input[type=file]").set_input_files(mixamo)
    phone.get_by_text("Your character: ").wait_for()
    saved = download(phone, tmp_path).read_bytes()
    assert b"mixamorig" in saved
    assert b'"animations"' in saved


def test_two_visitors_wait_for_each_other_get_their_own_and_nobody_the_others(page, phone, server, speech_wav):
    page.get_by_role("button", name="Just talking").click()  # eleven seconds
    page.locator("#speech").get_by_text("0:11").wait_for()
    upload(phone, speech_wav)
    page.get_by_label("Diffusion steps").fill("40")
    before = address(page), address(phone)
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_role("button", name="Stop").and_(page.locator(":enabled")).wait_for()
    phone.get_by_role("button", name="Generate", exact=True).click()
    phone.locator("#stage").get_by_text(re.compile(r"queue: \d")).wait_for()
    for one, old in zip((page, phone), before, strict=True):
        eventually(lambda one=one, old=old: address(one) != old, one)
        one.locator("#status").get_by_text(f"{11 if one is page else 3}.0 s of motion").wait_for()
    mine, other = address(page), address(phone)
    assert mine.split("/")[1] != other.split("/")[1]

    pages = server.files().count("alone")
    phone.goto("about:blank")
    eventually(lambda: server.files().count("alone") < pages)
    assert page.request.get(f"{server.url}/{mine}").ok
    assert page.request.get(f"{server.url}/{other}").status == 404


def test_stop_and_what_is_recorded_then_moves_the_body(page, speech_wav):
    upload(page, speech_wav)
    page.get_by_label("Diffusion steps").fill("100")
    before = address(page)
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    page.locator("#status").get_by_text("Stopped.").wait_for()
    page.get_by_role("button", name="Generate", exact=True).and_(page.locator(":enabled")).wait_for()
    page.get_by_label("Diffusion steps").fill("1")

    page.locator("#speech").get_by_label("Clear").click()
    page.locator("#speech").get_by_label("Record audio").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1000)
    assert address(page) == before  # what was stopped did not go on
    page.locator("#speech").get_by_role("button", name="Stop", exact=True).click()
    page.locator("#status").get_by_text("s of speech").wait_for()
    generate(page)
    assert player_of(page).evaluate("cospeech.duration") > 0.5


def test_with_a_keyboard_alone(page):
    def tab_to(selector, most=60):
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("selector => !!document.activeElement.closest(selector)", selector):
                return
        raise AssertionError(f"{selector} is not reached with Tab")

    page.get_by_label("Diffusion steps").fill("1")
    page.evaluate("(document.activeElement.blur(), getSelection().removeAllRanges(), scrollTo(0, 0))")
    page.locator("#header").click()
    tab_to("#examples button")
    page.keyboard.press("Enter")
    page.locator("#speech").get_by_text("0:11").wait_for()
    tab_to("#prompt-upper")
    page.keyboard.type("waves")
    tab_to("#generate")
    before = address(page)
    page.keyboard.press("Enter")
    eventually(lambda: address(page) != before, page)
    player = player_of(page)
    tab_to("#stage iframe")
    for _ in range(3):  # into the player, to the button
        if player.evaluate("document.activeElement.id") == "play":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    eventually(lambda: player.evaluate("cospeech.currentTime > 0.1"), page)
