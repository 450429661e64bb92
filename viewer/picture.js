// The canvas: made anew where antialiasing is switched, divided among the figures, and timed.
import * as THREE from "three";

const BODY = [1.5, 1.85]; // metres that a cell must show, to choose between columns and rows

const PROCESSORS = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** Asked for by hand: three.js writes to the console where WebGL is missing, this page writes to its reader. */
function openContext(canvas, options) {
  const context = canvas.getContext("webgl2", options);
  if (!context) {
    throw new Error("This page draws with WebGL 2, which this browser does not offer or has switched off.");
  }
  return context;
}

/** Whether the browser draws without a graphics card; then the first level of detail is a plain one. */
function drawsOnProcessor() {
  const gl = openContext(document.createElement("canvas"));
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return PROCESSORS.test(name);
}

export class Picture {
  cells = []; // CSS pixels, one for each figure
  margins = { top: 0, bottom: 0 }; // CSS pixels of a cell that text or controls lie over: the body is framed between
  lost = false; // whether the graphics are gone for now
  #fence = null;

  constructor(place, onLost) {
    this.place = place;
    this.onLost = onLost;
    this.isSlow = drawsOnProcessor();
  }

  setUp({ antialias, pixels, shadows }) {
    if (!this.renderer || this.antialias !== antialias) this.#make(antialias);
    this.renderer.setPixelRatio(pixels);
    this.renderer.shadowMap.enabled = shadows;
    this.#fence = null;
  }

  /** A new canvas lies under the old one until it is drawn, so that nothing flickers. */
  #make(antialias) {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-label", "The moving body. Drag to turn, scroll or pinch to zoom.");
    canvas.setAttribute("role", "img");
    const context = openContext(canvas, { antialias, powerPreference: "high-performance" });
    const old = this.renderer;
    this.antialias = antialias;
    this.gl = context;
    this.renderer = new THREE.WebGLRenderer({ canvas, context });
    this.renderer.toneMapping = THREE.NeutralToneMapping;
    this.renderer.setScissorTest(true);
    for (const event of ["webglcontextlost", "webglcontextrestored"]) {
      canvas.addEventListener(event, () => {
        if (this.gl !== context) return;
        this.lost = context.isContextLost();
        this.#fence = null;
        this.onLost();
      });
    }
    this.place.prepend(canvas);
    if (old) {
      this.#resize();
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          old.domElement.remove();
          old.dispose();
          old.forceContextLoss();
        }),
      );
    }
  }

  /** Divide the place among so many figures; false where there is no place. */
  arrange(count, controls) {
    const { clientWidth: width, clientHeight: height } = this.place;
    if (!width || !height) return false;
    const covered = Math.min(Math.max(height - controls.getBoundingClientRect().top, 0), height / 2);
    const size = (w, h) => Math.min(w / BODY[0], h / BODY[1]);
    const free = height - covered;
    const inRows = count > 1 && size(width, free / count) > size(width / count, free);
    this.cells = Array.from({ length: count }, (_, i) =>
      inRows
        ? { x: 0, y: (i * free) / count, width, height: free / count }
        : { x: (i * width) / count, y: 0, width: width / count, height },
    );
    this.#resize();
    document.querySelectorAll(".about").forEach((about, i) => {
      const { x, y, width } = this.cells[i];
      Object.assign(about.style, { left: `${x}px`, top: `${y}px`, width: `${width}px` });
    });
    const top = document.querySelector(".about").clientHeight;
    this.margins = { top: Math.min(top, this.cells[0].height / 4), bottom: inRows ? 0 : covered };
    return true;
  }
  #resize() {
    this.renderer.setSize(this.place.clientWidth, this.place.clientHeight, false);
  }

  /** Draw the scene into one of the cells. */
  draw(number, scene, camera) {
    if (number === 0) this.startedAt = performance.now();
    const { x, y, width, height } = this.cells[number];
    const fromBelow = this.place.clientHeight - y - height;
    this.renderer.setViewport(x, fromBelow, width, height);
    this.renderer.setScissor(x, fromBelow, width, height);
    this.renderer.render(scene, camera);
  }

  /** Call `then` with the seconds that the picture took, when its last pixel is there. */
  whenThere(then) {
    if (this.#fence || this.lost) return;
    const { gl, startedAt } = this;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    this.#fence = fence;
    const ask = () => {
      if (this.#fence !== fence) return; // of a canvas that is no more
      if (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) return void setTimeout(ask, 1);
      gl.deleteSync(fence);
      this.#fence = null;
      then((performance.now() - startedAt) / 1000);
    };
    setTimeout(ask, 1);
  }
  isBusy() {
    return this.#fence !== null;
  }
}
