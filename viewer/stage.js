// Light, ground and background, in the colours of the page.
import * as THREE from "three";

const SHADOW_SIZE = 3.4; // metres around the body that the shadow map covers

/** A soft dark spot under the body, where real shadows would cost too much. */
function makeSpot() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const context = canvas.getContext("2d");
  const fade = context.createRadialGradient(32, 32, 0, 32, 32, 32);
  [0.9, 0.62, 0.28, 0.08, 0].forEach((alpha, i) => fade.addColorStop(i / 4, `rgb(0 0 0 / ${alpha})`));
  context.fillStyle = fade;
  context.fillRect(0, 0, 64, 64);
  const material = new THREE.MeshBasicMaterial({ map: new THREE.CanvasTexture(canvas), transparent: true, depthWrite: false });
  const spot = new THREE.Mesh(new THREE.PlaneGeometry(1.3, 1).rotateX(-Math.PI / 2), material);
  spot.position.y = 0.001;
  return spot;
}

export class Stage {
  constructor() {
    this.scene = new THREE.Scene();
    this.scene.fog = new THREE.Fog(0, 7, 16);

    this.sky = new THREE.HemisphereLight(0xffffff, 0xcfc8bd, 3);
    this.sun = new THREE.DirectionalLight(0xfff4e6, 2.6);
    this.rim = new THREE.DirectionalLight(0xdfe9ff, 1.1);
    const { shadow } = this.sun;
    shadow.mapSize.set(2048, 2048);
    shadow.radius = 5;
    shadow.bias = -0.0004;
    shadow.normalBias = 0.012;
    const half = SHADOW_SIZE / 2;
    Object.assign(shadow.camera, { left: -half, right: half, top: half, bottom: -half, near: 1, far: 9 });

    this.ground = new THREE.Mesh(
      new THREE.CircleGeometry(30, 64).rotateX(-Math.PI / 2),
      new THREE.MeshBasicMaterial({ toneMapped: false, polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 8 }),
    );
    const patch = new THREE.PlaneGeometry(2 * SHADOW_SIZE, 2 * SHADOW_SIZE).rotateX(-Math.PI / 2);
    this.shadow = new THREE.Mesh(patch, new THREE.ShadowMaterial({ depthWrite: false }));
    this.shadow.receiveShadow = true;
    this.shadow.position.y = 0.001;
    this.spot = makeSpot();
    this.grid = new THREE.GridHelper(40, 40);
    this.grid.position.y = 0.0005;
    this.grid.material.transparent = true;
    this.grid.material.toneMapped = false;
    // GridHelper bakes its colours into vertices; here the material has them.
    this.grid.geometry.deleteAttribute("color");
    this.grid.material.vertexColors = false;
    const { sky, sun, rim, ground, grid, spot } = this;
    this.scene.add(sky, sun, sun.target, rim, rim.target, ground, this.shadow, spot, grid);
    this.paint();
  }

  /** Take the colours from the style sheet, which knows of light and dark. */
  paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => new THREE.Color(style.getPropertyValue(name).trim());
    this.scene.background = this.scene.fog.color = colour("--stage");
    this.ground.material.color = colour("--ground");
    this.grid.material.color = colour("--grid");
    this.shadow.material.opacity = Number(style.getPropertyValue("--shadow"));
    this.spot.material.opacity = 1.4 * this.shadow.material.opacity;
  }

  castShadows(on) {
    this.sun.castShadow = this.shadow.visible = on;
    this.spot.visible = !on;
  }

  /** The lights keep their angles to a body that walks; the shadow map covers what is around it. */
  lightAround({ x, z }) {
    this.sun.position.set(x + 1.6, 4.2, z + 2.4);
    this.sun.target.position.set(x, 0.8, z);
    this.rim.position.set(x - 2.2, 2.6, z - 2.4);
    this.rim.target.position.set(x, 1, z);
    for (const floor of [this.shadow, this.spot]) floor.position.set(x, floor.position.y, z);
  }
}
