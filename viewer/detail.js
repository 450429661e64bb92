// How finely the picture is drawn. Where frames take long it gets plainer, one level at a time, and finer again where
// there is time to spare: a level is left for the finer one only when that should be quick, by what it cost when it was
// left, so that levels do not alternate.

// `slow`: seconds; where frames take longer the next level is better. Smoothness is worth shadows, but not sharpness.
const LEVELS = [
  { antialias: true, pixels: 2, shadows: true, light: false, slow: 1 / 30 },
  { antialias: true, pixels: 1.5, shadows: true, light: false, slow: 1 / 30 },
  { antialias: true, pixels: 1, shadows: true, light: false, slow: 1 / 24 },
  { antialias: false, pixels: 1, shadows: false, light: false, slow: 1 / 24 },
  { antialias: false, pixels: 1, shadows: false, light: true, slow: 1 / 12 },
  { antialias: false, pixels: 0.75, shadows: false, light: true, slow: 1 / 12 },
  { antialias: false, pixels: 0.5, shadows: false, light: true, slow: Infinity },
];
export const ON_A_PROCESSOR = 4; // where pictures are drawn without a graphics card

const QUICK = 0.5; // of `slow`, which the frames of a finer level should take at most
const FEW = 6; // frames after which a level that is slow is left
const MANY = 90; // and one that is quick
const GAIN = 3; // how much dearer the finer level is taken to be until that is known

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const onThisScreen = (level) => ({ ...LEVELS[level], pixels: Math.min(devicePixelRatio, LEVELS[level].pixels) });
function sameAsFiner(level) {
  const [here, finer] = [onThisScreen(level), onThisScreen(level - 1)];
  return ["antialias", "pixels", "shadows", "light"].every((setting) => here[setting] === finer[setting]);
}

export class Detail {
  #gains = LEVELS.map(() => GAIN); // of each level: how much dearer the finer one is
  #costs = []; // seconds that the last frames at this level took
  #before = null; // and one at the finer level, where this one was come to from there

  /** `apply` is given {antialias, pixels, shadows, light}, where `pixels` are to a CSS pixel. */
  constructor(apply, level) {
    this.apply = apply;
    this.#enter(level);
  }

  /** Seconds that a frame takes about now. */
  get cost() {
    return this.#costs.length ? median(this.#costs.slice(-FEW)) : 0;
  }

  /** A frame was drawn and took this long, until its last pixel was there. */
  drawn(seconds) {
    this.#costs.push(seconds);
    if (this.#costs.length > MANY) this.#costs.shift();
    if (this.#costs.length < FEW) return;
    if (this.#before !== null) {
      this.#gains[this.level] = Math.max(this.#before / this.cost, 1);
      this.#before = null;
    }
    const [plainer, finer] = [this.#next(1), this.#next(-1)];
    if (this.cost > LEVELS[this.level].slow) {
      if (plainer) this.#enter(plainer, this.cost);
    } else if (finer !== undefined && this.#costs.length === MANY) {
      const expected = median(this.#costs) * this.#gains[this.level];
      if (expected < QUICK * LEVELS[finer].slow) this.#enter(finer);
    }
  }

  /** The next level that looks different; on a screen with few pixels some do not. Undefined at either end. */
  #next(step) {
    let level = this.level + step;
    while (level > 0 && level < LEVELS.length && sameAsFiner(level)) level += step;
    return LEVELS[level] && level;
  }
  #enter(level, before = null) {
    this.level = level;
    this.#costs = [];
    this.#before = before;
    this.apply(onThisScreen(level));
  }
}
