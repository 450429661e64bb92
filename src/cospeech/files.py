"""Motion -> file and file -> Motion: the suffix picks the writer or the reader.

A new format is a module with `write(motion, path, ...)` or `read(path)`, and a line in `WRITERS` or `READERS`.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cospeech.body import Body
from cospeech.errors import FormatError
from cospeech.formats.output import check_target
from cospeech.motion import Motion
from cospeech.speech import Speech

if TYPE_CHECKING:
    from cospeech.character import Character


class Writer(NamedTuple):
    module: str  # imported when used: some are slow to import
    options: tuple[str, ...] = ()  # of those of `save`, the ones that its `write` takes
    keeps: tuple[str, ...] = ("face",)  # of what a motion has besides a body
    layouts: tuple[str, ...] = ()  # that its `write` knows, its own choice first
    body_only: tuple[str, ...] = ()  # of the layouts, those that keep nothing else
    needs_tool: bool = False  # its module has `check_tool`, which raises where a package or program is missing


_USD = Writer("cospeech.formats.usd", ("body", "embed_licensed_body"), needs_tool=True)
_ARKIT = Writer("cospeech.formats.arkit")
WRITERS: dict[str, Writer] = {
    ".npz": Writer(
        "cospeech.formats.npz",
        ("layout",),
        ("face", "expressions"),
        layouts=("beat2", "amass", "amass-smplh"),
        body_only=("amass", "amass-smplh"),
    ),
    ".bvh": Writer("cospeech.formats.bvh", ("body", "layout"), keeps=(), layouts=("smplx", "mixamo", "beat")),
    ".glb": Writer("cospeech.formats.gltf", ("body", "embed_licensed_body")),
    ".vrma": Writer("cospeech.formats.vrma", ("body", "layout"), layouts=("presets", "perfect-sync")),
    ".fbx": Writer("cospeech.formats.fbx", ("body", "embed_licensed_body"), needs_tool=True),
    ".usd": _USD,
    ".usda": _USD,
    ".csv": _ARKIT,
    ".json": _ARKIT,
    ".html": Writer("cospeech.formats.html", ("audio", "body", "embed_licensed_body")),
    ".npy": Writer("cospeech.formats.npy", keeps=()),
    ".mp4": Writer("cospeech.render", ("audio", "body", "camera", "progress")),
}
READERS: dict[str, str] = {
    ".npz": "cospeech.formats.npz",
    ".bvh": "cospeech.mocap",
    ".amc": "cospeech.mocap",
    ".npy": "cospeech.formats.npy",
}
_CHARACTER = ".vrm"  # keeps what a .glb keeps, and is never written without a character
_FOR_ANY_FORMAT = ("audio", "progress")  # no error where they are of no use: every caller has them


def save(
    motion: Motion,
    path: str | Path,
    *,
    audio: Speech | str | Path | None = None,
    body: Body | None = None,
    camera: str | None = None,
    embed_licensed_body: bool = False,
    layout: str | None = None,
    skeleton: "Character | str | Path | None" = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write a motion to a file, by its suffix: one of `WRITERS`; on a character also .vrm.

    Args:
        path: The file. Folders that are missing are made; a file that is there is replaced when the new one is whole.
        audio: The speech, or its recording; heard in .html and .mp4, left out of the others.
        body: The body to show, or whose skeleton moves, the mannequin unless given. Not for .npz, which has no body.
        camera: Where an .mp4 is seen from, see `cospeech.render`.
        embed_licensed_body: Consent to put the mesh of a licensed `body` into the file.
        layout: Of the formats that have several: .bvh smplx, mixamo or beat (names of joints), .npz beat2, amass or
            amass-smplh (arrays), .vrma presets or perfect-sync (expressions); the first unless given.
        skeleton: A character of your own, .vrm, .glb, .fbx or .bvh: the motion is retargeted to its bones, and the file
            written is that character with the motion in it. `cospeech.character` says more.
        progress: Called with the fraction done, where writing takes long.
    """
    write = writer_for(
        path,
        audio=audio,
        body=body,
        camera=camera,
        embed_licensed_body=embed_licensed_body,
        layout=layout,
        skeleton=skeleton,
        progress=progress,
    )
    write(motion)


def writer_for(path: str | Path, **options) -> Callable[[Motion], None]:
    """What will write a motion to `path`, given the options of `save`.

    Call it before the slow part: an unknown suffix, a target that cannot be written, an option that the format has no
    use for, an unknown layout, a licensed body without consent, or a program or package that is missing fails here.
    Nothing is written yet.
    """
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    if "skeleton" in given:
        return _character_writer(path, given)
    if Path(path).suffix.lower() == _CHARACTER:
        raise FormatError(f"{path}: a {_CHARACTER} file is a character: say which one with `skeleton` (--skeleton).")
    suffix = _known_suffix(path, WRITERS, "write")
    check_target(path)
    writer = WRITERS[suffix]
    for name in given:
        if name not in writer.options and name not in _FOR_ANY_FORMAT:
            able = ", ".join(known for known, other in WRITERS.items() if name in other.options)
            raise FormatError(
                f"{path}: a {suffix} file has no use for `{name}`; {able or 'no format'} has. Leave it out."
            )
    if "layout" in given and given["layout"] not in writer.layouts:
        raise FormatError(f"{path}: no layout {given['layout']!r}; a {suffix} file has {', '.join(writer.layouts)}.")
    if "embed_licensed_body" in writer.options and "body" in given:
        from cospeech.formats.gltf import check_may_embed

        check_may_embed(given["body"], "embed_licensed_body" in given)
    module = import_module(writer.module)
    if writer.needs_tool:
        module.check_tool()
    return partial(_write, module.write, path, {name: given[name] for name in given if name in writer.options})


def _character_writer(path: str | Path, given: dict) -> Callable[[Motion], None]:
    from cospeech import character

    for name in given:
        if name not in (*_FOR_ANY_FORMAT, "skeleton"):
            raise FormatError(f"{path}: a character of your own has no use for `{name}`. Leave it out.")
    own = given["skeleton"]
    own = own if isinstance(own, character.Character) else character.load(own)
    own.check_writes(path)
    return partial(own.write, path=path)


def check_keeps(path: str | Path, what: str, layout: str | None = None) -> None:
    """Raise `FormatError` for a file that has no place for the `face`, or for the `expressions`, of a motion."""
    if Path(path).suffix.lower() == _CHARACTER:
        path = Path(path).with_suffix(".glb")
    suffix = _known_suffix(path, WRITERS, "write")
    if what not in WRITERS[suffix].keeps:
        able = ", ".join(known for known, writer in WRITERS.items() if what in writer.keeps)
        raise FormatError(f"{path}: a {suffix} file keeps no {what}; {able} do.".replace(".npz do.", ".npz does."))
    if layout in WRITERS[suffix].body_only:
        raise FormatError(f"{path}: the layout {layout} keeps no {what}; {WRITERS[suffix].layouts[0]} does.")


def load_motion(path: str | Path, fps: float | None = None) -> Motion:
    """Read a motion: .npz of BEAT2, AMASS or this package, .bvh or .amc of any skeleton, .npy with positions of joints.

    Where the file leaves something open, `metadata["assumed"]` of the motion says what was assumed.

    Args:
        fps: Frames a second, of files that do not say (.npy, .amc) or say wrong (.bvh).
    """
    suffix = _known_suffix(path, READERS, "read")
    read = import_module(READERS[suffix]).read
    if suffix != ".npz":
        return read(path, fps)
    if fps is not None:
        raise FormatError(f"{path}: a {suffix} file says its frame rate itself. Leave `fps` out.")
    return read(path)


def _write(write: Callable, path: str | Path, options: dict, motion: Motion) -> None:
    write(motion, path, **options)


def _known_suffix(path: str | Path, table: dict, verb: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in table:
        what = f"{suffix} files are not known" if suffix else "it has no suffix"
        raise FormatError(f"{path}: cannot {verb} it as a motion: {what}. Known: {', '.join(table)}.")
    return suffix
