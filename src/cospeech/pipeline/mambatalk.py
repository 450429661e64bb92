"""MambaTalk: windows, each told the last frames before it, one code a frame for every body part, decoding.

[1] Xu et al. 2024, MambaTalk, arXiv:2403.09471

Axes: T frames of a window, P frames of its seed, F frames of all, C channels of motion (see `features.body_channels`).
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from cospeech import checkpoint as checkpoints
from cospeech import features, rotation, skeleton
from cospeech.checkpoint import Checkpoint
from cospeech.errors import ConfigError
from cospeech.hearing import CharacterHearing
from cospeech.models.mambatalk import BODY, PARTS, TRANSLATION, Heard, freeze, speaker_row
from cospeech.motion import Motion
from cospeech.pipeline.base import Progress, Request, SpeechOnly, one_thread_if, with_shape_of
from cospeech.speech import Speech
from cospeech.systems import MambaTalkModel

ROWS = 8  # windows that are heard at once


class MambaTalkPipeline(SpeechOnly):
    """Codes of all body parts, chosen window by window; nothing in it is chance.

    The checkpoint's networks are taken over: they can no longer learn, nor be saved.
    """

    config: MambaTalkModel
    has_face = False  # but expressions of FLAME
    has_chance = False

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", quirks: str = "model", precision: str = "float32"):
        super().__init__(checkpoint, device, quirks, precision)
        self.windows = self.config.network
        self.network = checkpoint.networks.network
        if not isinstance(next(iter(self.network.classify.values()))[0], nn.Linear):
            raise ConfigError("The networks of this checkpoint belong to another pipeline: load it again.")
        self.half = precision == "bf16"
        freeze(self.network, torch.bfloat16 if self.half else torch.float32)
        self.autoencoders = checkpoint.networks.autoencoders
        self.directory = checkpoint.directory
        self._recogniser = checkpoint.recogniser  # loaded when something is heard: larger than the rest

    def make(self, request: Request, finish: bool, progress: Progress) -> Motion:
        speech, seed_motion = request.speech, request.seed_motion
        speaker = self.config.speaker if request.speaker is None else request.speaker
        speaker_row(speaker, self.windows.num_speakers)  # an error now rather than when everything is heard
        num_frames = self.num_frames(speech, seed_motion)
        self._tell_of_words(speech)
        before = None if seed_motion is None else self.encode_seed(seed_motion)
        hearing = self.hear(speech, num_frames)
        codes = self.infer(hearing, num_frames, progress, before, speaker)
        motion = self.decode(codes, num_frames, before)
        if seed_motion is not None:
            motion = with_shape_of(motion, seed_motion)
        more = {"seed motion": "yes"} if seed_motion is not None else {}
        origin = self._origin(seed=str(request.seed), speaker=str(speaker)) | more
        return self._completed(motion, finish).with_metadata(origin)

    def hear(self, speech: Speech, num_frames: int) -> CharacterHearing:
        if self._recogniser is None:
            self._recogniser = checkpoints.load_recogniser(self.directory, self.device)
        return CharacterHearing(
            speech, self.config.network, self.covered(num_frames), self._recogniser, self.vocabulary, self.quirks
        )

    @torch.inference_mode()
    def infer(
        self,
        hearing: CharacterHearing,
        num_frames: int,
        progress: Progress | None = None,
        before: Tensor | None = None,
        speaker: int | None = None,
    ) -> dict[str, Tensor]:
        """Part -> (1, F) codes of the whole recording; see `choose_windows`."""
        codes: list[dict[str, Tensor]] = []
        num_windows = self.num_windows(num_frames)
        for fresh in self.choose_windows(hearing, num_windows, before, speaker):
            codes.append(fresh)
            if progress:
                progress(0.9 * len(codes) / num_windows)
        return {part: torch.cat([each[part] for each in codes], dim=1)[:, :num_frames] for part in PARTS}

    def choose_windows(
        self, hearing: CharacterHearing, num_windows: int, before: Tensor | None = None, speaker: int | None = None
    ) -> Iterator[dict[str, Tensor]]:
        """Choose the codes of one window after another, each continuing the motion before it.

        Args:
            before: (P, C) motion of the first frames; None: that of rest.
            speaker: Number in BEAT2; None: the one that most is known of.

        Yields:
            Part -> (1, T) codes of the first window, then (1, T - P) new ones for each window after it.
        """
        before = self.statistics["rest"] if before is None else before
        speaker = self.config.speaker if speaker is None else speaker
        row = torch.tensor([speaker_row(speaker, self.config.network.num_speakers)], device=self.device)
        count = self.windows.seed_frames
        motion = torch.zeros(1, self.windows.window_frames, self.windows.motion_channels, device=self.device)
        hidden = torch.ones_like(motion, dtype=torch.bool)
        hidden[:, :count] = False
        start = before[0, features.PLACE]
        for i, heard in enumerate(self._heard(hearing, num_windows)):
            motion[0, :count] = before
            with one_thread_if(self.half):
                latents = self.network.move(heard, row, motion, hidden)
            codes = {part: self.network.classify[part](latents[part]).argmax(dim=-1) for part in BODY}
            codes["face"] = self.autoencoders["face"].codebook.nearest(latents["face"])
            yield codes if i == 0 else {part: each[:, count:] for part, each in codes.items()}
            if i + 1 < num_windows:
                before, start = self._continued(codes, start)

    def _heard(self, hearing: CharacterHearing, num_windows: int) -> Iterator[Heard]:
        """What is heard in one window after another, a few at a time."""
        for first in range(0, num_windows, ROWS):
            last = min(first + ROWS, num_windows)
            windows = [hearing.window(i * self.windows.hop_frames) for i in range(first, last)]
            audio, words = (torch.cat(each).to(self.device) for each in zip(*windows, strict=True))
            heard = self.network.hear(audio, words)
            for i in range(last - first):
                yield Heard(*(each[i : i + 1] for each in heard))

    def _continued(self, codes: Mapping[str, Tensor], start: Tensor) -> tuple[Tensor, Tensor]:
        """What the window after this one is told: (P, C) its last frames; and (3,) where its first frame is.

        Args:
            start: (3,) metres, where the first frame of this window is.
        """
        count = self.windows.seed_frames
        before = torch.zeros(count, self.windows.motion_channels, device=self.device)
        rotations = before[:, : features.ROTATIONS].unflatten(1, (-1, 6))
        rotations[:] = rotations.new_tensor([1, 0, 0, 0, 1, 0])  # of jaw and eyes, for which no part is asked
        for part in BODY:
            joints = features.layout(part).joints
            decoder = self.autoencoders[part]
            last = decoder.decode(codes[part][:, -count - decoder.config.halo :])[0, -count:]
            rotations[:, joints] = _upright(last[:, : 6 * len(joints)].unflatten(1, (-1, 6)))
        if "forgotten-jaw" not in self.quirks:
            decoder = self.autoencoders["face"]
            last = decoder.decode(codes["face"][:, -count - decoder.config.halo :])[0, -count:]
            rotations[:, skeleton.JAW] = _upright(last[:, :6])
        legs = self.autoencoders["lower"].decode(codes["lower"])[0]
        before[:, features.CONTACTS] = legs[-count:, features.LEGS_CONTACTS]
        if "forgotten-place" in self.quirks:
            speed = legs[:, features.LEGS_MOVE]
        else:
            speed = self._translate(legs[None])[0]
        places = torch.from_numpy(features.walked(speed.cpu().numpy(), start.cpu().numpy())).to(self.device)
        before[:, features.PLACE] = places[-count:]
        return before, start if "forgotten-place" in self.quirks else places[-count]

    def _translate(self, legs: Tensor) -> Tensor:
        """(1, F, 61) what the legs do -> (1, F, 3) speed in x and z, height."""
        legs = legs.clone()
        rotations = slice(0, features.LEGS_MOVE.start)
        legs[..., rotations] = _upright(legs[..., rotations].unflatten(-1, (-1, 6))).flatten(-2)
        legs[..., features.LEGS_MOVE] = 0
        if "felt-contacts" not in self.quirks:
            legs[..., features.LEGS_CONTACTS] = 0
        return self.autoencoders[TRANSLATION].translate_long(legs)[..., features.LEGS_MOVE]

    @torch.inference_mode()
    def encode_seed(self, motion: Motion) -> Tensor:
        """(P, C) the first frames of a motion, as the first window is told them."""
        motion, count = motion.resample(self.config.fps), self.windows.seed_frames
        if len(motion) < count:
            raise ConfigError(
                f"The seed motion has {len(motion)} frames at {self.config.fps:g} fps, {count} are needed."
            )
        channels = features.body_channels(motion.poses[: count + 1], motion.translation[: count + 1])
        return torch.from_numpy(channels[:count]).to(self.device)

    @torch.inference_mode()
    def decode(self, codes: Mapping[str, Tensor], num_frames: int, before: Tensor | None = None) -> Motion:
        """Part -> (1, F) codes -> motion that begins where `before` does, as in `choose_windows`."""
        before = self.statistics["rest"] if before is None else before
        decoded = {part: self.autoencoders[part].decode_long(codes[part][:, :num_frames]) for part in PARTS}
        speed = self._translate(decoded["lower"])[0].cpu().numpy()
        vectors = {part: vector[0].cpu().numpy() for part, vector in decoded.items()}
        start = before[0, features.PLACE].cpu().numpy()
        poses, translation, expressions = features.from_mambatalk(vectors, speed, start)
        return Motion(poses, translation, self.config.fps, expressions=expressions)


def _upright(vectors: Tensor) -> Tensor:
    """(..., 6) any vectors -> those of the rotations that they stand for."""
    return rotation.matrix_to_rotation_6d(rotation.rotation_6d_to_matrix(vectors))
