// The player inside every html file that cospeech writes: bodies, their sound, and the controls under them.
//
// The page carries blocks of data: #metadata (JSON: duration, titles, lines of text, marks), #body-0 ... and #motion-0 ...
// (see blocks.js), #sound (base64 of an m4a, empty for silence). Nothing is fetched. The sound is the clock: every drawn
// frame shows the pose of `audio.currentTime`, so sound and body cannot drift apart.
import { bytesOf, readBody, readMotion, textOf } from "./blocks.js";
import { Cameraman } from "./cameras.js";
import { SilentClock, soundClock } from "./clock.js";
import { connectControls, listenToParent } from "./controls.js";
import { Detail, ON_A_PROCESSOR } from "./detail.js";
import { Figure, Shape } from "./figure.js";
import { describe, fail, note, showMarks, showWords } from "./labels.js";
import { Picture } from "./picture.js";
import { Stage } from "./stage.js";

const MOST_LEAD_S = 0.2;
const PRESS_PLAY = "Press play to start the sound.";
const LOST = "The graphics were interrupted. Reload the page if they do not come back.";

const element = (id) => document.getElementById(id);
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

async function start() {
  const metadata = JSON.parse(textOf("metadata"));
  const { duration, motions, bodies } = metadata;
  describe(metadata);
  const picture = new Picture(element("stage"), () => {
    note(picture.lost ? LOST : "", LOST);
    dirty = true;
  });
  let shapes, moves, soundBytes;
  try {
    soundBytes = bytesOf("sound");
    shapes = (await Promise.all(bodies.map((_, i) => readBody(`body-${i}`)))).map((body) => new Shape(body));
    moves = await Promise.all(motions.map((_, i) => readMotion(`motion-${i}`)));
  } catch (error) {
    throw new Error(
      typeof DecompressionStream === "undefined"
        ? "This browser is too old for this page. Use one of 2023 or later."
        : "This page is damaged: its data cannot be read. Write it again, or copy it again.",
    );
  }

  const stage = new Stage();
  const cast = shapes.map((shape) => moves.map((motion) => new Figure(shape, motion))); // by body, then by motion
  let figures = cast[0]; // of the body that is shown
  let dirty = true; // a still page draws nothing

  // ---- sound and time
  let clock = soundBytes.length ? soundClock(soundBytes) : new SilentClock(duration);
  const now = () => clamp(clock.currentTime, 0, duration);
  function useClock(next) {
    next.loop = clock.loop;
    next.playbackRate = clock.playbackRate;
    clock = next;
    for (const event of ["play", "pause", "ended", "seeked", "ratechange"]) {
      clock.addEventListener(event, () => {
        dirty = true;
        controls.showPlaying(!clock.paused);
      });
    }
  }
  clock.addEventListener("error", () => {
    note("This browser cannot play the sound.");
    useClock(new SilentClock(duration));
  });
  const player = {
    duration,
    now,
    async play() {
      if (now() >= duration && !clock.loop) clock.currentTime = 0;
      try {
        await clock.play();
        note("", PRESS_PLAY);
      } catch (error) {
        if (error.name === "NotAllowedError") note(PRESS_PLAY); // a page around this one asked, nobody clicked in here
        else if (error.name !== "AbortError" && clock instanceof SilentClock) throw error;
      }
    },
    pause: () => clock.pause(),
    toggle: () => (clock.paused ? player.play() : player.pause()),
    seek(time) {
      clock.currentTime = clamp(time, 0, duration);
      pose();
      dirty = true;
    },
    setLoop: (on) => (clock.loop = on),
    setSpeed: (rate) => (clock.playbackRate = rate),
    setSound: (on) => (clock.muted = !on),

    // ---- what is seen
    look(name) {
      man.look(name);
      simplify();
      controls.showView(name);
      dirty = true;
    },
    /** Show "skeleton", or a body by its name. */
    show(name) {
      const chosen = bodies.findIndex((body) => body.name === name);
      if (chosen >= 0) figures = cast[chosen];
      for (const figure of cast.flat()) {
        stage.scene.remove(figure.root);
        figure.showJoints(name === "skeleton");
      }
      stage.scene.add(...figures.map((figure) => figure.root));
      pose();
      controls.showBody(name);
      dirty = true;
    },
  };

  const man = new Cameraman(element("stage"), () => figures, () => (dirty = true));
  let light = false; // whether bodies have fewer triangles
  function simplify() {
    // From near, a face of few triangles has no lids.
    for (const figure of cast.flat()) figure.simplify(light && man.view !== "face");
  }
  const detail = new Detail((level) => {
    picture.setUp(level);
    stage.castShadows(level.shadows);
    light = level.light;
    simplify();
    dirty = true;
  }, picture.isSlow ? ON_A_PROCESSOR : 0);

  // ---- drawing
  let shown = 0; // the time of the pose that was drawn last
  let drawn = 0; // frames so far
  function pose() {
    // When the picture is there, so much time has passed: the pose is that of then.
    const lead = clock.paused ? 0 : Math.min(detail.cost, MOST_LEAD_S) * clock.playbackRate;
    shown = clamp(now() + lead, 0, duration);
    for (const figure of figures) figure.poseAt(shown);
  }
  function draw() {
    pose();
    dirty = false;
    man.film((i) => {
      figures.forEach((figure, k) => (figure.root.visible = k === i));
      stage.lightAround(figures[i].jointAt("pelvis"));
      picture.draw(i, stage.scene, man.camera);
    });
    drawn += 1;
    picture.whenThere((seconds) => detail.drawn(seconds));
    controls.showTime(shown);
    showWord(shown);
  }
  let last = performance.now();
  function tick(at) {
    const seconds = clamp((at - last) / 1000, 0, 0.1);
    last = at;
    if (man.follow(seconds)) dirty = true;
    if ((dirty || !clock.paused) && !picture.isBusy()) draw();
    requestAnimationFrame(tick);
  }
  function resize() {
    if (!picture.arrange(motions.length, element("controls"))) return;
    man.fit(picture.cells[0], picture.margins);
    draw();
  }

  const controls = connectControls(player, metadata, Boolean(soundBytes.length));
  showMarks(metadata, player);
  const showWord = showWords(metadata);
  useClock(clock);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    stage.paint();
    dirty = true;
  });
  player.show(bodies[0].name);
  man.look("front");
  resize();
  player.look("front");
  new ResizeObserver(resize).observe(element("stage"));
  document.body.dataset.state = "ready";
  requestAnimationFrame(tick);

  function jointPosition(name, which = 0) {
    const place = figures[which].jointAt(name);
    if (!place) throw new Error(`The body has no joint named ${name}.`);
    return place.toArray();
  }
  const { seek, play, pause, look, show } = player;
  Object.assign(window.cospeech, { duration, seek, play, pause, look, show, jointPosition });
  Object.defineProperties(window.cospeech, {
    currentTime: { get: now },
    paused: { get: () => clock.paused },
    shownTime: { get: () => shown },
    drawn: { get: () => drawn },
    detail: { get: () => detail.level },
    camera: { get: () => [man.camera.position.toArray(), man.controls.target.toArray()] },
  });
  return true;
}

// For scripts and tests: `await cospeech.ready`, then cospeech.seek(t), .play(), .pause(), .jointPosition("head") ...
window.cospeech = {};
window.cospeech.ready = start().catch((error) => {
  fail(error.message);
  return false;
});
listenToParent(window.cospeech);
