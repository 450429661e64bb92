"""Speech in, motion out: windows, seed latents, sampling, decoding.

Axes: S latent steps of a window, P seed steps, C latent channels, T frames.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import cospeech
from cospeech import checkpoint as checkpoints
from cospeech import features, prosody
from cospeech.checkpoint import Checkpoint
from cospeech.errors import CheckpointError, ConfigError, CospeechWarning, PromptError
from cospeech.finish import finish as finished
from cospeech.finish import steady
from cospeech.models.syntalker import Conditions, FrameEncoderConfig
from cospeech.motion import Motion
from cospeech.nn import sampling
from cospeech.nn.diffusion import cosine_schedule, respace
from cospeech.speech import Speech

SAMPLERS = {"ddim": sampling.ddim, "ddpm": sampling.ddpm}
Progress = Callable[[float], None]


def load_pipeline(model: str | Path = "starter", device: str = "cpu") -> "Pipeline":
    """Make a pipeline from a released name, a checkpoint directory or a hub id."""
    return Pipeline(checkpoints.load(model, device), device)


class Pipeline:
    """A loaded model that turns speech into motion. Loading is slow, generating is not: keep it."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu"):
        if not isinstance(checkpoint.config.denoiser.audio, FrameEncoderConfig):
            raise CheckpointError("This model listens to samples; only models that listen to frame features run here.")
        if checkpoint.config.denoiser.words or checkpoint.config.denoiser.style_dim or checkpoint.config.quirks:
            raise CheckpointError("This model reads words or text, or needs quirks; such models do not run here yet.")
        self.config = checkpoint.config
        self.device = torch.device(device)
        self.denoiser = checkpoint.networks.denoiser
        self.tokenizers = checkpoint.networks.tokenizers
        self.statistics = checkpoint.statistics

    @property
    def has_face(self) -> bool:
        return "face" in self.config.denoiser.parts

    @torch.inference_mode()
    def generate(
        self,
        speech: Speech,
        *,
        upper: str = "",
        hands: str = "",
        lower: str = "",
        whole: str = "",
        seed: int = 0,
        steps: int | None = None,
        sampler: str = "ddim",
        finish: bool = True,
        progress: Progress | None = None,
    ) -> Motion:
        """Motion for a recording, exactly round(duration * fps) frames, at least one.

        Args:
            speech: The recording. Its loudness and sample rate do not matter.
            upper, hands, lower, whole: Text prompts for parts of the body; only for models that read text.
            seed: Same seed, same device and versions: same motion.
            steps: Diffusion steps for each window; None takes the model's own number.
            sampler: "ddim" or "ddpm".
            finish: Keep feet on the floor, hands out of the body and joints in their ranges, see `cospeech.finish`;
                False gives what the networks say.
            progress: Called with the fraction done, 0 to 1.

        Raises:
            PromptError: a prompt was given to a model that reads no text.
        """
        if upper or hands or lower or whole:
            raise PromptError(f"The model `{self.config.name}` follows speech only: it cannot read text prompts.")
        if not -(2**63) <= seed < 2**64:
            raise ConfigError(f"`seed` must fit into 64 bits, got {seed}.")
        if speech.words:
            message = f"The model `{self.config.name}` does not read words: it follows the sound alone."
            warnings.warn(CospeechWarning(message), stacklevel=2)
        if sampler not in SAMPLERS:
            raise ConfigError(f"Unknown sampler `{sampler}`. Samplers: {', '.join(SAMPLERS)}.")
        num_frames = speech.num_frames(self.config.fps)
        heard = self.hear(speech, num_frames)
        latents = []
        windows = self.sample_windows(heard, seed, self.config.steps if steps is None else steps, sampler)
        for fresh in windows:
            latents.append(fresh)
            if progress:
                progress(0.9 * len(latents) / self.num_windows(num_frames))
        motion = self.decode(torch.cat(latents, dim=1), num_frames)
        if finish:
            motion = finished(steady(motion))
        if progress:
            progress(1.0)
        return motion.with_metadata(
            {
                "model": self.config.name,
                "licence": self.config.licence,
                "seed": str(seed),
                "sampler": f"{sampler}, {steps or self.config.steps} steps{'' if finish else ', no finish'}",
                "version": cospeech.__version__,
            }
        )

    def add_face(self, motion: Motion, speech: Speech, seed: int = 0) -> Motion:
        """A motion without a face, with the face that this model gives the speech; its frame rate does not matter.

        Raises:
            ConfigError: this model has no face, or the motion and the speech differ by more than a second.
        """
        if abs(motion.duration_s - speech.duration_s) > 1:
            raise ConfigError(
                f"The motion lasts {motion.duration_s:.2f} s and the speech {speech.duration_s:.2f} s: they do not "
                "belong together. Cut one of them."
            )
        if not self.has_face:
            raise ConfigError(f"The model `{self.config.name}` has no face to give.")
        generated = self.generate(speech, seed=seed, finish=False)
        face = generated.resample(motion.fps).face
        frames = np.arange(len(motion)).clip(max=len(face) - 1)
        origin = f"{self.config.name}, licence {self.config.licence}, seed {seed}, version {cospeech.__version__}"
        return motion.with_face(face[frames]).with_metadata({"face": origin})

    def num_windows(self, num_frames: int) -> int:
        """How many overlapping windows cover the frames."""
        window, overlap = self.config.denoiser.window_frames, self.config.denoiser.seed_frames
        return max(1, -(-(num_frames - overlap) // (window - overlap)))

    def sample_windows(self, heard: Tensor, seed: int, steps: int, sampler: str = "ddim") -> Iterator[Tensor]:
        """Sample windows one after another, each continuing the latents before it.

        Args:
            heard: (1, T, F) speech features of all windows, T = windows * hop + overlap frames.

        Yields:
            (1, S, C) latents of the first window, then (1, S - P, C) new ones for each window after it.
        """
        config = self.config.denoiser
        schedule = respace(cosine_schedule(config.num_timesteps), steps)
        generator = torch.Generator().manual_seed(seed)
        noise = sampling.normals((1, config.window_steps, config.channels), generator, self.device)
        hop = config.window_frames - config.seed_frames
        before, first = self.statistics["rest"][None], True
        for start in range(0, heard.shape[1] - config.seed_frames, hop):
            window = heard[:, start : start + config.window_frames]
            conditions = self._conditions(window, before)
            sample = SAMPLERS[sampler](self._denoise(conditions, None if first else before), noise, schedule)
            yield (sample if first else sample[:, config.seed_steps :]) * config.latent_scale
            before, first = sample[:, -config.seed_steps :], False

    def _conditions(self, window: Tensor, before: Tensor) -> Conditions:
        """Those of the speech, and with guidance those of no speech as a second row (Ho & Salimans 2022)."""
        if self.config.guidance == 1:
            return self.denoiser.condition(window, None, before)
        has_audio = torch.tensor([True, False], device=self.device)
        return self.denoiser.condition(window.expand(2, -1, -1), None, before.expand(2, -1, -1), has_audio=has_audio)

    def _denoise(self, conditions: Conditions, before: Tensor | None):
        """The network as a function of (x_t, t); latents that are already known are put in place at every step."""

        guidance = self.config.guidance

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            if guidance == 1:
                x0 = self.denoiser(x_t, t, conditions)
            else:
                heard, unheard = self.denoiser(x_t.expand(2, -1, -1), t.expand(2), conditions).split(1)
                x0 = unheard + guidance * (heard - unheard)
            if before is not None:
                x0[:, : before.shape[1]] = before
            return x0

        return denoise

    def hear(self, speech: Speech, num_frames: int) -> Tensor:
        """(1, T, F) speech features up to the end of the last window; beyond the recording there is silence."""
        config = self.config.denoiser
        hop = config.window_frames - config.seed_frames
        covered = self.num_windows(num_frames) * hop + config.seed_frames
        samples = speech.resample(prosody.SAMPLE_RATE).samples
        heard = prosody.speech_features(samples, covered, self.config.fps)
        return torch.from_numpy(heard)[None].to(self.device)

    def decode(self, latents: Tensor, num_frames: int) -> Motion:
        """(1, S, C) latents of the whole recording -> motion."""
        vectors = {}
        for i, (part, tokenizer) in enumerate(self.tokenizers.items()):
            width = self.config.denoiser.code_dim
            vector = tokenizer.decode_long(latents[..., i * width : (i + 1) * width], self.config.snap)[0, :num_frames]
            vector = vector * self.statistics[f"{part}.std"] + self.statistics[f"{part}.mean"]
            vectors[part] = vector.float().cpu().numpy()
        poses, translation, face = features.decode(vectors)
        return Motion(poses, translation, self.config.fps, face=face)
