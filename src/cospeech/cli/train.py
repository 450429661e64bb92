"""`cospeech train`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import arg

from cospeech.errors import ConfigError, MissingExtra


def train(
    network: Literal[
        *("tokenizer", "autoencoder", "diffusion", "tmr", "embedder"),
        *("starter", "starter-open", "starter-mambatalk", "syntalker-s", "syntalker-t", "mambatalk"),
    ],
    config: Annotated[Path, arg(metavar="CONFIG")],
    out: Annotated[Path, arg(metavar="RUN")],
    /,
    set: Annotated[tuple[str, ...], arg(metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = (),
    store: Path | None = None,
    accelerator: str = "auto",
    teacher: Path | None = None,
    vocabulary: Path | None = None,
    tmr: Path | None = None,
    use_amass: bool = False,
    wav2vec2: Path | None = None,
    protocol: Literal["corrected", "published"] | None = None,
) -> None:
    """Train a network, or all of a model. An interrupted run goes on where it was.

    Example: cospeech train starter data runs/starter

    Args:
        network: tokenizer: of one body part. autoencoder: what is one for mambatalk. diffusion: the denoiser over
            trained tokenizers. tmr: the space of motions and sentences. embedder: the one in which the Frechet gesture
            distance compares motions. The others: everything that model consists of, from data to finished checkpoint,
            with the published settings for syntalker-s (speech), syntalker-t (speech and text) and mambatalk.
        config: TOML file with the settings of `TrainTokenizer`, `TrainAutoencoder`, `TrainDiffusion`, `TrainTmr` or
            `TrainEmbedder` (see `cospeech.recipes`), or, with --store, the name of published ones: syntalker-s/upper,
            /hands, /lower, /lower_trans, syntalker-t/upper, /hands, /lower, mambatalk/face, /upper, /hands, /lower,
            /translation for an autoencoder, of a tmr syntalker-t, of an embedder emage. For a starter, the folder with
            the data sets named in its CARD; for starter-mambatalk the run of either starter; for a syntalker and
            mambatalk, a store.
        out: Run directory: gets config, versions, log and weights.
        set: A setting to change, such as training.steps=1000; for a syntalker and mambatalk one of their networks',
            such as diffusion.training.steps=1000 or network.training.steps=1000. May be given several times.
        store: For published settings: the store to learn from.
        accelerator: For a starter: cpu, cuda, or auto.
        teacher: For a starter: folder or hub id of the sentence encoder from which its small one learns to read.
            Default: sentence-transformers/all-MiniLM-L6-v2.
        vocabulary: For a syntalker and mambatalk: folder that `python -m cospeech.recipes.vocabulary` made.
        tmr: For syntalker-t: run directory of a `cospeech train tmr`.
        use_amass: For a syntalker: learn from motions without speech, too, a third of the time.
        wav2vec2: For mambatalk: folder or hub id of what it hears with. Default: facebook/wav2vec2-base-960h.
        protocol: For mambatalk, its autoencoders and an embedder: published makes the mistakes by which the released
            weights were shaped, see `cospeech.recipes.autoencoder`. Default: corrected.
    """
    from cospeech.config import changed, load_toml

    try:
        from cospeech.recipes import autoencoder, diffusion, embedder, mambatalk, starter, syntalker, talker, tokenizer
        from cospeech.recipes import tmr as space
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "lightning-fabric", "train") from error
    given = {
        "--accelerator": accelerator != "auto",
        "--teacher": teacher is not None,
        "--set": bool(set),
        "--store": store is not None,
        "--vocabulary": vocabulary is not None,
        "--tmr": tmr is not None,
        "--use-amass": use_amass,
        "--wav2vec2": wav2vec2 is not None,
        "--protocol": protocol is not None,
    }
    family = network.partition("-")[0]
    of_family = {
        "starter": ("--accelerator", "--teacher"),
        "syntalker": ("--set", "--vocabulary", "--tmr", "--use-amass"),
        "mambatalk": ("--set", "--vocabulary", "--wav2vec2", "--protocol"),
        "autoencoder": ("--set", "--store", "--protocol"),
        "embedder": ("--set", "--store", "--protocol"),
    }
    for option, is_given in given.items():
        if is_given and option not in of_family.get(family, ("--set", "--store")):
            raise ConfigError(f"{option} has no use for {network}. Leave it out.")
    if network == "starter-mambatalk":
        if teacher is not None:
            raise ConfigError("--teacher has no use for starter-mambatalk, which reads no text. Leave it out.")
        print(f"wrote {talker.make(talker.MakeTalker(config, out, accelerator=accelerator))}")
    elif family == "starter":
        settings = {"accelerator": accelerator} | ({} if teacher is None else {"teacher": teacher})
        made = starter.make(starter.MakeStarter(config, out, network, **settings))
        print(f"wrote {made}")
    elif family in ("syntalker", "mambatalk") and vocabulary is None:
        raise ConfigError("--vocabulary is missing: make one with `python -m cospeech.recipes.vocabulary STORE`.")
    elif family == "mambatalk":
        of_options = {"wav2vec2": wav2vec2, "protocol": protocol}
        options = {name: value for name, value in of_options.items() if value is not None}
        print(f"wrote {mambatalk.make(mambatalk.MakeMambaTalk(config, out, vocabulary, settings=set, **options))}")
    elif family == "syntalker":
        system = "S" if network == "syntalker-s" else "T"
        print(f"wrote {syntalker.make(syntalker.MakeSynTalker(config, out, system, vocabulary, tmr, use_amass, set))}")
    else:
        run, kind = {
            "tokenizer": (tokenizer.train, tokenizer.TrainTokenizer),
            "autoencoder": (autoencoder.train, autoencoder.TrainAutoencoder),
            "diffusion": (diffusion.train, diffusion.TrainDiffusion),
            "tmr": (space.train, space.TrainTmr),
            "embedder": (embedder.train, embedder.TrainEmbedder),
        }[network]
        if store is not None and network == "diffusion":
            raise ConfigError("--store goes with published settings, which for a diffusion are those of syntalker-s.")
        named = str(config).startswith(("syntalker-", "mambatalk/")) or str(config) == embedder.PUBLISHED
        if store is None and named and not config.exists():
            raise ConfigError(f"{config}: published settings need --store, the store to learn from.")
        if store is None and protocol is not None:
            raise ConfigError("--protocol goes with --store; of a TOML file it is one of the settings.")
        if store is None:
            settings = changed(load_toml(kind, config), set)
        elif network == "autoencoder":
            settings = mambatalk.named(str(config), store, protocol or "corrected", set)
        elif network == "embedder":
            settings = embedder.named(str(config), store, protocol or "corrected", set)
        else:
            settings = syntalker.named(network, str(config), store, set)
        run(settings, out)
