"""Make the shipped starter from raw data to finished checkpoint: prepare, train five networks, export.

    python -m cospeech.recipes.starter --data DATA --out runs/starter

Every stage that is already there is left as it is, a training that was interrupted goes on.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from cospeech import checkpoint as checkpoints
from cospeech import features, prosody
from cospeech.body import mannequin
from cospeech.checkpoint import Checkpoint, ModelConfig, Networks
from cospeech.data import bandai_namco, beat2, cmu, synthetic, voices
from cospeech.data.clips import Clip
from cospeech.data.store import ClipInfo, Store, StoredClip, write_store
from cospeech.models.syntalker import DenoiserConfig, FrameEncoderConfig
from cospeech.models.tokenizer import TokenizerConfig
from cospeech.motion import Motion
from cospeech.nn.quantize import QuantizerConfig
from cospeech.recipes import diffusion, tokenizer
from cospeech.recipes.diffusion import TrainDiffusion, TrainedTokenizer
from cospeech.recipes.loop import Training
from cospeech.recipes.tokenizer import TrainTokenizer
from cospeech.speech import Speech

LICENCE = "CC BY-NC 4.0"
PARTS = ("upper", "hands", "lower_trans", "face")
PLANTINGS = 4  # of different personas on every real recording
REST = "synthetic/silence"  # the clip whose first latents start every generated motion
MONOLOGUES = 110  # spoken by espeak-ng, about 14 s each

# Share of the training windows that each source gets. Tokenizers learn from everything that has their part,
# the diffusion from what has speech.
SHARES = {
    "upper": {"synthetic": 0.6, "beat2": 0.15, "bandai_namco": 0.2, "cmu": 0.05},
    "hands": {"synthetic": 0.75, "beat2": 0.25},
    "lower_trans": {"synthetic": 0.5, "beat2": 0.15, "bandai_namco": 0.25, "cmu": 0.1},
    "face": {"synthetic": 0.9, "beat2": 0.1},
    "diffusion": {"synthetic": 0.85, "beat2": 0.15},
}
TOKENIZER = {"width": 88, "depth": 2, "dropout": 0.1}
QUANTIZER = QuantizerConfig(code_dim=64, num_codes=256, num_stages=6)
DENOISER = DenoiserConfig(
    parts=PARTS,
    audio=FrameEncoderConfig(width=128),
    code_dim=64,
    latent_scale=1.0,
    speech_width=128,
    width=256,
    depth=5,
    heads=4,
    mlp_width=512,
)


@dataclass(frozen=True)
class MakeStarter:
    data: Path  # folder with bandai_namco, beat2_scott, cmu, speech
    out: Path  # run directory
    tokenizer_steps: int = 8_000
    tokenizer_batch: int = 32
    diffusion_steps: int = 10_000
    diffusion_batch: int = 64
    accelerator: str = "auto"
    together: int = 2  # tokenizers trained at a time, each in a process with one thread


def make(config: MakeStarter) -> Path:
    """Returns the directory of the finished checkpoint."""
    store = config.out / "store.npz"
    if not store.is_file():
        infos = write_store(store, prepare(config.data))
        print(f"{store}: {len(infos)} clips, {store.stat().st_size / 1e6:.1f} MB")
    runs = {part: config.out / part for part in PARTS}
    left = [part for part, run in runs.items() if not (run / "tokenizer.safetensors").is_file()]
    with ProcessPoolExecutor(config.together, mp_context=get_context("spawn")) as pool:
        list(pool.map(_train_tokenizer, [tokenizer_config(config, store, p) for p in left], [runs[p] for p in left]))
    run = config.out / "diffusion"
    training = Training(config.diffusion_steps, config.diffusion_batch, lr=4e-4, accelerator=config.accelerator)
    if not (run / "denoiser.safetensors").is_file():
        diffusion.train(TrainDiffusion(store, runs, SHARES["diffusion"], DENOISER, training), run)
    return export(config.out)


def _train_tokenizer(config: TrainTokenizer, directory: Path) -> None:
    torch.set_num_threads(1)
    tokenizer.train(config, directory)


def tokenizer_config(config: MakeStarter, store: Path, part: str) -> TrainTokenizer:
    model = TokenizerConfig(channels=features.layout(part).channels, quantizer=QUANTIZER, **TOKENIZER)
    training = Training(config.tokenizer_steps, config.tokenizer_batch, lr=1e-3, accelerator=config.accelerator)
    return TrainTokenizer(store, part, SHARES[part], model, training)


def prepare(data: Path) -> Iterator[StoredClip]:
    """All clips of all sources, 30 fps, with speech features and planted faces."""
    joints = mannequin().joints
    real = list(bandai_namco.clips(data / "bandai_namco", joints))
    idle = [clip.motion for clip in real if _is_standing(clip)]
    for clip in real:
        yield stored(clip, "bandai_namco")
    for clip in cmu.clips(data / "cmu", joints):
        if "scenery" not in clip.tags:
            yield stored(clip, "cmu")
    silence = Speech(np.zeros(20 * prosody.SAMPLE_RATE, np.float32), prosody.SAMPLE_RATE)
    yield planted(REST, "val", silence, idle, seed=0)
    recordings = []
    for clip in beat2.clips(data / "beat2_scott"):
        if clip.motion is not None:
            yield stored(clip, "beat2")
        if clip.split == "train":
            recordings.append((clip.id, clip.speech))
    for path in [*sorted((data / "speech" / "mfa").glob("*.wav")), *(data / "speech" / "cmu_arctic").glob("*.wav")]:
        recordings.append((path.stem, Speech.load(path)))
    number = 0
    for name, speech in recordings:
        for _ in range(PLANTINGS):
            number += 1
            yield planted(f"synthetic/{name}/{number}", "train", speech, idle, number)
    for voice, speech in voices.monologues(MONOLOGUES, seed=0):
        number += 1
        split = "val" if voice.endswith(voices.HELD_OUT) else "train"
        yield planted(f"synthetic/{voice}/{number}", split, speech, idle, number)


def planted(name: str, split: str, speech: Speech, idle: list[Motion], seed: int) -> StoredClip:
    motion = synthetic.plant(speech, idle, seed).motion
    has = ("upper", "hands", "lower", "face", "speech")
    return _stored(ClipInfo(name, split, "synthetic", LICENCE, len(motion), has), motion, speech)


def stored(clip: Clip, source: str) -> StoredClip:
    """A clip of real motion; with speech, the face is planted around the real jaw."""
    motion, has = clip.motion, set(clip.has)
    if clip.speech is not None:
        rng = np.random.default_rng(0)
        samples = clip.speech.resample(prosody.SAMPLE_RATE).samples
        energy = prosody.energy_envelope(samples, len(motion), motion.fps)
        face = synthetic.plant_face(energy, (), rng)
        face[:, synthetic.skeleton.JAW_OPEN] = motion.face[:, synthetic.skeleton.JAW_OPEN]
        motion = Motion(motion.poses, motion.translation, motion.fps, face=face)
        has.add("face")
    captions = tuple(caption.text for caption in clip.captions)
    info = ClipInfo(clip.id, clip.split, source, clip.licence, len(motion), tuple(sorted(has)), captions)
    return _stored(info, motion, clip.speech)


def _stored(info: ClipInfo, motion: Motion, speech: Speech | None) -> StoredClip:
    heard = np.zeros((len(motion), prosody.NUM_FEATURES), np.float32)
    if speech is not None:
        heard = prosody.speech_features(speech.resample(prosody.SAMPLE_RATE).samples, len(motion), motion.fps)
    face = np.zeros((len(motion), 52), np.float32) if motion.face is None else motion.face
    return StoredClip(info, motion.poses, motion.translation, face, heard)


def _is_standing(clip: Clip) -> bool:
    """Clips of people who stand in place and move their arms: their legs and trunk serve as idle motion."""
    calm = ("normal", "masculine", "feminine", "youthful")
    return "_wave-" in clip.id and any(f"_{style}_" in clip.id for style in calm) and clip.split == "train"


def export(out: Path) -> Path:
    """Put the trained networks together as one checkpoint directory."""
    tokenizers = {part: TrainedTokenizer.load(out / part) for part in PARTS}
    config = ModelConfig(
        name="starter",
        licence=LICENCE,
        denoiser=DENOISER,
        tokenizers={part: trained.model.config for part, trained in tokenizers.items()},
    )
    networks = Networks(config)
    networks.denoiser.load_state_dict(load_file(out / "diffusion" / "denoiser.safetensors"))
    for part, trained in tokenizers.items():
        networks.tokenizers[part].load_state_dict(trained.model.state_dict())
    statistics: dict[str, torch.Tensor] = {}
    for part, trained in tokenizers.items():
        statistics |= {f"{part}.mean": trained.mean, f"{part}.std": trained.std}
    rest = next(clip for clip in Store(out / "store.npz").clips("val") if clip.info.id == REST)
    item = next(diffusion.encode_clip(rest, tokenizers, DENOISER))
    statistics["rest"] = torch.from_numpy(item["latents"][: DENOISER.seed_steps])
    directory = out / "checkpoint"
    checkpoints.save(Checkpoint(config, networks, statistics, card=""), directory)
    return directory
