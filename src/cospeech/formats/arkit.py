"""Motion -> .csv or .json with the 52 face weights of ARKit, and how head and eyes are turned.

The .csv has the layout of Epic's Live Link Face app: `Timecode` as HH:MM:SS:FF.sss (frames and thousandths of a frame,
from zero), `BlendshapeCount` (61), the weights in the app's order, in which right comes before left for jaw and mouth,
then nine angles. The .json holds the same under ARKit's own names, with the seconds of each frame and the metadata:

    {"fps": 30.0, "names": ["eyeBlinkLeft", ...], "metadata": {"model": "starter", ...}, "frames": [{"time": 0.0,
     "weights": [...], "head": [yaw, pitch, roll], "leftEye": [...], "rightEye": [...]}, ...]}

Angles are radians about the body's own axes: yaw to its left, pitch down, roll to its right, R = yaw @ pitch @ roll; of
the head relative to the chest, of the eyes relative to the head. What the app itself writes there depends on how the
phone is held, so readers leave these columns out or let signs be chosen.

Source: header and timecodes as in recordings of Live Link Face; Apple, ARFaceAnchor.BlendShapeLocation.
"""

import csv
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cospeech import rotation, skeleton
from cospeech.errors import CospeechWarning, FormatError
from cospeech.formats.bvh import euler_zxy
from cospeech.formats.output import replacing
from cospeech.motion import Motion

_SWAPPED = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
_APP_ORDER = [_SWAPPED.get(name, name) for name in skeleton.ARKIT]
_ANGLES = [f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")]
COLUMNS = ["Timecode", "BlendshapeCount", *(name[0].upper() + name[1:] for name in _APP_ORDER), *_ANGLES]


def write(motion: Motion, path: str | Path) -> None:
    """Write the face of a motion, or where it has none jawOpen as its jaw joint turns, which is warned of.

    Raises:
        FormatError: nothing of its face moves.
    """
    face = face_or_jaw(motion, path)
    if face is None:
        raise FormatError(
            f"{path}: this motion has no face, and its jaw does not turn. Give it one with --face, or with --face-map "
            "and FLAME expressions."
        )
    write_one = _write_json if Path(path).suffix.lower() == ".json" else _write_csv
    write_one(motion, face, _angles(motion), path)


def face_or_jaw(motion: Motion, path: str | Path) -> np.ndarray | None:
    """`Motion.shown_face`, with a warning where it is of the jaw alone."""
    face = motion.shown_face()
    if face is not None and motion.face is None:
        warnings.warn(
            f"{path}: the motion has no ARKit weights: jawOpen is written, as its jaw joint turns, and nothing else of "
            "the face. --face-map makes weights of FLAME expressions, --face of the speech.",
            CospeechWarning,
            stacklevel=4,
        )
    return face


def _write_csv(motion: Motion, face: np.ndarray, angles: np.ndarray, path: str | Path) -> None:
    order = [skeleton.ARKIT_INDEX[name] for name in _APP_ORDER]
    numbers = np.concatenate([face[:, order], angles.reshape(len(motion), len(_ANGLES))], axis=1)
    with replacing(path) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for timecode, frame in zip(_timecodes(len(motion), motion.fps), numbers.tolist(), strict=True):
            rows.writerow([timecode, numbers.shape[1], *(f"{number:.6f}" for number in frame)])


def _write_json(motion: Motion, face: np.ndarray, angles: np.ndarray, path: str | Path) -> None:
    frames = [
        {"time": t / motion.fps, "weights": weights, "head": head, "leftEye": left, "rightEye": right}
        for t, (weights, (head, left, right)) in enumerate(
            zip(face.astype(float).round(6).tolist(), angles.round(6).tolist(), strict=True)
        )
    ]
    document = {"fps": motion.fps, "names": skeleton.ARKIT, "metadata": dict(motion.metadata), "frames": frames}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document), encoding="utf-8")


def _timecodes(num_frames: int, fps: float) -> Iterator[str]:
    """True times: where `fps` is no whole number, frames are of the next one and have fractions."""
    whole = max(1, round(fps))
    for t in range(num_frames):
        thousandths = round(t / fps * whole * 1000)
        seconds, rest = divmod(thousandths, whole * 1000)
        frame, fraction = divmod(rest, 1000)
        yield f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frame:02}.{fraction:03}"


def _angles(motion: Motion) -> np.ndarray:
    """(T, 3, 3) yaw, pitch and roll of head, left eye and right eye."""
    local = rotation.axis_angle_to_matrix(motion.poses.astype(np.float64))
    head = local[:, skeleton.INDEX["neck"]] @ local[:, skeleton.INDEX["head"]]  # relative to the chest
    turned = np.stack([head, local[:, skeleton.LEFT_EYE], local[:, skeleton.RIGHT_EYE]], axis=1)
    # R = Ry Rx Rz is the inverse of Rz(-roll) Rx(-pitch) Ry(-yaw).
    return -euler_zxy(np.swapaxes(turned, -1, -2))[..., ::-1]
