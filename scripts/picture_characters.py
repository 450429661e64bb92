"""Save a picture of animated .glb or .vrm files side by side; docs/characters.png is made with it.

    npm install --prefix build/three three@0.187.0
    python scripts/picture_characters.py docs/characters.png 4.4 a.glb b.glb ...

Needs Chromium and pip install playwright.
"""

import io
import shutil
from pathlib import Path

import tyro
from PIL import Image

THREE = Path(__file__).resolve().parents[1] / "build/three/node_modules/three"
WIDTH, HEIGHT, APART_M = 190, 400, 0.95
PAGE = """<style>body { margin: 0 }</style><canvas></canvas>
<script type="importmap">{"imports": {"three": "/three/build/three.module.js", "three/addons/": "/three/examples/jsm/"}}
</script><script type="module">
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
const { count, width, height, apart, at, turn } = SETTINGS;
const canvas = document.querySelector("canvas");
const renderer = new THREE.WebGLRenderer({ canvas, antialias: true, preserveDrawingBuffer: true });
renderer.setSize(width * count, height);
const scene = new THREE.Scene();
scene.background = new THREE.Color(0xf4f2ee);
scene.add(new THREE.HemisphereLight(0xffffff, 0x998877, 2));
const sun = new THREE.DirectionalLight(0xffffff, 2);
sun.position.set(2, 4, 5);
scene.add(sun, new THREE.GridHelper(40, 80, 0xbbbbbb, 0xdddddd));
for (let n = 0; n < count; n++) {
  const file = await new GLTFLoader().loadAsync(`/file/${n}`);
  const mixer = new THREE.AnimationMixer(file.scene);
  mixer.clipAction(file.animations[0]).play();
  mixer.setTime(at);
  const holder = new THREE.Group();
  holder.rotation.y = turn;
  holder.position.x = (n - (count - 1) / 2) * apart;
  holder.add(file.scene);
  scene.add(holder);
  file.scene.traverse((node) => { node.frustumCulled = false; });
}
const half = (count * apart) / 2, tall = (half * height) / (width * count);
const camera = new THREE.OrthographicCamera(-half, half, tall, -tall, 0.1, 100);
camera.position.set(0, 2.2, 10);
camera.lookAt(0, tall * 0.88, 0);
renderer.render(scene, camera);
document.title = "drawn";
</script>"""


def picture(out: Path, at_s: float, characters: list[Path], /, turn: float = 0.5) -> None:
    """Draw files at a time.

    Args:
        out: The .png to write.
        at_s: Seconds from the start of their animations.
        characters: Files with an animation.
        turn: Radians by which each is turned to the left.
    """
    from playwright.sync_api import sync_playwright

    settings = {"count": len(characters), "width": WIDTH, "height": HEIGHT, "apart": APART_M, "at": at_s, "turn": turn}
    page_text = PAGE.replace("SETTINGS", repr(settings))

    def answer(route) -> None:
        kind, rest = route.request.url.split("/", 3)[3].split("/", 1)
        body = (THREE / rest).read_bytes() if kind == "three" else characters[int(rest)].read_bytes()
        route.fulfill(body=body, content_type="text/javascript" if kind == "three" else "model/gltf-binary")

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page(viewport={"width": WIDTH * len(characters), "height": HEIGHT})
        page.on("console", lambda message: print(message.text))
        page.on("pageerror", lambda error: print(error))
        page.route("**/*", answer)
        page.route("http://drawn.invalid/", lambda route: route.fulfill(body=page_text, content_type="text/html"))
        page.goto("http://drawn.invalid/")
        page.wait_for_function("document.title === 'drawn'", timeout=60_000)
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.convert("RGB").quantize(128).save(out, optimize=True)
        browser.close()


if __name__ == "__main__":
    tyro.cli(picture)
