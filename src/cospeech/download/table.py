"""What `cospeech download` knows: which published files there are, where, under which terms.

Only what the programs here need. A size or SHA-256 of None is not known: the host is asked for it, and where it does
not know either, the first download is trusted and its SHA-256 kept in SHA256SUMS. Bodies of SMPL-X are left out on
purpose: see `BODY`.

[1] huggingface.co/robinwitch/SynTalker; the revision and the sums are those against which public code that fetches the
    files of system T checks them. Arrays of mean_std: github.com/RobinWitch/SynTalker, measured here.
[2] huggingface.co/kkakkkka/MambaTalk, as its README names the files; sizes and sums are not known
[3] huggingface.co/facebook/wav2vec2-base-960h, whose revision, sizes and sums are quoted alike in many repositories
[4] huggingface.co/datasets/H-Liu1997/BEAT2; sizes and sums are not known
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class File:
    path: str  # at the host, and below the folder it is fetched to; `{language}` is filled in
    size: int | None = None  # bytes
    sha256: str | None = None
    system: Literal["S", "T"] | None = None  # of SynTalker's two, the one that needs it; None: both


@dataclass(frozen=True)
class Hub:
    """A repository on the Hugging Face hub."""

    repository: str
    revision: str = "main"
    kind: Literal["model", "dataset"] = "model"

    @property
    def page(self) -> str:
        return f"huggingface.co/{'datasets/' * (self.kind == 'dataset')}{self.repository}"


@dataclass(frozen=True)
class Web:
    """A folder of plain files."""

    url: str  # without the slash at the end
    page: str


@dataclass(frozen=True)
class Source:
    """Files of one host under one licence."""

    what: str
    host: Hub | Web
    licence: str
    meaning: str  # of the licence, in plain words
    terms: tuple[str, ...]  # pages where they can be read
    files: tuple[File, ...] = ()
    folders: tuple[str, ...] = ()  # such as folder/*.npz: those of the chosen speakers are wanted
    into: str = ""  # folder that the files are put in

    @property
    def size(self) -> int | None:
        """Bytes of all files; None where the host must be asked."""
        sizes = [file.size for file in self.files]
        return None if None in sizes or self.folders else sum(size or 0 for size in sizes)


@dataclass(frozen=True)
class Published:
    """What one name stands for."""

    name: str
    what: str
    sources: tuple[Source, ...]
    then: tuple[str, ...]  # commands that take the files, which lie in {out}
    options: tuple[str, ...] = ()  # choices that it has: system, language, speakers
    by_hand: str = ""  # what must be fetched by hand, and where


BODY = (
    "Bodies of SMPL-X (SMPLX_NEUTRAL_2020.npz) are never downloaded: their licence is between you and its authors. "
    "Register at https://smpl-x.is.tue.mpg.de and give the file to --body. Nothing here needs it."
)

_BEAT2_LICENCE = "unclear: take it as non-commercial"
_BEAT2_MEANING = (
    "The card on the hub says Apache-2.0, the project's page non-commercial, its author that non-commercial use is "
    "fine. Name the authors. The voices and bodies are of real, named people: do not use them to clone a voice or to "
    "identify anybody."
)
_BEAT2 = Hub("H-Liu1997/BEAT2", kind="dataset")
_BEAT2_TERMS = ("https://huggingface.co/datasets/H-Liu1997/BEAT2", "https://pantomatrix.github.io/BEAT/")
_WEIGHTS = "beat_english_v2.0.0/weights"
# Of the words that SynTalker and MambaTalk know; without it they take every word for an unknown one.
_WORDS = Source(
    what="words that the networks know, from BEAT2",
    host=_BEAT2,
    licence=_BEAT2_LICENCE,
    meaning=_BEAT2_MEANING,
    terms=_BEAT2_TERMS,
    files=(File(f"{_WEIGHTS}/vocab.pkl"),),
)

_S, _T = "ckpt/beatx2_rvqvae/RVQVAE", "ckpt/beatx_1-30_amass_h3d_rvqvae/RVQVAE"
_TMR = "ckpt/beatx_1-30_amass_h3d_tmr"

SYNTALKER = Published(
    name="syntalker",
    what="released weights of SynTalker: system S (speech) and T (speech and text)",
    sources=(
        Source(
            what="SynTalker's weights",
            host=Hub("robinwitch/SynTalker", "e47ee9ed19f1043fed46d8bd3be7d57dcbb75f87"),
            licence="not stated",
            meaning="No licence of the weights is stated; the code they belong to is MIT. They were trained on BEAT2 "
            "and AMASS, whose terms, non-commercial ones among them, may bind you: ask the authors before you use them "
            "for more than research.",
            terms=("https://huggingface.co/robinwitch/SynTalker", "https://github.com/RobinWitch/SynTalker"),
            files=(
                File("ckpt/beatx2_cospeech_diffusion/last_500.bin", system="S"),
                File(f"{_S}_upper/net_300000.pth", system="S"),
                File(f"{_S}_hands/net_300000.pth", system="S"),
                File(f"{_S}_lower_trans/net_300000.pth", system="S"),
                File(
                    "ckpt/beatx_1-30_amass_h3d_diffusion/last_600.bin",
                    sha256="7ebef33ac1f131420de05565cd9927313446eadc3bd5a2ab4cc436a09da368bf",
                    system="T",
                ),
                File(
                    f"{_T}_upper/net_300000.pth",
                    sha256="25657855dace8008f769fd6675fdd595a7a3464a0b4ea1def294ed171bc55ca2",
                    system="T",
                ),
                File(
                    f"{_T}_hands/net_300000.pth",
                    sha256="19cc2cbb68371a91c4107dce073d25feda56af1acc2b8ce938120738d423c8d6",
                    system="T",
                ),
                File(
                    f"{_T}_lower/net_300000.pth",
                    sha256="8de38c6be9c927a5d6df1c4e03489d704b961cf6f4777dcf31379381192cfcfe",
                    system="T",
                ),
                File(
                    f"{_TMR}/text_epoch=299.ckpt",
                    sha256="e8ac085ed2edf47ed6f20b3ae5ec8c89b98e90237315663f8c17c9f69934b3ed",
                    system="T",
                ),
                File(f"{_TMR}/motion_epoch=299.ckpt", system="T"),
            ),
        ),
        Source(
            what="means and deviations of SynTalker's motion",
            host=Web(
                "https://raw.githubusercontent.com/RobinWitch/SynTalker/4301ada4d5affe6a77beaf5f8e19bc1904d3ea41",
                page="github.com/RobinWitch/SynTalker",
            ),
            licence="MIT",
            meaning="Free for any use; keep the licence with copies.",
            terms=("https://github.com/RobinWitch/SynTalker/blob/main/LICENSE",),
            files=(
                File(
                    "mean_std/beatx_2_330_mean.npy",
                    1448,
                    "6102c3f4d49fea07edcde67924967c12cdfe4bfbf768ce688a2b703f871b8401",
                    system="S",
                ),
                File(
                    "mean_std/beatx_2_330_std.npy",
                    1448,
                    "896296af04cd228db8d7482872bf0d555190788fd02b06f5a7ac1c16097b8386",
                    system="S",
                ),
                File(
                    "mean_std/beatx_2_trans_mean.npy",
                    152,
                    "bc26022f3cc62c47439f7d3f4d2217cee51ac7f2c7b257f646c965916cf1fafb",
                    system="S",
                ),
                File(
                    "mean_std/beatx_2_trans_std.npy",
                    152,
                    "592c00d106e18e5dfdc75f195944a5492cba21ea477d2d4bfdb5569c19de5a79",
                    system="S",
                ),
                File(
                    "mean_std/beatx_1-30_amass_h3d_mean.npy",
                    2620,
                    "3f043476c3e559c87029071ccf33926c1c7e7bba1ae96d72be05e25715b17cdd",
                    system="T",
                ),
                File(
                    "mean_std/beatx_1-30_amass_h3d_std.npy",
                    2620,
                    "052f4ec028d176f634998a8940778bb838bb024f26d550b6f185ae65138b146c",
                    system="T",
                ),
            ),
        ),
        Source(
            what="pieces of words that system T reads, from DistilBERT",
            host=Hub("distilbert/distilbert-base-uncased"),
            licence="Apache-2.0",
            meaning="Free for any use; keep the licence and the notices with copies.",
            terms=("https://huggingface.co/distilbert/distilbert-base-uncased",),
            files=(
                File(
                    "vocab.txt",
                    231_508,
                    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                    system="T",
                ),
            ),
            into="distilbert-base-uncased",
        ),
        _WORDS,
    ),
    then=(
        "cospeech import syntalker {out} --system S --out syntalker-s",
        "cospeech import syntalker {out} --system T --out syntalker-t",
    ),
    options=("system",),
    by_hand="The parsed BEAT2 caches and the copies of the weights on Google Drive have no address that lasts; links "
    "stand in https://github.com/RobinWitch/SynTalker. `cospeech import syntalker` takes files of the same names.",
)

MAMBATALK = Published(
    name="mambatalk",
    what="released weights of MambaTalk, without wav2vec2",
    sources=(
        Source(
            what="MambaTalk's weights",
            host=Hub("kkakkkka/MambaTalk"),
            licence="not stated",
            meaning="No licence of the weights is stated. They were trained on BEAT2, whose terms may bind you: ask "
            "the authors before you use them for more than research.",
            terms=("https://huggingface.co/kkakkkka/MambaTalk", "https://github.com/kkakkkka/MambaTalk"),
            files=(
                File("mambatalk_100.bin"),
                *(File(f"pretrained_vq/{name}.bin") for name in ("face", "upper", "hands", "lower_foot", "foot")),
            ),
        ),
        _WORDS,
    ),
    then=(
        "cospeech download wav2vec2 wav2vec2",
        "cospeech import mambatalk {out} --wav2vec2 wav2vec2 --out mambatalk",
    ),
    by_hand="Where the hub no longer has them, look at https://github.com/kkakkkka/MambaTalk, whose README also names "
    "xuzn/MambaTalk on the hub.",
)

WAV2VEC2 = Published(
    name="wav2vec2",
    what="what MambaTalk hears with: wav2vec 2.0 base, 960 hours",
    sources=(
        Source(
            what="wav2vec 2.0",
            host=Hub("facebook/wav2vec2-base-960h", "22aad52d435eb6dbaf354bdad9b0da84ce7d6156"),
            licence="Apache-2.0",
            meaning="Free for any use; keep the licence and the notices with copies.",
            terms=("https://huggingface.co/facebook/wav2vec2-base-960h",),
            files=(
                File("config.json", 1596, "d3ec255c063d9f95057b553b19c20135b259875834a4fe9deb218a6be25b4cf3"),
                File("vocab.json", 291, "19727f8944fe6459fc3f240ae2c198395b740f6a029bd23e06656266b83bcf64"),
                File(
                    "model.safetensors",
                    377_607_901,
                    "8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a",
                ),
            ),
        ),
    ),
    then=("cospeech import mambatalk MAMBATALK --wav2vec2 {out} --out mambatalk",),
)

BEAT2 = Published(
    name="beat2",
    what="speech, words and motion of BEAT2, and the network behind FGD",
    sources=(
        Source(
            what="BEAT2",
            host=_BEAT2,
            licence=_BEAT2_LICENCE,
            meaning=_BEAT2_MEANING,
            terms=_BEAT2_TERMS,
            files=(
                *(File(f"{_WEIGHTS}/{name}") for name in ("AESKConv_240_100.bin", "mean_vel_smplxflame_30.npy")),
                File(f"{_WEIGHTS}/vocab.pkl"),
                File("beat_{language}_v2.0.0/train_test_split.csv"),
            ),
            folders=tuple(
                f"beat_{{language}}_v2.0.0/{files}"
                for files in ("smplxflame_30/*.npz", "wave16k/*.wav", "textgrid/*.TextGrid")
            ),
        ),
    ),
    then=("cospeech prepare beat2 {out} STORE",),
    options=("language", "speakers"),
    by_hand="The first BEAT (BVH) and the older zip of BEAT2 lie on Google Drive, without an address that lasts; links "
    "stand in https://github.com/PantoMatrix/PantoMatrix.",
)

PUBLISHED = {each.name: each for each in (SYNTALKER, MAMBATALK, WAV2VEC2, BEAT2)}
