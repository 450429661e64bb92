"""From nothing to the paper's row beside the measured one; with recipe weights and a miniature BEAT2 behind a host on
this machine."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import parity
import published_mambatalk
import published_syntalker
import pytest
import soundfile
import torch
from conftest import speech_like
from local_host import serve
from raw_corpora import moving

from cospeech import cli
from cospeech.data import prepare
from cospeech.data.store import Store
from cospeech.download import transfer
from cospeech.download.table import PUBLISHED, Hub, Published, Source
from cospeech.errors import ConfigError
from cospeech.formats import npz
from cospeech.models import embedder
from cospeech.models.embedder import EmbedderConfig
from cospeech.recipes import evaluate, report, reproduce
from cospeech.released import embedder as released_embedder
from cospeech.text import Word, write_words
from cospeech.wav2vec2 import CHARACTERS

ENGLISH = "beat_english_v2.0.0"
TAKES = {"2_scott_0_1_1": ("test", 8.5), "2_scott_0_2_2": ("train", 5.0), "2_scott_0_3_3": ("test", 6.3)}
STRANGERS = {"4_lawrence_0_1_1": ("test", 5.0)}
SMALL = EmbedderConfig(widths=(2, 2, 2, 1))


def take(folder, name, seconds, seed):
    for kind in ("smplxflame_30", "wave16k", "textgrid"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    frames = round(seconds * 30)
    expressions = np.random.default_rng(seed).normal(size=(frames, 100)).astype(np.float32)
    motion = replace(moving(frames, 30, seed), expressions=expressions)
    npz.write(motion, folder / "smplxflame_30" / f"{name}.npz")
    soundfile.write(folder / "wave16k" / f"{name}.wav", speech_like(seconds, seed=seed), 16_000)
    write_words(folder / "textgrid" / f"{name}.TextGrid", [Word("the", 0.2, 0.6)], seconds)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """BEAT2 as it is published, with two takes that are for testing, and the network behind FGD made small."""
    root = tmp_path_factory.mktemp("beat2")
    folder = root / ENGLISH
    for seed, (name, (_, seconds)) in enumerate((TAKES | STRANGERS).items()):
        take(folder, name, seconds, seed)
    rows = [f"{name},{split}" for name, (split, _) in (TAKES | STRANGERS).items()]
    (folder / "train_test_split.csv").write_text("\n".join(["id,type", *rows]) + "\n")
    (folder / "weights").mkdir()
    (folder / "weights" / "vocab.pkl").write_bytes((parity.FIXTURES / "vocab_small.pkl").read_bytes())
    np.save(folder / "weights" / "mean_vel_smplxflame_30.npy", np.linspace(0.01, 0.1, 55))
    torch.save({"model_state": parity.weights(embedder.published_shapes(SMALL))}, folder / "weights" / "AESKConv.bin")
    (folder / "weights" / "AESKConv.bin").rename(folder / "weights" / "AESKConv_240_100.bin")
    return contents(root)


@pytest.fixture(scope="module")
def host(corpus):
    """The fixture of `local_host`, for all tests here."""
    with pytest.MonkeyPatch.context() as patch, serve() as local:
        patch.setattr(transfer, "_PAUSES_S", (0.0, 0.0, 0.0))
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setattr(released_embedder, "CONFIG", SMALL)
        released_embedder._kinds.cache_clear()
        local.hub["datasets/H-Liu1997/BEAT2"] = corpus
        yield local
    released_embedder._kinds.cache_clear()


def with_sums_of(host, known: Published) -> Published:
    """What the table says of files, with the sizes and sums of those that the host has: no others can have the
    published ones."""

    def of_source(source: Source) -> Source:
        files = []
        for file in source.files:
            if isinstance(source.host, Hub):
                content = host.hub[f"{source.host.kind}s/{source.host.repository}"][file.path]
            else:
                content = host.plain[f"/{source.host.url.split('/', 3)[3]}/{file.path}"]
            size = len(content) if file.size else None
            files.append(replace(file, size=size, sha256=file.sha256 and hashlib.sha256(content).hexdigest()))
        return replace(source, files=tuple(files))

    return replace(known, sources=tuple(map(of_source, known.sources)))


def command(host, name, out, *more):
    return cli.main(["reproduce", name, str(out), "--mirror", host.url, "--workers", "1", *more])


def fetched(host) -> list[str]:
    """Files of which bytes were asked for."""
    files = (re.sub(r".*/resolve/[^/]+/", "", path) for path in host.paths_asked() if "/resolve/" in path)
    return sorted([*files, *(path for path in host.paths_asked() if path in host.plain)])


# --- MambaTalk, made small --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mambatalk(host, tmp_path_factory):
    """A host that has MambaTalk; of its networks the import expects these sizes."""
    folder = tmp_path_factory.mktemp("mambatalk")
    with pytest.MonkeyPatch.context() as patch:
        published_mambatalk.make_small(patch)
        published_mambatalk.write(folder / "released", published_mambatalk.states())
        host.hub["models/kkakkkka/MambaTalk"] = contents(folder / "released")
        published_mambatalk.write_recogniser(folder / "wav2vec2")
        characters = {character: row for row, character in enumerate(CHARACTERS)}
        (folder / "wav2vec2" / "vocab.json").write_text(json.dumps(characters))
        host.hub["models/facebook/wav2vec2-base-960h"] = contents(folder / "wav2vec2")
        patch.setitem(PUBLISHED, "wav2vec2", with_sums_of(host, PUBLISHED["wav2vec2"]))
        yield host
    published_mambatalk.released._kinds.cache_clear()


class Steps:
    """Counts what is done, and interrupts what is about to be."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.done: list[str] = []
        self.interrupted_at = ""
        for module, name in (
            *((reproduce, name) for name in ("import_embedder", "import_mambatalk")),
            *((prepare, "run"), (prepare, "_make")),
            *((evaluate, name) for name in ("_keep", "_all")),
        ):
            patch.setattr(module, name, self.counted(name, getattr(module, name)))

    def counted(self, name, function):
        def call(*arguments, **options):
            number = f"{name} {self.done.count(name) + 1}"
            if self.interrupted_at == number:
                raise KeyboardInterrupt
            result = function(*arguments, **options)
            self.done.append(name)
            return result

        return call


@pytest.fixture(scope="module")
def reproduced(mambatalk, tmp_path_factory):
    """Interrupted wherever something was just made, and gone on with each time: folder, output, what was done."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    mambatalk.asked.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_plots", lambda content: [])
        steps = Steps(patch)
        for steps.interrupted_at in (
            *("import_embedder 1", "import_mambatalk 1", "run 1", "_make 2", "_keep 1", "_keep 2"),
            *("_all 1", "_keep 4", "_all 2"),
        ):
            assert command(mambatalk, "mambatalk", out, "--accept") == 130, steps.interrupted_at
        steps.interrupted_at = ""
        yield out, steps


def test_what_is_interrupted_anywhere_goes_on_and_does_nothing_twice(mambatalk, reproduced, capsys):
    out, steps = reproduced
    assert command(mambatalk, "mambatalk", out, "--accept") == 0
    counts = {name: steps.done.count(name) for name in steps.done}
    assert counts.pop("run") > 1  # which asks what is left to do
    wanted = {"import_embedder": 1, "import_mambatalk": 1, "_make": len(TAKES)}
    assert counts == wanted | {"_keep": 2 * 2, "_all": 2}
    assert len(fetched(mambatalk)) == len(set(fetched(mambatalk))) + 1  # vocab.pkl belongs to two of the names
    assert not [path for path in fetched(mambatalk) if "lawrence" in path]
    assert {info.id for info in Store(out / "beat2.store").infos} == {f"beat2/{name}" for name in TAKES}
    printed = capsys.readouterr().out
    table_is_right(printed, out / "mambatalk", "mambatalk")
    assert "measured on 2 takes of speaker 2" in printed


def table_is_right(printed, folder, name):
    """The paper's numbers stand beside those of both reports."""
    reports = [evaluate.read_report(folder / protocol) for protocol in ("published", "corrected")]
    assert [content["protocol"] for content in reports] == ["published", "corrected"]
    cells = {row[0]: row[1:] for row in (re.split(r"\s*│\s*", line.strip("│ \n")) for line in printed.splitlines())}
    for measure, value in reproduce.PAPERS[name].measures.items():
        assert cells[measure][0] == f"{value:.4g}"
    for measure in ("FGD", "beat consistency", "L1 diversity, m"):
        for cell, content in zip(cells[measure][1:], reports, strict=True):
            assert cell == report.shown(content["systems"]["model"]["measures"][measure])
            assert cell
    for content in reports:
        assert [clip["id"] for clip in content["clips"]] == [f"beat2/{n}" for n in TAKES if TAKES[n][0] == "test"]
        assert content["settings"]["sums"]["joint_speed"]
    assert "the paper's numbers:" in printed
    assert (folder / "published" / "report.html").is_file()


def test_another_call_does_nothing_and_prints_the_same(mambatalk, reproduced, capsys):
    out, steps = reproduced
    command(mambatalk, "mambatalk", out, "--accept")
    first = capsys.readouterr().out
    mambatalk.asked.clear()
    steps.done.clear()
    assert command(mambatalk, "mambatalk", out, "--accept") == 0
    assert capsys.readouterr().out == first
    assert fetched(mambatalk) == []
    assert set(steps.done) == {"run"}


def test_licences_come_first_and_without_them_nobody_is_asked(mambatalk, tmp_path, capsys):
    mambatalk.asked.clear()
    assert command(mambatalk, "mambatalk", tmp_path / "out") == 2
    said = capsys.readouterr()
    for words in ("MambaTalk's weights", "wav2vec 2.0", "Apache-2.0", "unclear: take it as non-commercial"):
        assert words in said.out
    assert "have not been accepted" in said.err
    assert mambatalk.asked == []
    assert not (tmp_path / "out").exists()


def test_what_makes_no_sense_is_refused_before_the_licences(mambatalk, tmp_path, capsys):
    (tmp_path / "body.npz").write_bytes(b"no body")
    for options, message in (
        (["--steps", "2"], "mambatalk has no diffusion"),
        (["--workers", "0"], "must be at least 1"),
        (["--body", str(tmp_path / "body.npz")], "body.npz"),
        (["--device", "nonsense"], "cannot be used"),
    ):
        assert command(mambatalk, "mambatalk", tmp_path / "out", "--accept", *options) == 2
        said = capsys.readouterr()
        assert message in said.err
        assert "licence" not in said.out
    with pytest.raises(ConfigError):
        reproduce.Reproduce("mambatalk", tmp_path, steps=3)


# --- SynTalker, of its own size ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "networks"), [("syntalker-s", "S"), ("syntalker-t", "T")])
def test_syntalker(host, name, networks, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "released"
    for each in published_syntalker.S if networks == "S" else (*published_syntalker.T, *published_syntalker.TMR):
        published_syntalker.write(folder, each)
    published_syntalker.write_word_pieces(folder / "words")
    published_syntalker.write_arrays(folder / "mean_std")
    known = PUBLISHED["syntalker"]
    of_system = [
        replace(source, files=tuple(file for file in source.files if file.system in (None, networks)))
        for source in known.sources
    ]
    everything = contents(folder)
    host.hub["models/robinwitch/SynTalker"] = everything
    host.hub["models/distilbert/distilbert-base-uncased"] = {"vocab.txt": everything["words/vocab.txt"]}
    raw = known.sources[1].host.url.split("/", 3)[3]
    for path in everything:
        host.plain[f"/{raw}/{path}"] = everything[path]
    monkeypatch.setitem(PUBLISHED, "syntalker", with_sums_of(host, replace(known, sources=tuple(of_system))))
    host.asked.clear()
    assert command(host, name, tmp_path / "out", "--accept", "--steps", "2") == 0
    printed = capsys.readouterr().out
    table_is_right(printed, tmp_path / "out" / name, name)
    assert "1000 diffusion steps, this run 2" in printed
    host.asked.clear()
    assert command(host, name, tmp_path / "out", "--accept", "--steps", "2") == 0
    assert capsys.readouterr().out == printed
    assert fetched(host) == []
