"""Characters as users have them, made of the mannequin: other names, rest poses, proportions, axes and units."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from cospeech import skeleton
from cospeech.body import mannequin
from cospeech.formats.gltf import Buffer, container, limits, unpack
from cospeech.rotation import axis_angle_to_matrix, matrix_to_quaternion, quaternion_to_matrix
from cospeech.skeleton import INDEX, JOINTS, PARENTS

BAKED = Path(__file__).parent / "fixtures" / "characters"
T_POSE: dict[str, tuple] = {}
A_POSE = {
    "left_shoulder": (0, 0, -0.8),
    "right_shoulder": (0, 0, 0.8),
    "left_hip": (0, 0, 0.1),
    "right_hip": (0, 0, -0.1),
}
ANY_POSE = {  # nobody rests so
    **{"left_shoulder": (0.2, -0.5, 0.4), "left_elbow": (0, -1.1, 0), "right_shoulder": (0.3, 0.2, 1.1)},
    **{"right_elbow": (0, 0.6, 0), "left_hip": (-0.3, 0, 0.15), "left_knee": (0.5, 0, 0)},
    **{"right_hip": (0.1, 0, -0.1), "right_wrist": (0.3, 0.1, 0.2)},
    **{f"left_{finger}{n}": (0, 0, -0.4) for finger in ("index", "middle", "ring", "pinky") for n in (1, 2, 3)},
}
LONG_ARMS = {f"{side}_{joint}": 1.35 for side in ("left", "right") for joint in ("elbow", "wrist")}
CHILD = {
    **{f"{side}_{joint}": 0.55 for side in ("left", "right") for joint in ("knee", "ankle", "elbow", "wrist")},
    **{"spine1": 0.7, "spine2": 0.7, "spine3": 0.7, "head": 1.3},
}
BROAD = {f"{side}_{joint}": 1.6 for side in ("left", "right") for joint in ("shoulder", "collar", "hip")}
LONG_FOREARMS = {
    **{f"{side}_elbow": 0.75 for side in ("left", "right")},
    **{f"{side}_wrist": 1.3 for side in ("left", "right")},
    **{f"{side}_knee": 0.85 for side in ("left", "right")},
    **{f"{side}_ankle": 1.1 for side in ("left", "right")},
    **{f"{side}_foot": 1.5 for side in ("left", "right")},
}


def glb(
    path: Path,
    names: Mapping[str, str],
    pose: Mapping[str, tuple] = T_POSE,
    lengths: Mapping[str, float] | None = None,
    axes: str = "world",
    unit: float = 1.0,
    holder: Mapping[str, list] | None = None,
    turn: np.ndarray | None = None,
    targets: tuple[str, ...] = (),
    extensions: Mapping | None = None,
    extra: Mapping[str, str] | None = None,
    aside: tuple[float, float, float] = (0.05, 0.05, 0.05),
    mesh: bool = False,
) -> Path:
    """The mannequin's joints that have a name.

    Args:
        names: SMPL-X name -> name in the file, parents first.
        pose: SMPL-X name -> axis-angle it is turned by at rest.
        lengths: SMPL-X name -> factor of its distance from its parent.
        axes: Of bones at rest. "world": those of the world; "own": of each its own, at random.
        unit: Lengths in the file for a metre.
        holder: Translation, rotation or scale of the node that holds all.
        turn: (3, 3) by which the whole character is turned in its file.
        targets: Names of morph targets; those of ARKit move the mesh, all others a corner.
        extensions: With {NAME} wherever the number of the node of a joint should stand.
        extra: Name of a further bone -> SMPL-X name of what it hangs on.
        aside: Where further bones begin, from there, in metres.
        mesh: The whole mesh, not just four corners.
    """
    body = mannequin("light")
    bones = (body.joints - body.joints[list(PARENTS)]).astype(float)
    bones[0] = body.joints[0] + skeleton.REST_TRANSLATION
    bones *= np.array([(lengths or {}).get(name, 1.0) for name in JOINTS])[:, None]
    bent = np.zeros((55, 3))
    for name, axis_angle in pose.items():
        bent[INDEX[name]] = axis_angle
    turned, at = np.empty((55, 3, 3)), np.empty((55, 3))
    for j, parent in enumerate(PARENTS):
        before = turned[parent] if parent >= 0 else np.eye(3)
        turned[j] = np.eye(3) if "ankle" in JOINTS[j] else before @ axis_angle_to_matrix(bent[j])  # feet are flat
        at[j] = (at[parent] if parent >= 0 else 0) + before @ bones[j]
    ankles = min(at[INDEX["left_ankle"], 1], at[INDEX["right_ankle"], 1])
    at[:, 1] += (body.joints + skeleton.REST_TRANSLATION)[INDEX["left_ankle"], 1] - ankles
    vertices = skinned(body, turned, at) if mesh else at[[0, 15, 20, 21]]
    if turn is not None:
        turned, at, vertices = turn @ turned, at @ turn.T, vertices @ turn.T
    at, vertices = at * unit, vertices * unit

    rng = np.random.default_rng(3)
    own = {name: axis_angle_to_matrix(rng.normal(size=3) * (axes == "own")) for name in (*names, *(extra or {}))}
    place, nodes, world = {}, [], []
    for name in (*names, *(extra or {})):
        above = _nearest(JOINTS[PARENTS[INDEX[name]]] if INDEX[name] else None, names) if name in names else extra[name]
        source = name if name in names else extra[name]
        matrix = np.eye(4)
        matrix[:3, :3] = (turned[INDEX[source]] if axes == "own" else np.eye(3)) @ own[name]
        matrix[:3, 3] = at[INDEX[source]] + (0 if name in names else np.array(aside) * unit)
        place[name] = len(nodes)
        world.append(matrix)
        local = np.linalg.inv(world[place[above]]) @ matrix if above else matrix
        w, x, y, z = matrix_to_quaternion(local[:3, :3]).tolist()
        nodes.append({"name": names.get(name, name), "translation": local[:3, 3].tolist(), "rotation": [x, y, z, w]})
        if above:
            nodes[place[above]].setdefault("children", []).append(place[name])
    buffer = Buffer()
    attributes, indices = _mesh(body, vertices, place, names, buffer, mesh)
    primitive = {"attributes": attributes, "indices": indices, "material": 0}
    if targets:
        primitive["targets"] = [
            {"POSITION": _target(body, name, len(vertices), unit, buffer, mesh)} for name in targets
        ]
    world_matrices = np.stack(world).astype(np.float64)
    inverse = np.linalg.inv(world_matrices).swapaxes(-1, -2).astype("f4")
    held = {"name": "Holder", "children": [0, len(nodes) + 1], **(holder or {})}
    document = {
        "asset": {"version": "2.0", "generator": "tests", "extras": {"mine": "stays"}},
        "scene": 0,
        "scenes": [{"nodes": [len(nodes)]}],
        "nodes": [*nodes, held, {"name": "Body", "mesh": 0, "skin": 0}],
        "skins": [{"joints": list(range(len(nodes))), "inverseBindMatrices": buffer.accessor(inverse)}],
        "meshes": [
            {
                "name": "Body",
                "primitives": [primitive],
                **({"weights": [0.0] * len(targets), "extras": {"targetNames": list(targets)}} if targets else {}),
            }
        ],
        "materials": [{"name": "skin", "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1}}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    if extensions:
        document |= {"extensions": _filled(extensions, place), "extensionsUsed": list(extensions)}
    path.write_bytes(container(document, buffer.data))
    return path


class Played:
    """A .glb with one animation, played as its specification says."""

    def __init__(self, path: Path):
        self.document, self.data = unpack(path.read_bytes())
        self.nodes = self.document["nodes"]
        self.tracks = {}
        animation = self.document["animations"][0]
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            self.times = self.array(sampler["input"])[:, 0]
            self.tracks[channel["target"]["node"], channel["target"]["path"]] = self.array(sampler["output"])

    def array(self, number: int) -> np.ndarray:
        accessor = self.document["accessors"][number]
        view = self.document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        return np.frombuffer(self.data, "<f4", accessor["count"] * width, start).reshape(-1, width)

    def worlds(self) -> dict[str, np.ndarray]:
        """Name -> (T, 4, 4) of every node of the scene."""
        found, frames = {}, len(self.times)

        def visit(number: int, above: np.ndarray) -> None:
            node = self.nodes[number]
            if "matrix" in node:
                local = np.array(node["matrix"], float).reshape(4, 4).T
            else:
                x, y, z, w = np.moveaxis(self._track(number, "rotation", [0, 0, 0, 1]), -1, 0)
                local = np.tile(np.eye(4), (frames, 1, 1))
                turned = quaternion_to_matrix(np.stack([w, x, y, z], axis=-1))
                local[:, :3, :3] = turned * np.array(node.get("scale", [1, 1, 1]), float)
                local[:, :3, 3] = self._track(number, "translation", [0, 0, 0])
            found[node["name"]] = above @ local
            for child in node.get("children", []):
                visit(child, found[node["name"]])

        for root in self.document["scenes"][self.document["scene"]]["nodes"]:
            visit(root, np.tile(np.eye(4), (frames, 1, 1)))
        return found

    def _track(self, node: int, path: str, default: list) -> np.ndarray:
        still = np.tile(np.array(self.nodes[node].get(path, default), float), (len(self.times), 1))
        return self.tracks.get((node, path), still).astype(float)


def change(path: Path, edit) -> Path:
    """Let a function change the document of a file."""
    document, data = unpack(path.read_bytes())
    edit(document)
    path.write_bytes(container(document, data))
    return path


def skinned(body, turned: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(V, 3) vertices of the body with its joints turned and placed so."""
    vertices = np.zeros((len(body.vertices), 3))
    for n in range(body.weight_indices.shape[1]):
        j = body.weight_indices[:, n]
        moved = np.einsum("vij,vj->vi", turned[j], body.vertices - body.joints[j]) + at[j]
        vertices += body.weight_values[:, n : n + 1] * moved
    return vertices


def _mesh(body, vertices: np.ndarray, place: Mapping, names: Mapping, buffer: Buffer, whole: bool) -> tuple[dict, int]:
    nearest = np.array([place[_nearest(name, names)] if _nearest(name, names) else 0 for name in JOINTS])
    joints = nearest[body.weight_indices] if whole else np.zeros((4, 4), int)
    weights = body.weight_values if whole else np.tile([1.0, 0, 0, 0], (4, 1))
    vertices = vertices.astype("f4")
    faces = body.faces.reshape(-1) if whole else np.array([0, 1, 2, 0, 2, 3, 0, 3, 1, 1, 3, 2])
    attributes = {
        "POSITION": buffer.accessor(vertices, 34962, **limits(vertices)),
        "JOINTS_0": buffer.accessor(joints.astype("u1"), 34962),
        "WEIGHTS_0": buffer.accessor(weights.astype("f4"), 34962),
    }
    if whole:
        colours = np.pad((body.colours / 255) ** 2.2, ((0, 0), (0, 1)), constant_values=1).astype("f4")
        attributes["COLOR_0"] = buffer.accessor(colours, 34962)
    return attributes, buffer.accessor(faces.astype("u2"), 34963)


def _target(body, name: str, count: int, unit: float, buffer: Buffer, whole: bool) -> int:
    if whole and name in skeleton.ARKIT_INDEX:
        deltas = body.face_shapes.deltas[skeleton.ARKIT_INDEX[name]] * unit
        return buffer.sparse(body.face_shapes.vertices, deltas, count)
    return buffer.sparse(np.array([1]), np.array([[0, 0.1, 0]]), count)


@lru_cache(maxsize=256)
def _above(name: str) -> tuple[str, ...]:
    j, chain = INDEX[name], []
    while j >= 0:
        chain.append(JOINTS[j])
        j = PARENTS[j]
    return tuple(chain)


def _nearest(name: str | None, names: Mapping[str, str]) -> str | None:
    return next((each for each in _above(name) if each in names), None) if name else None


def _filled(value, place: Mapping[str, int]):
    if isinstance(value, Mapping):
        return {key: _filled(each, place) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, place) for each in value]
    return place[value[1:-1]] if isinstance(value, str) and value[:1] == "{" else value
