"""Does a face live: blinks, lips that close in pauses and where they must; and how near is it to the real one.

[1] Yi et al. 2023, TalkSHOW, arXiv:2212.04420, section 4: LVD
[2] MambaTalk, arXiv:2403.09471: EMAGE's code, arXiv:2401.00374

Axes: T frames, V vertices; faces are (T, 52) ARKit weights in the order of `skeleton.ARKIT`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cospeech import skeleton
from cospeech.body import Body
from cospeech.errors import MotionError
from cospeech.metrics.interval import Ratio
from cospeech.quirks import Protocol
from cospeech.rotation import axis_angle_to_matrix

CLOSED = 0.5  # of both eyelids
APART = 0.08  # jawOpen less mouthClose, above which lips do not touch
LIPS = ("p", "b", "m")  # first letters of the sounds that are made with closed lips, in IPA; in ARPABET capitals


def num_blinks(face: np.ndarray) -> int:
    """How often both eyes close. People who talk: 8 to 30 times a minute.

    Source: Bentivoglio et al. 1997, Analysis of blink rate patterns in normal subjects, Movement Disorders 12(6).
    """
    lids = face[:, [skeleton.ARKIT_INDEX["eyeBlinkLeft"], skeleton.ARKIT_INDEX["eyeBlinkRight"]]]
    closed = lids.min(axis=1) > CLOSED
    return int(np.count_nonzero(closed[1:] & ~closed[:-1]) + closed[0])


def pauses(speaking: np.ndarray, fps: float, shortest_s: float = 0.4, edge_s: float = 0.15) -> np.ndarray:
    """(T,) bool: the inside of the pauses of a recording, of those that are long enough for a mouth to close.

    Args:
        speaking: (T,) bool.
        edge_s: How far from the speech on either side.
    """
    marks = np.flatnonzero(np.diff(np.concatenate([[True], speaking, [True]]).astype(int)))
    inside = np.zeros(len(speaking), bool)
    for begin, end in marks.reshape(-1, 2):
        if end - begin >= shortest_s * fps:
            inside[begin + round(edge_s * fps) : end - round(edge_s * fps)] = True
    return inside


def lips_apart(face: np.ndarray) -> np.ndarray:
    """(T,) bool. In ARKit `mouthClose` brings the lips together over an open jaw."""
    return face[:, skeleton.JAW_OPEN] - face[:, skeleton.ARKIT_INDEX["mouthClose"]] > APART


def open_closures(face: np.ndarray, phones: Sequence[tuple[str, float, float]], fps: float) -> tuple[int, int]:
    """In how many of all /p b m/ the lips never meet: (open, all). None should; by chance many do not.

    Args:
        phones: What is said, from which second to which second.
    """
    apart = lips_apart(face)
    met = []
    for text, start_s, end_s in phones:
        first, last = round(start_s * fps), round(end_s * fps)
        if text[:1].lower() in LIPS and last < len(face):
            met.append(not apart[first : max(last, first + 1)].all())
    return len(met) - sum(met), len(met)


def moving_part(body: Body) -> Body:
    """The vertices of a body that jaw, expressions or ARKit shapes move: all that `vertex_mse` and `lvd` need to see.

    A quarter of the shipped body's. It has no triangles.
    """
    moved = body.weights[:, skeleton.JAW] > 0
    if body.face_shapes is not None:
        moved[body.face_shapes.vertices] = True
    rows = [] if body.expression_shapes is None else [body.expression_shapes]
    if body.pose_correctives is not None:
        rows.append(body.pose_correctives[9 * (skeleton.JAW - 1) : 9 * skeleton.JAW])
    for each in rows:
        moved |= each.reshape(len(each), -1, 3).any(axis=(0, 2))
    kept = np.flatnonzero(moved)
    shapes = body.face_shapes

    def columns(rows: np.ndarray | None) -> np.ndarray | None:
        return None if rows is None else rows.reshape(len(rows), -1, 3)[:, kept].reshape(len(rows), -1)

    return replace(
        body,
        vertices=body.vertices[kept],
        faces=np.zeros((0, 3), np.int32),
        weight_indices=body.weight_indices[kept],
        weight_values=body.weight_values[kept],
        colours=None,
        face_shapes=None if shapes is None else shapes._replace(vertices=np.searchsorted(kept, shapes.vertices)),
        pose_correctives=columns(body.pose_correctives),
        expression_shapes=columns(body.expression_shapes),
    )


def meshes(part: Body, jaw: np.ndarray, expressions: np.ndarray) -> np.ndarray:
    """(T, V, 3) float32 of a body that moves jaw and expressions alone: what `body.skin` gives for the rest at zero.

    A tenth of its time, since nothing but the jaw turns.

    Args:
        part: A SMPL-X body, or its `moving_part`.
        jaw: (T, 3) axis-angle.
        expressions: (T, 100) of FLAME.
    """
    assert part.expression_shapes is not None
    turned = axis_angle_to_matrix(jaw.astype(np.float32))  # (T, 3, 3)
    rest = part.vertices.reshape(-1) + expressions.astype(np.float32) @ part.expression_shapes
    if part.pose_correctives is not None:
        rows = part.pose_correctives[9 * (skeleton.JAW - 1) : 9 * skeleton.JAW]
        rest += (turned - np.eye(3, dtype=np.float32)).reshape(-1, 9) @ rows
    found = rest.reshape(len(jaw), -1, 3)
    follow = np.flatnonzero(part.weights[:, skeleton.JAW])
    from_jaw = found[:, follow] - part.joints[skeleton.JAW]
    share = part.weights[follow, skeleton.JAW, None]
    found[:, follow] += share * (from_jaw @ turned.mT - from_jaw)
    return found


def vertex_mse(made: np.ndarray, real: np.ndarray, num_vertices: int | None = None) -> Ratio:
    """Mean squared difference of the coordinates of face vertices (T, V, 3), square metres; clips count by frames.

    0 for the real face, lower is better. Of one mesh: [2] takes all vertices of SMPL-X with the person's shape, jaw and
    expressions, and nothing else of the pose. The same by either protocol.

    Args:
        num_vertices: Of the mesh, where these are its `moving_part`: the others, which do not differ, count as well.
    """
    total = sum(float(((ours - theirs) ** 2).sum()) for ours, theirs in _pieces(made, real))
    return Ratio(total / _numbers(made, num_vertices), len(made))


def lvd(made: np.ndarray, real: np.ndarray, protocol: Protocol = "corrected", num_vertices: int | None = None) -> Ratio:
    """Landmark velocity difference [1]: mean |difference of what coordinates (T, V, 3) do from frame to frame|, metres.

    0 for a face that moves as the real one does, lower is better.

    Args:
        protocol: "published" takes what is made in the next frame less what is real in this one for the velocity of
            what is made, so that this frame cancels out and the difference of places in the next is left: an error of
            position, which a face that rests in its mean place does well in. Clips count by their frames.
        num_vertices: As of `vertex_mse`.

    Returns:
        NaN of a single frame.
    """
    if len(made) < 2:
        return Ratio(np.nan, np.nan)
    numbers = _numbers(made, num_vertices)
    if protocol == "published":
        total = sum(float(np.abs(ours - theirs).sum()) for ours, theirs in _pieces(made[1:], real[1:]))
        return Ratio(total / numbers / (len(made) - 1) * len(made), len(made))
    differences = (ours - theirs for ours, theirs in _pieces(made, real, overlap=1))
    return Ratio(sum(float(np.abs(np.diff(each, axis=0)).sum()) for each in differences) / numbers, len(made) - 1)


_PIECE = 128  # frames at a time: in double precision a minute of a mesh would take gigabytes


def _numbers(vertices: np.ndarray, num_vertices: int | None) -> int:
    """Coordinates in a frame."""
    return 3 * (num_vertices or vertices.shape[1])


def _pieces(made: np.ndarray, real: np.ndarray, overlap: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if made.shape != real.shape:
        raise MotionError(f"A face of {made.shape} cannot be compared with one of {real.shape}.")
    for start in range(0, len(made), _PIECE):
        piece = slice(start, start + _PIECE + overlap)
        yield made[piece].astype(np.float64), real[piece].astype(np.float64)
