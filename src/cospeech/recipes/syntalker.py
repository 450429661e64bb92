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

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file

from cospeech import checkpoint as checkpoints
from cospeech import features
from cospeech.checkpoint import Checkpoint, ModelConfig, Networks
from cospeech.config import changed, load_json
from cospeech.data.store import ClipInfo, Store
from cospeech.errors import ConfigError, DataError
from cospeech.models import tokenizer as tokenizers
from cospeech.models.syntalker import SYSTEM_S, SYSTEM_T, DenoiserConfig
from cospeech.recipes import diffusion, loop, tokenizer, vocabulary
from cospeech.recipes.diffusion import TrainDiffusion, TrainedTokenizer
from cospeech.recipes.loop import Training, is_finished
from cospeech.recipes.tmr import Space, TrainTmr
from cospeech.recipes.tokenizer import TrainTokenizer

DISTILBERT, MINILM = Path("distilbert/distilbert-base-uncased"), Path("sentence-transformers/paraphrase-MiniLM-L6-v2")
EVERY_FRAMES = 20  # from one window of an epoch to the next
AMASS_SHARE = 1 / 3  # of the windows, where motions without speech are used
DENOISERS = {"S": replace(SYSTEM_S, parts=("upper", "hands", "lower_trans")), "T": SYSTEM_T}
MOTION = {"S": "rotations", "T": "humanml3d"}
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


def tokenizer_config(system: str, part: str, store: Path) -> TrainTokenizer:
    training = Training(
        steps=300_000,
        batch_size=256,
        lr=2e-4,
        warmup_steps=1000,
        final_lr=0.05,
        drops=(200_000,),
        betas=(0.9, 0.99),
        clip_norm=None,
        average=0.0,
        save_every=1000,
        precision="32-true",
    )
    frames = _frames(store, None if system == "T" else True, features.layout(part).recorded)
    return TrainTokenizer(
        store,
        part,
        {source: count / sum(frames.values()) for source, count in frames.items()},
        TOKENIZERS[system][part],
        training,
        std_floor=1e-5,
        motion=MOTION[system],
        mirror=False,
        unit_latents=False,
    )


def diffusion_config(
    system: str,
    store: Path,
    runs: dict[str, Path],
    words: Path,
    space: Path | None = None,
    use_amass: bool = False,
) -> TrainDiffusion:
    """Args:
    runs: Part -> run directory of its tokenizer.
    words: Folder of `recipes.vocabulary`.
    space: Run directory of `recipes.tmr`, for T.
    use_amass: Learn from motions without speech, too.
    """
    model = DENOISERS[system]
    table = vocabulary.load(words).vectors
    model = replace(model, words=replace(model.words, num_words=len(table), embedding_dim=table.shape[1]))
    if space is not None:
        model = replace(model, style_dim=load_json(TrainTmr, space / "config.json").model.width)
    speaking, silent = _frames(store, True), _frames(store, False) if use_amass else {}
    sources = {source: count / sum(speaking.values()) for source, count in speaking.items()}
    if silent:
        sources = {source: share * (1 - AMASS_SHARE) for source, share in sources.items()}
        for source, count in silent.items():
            sources[source] = sources.get(source, 0.0) + AMASS_SHARE * count / sum(silent.values())
    batch, epochs, drops = {"S": (40, 500, ()), "T": (200, 600, (200, 400))}[system]
    epoch = max(_windows(store, model, use_amass) // batch, 1)
    training = Training(
        steps=epochs * epoch,
        batch_size=batch,
        lr=5e-5,
        warmup_steps=0,
        final_lr=0.1,
        drops=tuple(drop * epoch for drop in drops) or (epochs * epoch,),
        betas=(0.5, 0.999),
        clip_norm=0.99,
        average=0.0,
        precision="32-true",
    )
    return TrainDiffusion(
        store,
        runs,
        sources,
        model,
        training,
        audio_dropout=0.0,
        tmr=space if system == "T" else None,
        vocabulary=words,
        any_frame=False,
        mirror=False,
    )


def tmr_config(store: Path) -> TrainTmr:
    """With DistilBERT and a sentence encoder from the hub, unless settings say where they are."""
    captioned = sum(bool(info.captions) for info in _training(store))
    steps = 300 * max(captioned // 512, 1)  # epochs of batches of 128 on each of four devices
    training = Training(
        steps=steps,
        batch_size=128,
        lr=1e-4,
        warmup_steps=0,
        drops=(steps,),
        betas=(0.9, 0.999),
        weight_decay=0.01,
        clip_norm=None,
        average=0.0,
        devices=4,
        precision="32-true",
    )
    return TrainTmr(store, DISTILBERT, training, MINILM)


def named(network: str, name: str, store: Path) -> TrainTokenizer | TrainTmr:
    """The published settings of a tokenizer, such as "syntalker-s/upper", or of the text-motion space "syntalker-t"."""
    known = [f"syntalker-{system.lower()}/{part}" for system, parts in TOKENIZERS.items() for part in parts]
    known = known if network == "tokenizer" else ["syntalker-t"]
    if name not in known:
        raise ConfigError(f"Unknown settings `{name}` of a {network}. Known: {', '.join(known)}; or name a TOML file.")
    if network == "tmr":
        return tmr_config(store)
    system, part = name.removeprefix("syntalker-").split("/")
    return tokenizer_config(system.upper(), part, store)


def _frames(store: Path, speaking: bool | None, recorded: str = "") -> dict[str, int]:
    """Source -> frames of its training clips with speech, without, or (None) of all.

    Args:
        recorded: Of the body, what must be real in them.
    """
    frames: dict[str, int] = defaultdict(int)
    for info in _training(store):
        if (speaking is None or ("speech" in info.has) == speaking) and (not recorded or recorded in info.has):
            frames[info.source] += info.num_frames
    if not frames:
        raise DataError(f"{store}: no training clip {'with' if speaking is not False else 'without'} speech.")
    return dict(frames)


def _windows(store: Path, model: DenoiserConfig, use_amass: bool) -> int:
    """Windows of an epoch."""
    long = [info for info in _training(store) if info.num_frames >= model.window_frames]
    cut = [(info.num_frames - model.window_frames) // EVERY_FRAMES + 1 for info in long if "speech" in info.has]
    return sum(cut) + use_amass * (len(long) - len(cut))


def _training(store: Path) -> list[ClipInfo]:
    return [info for info in Store(store).infos if info.split == "train"]


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
    if config.tmr is not None:
        Space.load(config.tmr)
    for setting in config.settings:
        if setting.partition(".")[0] not in ("tokenizer", "diffusion"):
            raise ConfigError(f"`{setting}` is neither a setting of `tokenizer` nor one of `diffusion`.")
    parts = DENOISERS[config.system].parts
    runs, run = {part: config.out / part for part in parts}, config.out / "diffusion"
    configs = {
        part: changed(tokenizer_config(config.system, part, config.store), _of("tokenizer", config.settings))
        for part in parts
    }
    whole = diffusion_config(config.system, config.store, runs, config.vocabulary, config.tmr, config.use_amass)
    whole = changed(whole, _of("diffusion", config.settings))
    for training in (whole.training, *(each.training for each in configs.values())):
        loop.check(training)
    left = [part for part in parts if not is_finished(runs[part], configs[part], "tokenizer.safetensors")]
    if left and run.is_dir():
        raise ConfigError(f"{run}: was trained over other tokenizers than those trained now. Remove it.")
    devices = max(each.training.devices * each.training.nodes for each in configs.values())
    jobs = [(tokenizer.train, configs[part], runs[part]) for part in left]
    loop.train_together(jobs, config.together if devices == 1 else 1)
    if not is_finished(run, whole, "denoiser.safetensors"):
        diffusion.train(whole, run)
    loop.once(partial(export, config.system, config.out))
    return config.out / "checkpoint"


def _of(network: str, settings: Sequence[str]) -> list[str]:
    return [setting.removeprefix(f"{network}.") for setting in settings if setting.startswith(f"{network}.")]


def export(system: str, out: Path) -> None:
    """Put the trained networks together as one checkpoint directory, `out`/checkpoint."""
    settings = load_json(TrainDiffusion, out / "diffusion" / "config.json")
    trained = {part: TrainedTokenizer.load(out / part) for part in settings.model.parts}
    space = Space.load(settings.tmr) if settings.tmr else None
    config = ModelConfig(
        name=f"syntalker-{system.lower()} retrained",
        licence=_licence(settings.store),
        denoiser=settings.model,
        tokenizers={part: each.model.config for part, each in trained.items()},
        steps=min(50, settings.model.num_timesteps),
        finish=system == "S",
        motion=MOTION[system],
        tmr=space.config if space else None,
    )
    networks = Networks(config)
    networks.denoiser.load_state_dict(load_file(out / "diffusion" / "denoiser.safetensors"))
    statistics: dict[str, Any] = {}
    for part, each in trained.items():
        networks.tokenizers[part].load_state_dict(each.model.state_dict())
        statistics |= {f"{part}.mean": each.mean, f"{part}.std": each.std}
    networks.eval().requires_grad_(False)
    statistics["rest"] = checkpoints.mean_pose_latents(networks.tokenizers, settings.model)
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


def _licence(store: Path) -> str:
    licences = dict.fromkeys(each for info in _training(store) for each in info.licence.split("; "))
    return "those of its data: " + "; ".join(licences)


def _card(config: ModelConfig, settings: TrainDiffusion) -> str:
    shares = "".join(f"- {source}: {share:.0%}\n" for source, share in settings.sources.items())
    return f"""# {config.name}

SynTalker, arXiv:2410.00464, trained anew by `cospeech train` with {settings.training.steps} steps of its denoiser.

**Licence: {config.licence}.** Weights carry the terms of what they learned from.

Shares of the windows:

{shares}"""
