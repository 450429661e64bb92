"""How long visitors of `cospeech demo` wait: `python -m cospeech.recipes.bench_demo`.

Measured with a new server and a headless Chromium, through playwright: from the start of the command to the first
answer and to a page that can be used, cold; and from the click on Generate to a player that is ready, of a clip of ten
seconds with the starter. Seconds of the clock; those of the processor that the server used meanwhile; and the first as
a share of what it may be. On a busy machine the clock says little. The browser draws without a GPU.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import soundfile
import tyro

from cospeech.errors import ConfigError, MissingExtra
from cospeech.recipes.bench import repeated
from cospeech.speech import Speech

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking")
CLIP_S = 10.0
WANTED_S = {"first page answered": 10.0, "first page usable": 10.0, "ten seconds playable": 6.0}


class Wait(NamedTuple):
    clock_s: float
    server_s: float  # of the processor


def main(times: int = 3) -> None:
    """Print how long visitors wait, as a table.

    Args:
        times: How often the clip is made.
    """
    print("| wait for | clock s | server's processor s | clock / bound |")
    print("|---|---|---|---|")
    for name, wait in measure(times):
        print(
            f"| {name} | {wait.clock_s:.1f} | {wait.server_s:.1f} | {wait.clock_s / WANTED_S[name]:.2f} |", flush=True
        )


def measure(times: int) -> Iterator[tuple[str, Wait]]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise MissingExtra("playwright", "dev") from None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        speech = Speech.load(str(files("cospeech") / "assets" / "speech" / "jfk.ogg"))
        clip = Path(folder) / "clip.wav"
        soundfile.write(clip, repeated(speech, CLIP_S).samples, speech.rate)
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        began = time.perf_counter()
        with server() as (url, pid):
            with urllib.request.urlopen(url) as answer:
                answer.read()
            yield "first page answered", Wait(time.perf_counter() - began, _processor_s(pid))
            page = browser.new_page()
            page.set_default_timeout(120_000)
            page.goto(url)
            page.get_by_role("button", name="Generate", exact=True).wait_for()
            yield "first page usable", Wait(time.perf_counter() - began, _processor_s(pid))
            page.locator("#speech input[type=file]").first.set_input_files(clip)
            page.locator("#status").get_by_text("s of speech").wait_for()
            for i in range(times):
                began, used = time.perf_counter(), _processor_s(pid)
                page.get_by_role("button", name="Generate", exact=True).click()
                page.locator(f"#stage iframe[src*='/{i + 1}/']").wait_for()
                player = page.frame_locator("#stage iframe")
                player.locator("body[data-state=ready]").wait_for()
                yield "ten seconds playable", Wait(time.perf_counter() - began, _processor_s(pid) - used)
                page.get_by_role("button", name="Generate", exact=True).and_(page.locator(":enabled")).wait_for()
        browser.close()


def chromium() -> str:
    """The browser of this machine."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise ConfigError("There is no Chromium on this machine: apt-get install chromium.")
    return found


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Address and process id."""
    command = [sys.executable, "-m", "cospeech", "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield re.findall(r"http://[\d.:]+", line)[0], process.pid
        finally:
            process.terminate()


def _processor_s(pid: int) -> float:
    """Seconds of the processor that a process has used; 0 where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return 0.0
    after_name = stat.read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    tyro.cli(main)
