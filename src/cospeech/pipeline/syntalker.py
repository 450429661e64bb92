"""SynTalker, and the starters: windows, seed latents, sampling, decoding.

Axes: S latent steps of a window, P seed steps, C latent channels, T frames, R predictions that are mixed, B recordings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cospeech import features, humanml3d, positions, skeleton
from cospeech.body import mannequin
from cospeech.checkpoint import Checkpoint
from cospeech.errors import ConfigError, PromptError
from cospeech.guidance import Guidance, Styled, mixed
from cospeech.hearing import FrameHearing, Heard, Hearing, SampleHearing
from cospeech.models.syntalker import Conditions, FrameEncoderConfig, FrozenDenoiser
from cospeech.motion import Motion
from cospeech.nn import sampling
from cospeech.nn.diffusion import cosine_schedule, respace
from cospeech.pipeline.base import Pipeline, Progress, Request, decoded, one_thread_if, with_face_of
from cospeech.prompts import Prompt, active, as_json
from cospeech.prompts import check as check_prompts
from cospeech.sentences import Reader
from cospeech.speech import Speech
from cospeech.systems import SynTalkerModel

SAMPLERS = {"ddim": sampling.ddim, "ddpm": sampling.ddpm}


class Take(NamedTuple):
    """A recording that is to become latents; see `SynTalkerPipeline.sample_windows`."""

    hearing: Hearing
    num_frames: int
    follow: Callable[[int], Guidance]
    noise: Iterator[Tensor]
    before: Tensor | None


class SynTalkerPipeline(Pipeline):
    """Latents of all body parts, denoised window by window under speech and prompts."""

    config: SynTalkerModel

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", quirks: str = "model", precision: str = "float32"):
        super().__init__(checkpoint, device, quirks, precision)
        self.windows = self.config.denoiser
        self.has_face = "face" in self.config.denoiser.parts
        self.gives_joints = self.config.motion == "humanml3d"
        self.has_chance = self.batches = True
        self.denoiser = checkpoint.networks.denoiser  # makes the conditions,
        self.frozen = FrozenDenoiser(self.denoiser)  # under which these sample
        self.quick = FrozenDenoiser(self.denoiser, torch.bfloat16) if precision == "bf16" else self.frozen
        self._silence: Tensor | None = None  # (1, S, A) how the absence of speech is encoded
        self.read = Reader(checkpoint, self.device)
        self.reads_text = self.read.reads
        self.tokenizers = checkpoint.networks.tokenizers
        self.motion_encoder = getattr(checkpoint.networks, "motion_encoder", None)

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
        steps = self._steps(sampler, steps)
        finish = self.config.finish if finish is None else finish
        takes = [self._begun(request) for request in requests]
        latents = self._sample(takes, steps, sampler or "ddim", progress)
        for n, (request, take, of_take) in enumerate(zip(requests, takes, latents, strict=True), 1):
            yield self._ended(request, self.decode(of_take, take.num_frames), steps, sampler, finish)
            if progress:
                progress(0.9 + 0.1 * n / len(takes))

    def _begun(self, request: Request) -> Take:
        if request.speaker is not None:
            raise ConfigError(f"The model `{self.config.name}` knows one manner of speaking: leave the speaker out.")
        follow = self._following(request.speech, request.timeline)
        return self._take(request.speech, follow, request.seed, request.seed_motion)

    def _ended(
        self,
        request: Request,
        motion: Motion,
        steps: int,
        sampler: str | None,
        finish: bool,
    ) -> Motion:
        """What is left to do when a motion is decoded."""
        if request.seed_motion is not None and "seed-face" in self.quirks:
            motion = with_face_of(motion, request.seed_motion)
        motion = self._completed(motion, finish)
        how = f"{sampler or 'ddim'}, {steps} steps{'' if finish else ', no finish'}"
        origin = self._origin(seed=str(request.seed), sampler=how)
        if request.timeline:
            origin["prompts"] = as_json(request.timeline)
        if request.seed_motion is not None:
            origin["seed motion"] = "yes"
        return motion.with_metadata(origin)

    @torch.inference_mode()
    def generate_joints(
        self,
        speech: Speech,
        *,
        styles: Mapping[str, np.ndarray] | None = None,
        prompts: Sequence[Prompt] = (),
        strength: float = 1.0,
        seed: int = 0,
        seed_motion: Motion | np.ndarray | None = None,
        steps: int | None = None,
        sampler: str | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Positions of SMPL-X's joints but jaw and eyes, (T, 52, 3) metres, y up, of a model that gives no rotations.

        Args:
            speech, seed, steps, sampler, progress: As in `generate`.
            seed_motion: As in `generate`, or (T, 623) vectors of `cospeech.humanml3d`.
            styles: Body part -> (256,) style vector that it follows, see `style_of`.
            prompts: What else parts should do, in words; a part with a style has none.
            strength: How much a style is followed, of which 1 is the model's own; 0: not at all.
        """
        if not self.gives_joints:
            raise ConfigError(f"The model `{self.config.name}` gives rotations: use `generate`.")
        parts, width = self.config.denoiser.parts, self.config.denoiser.style_dim
        vectors = {}
        for part, style in (styles or {}).items():
            vector = torch.as_tensor(np.asarray(style, np.float32))
            if part not in parts or vector.shape != (width,) or not vector.isfinite().all():
                raise PromptError(
                    f"A style must be {width} numbers for one of {', '.join(parts)}, got it for `{part}`."
                )
            vectors[part] = vector
        steps = self._steps(sampler, steps)
        always = torch.ones(self.config.denoiser.window_steps)
        styled = {part: [Styled(vector, strength, always)] for part, vector in vectors.items()}
        follow = self._following(speech, prompts, styled)
        take = self._take(speech, follow, seed, seed_motion)
        (latents,) = self._sample([take], steps, sampler or "ddim", progress)
        if progress:
            progress(1.0)
        return self.decode_joints(latents, take.num_frames)

    @torch.inference_mode()
    def style_of(self, motion: np.ndarray, corpus: str = "amass") -> np.ndarray:
        """The (256,) style of a motion, for `generate_joints`.

        Args:
            motion: (T, 623) vectors of `cospeech.humanml3d`.
            corpus: "amass" or "beat2": which of the two corpora of the training the motion is like. By their code the
                authors normalised those of BEAT2 twice, the quirk "double-normalisation"; whether they did when they
                trained the weights that they released, nobody can tell.
        """
        if corpus not in ("amass", "beat2"):
            raise ConfigError(f"`corpus` must be amass or beat2, got {corpus}.")
        if self.motion_encoder is None:
            raise ConfigError(f"The model `{self.config.name}` has no encoder of motions.")
        mean, std = (self.statistics[f"tmr.{kind}"].cpu().numpy() for kind in ("mean", "std"))  # (623,)
        vectors = _vectors(motion)
        for _ in range(2 if corpus == "beat2" and "double-normalisation" in self.quirks else 1):
            vectors = (vectors - mean) / std
        return self.motion_encoder(torch.from_numpy(vectors)[None].to(self.device)).mean[0].cpu().numpy()

    def _take(
        self,
        speech: Speech,
        follow: Callable[[int], Guidance],
        seed: int,
        seed_motion: Motion | np.ndarray | None,
    ) -> Take:
        num_frames = self.num_frames(speech, seed_motion)
        if not -(2**63) <= seed < 2**64:
            raise ConfigError(f"`seed` must fit into 64 bits, got {seed}.")
        self._tell_of_words(speech)
        hearing = self.hear(speech, num_frames)
        before = None if seed_motion is None else self.encode_seed(seed_motion)
        return Take(hearing, num_frames, follow, self._noise(seed), before)

    def _noise(self, seed: int) -> Iterator[Tensor]:
        """Standard normal tensors (1, S, C)."""
        config, generator = self.config.denoiser, torch.Generator().manual_seed(seed)
        return sampling.normals((1, config.window_steps, config.channels), generator, self.device)

    def _sample(
        self, takes: Sequence[Take], steps: int, sampler: str, progress: Progress | None = None
    ) -> list[Tensor]:
        """(1, S, C) latents of each whole recording."""
        latents: list[list[Tensor]] = [[] for _ in takes]
        most = max((self.num_windows(take.num_frames) for take in takes), default=0)
        for count, fresh in enumerate(self._windows(takes, steps, sampler), 1):
            for place, of_window in fresh.items():
                latents[place].append(of_window)
            if progress:
                progress(0.9 * count / most)
        return [torch.cat(of_take, dim=1) for of_take in latents]

    @torch.inference_mode()
    def infer(
        self,
        hearing: Hearing,
        num_frames: int,
        progress: Progress | None = None,
        seed: int = 0,
        steps: int | None = None,
        sampler: str = "ddim",
        follow: Callable[[int], Guidance] | None = None,
        before: Tensor | None = None,
    ) -> Tensor:
        """(1, S, C) latents of the whole recording; see `sample_windows`."""
        take = Take(hearing, num_frames, follow or self._by_speech, self._noise(seed), before)
        return self._sample([take], self._steps(sampler, steps), sampler, progress)[0]

    def _steps(self, sampler: str | None, steps: int | None) -> int:
        if sampler is not None and sampler not in SAMPLERS:
            raise ConfigError(f"Unknown sampler `{sampler}`. Samplers: {', '.join(SAMPLERS)}.")
        own = self.config.denoiser.num_timesteps if sampler == "ddpm" else self.config.steps
        return own if steps is None else steps

    def sample_windows(
        self,
        hearing: Hearing,
        num_windows: int,
        seed: int,
        steps: int,
        sampler: str = "ddim",
        follow: Callable[[int], Guidance] | None = None,
        before: Tensor | None = None,
        noise: Iterator[Tensor] | None = None,
    ) -> Iterator[Tensor]:
        """Sample windows one after another, each continuing the latents before it.

        Args:
            hearing: What is heard in each window.
            follow: What the motion follows in the window that begins with a frame; None: the speech, as the model's
                config says.
            before: (1, P, C) latents that the first window begins with; None: about those of rest.
            noise: Gives (1, S, C) standard normal tensors instead of those of the seed.

        Yields:
            (1, S, C) latents of the first window, then (1, S - P, C) new ones for each window after it.
        """
        num_frames = num_windows * self.config.denoiser.hop_frames + self.config.denoiser.seed_frames
        take = Take(hearing, num_frames, follow or self._by_speech, noise or self._noise(seed), before)
        for fresh in self._windows([take], steps, sampler):
            yield fresh[0]

    def _windows(self, takes: Sequence[Take], steps: int, sampler: str) -> Iterator[dict[int, Tensor]]:
        """Sample the first windows of several recordings as one batch, then their second ones, and so on.

        Yields:
            Place among the takes -> what `sample_windows` yields of it, while it has windows.
        """
        config = self.config.denoiser
        schedule = respace(cosine_schedule(config.num_timesteps), steps)
        counts = [self.num_windows(take.num_frames) for take in takes]
        rest = self.statistics["rest"][None]
        befores = {place: rest if take.before is None else take.before for place, take in enumerate(takes)}
        for i in range(max(counts, default=0)):
            now = [place for place, count in enumerate(counts) if i < count]
            follow, conditions, known = [], [], []
            for place in now:
                take, before = takes[place], befores[place]
                here = take.follow(i * config.hop_frames)
                here = Guidance(*(None if field is None else field.to(self.device) for field in here))
                follow.append(here)
                conditions.append(self._conditions(take.hearing.window(i * config.hop_frames), before, here))
                known.append(None if (i == 0 and take.before is None) or "loose-seams" in self.quirks else before)
            noise = map(torch.cat, zip(*(takes[place].noise for place in now), strict=True))
            alone = sum(len(here.mix) for here in follow) == 1
            with one_thread_if(self.quick is not self.frozen and alone):
                samples = SAMPLERS[sampler](self._denoise(conditions, follow, known), noise, schedule)  # (B, S, C)
            befores = dict(zip(now, samples[:, -config.seed_steps :].split(1), strict=True))
            fresh = (samples if i == 0 else samples[:, config.seed_steps :]) * config.latent_scale
            yield dict(zip(now, fresh.split(1), strict=True))

    def _following(
        self, speech: Speech, prompts: Sequence[Prompt], styles: Mapping[str, list[Styled]] = MappingProxyType({})
    ) -> Callable[[int], Guidance]:
        """What the window that begins with a frame follows; text is read, and refused, before anything is sampled."""
        if not prompts and not styles:
            return self._by_speech
        check_prompts(prompts, speech.duration_s)
        config = self.config.denoiser
        of_text = {text: self.read(text) for text in dict.fromkeys(prompt.text for prompt in prompts)}
        prompts = [prompt for prompt in prompts if of_text[prompt.text] is not None]

        def follow(first: int) -> Guidance:
            frames = first + config.frames_per_step * (np.arange(config.window_steps) + 0.5)
            styled = dict(styles)
            along = self.config.guidance.hands_go_along
            for part, now in active(prompts, config.parts, frames / self.config.fps, along).items():
                if part not in styles:
                    pairs = zip(now.prompts, torch.from_numpy(now.weights).float(), strict=True)
                    styled[part] = [Styled(of_text[prompt.text], prompt.strength, weight) for prompt, weight in pairs]
            return mixed(config, self.config.guidance, styled)

        return follow

    def _by_speech(self, _: int) -> Guidance:
        return mixed(self.config.denoiser, self.config.guidance, {})

    def _conditions(self, heard: Heard, before: Tensor, follow: Guidance) -> Conditions:
        """Of every prediction that is mixed, R rows; the speech is encoded once, and no speech once for all windows."""
        audio = heard.audio.to(self.device)
        words = None if heard.words is None else heard.words.to(self.device)
        speech = self.denoiser.encode_speech(audio, words)
        if not follow.has_audio.all():
            if self._silence is None:
                no = torch.tensor([False], device=self.device)
                self._silence = self.denoiser.encode_speech(audio, words, no)
            speech = torch.where(follow.has_audio[:, None, None], speech, self._silence)
        return self.denoiser.combine(speech, before.expand(len(speech), -1, -1), follow.style, follow.has_style)

    def _denoise(
        self, conditions: Sequence[Conditions], follow: Sequence[Guidance], known: Sequence[Tensor | None]
    ) -> sampling.Denoise:
        """The network as a function of (x_t, t), (B, S, C) and (B,), of B recordings.

        Args:
            known: Latents (1, P, C) that are put in place at every step.
        """
        rows = [len(here.mix) for here in follow]
        joined = Conditions(*map(torch.cat, zip(*conditions, strict=True)))  # (sum of rows, S, W)

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            network = self.frozen if t[0] == 0 else self.quick  # the last step, whose result is kept, in float32
            x_t = torch.cat([x.expand(count, -1, -1) for x, count in zip(x_t.split(1), rows, strict=True)])
            predictions = network(x_t, t[:1].expand(len(x_t)), joined).split(rows)
            x0 = torch.cat([here(each) for here, each in zip(follow, predictions, strict=True)])
            for row, before in zip(x0, known, strict=True):
                if before is not None:
                    row[: before.shape[1]] = before[0]
            return x0

        return denoise

    def hear(self, speech: Speech, num_frames: int) -> Hearing:
        config, covered = self.config.denoiser, self.covered(num_frames)
        if isinstance(config.audio, FrameEncoderConfig):
            return FrameHearing(speech, config.window_frames, self.config.fps, covered)
        return SampleHearing(speech, config, covered, self.vocabulary, self.quirks)

    @torch.inference_mode()
    def encode_seed(self, motion: Motion | np.ndarray) -> Tensor:
        """(1, P, C) the first latents of a motion, as the first window is told them; see `generate_joints`."""
        config = self.config.denoiser
        vectors = self._part_vectors(motion)
        count = len(next(iter(vectors.values())))
        if count < config.seed_frames:
            raise ConfigError(
                f"The seed motion has {count} frames at {self.config.fps:g} fps, {config.seed_frames} are needed."
            )
        latents = []
        for part, tokenizer in self.tokenizers.items():
            vector = torch.from_numpy(vectors[part]).to(self.device)
            vector = (vector - self.statistics[f"{part}.mean"]) / self.statistics[f"{part}.std"]
            latents.append(tokenizer.encode(vector[None])[:, : config.seed_steps])
        return torch.cat(latents, dim=-1) / config.latent_scale

    def _part_vectors(self, motion: Motion | np.ndarray) -> dict[str, np.ndarray]:
        """Part -> (T, channels), not normalised."""
        if not self.gives_joints:
            if not isinstance(motion, Motion):
                raise ConfigError(f"The model `{self.config.name}` takes a seed motion with rotations.")
            motion = motion.resample(self.config.fps)
            face = np.zeros((len(motion), len(skeleton.ARKIT))) if motion.face is None else motion.face
            return {part: features.encode(part, motion.poses, motion.translation, face) for part in self.tokenizers}
        if isinstance(motion, Motion):
            motion = motion.resample(self.config.fps)
            motion = positions.vectors(motion.poses, motion.translation)
        vectors = _vectors(motion)
        return {part: vectors[:, humanml3d.PARTS[part]] for part in self.tokenizers}

    def decode(self, latents: Tensor, num_frames: int) -> Motion:
        """(1, S, C) latents of the whole recording -> motion."""
        if self.gives_joints:
            joints = self.decode_joints(latents, num_frames)
            return Motion(*positions.to_poses(joints, mannequin("light").joints), self.config.fps)
        vectors = self.decode_vectors(latents, num_frames)
        poses, translation, face = features.decode(vectors, one_step_away="first-step" in self.quirks)
        return Motion(poses, translation, self.config.fps, face=face)

    def decode_joints(self, latents: Tensor, num_frames: int) -> np.ndarray:
        """(1, S, C) latents of a model that gives joints -> (T, 52, 3) metres."""
        return humanml3d.joint_positions(humanml3d.join(self.decode_vectors(latents, num_frames)))

    def decode_vectors(self, latents: Tensor, num_frames: int) -> dict[str, np.ndarray]:
        """(1, S, C) latents -> part -> (T, channels), not normalised."""
        return decoded(self.tokenizers, self.statistics, latents, num_frames, self.config.snap)


def _vectors(motion: np.ndarray) -> np.ndarray:
    vectors = np.asarray(motion, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != humanml3d.CHANNELS or not np.isfinite(vectors).all():
        raise ConfigError(f"Motion vectors must be (frames, {humanml3d.CHANNELS}) finite numbers.")
    return vectors
