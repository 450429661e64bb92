"""ARKit face weights -> the morph targets that a character has, under the names of ARKit or of VRM."""

import re
from collections.abc import Mapping

import numpy as np

from cospeech import skeleton
from cospeech.formats.rig_gltf import FaceTargets
from cospeech.formats.vrma import presets

_ARKIT = {name.lower(): i for i, name in enumerate(skeleton.ARKIT)}
_SIDE = re.compile(r"_([lr])$")


def weights(face: np.ndarray, targets: FaceTargets) -> dict[int, np.ndarray]:
    """Mesh -> (T, targets) weights over time of the meshes that show any of the face.

    Targets with the names of ARKit take its weights; so do expressions of a VRM with these names. A character that has
    none of them opens its mouth and blinks by the vowels and eyelids of VRM (`vrma.presets`).

    Args:
        face: (T, 52) in the order of `skeleton.ARKIT`.
    """
    found = {mesh: [arkit(name) for name in names] for mesh, names in targets.names.items()}
    shapes = {}
    for mesh, columns in found.items():
        for target, column in enumerate(columns):
            if column is not None:
                shapes[mesh, target] = face[:, column]
    for name, binds in targets.expressions.items():
        if (column := arkit(name)) is not None:
            for mesh, target, weight in binds:
                shapes.setdefault((mesh, target), face[:, column] * weight)
    if not shapes:
        shapes = _by_expressions(presets(face), targets)
    result = {mesh: np.tile(resting, (len(face), 1)) for mesh, resting in targets.resting.items()}
    for (mesh, target), weight in shapes.items():
        result[mesh][:, target] = weight
    return {mesh: result[mesh] for mesh in dict.fromkeys(mesh for mesh, _ in shapes)}


def shown(targets: FaceTargets) -> str:
    """What of a face a character can show, in words; empty if nothing."""
    face = np.ones((1, len(skeleton.ARKIT)))
    names = {arkit(name) for names in (*targets.names.values(), targets.expressions) for name in names} - {None}
    if names:
        return f"{len(names)} of the 52 ARKit shapes"
    return "mouth and eyelids as a VRM has them" if weights(face, targets) else ""


def opens_mouth(targets: FaceTargets) -> bool:
    """Whether a character opens its mouth by its shapes, so that a jaw bone would open it twice."""
    face = np.zeros((1, len(skeleton.ARKIT)))
    face[0, skeleton.JAW_OPEN] = 1
    return any((moved != targets.resting[mesh]).any() for mesh, moved in weights(face, targets).items())


def arkit(name: str) -> int | None:
    """The place of a shape in `skeleton.ARKIT`. Case does not matter, nor _L for Left, nor "Face." before it."""
    plain = name.rsplit(".", 1)[-1].strip().lower()
    plain = _SIDE.sub(lambda side: {"l": "left", "r": "right"}[side[1]], plain)
    return _ARKIT.get(plain.replace("_", ""))


def _by_expressions(expressions: Mapping[str, np.ndarray], targets: FaceTargets) -> dict[tuple[int, int], np.ndarray]:
    shapes: dict[tuple[int, int], np.ndarray] = {}
    binds = dict(targets.expressions)
    if not binds:  # a character without the extension whose targets have the names
        for mesh, names in targets.names.items():
            for target, name in enumerate(names):
                binds[name] = (*binds.get(name, ()), (mesh, target, 1.0))
    lids = {"blinkLeft", "blinkRight"} <= binds.keys()
    if not lids:
        expressions = {**expressions, "blink": (expressions["blinkLeft"] + expressions["blinkRight"]) / 2}
        expressions = {name: each for name, each in expressions.items() if name not in ("blinkLeft", "blinkRight")}
    for name, amount in expressions.items():
        for mesh, target, weight in binds.get(name, ()):
            shapes[mesh, target] = shapes.get((mesh, target), 0) + amount * weight
    return shapes
