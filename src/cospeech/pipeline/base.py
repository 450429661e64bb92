"""What the pipelines of all systems have in common: how many frames, in which windows, and where they come from."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import cospeech
from cospeech import skeleton, waveform
from cospeech.checkpoint import Checkpoint
from cospeech.errors import ConfigError, CospeechWarning, PromptError
from cospeech.finish import finish as finished
from cospeech.finish import steady
from cospeech.hearing import Hearing
from cospeech.models.mambatalk import MambaTalkConfig
from cospeech.models.syntalker import DenoiserConfig
from cospeech.motion import Motion
from cospeech.prompts import Prompt, of_parts
from cospeech.quirks import without_removable
from cospeech.speech import Speech

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of a recording; see `Pipeline.generate`."""

    speech: Speech
    timeline: Sequence[Prompt] = ()
    speaker: int | None = None
    seed: int = 0
    seed_motion: Motion | None = None


class Pipeline(ABC):
    """A loaded model that turns speech into motion. Loading is slow, generating is not: keep it."""

    # Says how long a window is, and its overlap with the one before; None: there are no windows.
    windows: DenoiserConfig | MambaTalkConfig | None
    has_face: bool  # the motion has ARKit weights
    has_chance: bool  # another seed gives another motion
    reads_text: bool  # it follows prompts
    batches: bool  # it makes several recordings in less time than one after the other
    gives_joints: bool  # the model knows where joints are, not how they turn; `generate` works the rotations out

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", quirks: str = "model", precision: str = "float32"):
        if quirks not in ("model", "none"):
            raise ConfigError(f"`quirks` must be model or none, got {quirks}.")
        if precision not in ("float32", "bf16"):
            raise ConfigError(f"`precision` must be float32 or bf16, got {precision}.")
        self.config = checkpoint.config
        self.quirks = checkpoint.config.quirks
        if quirks == "none":
            self.quirks = without_removable(self.quirks)
        self.device = torch.device(device)
        self.statistics = checkpoint.statistics
        self.vocabulary = checkpoint.vocabulary

    def generate(
        self,
        speech: Speech,
        *,
        upper: str = "",
        hands: str = "",
        lower: str = "",
        whole: str = "",
        strength: float = 1.0,
        timeline: Sequence[Prompt] = (),
        speaker: int | None = None,
        seed: int = 0,
        seed_motion: Motion | None = None,
        steps: int | None = None,
        sampler: str | None = None,
        finish: bool | None = None,
        progress: Progress | None = None,
    ) -> Motion:
        """Motion for a recording, exactly round(duration * fps) frames, at least one.

        A published model with its quirks gives fewer, see `cospeech.quirks`. Of one that gives positions of joints the
        rotations are worked out by `cospeech.positions`, for the mannequin.

        Args:
            speech: The recording. Its sample rate does not matter, nor does its loudness to models trained here.
            upper, hands, lower, whole: What parts of the body should do all the time, in words; only for models that
                read text. Other parts follow the speech.
            strength: How much these prompts are followed, see `cospeech.prompts.Prompt`.
            timeline: Prompts with their times, besides.
            speaker: Whose manner, by the number of the speaker in BEAT2; only for models that know several. None: the
                one that most is known of.
            seed: Same seed, same device and versions: same motion. Models without chance do not look at it.
            seed_motion: The result begins like the first frames of it. None: it begins at rest, a published model of
                SynTalker in the mean pose of its training data.
            steps: Diffusion steps for each window; None takes the model's own number for ddim and all of them for ddpm.
            sampler: "ddim" or "ddpm"; None: ddim.
            finish: Keep feet on the floor, hands out of the body and joints in their ranges, see `cospeech.finish`;
                False gives what the networks say; None does as the model's config says.
            progress: Called with the fraction done, 0 to 1.

        Raises:
            PromptError: a prompt makes no sense, or was given to a model that reads no text.
            ConfigError: something else was asked that the model does not have.
        """
        prompts = of_parts({"upper": upper, "hands": hands, "lower": lower, "whole": whole}, strength)
        request = Request(speech, [*prompts, *timeline], speaker, seed, seed_motion)
        (motion,) = self.generate_many([request], steps=steps, sampler=sampler, finish=finish, progress=progress)
        return motion

    @abstractmethod
    def generate_many(
        self,
        requests: Sequence[Request],
        *,
        steps: int | None = None,
        sampler: str | None = None,
        finish: bool | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Motion]:
        """What `generate` gives for each of several recordings, in order.

        A diffusion model makes them together, which takes less time, and the same memory for each: some ten at once
        are worth it. Other models make one after the other.

        Args:
            progress: Called with the fraction done of all of them.
        """

    @abstractmethod
    def hear(self, speech: Speech, num_frames: int) -> Hearing:
        """What the model is given of the recording up to the end of the last window."""

    @abstractmethod
    def infer(self, hearing: Hearing, num_frames: int, progress: Progress | None = None) -> Any:
        """What the network says about the whole recording, for `decode`."""

    @abstractmethod
    def decode(self, inferred: Any, num_frames: int) -> Motion:
        """Motion of what the network said, not finished."""

    def add_face(self, motion: Motion, speech: Speech, seed: int = 0) -> Motion:
        """A motion without a face, with the face that this model gives the speech; its frame rate does not matter.

        Raises:
            ConfigError: this model has no face, or the motion goes on for more than a second after the speech.
        """
        if motion.duration_s - speech.duration_s > 1:
            raise ConfigError(
                f"The motion lasts {motion.duration_s:.2f} s and the speech {speech.duration_s:.2f} s: they do not "
                "belong together."
            )
        if not self.has_face:
            raise ConfigError(f"The model `{self.config.name}` has no face to give.")
        generated = self.generate(Speech(speech.samples, speech.rate), seed=seed, finish=False)
        face = generated.resample(motion.fps).face
        frames = np.arange(len(motion)).clip(max=len(face) - 1)
        origin = f"{self.config.name}, licence {self.config.licence}, seed {seed}, version {cospeech.__version__}"
        motion = replace(motion, expressions=np.zeros_like(motion.expressions))  # one face, not two
        return motion.with_face(face[frames]).with_metadata({"face": origin})

    def num_frames(self, speech: Speech, seed_motion: Motion | np.ndarray | None = None) -> int:
        """How many frames are generated for a recording."""
        exact = speech.num_frames(self.config.fps)
        if self.windows is None:
            return exact
        if seed_motion is not None and "seed-length" in self.quirks:
            seconds = len(seed_motion) / (seed_motion.fps if isinstance(seed_motion, Motion) else self.config.fps)
            kept = int(seconds) * round(self.config.fps)
            # The published code stops with an error where the seed motion is shorter than a window.
            if self.windows.window_frames <= kept < exact:
                message = (
                    f"The seed motion lasts {seconds:.1f} s: the published system generates no more. "
                    "`--quirks none` goes on to the end of the speech."
                )
                warnings.warn(CospeechWarning(message), stacklevel=3)
                exact = kept
        if "whole-windows" not in self.quirks:
            return exact
        twice = "double-resampling" in self.quirks
        seconds = waveform.resampled_length(len(speech.samples), speech.rate, twice) // waveform.SAMPLE_RATE
        usable = min(seconds * round(self.config.fps), exact) // 8 * 8
        hop, overlap = self.windows.hop_frames, self.windows.seed_frames
        whole = (usable - overlap) // hop
        return whole * hop + overlap if whole > 0 else exact  # too short for the published code: as long as it is

    def num_windows(self, num_frames: int) -> int:
        """How many overlapping windows cover the frames."""
        assert self.windows is not None
        return max(1, -(-(num_frames - self.windows.seed_frames) // self.windows.hop_frames))

    def covered(self, num_frames: int) -> int:
        """How many frames those windows have together."""
        assert self.windows is not None
        return self.num_windows(num_frames) * self.windows.hop_frames + self.windows.seed_frames

    def _completed(self, motion: Motion, finish: bool) -> Motion:
        return finished(steady(motion)) if finish else motion

    @property
    def ignores_words(self) -> str:
        """What somebody who has the words should know; empty where the model reads them."""
        if self.vocabulary is not None:
            return ""
        reads = "does not know any word" if self.config.num_words else "does not read words"
        return f"The model `{self.config.name}` {reads}: it follows the sound alone."

    def _tell_of_words(self, speech: Speech) -> None:
        if speech.words and self.ignores_words:
            warnings.warn(CospeechWarning(self.ignores_words), stacklevel=4)

    def _origin(self, **more: str) -> dict[str, str]:
        """What every motion says about where it comes from."""
        origin = {"model": self.config.name, "licence": self.config.licence, **more, "version": cospeech.__version__}
        if self.quirks != self.config.quirks:
            origin["quirks"] = "none"
        return origin


class SpeechOnly(Pipeline):
    """A pipeline that follows nothing but speech, without diffusion: it makes one motion after the other."""

    reads_text = batches = gives_joints = False

    @torch.inference_mode()
    def generate_many(
        self,
        requests: Sequence[Request],
        *,
        steps: int | None = None,
        sampler: str | None = None,
        finish: bool | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Motion]:
        if any(request.timeline for request in requests):
            raise PromptError(f"The model `{self.config.name}` follows speech only: it cannot read text prompts.")
        if steps is not None or sampler is not None:
            raise ConfigError(f"The model `{self.config.name}` has no diffusion: leave steps and sampler out.")
        finish = self.config.finish if finish is None else finish

        def tell(done: int, share: float) -> None:
            if progress:
                progress((done + share) / len(requests))

        for done, request in enumerate(requests):
            yield self.make(request, finish, partial(tell, done))
            tell(done, 1.0)

    @abstractmethod
    def make(self, request: Request, finish: bool, progress: Progress) -> Motion:
        """The motion for one recording, see `generate`."""


def decoded(
    tokenizers: nn.ModuleDict, statistics: Mapping[str, Tensor], latents: Tensor, num_frames: int, snap: bool
) -> dict[str, np.ndarray]:
    """(1, S, C) latents of all parts, one after another -> part -> (T, channels), not normalised."""
    vectors = {}
    of_parts = latents.chunk(len(tokenizers), dim=-1)
    for (part, tokenizer), of_part in zip(tokenizers.items(), of_parts, strict=True):
        vector = tokenizer.decode_long(of_part, snap)[0, :num_frames]
        vector = vector * statistics[f"{part}.std"] + statistics[f"{part}.mean"]
        vectors[part] = vector.float().cpu().numpy()
    return vectors


@contextmanager
def one_thread_if(better: bool) -> Iterator[None]:
    """Small products in bfloat16 are over before a second thread has woken up."""
    threads = torch.get_num_threads()
    if better and threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def with_shape_of(motion: Motion, other: Motion) -> Motion:
    """A motion of a body of the shape of another."""
    return replace(motion, betas=other.betas)


def with_face_of(motion: Motion, seed_motion: Motion) -> Motion:
    """A motion with jaw, expressions and body shape of another; where that one is over, its last frame stays."""
    source = seed_motion.resample(motion.fps)
    frames = np.arange(len(motion)).clip(max=len(source) - 1)
    poses = motion.poses.copy()
    poses[:, skeleton.JAW] = source.poses[frames, skeleton.JAW]
    return with_shape_of(replace(motion, poses=poses, expressions=source.expressions[frames]), source)
