// What time it is in the motion. The sound is the clock; without sound the wall clock takes its place.

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/** The wall clock behind the members of HTMLAudioElement that the player uses, for a motion without sound. */
export class SilentClock extends EventTarget {
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

export function soundClock(bytes) {
  const sound = new Audio(URL.createObjectURL(new Blob([bytes], { type: "audio/mp4" })));
  sound.preload = "auto";
  sound.preservesPitch = true;
  return sound;
}
