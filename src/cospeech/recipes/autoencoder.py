"""Train one of MambaTalk's five autoencoders, with the published losses or without their mistakes.

A run ends with `autoencoder.safetensors` in its directory.

[1] Liu et al. 2024, EMAGE, arXiv:2401.00374, whose autoencoders MambaTalk took over, and the settings of its code

Axes: B clips, T frames, C channels, J joints of a part, V vertices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from cospeech import body as bodies
from cospeech import features, rotation, skeleton
from cospeech.body import Body
from cospeech.data.store import Store
from cospeech.data.stored import ClipInfo, StoredClip
from cospeech.data.windows import Windows
from cospeech.errors import DataError
from cospeech.formats.output import replacing
from cospeech.models.mambatalk import TRANSLATION, Autoencoder, AutoencoderConfig
from cospeech.quirks import Protocol
from cospeech.recipes.loop import Run, Training

RESULT = "autoencoder.safetensors"
FPS = 30.0
SKATING, STANDING = 20.0, 0.95  # weight of feet that move, and how sure the network must be that they stand
WALKING = 5.0  # weight of changes of the place
HAS = {"face": "speech", "upper": "upper", "hands": "hands", "lower": "lower", TRANSLATION: "lower"}


@dataclass(frozen=True)
class TrainAutoencoder:
    """Args:
    part: face, upper, hands, lower or translation.
    sources: Share of the windows from each source.
    protocol: "published" makes the mistakes by which the released weights were shaped: what should be the speed of a
        vertex is its distance to the next one in the list; the two faces that are compared have swapped expressions;
        feet skate as if the pelvis stood still.
    body: The user's SMPL-X file for the losses over the mesh; None: the body that comes with this package, on which
        of the face the jaw alone is seen.
    """

    store: Path
    part: str
    sources: dict[str, float]
    model: AutoencoderConfig
    training: Training
    window_frames: int = 64
    protocol: Protocol = "corrected"
    body: Path | None = None


def train(config: TrainAutoencoder, directory: Path) -> None:
    clips = [clip for clip in Store(config.store).clips("train") if usable(clip.info, config.part)]
    if not clips:
        raise DataError(f"{config.store}: no training clip has what the part `{config.part}` learns from.")
    vectors = [{"motion": vectors_of(clip, config.part)} for clip in clips]
    windows = Windows(vectors, [clip.info.source for clip in clips], config.sources, config.window_frames)
    losses = LOSSES[config.part]
    shape = bodies.load_smplx(config.body) if config.body else bodies.mannequin("light")

    run = Run(directory, config, config.training, lambda: Autoencoder(config.model))
    for _ in run.steps():
        batch = windows.batch(config.training.batch_size, *run.key())
        motion = torch.from_numpy(batch["motion"]).to(run.device)  # (B, T, C)
        made, coded = run.model(_hidden(motion) if config.part == TRANSLATION else motion)
        terms = losses(config.part, made.float(), motion, shape, config.protocol)
        if coded is not None:
            terms["codes"] = coded.loss
        logged = dict(terms) | ({"perplexity": coded.perplexity} if coded is not None else {})
        run.update(torch.stack([*terms.values()]).sum(), **logged)

    if run.fabric.is_global_zero:
        with replacing(directory / RESULT) as path:  # the last file: it says that all is done
            save_file({name: tensor.contiguous() for name, tensor in run.averaged().items()}, path)
    run.fabric.barrier()  # nobody reads what is not written yet


def usable(info: ClipInfo, part: str) -> bool:
    """Whether what a part learns from is real in a clip, of somebody who speaks."""
    return {HAS[part], "speech"} <= set(info.has) and (part != "face" or info.has_expressions)


def vectors_of(clip: StoredClip, part: str) -> np.ndarray:
    """(T, C) of a part, see `cospeech.features`."""
    if part == "face":
        assert clip.expressions is not None
        return features.flame_channels(clip.poses, clip.expressions)
    if part in ("lower", TRANSLATION):
        return features.legs_channels(clip.poses, clip.translation)
    return features.encode(part, clip.poses, clip.translation)


def _hidden(legs: Tensor) -> Tensor:
    """Legs without their place and contacts, from which the place is to be found."""
    hidden = legs.clone()
    hidden[..., features.LEGS_MOVE.start :] = 0
    return hidden


# --- losses: part, what was made, what it should be, body, protocol -> terms that are added up ------------------------


def of_rotations(part: str, made: Tensor, motion: Tensor, body: Body, protocol: Protocol) -> dict[str, Tensor]:
    """Upper body and hands: how joints turn, how that changes, and where the skin is."""
    return over_joints(features.layout(part).joints, made, motion, body, protocol)


def over_joints(
    joints: tuple[int, ...], made: Tensor, motion: Tensor, body: Body, protocol: Protocol
) -> dict[str, Tensor]:
    """Of (B, T, 6 J) rotations of some joints, the others at rest."""
    ours, theirs = (matrices(each) for each in (made, motion))
    terms = {"rotation": geodesic(ours, theirs), **_changes(ours, theirs, F.l1_loss)}
    skins = [bodies.skin(body, posed(each, joints), _still(each)) for each in (ours, theirs)]
    return terms | _over_skin(*skins, protocol, F.l1_loss)


def of_face(part: str, made: Tensor, motion: Tensor, body: Body, protocol: Protocol) -> dict[str, Tensor]:
    """Jaw, expressions, and where the skin is."""
    ours, theirs = (matrices(each[..., :6]) for each in (made, motion))
    shown = [each[..., 6:] for each in (made, motion)]
    terms = {"rotation": geodesic(ours, theirs), **_changes(ours, theirs, F.mse_loss)}
    for order, name in enumerate(("expressions", "expressions speed", "expressions acceleration")):
        terms[name] = F.mse_loss(*(each.diff(n=order, dim=1) for each in shown))
    if protocol == "published":
        shown.reverse()
    skins = []
    for jaw, expressions in zip((ours, theirs), shown, strict=True):
        poses = posed(jaw, (skeleton.JAW,))
        skins.append(bodies.skin(body, poses, _still(poses), _opened(jaw), expressions))
    return terms | _over_skin(*skins, protocol, F.mse_loss)


def of_legs(part: str, made: Tensor, motion: Tensor, body: Body, protocol: Protocol) -> dict[str, Tensor]:
    """How legs turn, where joints are, whether feet touch the ground, and that they stand where they do."""
    ours, theirs = (matrices(each[..., : features.LEGS_MOVE.start]) for each in (made, motion))
    terms = {"rotation": geodesic(ours, theirs), **_changes(ours, theirs, F.l1_loss)}
    touches = made[..., features.LEGS_CONTACTS]
    terms["contact"] = F.mse_loss(touches, motion[..., features.LEGS_CONTACTS])
    place = _still(ours) if protocol == "published" else motion[..., features.LEGS_MOVE]
    joints = [bodies.joint_positions(body, posed(each, skeleton.LOWER), place) for each in (ours, theirs)]
    return terms | {"joints": F.mse_loss(*joints), "skating": _skating(joints[0], touches)}


def of_translation(part: str, made: Tensor, motion: Tensor, body: Body, protocol: Protocol) -> dict[str, Tensor]:
    """Where the body goes, of what its legs do; their rotations are as they should be."""
    legs = matrices(motion[..., : features.LEGS_MOVE.start])
    place = motion[..., features.LEGS_MOVE]
    wanted = speed(place)
    found = made[..., features.LEGS_MOVE]
    touches = made[..., features.LEGS_CONTACTS]
    terms = {"contact": F.mse_loss(touches, motion[..., features.LEGS_CONTACTS])}
    level = [0, 2]
    for order, (name, weight) in enumerate((("speed", 1.0), ("acceleration", WALKING), ("jerk", WALKING))):
        pair = (each[..., level].diff(n=order, dim=1) for each in (found, wanted))
        terms[name] = weight * 2 * F.l1_loss(*pair)  # of x and of z
    walked = _walked(found, place[:, 0])
    for order, (name, weight) in enumerate((("place", 1.0), ("step", WALKING), ("step change", WALKING))):
        terms[name] = weight * F.l1_loss(*(each.diff(n=order, dim=1) for each in (walked, place)))
    poses = posed(legs, skeleton.LOWER)
    skins = [bodies.skin(body, poses, each) for each in (walked, place)]
    terms["skin"] = F.mse_loss(*skins)
    for order, name in ((1, "skin speed"), (2, "skin acceleration")):
        terms[name] = WALKING * F.mse_loss(*(_along(each, order, protocol) for each in skins))
    terms["skating"] = _skating(bodies.joint_positions(body, poses, walked), touches)
    return terms


LOSSES: Mapping[str, Callable[[str, Tensor, Tensor, Body, Protocol], dict[str, Tensor]]] = {
    "face": of_face,
    "upper": of_rotations,
    "hands": of_rotations,
    "lower": of_legs,
    TRANSLATION: of_translation,
}


def matrices(vectors: Tensor) -> Tensor:
    """(B, T, 6 J) -> (B, T, J, 3, 3)."""
    return rotation.rotation_6d_to_matrix(vectors.unflatten(-1, (-1, 6)))


def geodesic(a: Tensor, b: Tensor) -> Tensor:
    """Mean angle between rotations (..., 3, 3), radians."""
    cosine = ((a * b).sum(dim=(-1, -2)) - 1) / 2
    return cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos().mean()


def posed(rotations: Tensor, joints: tuple[int, ...]) -> Tensor:
    """(B, T, J, 3, 3) of some joints -> (B, T, 55, 3, 3), the others at rest."""
    whole = torch.eye(3, device=rotations.device).expand(*rotations.shape[:2], skeleton.NUM_JOINTS, 3, 3)
    return whole.index_copy(2, torch.tensor(joints, device=rotations.device), rotations)


def _opened(jaw: Tensor) -> Tensor:
    """(B, T, 1, 3, 3) -> (B, T, 52) ARKit weights of a face of which the jaw alone is known."""
    opening = torch.atan2(jaw[..., 0, 2, 1], jaw[..., 0, 1, 1]) / skeleton.JAW_OPEN_RADIANS
    face = torch.zeros(*opening.shape, len(skeleton.ARKIT), device=jaw.device)
    return face.index_copy(2, torch.tensor([skeleton.JAW_OPEN], device=jaw.device), opening[..., None])


def speed(place: Tensor) -> Tensor:
    """(B, T, 3) metres -> (B, T, 3) metres a second, central differences, one-sided at the ends; height as it is."""
    speeds = torch.cat(
        [place[:, 1:2] - place[:, :1], (place[:, 2:] - place[:, :-2]) / 2, place[:, -1:] - place[:, -2:-1]], 1
    )
    speeds = speeds * FPS
    speeds[..., 1] = place[..., 1]
    return speeds


def _walked(speeds: Tensor, start: Tensor) -> Tensor:
    """Inverse of `speed`, from (B, 3) on; see `features.walked`."""
    before = torch.cat([torch.zeros_like(speeds[:, :1]), speeds[:, :-1].cumsum(dim=1) / FPS], dim=1)
    return torch.stack([start[:, None, 0] + before[..., 0], speeds[..., 1], start[:, None, 2] + before[..., 2]], dim=-1)


def _still(like: Tensor) -> Tensor:
    return torch.zeros(*like.shape[:2], 3, device=like.device)


def _changes(ours: Tensor, theirs: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Tensor]:
    names = {1: "rotation speed", 2: "rotation acceleration"}
    return {name: loss(*(each.diff(n=order, dim=1) for each in (ours, theirs))) for order, name in names.items()}


def _over_skin(
    ours: Tensor, theirs: Tensor, protocol: Protocol, loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    terms = {"skin": F.mse_loss(ours, theirs)}
    for order, name in ((1, "skin speed"), (2, "skin acceleration")):
        terms[name] = loss(*(_along(each, order, protocol) for each in (ours, theirs)))
    return terms


def _along(skin: Tensor, order: int, protocol: Protocol) -> Tensor:
    """Differences of (B, T, V, 3) over time, or as published from one vertex to the next."""
    return skin.diff(n=order, dim=2 if protocol == "published" else 1)


def _skating(joints: Tensor, touches: Tensor) -> Tensor:
    """How far feet move while they stand, of (B, T, 55, 3) joints and (B, T, 4) contacts."""
    steps = joints[:, :, features.TOUCHING].diff(dim=1).abs()
    steps = F.pad(steps, (0, 0, 0, 0, 0, 1))  # the last frame goes nowhere
    return SKATING * (steps * (touches > STANDING)[..., None]).mean()
