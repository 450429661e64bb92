"""The html player: its parts, and the page in a real browser, opened from a file without any network."""

import io
import json
import re
import sys
import time
from contextlib import ExitStack, contextmanager
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
from cospeech.prompts import Prompt, as_json
from cospeech.speech import Speech
from cospeech.text import Word

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


@contextmanager
def opened(browser, file, size=(900, 700), script="", **context):
    """The page in a file, once it is ready; what it asks for and complains about is checked at the end."""
    asked, complaints = [], []
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.add_init_script(script)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.evaluate("cospeech.ready")
    yield page
    context.close()
    assert not complaints
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


@pytest.fixture
def open_page(browser, tmp_path):
    """Write a motion to a page and open it."""
    with ExitStack() as pages:

        def run(motion, audio=None, size=(900, 700), name="talk", touch=False, **more):
            html.write(motion, tmp_path / f"{name}.html", audio=audio, **more)
            page = pages.enter_context(opened(browser, tmp_path / f"{name}.html", size, has_touch=touch))
            assert page.evaluate("cospeech.ready")
            return page

        yield run


@pytest.fixture(scope="module")
def two(browser, motion, speech, smplx_body, tmp_path_factory):
    """One page for what leaves it as it was: two motions and two bodies, words, prompts, hostile text."""
    file = tmp_path_factory.mktemp("two") / f"{HOSTILE}.html"
    prompts = [Prompt("raises <i>it</i>", "upper", 0.2, 1.5), Prompt("walks", "lower"), Prompt("waves", "upper", 1.6)]
    told = motion.with_metadata({"model": HOSTILE, "prompts": as_json(prompts)})
    spoken = replace(
        speech, words=(Word("so", 0.1, 0.4), Word(HOSTILE, 0.4, 0.9), Word("", 0.9, 1.8), Word("on", 1.8, 2))
    )
    higher = replace(motion, translation=motion.translation + np.float32([0, 0.25, 0]))
    html.write(told, file, audio=spoken, body=smplx_body, embed_licensed_body=True, beside={HOSTILE: higher})
    with opened(browser, file, (600, 500)) as page:
        page.evaluate("cospeech.show('mannequin')")
        yield page


HOSTILE = """"><img src=x onerror="window.broken = 1">'&amp; ..\N{RIGHT-TO-LEFT OVERRIDE}ü"""


def wait_until(page, condition, seconds=20):
    """The page allows no evaluation of strings by its own scripts, so it is asked from outside."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def picture(page) -> np.ndarray:
    """(height, width, 3) what is seen of the body, 0 to 255."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(page.locator("canvas").first.screenshot())).convert("RGB"), int)


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
        page = open_page(motion)
        pictures = []
        for seconds in (0.0, 1.8):
            drawn = page.evaluate("cospeech.drawn")
            page.evaluate(f"cospeech.seek({seconds})")
            wait_until(page, f"cospeech.drawn > {drawn}")
            pictures.append(picture(page))
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

    def test_two_motions_stand_beside_each_other_at_one_time(self, two):
        two.evaluate("cospeech.seek(1.0)")
        first, second = (two.evaluate(f"cospeech.jointPosition('head', {i})") for i in (0, 1))
        np.testing.assert_allclose(np.subtract(second, first), [0, 0.25, 0], atol=1e-4)
        left, right = (about.bounding_box() for about in two.locator(".about").all())
        assert (left["x"], right["x"]) == (0, 300)

    def test_each_camera_looks_at_its_part_of_the_body(self, two):
        two.evaluate("cospeech.seek(0)")
        head, *feet = (
            two.evaluate(f"cospeech.jointPosition('{name}')") for name in ("head", "left_foot", "right_foot")
        )
        wrists = [two.evaluate(f"cospeech.jointPosition('{side}_wrist')") for side in ("left", "right")]
        seen = {}
        for key, name in enumerate(("front", "side", "face", "hands", "feet"), start=1):
            two.keyboard.press(str(key))
            assert two.locator(f"#cameras [value={name}]").get_attribute("aria-pressed") == "true"
            assert two.locator("#cameras [aria-pressed=true]").count() == 1
            seen[name] = np.array(two.evaluate("cospeech.camera"))  # from where, and at what
        distance = {name: np.linalg.norm(at - target) for name, (at, target) in seen.items()}
        np.testing.assert_allclose(seen["face"][1], head, atol=0.15)
        np.testing.assert_allclose(seen["hands"][1], np.mean(wrists, axis=0), atol=0.05)
        np.testing.assert_allclose(seen["feet"][1], np.mean(feet, axis=0), atol=0.2)
        assert distance["face"] < distance["feet"] < distance["front"]
        assert seen["front"][0][2] > 2  # the body faces +z
        assert seen["side"][0][0] > 2

    def test_body_skeleton_and_smplx_are_seen_in_turn(self, two):
        names = [button.inner_text() for button in two.locator("#bodies button").all()]
        assert names == ["SMPL-X", "Mannequin", "Skeleton"]
        two.keyboard.press("1")
        two.evaluate("cospeech.seek(0.5)")
        orange = {}
        for key in ("s", "s", "b", "b"):
            drawn = two.evaluate("cospeech.drawn")
            two.keyboard.press(key)
            wait_until(two, f"cospeech.drawn > {drawn}")
            shown = two.locator("#bodies [aria-pressed=true]").inner_text()
            colours = picture(two)
            orange[shown] = np.mean((colours[..., 0] > 200) & (colours[..., 2] < 100))
        assert set(orange) == set(names)
        assert orange["Skeleton"] > 0.003 > 3 * max(orange["Mannequin"], orange["SMPL-X"])

    def test_text_of_files_is_text(self, two):
        two.evaluate("cospeech.seek(0.6)")
        assert two.evaluate("window.broken") is None
        assert two.locator("img").count() == 0
        assert two.title() == f"{HOSTILE} | {HOSTILE}"
        assert [title.text_content() for title in two.locator("h1").all()] == [HOSTILE, HOSTILE]
        assert two.locator("#words .said").all_text_contents() == ["so", HOSTILE]

    def test_prompts_are_marked_where_they_are_and_lead_there(self, two):
        rows = [row.all_text_contents() for row in (r.locator("button") for r in two.locator("#marks .row").all())]
        assert rows == [["upper: raises <i>it</i>", "upper: waves"], ["lower: walks"]]
        two.get_by_role("button", name="upper: waves").click()
        assert two.evaluate("cospeech.currentTime") == pytest.approx(1.6)

    def test_the_keyboard_alone_reaches_everything_in_order(self, two):
        two.evaluate("document.getElementById('play').focus()")
        reached = ["play"]
        while "speed" not in reached:
            two.keyboard.press("Tab")
            reached.append(two.evaluate("document.activeElement.id || document.activeElement.value || 'a mark'"))
            assert two.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", reached[-1]
            assert len(reached) < 20
        in_order = ["play", "scrub", "a mark", "a mark", "a mark", *("front", "side", "face", "hands", "feet")]
        assert reached == [*in_order, "smplx", "mannequin", "skeleton", "loop", "sound-toggle", "speed"]
        two.evaluate("document.activeElement.blur()")

    def test_a_processor_draws_a_plainer_picture_from_the_beginning(self, two):
        assert two.evaluate("cospeech.detail") >= 4
        context = "document.querySelector('canvas').getContext('webgl2').getContextAttributes().antialias"
        assert two.evaluate(context) is False
        assert two.locator("canvas").count() == 1

    def test_what_turns_out_slow_gets_plainer_by_itself(self, browser, motion, tmp_path):
        html.write(motion, tmp_path / "talk.html")
        unknown = "WebGL2RenderingContext.prototype.getParameter = ((get) => function (name) {"
        unknown += "return name === 0x9246 ? 'Some card' : get.call(this, name) })"
        unknown += "(WebGL2RenderingContext.prototype.getParameter)"  # 0x9246: the name of what draws
        with opened(browser, tmp_path / "talk.html", (320, 300), script=unknown) as page:
            assert page.evaluate("cospeech.detail") == 0
            page.keyboard.press("l")
            page.evaluate("cospeech.play()")
            wait_until(page, "cospeech.detail >= 3 && document.querySelectorAll('canvas').length === 1", 60)
            page.evaluate("cospeech.pause()")
            context = "document.querySelector('canvas').getContext('webgl2').getContextAttributes().antialias"
            assert page.evaluate(context) is False
            assert picture(page).std() > 15

    def test_the_pose_in_the_picture_is_that_of_the_sound(self, two):
        two.evaluate("cospeech.seek(0); cospeech.play()")
        wait_until(two, "cospeech.currentTime > 0.5")
        off, drawn = two.evaluate("""async () => {
            const [off, first, since] = [[], cospeech.drawn, performance.now()];
            while (cospeech.currentTime < 1.6 && off.length < 200) {
                const drawn = cospeech.drawn;
                while (cospeech.drawn === drawn) await new Promise((done) => requestAnimationFrame(done));
                off.push(Math.abs(cospeech.currentTime - cospeech.shownTime));
            }
            return [off, (performance.now() - since) / 1000 / (cospeech.drawn - first)];
        }""")
        two.evaluate("cospeech.pause()")
        assert np.median(off) < drawn + 0.02  # seconds a frame

    def test_messages_are_heard_from_the_page_around_and_from_nobody_else(self, browser, motion):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.set_content("<iframe id=a></iframe><iframe id=b sandbox=allow-scripts></iframe>")
        page.evaluate("(text) => document.getElementById('a').srcdoc = text", html.page(motion))
        frame = page.query_selector("#a").content_frame()
        frame.wait_for_function("document.body?.dataset.state === 'ready'", polling=100)

        def post(message):
            page.evaluate("(message) => frames[0].postMessage(message, '*')", message)
            page.wait_for_timeout(100)

        post({"cospeech": "seek", "time": 1.5})
        assert frame.evaluate("cospeech.currentTime") == 1.5
        stranger = "<script>parent.frames[0].postMessage({cospeech: 'seek', time: 0.5}, '*')</script>done"
        page.evaluate("(text) => document.getElementById('b').srcdoc = text", stranger)
        page.frame_locator("#b").get_by_text("done").wait_for()
        for nonsense in (None, 1, "play", {"cospeech": ["play"]}, {"cospeech": "seek", "time": "1"}, {"cospeech": "x"}):
            post(nonsense)
        assert frame.evaluate("cospeech.currentTime") == 1.5
        post({"cospeech": "play"})
        assert not frame.evaluate("cospeech.paused")
        post({"cospeech": "pause"})
        assert frame.evaluate("cospeech.paused")
        page.close()

    def test_two_motions_on_a_phone_stand_above_each_other(self, open_page, motion, speech):
        told = motion.with_metadata({"prompts": as_json([Prompt("walks and walks " * 18)]), "model": "x" * 400})
        page = open_page(told, speech, size=(360, 740), touch=True, beside={"b" * 300: motion})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        first, second = (about.bounding_box() for about in page.locator(".about").all())
        controls = page.locator("#controls").bounding_box()
        assert first["x"] == second["x"] == 0
        assert first["y"] + first["height"] < second["y"] < controls["y"]
        assert controls["x"] >= 0
        assert controls["x"] + controls["width"] <= 360

    @pytest.mark.parametrize(
        ("script", "spoil", "said"),
        [
            ("HTMLCanvasElement.prototype.getContext = () => null", None, "WebGL 2"),
            ("delete window.DecompressionStream", None, "too old"),
            ("", ("H4sI", "H4sJ"), "damaged"),
            ("", ('id="motion-0" type="text/plain">', 'id="motion-0" type="text/plain">!'), "damaged"),
        ],
    )
    def test_what_cannot_be_shown_is_said_in_one_line(self, browser, motion, tmp_path, script, spoil, said):
        text = html.page(motion)
        (tmp_path / "talk.html").write_text(text.replace(*spoil) if spoil else text, encoding="utf-8")
        with opened(browser, tmp_path / "talk.html", script=script) as page:
            assert page.evaluate("cospeech.ready") is False
            message = page.locator("#message").inner_text()
            assert said in message
            assert "\n" not in message
            assert page.locator("#controls").is_hidden()


LEVELS_OF_A_MACHINE = """([costs, load]) => {
    // What a machine takes for each level, times how busy it is at a frame; returns the level at every frame.
    const entered = [];
    const detail = new Detail((settings) => entered.push(settings), 0);
    return load.map((busy) => {
        detail.drawn(costs[detail.level] * busy);
        return detail.level;
    });
}"""


@pytest.fixture(scope="module")
def levels(browser):
    page = browser.new_page(device_scale_factor=2)
    source = (ROOT / "viewer/detail.js").read_text("utf-8")
    page.add_script_tag(content=source + "\nwindow.Detail = Detail;", type="module")
    page.wait_for_function("!!window.Detail")
    yield lambda costs, load: page.evaluate(LEVELS_OF_A_MACHINE, [costs, load])
    page.close()


class TestDetail:
    """The levels by themselves, in a page with nothing but them."""

    pytestmark = in_browser

    def test_a_slow_machine_goes_down_and_stays(self, levels):
        costs = [0.3, 0.25, 0.2, 0.05, 0.03, 0.02, 0.01]
        passed = levels(costs, [1.0] * 400)
        assert passed[-1] == 4
        assert passed == sorted(passed)  # never up again

    def test_a_quick_machine_keeps_its_picture(self, levels):
        assert set(levels([0.012, 0.01, 0.008, 0.006, 0.005, 0.004, 0.003], [1, 1, 1, 20, 1, 1] * 50)) == {0}

    def test_a_machine_that_was_busy_comes_back_without_alternating(self, levels):
        costs = [0.014, 0.012, 0.010, 0.006, 0.005, 0.004, 0.003]
        passed = levels(costs, [1] * 50 + [12] * 100 + [1] * 800)
        assert max(passed) >= 3
        assert passed[-1] == 0
        changes = np.flatnonzero(np.diff(passed))
        assert len(changes) <= 2 * max(passed)
        assert (np.diff(passed[160:]) <= 0).all()

    def test_a_machine_between_two_levels_does_not_alternate(self, levels, rng):
        costs = [0.06, 0.05, 0.045, 0.02, 0.012, 0.01, 0.008]
        passed = levels(costs, rng.uniform(0.7, 1.3, 3000).tolist())
        assert (np.diff(passed) != 0).sum() <= 4
