// Where the camera looks from, and how it keeps to a body that walks.
import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

// How large the region is that must fit the picture (metres, width x height). `joints`: the camera keeps to their
// middle; `raise` moves the aim up from there; `walks`: it follows along the ground only, not every bob.
const VIEWS = {
  front: { from: [0.25, 0.12, 1], joints: ["pelvis"], raise: -0.07, size: [1.5, 1.85], walks: true },
  side: { from: [1, 0.08, 0.05], joints: ["pelvis"], raise: -0.07, size: [1.3, 1.85], walks: true },
  face: { from: [0.12, 0.02, 1], joints: ["head"], raise: 0.07, size: [0.34, 0.42] },
  hands: { from: [0.2, 0.25, 1], joints: ["left_wrist", "right_wrist"], raise: 0, size: [1.15, 0.75] },
  feet: { from: [0.5, 0.35, 1], joints: ["left_ankle", "right_ankle"], raise: 0, size: [0.9, 0.6] },
};
export const VIEW_NAMES = Object.keys(VIEWS);
const FOLLOW_S = 0.4; // the lag behind a walking body, so that small sways do not shake the picture

export class Cameraman {
  #anchors = []; // of each figure: what the camera follows, a moment late

  /** `figures`: who is filmed; the camera moves with the first and sees the others from the same side. */
  constructor(pad, figures, onChange) {
    this.figures = figures;
    this.camera = new THREE.PerspectiveCamera(30, 1, 0.05, 60);
    this.controls = new OrbitControls(this.camera, pad);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    Object.assign(this.controls, { enableDamping: !calm, dampingFactor: 0.12, minDistance: 0.25, maxDistance: 12 });
    this.controls.maxPolarAngle = Math.PI * 0.53; // not far under the floor
    this.controls.addEventListener("change", onChange);
    this.view = "front";
    this.free = 1; // of the height, between the margins
  }

  /** Film for a picture of this size, the body between margins of so many pixels. */
  fit({ width, height }, { top, bottom }) {
    const before = this.camera.aspect;
    this.free = 1 - (top + bottom) / height;
    this.camera.aspect = width / height;
    this.camera.setViewOffset(width, height, 0, (bottom - top) / 2, width, height); // also updates the projection
    if (Math.abs(before / this.camera.aspect - 1) > 0.2) this.look(this.view); // a turned phone: frame the body anew
  }

  look(name) {
    this.view = name;
    const { joints, size, raise, from } = VIEWS[name];
    this.#anchors = this.figures().map((figure) => figure.middleOf(joints));
    const halfTan = Math.tan(THREE.MathUtils.degToRad(this.camera.fov / 2));
    const distance = Math.max(size[1] / this.free, size[0] / this.camera.aspect) / 2 / halfTan + 0.12;
    const { target } = this.controls;
    target.copy(this.#anchors[0]).setY(this.#anchors[0].y + raise);
    this.camera.position.fromArray(from).setLength(distance).add(target);
    this.camera.position.y = Math.max(this.camera.position.y, 0.05);
    this.controls.update();
  }

  /** Go after the bodies for some seconds; true where something moved. */
  follow(seconds) {
    const { joints, walks } = VIEWS[this.view];
    const moves = this.figures().map((figure, i) => {
      const move = figure.middleOf(joints).sub(this.#anchors[i]);
      if (walks) move.y = 0;
      if (move.length() < 1) move.multiplyScalar(1 - Math.exp(-seconds / FOLLOW_S)); // a jump is a seek: go there at once
      this.#anchors[i].add(move);
      if (i === 0) {
        this.camera.position.add(move);
        this.controls.target.add(move);
      }
      return move.length();
    });
    this.controls.update(seconds);
    return Math.max(...moves) > 1e-5;
  }

  /** Draw each figure as if the camera stood before it: calls `draw(i)` with the camera in place. */
  film(draw) {
    this.#anchors.forEach((anchor, i) => {
      const aside = new THREE.Vector3().subVectors(anchor, this.#anchors[0]);
      this.camera.position.add(aside);
      this.camera.updateMatrixWorld();
      draw(i);
      this.camera.position.sub(aside);
    });
    this.camera.updateMatrixWorld();
  }
}
