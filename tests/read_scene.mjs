// What three.js finds in a .glb, .fbx or .vrma: node read_scene.mjs FILE "[seconds, ...]" [AVATAR.vrm]
// Prints {keys, duration, poses: [{node: [[x, y, z], [x, y, z, w]]}, ...], weights: [{shape: weight}, ...]}, poses in the
// world. A .vrma is played by an avatar, on which `expressions` and where it looks stand for the weights.
import { readFileSync } from "node:fs";
import * as THREE from "three";
import { FBXLoader } from "three/addons/loaders/FBXLoader.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { VRMLoaderPlugin } from "@pixiv/three-vrm";
import { VRMAnimationLoaderPlugin, VRMLookAtQuaternionProxy, createVRMAnimationClip } from "@pixiv/three-vrm-animation";

globalThis.self = globalThis.window = globalThis; // loaders ask for them
console.warn = console.log = console.error; // only the answer goes to the output
const [file, seconds, avatar] = process.argv.slice(1);
const bytes = (path) => new Uint8Array(readFileSync(path)).buffer;

async function loaded(path) {
  if (path.endsWith(".fbx")) {
    const scene = new FBXLoader().parse(bytes(path), "");
    return { scene, animations: scene.animations, userData: {} };
  }
  const loader = new GLTFLoader();
  loader.register((parser) => new VRMLoaderPlugin(parser));
  loader.register((parser) => new VRMAnimationLoaderPlugin(parser));
  return loader.parseAsync(bytes(path), "");
}

let { scene, animations, userData } = await loaded(file);
let [clip] = animations;
const keys = clip.tracks[0].times.length;
let vrm = null;
if (avatar) {
  const animation = userData.vrmAnimations[0];
  vrm = (await loaded(avatar)).userData.vrm;
  scene = vrm.scene;
  const proxy = new VRMLookAtQuaternionProxy(vrm.lookAt);
  proxy.name = "lookAtQuaternionProxy";
  scene.add(proxy);
  clip = createVRMAnimationClip(animation, vrm);
}
const mixer = new THREE.AnimationMixer(scene);
mixer.clipAction(clip).play();
const poses = [];
const weights = [];
for (const at of JSON.parse(seconds)) {
  mixer.setTime(Math.min(at, clip.duration - 1e-6)); // at its end the clip begins again
  vrm?.update(0);
  scene.updateMatrixWorld(true);
  const pose = {};
  let shown = {};
  scene.traverse((node) => {
    const at = node.getWorldPosition(new THREE.Vector3()).toArray();
    pose[node.name] = [at, node.getWorldQuaternion(new THREE.Quaternion()).toArray()];
    for (const [name, shape] of Object.entries(node.morphTargetDictionary ?? {}))
      shown[name] = node.morphTargetInfluences[shape];
  });
  if (vrm) {
    for (const { expressionName } of vrm.expressionManager.expressions)
      shown[expressionName] = vrm.expressionManager.getValue(expressionName);
    shown = { ...shown, yaw: vrm.lookAt.yaw, pitch: vrm.lookAt.pitch };
  }
  poses.push(pose);
  weights.push(shown);
}
process.stdout.write(JSON.stringify({ keys, duration: clip.duration, poses, weights }) + "\n");
