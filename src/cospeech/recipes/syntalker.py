"""Train SynTalker from a store to a finished checkpoint, or one of its networks, with the published settings.

    cospeech train syntalker-s STORE runs/s --vocabulary words
    cospeech train syntalker-t STORE runs/t --vocabulary words --tmr runs/tmr --use-amass
    cospeech train tokenizer syntalker-s/upper runs/upper --store STORE

System S follows speech; T reads text as well, and learns from motions without speech as far as it is let. What the
authors' code does by mistake in its training is not done, but that the encoder of a tokenizer gets its gradient once
for each stage of the quantizer, without which their learning rate would be another.

Chen et al. 2024, SynTalker, arXiv:2410.00464, and the settings of its code. An epoch of the denoiser is there a window
every 20 frames of every clip with speech and one window of every other clip; here windows are drawn at random, as many.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file

from cospeech import checkpoint as checkpoints
from cospeech import features, systems
from cospeech.body import mannequin
from cospeech.checkpoint import Checkpoint
from cospeech.config import changed, load_json
from cospeech.data.statistics import joint_speed_of
from cospeech.data.store import Store
from cospeech.errors import ConfigError, DataError
from cospeech.models import tokenizer as tokenizers
from cospeech.models.syntalker import SYSTEM_S, SYSTEM_T
from cospeech.recipes import diffusion, loop, tokenizer, vocabulary
from cospeech.recipes.diffusion import TrainDiffusion, TrainedTokenizer
from cospeech.recipes.loop import Training, is_finished
from cospeech.recipes.plan import by_frames, epochs, licence_of, of_network, training_clips, windows_of
from cospeech.recipes.tmr import Space, TrainTmr
from cospeech.recipes.tokenizer import Mirror, TrainTokenizer
from cospeech.systems import SynTalkerModel, SynTalkerNetworks

DISTILBERT, MINILM = Path("distilbert/distilbert-base-uncased"), Path("sentence-transformers/paraphrase-MiniLM-L6-v2")
EVERY_FRAMES = 20  # from one window of an epoch to the next
AMASS_SHARE = 1 / 3  # of the windows, where motions without speech are used
DENOISERS = {"S": replace(SYSTEM_S, parts=("upper", "hands", "lower_trans")), "T": SYSTEM_T}
MOTION = {"S": "rotations", "T": "humanml3d"}
MIRROR: dict[str, Mirror] = {"S": "none", "T": "silent"}
TOKENIZERS = {
    "S": {
        "upper": tokenizers.S_UPPER,
        "hands": tokenizers.S_HANDS,
        "lower_trans": tokenizers.S_LOWER_TRANS,
        "lower": tokenizers.S_LOWER,  # published, and not used by the denoiser
    },
    "T": {"upper": tokenizers.T_UPPER, "hands": tokenizers.T_HANDS, "lower": tokenizers.T_LOWER},
}


# --- the published settings -----------------------------------------------------------------------------------------


def tokenizer_config(system: str, part: str, store: Path, settings: Sequence[str] = ()) -> TrainTokenizer:
    """Args:
    settings: What is to be otherwise, as in `config.changed`.
    """
    training = Training(
        steps=300_000,
        batch_size=256,
        lr=2e-4,
        warmup_steps=1000,
        schedule="drops",
        final_lr=0.05,
        drops=(2 / 3,),
        betas=(0.9, 0.99),
        clip_norm=None,
        average=0.0,
        save_every=1000,
        precision="32-true",
    )
    recorded = features.layout(part).recorded
    there = [info for info in training_clips(store) if recorded in info.has and ("speech" in info.has or system == "T")]
    config = TrainTokenizer(
        store,
        part,
        by_frames(there, f"{store}: no training clip has the part `{part}`."),
        TOKENIZERS[system][part],
        training,
        std_floor=1e-5,
        motion=MOTION[system],
        mirror=MIRROR[system],
        unit_latents=False,
    )
    return changed(config, settings)


def diffusion_config(
    system: str,
    store: Path,
    runs: dict[str, Path],
    words: Path,
    space: Path | None = None,
    use_amass: bool = False,
    settings: Sequence[str] = (),
) -> TrainDiffusion:
    """Args:
    runs: Part -> run directory of its tokenizer.
    words: Folder of `recipes.vocabulary`.
    space: Run directory of `recipes.tmr`, for T.
    use_amass: Learn from motions without speech, too.
    settings: What is to be otherwise, as in `config.changed`. Without steps among them, they are as many as make the
        published number of epochs with the batches that are there.
    """
    model = DENOISERS[system]
    table = vocabulary.load(words).vectors
    model = replace(model, words=replace(model.words, num_words=len(table), embedding_dim=table.shape[1]))
    if space is not None:
        model = replace(model, style_dim=load_json(TrainTmr, space / "config.json").model.width)
    training = Training(
        steps=1,
        batch_size={"S": 40, "T": 200}[system],
        lr=5e-5,
        warmup_steps=0,
        schedule="drops",
        final_lr=0.1,
        drops={"S": (), "T": (1 / 3, 2 / 3)}[system],
        betas=(0.5, 0.999),
        clip_norm=0.99,
        average=0.0,
        precision="32-true",
    )
    long = [info for info in training_clips(store) if info.num_frames >= model.window_frames]
    speaking = [info for info in long if "speech" in info.has]
    silent = [info for info in long if "speech" not in info.has and use_amass]
    if use_amass and not silent:
        raise DataError(f"{store}: every training clip has speech. Leave --use-amass out.")
    by_frames(speaking, f"{store}: no training clip has speech and {model.window_frames} frames.")
    config = TrainDiffusion(
        store,
        runs,
        by_frames([*speaking, *silent], ""),
        model,
        training,
        audio_dropout=0.0,
        tmr=space if system == "T" else None,
        vocabulary=words,
        any_frame=False,
        mirror=MIRROR[system],
        silent_share=AMASS_SHARE if use_amass else 0.0,
    )
    config = changed(config, settings)
    cut = windows_of(speaking, config.model.window_frames, EVERY_FRAMES)
    return epochs(config, {"S": 500, "T": 600}[system], cut + 2 * len(silent), settings)


def tmr_config(store: Path, settings: Sequence[str] = ()) -> TrainTmr:
    """With DistilBERT and a sentence encoder from the hub, unless settings say where they are."""
    training = Training(
        steps=1,
        batch_size=128,  # published: on each of four devices
        lr=1e-4,
        warmup_steps=0,
        schedule="drops",
        betas=(0.9, 0.999),
        weight_decay=0.01,
        clip_norm=None,
        average=0.0,
        precision="32-true",
    )
    config = changed(TrainTmr(store, DISTILBERT, training, MINILM), settings)
    used = sum(bool(info.captions) and info.num_frames > config.shortest for info in training_clips(store))
    return epochs(config, 300, 2 * used, settings)  # mirrored, too


def named(network: str, name: str, store: Path, settings: Sequence[str] = ()) -> TrainTokenizer | TrainTmr:
    """The published settings of a tokenizer, such as "syntalker-s/upper", or of the text-motion space "syntalker-t"."""
    known = [f"syntalker-{system.lower()}/{part}" for system, parts in TOKENIZERS.items() for part in parts]
    known = known if network == "tokenizer" else ["syntalker-t"]
    if name not in known:
        raise ConfigError(f"Unknown settings `{name}` of a {network} with --store. Known: {', '.join(known)}.")
    if network == "tmr":
        return tmr_config(store, settings)
    system, part = name.removeprefix("syntalker-").split("/")
    return tokenizer_config(system.upper(), part, store, settings)


# --- all of it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MakeSynTalker:
    """Args:
    settings: What is to be otherwise than published: "tokenizer.training.steps=1000",
        "diffusion.training.batch_size=16"; `tokenizer` is that of every part.
    together: Tokenizers trained at a time; with several devices one after the other.
    """

    store: Path
    out: Path
    system: Literal["S", "T"]
    vocabulary: Path
    tmr: Path | None = None
    use_amass: bool = False
    settings: tuple[str, ...] = ()
    together: int = 2


def make(config: MakeSynTalker) -> Path:
    """Train what is not trained yet; returns the directory of the finished checkpoint."""
    if (config.system == "T") != (config.tmr is not None):
        raise ConfigError("System T takes its styles from --tmr, a run of `cospeech train tmr`; S takes none.")
    if config.system == "S" and config.use_amass:
        raise ConfigError("--use-amass is for syntalker-t: S learns from motion with speech alone.")
    for setting in config.settings:
        if setting.partition(".")[0] not in ("tokenizer", "diffusion"):
            raise ConfigError(f"`{setting}` is neither a setting of `tokenizer` nor one of `diffusion`.")
    if config.tmr is not None:
        Space.load(config.tmr)
    checkpoints.check_target(config.out / "checkpoint")
    silenced = [info.id for info in training_clips(config.store) if "speech" in info.has and not info.num_samples]
    if silenced:
        raise DataError(f"{config.store}: was prepared without recordings, which SynTalker hears: {silenced[0]}.")
    parts, store, out = DENOISERS[config.system].parts, config.store, config.out
    runs, run = {part: out / part for part in parts}, out / "diffusion"
    configs = {
        part: tokenizer_config(config.system, part, store, of_network("tokenizer", config.settings)) for part in parts
    }
    of_diffusion = of_network("diffusion", config.settings)
    whole = diffusion_config(config.system, store, runs, config.vocabulary, config.tmr, config.use_amass, of_diffusion)
    whole.check_tokenizers(configs)
    for training in (whole.training, *(each.training for each in configs.values())):
        loop.check(training)
    left = [part for part in parts if not is_finished(runs[part], configs[part], "tokenizer.safetensors")]
    if left and run.is_dir():
        raise ConfigError(f"{run}: was trained over other tokenizers than those trained now. Remove it.")
    several = any(each.training.processes > 1 for each in configs.values())
    loop.train_together(
        [(tokenizer.train, configs[part], runs[part]) for part in left], 1 if several else config.together
    )
    if not is_finished(run, whole, "denoiser.safetensors"):
        diffusion.train(whole, run)
    loop.once(partial(export, config.system, out))
    return out / "checkpoint"


def export(system: str, out: Path) -> None:
    """Put the trained networks together as one checkpoint directory, `out`/checkpoint."""
    settings = load_json(TrainDiffusion, out / "diffusion" / "config.json")
    trained = {part: TrainedTokenizer.load(out / part) for part in settings.model.parts}
    space = Space.load(settings.tmr) if settings.tmr else None
    config = SynTalkerModel(
        name=f"syntalker-{system.lower()} retrained",
        licence=licence_of(settings.store),
        denoiser=settings.model,
        tokenizers={part: each.model.config for part, each in trained.items()},
        steps=min(50, settings.model.num_timesteps),
        finish=system == "S",
        motion=MOTION[system],
        tmr=space.config if space else None,
        quirks=settings.quirks,
    )
    networks = SynTalkerNetworks(config)
    networks.denoiser.load_state_dict(load_file(out / "diffusion" / "denoiser.safetensors"))
    speeds = joint_speed_of(Store(settings.store), mannequin("light"))
    statistics: dict[str, Any] = {"joint_speed": torch.from_numpy(speeds)}
    for part, each in trained.items():
        networks.tokenizers[part].load_state_dict(each.model.state_dict())
        statistics |= {f"{part}.mean": each.mean, f"{part}.std": each.std}
    networks.eval().requires_grad_(False)
    statistics["rest"] = systems.mean_pose_latents(networks.tokenizers, settings.model)
    if space:
        networks.motion_encoder.load_state_dict(space.motion_encoder.state_dict())
        statistics |= {"tmr.mean": space.mean, "tmr.std": space.std}
    made = Checkpoint(
        config,
        networks,
        statistics,
        _card(config, settings),
        vocabulary.load(settings.vocabulary).rows,
        space.text_encoder if space else None,
        space.word_pieces if space else None,
    )
    checkpoints.save(made, out / "checkpoint")


def _card(config: SynTalkerModel, settings: TrainDiffusion) -> str:
    shares = "".join(f"- {source}: {share:.0%}\n" for source, share in settings.sources.items())
    return f"""# {config.name}

SynTalker, arXiv:2410.00464, trained anew by `cospeech train` with {settings.training.steps} steps of its denoiser.

**Licence: {config.licence}.** Weights carry the terms of what they learned from.

Shares of the windows:

{shares}"""
