"""`cospeech convert` and `cospeech view`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from cospeech.cli.options import load_body, load_character
from cospeech.cli.progress import progress_bar
from cospeech.errors import ConfigError, FormatError


def convert(
    motion: Annotated[Path, arg(metavar="MOTION")],
    out: Annotated[Path, arg(metavar="OUT")],
    /,
    audio: Path | None = None,
    fps: float | None = None,
    source_fps: float | None = None,
    mirror: bool = False,
    face: str | None = None,
    face_map: Path | None = None,
    camera: Literal["body", "face", "face+body"] | None = None,
    layout: str | None = None,
    body: Path | None = None,
    embed_licensed_body: bool = False,
    skeleton: Path | None = None,
) -> None:
    """Convert a motion file to another format.

    Example: cospeech convert talk.npz talk.mp4 --audio talk.wav

    Args:
        motion: Motion to read: .npz (this program, BEAT2, AMASS); .bvh, or .amc with its .asf beside it, of any
            skeleton, retargeted; or .npy with positions of the 22 or 52 joints of SMPL-X or with the vectors of
            HumanML3D, whose rotations are worked out.
        out: File to write; the suffix chooses the format: .npz, .bvh, .glb, .vrma (for VRM avatars), .fbx (through a
            Blender on this machine), .usd or .usda, .csv or .json (face alone), .mp4, .html, or .npy (positions of
            joints).
        audio: Recording that is heard in .mp4 and .html.
        fps: Frames a second of the result, such as 24, 25, 30, 50, 60 or 120. Default: those of the motion.
        source_fps: Frames a second of a file that does not say (.npy; default: 20 without hands, 30 with them; .amc;
            default: 120) or says wrong (.bvh).
        mirror: Exchange left and right.
        face: Name of a model, such as starter, that hears --audio and gives a face to a motion that has none.
        face_map: An .npz of your own with `arkit_to_flame` (52, 100), `flame_to_arkit` (100, 52) or both: FLAME
            expressions from the face, or where there is no face a face from the expressions.
        camera: For .mp4: the whole body, the face, or both side by side.
        layout: Of .bvh whose names the joints have: smplx, mixamo or beat. Of .npz: beat2, amass or amass-smplh. Of
            .vrma which expressions: presets, or perfect-sync for avatars with the 52 shapes of ARKit. Default: the
            first.
        body: A SMPL-X file of your own to show instead of the shipped body.
        embed_licensed_body: Agree that the mesh of --body is put into the file that is written.
        skeleton: A character of your own, .vrm, .glb, .fbx (through a Blender on this machine) or .bvh: its bones and
            its face move, not the shipped body's. OUT is that character with the motion in it, in its own format, or
            its bones as .bvh.
    """
    from cospeech import files
    from cospeech.facemap import FaceMap
    from cospeech.speech import Speech

    if face and not audio:
        raise ConfigError(f"--face {face}: needs the speech as --audio.")
    mapping = FaceMap.load(face_map) if face_map else None
    looks = {
        "camera": camera,
        "layout": layout,
        "body": load_body(body),
        "embed_licensed_body": embed_licensed_body,
        "skeleton": load_character(skeleton),
    }
    files.writer_for(out, **looks)
    for source in (motion, audio):
        if source and source.resolve() == out.resolve():
            raise FormatError(f"{out}: is a file that is read. Write elsewhere.")
    speech = Speech.load(audio) if audio else None
    read = files.load_motion(motion, source_fps)
    if "assumed" in read.metadata:
        print(f"note: {read.metadata['assumed']}", file=sys.stderr)
    if fps is not None:
        read = read.resample(fps)
    if mirror:
        read = read.mirror()
    if face:
        from cospeech.pipeline import load_pipeline  # imports torch, which the other conversions do without

        files.check_keeps(out, "face", layout)
        if read.face is not None:
            raise ConfigError(f"--face {face}: {motion} has a face. Leave --face out.")
        read = load_pipeline(face).add_face(read, speech)
    if mapping:
        files.check_keeps(out, "face" if read.face is None else "expressions", layout)
        read = mapping.apply(read)
    with progress_bar(f"write {out.name}") as progress:
        files.save(read, out, audio=speech, progress=progress, **looks)
    print(f"wrote {out}")
    print(f"length {read.duration_s:.2f} s, {len(read)} frames at {read.fps:g} fps")
    if speech and abs(speech.duration_s - read.duration_s) > 1:
        print(f"note: the motion lasts {read.duration_s:.2f} s, its sound {speech.duration_s:.2f} s", file=sys.stderr)


def view(
    motions: Annotated[tuple[Path, ...], arg(metavar="MOTION ...")],
    /,
    audio: Path | None = None,
    words: Path | None = None,
    body: Path | None = None,
    embed_licensed_body: bool = False,
) -> None:
    """Watch a motion in the browser, with its sound in sync, or several side by side. Needs no network.

    Example: cospeech view talk.npz --audio talk.wav

    Args:
        motions: Motions to read: .npz, .bvh, ...
        audio: Recording to hear with them.
        words: Praat TextGrid with the words of --audio, shown as they are said; `cospeech align` makes one.
        body: A SMPL-X file of your own, to choose in the page beside the shipped body.
        embed_licensed_body: Agree that the mesh of --body is put into the temporary page.
    """
    import tempfile
    import webbrowser

    from cospeech import files
    from cospeech.formats import html
    from cospeech.speech import Speech

    if not motions:
        raise ConfigError("Nothing to view: name a motion, such as talk.npz.")
    if words and not audio:
        raise ConfigError(f"--words {words}: needs the speech as --audio.")
    smplx = load_body(body)
    speech = Speech.load(audio, words or ()) if audio else None
    read = [files.load_motion(path) for path in motions]
    for path, motion in zip(motions, read, strict=True):
        if "assumed" in motion.metadata:
            print(f"note: {path}: {motion.metadata['assumed']}", file=sys.stderr)
    names = [path.stem for path in motions]
    if len(set(names)) < len(names):
        names = [f"{number}: {path}" for number, path in enumerate(motions, start=1)]
    text = html.page(
        read[0],
        audio=speech,
        body=smplx,
        embed_licensed_body=embed_licensed_body,
        title=names[0],
        beside=dict(zip(names[1:], read[1:], strict=True)),
    )
    page = Path(tempfile.mkdtemp(prefix="cospeech-")) / f"{motions[0].stem}.html"
    page.write_text(text, encoding="utf-8")
    print(f"wrote {page}")
    if not webbrowser.open(page.as_uri()):
        print(f"No browser could be started: open {page} in one.")
    print(f"The page stays in {page.parent} until you delete it.")
