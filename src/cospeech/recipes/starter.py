"""Make a shipped starter from raw data to finished checkpoint: prepare, train six networks, export.

    cospeech train starter DATA runs/starter
    cospeech train starter-open DATA runs/starter-open

A stage that is finished is not run again, a training that was interrupted goes on; export and its measures always run.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

import torch
from safetensors.torch import load_file

from cospeech import checkpoint as checkpoints
from cospeech import features
from cospeech.checkpoint import Checkpoint
from cospeech.config import load_json
from cospeech.data.store import Store, write_store
from cospeech.errors import ConfigError
from cospeech.guidance import GuidanceConfig
from cospeech.models.sentence import SentenceConfig
from cospeech.models.syntalker import DenoiserConfig, FrameEncoderConfig
from cospeech.models.tokenizer import TokenizerConfig
from cospeech.nn.quantize import QuantizerConfig
from cospeech.recipes import diffusion, distil, loop, tokenizer
from cospeech.recipes.diffusion import TrainDiffusion, TrainedTokenizer
from cospeech.recipes.distil import Distil
from cospeech.recipes.loop import Training, is_finished
from cospeech.recipes.tokenizer import TrainTokenizer
from cospeech.systems import SynTalkerModel, SynTalkerNetworks

PARTS = ("upper", "hands", "lower_trans", "face")
REST = "synthetic/silence"  # the clip whose first latents start every generated motion


@dataclass(frozen=True)
class Starter:
    """What one starter learns from.

    Args:
        licence: The strictest of its training data.
        shares: Share of the training windows that each source gets, for each network. Tokenizers learn from
            everything that has their part, the diffusion from what has speech or captions.
        data: The part of its CARD.md on licence and data, beside this file.
    """

    licence: str
    shares: Mapping[str, Mapping[str, float]]
    data: str


STARTERS = {
    "starter": Starter(
        licence="CC BY-NC 4.0",
        shares={
            "upper": {"synthetic": 0.55, "actions": 0.17, "beat2": 0.12, "bandai_namco": 0.11, "cmu": 0.05},
            "hands": {"synthetic": 0.68, "actions": 0.14, "beat2": 0.18},
            "lower_trans": {"synthetic": 0.45, "actions": 0.17, "beat2": 0.1, "bandai_namco": 0.2, "cmu": 0.08},
            "face": {"synthetic": 0.95, "beat2": 0.05},
            "diffusion": {"synthetic": 0.55, "actions": 0.3, "beat2": 0.08, "bandai_namco": 0.07},
        },
        data="starter_data.md",
    ),
    "starter-open": Starter(
        licence="CC0 1.0",
        shares={
            "upper": {"synthetic": 0.73, "actions": 0.19, "cmu": 0.08},
            "hands": {"synthetic": 0.83, "actions": 0.17},
            "lower_trans": {"synthetic": 0.67, "actions": 0.2, "cmu": 0.13},
            "face": {"synthetic": 1.0},
            "diffusion": {"synthetic": 0.67, "actions": 0.33},
        },
        data="starter_open_data.md",
    ),
}
SPEAKING = ("synthetic", "beat2")  # sources of people who talk and are asked for nothing
CORPUS_VERSION = 9  # to be raised with every change to `cospeech.data` that makes other clips
GUIDANCE = GuidanceConfig(
    speech=3.0, prompt=2.5, prompt_of={"lower_trans": 3.5}, hears_under_prompt=(), hands_go_along=True
)
BETA = 1.0  # of the loss of the diffusion
# Fingers fidget by chance: much to learn that matters little. Lips that miss a closure are seen at once.
LOSS_WEIGHTS = {"upper": 2.0, "hands": 0.5, "lower_trans": 1.5, "face": 2.0}
SENTENCES = SentenceConfig(buckets=8192, width=64)
STYLE_DROPOUT = 0.2  # so that arms learn to follow the speech of who crouches, without being asked to
AUDIO_DROPOUT_UNDER_STYLE = 0.7
WIDTHS = {"upper": 112, "hands": 80, "lower_trans": 80, "face": 64}  # of the tokenizers
QUANTIZER = QuantizerConfig(code_dim=32, num_codes=128, num_stages=6, temperature=0.0)
DENOISER = DenoiserConfig(
    parts=PARTS,
    audio=FrameEncoderConfig(width=128),
    code_dim=32,
    style_dim=SENTENCES.style_dim,
    latent_scale=1.0,
    speech_width=128,
    width=256,
    depth=6,
    heads=4,
    mlp_width=464,  # so that a starter with its sentence encoder has less than 12 MB
)


@dataclass(frozen=True)
class MakeStarter:
    data: Path  # folder with bandai_namco, beat2_scott, cmu, speech
    out: Path  # run directory
    name: Literal["starter", "starter-open"] = "starter"
    tokenizer_steps: int = 6_000
    tokenizer_batch: int = 32
    diffusion_steps: int = 20_000
    diffusion_batch: int = 32
    sentence_steps: int = 6_000
    teacher: Path = Path("sentence-transformers/all-MiniLM-L6-v2")  # the large sentence encoder: folder or hub id
    accelerator: str = "auto"
    together: int = 2  # networks trained at a time before the last one, each in a process with one thread


def make(config: MakeStarter) -> Path:
    """Returns the directory of the finished checkpoint."""
    store = config.out / "store"
    runs, run, sentences = (
        {part: config.out / part for part in PARTS},
        config.out / "diffusion",
        config.out / "sentences",
    )
    training = Training(config.diffusion_steps, config.diffusion_batch, lr=5e-4, accelerator=config.accelerator)
    loop.check(training)
    distilled = Distil(
        config.teacher,
        store,
        Training(config.sentence_steps, 256, lr=2e-3, accelerator=config.accelerator),
        SENTENCES,
    )
    if not is_finished(sentences, distilled, distil.RESULT):
        distil.load_teacher(distilled.teacher)  # an error now rather than in an hour
    _prepare(config, store)
    configs = {part: tokenizer_config(config, store, part) for part in PARTS}
    left = [part for part in PARTS if not is_finished(runs[part], configs[part], "tokenizer.safetensors")]
    reads = is_finished(sentences, distilled, distil.RESULT)
    if (left or not reads) and run.is_dir():
        raise ConfigError(f"{run}: was trained over other networks than those trained now. Remove it.")
    jobs = [(tokenizer.train, configs[part], runs[part]) for part in left]
    loop.train_together([*([] if reads else [(distil.train, distilled, sentences)]), *jobs], config.together)
    whole = TrainDiffusion(
        store,
        runs,
        dict(STARTERS[config.name].shares["diffusion"]),
        DENOISER,
        training,
        BETA,
        LOSS_WEIGHTS,
        sentences=sentences,
        style_dropout=STYLE_DROPOUT,
        audio_dropout_under_style=AUDIO_DROPOUT_UNDER_STYLE,
    )
    if not is_finished(run, whole, "denoiser.safetensors"):
        diffusion.train(whole, run)
    return export(config.name, config.out)


def _prepare(config: MakeStarter, store: Path) -> None:
    """Make the store, or find out that the one that is there is of this starter and of this version of the corpus."""
    corpus = f"{config.name}, version {CORPUS_VERSION}"
    if not store.exists():
        from cospeech.data import starters  # needs more packages than training does

        starters.check(config.data)
        clips = {"starter": starters.starter, "starter-open": starters.starter_open}[config.name](config.data)
        infos = write_store(store, clips, corpus)
        print(f"{store}: {len(infos)} clips, {sum(info.num_frames for info in infos) / 30 / 3600:.1f} hours")
    elif (found := Store(store).corpus) != corpus:
        raise ConfigError(
            f"{store}: holds the corpus of {found or 'something else'}, not of {corpus}. Choose another directory or "
            "remove it."
        )


def made_as(store: Path) -> str:
    """The name of the starter that a store was made for."""
    name = Store(store).corpus.partition(",")[0]
    if name not in STARTERS:
        raise ConfigError(f"{store}: was not made for {' or '.join(STARTERS)}.")
    return name


def of_speakers(shares: Mapping[str, float]) -> dict[str, float]:
    """Of the shares of sources those of people who talk and are asked for nothing."""
    return {source: share for source, share in shares.items() if source in SPEAKING}


def tokenizer_config(config: MakeStarter, store: Path, part: str) -> TrainTokenizer:
    channels = features.layout(part).channels
    model = TokenizerConfig(channels, WIDTHS[part], depth=2, dropout=0.0, quantizer=QUANTIZER)
    training = Training(config.tokenizer_steps, config.tokenizer_batch, lr=1e-3, accelerator=config.accelerator)
    shares = dict(STARTERS[config.name].shares[part])
    return TrainTokenizer(
        store,
        part,
        shares,
        model,
        training,
        beta=0.1,
        velocity_weight=2.0,
        acceleration_weight=2.0,
        pelvis_weight=5.0,  # seldom turned or moved far, but when it is, everything is
    )


def export(name: str, out: Path) -> Path:
    """Put the trained networks together as one checkpoint directory."""
    tokenizers = {part: TrainedTokenizer.load(out / part) for part in PARTS}
    config = SynTalkerModel(
        name=name,
        licence=STARTERS[name].licence,
        denoiser=DENOISER,
        tokenizers={part: trained.model.config for part, trained in tokenizers.items()},
        snap=False,
        guidance=GUIDANCE,
        sentences=SENTENCES,
    )
    networks = SynTalkerNetworks(config)
    networks.denoiser.load_state_dict(load_file(out / "diffusion" / "denoiser.safetensors"))
    networks.sentences.load_state_dict(distil.load(out / "sentences").state_dict())
    for part, trained in tokenizers.items():
        networks.tokenizers[part].load_state_dict(trained.model.state_dict())
    statistics: dict[str, torch.Tensor] = {}
    for part, trained in tokenizers.items():
        statistics |= {f"{part}.mean": trained.mean, f"{part}.std": trained.std}
    statistics["rest"] = rest_latents(Store(out / "store"), tokenizers, DENOISER)
    directory = out / "checkpoint"
    unmeasured = Checkpoint(config, networks, statistics)
    checkpoints.save(unmeasured, directory)
    checkpoints.save(replace(unmeasured, card=card(name, out, directory)), directory)
    return directory


def rest_latents(store: Store, tokenizers: dict[str, TrainedTokenizer], model: DenoiserConfig) -> torch.Tensor:
    """(P, C) latents of somebody who is silent: the most usual moment, upright and looking ahead."""
    rest = next(clip for clip in store.clips("val") if clip.info.id == REST)
    latents = torch.from_numpy(diffusion.encode_clip(rest, tokenizers, model, any_frame=False)[0].latents)  # (S, C)
    moments = latents.unfold(0, model.seed_steps, 1).mT  # (S - P + 1, P, C)
    return moments[(moments - latents.mean(dim=0)).square().mean(dim=(1, 2)).argmin()]


def card(name: str, out: Path, directory: Path) -> str:
    """The text of CARD.md: what went in, and what `cospeech bench` measures of the exported checkpoint."""
    store = Store(out / "store")
    minutes: dict[str, float] = defaultdict(float)
    for info in store.infos:
        if info.split == "train":
            minutes[info.source] += info.num_frames / 30 / 60
    training = load_json(TrainDiffusion, out / "diffusion" / "config.json").training
    tokenizer_training = load_json(TrainTokenizer, out / PARTS[0] / "config.json").training
    versions = json.loads((out / "diffusion" / "versions.json").read_text())
    checkpoint = checkpoints.load(directory)
    folder = files("cospeech.recipes")
    text = Template((folder / "starter_card.md").read_text(encoding="utf-8"))
    return text.substitute(
        name=name,
        data=(folder / STARTERS[name].data).read_text(encoding="utf-8").strip(),
        parameters=f"{sum(p.numel() for p in checkpoint.networks.parameters()) / 1e6:.1f} million",
        minutes="".join(f"- {source}: {total:.1f}\n" for source, total in minutes.items()),
        tokenizer_steps=tokenizer_training.steps,
        diffusion_steps=training.steps,
        machine=f"Trained on {versions['device']}.",
        measures=measures(directory),
    )


def measures(directory: Path) -> str:
    """Rows of what `cospeech bench` finds of a checkpoint."""
    try:
        from cospeech.recipes import bench
    except ModuleNotFoundError:  # it needs more packages than training does
        return "| not measured: `cospeech train` was run where only training is installed | | |"
    return "\n".join(f"| {' | '.join(row[:3])} |" for row in bench.measure(directory))
