"""A talker: codes of all body parts, drawn step by step as long as the speech lasts.

Axes: S latent steps, T frames, P body parts, Q stages of codes, K codes, C latent channels.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from cospeech import features
from cospeech.checkpoint import Checkpoint
from cospeech.errors import ConfigError
from cospeech.hearing import FrameHearing
from cospeech.motion import Motion
from cospeech.pipeline.base import Progress, Request, SpeechOnly, decoded
from cospeech.speech import Speech
from cospeech.systems import TalkerModel

_HEARD = 256  # steps whose speech is encoded at a time


class TalkerPipeline(SpeechOnly):
    """Goes on from step to step; what it has done it remembers."""

    config: TalkerModel
    windows = None
    has_chance = True

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", quirks: str = "model", precision: str = "float32"):
        super().__init__(checkpoint, device, quirks, precision)
        if precision != "float32":
            raise ConfigError(f"The model `{self.config.name}` is small: it runs in float32.")
        self.has_face = "face" in self.config.talker.parts
        self.talker = checkpoint.networks.talker
        self.tokenizers = checkpoint.networks.tokenizers
        stages = self.config.talker.num_stages
        self.codebooks = [tokenizer.quantizer.codebooks[:stages] for tokenizer in self.tokenizers.values()]

    def make(self, request: Request, finish: bool, progress: Progress) -> Motion:
        name, speech, seed = self.config.name, request.speech, request.seed
        if request.speaker is not None:
            raise ConfigError(f"The model `{name}` knows one manner of speaking: leave the speaker out.")
        if request.seed_motion is not None:
            raise ConfigError(f"The model `{name}` cannot continue a motion: leave the seed motion out.")
        if not 0 <= seed < 2**63:
            raise ConfigError(f"`seed` must be 0 to 2^63 - 1, got {seed}.")
        self._tell_of_words(speech)
        num_frames = self.num_frames(speech)
        motion = self.decode(self.infer(self.hear(speech, num_frames), num_frames, progress, seed), num_frames)
        origin = self._origin(seed=str(seed), sampler="codes" + ("" if finish else ", no finish"))
        return self._completed(motion, finish).with_metadata(origin)

    def hear(self, speech: Speech, num_frames: int) -> FrameHearing:
        per_step = self.config.talker.frames_per_step
        return FrameHearing(speech, per_step, self.config.fps, -(-num_frames // per_step) * per_step)

    @torch.inference_mode()
    def infer(self, hearing: FrameHearing, num_frames: int, progress: Progress | None = None, seed: int = 0) -> Tensor:
        """(1, S, C) latents of the whole recording."""
        config, generator = self.config.talker, torch.Generator().manual_seed(seed)
        past = torch.zeros(config.channels, device=self.device)
        shape = (len(config.parts), config.num_stages, config.num_codes)
        num_steps = -(-num_frames // config.frames_per_step)
        states, latents = None, []
        for heard in self._heard(hearing.features):
            noise = -torch.empty(shape).exponential_(generator=generator).log().to(self.device)  # Gumbel
            latent, past, states = self.talker.step(heard, past, self.codebooks, noise, states)
            latents.append(latent)
            if progress and len(latents) % 32 == 0:
                progress(0.9 * len(latents) / num_steps)
        return torch.stack(latents)[None]

    def _heard(self, speech: Tensor) -> Iterator[Tensor]:
        """(T, F) features -> (2, 1, W) of one step after another."""
        per_step = self.config.talker.frames_per_step
        halo = -(-self.config.talker.halo_frames // per_step)
        num_steps = len(speech) // per_step
        for start in range(0, num_steps, _HEARD):
            end, left = min(start + _HEARD, num_steps), max(start - halo, 0)
            piece = speech[left * per_step : (end + halo) * per_step].to(self.device)
            heard = self.talker.hear(piece[None])
            yield from heard[:, start - left : end - left].split(1, dim=1)

    @torch.inference_mode()
    def decode(self, latents: Tensor, num_frames: int) -> Motion:
        """(1, S, C) latents of the whole recording -> motion."""
        vectors = decoded(self.tokenizers, self.statistics, latents, num_frames, snap=False)
        poses, translation, face = features.decode(vectors)
        return Motion(poses, translation, self.config.fps, face=face)
