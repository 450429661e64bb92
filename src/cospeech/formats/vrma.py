"""Motion -> .vrma, VRM animation 1.0: what any VRM avatar can play, without a body of its own.

Nodes for 52 humanoid bones of VRM, at rest in the T pose that VRM asks for: as the body, with fingers straight along x
and thumbs between x and z. Rotations of all of them, the path of the hips. VRM keeps eyes and jaw apart from bones:

layout "presets", for every avatar: the five vowels and the eyelids of VRM, and where it looks.

    opening = 1.5 * (jawOpen - mouthClose)                  aa = opening * (1 - rounding - spreading)
    rounding = mouthFunnel + mouthPucker                    oh = opening * rounding
    spreading = (1 - rounding) *                            ou = (1 - opening) * rounding
                (mouthStretchLeft + mouthStretchRight)      ee = opening * spreading
    (each within 0..1)                                      ih = (1 - opening) * spreading
    blinkLeft = eyeBlinkLeft, blinkRight = eyeBlinkRight
    look at: eyeLook{Up,Down,In,Out}{Left,Right}, mean of both eyes, 1 is 30 degrees

layout "perfect-sync", for avatars with the 52 shapes of ARKit: these, as custom expressions under ARKit's names. Both
at once would open the mouth twice. Emotions (happy, angry, ...) are for who animates: they are not in ARKit weights.

Source: VRM Consortium, VRMC_vrm_animation 1.0 and VRMC_vrm 1.0 (humanoid, tpose, expressions).
"""

from pathlib import Path

import numpy as np

from cospeech import rotation, skeleton
from cospeech.body import Body, mannequin
from cospeech.errors import FormatError
from cospeech.formats import gltf
from cospeech.formats.arkit import face_or_jaw
from cospeech.formats.output import replacing
from cospeech.motion import Motion
from cospeech.rigs import VRM
from cospeech.skeleton import ARKIT, ARKIT_INDEX

_JOINTS = [j for j, name in enumerate(skeleton.JOINTS) if name in VRM]  # parents before children; a node for each
_LOOK_RADIANS = np.radians(30)  # of an eye whose eyeLook weight is 1
_OPENING = 1.5  # a mouth that speaks seldom opens further than jawOpen = 2 / 3
_EXTENSION = "VRMC_vrm_animation"


def write(motion: Motion, path: str | Path, body: Body | None = None, layout: str = "presets") -> None:
    """Write a motion on the skeleton of a body, the mannequin unless given.

    Args:
        layout: Which expressions: "presets" or "perfect-sync", see above.
    """
    if len(motion) == 0:
        raise FormatError(f"{path}: the motion has no frames, and a .vrma file holds nothing else.")
    joints = (body or mannequin("light")).joints
    turned = _t_pose(joints)
    nodes = _bones(joints, turned)
    buffer = gltf.Buffer()
    animation = gltf.Animation(buffer, len(motion), motion.fps)
    for node, quaternions in enumerate(gltf.continuous_quaternions(motion.poses[:, _JOINTS])):
        animation.track(node, "rotation", quaternions)
    animation.track(0, "translation", motion.translation + joints[0])
    extension: dict = {
        "specVersion": "1.0",
        "humanoid": {"humanBones": {VRM[skeleton.JOINTS[j]]: {"node": node} for node, j in enumerate(_JOINTS)}},
    }
    face = face_or_jaw(motion, path)
    if face is not None:
        kind = "preset" if layout == "presets" else "custom"
        weights = presets(face) if layout == "presets" else dict(zip(ARKIT, face.T, strict=True))
        extension["expressions"] = {kind: {}}
        for name, weight in weights.items():
            extension["expressions"][kind][name] = {"node": len(nodes)}
            animation.track(len(nodes), "translation", weight[:, None] * np.array([1, 0, 0]))
            nodes.append({"name": name})
    if layout == "presets" and (gaze := _gaze(motion)).any():
        extension["lookAt"] = {"node": len(nodes), "offsetFromHeadBone": _between_the_eyes(joints)}
        animation.track(len(nodes), "rotation", gltf.continuous_quaternions(gaze[:, None])[0])
        nodes.append({"name": "lookAt"})
    below = {child for node in nodes for child in node.get("children", ())}
    document = {
        "extensionsUsed": [_EXTENSION],
        "extensions": {_EXTENSION: extension},
        "scene": 0,
        "scenes": [{"nodes": [node for node in range(len(nodes)) if node not in below]}],
        "nodes": nodes,
        "animations": [animation.document],
    }
    with replacing(path) as temporary:
        temporary.write_bytes(gltf.pack(document, buffer, {"fps": motion.fps, **motion.metadata}))


def presets(face: np.ndarray) -> dict[str, np.ndarray]:
    """Expressions of VRM, each (T,) from 0 to 1, of ARKit weights (T, 52), by the table above."""

    def weight(name: str) -> np.ndarray:
        return face[:, ARKIT_INDEX[name]]

    opening = (_OPENING * (weight("jawOpen") - weight("mouthClose"))).clip(0, 1)
    rounding = (weight("mouthFunnel") + weight("mouthPucker")).clip(0, 1)
    spreading = (weight("mouthStretchLeft") + weight("mouthStretchRight")).clip(0, 1) * (1 - rounding)
    return {
        "aa": opening * (1 - rounding - spreading),
        "ih": (1 - opening) * spreading,
        "ou": (1 - opening) * rounding,
        "ee": opening * spreading,
        "oh": opening * rounding,
        "blinkLeft": weight("eyeBlinkLeft").clip(0, 1),
        "blinkRight": weight("eyeBlinkRight").clip(0, 1),
    }


def _gaze(motion: Motion) -> np.ndarray:
    """(T, 3) axis-angle of where the eyes look, relative to the head: by ARKit weights, else as the eye joints turn."""
    if motion.face is None:
        return motion.poses[:, [skeleton.LEFT_EYE, skeleton.RIGHT_EYE]].mean(axis=1)
    look = {
        f"{way}{side}": motion.face[:, ARKIT_INDEX[f"eyeLook{way}{side}"]]
        for way in ("Up", "Down", "In", "Out")
        for side in ("Left", "Right")
    }
    left = (look["OutLeft"] - look["InLeft"] + look["InRight"] - look["OutRight"]) / 2
    down = (look["DownLeft"] - look["UpLeft"] + look["DownRight"] - look["UpRight"]) / 2
    return _LOOK_RADIANS * np.stack([down, left, np.zeros_like(left)], axis=-1)


def _between_the_eyes(joints: np.ndarray) -> list[float]:
    eyes = joints[[skeleton.LEFT_EYE, skeleton.RIGHT_EYE]].mean(axis=0)
    return (eyes - joints[skeleton.INDEX["head"]]).tolist()


def _t_pose(joints: np.ndarray) -> np.ndarray:
    """(55, 3, 3) how the parts of the body are turned in VRM's T pose: fingers straight, all else as at rest."""
    turned = np.tile(np.eye(3), (skeleton.NUM_JOINTS, 1, 1))
    for j in skeleton.HANDS:
        children = [child for child, above in enumerate(skeleton.PARENTS) if above == j]
        if children:
            out = 1.0 if skeleton.JOINTS[j].startswith("left") else -1.0
            straight = np.array([out, 0.0, 1.0 if "thumb" in skeleton.JOINTS[j] else 0.0])
            turned[j] = rotation.rotation_between(joints[children[0]].astype(float) - joints[j], straight)
        else:
            turned[j] = turned[skeleton.PARENTS[j]]
    return turned


def _bones(joints: np.ndarray, turned: np.ndarray) -> list[dict]:
    """The nodes of the skeleton at rest, standing on y = 0."""
    nodes = []
    for j in _JOINTS:
        parent = skeleton.PARENTS[j]
        above = turned[parent] if j else np.eye(3)
        x, y, z = joints[j] - joints[parent] if j else joints[0] + skeleton.REST_TRANSLATION
        w, *vector = rotation.matrix_to_quaternion(above.T @ turned[j]).tolist()
        children = [node for node, child in enumerate(_JOINTS) if skeleton.PARENTS[child] == j]
        node: dict = {"name": VRM[skeleton.JOINTS[j]], "translation": [float(x), float(y), float(z)]}
        if w < 1:
            node["rotation"] = [*vector, w]
        nodes.append({**node, **({"children": children} if children else {})})
    return nodes
