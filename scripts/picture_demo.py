"""A picture of `cospeech demo` with a result, for docs/demo.md; needs playwright and Chromium.

python scripts/picture_demo.py docs/demo.png
"""

from pathlib import Path

import tyro
from playwright.sync_api import sync_playwright

from cospeech.recipes.bench_demo import FLAGS, chromium, server


def picture(out: Path, /, width: int = 1280, height: int = 860, at_s: float = 8.8) -> None:
    """Take an example, generate, and save what is seen.

    Args:
        out: The .png to write.
        width: Of the window, in pixels; 390 is a phone's.
        at_s: Where the player stands.
    """
    with sync_playwright() as playwright, server() as (url, _):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.get_by_role("button", name="Raising a hand").click()
        page.locator("#speech").get_by_text("0:11").wait_for()
        page.get_by_role("button", name="Generate", exact=True).click()
        page.frame_locator("#stage iframe").locator("body[data-state=ready]").wait_for()
        page.frames[1].evaluate("seconds => cospeech.seek(seconds)", at_s)
        page.wait_for_timeout(2000)
        page.screenshot(path=out)
        browser.close()
    print(f"wrote {out}")


if __name__ == "__main__":
    tyro.cli(picture)
