"""How heavy the player is: a minute of motion in a browser that draws on the processor.

    python scripts/bench_viewer.py

Prints what a first load sends, the seconds until the page answers, frames drawn a second at 640 x 480 (and a second of
processor time, which says more where the machine has other work), and the skew: how old the pose in a picture is, by
the clock of the sound, when the last pixel of the picture is there. Needs Chromium and the package playwright.
"""

import functools
import os
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tyro

from cospeech import Speech, load_motion, load_pipeline
from cospeech.formats import html
from cospeech.recipes.bench_demo import FLAGS, chromium

ROOT = Path(__file__).resolve().parent.parent
LENGTH_S = 60
MEASURE = """() => {
  // A fence of its own behind each frame: the skew is read when the graphics are done with it.
  const skews = window.skews = [];
  let seen = cospeech.drawn;
  const look = () => {
    if (cospeech.drawn !== seen) {
      seen = cospeech.drawn;
      const gl = document.querySelector("canvas").getContext("webgl2");
      const [shown, fence] = [cospeech.shownTime, gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0)];
      gl.flush();
      const ask = () => {
        if (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) return void setTimeout(ask, 1);
        skews.push(cospeech.currentTime - shown);
      };
      setTimeout(ask, 1);
    }
    requestAnimationFrame(look);
  };
  look();
}"""


def bench(motion: Path | None = None, audio: Path | None = None, /, seconds: float = LENGTH_S) -> None:
    """Measure the player.

    Args:
        motion: What is played; a minute of the starter unless given.
        audio: The sound of that motion.
        seconds: How long it plays.
    """
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        speech = Speech.load(audio) if audio else None if motion else _a_minute()
        html.write(
            load_motion(motion) if motion else load_pipeline("starter").generate(speech),
            Path(folder) / "page.html",
            audio=speech,
        )
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 640, "height": 480})
        page.set_default_timeout(120_000)
        loaded: list[float] = []
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        asked: dict[str, str] = {}
        network.on(
            "Network.requestWillBeSent", lambda event: asked.update({event["requestId"]: event["request"]["url"]})
        )
        network.on(
            "Network.loadingFinished",
            lambda event: (
                loaded.append(event["encodedDataLength"])
                if asked.get(event["requestId"], "").startswith("http")
                else None
            ),
        )
        with _served(folder) as address:
            loading = _processor_s()
            page.goto(f"{address}/page.html")
            assert page.evaluate("cospeech.ready"), page.inner_text("#message")
            answers_s = page.evaluate("new Promise((done) => setTimeout(() => done(performance.now() / 1000)))")
            loading = _processor_s() - loading
            page.get_by_role("button", name="Play").click()
            page.wait_for_timeout(2000)  # levels of detail settle
            page.evaluate(MEASURE)
            frames, spent, started = page.evaluate("cospeech.drawn"), _processor_s(), time.perf_counter()
            page.wait_for_timeout(1000 * max(min(seconds, page.evaluate("cospeech.duration")) - 3, 1))
            frames, spent = page.evaluate("cospeech.drawn") - frames, _processor_s() - spent
            a_second = frames / (time.perf_counter() - started)
            skews, level = np.abs(page.evaluate("skews")), page.evaluate("cospeech.detail")
        browser.close()
    print(f"first load                {sum(loaded) / 1e6:.2f} MB in {len(loaded)} request")
    print(f"answers after             {answers_s:.2f} s, {loading:.2f} processor seconds")
    print(f"frames a second           {a_second:.1f}, one each {1000 / a_second:.0f} ms, at level of detail {level}")
    print(f"frames a processor second {frames / spent:.1f}" if spent else "")
    print(f"skew                      median {np.median(skews):.3f}, 95% {np.quantile(skews, 0.95):.3f} s")


def _a_minute() -> Speech:
    speech = Speech.load(ROOT / "examples/jfk.flac")
    return Speech(np.resize(speech.samples, LENGTH_S * speech.rate), speech.rate)


class _served:
    """A folder as http://127.0.0.1:..., uncompressed."""

    def __init__(self, folder: str):
        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()


def _processor_s() -> float:
    """Processor seconds of everything that this process has started; 0 where /proc does not say."""
    parents, seconds = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended meanwhile
            continue
        number = int(status.parent.name)
        parents[number], seconds[number] = (
            int(fields[1]),
            (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        )
    ours = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(seconds.get(number, 0) for number in ours - {os.getpid()})


if __name__ == "__main__":
    tyro.cli(bench)
