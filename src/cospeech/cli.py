"""The command line: one function per command, its signature the interface, its docstring the help.

Nothing slow is imported before it is needed, so that `--help` is quick.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import arg

from cospeech.errors import ConfigError, CospeechError, CospeechWarning, FormatError, MissingExtra

if TYPE_CHECKING:
    from cospeech.facemap import FaceMap
    from cospeech.pipeline import Pipeline


def generate(
    audio: Annotated[Path, arg(metavar="AUDIO")],
    out: Annotated[Path, arg(metavar="OUT")],
    /,
    model: str = "starter",
    upper: str = "",
    hands: str = "",
    lower: str = "",
    whole: str = "",
    strength: float = 1.0,
    timeline: str = "",
    words: Path | None = None,
    speaker: int | None = None,
    seed: int = 0,
    seed_motion: Path | None = None,
    sampler: Literal["ddim", "ddpm"] | None = None,
    steps: int | None = None,
    finish: Literal["model", "on", "off"] = "model",
    quirks: Literal["model", "none"] = "model",
    precision: Literal["float32", "bf16"] = "float32",
    face: str | None = None,
    face_map: Path | None = None,
    camera: Literal["body", "face", "face+body"] | None = None,
    body: Path | None = None,
    embed_licensed_body: bool = False,
    device: str = "cpu",
    format: str | None = None,
    resume: bool = False,
) -> None:
    """Generate body, hand and face motion for a speech recording.

    Example: cospeech generate talk.wav talk.glb

    Args:
        audio: Speech recording: wav, flac, mp3, ogg, m4a, any sample rate. Or a folder of recordings, or a .txt or
            .csv file that lists one recording a line, or the test.csv of a folder in the layout of BEAT2: then OUT is a
            folder and gets one file for each.
        out: File to write; the suffix chooses the format: .npz, .bvh, .glb, .mp4, .html, or .npy with positions of
            joints.
        model: A released name (see `cospeech models`), a checkpoint directory, or a hub id.
        upper: What the upper body should do, in words, for models that read text. Empty: follow the speech only.
        hands: What the hands should do, in words. With the starters they go along with --upper where they have none.
        lower: What the legs should do, in words.
        whole: What all these should do that have no words of their own.
        strength: How much the words of --upper to --whole are followed: 1 as the model was tuned, 0 not at all, 2 twice
            as far.
        timeline: Words with times: a JSON file, or JSON itself, such as
            '[{"part": "upper", "text": "waves with the right hand", "start": 1.5, "end": 4, "strength": 1}]', in
            seconds.
        words: TextGrid file with the words and their times, for models that read words. With several recordings the
            folder of their TextGrids, which have the same names.
        speaker: For a model that knows several: whose manner, by their number in BEAT2.
        seed: Same seed, same device, same motion; another seed, another motion.
        seed_motion: Motion file; the result begins like its first half second, of mambatalk its first four
            frames. Default: it begins at rest, with syntalker in the mean pose of its training.
        sampler: How the diffusion is sampled: ddim is quick, ddpm is the full chain with noise. Default: ddim.
        steps: Diffusion steps for each window of four seconds. Default: the model's own number, all 1000 for ddpm.
        finish: Keep feet where they stand, hands out of the body, joints within human ranges, and take out tremble
            above 7 Hz. off: what the networks say. model: on for the starters, off for published models.
        quirks: Published models were trained with mistakes. model: they get all of them and give what was published.
            none: those that can be spared are turned off: motion to the end of the speech, exact times.
        precision: bf16 runs the network in half the digits, faster where the processor has them.
        face: Name of a model, such as starter, whose face is taken for a model that has none.
        face_map: An .npz of your own with a matrix `arkit_to_flame` (52, 100): fills the FLAME expressions.
        camera: For .mp4: the whole body, the face, or both side by side.
        body: A SMPL-X file of your own to show instead of the shipped body.
        embed_licensed_body: Agree that the mesh of --body is put into the file that is written.
        device: cpu, cuda, ...
        format: For a folder or list of recordings: the suffix of the files to write. Default: .npz.
        resume: Leave out recordings whose file is there already, as after an interruption.
    """
    from cospeech import batch, files
    from cospeech.facemap import FaceMap
    from cospeech.formats import npy
    from cospeech.pipeline import load_pipeline
    from cospeech.prompts import of_parts, read_timeline
    from cospeech.speech import Speech

    _check_device(device)
    prompts = of_parts({"upper": upper, "hands": hands, "lower": lower, "whole": whole}, strength)
    if strength != 1 and not prompts:
        raise ConfigError("--strength is that of --upper, --hands, --lower and --whole; a timeline says its own.")
    prompts += read_timeline(timeline) if timeline else []
    jobs = batch.jobs(audio, out, format or ".npz")
    if format and batch.is_one(audio):
        raise ConfigError("--format is for a folder or list of recordings; of one recording OUT says the format.")
    words_of = batch.words_of(jobs, words)
    looks = {"camera": camera, "body": _load_body(body), "embed_licensed_body": embed_licensed_body}
    for job in jobs:  # a target that cannot be written fails here, before the slow part
        files.writer_for(job.out, **looks)
    left = [
        (job, its_words) for job, its_words in zip(jobs, words_of, strict=True) if not (resume and job.out.exists())
    ]
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} are there already")
    if not left:
        return
    only = Speech.load(left[0][0].audio, left[0][1]) if batch.is_one(audio) else None  # and so does a bad recording
    start = files.load_motion(seed_motion) if seed_motion else None
    mapping = FaceMap.load(face_map) if face_map else None
    pipeline = load_pipeline(model, device, quirks, precision)
    if quirks == "none" and not pipeline.config.quirks:
        raise ConfigError(f"--quirks: the model {pipeline.config.name} has none. Leave it out.")
    of_face = load_pipeline(face, device) if face else None
    _check_faces(jobs[0].out, pipeline, of_face, mapping)
    settings = {"seed": seed, "steps": steps, "sampler": sampler, "seed_motion": start}
    exact = pipeline.gives_joints and jobs[0].out.suffix.lower() == npy.SUFFIX
    if exact and finish == "on":
        raise ConfigError(f"--finish on: {pipeline.config.name} gives positions, and a .npy file holds just these.")
    finished = {"model": None, "on": True, "off": False}[finish]
    failed = 0
    for job, its_words in left:
        try:
            speech = only or Speech.load(job.audio, its_words)
            with _progress(f"generate {job.audio.name}") as progress:
                if exact:
                    motion = pipeline.generate_joints(speech, **settings, prompts=prompts, progress=progress)
                else:
                    motion = pipeline.generate(
                        speech, **settings, speaker=speaker, timeline=prompts, finish=finished, progress=progress
                    )
            if of_face:
                motion = of_face.add_face(motion, speech.cut(0, motion.duration_s), seed=seed)
            if mapping:
                motion = mapping.apply(motion)
            with _progress(f"write {job.out.name}") as progress:
                if exact:
                    npy.write_joints(motion, job.out)
                else:
                    files.save(motion, job.out, audio=speech, progress=progress, **looks)
        except CospeechError as error:
            if only:
                raise
            failed += 1  # the other recordings of a batch are not to suffer
            print(f"error: {error}", file=sys.stderr)
            continue
        _tell(job.out, speech.duration_s, len(motion), pipeline)
    if failed < len(left):
        print(f"model {pipeline.config.name}, licence {pipeline.config.licence}")
        if of_face:
            print(f"face {of_face.config.name}, licence {of_face.config.licence}")
    if failed:
        raise CospeechError(f"{failed} of {len(left)} recordings failed; what could be written is.")


def _tell(out: Path, speech_s: float, num_frames: int, pipeline: "Pipeline") -> None:
    """What was written, and what of the speech was not."""
    fps = pipeline.config.fps
    print(f"wrote {out}")
    print(f"length {num_frames / fps:.2f} s, {num_frames} frames at {fps:g} fps")
    missing_s = speech_s - num_frames / fps
    if missing_s > 0.5 / fps and pipeline.quirks:
        print(
            f"note: as published, the last {missing_s:.2f} s of the speech get no motion; --quirks none goes to its end"
        )


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
    body: Path | None = None,
    embed_licensed_body: bool = False,
) -> None:
    """Convert a motion file to another format.

    Example: cospeech convert talk.npz talk.mp4 --audio talk.wav

    Args:
        motion: Motion to read: .npz (this program, BEAT2, AMASS), .bvh (this program), or .npy with positions of the 22
            or 52 joints of SMPL-X or with the vectors of HumanML3D, whose rotations are worked out.
        out: File to write: .npz, .bvh, .glb, .mp4, .html, or .npy with positions of joints.
        audio: Recording that is heard in .mp4 and .html.
        fps: Frames a second of the result. Default: those of the motion.
        source_fps: Frames a second of a .npy file, which does not say. Default: 20 without hands, 30 with them.
        mirror: Exchange left and right.
        face: Name of a model, such as starter, that hears --audio and gives a face to a motion that has none.
        face_map: An .npz of your own with `arkit_to_flame` (52, 100), `flame_to_arkit` (100, 52) or both: FLAME
            expressions from the face, or where there is no face a face from the expressions.
        camera: For .mp4: the whole body, the face, or both side by side.
        body: A SMPL-X file of your own to show instead of the shipped body.
        embed_licensed_body: Agree that the mesh of --body is put into the file that is written.
    """
    from cospeech import files
    from cospeech.facemap import FaceMap
    from cospeech.speech import Speech

    if face and not audio:
        raise ConfigError(f"--face {face}: needs the speech as --audio.")
    mapping = FaceMap.load(face_map) if face_map else None
    looks = {"camera": camera, "body": _load_body(body), "embed_licensed_body": embed_licensed_body}
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

        files.check_keeps(out, "face")
        if read.face is not None:
            raise ConfigError(f"--face {face}: {motion} has a face. Leave --face out.")
        read = load_pipeline(face).add_face(read, speech)
    if mapping:
        files.check_keeps(out, "face" if read.face is None else "expressions")
        read = mapping.apply(read)
    with _progress(f"write {out.name}") as progress:
        files.save(read, out, audio=speech, progress=progress, **looks)
    print(f"wrote {out}")
    print(f"length {read.duration_s:.2f} s, {len(read)} frames at {read.fps:g} fps")
    if speech and abs(speech.duration_s - read.duration_s) > 1:
        print(f"note: the motion lasts {read.duration_s:.2f} s, its sound {speech.duration_s:.2f} s", file=sys.stderr)


def view(
    motion: Annotated[Path, arg(metavar="MOTION")],
    /,
    audio: Path | None = None,
    body: Path | None = None,
    embed_licensed_body: bool = False,
) -> None:
    """Watch a motion in the browser, with its sound in sync. Needs no network.

    Example: cospeech view talk.npz --audio talk.wav

    Args:
        motion: Motion to read: .npz or .bvh.
        audio: Recording to hear with it.
        body: A SMPL-X file of your own to show instead of the shipped body.
        embed_licensed_body: Agree that the mesh of --body is put into the temporary page.
    """
    import tempfile
    import webbrowser

    page = Path(tempfile.mkdtemp(prefix="cospeech-")) / f"{motion.stem}.html"
    convert(motion, page, audio=audio, body=body, embed_licensed_body=embed_licensed_body)
    if not webbrowser.open(page.as_uri()):
        print(f"No browser could be started: open {page} in one.")
    print(f"The page stays in {page.parent} until you delete it.")


def models() -> None:
    """List the known models: size, licence and what they do."""
    from rich.console import Console
    from rich.table import Table

    from cospeech.checkpoint import RELEASED

    table = Table("name", "what it does", "size", "licence")
    for model in RELEASED.values():
        table.add_row(model.name, model.summary, f"{model.size_mb:g} MB", model.licence)
    Console().print(table)
    print("Any checkpoint directory or hub id works in place of a name.")


def bench(
    model: Annotated[str, arg(metavar="MODEL")] = "starter",
    /,
    audio: Path | None = None,
    device: str = "cpu",
    hour: bool = False,
    quality: bool = False,
    obedience: bool = False,
    data: Path | None = None,
    out: Path | None = None,
) -> None:
    """Measure a model on this machine: speed, memory, exact length, seams; or how its motion looks, or obeys.

    Args:
        model: A released name, a checkpoint directory, or a hub id.
        audio: Recording to measure with, repeated as often as needed. Default: the recording in the package.
        device: cpu, cuda, ...
        hour: Also generate motion for an hour of speech and compare its memory with that of a minute. Takes minutes.
        quality: Instead measure whether the motion follows voices nobody trained on, is not mechanical and looks human,
            beside planted, random and real motion. Takes minutes and needs espeak-ng.
        obedience: Instead measure whether it does what text prompts say, and whether the other parts go on following
            the speech. Takes minutes and needs espeak-ng.
        data: For these: a folder with speech/librispeech for more human voices than the one in the package.
        out: For these: a .md file for the numbers; of --quality also .json.
    """
    from cospeech.recipes import bench as recipe

    _check_device(device)
    if quality or obedience:
        from cospeech.recipes import obedience as obeys
        from cospeech.recipes import quality as looks

        if audio or hour or (quality and obedience):
            raise ConfigError("--quality and --obedience are measured each by itself, without --audio and --hour.")
        (looks if quality else obeys).run(model, data, out, device)
    else:
        if data or out:
            raise ConfigError("--data and --out belong to --quality and --obedience. Give one, or leave them out.")
        recipe.run(model, audio, device, hour)


def import_(
    system_name: Annotated[Literal["syntalker", "mambatalk"], arg(metavar="SYSTEM", name="name")],
    paths: Annotated[tuple[Path, ...], arg(metavar="PATHS")],
    /,
    out: Path,
    system: Literal["S", "T"] | None = None,
    distilbert: str | None = None,
    wav2vec2: str | None = None,
) -> None:
    """Turn released weights of a published system into a checkpoint directory that --model takes.

    Examples: cospeech import syntalker SynTalker/ckpt SynTalker/mean_std --out syntalker-s;
    cospeech import mambatalk MambaTalk/pretrained --wav2vec2 facebook/wav2vec2-base-960h --out mambatalk

    Args:
        system_name: syntalker: last_500.bin (system S) or last_600.bin (T), the net_300000.pth of each body part, the
            arrays in mean_std and, for words, vocab.pkl; for T the text_epoch=299.ckpt and motion_epoch=299.ckpt.
            mambatalk: mambatalk_100.bin, face.bin, upper.bin, hands.bin, lower_foot.bin, foot.bin and, for words,
            vocab.pkl.
        paths: Files, and folders that are searched for files of those names.
        out: Checkpoint directory to write.
        system: Which of the two, where both are found: S follows speech, T styles from a text-motion space as well.
        distilbert: For T: folder or hub id of DistilBERT, such as distilbert/distilbert-base-uncased. To read text it
            needs the vocab.txt there, or among PATHS.
        wav2vec2: For mambatalk: folder or hub id of the model it hears with, facebook/wav2vec2-base-960h, where that is
            not among PATHS.
    """
    from rich.console import Console
    from rich.table import Table

    if system_name == "mambatalk":
        from cospeech.released.mambatalk import import_mambatalk

        if system or distilbert:
            raise ConfigError("--system and --distilbert belong to syntalker. Leave them out.")
        done = import_mambatalk(paths, out, wav2vec2)
    else:
        from cospeech.released.syntalker import import_syntalker

        if wav2vec2:
            raise ConfigError("--wav2vec2 belongs to mambatalk. Leave it out.")
        done = import_syntalker(paths, out, system, distilbert)
    table = Table("network", "tensors", "parameters", "SHA-256", "fixed pass", box=None, pad_edge=False)
    for piece in done.pieces:
        print(f"{piece.role}: {piece.path}")
        if check := done.checks.get(piece.role):
            tensors, parameters = str(len(piece.tensors)), f"{check.parameters:,}"
            table.add_row(piece.role, tensors, parameters, check.sum, f"{check.passes:.4f}")
    Console().print(table)
    for line in done.unused:
        print(f"not used: {line}")
    config = done.checkpoint.config
    print(f"wrote {out}: {config.name}, licence {config.licence}; see {out / 'CARD.md'}")


def train(
    network: Literal[
        *("tokenizer", "autoencoder", "diffusion", "tmr"),
        *("starter", "starter-open", "starter-mambatalk", "syntalker-s", "syntalker-t", "mambatalk"),
    ],
    config: Annotated[Path, arg(metavar="CONFIG")],
    out: Annotated[Path, arg(metavar="RUN")],
    /,
    set: Annotated[tuple[str, ...], arg(metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = (),
    store: Path | None = None,
    accelerator: str = "auto",
    teacher: Path | None = None,
    vocabulary: Path | None = None,
    tmr: Path | None = None,
    use_amass: bool = False,
    wav2vec2: Path | None = None,
    protocol: Literal["corrected", "published"] | None = None,
) -> None:
    """Train a network, or all of a model. An interrupted run goes on where it was.

    Example: cospeech train starter data runs/starter

    Args:
        network: tokenizer: of one body part. autoencoder: what is one for mambatalk. diffusion: the denoiser over
            trained tokenizers. tmr: the space of motions and sentences. The others: everything that model consists of,
            from data to finished checkpoint, with the published settings for syntalker-s (speech), syntalker-t (speech
            and text) and mambatalk.
        config: TOML file with the settings of `TrainTokenizer`, `TrainAutoencoder`, `TrainDiffusion` or `TrainTmr` (see
            `cospeech.recipes`), or, with --store, the name of published ones: syntalker-s/upper, /hands, /lower,
            /lower_trans, syntalker-t/upper, /hands, /lower, mambatalk/face, /upper, /hands, /lower, /translation for an
            autoencoder, and of a tmr syntalker-t. For a starter, the folder with the data sets named in its CARD; for
            starter-mambatalk the run of starter; for a syntalker and mambatalk, a store.
        out: Run directory: gets config, versions, log and weights.
        set: A setting to change, such as training.steps=1000; for a syntalker and mambatalk one of their networks',
            such as diffusion.training.steps=1000 or network.training.steps=1000. May be given several times.
        store: For published settings: the store to learn from.
        accelerator: For a starter: cpu, cuda, or auto.
        teacher: For a starter: folder or hub id of the sentence encoder from which its small one learns to read.
            Default: sentence-transformers/all-MiniLM-L6-v2.
        vocabulary: For a syntalker and mambatalk: folder that `python -m cospeech.recipes.vocabulary` made.
        tmr: For syntalker-t: run directory of a `cospeech train tmr`.
        use_amass: For a syntalker: learn from motions without speech, too, a third of the time.
        wav2vec2: For mambatalk: folder or hub id of what it hears with. Default: facebook/wav2vec2-base-960h.
        protocol: For mambatalk and its autoencoders: published makes the mistakes by which the released weights were
            shaped, see `cospeech.recipes.autoencoder`. Default: corrected.
    """
    from cospeech.config import changed, load_toml

    try:
        from cospeech.recipes import autoencoder, diffusion, mambatalk, starter, syntalker, talker, tokenizer
        from cospeech.recipes import tmr as space
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "lightning-fabric", "train") from error
    given = {
        "--accelerator": accelerator != "auto",
        "--teacher": teacher is not None,
        "--set": bool(set),
        "--store": store is not None,
        "--vocabulary": vocabulary is not None,
        "--tmr": tmr is not None,
        "--use-amass": use_amass,
        "--wav2vec2": wav2vec2 is not None,
        "--protocol": protocol is not None,
    }
    family = network.partition("-")[0]
    of_family = {
        "starter": ("--accelerator", "--teacher"),
        "syntalker": ("--set", "--vocabulary", "--tmr", "--use-amass"),
        "mambatalk": ("--set", "--vocabulary", "--wav2vec2", "--protocol"),
        "autoencoder": ("--set", "--store", "--protocol"),
    }
    for option, is_given in given.items():
        if is_given and option not in of_family.get(family, ("--set", "--store")):
            raise ConfigError(f"{option} has no use for {network}. Leave it out.")
    if network == "starter-mambatalk":
        if teacher is not None:
            raise ConfigError("--teacher has no use for starter-mambatalk, which reads no text. Leave it out.")
        print(f"wrote {talker.make(talker.MakeTalker(config, out, accelerator=accelerator))}")
    elif family == "starter":
        settings = {"accelerator": accelerator} | ({} if teacher is None else {"teacher": teacher})
        made = starter.make(starter.MakeStarter(config, out, network, **settings))
        print(f"wrote {made}")
    elif family in ("syntalker", "mambatalk") and vocabulary is None:
        raise ConfigError("--vocabulary is missing: make one with `python -m cospeech.recipes.vocabulary STORE`.")
    elif family == "mambatalk":
        of_options = {"wav2vec2": wav2vec2, "protocol": protocol}
        options = {name: value for name, value in of_options.items() if value is not None}
        print(f"wrote {mambatalk.make(mambatalk.MakeMambaTalk(config, out, vocabulary, settings=set, **options))}")
    elif family == "syntalker":
        system = "S" if network == "syntalker-s" else "T"
        print(f"wrote {syntalker.make(syntalker.MakeSynTalker(config, out, system, vocabulary, tmr, use_amass, set))}")
    else:
        run, kind = {
            "tokenizer": (tokenizer.train, tokenizer.TrainTokenizer),
            "autoencoder": (autoencoder.train, autoencoder.TrainAutoencoder),
            "diffusion": (diffusion.train, diffusion.TrainDiffusion),
            "tmr": (space.train, space.TrainTmr),
        }[network]
        if store is not None and network == "diffusion":
            raise ConfigError("--store goes with published settings, which for a diffusion are those of syntalker-s.")
        if store is None and str(config).startswith(("syntalker-", "mambatalk/")) and not config.exists():
            raise ConfigError(f"{config}: published settings need --store, the store to learn from.")
        if store is None and protocol is not None:
            raise ConfigError("--protocol goes with --store; of a TOML file it is one of the settings.")
        if store is None:
            settings = changed(load_toml(kind, config), set)
        elif network == "autoencoder":
            settings = mambatalk.named(str(config), store, protocol or "corrected", set)
        else:
            settings = syntalker.named(network, str(config), store, set)
        run(settings, out)


COMMANDS: dict[str, Callable[..., None]] = {
    "generate": generate,
    "convert": convert,
    "view": view,
    "models": models,
    "bench": bench,
    "import": import_,
    "train": train,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0, 2 for an error of the user's, 130 when interrupted."""
    if (sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        import cospeech

        print(f"cospeech {cospeech.__version__}")
        return 0
    warnings.showwarning = _print_warning
    # Read when torch starts. OpenMP's own choice, to wait by spinning, costs seconds where other programs are busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="cospeech",
            description="Speech in, full-body, hand and face motion out.",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except CospeechError as error:  # ours: one line. Anything else is a bug: full traceback.
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _load_body(path: Path | None):
    if path is None:
        return None
    from cospeech.body import load_smplx

    body = load_smplx(path)
    print(f"body {path}: {body.licence}")
    return body


def _check_faces(out: Path, pipeline: "Pipeline", of_face: "Pipeline | None", mapping: "FaceMap | None") -> None:
    """What --face and --face-map cannot give fails here, before the slow part."""
    from cospeech import files

    if of_face:
        files.check_keeps(out, "face")
        if pipeline.has_face:
            raise ConfigError(f"--face: the model {pipeline.config.name} has a face of its own. Leave --face out.")
        if not of_face.has_face:
            raise ConfigError(f"--face: the model {of_face.config.name} has no face to give.")
    if mapping:
        has_face = pipeline.has_face or of_face is not None
        files.check_keeps(out, "expressions" if has_face else "face")
        mapping.matrix("arkit_to_flame" if has_face else "flame_to_arkit")


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # an AssertionError where torch was built without CUDA
        raise ConfigError(f"--device {device}: cannot be used ({str(error).splitlines()[0]}). Use cpu.") from None


@contextmanager
def _progress(task: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, where that is a terminal, that appears when a task takes longer than two seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_interactive,
    )  # fmt: skip
    row = bar.add_task(task, total=1.0)
    begun = time.monotonic()

    def update(fraction: float) -> None:
        if not bar.live.is_started and time.monotonic() - begun > 2:
            bar.start()
        bar.update(row, completed=fraction)

    try:
        yield update
    finally:
        bar.stop()


def _print_warning(message, category, filename, lineno, file=None, line=None) -> None:
    if issubclass(category, CospeechWarning):
        print(f"warning: {message}", file=sys.stderr)
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))
