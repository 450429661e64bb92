"""Published files by name: the needed ones, checked, licences first; against a host on this machine."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import get_args, get_type_hints

import pytest

from cospeech import cli
from cospeech.cli.download import download as command
from cospeech.download import SUMS, Choice, fetch, plan, sources
from cospeech.download.table import BODY, PUBLISHED, WAV2VEC2, File, Hub, Published, Source, Web
from cospeech.errors import ConfigError, DownloadError, FormatError

MAMBATALK = ("mambatalk_100.bin", *(f"pretrained_vq/{n}.bin" for n in ("face", "upper", "hands", "lower_foot", "foot")))
ENGLISH = "beat_english_v2.0.0"
CLIPS = ("1_wayne_0_1_1", "2_scott_0_1_1", "2_scott_0_2_2", "22_luqi_0_1_1")


@pytest.fixture(autouse=True)
def published(host):
    """What the hosts have: MambaTalk, BEAT2 with four clips, two small files of wav2vec2's repository."""
    host.hub["models/kkakkkka/MambaTalk"] = {name: name.encode() * 50_000 for name in MAMBATALK}
    host.hub["models/kkakkkka/MambaTalk"]["smplx_models/smplx/SMPLX_NEUTRAL_2020.npz"] = b"never to be fetched"
    beat2 = {f"{ENGLISH}/{name}": name.encode() for name in ("train_test_split.csv", "readme.md")}
    for name in ("AESKConv_240_100.bin", "mean_vel_smplxflame_30.npy", "vocab.pkl"):
        beat2[f"{ENGLISH}/weights/{name}"] = name.encode()
    beat2[f"{ENGLISH}/wave16k/.DS_Store"] = b"not needed"
    for clip in CLIPS:
        beat2[f"{ENGLISH}/smplxflame_30/{clip}.npz"] = b"motion of " + clip.encode()
        beat2[f"{ENGLISH}/wave16k/{clip}.wav"] = b"speech of " + clip.encode()
        beat2[f"{ENGLISH}/textgrid/{clip}.TextGrid"] = b"words of " + clip.encode()
        beat2[f"{ENGLISH}/sem/{clip}.txt"] = b"not needed"
    host.hub["datasets/H-Liu1997/BEAT2"] = beat2


def get(host, name, out, **choice):
    fetch(plan(name, out, Choice(**choice), host.url))


def names(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def hub_content(host, repository, path) -> bytes:
    return host.hub[repository][path]


# What comes


def test_the_needed_files_come_with_their_sums_and_no_body(host, tmp_path):
    get(host, "mambatalk", tmp_path / "m")
    vocabulary = f"{ENGLISH}/weights/vocab.pkl"
    assert names(tmp_path / "m") == {*MAMBATALK, vocabulary, SUMS}
    for name in MAMBATALK:
        assert (tmp_path / "m" / name).read_bytes() == hub_content(host, "models/kkakkkka/MambaTalk", name)
    lines = (tmp_path / "m" / SUMS).read_text().splitlines()
    recorded = {path: digest for digest, path in (line.split("  ") for line in lines)}
    assert recorded == {
        name: hashlib.sha256((tmp_path / "m" / name).read_bytes()).hexdigest() for name in (*MAMBATALK, vocabulary)
    }


def test_what_main_names_is_pinned_to_one_commit(host, tmp_path):
    get(host, "mambatalk", tmp_path)
    assert not [path for path in host.paths_asked() if "/resolve/main/" in path]


def test_a_second_run_asks_nobody(host, tmp_path):
    get(host, "mambatalk", tmp_path)
    host.asked.clear()
    again = plan("mambatalk", tmp_path, mirror=host.url)
    assert set(again.here) == {*MAMBATALK, f"{ENGLISH}/weights/vocab.pkl"}
    assert again.wanted == again.missing == ()
    fetch(again)
    assert host.asked == []


def test_a_run_that_ended_early_fetches_only_what_is_not_here(host, tmp_path):
    host.faults["upper.bin"] = ["cut", *[503] * 9]
    with pytest.raises(DownloadError, match=r"upper.bin: the host answers 503"):
        get(host, "mambatalk", tmp_path)
    came = names(tmp_path) - {SUMS}
    assert {"mambatalk_100.bin", "pretrained_vq/upper.bin.part"} <= came
    host.faults.clear()
    host.asked.clear()
    get(host, "mambatalk", tmp_path)
    fetched = [path.partition("/resolve/")[2].partition("/")[2] for path in host.paths_asked() if "/resolve/" in path]
    assert not came & set(fetched)
    half = len(hub_content(host, "models/kkakkkka/MambaTalk", "pretrained_vq/upper.bin")) // 2
    assert host.bytes_asked("upper.bin") == [f"bytes={half}-"]


def test_a_file_that_was_damaged_here_is_fetched_again(host, tmp_path):
    get(host, "mambatalk", tmp_path)
    (tmp_path / MAMBATALK[0]).write_bytes(b"damaged")
    with pytest.warns(match="no longer what was fetched"):
        get(host, "mambatalk", tmp_path)
    assert (tmp_path / MAMBATALK[0]).read_bytes() == hub_content(host, "models/kkakkkka/MambaTalk", MAMBATALK[0])


def test_what_was_exchanged_at_the_host_since_it_first_came_is_refused(host, tmp_path):
    host.pointers = False  # the hub knows no sums: those of the first time are trusted
    get(host, "mambatalk", tmp_path)
    (tmp_path / "pretrained_vq" / "foot.bin").unlink()
    length = len(hub_content(host, "models/kkakkkka/MambaTalk", "pretrained_vq/foot.bin"))
    host.hub["models/kkakkkka/MambaTalk"]["pretrained_vq/foot.bin"] = b"!" * length
    with pytest.raises(DownloadError, match=r"foot.bin: what came is not what was published"):
        get(host, "mambatalk", tmp_path)
    host.pointers = True
    with pytest.raises(DownloadError, match=r"when it was first fetched it was [0-9a-f]{64}. It has been exchanged"):
        get(host, "mambatalk", tmp_path)


def test_a_file_of_another_sum_than_the_hub_says_is_thrown_away(host, tmp_path, monkeypatch):
    honest = host.content
    monkeypatch.setattr(host, "content", lambda path: (honest(path) or b"")[::-1] or None)
    with pytest.raises(DownloadError, match=r"is not what was published: its SHA-256 is .* more failed"):
        get(host, "mambatalk", tmp_path)
    assert not [name for name in names(tmp_path) if name.endswith(".bin")]


def test_files_that_the_host_does_not_have_are_named_and_the_others_come(host, tmp_path):
    del host.hub["models/kkakkkka/MambaTalk"]["pretrained_vq/foot.bin"]
    with pytest.raises(DownloadError, match=r"pretrained_vq/foot.bin \(huggingface.co/kkakkkka/MambaTalk\)"):
        get(host, "mambatalk", tmp_path)
    assert "pretrained_vq/hands.bin" in names(tmp_path)


def test_only_some_files(host, tmp_path):
    get(host, "mambatalk", tmp_path, only=("face.bin", "*hands*"))
    assert names(tmp_path) == {"pretrained_vq/face.bin", "pretrained_vq/hands.bin", SUMS}


def test_of_beat2_the_chosen_speakers_and_no_annotations_come(host, tmp_path):
    get(host, "beat2", tmp_path, speakers=(2,))
    clips = {
        f"{ENGLISH}/{folder}/{clip}{suffix}"
        for clip in ("2_scott_0_1_1", "2_scott_0_2_2")
        for folder, suffix in (("smplxflame_30", ".npz"), ("wave16k", ".wav"), ("textgrid", ".TextGrid"))
    }
    weights = {f"{ENGLISH}/weights/{n}" for n in ("AESKConv_240_100.bin", "mean_vel_smplxflame_30.npy", "vocab.pkl")}
    assert names(tmp_path) == {*clips, *weights, f"{ENGLISH}/train_test_split.csv", SUMS}
    host.asked.clear()
    get(host, "beat2", tmp_path, speakers=(1, 2), only=("*.wav",))
    assert [path for path in host.paths_asked() if "/resolve/" in path] == [
        f"/datasets/H-Liu1997/BEAT2/resolve/{next(iter(commits(host)))}/{ENGLISH}/wave16k/1_wayne_0_1_1.wav"
    ]


def commits(host) -> set[str]:
    return {path.split("/resolve/")[1].split("/")[0] for path in host.paths_asked() if "/resolve/" in path}


def test_a_folder_that_the_host_does_not_have_is_named(host, tmp_path):
    with pytest.raises(DownloadError, match=r"beat_spanish_v2.0.0/smplxflame_30/\*.npz \(huggingface.co/datasets"):
        get(host, "beat2", tmp_path, language="spanish")


def test_names_in_a_listing_cannot_lead_elsewhere(host, tmp_path):
    for name in ("../../evil.npz", "a/b.npz", "...npz", "a\\b.npz", "C:evil.npz", ".npz"):
        host.hub["datasets/H-Liu1997/BEAT2"] = {f"{ENGLISH}/smplxflame_30/{name}": b"evil"}
        with pytest.raises(DownloadError, match="no plain name"):
            plan("beat2", tmp_path / "out", mirror=host.url)
    assert names(tmp_path) == set()


SMALL = Published(
    name="wav2vec2",
    what="small files of which all is known",
    sources=(
        Source(
            what="a plain file",
            host=Web("https://files.example/some/where", page="files.example"),
            licence="MIT",
            meaning="Free.",
            terms=("https://files.example",),
            files=(File("stats/mean.npy", 4, hashlib.sha256(b"mean").hexdigest()),),
        ),
        Source(
            what="a file of the hub",
            host=Hub("someone/tiny", "f" * 40),
            licence="MIT",
            meaning="Free.",
            terms=("https://files.example",),
            files=(File("vocab.txt", 5, hashlib.sha256(b"words").hexdigest()),),
            into="words",
        ),
    ),
    then=(),
)


@pytest.fixture
def small(host, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "wav2vec2", SMALL)
    host.plain["/some/where/stats/mean.npy"] = b"mean"
    host.hub["models/someone/tiny"] = {"vocab.txt": b"words"}


@pytest.mark.usefixtures("small")
def test_where_all_is_known_the_files_are_asked_for_and_nothing_else(host, tmp_path):
    get(host, "wav2vec2", tmp_path)
    assert names(tmp_path) == {"stats/mean.npy", "words/vocab.txt", SUMS}
    assert sorted(host.paths_asked()) == [
        "/some/where/stats/mean.npy",
        f"/someone/tiny/resolve/{'f' * 40}/vocab.txt",
    ]


@pytest.mark.usefixtures("small")
def test_a_file_of_somebody_else_is_taken_when_it_is_the_right_one_and_never_replaced(host, tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "vocab.txt").write_bytes(b"words")
    assert plan("wav2vec2", tmp_path, mirror=host.url).here == ("words/vocab.txt",)
    (tmp_path / "words" / "vocab.txt").write_bytes(b"mine!")
    with pytest.raises(DownloadError, match=r"vocab.txt: is there, but is not what was published. Move it away"):
        plan("wav2vec2", tmp_path, mirror=host.url)
    assert (tmp_path / "words" / "vocab.txt").read_bytes() == b"mine!"


def test_a_file_of_somebody_else_that_nothing_is_known_of_is_left_alone(host, tmp_path):
    host.pointers = False
    (tmp_path / "mambatalk_100.bin").write_bytes(b"mine")
    with pytest.raises(DownloadError, match="nothing is known to compare it with"):
        plan("mambatalk", tmp_path, mirror=host.url)


# What cannot work


def test_too_little_space_is_said_before_the_first_byte(host, tmp_path, monkeypatch):
    wanted = plan("mambatalk", tmp_path / "new", mirror=host.url)
    assert wanted.num_bytes > 1_000_000
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=wanted.num_bytes - 1))
    with pytest.raises(DownloadError, match=f"{wanted.num_bytes:,} bytes are to come, but only"):
        fetch(wanted)
    assert not [path for path in host.paths_asked() if "/resolve/" in path]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=wanted.num_bytes))
    fetch(wanted)


@pytest.mark.parametrize("fault", [403, 500, "to {url}/api/models/kkakkkka/MambaTalk/revision/main", "to ftp://x/y"])
def test_a_hub_that_cannot_be_asked_is_one_line(host, tmp_path, fault, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    host.faults["/revision/main"] = [fault] * 99
    with pytest.raises(DownloadError, match=r"huggingface.co/kkakkkka/MambaTalk: cannot be asked") as caught:
        plan("mambatalk", tmp_path, mirror=host.url)
    assert "\n" not in str(caught.value)


def test_when_one_file_after_the_other_fails_the_rest_is_not_tried(host, tmp_path):
    beat2 = host.hub["datasets/H-Liu1997/BEAT2"]
    for number in range(100):
        beat2[f"{ENGLISH}/wave16k/2_scott_0_9_{number}.wav"] = b"speech"
    wanted = plan("beat2", tmp_path, mirror=host.url)
    host.hub.clear()
    with pytest.raises(DownloadError, match=r"not there \(any more\). \d+ more failed."):
        fetch(wanted)
    assert len([path for path in host.paths_asked() if "/resolve/" in path]) < 30


@pytest.mark.parametrize(
    ("name", "choice", "match"),
    [
        ("amass", {}, "Nothing is known as `amass`. Known: syntalker, mambatalk, wav2vec2, beat2"),
        ("mambatalk", {"only": ("body.npz",)}, "there is no such file. There are face.bin"),
        ("beat2", {"only": ("*.mp4",)}, "there is no such file"),
        ("beat2", {"speakers": (2, 99)}, "--speakers 99: not in the english part, which has 1, 2, 22"),
    ],
)
def test_a_choice_that_does_not_exist_is_one_line(host, tmp_path, name, choice, match):
    with pytest.raises(ConfigError, match=match):
        plan(name, tmp_path, Choice(**choice), host.url)


def test_places_and_mirrors_that_cannot_be_used_are_refused_before_anything_is_asked(host, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(FormatError, match="is a file, not a folder"):
        plan("mambatalk", tmp_path / "file", mirror=host.url)
    with pytest.raises(DownloadError, match="by https only"):
        plan("mambatalk", tmp_path, mirror="http://mirror.example")
    (tmp_path / SUMS).write_bytes(b"\xff\xfe no sums")
    with pytest.raises(DownloadError, match=f"{SUMS}: cannot be read"):
        plan("mambatalk", tmp_path, mirror=host.url)
    assert host.asked == []


# The table


def test_every_entry_says_its_licence_its_page_and_what_takes_it():
    assert get_args(get_type_hints(command)["name"])[0].__args__ == tuple(PUBLISHED)
    for published in PUBLISHED.values():
        assert published.then
        for source in published.sources:
            assert source.licence
            assert source.meaning.endswith(".")
            assert all(page.startswith("https://") for page in source.terms)
            assert source.files or source.folders
            for file in source.files:
                assert "smplx_models" not in file.path
                assert file.sha256 is None or (len(file.sha256) == 64 and int(file.sha256, 16) > 0)


def test_import_looks_for_the_files_that_are_fetched():
    from cospeech.released import mambatalk, syntalker
    from cospeech.wav2vec2 import FILES

    for system in ("S", "T"):
        files = [file for source in sources("syntalker", Choice(system)) for file in source.files]
        paths = [Path(file.path) for file in files]
        wanted = set(syntalker.SYSTEMS[system].arrays) | {"vocab.pkl"} | ({"vocab.txt"} if system == "T" else set())
        weights = [path for path in paths if path.name not in wanted]
        assert {path.name for path in paths if path not in weights} == wanted
        assert all(any(path.match(pattern) for pattern in syntalker.WEIGHTS) for path in weights)
        assert len(weights) == len(set(syntalker.roles(system)) - wanted)
    files = [file for source in sources("mambatalk") for file in source.files]
    names = {Path(file.path).name for file in files}
    assert names == {"mambatalk_100.bin", *mambatalk.FILES.values(), "vocab.pkl"}
    assert {file.path for file in WAV2VEC2.sources[0].files} == set(FILES) - {"pytorch_model.bin"}


@pytest.mark.data
def test_the_arrays_of_syntalker_are_those_of_the_table():
    stats = Path(os.environ["COSPEECH_DATA"]) / "beat2_scott" / "stats"
    files = [file for source in sources("syntalker") for file in source.files if file.path.startswith("mean_std/")]
    assert len(files) == 6
    for file in files:
        content = (stats / Path(file.path).name).read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


# The command line


def run(*arguments: object) -> int:
    return cli.main(["download", *map(str, arguments)])


def test_alone_it_lists_what_there_is(capsys):
    assert run() == 0
    shown = capsys.readouterr().out
    for published in PUBLISHED.values():
        assert published.name in shown
    assert "378 MB" in shown
    assert "not known" in shown
    assert "Apache-2.0" in shown
    assert BODY in shown


def test_the_licence_is_shown_and_nothing_is_asked_before_it_is_accepted(host, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert run("mambatalk", tmp_path / "m", "--mirror", host.url) == 2
    shown = capsys.readouterr()
    assert "No licence of the weights is stated." in shown.out
    assert "https://github.com/kkakkkka/MambaTalk" in shown.out
    assert shown.err == (
        "error: The licences have not been accepted: read them above, then run it again with --accept.\n"
    )
    assert host.asked == []
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 2), ("no", 2)])
def test_on_a_terminal_it_asks(host, tmp_path, capsys, monkeypatch, answer, code):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert run("mambatalk", tmp_path / "m", "--mirror", host.url) == code
    assert (tmp_path / "m").exists() == bool(host.asked) == (code == 0)


def test_it_says_what_came_and_which_command_is_next(host, tmp_path, capsys):
    out = tmp_path / "m"
    assert run("mambatalk", out, "--mirror", host.url, "--accept") == 0
    shown = capsys.readouterr()
    assert "0 files are here and whole; 7 to fetch, 6.75 MB\n" in shown.out
    assert f"7 files in {out}; {SUMS} there has the sums of those that came" in shown.out
    assert f"next: cospeech import mambatalk {out} --wav2vec2 wav2vec2 --out mambatalk" in shown.out
    assert shown.err == ""
    assert run("mambatalk", out, "--mirror", host.url, "--accept") == 0
    assert "7 files are here and whole; 0 to fetch, 0 bytes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mambatalk"], "needs the folder to put the files in"),
        (["mambatalk", "{out}", "--system", "S"], "--system does not belong to mambatalk"),
        (["wav2vec2", "{out}", "--speakers", "2"], "--speakers does not belong to wav2vec2"),
        (["syntalker", "{out}", "--language", "chinese"], "--language does not belong to syntalker"),
        (["beat2", "{out}", "--only", "*.mp4", "--accept"], "there is no such file"),
    ],
)
def test_what_cannot_work_is_one_line(host, tmp_path, capsys, arguments, message):
    filled = [argument.format(out=tmp_path / "out") for argument in arguments]
    assert run(*filled, "--mirror", host.url) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts are sent otherwise")
def test_an_interrupted_download_goes_on(host, tmp_path):
    host.faults["mambatalk_100.bin"] = ["slow"]
    arguments = [sys.executable, "-m", "cospeech", "download", "mambatalk", tmp_path, "--mirror", host.url, "--accept"]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    part = tmp_path / "mambatalk_100.bin.part"
    while not (part.exists() and part.stat().st_size) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("interrupted\n", 130)
    assert part.stat().st_size
    half = part.stat().st_size
    get(host, "mambatalk", tmp_path)
    assert host.bytes_asked("mambatalk_100.bin") == [None, f"bytes={half}-"]


def test_the_address_of_the_hub_that_its_library_takes_from_the_environment_is_heeded(host, tmp_path):
    arguments = [sys.executable, "-m", "cospeech", "download", "mambatalk", tmp_path, "--accept"]
    done = subprocess.run(arguments, env={**os.environ, "HF_ENDPOINT": host.url}, capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    assert names(tmp_path) >= set(MAMBATALK)
