"""A character of the user's, .glb or .vrm: its bones and face are read, a movement is put in, all else stays as it is.

The document is kept as the JSON that it is, and what is new is appended: accessors, buffer views, bytes and one
animation, before those that are there. So extensions that nobody here knows (VRM, Draco, meshopt, textures of any kind)
pass through untouched. A library would parse the document into its own classes and write those back (pygltflib) or keep
meshes only (trimesh). An animation of the same name is replaced: the result may be a character again.

Sources: Khronos Group 2021, glTF 2.0; VRM Consortium, VRM 0.0 and VRMC_vrm-1.0.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cospeech import rotation
from cospeech.capture import Bones, Movement
from cospeech.errors import DataError
from cospeech.formats.gltf import Animation, Buffer, container, unpack
from cospeech.formats.output import replacing

ANIMATION = "cospeech"
_POSED = 1e-3  # of a matrix's largest entry: by how much joints are off that do not stand as they were bound
_UNEVEN = 0.01  # by which the scales of a node along its axes may differ, and its axes be off square
_THUMBS_OF_VRM_0 = {"ThumbProximal": "ThumbMetacarpal", "ThumbIntermediate": "ThumbProximal"}
_PRESETS_OF_VRM_0 = {
    **{"a": "aa", "i": "ih", "u": "ou", "e": "ee", "o": "oh", "blink_l": "blinkLeft", "blink_r": "blinkRight"},
    **{"joy": "happy", "sorrow": "sad", "fun": "relaxed"},
}
_EXTERNAL = re.compile(r"^(?!data:)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class RiggedGltf:
    path: Path
    document: dict
    data: bytes
    nodes: tuple[int, ...]  # joint of `bones` -> node of the document
    rest: np.ndarray  # (J, 4, 4) from each joint's frame to the world, in the pose in which the mesh was bound to it
    posed: tuple[int, ...]  # joints that stand in the document in another pose than that
    bones: Bones
    face: "FaceTargets" = field(repr=False)

    @property
    def licence(self) -> list[str]:
        """Who made a VRM and what may be done with it, in words; empty for other files."""
        extensions = self.document.get("extensions", {})
        if "VRMC_vrm" in extensions:
            meta = extensions["VRMC_vrm"].get("meta", {})
            who, licence = ", ".join(meta.get("authors") or []), meta.get("licenseUrl")
        else:
            meta = extensions.get("VRM", {}).get("meta", {})
            who, licence = meta.get("author"), meta.get("otherLicenseUrl") or meta.get("licenseName")
        said = [f"by {who}" if who else "", f"licence {licence}" if licence else ""]
        return [", ".join(filter(None, said))] if any(said) else []

    def write(self, path: str | Path, movement: Movement, face: Mapping[int, np.ndarray]) -> None:
        """Write the character with a movement in it, see `to_bytes`."""
        with replacing(path) as temporary:
            temporary.write_bytes(self.to_bytes(movement, face))

    def to_bytes(self, movement: Movement, face: Mapping[int, np.ndarray]) -> bytes:
        """The character with a movement in it, as the content of a .glb or .vrm.

        Args:
            face: Mesh -> (T, targets) weights of its morph targets, where they move.
        """
        document = copy.deepcopy(self.document)
        asset = document["asset"]
        if isinstance(asset.setdefault("extras", {}), dict):
            asset["extras"]["cospeech"] = {"fps": movement.fps, **movement.metadata}
        buffers = document.setdefault("buffers", [])
        views, accessors = (document.setdefault(name, []) for name in ("bufferViews", "accessors"))
        if not buffers or "uri" in buffers[0]:  # the binary part must be the first
            buffers.insert(0, {"byteLength": 0})
            for view in views:
                view["buffer"] += 1
        buffer = Buffer(accessors, views, self.data)
        if len(movement):
            others = [each for each in document.get("animations", []) if each.get("name") != ANIMATION]
            document["animations"] = [self._animation(document["nodes"], movement, face, buffer), *others]
        document["accessors"], document["bufferViews"] = buffer.accessors, buffer.views
        buffers[0]["byteLength"] = len(buffer.data)
        return container(document, buffer.data)

    def _animation(self, nodes: list, movement: Movement, face: Mapping[int, np.ndarray], buffer: Buffer) -> dict:
        animation = Animation(buffer, len(movement), movement.fps, ANIMATION)
        still = [j for j in self.posed if j not in movement.joints]
        for j in (*movement.joints, movement.root, *still):
            _as_parts(nodes[self.nodes[j]])
        for j, quaternions in zip(movement.joints, movement.rotations, strict=True):
            animation.track(self.nodes[j], "rotation", quaternions[:, [1, 2, 3, 0]])
        above = self._above(movement.root)
        path = (movement.path - above[:3, 3]) @ np.linalg.inv(above[:3, :3]).T
        animation.track(self.nodes[movement.root], "translation", path)
        for j in self.posed:
            local = np.linalg.inv(self._above(j)) @ self.rest[j]
            if j != movement.root:
                animation.track(self.nodes[j], "translation", np.tile(local[:3, 3], (len(movement), 1)))
            if j in still:
                w, *vector = rotation.matrix_to_quaternion(local[:3, :3] / np.linalg.norm(local[:3, :3], axis=0))
                animation.track(self.nodes[j], "rotation", np.tile([*vector, w], (len(movement), 1)))
        for number, node in enumerate(nodes):
            for mesh in face:
                if node.get("mesh") == mesh:
                    animation.track(number, "weights", face[mesh].reshape(-1))
        return animation.document

    def _above(self, j: int) -> np.ndarray:
        """(4, 4) from the frame of a joint's parent to the world."""
        parent = self.bones.parents[j]
        return self.rest[parent] if parent >= 0 else np.eye(4)


@dataclass(frozen=True)
class FaceTargets:
    """The morph targets of a character by name, and the expressions of a VRM that are made of them."""

    names: Mapping[int, tuple[str, ...]]  # mesh -> its targets
    resting: Mapping[int, np.ndarray]  # mesh -> (targets,) weights as they are
    expressions: Mapping[str, tuple[tuple[int, int, float], ...]]  # VRM 1.0 name -> (mesh, target, weight 0..1)


def read(path: str | Path) -> RiggedGltf:
    path = Path(path)
    try:
        file = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    return parse(file, path)


def parse(file: bytes, path: Path) -> RiggedGltf:
    """The content of a .glb; `path` is what it is called."""
    try:
        document, data = unpack(file)
        if not isinstance(document["asset"], dict) or not document["nodes"]:
            raise ValueError("it has no nodes")
        nodes, parents = _in_order(document)
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at
            local = np.stack([_local(document["nodes"][node]) for node in nodes])
            standing = _worlds(local, parents)
            bound = _bound(document, data, nodes, parents, standing)
            rest = _worlds(local, parents, bound)
        posed = tuple(
            j for j in bound if not np.allclose(rest[j], standing[j], atol=_POSED * np.abs(standing[j]).max())
        )
        bones = _bones(document, nodes, parents, rest, standing)
        face = _face(document)
    except ValueError as error:
        raise DataError(f"{path}: not a readable .glb file: {error}. Export the character again.") from error
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{path}: not a readable .glb file: its tables do not fit together ({error!r}).") from error
    _check_whole(document, path)
    return RiggedGltf(path, document, data, nodes, rest, posed, bones, face)


def _check_whole(document: dict, path: Path) -> None:
    kinds = (("buffers", "meshes"), ("images", "textures"))
    for table, what in kinds:
        for entry in document.get(table, []):
            if "uri" in entry and _EXTERNAL.match(entry["uri"]):
                raise DataError(
                    f"{path}: its {what} lie in another file, {entry['uri'][:60]}. Export it as one binary .glb."
                )


def _in_order(document: dict) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The nodes of the scene, parents before children, and for each the place of its parent among them."""
    nodes = document["nodes"]
    if document.get("scenes"):
        roots = document["scenes"][document.get("scene", 0)].get("nodes", [])
    else:
        below = {child for node in nodes for child in node.get("children", [])}
        roots = [n for n in range(len(nodes)) if n not in below]
    order, parents, waiting = [], [], [(root, -1) for root in reversed(roots)]
    seen = set()
    while waiting:
        node, parent = waiting.pop()
        if node in seen or not 0 <= node < len(nodes):
            raise ValueError(f"node {node} hangs on two others or is not there")
        seen.add(node)
        order.append(node)
        parents.append(parent)
        waiting += [(child, len(order) - 1) for child in reversed(nodes[node].get("children", []))]
    return tuple(order), tuple(parents)


def _worlds(local: np.ndarray, parents: tuple[int, ...], known: Mapping[int, np.ndarray] | None = None) -> np.ndarray:
    """(J, 4, 4) from each joint's frame to the world: its parent's times its own, unless it is known."""
    world = np.empty_like(local)
    for j, parent in enumerate(parents):
        world[j] = local[j] if parent < 0 else world[parent] @ local[j]
        if known and j in known:
            world[j] = known[j]
    if not np.isfinite(world).all():
        raise ValueError("places of its nodes are not finite")
    return world


def _bound(
    document: dict, data: bytes, order: tuple[int, ...], parents: tuple[int, ...], standing: np.ndarray
) -> dict[int, np.ndarray]:
    """Joint -> (4, 4) to the world where the mesh was bound to it, of characters that stand in another pose.

    That was the T or A pose in which they were modelled; exporters that put an animation in often leave the nodes as
    they are in its first frame. In which frame the mesh lies is not said: the world's or that of some node above the
    joints. The one in which joints are nearest to where they stand is taken.
    """
    place = {node: j for j, node in enumerate(order)}
    found: dict[int, np.ndarray] = {}
    for skin in document.get("skins", []):
        inverse = _matrices(document, data, skin.get("inverseBindMatrices"))
        joints = [place.get(node, -1) for node in skin["joints"]]
        if inverse is None or len(inverse) != len(joints) or min(joints) < 0 or np.linalg.det(inverse).min() == 0:
            continue
        at, bound = standing[joints], np.linalg.inv(inverse)
        mesh = at @ inverse  # from the mesh to the world, by each joint: all alike where the character stands as bound
        if np.allclose(mesh, mesh[0], atol=_POSED * np.abs(mesh[0]).max()):
            continue
        frames, above = [np.eye(4)], parents[joints[0]]
        while above >= 0:
            frames.append(standing[above])
            above = parents[above]
        off = [np.linalg.norm((frame @ bound)[:, :3, 3] - at[:, :3, 3], axis=-1).sum() for frame in frames]
        nearest = frames[int(np.argmin(off))]
        found |= {j: nearest @ matrix for j, matrix in zip(joints, bound, strict=True) if j not in found}
    return found


def _matrices(document: dict, data: bytes, number: int | None) -> np.ndarray | None:
    """(N, 4, 4) of an accessor, None where it is not plainly in the binary part."""
    if number is None:
        return None
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]] if "bufferView" in accessor else None
    plain = view and "sparse" not in accessor and "extensions" not in view and not document["buffers"][0].get("uri")
    if not plain or view["buffer"] != 0 or (accessor["type"], accessor["componentType"]) != ("MAT4", 5126):
        return None
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    matrices = np.frombuffer(data, "<f4", accessor["count"] * 16, start).reshape(-1, 4, 4)
    return np.swapaxes(matrices, -1, -2).astype(np.float64)  # columns are stored


def _local(node: dict) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    local = np.eye(4)
    quaternion = np.array([w, x, y, z], np.float64)
    if not quaternion.any():
        quaternion[0] = 1
    local[:3, :3] = rotation.quaternion_to_matrix(quaternion) * np.array(node.get("scale", (1, 1, 1)), np.float64)
    local[:3, 3] = node.get("translation", (0, 0, 0))
    return local


def _as_parts(node: dict) -> None:
    """Replace the matrix of a node by translation, rotation and scale, which alone may be animated."""
    if "matrix" not in node:
        return
    local = np.array(node.pop("matrix"), np.float64).reshape(4, 4).T
    scale = np.linalg.norm(local[:3, :3], axis=0)
    w, x, y, z = rotation.matrix_to_quaternion(local[:3, :3] / scale).tolist()
    node |= {"translation": local[:3, 3].tolist(), "rotation": [x, y, z, w], "scale": scale.tolist()}


def _bones(
    document: dict, order: tuple[int, ...], parents: tuple[int, ...], rest: np.ndarray, standing: np.ndarray
) -> Bones:
    axes, uneven = _axes(rest)
    place = {node: j for j, node in enumerate(order)}
    names = tuple(str(document["nodes"][node].get("name", f"node {node}")) for node in order)
    return Bones(
        names=names,
        parents=parents,
        rotations=np.where(uneven[:, None, None], np.eye(3), axes),
        positions=rest[:, :3, 3],
        skeletons=_skeletons(document, place, parents),
        humanoid={bone: place[node] for bone, node in _humanoid(document) if node in place},
        uneven=frozenset(np.flatnonzero(uneven | _axes(standing)[1]).tolist()),
    )


def _axes(world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(J, 3, 3) unit axes of joints, and (J,) whether they are mirrored, sheared or unevenly scaled."""
    scales = np.linalg.norm(world[:, :3, :3], axis=1)  # (J, 3)
    axes = world[:, :3, :3] / np.where(scales > 0, scales, 1)[:, None]
    uneven = np.ptp(scales, axis=1) > _UNEVEN * scales.max(axis=1)
    uneven |= np.abs(np.swapaxes(axes, -1, -2) @ axes - np.eye(3)).max(axis=(1, 2)) > _UNEVEN
    return axes, uneven | (np.linalg.det(axes) < 0)


def _skeletons(document: dict, place: Mapping[int, int], parents: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The joints of skins, those that hang together each for themselves; all nodes where there is no skin."""
    joints = sorted({place[node] for skin in document.get("skins", []) for node in skin["joints"] if node in place})
    if not joints:
        return (tuple(range(len(parents))),)
    tops: dict[int, int] = {}
    for j in joints:
        above = parents[j]
        while above >= 0 and above not in tops:
            above = parents[above]
        tops[j] = tops[above] if above >= 0 else j
    return tuple(tuple(j for j in joints if tops[j] == top) for top in dict.fromkeys(tops.values()))


def _humanoid(document: dict) -> Iterator[tuple[str, int]]:
    """Bones of VRM 1.0 and their nodes."""
    extensions = document.get("extensions", {})
    if "VRMC_vrm" in extensions:
        for bone, entry in extensions["VRMC_vrm"]["humanoid"]["humanBones"].items():
            yield bone, entry["node"]
    elif "VRM" in extensions:
        for entry in extensions["VRM"]["humanoid"]["humanBones"]:
            bone = entry["bone"]
            for old, new in _THUMBS_OF_VRM_0.items():
                if bone.endswith(old):
                    bone = bone.replace(old, new)
                    break
            yield bone, entry["node"]


def _face(document: dict) -> FaceTargets:
    names, resting = {}, {}
    for number, mesh in enumerate(document.get("meshes", [])):
        count = max((len(primitive.get("targets", [])) for primitive in mesh["primitives"]), default=0)
        if not count:
            continue
        given = _target_names(mesh)
        names[number] = tuple(str(given[n]) if n < len(given) else "" for n in range(count))
        given = np.array((mesh.get("weights") or [])[:count], np.float64)
        resting[number] = np.pad(given, (0, count - len(given)))
    there = {(mesh, target) for mesh, of_mesh in names.items() for target in range(len(of_mesh))}
    expressions = {
        name: tuple(
            (int(mesh), int(target), float(weight))
            for mesh, target, weight in binds
            if (mesh, target) in there and np.isfinite(weight)
        )
        for name, binds in _expressions(document)
    }
    return FaceTargets(names, resting, expressions)


def _target_names(mesh: dict) -> list:
    for holder in (mesh, *mesh["primitives"]):
        extras = holder.get("extras")
        if isinstance(extras, dict) and isinstance(extras.get("targetNames"), list):
            return extras["targetNames"]
    return []


def _expressions(document: dict) -> Iterator[tuple[str, tuple[tuple[int, int, float], ...]]]:
    extensions = document.get("extensions", {})
    if "VRMC_vrm" in extensions:
        expressions = extensions["VRMC_vrm"].get("expressions", {})
        for name, expression in (*expressions.get("preset", {}).items(), *expressions.get("custom", {}).items()):
            binds = expression.get("morphTargetBinds") or []
            yield name, tuple((document["nodes"][b["node"]]["mesh"], b["index"], b.get("weight", 1.0)) for b in binds)
    elif "VRM" in extensions:
        for group in extensions["VRM"].get("blendShapeMaster", {}).get("blendShapeGroups", []):
            preset = str(group.get("presetName", "unknown")).lower()
            name = group.get("name", "") if preset in ("", "unknown") else _PRESETS_OF_VRM_0.get(preset, preset)
            binds = group.get("binds") or []
            yield name, tuple((b["mesh"], b["index"], b.get("weight", 100) / 100) for b in binds)
