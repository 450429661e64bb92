"""Forward kinematics and linear blend skinning: the shipped mannequin, or an SMPL-X file the user supplies.

[1] Pavlakos et al. 2019, SMPL-X, arXiv:1904.05866, section 3.1
[2] Loper et al. 2015, SMPL, SIGGRAPH Asia, equations 2-9

Axes: T frames, V vertices, F faces, S vertices moved by any face shape. `poses` may have any leading axes before T.
Functions take numpy arrays or torch tensors (gradients pass), as in `rotation`. The rest pose is a T pose facing +z,
y up, metres; the pelvis of a posed body is `body.joints[0]` + translation. Of the 55 joints the mannequin's jaw moves
nothing: there the face shapes move the mesh (design: `face` is the truth).
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cospeech.errors import ConfigError, DataError
from cospeech.motion import NUM_EXPRESSIONS
from cospeech.rotation import Array, array_namespace, axis_angle_to_matrix, cross
from cospeech.skeleton import ARKIT, NUM_JOINTS, PARENTS

LEVELS = ("full", "light")
INFLUENCES = 4  # joints that share a vertex, at most; glTF has room for four
_SHAPE_SPACE = 300  # SMPL-X files with fewer shape directions have ten, and expressions behind them


class FaceShapes(NamedTuple):
    """The 52 ARKit shapes, kept only for the vertices that any of them moves."""

    vertices: np.ndarray  # (S,) int32 vertex numbers, ascending
    deltas: np.ndarray  # (52, S, 3) float32 metres in the rest pose, in the order of `skeleton.ARKIT`


class JointTransforms(NamedTuple):
    rotations: Array  # (..., T, 55, 3, 3) from the rest pose to the posed body, in world axes
    positions: Array  # (..., T, 55, 3) metres


@dataclass(frozen=True, eq=False)
class Body:
    """A skinned mesh on the SMPL-X skeleton, in its rest pose."""

    name: str
    licence: str
    vertices: np.ndarray  # (V, 3) float32
    faces: np.ndarray  # (F, 3) int32, counter-clockwise seen from outside
    joints: np.ndarray  # (55, 3) float32
    weight_indices: np.ndarray  # (V, 4) int32 joints
    weight_values: np.ndarray  # (V, 4) float32, largest first, sum 1
    embeds_licensed_mesh: bool  # files that contain this mesh need the user's explicit consent
    colours: np.ndarray | None = None  # (V, 3) uint8 sRGB
    face_shapes: FaceShapes | None = None
    # (486, V * 3) float32, [1] equation 6; one row per entry of R - I of the joints 1-54
    pose_correctives: np.ndarray | None = None
    expression_shapes: np.ndarray | None = None  # (100, V * 3) float32, of FLAME
    mean_hands: np.ndarray | None = None  # (30, 3) axis-angle that SMPL-X's own code adds to fingers unless told not to
    light_faces: np.ndarray | None = None  # (F, 3) int32, fewer triangles between some of the same vertices

    @cached_property
    def weights(self) -> np.ndarray:
        """(V, 55) float32 dense skin weights."""
        dense = np.zeros((len(self.vertices), NUM_JOINTS), dtype=np.float32)
        np.add.at(dense, (np.arange(len(dense))[:, None], self.weight_indices), self.weight_values)
        return dense

    @cached_property
    def _skinning_basis(self) -> np.ndarray:
        """(220, V): weight times homogeneous rest vertex, so that skinning all frames is one matrix product."""
        homogeneous = np.concatenate([self.vertices, np.ones_like(self.vertices[:, :1])], axis=1)
        basis = self.weights.T[:, None, :] * homogeneous.T[None]  # (55, 4, V)
        return np.ascontiguousarray(basis.reshape(NUM_JOINTS * 4, -1), dtype=np.float32)


# --- posing -----------------------------------------------------------------------------------------------------


class _Level(NamedTuple):
    joints: list[int]
    parents: list[int]  # where each joint's parent stands in the level above


def _levels() -> list[_Level]:
    levels = [_Level([0], [])]
    while True:
        above = levels[-1].joints
        joints = [j for j in range(NUM_JOINTS) if PARENTS[j] in above]
        if not joints:
            return levels
        levels.append(_Level(joints, [above.index(PARENTS[j]) for j in joints]))


_LEVELS = _levels()
_FROM_LEVELS = [int(i) for i in np.argsort([j for level in _LEVELS for j in level.joints])]


def joint_transforms(body: Body, poses: Array, translation: Array) -> JointTransforms:
    """Where every joint is and how it is turned.

    Args:
        poses: (..., T, 55, 3) axis-angle, or (..., T, 55, 3, 3) matrices, each joint relative to its parent.
        translation: (..., T, 3) metres, added to the rest pelvis.
    """
    xp = array_namespace(poses, translation)
    local = _matrices(poses)
    rest = _like(body.joints, poses)
    rotations = [local[..., :1, :, :]]
    positions = [(rest[0] + translation)[..., None, :]]
    for above, level in pairwise(_LEVELS):
        parent = rotations[-1][..., level.parents, :, :]
        bones = rest[level.joints] - rest[[above.joints[i] for i in level.parents]]
        positions.append(positions[-1][..., level.parents, :] + (parent @ bones[..., None])[..., 0])
        rotations.append(parent @ local[..., level.joints, :, :])
    return JointTransforms(
        xp.concatenate(rotations, -3)[..., _FROM_LEVELS, :, :], xp.concatenate(positions, -2)[..., _FROM_LEVELS, :]
    )


def _matrices(poses: Array) -> Array:
    return poses if poses.shape[-3:] == (NUM_JOINTS, 3, 3) else axis_angle_to_matrix(poses)


def joint_positions(body: Body, poses: Array, translation: Array) -> Array:
    """(..., T, 55, 3) joint positions in metres; arguments as in `joint_transforms`."""
    return joint_transforms(body, poses, translation).positions


def skin(
    body: Body, poses: Array, translation: Array, face: Array | None = None, expressions: Array | None = None
) -> Array:
    """The posed mesh by linear blend skinning, [2] equations 2-4.

    Args:
        poses: As of `joint_transforms`.
        translation: (..., T, 3) metres.
        face: (..., T, 52) ARKit weights; a body without face shapes, as SMPL-X, shows them by its jaw joint only.
        expressions: (..., T, 100) of FLAME; a body without these shapes does not show them. Joints stay where they are,
            while SMPL-X moves those of the face by a hair.

    Returns:
        (..., T, V, 3) vertices. Memory is that of the result and a few times its size: long motions in pieces.
    """
    xp = array_namespace(poses, translation)
    rotations, positions = joint_transforms(body, poses, translation)
    lead = tuple(rotations.shape[:-3])
    rotations = rotations.reshape((-1, NUM_JOINTS, 3, 3))  # (N, 55, 3, 3), N all frames
    rest = _like(body.joints, poses)
    offsets = positions.reshape((-1, NUM_JOINTS, 3)) - (rotations @ rest[..., None])[..., 0]
    transforms = xp.concatenate([rotations, offsets[..., None]], -1)  # (N, 55, 3, 4)
    transforms = xp.moveaxis(transforms, 2, 1).reshape((-1, NUM_JOINTS * 4))  # (N * 3, 220)
    vertices = (transforms @ _like(body._skinning_basis, poses)).reshape((len(rotations), 3, -1))  # (N, 3, V)
    if body.pose_correctives is not None:
        local = _matrices(poses).reshape((-1, NUM_JOINTS, 3, 3))[:, 1:]
        bent = (local - _like(np.eye(3), poses)).reshape((len(local), -1))  # (N, 486)
        moved = (bent @ _like(body.pose_correctives, poses)).reshape((len(local), -1, 3))
        vertices = vertices + _turn(rotations, _like(body.weights, poses), moved)
    if expressions is not None and body.expression_shapes is not None:
        moved = (expressions.reshape((len(rotations), -1)) @ _like(body.expression_shapes, poses)).reshape(
            (len(rotations), -1, 3)
        )
        vertices = vertices + _turn(rotations, _like(body.weights, poses), moved)
    if face is not None and body.face_shapes is not None:
        shapes = body.face_shapes
        deltas = _like(shapes.deltas, poses).reshape((len(ARKIT), -1))
        moved = (face.reshape((-1, len(ARKIT))) @ deltas).reshape((len(rotations), -1, 3))
        turned = _turn(rotations, _like(body.weights[shapes.vertices], poses), moved)
        if xp is np:
            vertices[:, :, shapes.vertices] += turned
        else:
            where = xp.as_tensor(shapes.vertices, device=vertices.device)
            vertices = vertices.index_add(2, where, turned)
    return xp.moveaxis(vertices, 1, 2).reshape((*lead, -1, 3))


def _turn(rotations: Array, weights: Array, offsets: Array) -> Array:
    """Turn rest-pose offsets of some vertices with their joints.

    Args:
        rotations: (N, 55, 3, 3).
        weights: (S, 55).
        offsets: (N, S, 3).

    Returns:
        (N, 3, S), the layout `skin` works in.
    """
    xp = array_namespace(rotations)
    flat = xp.moveaxis(rotations.reshape((-1, NUM_JOINTS, 9)), 1, 2)  # (N, 9, 55)
    blended = (flat @ weights.T).reshape((-1, 3, 3, len(weights)))
    return xp.sum(blended * xp.moveaxis(offsets, 1, 2)[:, None], axis=2)


def vertex_normals(vertices: Array, faces: np.ndarray) -> Array:
    """(..., V, 3) vertices and (F, 3) faces -> (..., V, 3) unit normals, each face weighted by its area."""
    xp = array_namespace(vertices)
    a, b, c = (vertices[..., faces[:, k], :] for k in range(3))
    of_faces = cross(b - a, c - a)  # (..., F, 3)
    if xp is np:
        count = vertices.shape[-2]
        normals = np.empty_like(vertices)
        flat, out = of_faces.reshape(-1, *of_faces.shape[-2:]), normals.reshape(-1, count, 3)
        corners = np.ascontiguousarray(faces.T).reshape(-1)
        for n in range(len(flat)):
            for axis in range(3):
                out[n, :, axis] = np.bincount(corners, np.tile(flat[n, :, axis], 3), minlength=count)
    else:
        normals = xp.zeros_like(vertices)
        for k in range(3):
            normals = normals.index_add(-2, xp.as_tensor(faces[:, k], device=vertices.device).long(), of_faces)
    length = xp.sqrt(xp.sum(normals * normals, axis=-1, keepdims=True) + 1e-30)
    return normals / length


def _like(array: np.ndarray, reference: Array) -> Array:
    """`array` as the kind, type and device of `reference`."""
    if isinstance(reference, np.ndarray):
        return array.astype(reference.dtype, copy=False)
    return array_namespace(reference).as_tensor(array, dtype=reference.dtype, device=reference.device)


# --- bodies -----------------------------------------------------------------------------------------------------


@cache
def mannequin(level: str = "full") -> Body:
    """The shipped body, baked by `scripts/bake_body.py`.

    Args:
        level: "full" (14k vertices) to export, "light" (10k triangles) to render on a CPU.
    """
    if level not in LEVELS:
        raise ConfigError(f"A mannequin has the levels {' and '.join(LEVELS)}, not {level!r}.")
    with resources.files("cospeech").joinpath("assets/mannequin.npz").open("rb") as file:
        baked = dict(np.load(file, allow_pickle=False))
    faces = baked["light_faces" if level == "light" else "faces"].astype(np.int32)
    kept = np.unique(faces)
    number = np.full(len(baked["vertices"]), -1, dtype=np.int32)
    number[kept] = np.arange(len(kept))

    moving = np.unique(baked["shape_vertices"])
    deltas = np.zeros((len(ARKIT), len(number), 3), dtype=np.float32)
    shape = np.repeat(np.arange(len(ARKIT)), baked["shape_counts"])
    deltas[shape, baked["shape_vertices"]] = baked["shape_deltas"]
    moving = moving[number[moving] >= 0]
    return Body(
        name="mannequin",
        licence="CC0-1.0",
        vertices=baked["vertices"][kept],
        faces=number[faces],
        joints=baked["joints"],
        weight_indices=baked["weight_indices"][kept].astype(np.int32),
        weight_values=baked["weight_values"][kept].astype(np.float32) / 255,
        embeds_licensed_mesh=False,
        colours=baked["colours"][kept],
        face_shapes=FaceShapes(number[moving], np.ascontiguousarray(deltas[:, moving])),
        light_faces=number[baked["light_faces"]] if level == "full" else None,
    )


_MEAN_HANDS = "hands_meanl", "hands_meanr"


def load_smplx(path: str | Path, betas: np.ndarray | None = None) -> Body:
    """A body from the user's own SMPL-X model file (SMPLX_NEUTRAL_2020.npz and its siblings).

    Args:
        path: The npz file of the SMPL-X project. It is licensed to its user: this package contains none of it.
        betas: (300,) or fewer shape coefficients; the average shape without them.

    Pickled members of the file are never opened. Skin weights are cut to the four largest of each vertex.
    """
    path = Path(path)
    arrays = _read_smplx(path)
    template, directions = arrays["v_template"], arrays["shapedirs"]
    if betas is not None:
        count = min(_SHAPE_SPACE if directions.shape[-1] >= _SHAPE_SPACE else 10, directions.shape[-1], len(betas))
        template = template + directions[:, :, :count] @ np.asarray(betas, dtype=np.float64)[:count]
    weights = arrays["weights"]
    indices = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    values = np.take_along_axis(weights, indices, axis=1)
    values = values / values.sum(axis=1, keepdims=True)
    correctives = arrays.get("posedirs")
    if correctives is not None:
        correctives = np.ascontiguousarray(correctives.reshape(-1, correctives.shape[-1]).T, dtype=np.float32)
    expressions = None
    if directions.shape[-1] >= _SHAPE_SPACE + NUM_EXPRESSIONS:
        expressions = directions[:, :, _SHAPE_SPACE : _SHAPE_SPACE + NUM_EXPRESSIONS]
        expressions = np.ascontiguousarray(expressions.reshape(-1, NUM_EXPRESSIONS).T, dtype=np.float32)
    return Body(
        name=path.stem,
        licence="SMPL-X model licence of the file's owner; not for redistribution",
        vertices=template.astype(np.float32),
        faces=arrays["f"].astype(np.int32),
        joints=(arrays["J_regressor"] @ template).astype(np.float32),
        weight_indices=indices.astype(np.int32),
        weight_values=values.astype(np.float32),
        embeds_licensed_mesh=True,
        pose_correctives=correctives,
        expression_shapes=expressions,
        mean_hands=np.concatenate([arrays[hand] for hand in _MEAN_HANDS]).reshape(-1, 3)
        if arrays.keys() >= {*_MEAN_HANDS}
        else None,
    )


def _read_smplx(path: Path) -> Mapping[str, np.ndarray]:
    """The members that make a body, checked; joint count and parents must be those of SMPL-X."""
    needed = ("v_template", "f", "J_regressor", "weights", "shapedirs", "kintree_table")
    optional = ("posedirs", *_MEAN_HANDS)
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path):  # an npz is a zip; a bare pickle or npy stops here
            pass
        with np.load(path, allow_pickle=False) as file:
            for key in (*needed, *(key for key in optional if key in file.files)):
                if key not in file.files:
                    raise DataError(f"{path}: no `{key}` inside. Use a model file such as SMPLX_NEUTRAL_2020.npz.")
                arrays[key] = file[key]
    except ValueError:  # numpy's refusal of a pickled member
        raise DataError(
            f"{path}: parts of it are pickled, which is not opened because it could run code. "
            "Use the npz file as the SMPL-X project distributes it."
        ) from None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: not readable as an npz file ({error}). Use SMPLX_NEUTRAL_2020.npz.") from None

    count = max(arrays["v_template"].shape[:1], default=0)
    expected = {
        "v_template": (count, 3),
        "f": (*arrays["f"].shape[:1], 3),
        "J_regressor": (NUM_JOINTS, count),
        "weights": (count, NUM_JOINTS),
        "shapedirs": (count, 3, arrays["shapedirs"].shape[-1] if arrays["shapedirs"].ndim else 0),
        "kintree_table": (2, NUM_JOINTS),
        "posedirs": (count, 3, (NUM_JOINTS - 1) * 9),
        **dict.fromkeys(_MEAN_HANDS, (3 * 15,)),
    }
    for key, array in arrays.items():
        if array.shape != expected[key] or array.dtype.kind not in "iuf":
            raise DataError(
                f"{path}: `{key}` is {array.dtype} {array.shape}, an SMPL-X model has {expected[key]}. "
                "Use an SMPL-X file, not SMPL or SMPL-H."
            )
        if not np.isfinite(array).all():
            raise DataError(f"{path}: `{key}` contains NaN or infinity. The file is damaged; download it again.")
    if tuple(arrays["kintree_table"][0, 1:].astype(int)) != PARENTS[1:]:
        raise DataError(f"{path}: joints hang together otherwise than in SMPL-X. Use an SMPL-X model file.")
    if not (arrays["weights"].sum(axis=1) > 0).all():
        raise DataError(f"{path}: some vertices belong to no joint. The file is damaged; download it again.")
    if arrays["f"].size and not 0 <= int(arrays["f"].min()) <= int(arrays["f"].max()) < count:
        raise DataError(f"{path}: faces name vertices that are not there. The file is damaged; download it again.")
    return arrays
