"""What README and docs tell people to type, and a folder with the files that it names."""

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import characters
import small_tmr
import soundfile
import test_character
import tiny
import torch
from characters import BAKED

import cospeech
from cospeech import Speech, checkpoint, save
from cospeech.data.store import write_store
from cospeech.text import Word, write_words

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md", "space/README.md")]
PAGES += sorted((ROOT / "examples").glob("*/*.md")) + sorted((ROOT / "docs").rglob("*.md"))
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
SECONDS = 2.2  # of speech: prompts in the pages begin after two
FILMED = 0.6  # seconds of what is filmed
SAID = "and so my fellow"


class Block(NamedTuple):
    page: Path
    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    found = FENCED.findall(page.read_text(encoding="utf-8"))
    return [
        Block(page, language, "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)))
        for indent, language, text in found
        if language in languages
    ]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a shell block, of loops those inside."""
    text = block.text
    if block.language == "powershell":
        text = text.replace("\\", "/").replace("Scripts", "bin")
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(
            re.sub(r"^(do|for .*|done)\b", lambda match: "" if match[0] == "do" else "#", line), comments=True
        )
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if words:
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def make_world(folder: Path, recording: Path) -> None:
    """Write the files that the snippets name: speech of the package's example, its motion, characters, models, stores.

    Models that must be downloaded are stood in for by one with random weights.
    """
    speech = Speech.load(recording).cut(0, SECONDS)
    recordings = folder / "recordings"
    for path in (recordings, folder / "examples", folder / "out", folder / "docs"):
        path.mkdir()
    soundfile.write(folder / "examples" / "jfk.flac", speech.cut(0, FILMED).samples, speech.rate)
    soundfile.write(folder / "talk.wav", speech.samples, speech.rate)
    (folder / "talk.txt").write_text(SAID)
    for name in ("one", "two"):
        soundfile.write(recordings / f"{name}.wav", speech.samples, speech.rate)
        (recordings / f"{name}.txt").write_text(SAID)
    (folder / "list.txt").write_text("recordings/one.wav\nrecordings/two.wav\n")
    words = [Word(text, 0.3 * i, 0.3 * i + 0.3) for i, text in enumerate(SAID.split())]
    write_words(folder / "talk.TextGrid", words, speech.duration_s)

    talk = cospeech.load_pipeline("starter").generate(speech)
    for name in ("talk.npz", "out/talk.npz"):
        save(talk[0:FILMED], folder / name)
    for name in ("rec.npy", "take.bvh", "rig.bvh"):
        save(talk, folder / name)
    save(replace(talk, face=None), folder / "mocap.npz")

    shutil.copy(BAKED / "mixamo.glb", folder / "hero.glb")
    names = test_character.in_order(test_character.NAMELESS)
    avatar = test_character.vrm(1)
    characters.glb(folder / "avatar.vrm", names, extensions=avatar, targets=("jawOpen", "eyeBlinkLeft"))

    folder.joinpath("timeline.json").write_text(blocks(ROOT / "docs" / "prompts.md", "json")[0].text)
    plain, reading = tiny.checkpoint(), tiny.reading()
    published = replace(plain, config=replace(plain.config, quirks=("whole-windows",)))
    for model, names in (
        (plain, ("stand-ins/starter-open", "runs/s/checkpoint")),
        (published, ("syntalker-s", "mambatalk")),
        (reading, ("stand-ins/starter", "syntalker-t", "runs/t/checkpoint")),
    ):
        for name in names:
            checkpoint.save(model, folder / name, torch.float32)
    clips = [small_tmr.clip(number, "left_shoulder", 2, "raises the left arm") for number in range(3)]
    clips = [replace(clip, info=replace(clip.info, speaker="2")) for clip in clips]
    for name in ("beat2.store", "real.store", "amass.store", "humanml3d.store"):
        write_store(folder / name, clips)
    for name in ("tests", "scripts"):
        (folder / name).symlink_to(ROOT / name)
