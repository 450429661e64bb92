"""AMASS: optical motion capture of many laboratories as SMPL-H or SMPL-X.

Mahmood et al. 2019, AMASS, arXiv:1904.03278. Layout: `SUBSET/SUBJECT/NAME_poses.npz` (SMPL-H) or `NAME_stageii.npz`
(SMPL-X); other npz files hold shapes of bodies. There is no speech in it.

The SMPL-X files all say 120 frames a second, whatever they have. Their twins among the SMPL-H files say the truth.
Source of which are twins: SynTalker, arXiv:2410.00464, its preprocessing.
"""

import glob
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cospeech import skeleton
from cospeech.data.clips import Clip, Job, pack
from cospeech.data.stored import StoredClip
from cospeech.errors import DataError
from cospeech.formats import npz
from cospeech.motion import Motion

LICENCE = "AMASS, {subset}: non-commercial research, not to be passed on; cite AMASS and {subset}"
SOURCE = "amass"
OWN_RATE = " (own rate)"  # after a source: files that nobody knows to have the frame rate they say
FPS = 30
_SMPLX, _SMPLH = "_stageii", "_poses"
_RENAMED = {  # what a subset is called on the download page -> in SMPL-H's archives and in HumanML3D
    "BMLrub": "BioMotionLab_NTroje",
    "DFaust": "DFaust_67",
    "EyesJapanDataset": "Eyes_Japan_Dataset",
    "HDM05": "MPI_HDM05",
    "MoSh": "MPI_mosh",
    "PosePrior": "MPI_Limits",
    "SSM": "SSM_synced",
    "TCDHands": "TCD_handMocap",
    "Transitions": "Transitions_mocap",
}
_NOT_TWINS = ("BMLmovi", "BMLhandball", "DFaust_67")  # names do not say which SMPL-H file is which SMPL-X file
_SPLITS = {  # as AMASS recommends; the rest is for training
    **dict.fromkeys(("HumanEva", "MPI_HDM05", "SFU", "MPI_mosh"), "val"),
    **dict.fromkeys(("Transitions_mocap", "SSM_synced"), "test"),
}
_STILL = 1e-3  # radians: fingers that turn less were not recorded


class Take(NamedTuple):
    name: str  # "CMU/01/01_01", without spaces
    path: Path
    twin: Path | None  # SMPL-H file that says its frame rate

    @property
    def subset(self) -> str:
        return self.name.partition("/")[0]

    @property
    def licence(self) -> str:
        return LICENCE.format(subset=self.subset)

    @property
    def doubt(self) -> str:
        """Nothing, or what marks the source of files whose frame rate may be wrong."""
        return OWN_RATE if self.twin is None and self.path.stem.endswith(_SMPLX) else ""


def jobs(source: Path, smplh: Path | None = None) -> list[Job]:
    """All motions below a folder.

    Args:
        smplh: Folder with the same as SMPL-H, for the frame rates of SMPL-X files.

    Raises:
        DataError: there are none.
    """
    return [Job(f"{SOURCE}/{take.name}", partial(read, take), take.doubt) for take in takes(source, smplh)]


def takes(source: Path, smplh: Path | None = None) -> list[Take]:
    """As of `jobs`, in the order of their names."""
    twins = {name: path for name, path in _motions(smplh) if path.stem.endswith(_SMPLH)} if smplh else {}
    if smplh and not twins:
        raise DataError(f"{smplh}: no SUBSET/SUBJECT/*{_SMPLH}.npz below it. Give the folder of AMASS as SMPL-H.")
    found = [Take(name, path, _twin(name, path, twins)) for name, path in _motions(source)]
    if not found:
        raise DataError(f"{source}: no SUBSET/SUBJECT/*.npz with motion below it. Give the folder of AMASS.")
    return sorted(found)


def _twin(name: str, path: Path, twins: dict[str, Path]) -> Path | None:
    if not path.stem.endswith(_SMPLX) or name.startswith(tuple(f"{subset}/" for subset in _NOT_TWINS)):
        return None
    return twins.get(name)


def _motions(folder: Path) -> list[tuple[str, Path]]:
    """Names and files; of folders that are links, too, as people put subsets together."""
    found = map(Path, glob.glob(f"{glob.escape(str(folder.absolute()))}/**/*.npz", recursive=True))
    return [(take_name(path), path) for path in found if path.stem != "shape" and not path.stem.endswith("_stagei")]


def take_name(path: Path) -> str:
    """SUBSET/SUBJECT/NAME of a motion file: the same for its SMPL-H and its SMPL-X version."""
    *_, subset, subject, _ = ("", "", *path.parts)
    name = path.stem.removesuffix(_SMPLX).removesuffix(_SMPLH)
    return f"{_RENAMED.get(subset, subset)}/{subject}/{name}".replace(" ", "_")


def load(take: Take) -> Motion:
    """Its motion at the frame rate it was recorded at.

    Raises:
        DataError: the file or its twin is missing or damaged.
    """
    motion = npz.read(take.path)
    return replace(motion, fps=npz.read_frame_rate(take.twin)) if take.twin else motion


def recorded(motion: Motion) -> frozenset[str]:
    """What of a body was recorded: of most there are no fingers."""
    fingers = motion.poses[:, skeleton.HANDS]
    turn = np.ptp(fingers, axis=0).max() if len(fingers) else 0.0
    return frozenset({"upper", "lower", "hands"} if turn > _STILL else {"upper", "lower"})


def read(take: Take) -> Iterator[StoredClip]:
    """One clip.

    Raises:
        DataError: as of `load`.
    """
    motion = load(take).resample(FPS)
    split = _SPLITS.get(take.subset, "train")
    clip = Clip(f"{SOURCE}/{take.name}", split, motion, None, (), take.licence, recorded(motion))
    yield pack(clip, SOURCE + take.doubt)
