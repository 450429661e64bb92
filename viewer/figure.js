// A body that moves: a skinned mesh on bones, posed frame by frame, and its joints as bones that can be seen.
import * as THREE from "three";

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/** What all figures with one body share: the mesh but for its vertices, which the face moves. */
export class Shape {
  constructor(body) {
    Object.assign(this, body);
    const count = body.vertices.length / 3;
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(body.vertices, 3));
    geometry.setAttribute("skinIndex", new THREE.BufferAttribute(body.weight_indices, 4));
    geometry.setAttribute("skinWeight", new THREE.BufferAttribute(body.weight_values, 4, true));
    if (body.colours) {
      const colour = new THREE.Color();
      const linear = Float32Array.from({ length: 256 }, (_, c) => colour.setRGB(c / 255, 0, 0, "srgb").r);
      const colours = Float32Array.from(body.colours, (c) => linear[c]);
      geometry.setAttribute("color", new THREE.BufferAttribute(colours, 3));
    }
    const index = (faces) => new THREE.BufferAttribute(count < 65536 ? Uint16Array.from(faces) : faces, 1);
    this.full = index(body.faces);
    this.light = body.light_faces ? index(body.light_faces) : this.full;
    geometry.setIndex(this.full);
    geometry.computeVertexNormals();
    this.geometry = geometry;
  }
}

export class Figure {
  /** A shape, and a motion as `readMotion` gives it. */
  constructor(shape, motion) {
    this.shape = shape;
    this.motion = motion;
    this.bones = shape.bones.map((name) => Object.assign(new THREE.Bone(), { name }));
    const joint = (j) => new THREE.Vector3().fromArray(shape.joints, 3 * j);
    this.bones.forEach((bone, j) => {
      bone.position.copy(joint(j));
      if (j === 0) return;
      bone.position.sub(joint(shape.parents[j]));
      this.bones[shape.parents[j]].add(bone);
    });

    this.geometry = new THREE.BufferGeometry();
    for (const [name, attribute] of Object.entries(shape.geometry.attributes)) {
      this.geometry.setAttribute(name, attribute);
    }
    if (shape.shape_counts) {
      this.vertices = new THREE.BufferAttribute(shape.vertices.slice(), 3).setUsage(THREE.DynamicDrawUsage);
      this.geometry.setAttribute("position", this.vertices);
      this.shown = new Uint8Array(shape.shape_counts.length); // the weights that the vertices have now, of 255
    }
    this.geometry.setIndex(shape.full);

    // Without gloss: skin and cloth are matt here, and a processor that draws has less to do.
    this.material = new THREE.MeshLambertMaterial({ vertexColors: Boolean(shape.colours) });
    if (!shape.colours) this.material.color.set(0xb8b2ab);
    this.mesh = new THREE.SkinnedMesh(this.geometry, this.material);
    this.mesh.frustumCulled = false; // bounds are those of the rest pose
    this.mesh.castShadow = this.mesh.receiveShadow = true;
    this.joints = jointMesh(this.bones.length - 1);
    this.root = new THREE.Group().add(this.bones[0], this.mesh, this.joints);
    this.root.updateMatrixWorld(true);
    this.mesh.bind(new THREE.Skeleton(this.bones), new THREE.Matrix4());
  }

  /** Pose the body as it is at this second; before its first and after its last frame it holds still. */
  poseAt(seconds) {
    const { motion, bones } = this;
    if (motion.frames > 0) {
      const { frames, rotations, translation } = motion;
      const at = clamp(seconds * motion.fps, 0, frames - 1);
      const before = Math.floor(at);
      const after = Math.min(before + 1, frames - 1);
      const weight = at - before;
      const between = (array, row) => {
        const from = array[row * frames + before];
        return from + weight * (array[row * frames + after] - from);
      };
      bones.forEach(({ quaternion }, j) => {
        const row = 4 * j; // neighbouring frames are close, so the straight line is the arc
        quaternion.set(...[0, 1, 2, 3].map((axis) => between(rotations, row + axis))).normalize();
      });
      const pelvis = this.shape.joints;
      bones[0].position.set(...[0, 1, 2].map((axis) => pelvis[axis] + between(translation, axis)));
      if (motion.face && this.vertices) this.#moveFace((shape) => Math.round(between(motion.face, shape)));
    }
    this.root.updateMatrixWorld(true);
    if (this.joints.visible) placeJoints(this.joints, this.bones);
  }

  /** The face on the processor: of 52 shapes a few are there at a time, and each moves a few vertices. */
  #moveFace(weightOf) {
    const { vertices, shape_counts, shape_vertices, shape_deltas } = this.shape;
    const now = this.vertices.array;
    let entry = 0;
    const weights = Array.from(shape_counts, (_, shape) => weightOf(shape));
    if (weights.every((weight, shape) => weight === this.shown[shape])) return;
    for (const vertex of shape_vertices) for (let c = 3 * vertex; c < 3 * vertex + 3; c++) now[c] = vertices[c];
    weights.forEach((weight, shape) => {
      const scale = weight / 255 / 1e5; // shapes are stored in 1/100 mm
      const end = entry + shape_counts[shape];
      if (!weight) entry = end;
      for (; entry < end; entry++) {
        const to = 3 * shape_vertices[entry];
        now[to] += scale * shape_deltas[3 * entry];
        now[to + 1] += scale * shape_deltas[3 * entry + 1];
        now[to + 2] += scale * shape_deltas[3 * entry + 2];
      }
      this.shown[shape] = weight;
    });
    this.vertices.needsUpdate = true;
  }

  /** Where the middle of some joints is now. */
  middleOf(names) {
    const middle = new THREE.Vector3();
    for (const name of names) middle.add(this.jointAt(name));
    return middle.divideScalar(names.length);
  }
  /** Where a joint is now; undefined where there is none of this name. */
  jointAt(name) {
    const bone = this.bones.find((bone) => bone.name === name);
    return bone && new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld);
  }

  /** The joints over a faint body, or the body. */
  showJoints(on) {
    this.joints.visible = on;
    Object.assign(this.material, { transparent: on, opacity: on ? 0.3 : 1, depthWrite: !on, needsUpdate: true });
  }
  /** With fewer triangles, where the body has a plainer mesh. */
  simplify(on) {
    this.geometry.setIndex(on ? this.shape.light : this.shape.full);
  }
}

/** The joints as one octahedron a bone, drawn over the body. */
function jointMesh(count) {
  // Unit octahedron along +y, widest near its root, as animation tools draw bones.
  const geometry = new THREE.OctahedronGeometry(0.5).translate(0, 0.5, 0);
  const position = geometry.attributes.position;
  for (let i = 0; i < position.count; i++) if (Math.abs(position.getY(i) - 0.5) < 0.1) position.setY(i, 0.15);
  geometry.computeVertexNormals();
  const material = new THREE.MeshLambertMaterial({ color: 0xff8a3d, depthTest: false, transparent: true, fog: false });
  const mesh = new THREE.InstancedMesh(geometry, material, count);
  mesh.frustumCulled = false;
  mesh.renderOrder = 2;
  mesh.visible = false;
  return mesh;
}

function placeJoints(mesh, bones) {
  const [from, to, along] = [new THREE.Vector3(), new THREE.Vector3(), new THREE.Vector3()];
  const [turn, size, matrix] = [new THREE.Quaternion(), new THREE.Vector3(), new THREE.Matrix4()];
  bones.slice(1).forEach((bone, i) => {
    from.setFromMatrixPosition(bone.parent.matrixWorld);
    to.setFromMatrixPosition(bone.matrixWorld);
    const length = along.subVectors(to, from).length();
    turn.setFromUnitVectors(THREE.Object3D.DEFAULT_UP, along.divideScalar(length || 1));
    const width = clamp(length * 0.25, 0.006, 0.05);
    mesh.setMatrixAt(i, matrix.compose(from, turn, size.set(width, length, width)));
  });
  mesh.instanceMatrix.needsUpdate = true;
}
