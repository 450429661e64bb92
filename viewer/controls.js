// Buttons, keys, and messages of the page around this one.
import { VIEW_NAMES } from "./cameras.js";

const STEP_S = 1;
const FRAME_S = 1 / 30;

const element = (id) => document.getElementById(id);
const pressed = (button) => button.getAttribute("aria-pressed") === "true";

function clockFace(seconds) {
  const tenths = Math.round(seconds * 10);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

/** Connect everything that can be clicked; returns what shows the state of the player. */
export function connectControls(player, { bodies }, hasSound) {
  const { duration, now, seek } = player;
  const [scrub, speed, playButton] = ["scrub", "speed", "play"].map(element);

  const shows = bodies.map(({ name, label, licence }) => [name, label, `Show the body: ${licence} (b)`]);
  for (const [value, label, title] of [...shows, ["skeleton", "Skeleton", "Show the joints (s)"]]) {
    const button = Object.assign(document.createElement("button"), { type: "button", value, textContent: label });
    button.title = title;
    element("bodies").append(button);
  }
  let body = bodies[0].name; // shown now, or before the skeleton
  let skeleton = false;
  const nextBody = () => {
    const at = bodies.findIndex(({ name }) => name === body);
    player.show(bodies[(at + 1) % bodies.length].name);
  };

  function onToggle(id, change) {
    const button = element(id);
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!pressed(button)));
      change(pressed(button));
    });
  }
  onToggle("loop", player.setLoop);
  onToggle("sound-toggle", player.setSound);
  element("sound-toggle").hidden = !hasSound;
  playButton.addEventListener("click", player.toggle);
  speed.addEventListener("change", () => {
    player.setSpeed(Number(speed.value));
    speed.blur();
  });
  scrub.max = String(duration);
  scrub.addEventListener("input", () => seek(scrub.valueAsNumber));
  for (const button of element("cameras").children) button.addEventListener("click", () => player.look(button.value));
  for (const button of element("bodies").children) button.addEventListener("click", () => player.show(button.value));
  // A clicked button would keep the focus and take the space bar for itself.
  element("controls").addEventListener("click", (event) => {
    const control = event.target.closest("button, input");
    if (event.detail > 0) control?.blur();
  });

  const shortcuts = {
    " ": player.toggle,
    ArrowLeft: () => seek(now() - STEP_S),
    ArrowRight: () => seek(now() + STEP_S),
    ",": () => seek(now() - FRAME_S),
    ".": () => seek(now() + FRAME_S),
    Home: () => seek(0),
    End: () => seek(duration),
    s: () => player.show(skeleton ? body : "skeleton"),
    b: nextBody,
    l: () => element("loop").click(),
    m: () => element("sound-toggle").click(),
  };
  VIEW_NAMES.forEach((name, i) => (shortcuts[i + 1] = () => player.look(name)));
  addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === "SELECT") return;
    if (key === " " && target.tagName === "BUTTON") return; // a button reached by Tab keeps its space bar
    const shortcut = shortcuts[key];
    if (!shortcut) return;
    event.preventDefault();
    shortcut();
  });

  element("duration").textContent = clockFace(duration);
  const press = (group, value) => {
    for (const button of element(group).children) button.setAttribute("aria-pressed", String(button.value === value));
  };
  return {
    showPlaying(playing) {
      document.body.dataset.playing = String(playing);
      const label = playing ? "Pause" : "Play";
      playButton.setAttribute("aria-label", label);
      playButton.title = `${label} (space)`;
    },
    showTime(time) {
      scrub.value = String(time);
      scrub.style.setProperty("--done", `${duration > 0 ? (100 * time) / duration : 0}%`);
      scrub.setAttribute("aria-valuetext", `${time.toFixed(1)} of ${duration.toFixed(1)} seconds`);
      element("time").textContent = clockFace(time);
    },
    showView: (name) => press("cameras", name),
    showBody(name) {
      press("bodies", name);
      skeleton = name === "skeleton";
      if (!skeleton) body = name;
    },
  };
}

/** {cospeech: "play" | "pause" | "seek", time: seconds} from the page around this one, or from one of the same origin. */
export function listenToParent(api) {
  addEventListener("message", async ({ source, origin, data }) => {
    const known = (source === window.parent && source !== window) || (origin === location.origin && origin !== "null");
    if (!known || typeof data?.cospeech !== "string" || !(await api.ready)) return;
    if (data.cospeech === "play") api.play();
    else if (data.cospeech === "pause") api.pause();
    else if (data.cospeech === "seek" && Number.isFinite(data.time)) api.seek(data.time);
  });
}
