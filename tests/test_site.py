"""The documentation as a site: it builds without a broken link, says what the code says, and fetches nothing."""

import http.server
import re
import runpy
import threading
import warnings
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path

import pytest
import tiny
import torch
from chromium import BROWSER, FLAGS, in_browser

import cospeech
from cospeech import checkpoint, cli

pytest.importorskip("mkdocs", reason="mkdocs is missing: pip install '.[docs]'")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The whole site, with a tiny model's motion in its player: a link or an anchor that leads nowhere fails here."""
    from mkdocs.commands import build
    from mkdocs.config import load_config

    model, folder = tmp_path_factory.mktemp("model") / "tiny", tmp_path_factory.mktemp("site")
    checkpoint.save(tiny.reading(), model, torch.float32)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages of others
        patch.setitem(checkpoint.RELEASED, "starter", replace(checkpoint.RELEASED["starter"], where=str(model)))
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
        build.build(config)
    return folder


def text(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("verb", cli.COMMANDS)
def test_the_page_of_a_command_has_every_argument_of_its_help(verb, site, capsys):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    said = capsys.readouterr().out
    shown = text(site / "commands" / verb / "index.html")
    options = set(re.findall(r"^(?:│ |  )(--[\w-]+)", said, re.MULTILINE))
    assert options == set(re.findall(r"^(--[\w-]+)", shown, re.MULTILINE))
    for metavar in re.findall(r"^(?:│ |  )([A-Z]+)\b", said, re.MULTILINE):
        assert re.search(rf"^{metavar}\b", shown, re.MULTILINE), metavar
    assert cli.COMMANDS[verb].__doc__.splitlines()[0] in shown


def test_a_command_in_prose_leads_to_its_page(site):
    assert 'href="../commands/align/"' in (site / "prompts" / "index.html").read_text(encoding="utf-8")


def test_every_public_name_is_explained(site):
    page = (site / "reference" / "index.html").read_text(encoding="utf-8")
    for name in cospeech.__all__:
        assert f'id="cospeech.{name}"' in page
    assert "Frame t shows the time t / fps." in text(site / "reference" / "index.html")


def test_nothing_is_left_of_markdown_that_only_github_reads(site):
    for page in site.rglob("*.html"):
        if page.name != "player.html":
            assert not re.search(r"```|\]\(|^\|.*\|$|<!-- player", text(page), re.MULTILINE), page


def test_pages_fetch_nothing_from_other_hosts(site):
    for page in site.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|img|iframe|link rel="stylesheet")[^>]+(?:src|href)="([^"]+)"', page.read_text()
        )
        assert not [address for address in fetched if address.startswith(("http:", "https:", "//"))], page


def test_the_figures_are_those_that_the_script_draws():
    script = runpy.run_path(str(ROOT / "scripts" / "draw_figures.py"))
    for name in ("syntalker", "mambatalk"):
        drawn = "\n".join([*script[name]().parts, "</svg>", ""])
        assert (ROOT / "docs" / "figures" / f"{name}.svg").read_text(encoding="utf-8") == drawn


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.mark.browser
@in_browser[1]
def test_the_start_page_plays_on_a_phone(site):
    from playwright.sync_api import sync_playwright

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
            page = browser.new_page(viewport={"width": 390, "height": 844})
            page.set_default_timeout(120_000)
            asked, wrong = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.goto(f"http://127.0.0.1:{server.server_port}/start/", wait_until="domcontentloaded")
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0  # nothing sticks out
            page.locator("iframe.player").scroll_into_view_if_needed()
            player = page.locator("iframe.player").element_handle().content_frame()
            player.wait_for_function("window.cospeech")
            assert player.evaluate("cospeech.ready.then(() => cospeech.duration)") == pytest.approx(11, abs=0.1)
            assert not wrong
            assert all(url.startswith(("http://127.0.0.1", "data:", "blob:", "about:")) for url in asked)
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
