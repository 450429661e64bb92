"""A character of the user's, and a motion on it: the other direction of `mocap`.

`load` reads the character and finds the person in it (`matching`, `moving.fit`); `Character.write` moves its bones
(`moving`) and its face (`face`) and writes them with all else that was in its file (`formats.rig_gltf`, `rig_bvh`).
An .fbx becomes a .glb first, and that one an .fbx again (`formats.fbx`).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from cospeech import skeleton
from cospeech.capture import Movement
from cospeech.character import face, matching, moving
from cospeech.errors import DataError, FormatError, MotionError
from cospeech.formats import fbx, rig_bvh, rig_gltf
from cospeech.formats.output import check_target
from cospeech.motion import Motion
from cospeech.skeleton import INDEX

_WRITES = {  # what a character can be written as
    ".vrm": (".vrm", ".glb", ".bvh"),
    ".glb": (".glb", ".bvh"),
    ".fbx": (".fbx", ".glb", ".bvh"),
    ".bvh": (".bvh",),
}
SUFFIXES = tuple(_WRITES)  # of what is read
_METRES = 3.0  # a leg is shorter than so many metres, and longer than so many centimetres


@dataclass(frozen=True, eq=False)
class Character:
    path: Path
    file: rig_bvh.RiggedBvh | rig_gltf.RiggedGltf
    fit: moving.Fit

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What it can be written as, its own format first."""
        return _WRITES[self.path.suffix.lower()]

    def check_writes(self, path: str | Path) -> None:
        """Raise `FormatError` when the character cannot become the file `path`. Touches nothing."""
        if Path(path).suffix.lower() not in self.suffixes:
            own = self.path.suffix.lower()
            raise FormatError(f"{path}: a {own} character can be written as {', '.join(self.suffixes)}.")
        check_target(path)
        if Path(path).resolve() == self.path.resolve():
            raise FormatError(f"{path}: is the character itself. Write elsewhere.")

    def write(self, motion: Motion, path: str | Path) -> None:
        """Write the character with a motion on it. A file of bones alone (.bvh) has no face."""
        self.check_writes(path)
        shapes: dict[int, np.ndarray] = {}
        shown = motion.shown_face()
        if shown is not None and isinstance(self.file, rig_gltf.RiggedGltf):
            shapes = face.weights(shown, self.file.face)
        opens = bool(shapes) and face.opens_mouth(self.file.face)
        movement = moving.move(motion, self.fit, frozenset({"jaw"} if opens else ()))
        suffix = Path(path).suffix.lower()
        if isinstance(self.file, rig_gltf.RiggedGltf) and suffix == ".bvh":
            self._write_bones(movement, path)
        elif isinstance(self.file, rig_gltf.RiggedGltf) and suffix == ".fbx":
            whole = replace(movement, fps=fbx.glb_fps(motion.fps))
            data = self.file.to_bytes(whole, shapes)
            fbx.from_glb(data, path, motion.fps, len(motion), motion.metadata)
        else:
            self.file.write(path, movement, shapes)

    def _write_bones(self, movement: Movement, path: str | Path) -> None:
        bones, fit = self.file.bones, self.fit
        joints = set(fit.person.skeleton) | {fit.root}
        top = fit.root
        while (above := bones.nearest_above(top, joints)) >= 0:
            top = above
        kept = [j for j in sorted(joints) if bones.is_below(j, top)]
        rig_bvh.write_bones(path, bones, kept, movement, 100.0 if fit.legs < _METRES else 1.0)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What had to be assumed and what is missing, in words."""
        fit, joints = self.fit, self.fit.person.joints
        notes = [fit.person.known_as]
        if missing := missing_joints(joints):
            notes.append(f"no {', '.join(missing)}")
        if fit.rolls:
            notes.append(f"twist bones that share the turn of the hands: {len(fit.rolls)}")
        if isinstance(self.file, rig_gltf.RiggedGltf):
            notes.append(f"face: {face.shown(self.file.face) or 'none with names of ARKit or VRM'}")
            notes += self.file.licence
        return tuple(notes)


def load(path: str | Path) -> Character:
    """Read a character: .vrm (0 and 1), .glb, .fbx (through a Blender on this machine) or .bvh.

    Raises:
        FormatError: the suffix is none of these, or there is no Blender.
        DataError: the file cannot be read, or there is no person in it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _WRITES:
        advice = "Save it as one binary .glb." if suffix == ".gltf" else f"Known: {', '.join(SUFFIXES)}."
        raise FormatError(f"{path}: {suffix or 'a file without a suffix'} is not read as a character. {advice}")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a character.")
    try:
        if suffix == ".fbx":
            return _fitted(path, rig_gltf.parse(fbx.to_glb(path), path))
        if suffix != ".bvh":
            return _fitted(path, rig_gltf.read(path))
        file = rig_bvh.read(path)
        try:
            return _fitted(path, file)
        except MotionError:
            if not len(file.bvh.values):
                raise
        return _fitted(path, rig_bvh.read(path, posed=True))  # its rest pose is none of a person
    except MotionError as error:
        raise DataError(f"{path}: {error}") from error


def missing_joints(joints: dict[str, int]) -> list[str]:
    """What a whole character has besides what it must have, in words."""
    missing = ["head"] if "head" not in joints else []
    for part, names in (("collar bones", "collar"), ("toes", "foot")):
        if not all(f"{side}_{names}" in joints for side in moving.SIDES):
            missing.append(part)
    fingers = [name for name in joints if INDEX[name] in skeleton.HANDS]
    if not fingers:
        missing.append("fingers")
    elif len(fingers) < len(skeleton.HANDS):
        missing.append(f"{len(skeleton.HANDS) - len(fingers)} of {len(skeleton.HANDS)} finger bones")
    return missing


def _fitted(path: Path, file: rig_bvh.RiggedBvh | rig_gltf.RiggedGltf) -> Character:
    person = matching.match(file.bones)
    if isinstance(file, rig_gltf.RiggedGltf):  # what is known of the axes of bones is known of .bvh files
        person = person._replace(t_pose={})
    return Character(path, file, moving.fit(file.bones, person))
