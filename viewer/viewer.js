// The player inside every html file that cospeech writes: a body, its sound, and the controls under them.
//
// The page carries four blocks of data: #metadata (JSON: duration, lines of text), #body (base64 of a GLB with one
// animation), #sound (base64 of an m4a, empty for silence). Nothing is fetched. The sound is the clock: every drawn
// frame shows the pose of `audio.currentTime`, so sound and body cannot drift apart.
import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

// Where each camera looks from, and how large the region is that must fit the screen (metres, width x height).
// `joints`: the camera keeps to their middle; `raise` moves the aim up from there.
const CAMERAS = {
  front: { from: [0.25, 0.12, 1], joints: ["pelvis"], raise: -0.07, size: [1.5, 2.0] },
  side: { from: [1, 0.08, 0.05], joints: ["pelvis"], raise: -0.07, size: [1.3, 2.0] },
  face: { from: [0.12, 0.02, 1], joints: ["head"], raise: 0.07, size: [0.34, 0.42] },
  hands: { from: [0.2, 0.25, 1], joints: ["left_wrist", "right_wrist"], raise: 0, size: [1.15, 0.75] },
  feet: { from: [0.5, 0.35, 1], joints: ["left_ankle", "right_ankle"], raise: 0, size: [0.9, 0.6] },
};
const FOLLOW_S = 0.4; // the camera follows a walking body with this lag, so that small sways do not shake the picture
const STEP_S = 1;
const FRAME_S = 1 / 30;

const element = (id) => document.getElementById(id);
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const bytesOf = (id) => Uint8Array.from(atob(element(id).textContent.trim()), (c) => c.charCodeAt(0));

/** The wall clock behind the members of HTMLAudioElement that the player uses, for a motion without sound. */
class SilentClock extends EventTarget {
  #time = 0;
  #startedAt = null; // performance.now() / 1000 when playing, null when paused
  #rate = 1;
  loop = false;

  constructor(duration) {
    super();
    this.duration = duration;
  }
  get paused() {
    return this.#startedAt === null;
  }
  get currentTime() {
    if (this.paused) return this.#time;
    const time = this.#time + (performance.now() / 1000 - this.#startedAt) * this.#rate;
    if (time < this.duration) return time;
    if (this.loop) return this.duration > 0 ? time % this.duration : 0;
    this.#time = this.duration;
    this.#startedAt = null;
    this.dispatchEvent(new Event("pause"));
    return this.#time;
  }
  set currentTime(time) {
    this.#time = clamp(time, 0, this.duration);
    if (!this.paused) this.#startedAt = performance.now() / 1000;
  }
  get playbackRate() {
    return this.#rate;
  }
  set playbackRate(rate) {
    this.currentTime = this.currentTime; // settle what has been played at the old rate
    this.#rate = rate;
  }
  async play() {
    if (!this.paused) return;
    if (this.#time >= this.duration) this.#time = 0;
    this.#startedAt = performance.now() / 1000;
    this.dispatchEvent(new Event("play"));
  }
  pause() {
    if (this.paused) return;
    this.#time = this.currentTime;
    this.#startedAt = null;
    this.dispatchEvent(new Event("pause"));
  }
}

/** Light, ground and background, in the colours of the page. */
function makeStage() {
  const scene = new THREE.Scene();
  scene.fog = new THREE.Fog(0, 7, 16);

  const sky = new THREE.HemisphereLight(0xffffff, 0xb9b2a8, 2.9);
  const sun = new THREE.DirectionalLight(0xfff4e6, 2.6);
  const rim = new THREE.DirectionalLight(0xdfe9ff, 1.1);
  sun.castShadow = true;
  sun.shadow.mapSize.set(2048, 2048);
  sun.shadow.radius = 9;
  sun.shadow.bias = -0.0004;
  sun.shadow.normalBias = 0.012;
  Object.assign(sun.shadow.camera, { left: -1.6, right: 1.6, top: 1.7, bottom: -1.7, near: 1, far: 9 });

  const ground = new THREE.Mesh(
    new THREE.CircleGeometry(30, 64).rotateX(-Math.PI / 2),
    new THREE.MeshBasicMaterial({ toneMapped: false }),
  );
  const shadow = new THREE.Mesh(ground.geometry, new THREE.ShadowMaterial({ opacity: 0.3 }));
  shadow.receiveShadow = true;
  shadow.position.y = 0.001;
  const grid = new THREE.GridHelper(40, 40);
  grid.position.y = 0.0005;
  grid.material.transparent = true;
  grid.material.toneMapped = false;
  scene.add(sky, sun, sun.target, rim, rim.target, ground, shadow, grid);

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => new THREE.Color(style.getPropertyValue(name).trim());
    scene.background = scene.fog.color = colour("--stage");
    ground.material.color = colour("--ground");
    // GridHelper bakes its colours into vertices; the material tints them.
    grid.geometry.deleteAttribute("color");
    grid.material.vertexColors = false;
    grid.material.color = colour("--grid");
    shadow.material.opacity = Number(style.getPropertyValue("--shadow"));
    grid.material.needsUpdate = true;
  }
  /** The lights keep their angles to a body that walks; the shadow map covers what is around it. */
  function lightAround({ x, z }) {
    sun.position.set(x + 1.6, 4.2, z + 2.4);
    sun.target.position.set(x, 0.8, z);
    rim.position.set(x - 2.2, 2.6, z - 2.4);
    rim.target.position.set(x, 1, z);
  }
  paint();
  return { scene, paint, lightAround };
}

/** The joints as one octahedron a bone, drawn over the body. */
class Skeleton {
  constructor(bones) {
    this.links = bones.filter((bone) => bone.parent.isBone).map((bone) => [bone.parent, bone]);
    // Unit octahedron along +y, widest near its root, as animation tools draw bones.
    const geometry = new THREE.OctahedronGeometry(0.5).translate(0, 0.5, 0);
    const position = geometry.attributes.position;
    for (let i = 0; i < position.count; i++) if (Math.abs(position.getY(i) - 0.5) < 0.1) position.setY(i, 0.15);
    geometry.computeVertexNormals();
    const material = new THREE.MeshLambertMaterial({ color: 0xff8a3d, depthTest: false, transparent: true, fog: false });
    this.mesh = new THREE.InstancedMesh(geometry, material, this.links.length);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = 2;
    this.mesh.visible = false;
  }
  update() {
    const [from, to, along] = [new THREE.Vector3(), new THREE.Vector3(), new THREE.Vector3()];
    const [turn, size, matrix] = [new THREE.Quaternion(), new THREE.Vector3(), new THREE.Matrix4()];
    this.links.forEach(([parent, bone], i) => {
      from.setFromMatrixPosition(parent.matrixWorld);
      to.setFromMatrixPosition(bone.matrixWorld);
      const length = along.subVectors(to, from).length();
      turn.setFromUnitVectors(THREE.Object3D.DEFAULT_UP, along.divideScalar(length || 1));
      const width = clamp(length * 0.25, 0.006, 0.05);
      this.mesh.setMatrixAt(i, matrix.compose(from, turn, size.set(width, length, width)));
    });
    this.mesh.instanceMatrix.needsUpdate = true;
  }
}

async function start() {
  const metadata = JSON.parse(element("metadata").textContent);
  const { duration } = metadata;
  describe(metadata);

  const canvas = element("canvas");
  // Asked for by hand first: three.js writes to the console where WebGL is missing, this page writes to its reader.
  const context = canvas.getContext("webgl2", { antialias: true, powerPreference: "high-performance" });
  if (!context) {
    throw new Error("This page draws with WebGL 2, which this browser does not offer or has switched off.");
  }
  const renderer = new THREE.WebGLRenderer({ canvas, context });
  renderer.shadowMap.enabled = true;
  renderer.toneMapping = THREE.NeutralToneMapping;

  const { scene, paint, lightAround } = makeStage();
  const gltf = await new GLTFLoader().parseAsync(bytesOf("body").buffer, "");
  const [clip] = gltf.animations;
  const bones = {}; // by joint name; GLTFLoader keeps the file's own names in userData
  const skins = [];
  gltf.scene.traverse((node) => {
    if (node.isBone) bones[node.userData.name ?? node.name] = node;
    if (node.isMesh) {
      node.castShadow = node.receiveShadow = true;
      node.frustumCulled = false; // bounds are those of the rest pose
      skins.push(node.material);
    }
  });
  const skeleton = new Skeleton(Object.values(bones));
  scene.add(gltf.scene, skeleton.mesh);
  const mixer = new THREE.AnimationMixer(gltf.scene);
  const action = clip && mixer.clipAction(clip);
  action?.play();

  /** Pose the body as it is at this second; before its first and after its last frame it holds still. */
  function poseAt(time) {
    if (action) {
      action.time = clamp(time, 0, clip.duration);
      mixer.update(0);
    }
    gltf.scene.updateMatrixWorld(true);
    if (skeleton.mesh.visible) skeleton.update();
  }

  // ---- sound and time
  let clock;
  let dirty = true; // a still page draws nothing
  const soundBytes = bytesOf("sound");
  if (soundBytes.length) {
    clock = new Audio(URL.createObjectURL(new Blob([soundBytes], { type: "audio/mp4" })));
    clock.preload = "auto";
    clock.preservesPitch = true;
    clock.addEventListener("error", () => {
      note("This browser cannot play the sound.");
      useClock(new SilentClock(duration));
    });
  } else {
    clock = new SilentClock(duration);
  }
  const volume = element("sound-toggle");
  volume.hidden = !soundBytes.length;
  const now = () => clamp(clock.currentTime, 0, duration);

  function useClock(next) {
    clock = next;
    for (const event of ["play", "pause", "ended", "seeked", "ratechange"]) clock.addEventListener(event, showState);
    clock.loop = pressed("loop");
    clock.playbackRate = Number(element("speed").value);
    showState();
  }
  function showState() {
    document.body.dataset.playing = String(!clock.paused);
    const label = clock.paused ? "Play" : "Pause";
    element("play").setAttribute("aria-label", label);
    element("play").title = `${label} (space)`;
    dirty = true;
  }
  async function play() {
    if (now() >= duration && !clock.loop) clock.currentTime = 0;
    try {
      await clock.play();
    } catch (error) {
      if (error.name === "NotAllowedError") note("Press play to start the sound.");
      else if (error.name !== "AbortError" && clock instanceof SilentClock) throw error;
    }
  }
  const pause = () => clock.pause();
  const toggle = () => (clock.paused ? play() : pause());
  function seek(time) {
    clock.currentTime = clamp(time, 0, duration);
    draw();
  }

  // ---- camera
  const camera = new THREE.PerspectiveCamera(30, 1, 0.05, 60);
  const controls = new OrbitControls(camera, canvas);
  Object.assign(controls, { enableDamping: true, dampingFactor: 0.12, minDistance: 0.25, maxDistance: 12 });
  controls.maxPolarAngle = Math.PI * 0.53; // not far under the floor
  controls.addEventListener("change", () => (dirty = true));
  let view = CAMERAS.front;
  const anchor = new THREE.Vector3(); // what the camera follows, a moment late

  function middleOf(names) {
    const middle = new THREE.Vector3();
    const found = names.map((name) => bones[name]).filter(Boolean);
    for (const bone of found) middle.add(new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld));
    return found.length ? middle.divideScalar(found.length) : middle.set(0, 0.95, 0);
  }
  /** Pixels at the bottom that the controls lie over: the body is framed above them. */
  function covered() {
    const bar = document.querySelector("footer").getBoundingClientRect();
    return clamp(canvas.clientHeight - bar.top, 0, canvas.clientHeight / 2);
  }
  function lookFrom(name) {
    view = CAMERAS[name];
    anchor.copy(middleOf(view.joints));
    const [width, height] = view.size;
    const halfTan = Math.tan(THREE.MathUtils.degToRad(camera.fov / 2));
    const free = 1 - covered() / canvas.clientHeight;
    const distance = Math.max(height / free, width / camera.aspect) / 2 / halfTan + 0.12;
    controls.target.copy(anchor).setY(anchor.y + view.raise);
    camera.position.fromArray(view.from).setLength(distance).add(controls.target);
    camera.position.y = Math.max(camera.position.y, 0.05);
    controls.update();
    for (const button of element("cameras").children) {
      button.setAttribute("aria-pressed", String(button.value === name));
    }
    dirty = true;
  }
  function follow(seconds) {
    const move = middleOf(view.joints).sub(anchor);
    if (view === CAMERAS.front || view === CAMERAS.side) move.y = 0; // walking, not bobbing
    if (move.length() < 1) move.multiplyScalar(1 - Math.exp(-seconds / FOLLOW_S)); // a jump is a seek: go there at once
    if (move.length() < 1e-5) return;
    anchor.add(move);
    camera.position.add(move);
    controls.target.add(move);
    dirty = true;
  }

  // ---- drawing
  const scrub = element("scrub");
  scrub.max = String(duration);
  const clockFace = (seconds) => {
    const tenths = Math.round(seconds * 10);
    return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
  };
  element("duration").textContent = clockFace(duration);

  function draw() {
    const time = now();
    poseAt(time);
    lightAround(middleOf(["pelvis"]));
    renderer.render(scene, camera);
    scrub.value = String(time);
    scrub.style.setProperty("--done", `${duration > 0 ? (100 * time) / duration : 0}%`);
    scrub.setAttribute("aria-valuetext", `${time.toFixed(1)} of ${duration.toFixed(1)} seconds`);
    element("time").textContent = clockFace(time);
    dirty = false;
  }
  let last = performance.now();
  function tick(at) {
    const seconds = clamp((at - last) / 1000, 0, 0.1);
    last = at;
    follow(seconds);
    controls.update(seconds);
    if (dirty || !clock.paused) draw();
    requestAnimationFrame(tick);
  }
  function resize() {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const before = camera.aspect;
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    renderer.setSize(width, height, false);
    camera.aspect = width / height;
    camera.setViewOffset(width, height, 0, covered() / 2, width, height); // also updates the projection
    if (Math.abs(before / camera.aspect - 1) > 0.2) lookFrom(nameOf(view)); // a turned phone: frame the body anew
    dirty = true;
  }
  const nameOf = (wanted) => Object.keys(CAMERAS).find((name) => CAMERAS[name] === wanted);

  // ---- controls
  const pressed = (id) => element(id).getAttribute("aria-pressed") === "true";
  function onToggle(id, change) {
    element(id).addEventListener("click", () => {
      element(id).setAttribute("aria-pressed", String(!pressed(id)));
      change(pressed(id));
      dirty = true;
    });
  }
  onToggle("loop", (on) => (clock.loop = on));
  onToggle("skeleton", (on) => {
    skeleton.mesh.visible = on;
    for (const material of skins) {
      Object.assign(material, { transparent: on, opacity: on ? 0.35 : 1, depthWrite: !on, needsUpdate: true });
    }
  });
  onToggle("sound-toggle", (on) => (clock.muted = !on));
  element("play").addEventListener("click", toggle);
  element("speed").addEventListener("change", (event) => (clock.playbackRate = Number(event.target.value)));
  scrub.addEventListener("input", () => seek(scrub.valueAsNumber));
  for (const button of element("cameras").children) button.addEventListener("click", () => lookFrom(button.value));
  // A clicked button would keep the focus and take the space bar for itself.
  for (const control of document.querySelectorAll("button, input, select")) {
    const leave = (event) => event.detail > 0 && control.tagName !== "SELECT" && control.blur();
    control.addEventListener("click", leave);
  }
  element("speed").addEventListener("change", (event) => event.target.blur());

  const shortcuts = {
    " ": toggle,
    ArrowLeft: () => seek(now() - STEP_S),
    ArrowRight: () => seek(now() + STEP_S),
    ",": () => seek(now() - FRAME_S),
    ".": () => seek(now() + FRAME_S),
    Home: () => seek(0),
    End: () => seek(duration),
    l: () => element("loop").click(),
    s: () => element("skeleton").click(),
    m: () => element("sound-toggle").click(),
  };
  Object.keys(CAMERAS).forEach((name, i) => (shortcuts[i + 1] = () => lookFrom(name)));
  addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === "SELECT") return;
    if (key === " " && target.tagName === "BUTTON") return; // a button reached by Tab keeps its space bar
    const shortcut = shortcuts[key];
    if (!shortcut) return;
    event.preventDefault();
    shortcut();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    paint();
    dirty = true;
  });
  new ResizeObserver(resize).observe(canvas);

  useClock(clock);
  resize();
  poseAt(0);
  lookFrom("front");
  draw();
  document.body.dataset.state = "ready";
  requestAnimationFrame(tick);

  function jointPosition(name) {
    if (!bones[name]) throw new Error(`The body has no joint named ${name}.`);
    return new THREE.Vector3().setFromMatrixPosition(bones[name].matrixWorld).toArray();
  }
  Object.assign(window.cospeech, { duration, seek, play, pause, jointPosition, look: lookFrom });
  Object.defineProperty(window.cospeech, "currentTime", { get: now });
  Object.defineProperty(window.cospeech, "paused", { get: () => clock.paused });
  return true;
}

function describe({ title, lines }) {
  document.title = title;
  element("title").textContent = title;
  for (const [name, value] of lines) {
    const entry = document.createElement("span");
    const label = document.createElement("b");
    label.textContent = name;
    entry.append(label, ` ${value}`);
    element("about").append(entry);
  }
}

function note(text) {
  element("note").textContent = text;
  element("note").hidden = false;
}

// For scripts and tests: `await cospeech.ready`, then cospeech.seek(t), .play(), .pause(), .jointPosition("head") ...
window.cospeech = {};
window.cospeech.ready = start().catch((error) => {
  document.body.dataset.state = "failed";
  element("message").textContent = error.message;
  element("message").hidden = false;
  return false;
});
