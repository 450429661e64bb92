"""USD files, read by OpenUSD's own skeleton queries: joints, skinned vertices, face shapes and times."""

import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from readers import talking

from cospeech import skeleton
from cospeech.body import JointTransforms, joint_transforms, mannequin, skin
from cospeech.errors import FormatError, MissingExtra
from cospeech.files import writer_for
from cospeech.formats import usd
from cospeech.motion import Motion

pytest.importorskip("pxr", reason="pip install 'cospeech[usd]'")
from pxr import Gf, Usd, UsdGeom, UsdSkel


@pytest.fixture
def motion(rng) -> Motion:
    return talking(rng, 40)


class Stage:
    """What OpenUSD makes of a file."""

    def __init__(self, path):
        self.stage = Usd.Stage.Open(str(path))
        root = UsdSkel.Root(self.stage.GetDefaultPrim())
        cache = UsdSkel.Cache()
        cache.Populate(root, Usd.PrimDefaultPredicate)
        (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
        self.query = cache.GetSkelQuery(binding.GetSkeleton())
        self.skinning = binding.GetSkinningTargets()[0]
        self.mesh = UsdGeom.Mesh(self.skinning.GetPrim())

    def joints(self, frame: float) -> tuple[np.ndarray, np.ndarray]:
        """(55, 3) positions and (55, 3, 3) rotations in the world; USD's matrices act on rows."""
        matrices = np.array(self.query.ComputeJointSkelTransforms(frame))
        return matrices[:, 3, :3], matrices[:, :3, :3].swapaxes(1, 2)

    def vertices(self, frame: float) -> np.ndarray:
        points = self.mesh.GetPointsAttr().Get()
        animation = self.query.GetAnimQuery()
        if self.skinning.HasBlendShapes():
            mapped = self.skinning.GetBlendShapeMapper().Remap(animation.ComputeBlendShapeWeights(frame))
            shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(self.mesh.GetPrim()))
            sub_weights, indices, sub_indices = shapes.ComputeSubShapeWeights(mapped)
            assert shapes.ComputeDeformedPoints(
                sub_weights,
                indices,
                sub_indices,
                shapes.ComputeBlendShapePointIndices(),
                shapes.ComputeSubShapePointOffsets(),
                points,
            )
        assert self.skinning.ComputeSkinnedPoints(self.query.ComputeSkinningTransforms(frame), points, frame)
        return np.array(points)


@pytest.mark.parametrize("suffix", [".usd", ".usda"])
def test_joints_agree(suffix, motion, assert_joints_agree, tmp_path):
    usd.write(motion, tmp_path / f"talk{suffix}")
    stage = Stage(tmp_path / f"talk{suffix}")
    expected = joint_transforms(mannequin(), motion.poses.astype(float), motion.translation.astype(float))
    for frame in (0, 17, 39):
        assert_joints_agree(*stage.joints(frame), JointTransforms(expected.rotations[frame], expected.positions[frame]))


def test_the_skinned_and_shaped_mesh_is_that_of_the_body(motion, tmp_path):
    usd.write(motion, tmp_path / "talk.usd")
    stage, body = Stage(tmp_path / "talk.usd"), mannequin()
    for frame in (0, 20):
        one = slice(frame, frame + 1)
        expected = skin(body, motion.poses[one], motion.translation[one], motion.face[one])
        np.testing.assert_allclose(stage.vertices(frame), expected[0], atol=1e-4)


def test_shapes_have_arkit_names_and_a_silent_face_none_of_their_keys(motion, tmp_path):
    usd.write(motion, tmp_path / "talk.usd")
    stage = Stage(tmp_path / "talk.usd")
    assert tuple(UsdSkel.BindingAPI(stage.mesh.GetPrim()).GetBlendShapesAttr().Get()) == skeleton.ARKIT
    weights = stage.query.GetAnimQuery().ComputeBlendShapeWeights(17)
    np.testing.assert_allclose(weights, motion.face[17], atol=1e-7)
    poses = motion.poses.copy()
    poses[:, skeleton.JAW] = 0
    usd.write(replace(motion, poses=poses, face=None), tmp_path / "still.usd")
    assert len(Stage(tmp_path / "still.usd").query.GetAnimQuery().GetBlendShapeOrder()) == 0


@pytest.mark.parametrize("fps", [24, 25, 29.97, 60, 120])
def test_units_axes_and_times(fps, rng, tmp_path):
    usd.write(talking(rng, 10, fps), tmp_path / "talk.usd", mannequin("light"))
    stage = Stage(tmp_path / "talk.usd").stage
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert stage.GetTimeCodesPerSecond() == stage.GetFramesPerSecond() == fps
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 9)
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/motion/skeleton/animation"))
    assert animation.GetRotationsAttr().GetTimeSamples() == list(range(10))


def test_at_rest_it_stands_on_the_floor(motion, tmp_path):
    usd.write(motion[:0], tmp_path / "still.usd")
    query = Stage(tmp_path / "still.usd").query
    at_rest = np.array(query.ComputeJointSkelTransforms(0, True))[:, 3, :3]
    np.testing.assert_allclose(at_rest, mannequin().joints + skeleton.REST_TRANSLATION, atol=1e-6)


def test_openusd_has_no_complaints(motion, tmp_path):
    validation = pytest.importorskip("pxr.UsdValidation", reason="this OpenUSD has no validators")
    usd.write(motion, tmp_path / "talk.usd")
    stage = Stage(tmp_path / "talk.usd").stage
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 10
    assert [error.GetErrorAsString() for error in validation.ValidationContext(validators).Validate(stage)] == []


def test_metadata_and_the_licence_of_the_body_are_in_the_layer(motion, tmp_path):
    usd.write(motion, tmp_path / "talk.usd")
    stage = Stage(tmp_path / "talk.usd").stage
    about = {"fps": 30.0, "body": "mannequin", "body_licence": "CC0-1.0", **motion.metadata}
    assert stage.GetRootLayer().customLayerData == about


def test_neighbouring_quaternions_never_change_sign(rng, tmp_path):
    usd.write(talking(rng, 200), tmp_path / "talk.usd", mannequin("light"))
    stage = Stage(tmp_path / "talk.usd").stage
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/motion/skeleton/animation"))
    rotations = [animation.GetRotationsAttr().Get(frame) for frame in range(200)]
    for before, after in pairwise(rotations):
        assert min(Gf.Dot(a, b) for a, b in zip(before, after, strict=True)) > 0.9


def test_a_licensed_body_needs_consent(motion, tmp_path):
    licensed = replace(mannequin("light"), name="SMPLX_NEUTRAL_2020", embeds_licensed_mesh=True)
    with pytest.raises(FormatError, match="--embed-licensed-body"):
        usd.write(motion, tmp_path / "talk.usd", licensed)
    usd.write(motion, tmp_path / "talk.usd", licensed, embed_licensed_body=True)


def test_without_openusd_the_extra_is_named_before_the_slow_part(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MissingExtra, match=r"cospeech\[usd\]"):
        writer_for(tmp_path / "talk.usd")
