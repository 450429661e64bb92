"""Motion -> .usd or .usda: a skinned body that moves, for Omniverse, Houdini, Maya, Blender and Unreal.

One skeleton of 55 joints with SMPL-X names, at rest in the T pose on y = 0; one mesh with its weights and, where the
body has them, the 52 ARKit shapes under their names; one animation with a time sample for each frame. Metres, y up,
time codes are frames. The stage's custom layer data hold the motion's metadata. As in glTF, bulges where joints bend
are left out.

Source: Pixar, UsdSkel schemas of OpenUSD.
"""

# pyright: reportAttributeAccessIssue=false
# The names of `pxr` come from C++ when it is imported; no file lists them.

from pathlib import Path

import numpy as np

from cospeech import skeleton
from cospeech.body import Body, mannequin
from cospeech.errors import FormatError, MissingExtra
from cospeech.formats import gltf
from cospeech.formats.output import replacing
from cospeech.motion import Motion

_ROOT = "/motion"


def check_tool() -> None:
    """Raise `MissingExtra` where OpenUSD is not installed."""
    try:
        import pxr  # noqa: F401
    except ImportError:
        raise MissingExtra("usd-core", "usd") from None


def write(motion: Motion, path: str | Path, body: Body | None = None, *, embed_licensed_body: bool = False) -> None:
    """Write a motion on a body, the mannequin unless given; .usda as text.

    Args:
        embed_licensed_body: Consent to put a mesh into the file whose licence does not let everyone have it.
    """
    check_tool()
    from pxr import Tf

    body = body or mannequin("full")
    gltf.check_may_embed(body, embed_licensed_body)
    with replacing(path) as temporary:
        try:
            _write_stage(motion, temporary, body)
        except Tf.ErrorException as error:
            reason = error.args[0].commentary  # of the first; others follow from it
            raise FormatError(f"{path}: OpenUSD cannot write it: {reason}. Write elsewhere.") from error


def _write_stage(motion: Motion, path: Path, body: Body) -> None:
    from pxr import Usd, UsdGeom, UsdSkel

    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetFramesPerSecond(motion.fps)
    stage.SetTimeCodesPerSecond(motion.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(max(0, len(motion) - 1))
    stage.SetDefaultPrim(UsdSkel.Root.Define(stage, _ROOT).GetPrim())
    about = {"fps": motion.fps, "body": body.name, "body_licence": body.licence, **motion.metadata}
    stage.GetRootLayer().customLayerData = about
    _skeleton(stage, body)
    _mesh(stage, body)
    _animation(stage, motion, body)
    stage.Save()


def _skeleton(stage, body: Body) -> None:
    from pxr import UsdSkel, Vt

    bones = body.joints.astype(np.float64)
    bones[1:] -= body.joints[list(skeleton.PARENTS[1:])]
    bones[0] += skeleton.REST_TRANSLATION
    joints = UsdSkel.Skeleton.Define(stage, f"{_ROOT}/skeleton")
    joints.CreateJointsAttr(_joint_paths())
    joints.CreateBindTransformsAttr(Vt.Matrix4dArray.FromNumpy(_shifts(body.joints)))
    joints.CreateRestTransformsAttr(Vt.Matrix4dArray.FromNumpy(_shifts(bones)))
    binding = UsdSkel.BindingAPI.Apply(joints.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([f"{_ROOT}/skeleton/animation"])


def _joint_paths() -> list[str]:
    """Names of the joints behind those of all that they hang on: "pelvis/left_hip/left_knee"."""
    paths: list[str] = []
    for name, parent in zip(skeleton.JOINTS, skeleton.PARENTS, strict=True):
        paths.append(f"{paths[parent]}/{name}" if parent >= 0 else name)
    return paths


def _shifts(offsets: np.ndarray) -> np.ndarray:
    """(J, 3) -> (J, 4, 4); USD multiplies rows from the left, so the shift is the last row."""
    matrices = np.tile(np.eye(4), (len(offsets), 1, 1))
    matrices[:, 3, :3] = offsets
    return matrices


def _mesh(stage, body: Body) -> None:
    from pxr import Gf, Sdf, UsdGeom, UsdSkel, Vt

    mesh = UsdGeom.Mesh.Define(stage, f"{_ROOT}/body")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(body.vertices.astype("f4")))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(body.faces), 3, "i4")))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(body.faces.astype("i4").reshape(-1)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([body.vertices.min(0), body.vertices.max(0)]).astype("f4")))
    if body.colours is not None:
        colours = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "displayColor", Sdf.ValueTypeNames.Color3fArray, UsdGeom.Tokens.vertex
        )
        colours.Set(Vt.Vec3fArray.FromNumpy(gltf.linear_colours(body.colours).astype("f4")))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([f"{_ROOT}/skeleton"])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))
    influences = body.weight_indices.shape[1]
    binding.CreateJointIndicesPrimvar(False, influences).Set(
        Vt.IntArray.FromNumpy(body.weight_indices.astype("i4").reshape(-1))
    )
    binding.CreateJointWeightsPrimvar(False, influences).Set(
        Vt.FloatArray.FromNumpy(body.weight_values.astype("f4").reshape(-1))
    )
    if body.face_shapes is not None:
        shapes = body.face_shapes
        for name, deltas in zip(skeleton.ARKIT, shapes.deltas, strict=True):
            moved = np.flatnonzero(np.any(deltas != 0, axis=1))
            shape = UsdSkel.BlendShape.Define(stage, f"{_ROOT}/body/{name}")
            shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(deltas[moved].astype("f4")))
            shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(shapes.vertices[moved].astype("i4")))
        binding.CreateBlendShapesAttr(list(skeleton.ARKIT))
        binding.CreateBlendShapeTargetsRel().SetTargets([f"{_ROOT}/body/{name}" for name in skeleton.ARKIT])


def _animation(stage, motion: Motion, body: Body) -> None:
    from pxr import Gf, UsdSkel, Vt

    animation = UsdSkel.Animation.Define(stage, f"{_ROOT}/skeleton/animation")
    animation.CreateJointsAttr(_joint_paths())
    animation.CreateScalesAttr([Gf.Vec3h(1, 1, 1)] * skeleton.NUM_JOINTS)
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    bones = body.joints.astype("f4")
    bones[1:] -= body.joints[list(skeleton.PARENTS[1:])]
    quaternions = gltf.continuous_quaternions(motion.poses).swapaxes(0, 1)  # (T, 55, 4) x, y, z, w: as USD stores them
    for frame, (turned, moved) in enumerate(zip(quaternions, motion.translation + body.joints[0], strict=True)):
        bones[0] = moved
        translations.Set(Vt.Vec3fArray.FromNumpy(bones), frame)
        rotations.Set(Vt.QuatfArray.FromNumpy(np.ascontiguousarray(turned)), frame)
    face = motion.shown_face()
    if face is not None and body.face_shapes is not None:
        animation.CreateBlendShapesAttr(list(skeleton.ARKIT))
        weights = animation.CreateBlendShapeWeightsAttr()
        for frame, shown in enumerate(face):
            weights.Set(Vt.FloatArray.FromNumpy(shown.astype("f4")), frame)
