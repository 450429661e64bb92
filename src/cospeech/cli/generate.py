"""`cospeech generate`."""

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from tyro.conf import arg

from cospeech.cli.align import find_words_of
from cospeech.cli.options import check_device, load_body, load_character
from cospeech.cli.progress import progress_bar
from cospeech.errors import ConfigError, CospeechError, CospeechWarning

if TYPE_CHECKING:
    from cospeech.batch import Job
    from cospeech.facemap import FaceMap
    from cospeech.motion import Motion
    from cospeech.pipeline import Pipeline, Request
    from cospeech.speech import Speech

Result = TypeVar("Result")


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
    transcript: Path | None = None,
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
    fps: float | None = None,
    camera: Literal["body", "face", "face+body"] | None = None,
    layout: str | None = None,
    body: Path | None = None,
    embed_licensed_body: bool = False,
    skeleton: Path | None = None,
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
        out: File to write; the suffix chooses the format: .npz, .bvh, .glb, .vrma (for VRM avatars), .fbx (through a
            Blender on this machine), .usd or .usda, .csv or .json (face alone), .mp4, .html, or .npy (positions of
            joints).
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
        transcript: Text file with what is said, in place of --words: its words are found in the sound, see
            `cospeech align`. With several recordings the folder of their .txt or .lab files.
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
        fps: Frames a second of the file, such as 24, 25, 50, 60 or 120. Default: those of the model, 30.
        camera: For .mp4: the whole body, the face, or both side by side.
        layout: Of the formats that have several, see `cospeech convert --help`.
        body: A SMPL-X file of your own to show instead of the shipped body.
        embed_licensed_body: Agree that the mesh of --body is put into the file that is written.
        skeleton: A character of your own, .vrm, .glb, .fbx (through a Blender on this machine) or .bvh: its bones and
            its face move, not the shipped body's. OUT is that character with the motion in it, in its own format, or
            its bones as .bvh.
        device: cpu, cuda, ...
        format: For a folder or list of recordings: the suffix of the files to write. Default: .npz, or that of the
            character.
        resume: Leave out recordings whose file is there already, as after an interruption.
    """
    from cospeech import batch, files
    from cospeech.facemap import FaceMap
    from cospeech.formats import npy
    from cospeech.motion import MAX_FPS
    from cospeech.pipeline import Request, load_pipeline
    from cospeech.prompts import of_parts, read_timeline
    from cospeech.recipes.processes import batches
    from cospeech.speech import Speech
    from cospeech.words import read_transcript

    check_device(device)
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise ConfigError(f"--fps {fps:g}: must be above 0 and at most {MAX_FPS}.")
    prompts = of_parts({"upper": upper, "hands": hands, "lower": lower, "whole": whole}, strength)
    if strength != 1 and not prompts:
        raise ConfigError("--strength is that of --upper, --hands, --lower and --whole; a timeline says its own.")
    prompts += read_timeline(timeline) if timeline else []
    jobs = batch.jobs(audio, out, format or (skeleton.suffix if skeleton else ".npz"))
    if format and batch.is_one(audio):
        raise ConfigError("--format is for a folder or list of recordings; of one recording OUT says the format.")
    if words and transcript:
        raise ConfigError("--transcript: the words have their times from --words. Leave one of them out.")
    words_of = batch.words_of(jobs, words)
    transcripts = batch.transcripts_of(jobs, transcript) if transcript else [None] * len(jobs)
    looks = {
        "camera": camera,
        "layout": layout,
        "body": load_body(body),
        "embed_licensed_body": embed_licensed_body,
        "skeleton": load_character(skeleton),
    }
    for job in jobs:  # a target that cannot be written fails here, before the slow part
        files.writer_for(job.out, **looks)
    all_jobs = zip(jobs, words_of, transcripts, strict=True)
    left = [(job, *its) for job, *its in all_jobs if not (resume and job.out.exists())]
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} are there already")
    if not left:
        return
    only = Speech.load(left[0][0].audio, left[0][1]) if batch.is_one(audio) else None  # and so does a bad recording
    if only and transcript:
        read_transcript(transcript)
    start = files.load_motion(seed_motion) if seed_motion else None
    mapping = FaceMap.load(face_map) if face_map else None
    pipeline = load_pipeline(model, device, quirks, precision)
    if quirks == "none" and not pipeline.config.quirks:
        raise ConfigError(f"--quirks: the model {pipeline.config.name} has none. Leave it out.")
    of_face = load_pipeline(face, device) if face else None
    _check_faces(jobs[0].out, layout, pipeline, of_face, mapping)
    exact = pipeline.gives_joints and jobs[0].out.suffix.lower() == npy.SUFFIX
    if exact and (finish == "on" or fps is not None):
        option = "--finish on" if finish == "on" else f"--fps {fps:g}"
        raise ConfigError(f"{option}: {pipeline.config.name} gives positions, and a .npy file holds just these.")
    if transcript and pipeline.ignores_words:
        warnings.warn(CospeechWarning(pipeline.ignores_words), stacklevel=2)
    work = _Work(
        pipeline=pipeline,
        ask=partial(Request, timeline=prompts, speaker=speaker, seed=seed, seed_motion=start),
        only=only,
        sampling={"steps": steps, "sampler": sampler},
        finish={"model": None, "on": True, "off": False}[finish],
        exact=exact,
        of_face=of_face,
        mapping=mapping,
        fps=fps,
        looks=looks,
    )
    failed = 0
    at_once = pipeline.batches and not exact
    for some in batches(left) if at_once else [[each] for each in left]:
        failed += work.do(some)
    if failed < len(left):
        print(f"model {pipeline.config.name}, licence {pipeline.config.licence}")
        if of_face:
            print(f"face {of_face.config.name}, licence {of_face.config.licence}")
    if failed:
        raise CospeechError(f"{failed} of {len(left)} recordings failed; what could be written is.")


@dataclass(frozen=True, eq=False)
class _Work:
    """What is done with every recording.

    Args:
        ask: The request of what is asked, given the speech.
        only: The speech of the only recording; None where there are several.
        sampling: Options of a diffusion.
        exact: Write positions of joints as the model gives them.
        looks: Options of `files.save`.
    """

    pipeline: "Pipeline"
    ask: Callable[["Speech"], "Request"]
    only: "Speech | None"
    sampling: dict[str, Any]
    finish: bool | None
    exact: bool
    of_face: "Pipeline | None"
    mapping: "FaceMap | None"
    fps: float | None
    looks: dict[str, Any]

    def do(self, todo: Sequence[tuple["Job", Path | tuple[()], Path | None]]) -> int:
        """Recordings with their words and transcripts, made together; returns how many failed.

        One that fails does not keep the others of a batch from being written; an only one raises its error.
        """
        heard = [(job, self._tried(self._hear, job, words, transcript)) for job, words, transcript in todo]
        requests = [(job, self.ask(speech)) for job, speech in heard if speech]
        motions = self._together([request for _, request in requests]) if len(requests) > 1 else []
        written = 0
        for (job, request), motion in zip_longest(requests, motions):
            if num_frames := self._tried(self._write, job, request, motion):
                _tell(job.out, request.speech.duration_s, num_frames, self.fps, self.pipeline)
                written += 1
        return len(todo) - written

    def _tried(self, do: Callable[..., Result], *arguments: object) -> Result | None:
        try:
            return do(*arguments)
        except CospeechError as error:
            if self.only:
                raise
            print(f"error: {error}", file=sys.stderr)
            return None

    def _hear(self, job: "Job", words: Path | tuple[()], transcript: Path | None) -> "Speech":
        from cospeech.speech import Speech
        from cospeech.text import with_pauses

        speech = self.only or Speech.load(job.audio, words)
        if transcript and not self.pipeline.ignores_words:
            with progress_bar(f"align {job.audio.name}") as progress:
                found = find_words_of(job.audio, speech, transcript, "auto", None, None, progress)
            speech = replace(speech, words=with_pauses(found.words, speech.duration_s))
        return speech

    def _together(self, requests: Sequence["Request"]) -> list["Motion"]:
        """The motions of all; of fewer, or none, where one cannot be made."""
        made = []
        with progress_bar(f"generate {len(requests)} recordings") as progress, suppress(CospeechError):
            for motion in self.pipeline.generate_many(requests, **self.sampling, finish=self.finish, progress=progress):
                made.append(motion)
        return made

    def _write(self, job: "Job", request: "Request", motion: "Motion | None") -> int:
        """Write a motion, which is made now if it is not yet; returns how many frames it has."""
        from cospeech import files

        if self.exact:
            return self._write_joints(job, request)
        if motion is None:
            with progress_bar(f"generate {job.audio.name}") as progress:
                (motion,) = self.pipeline.generate_many(
                    [request], **self.sampling, finish=self.finish, progress=progress
                )
        if self.of_face:
            speech = request.speech.cut(0, motion.duration_s)
            motion = self.of_face.add_face(motion, speech, seed=request.seed)
        if self.mapping:
            motion = self.mapping.apply(motion)
        if self.fps is not None:
            motion = motion.resample(self.fps)
        with progress_bar(f"write {job.out.name}") as progress:
            files.save(motion, job.out, audio=request.speech, progress=progress, **self.looks)
        return len(motion)

    def _write_joints(self, job: "Job", request: "Request") -> int:
        from cospeech.formats import npy

        settings = {"prompts": request.timeline, "seed": request.seed, "seed_motion": request.seed_motion}
        with progress_bar(f"generate {job.audio.name}") as progress:
            joints = self.pipeline.generate_joints(request.speech, **settings, **self.sampling, progress=progress)
        npy.write_joints(joints, job.out)
        return len(joints)


def _tell(out: Path, speech_s: float, num_frames: int, fps: float | None, pipeline: "Pipeline") -> None:
    """What was written, and what of the speech was not."""
    fps = fps or pipeline.config.fps
    print(f"wrote {out}")
    print(f"length {num_frames / fps:.2f} s, {num_frames} frames at {fps:g} fps")
    missing_s = speech_s - num_frames / fps
    if missing_s > 0.5 / fps and pipeline.quirks:
        print(
            f"note: as published, the last {missing_s:.2f} s of the speech get no motion; --quirks none goes to its end"
        )


def _check_faces(
    out: Path, layout: str | None, pipeline: "Pipeline", of_face: "Pipeline | None", mapping: "FaceMap | None"
) -> None:
    """What --face and --face-map cannot give fails here, before the slow part."""
    from cospeech import files

    if of_face:
        files.check_keeps(out, "face", layout)
        if pipeline.has_face:
            raise ConfigError(f"--face: the model {pipeline.config.name} has a face of its own. Leave --face out.")
        if not of_face.has_face:
            raise ConfigError(f"--face: the model {of_face.config.name} has no face to give.")
    if mapping:
        has_face = pipeline.has_face or of_face is not None
        files.check_keeps(out, "expressions" if has_face else "face", layout)
        mapping.matrix("arkit_to_flame" if has_face else "flame_to_arkit")
