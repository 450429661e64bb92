"""Stores -> vectors of HumanML3D as other people's code reads them.

Layout: `new_joint_vecs/NAME.npy` for each clip, `Mean.npy` and `Std.npy` over those for training, `train.txt`,
`val.txt` and `test.txt` with the names, and `about.json` with what they were made of and its licences.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cospeech import positions
from cospeech.body import Body, mannequin
from cospeech.data.statistics import Sums
from cospeech.data.store import Store
from cospeech.data.stored import SPLITS, ClipInfo
from cospeech.errors import DataError
from cospeech.formats.output import replacing
from cospeech.motion import Motion

Kind = Literal["263", "623"]
FRAME_RATES: dict[Kind, int] = {"263": 20, "623": 30}
_FOLDER, _ABOUT = "new_joint_vecs", "about.json"
# Of a body of J joints: turn, step and height of the root, positions, rotations, velocities, contacts.
_GROUPS = {"263": (1, 2, 1, 63, 126, 66, 4), "623": (1, 2, 1, 153, 306, 156, 4)}


def write(
    store: Store,
    out: Path,
    kind: Kind,
    body: Body | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """All clips of a store that are longer than a frame; files that are there already stay as they are.

    Parts of clips that are in the store as a whole are left out: whoever reads vectors cuts them by the texts. The
    deviations are averaged over what is of one kind, such as all positions, as published.

    Args:
        kind: 263: of 22 joints, 20 frames a second; 623: of 52, 30 frames a second.
        body: Whose joints. None: the mannequin's.

    Raises:
        DataError: two clips would be one file, none is for training, or the folder holds something else.
    """
    numbers = {_name(info): number for number, info in enumerate(store.infos)}
    if len(numbers) < len(store.infos):
        raise DataError(f"{store.path}: has clips of several corpora that have one name. Prepare them one by one.")
    _begin(store, out, kind, body)
    encode = positions.body_vectors if kind == "263" else positions.vectors
    learned = Sums()
    listed: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name, number in numbers.items():
        progress(number / len(numbers))
        if name.rpartition("/")[0] in numbers:
            continue
        path = out / _FOLDER / f"{name}.npy"
        if not path.is_file():
            clip = store.clip(number)
            motion = Motion(clip.poses, clip.translation).resample(FRAME_RATES[kind])
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, encode(motion.poses, motion.translation, body))
        vectors = np.load(path)
        if len(vectors):
            listed[store.infos[number].split].append(name)
        if store.infos[number].split == "train":
            learned.add(vectors)
    if not learned.count:
        raise DataError(f"{store.path}: has no clip for training of two frames or more, so that there is no mean.")
    starts = np.cumsum([0, *_GROUPS[kind]])[:-1]
    deviation = np.repeat(np.add.reduceat(learned.std, starts) / _GROUPS[kind], _GROUPS[kind])
    for name, values in (("Mean", learned.mean), ("Std", deviation)):
        with replacing(out / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, values.astype(np.float32))
    for split, some in listed.items():
        with replacing(out / f"{split}.txt") as temporary:
            temporary.write_text("".join(f"{name}\n" for name in some), encoding="utf-8")


def _name(info: ClipInfo) -> str:
    """Without the corpus: `M000012` as others call it."""
    return info.id.partition("/")[2] or info.id


def _begin(store: Store, out: Path, kind: Kind, body: Body | None) -> None:
    about: dict[str, Any] = {
        "store": store.corpus,
        "kind": kind,
        "fps": FRAME_RATES[kind],
        "body": hashlib.sha256((body or mannequin("light")).joints.tobytes()).hexdigest()[:12],
        "licences": sorted({info.licence for info in store.infos}),
    }
    path = out / _ABOUT
    if path.is_file():
        if path.read_text(encoding="utf-8") != json.dumps(about, indent=1):
            raise DataError(f"{out}: holds other vectors (see {_ABOUT}). Choose another folder or remove it.")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already and holds something else. Choose a new folder.")
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")
