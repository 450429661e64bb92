"""What happens when a visitor of the page does something: every method is the answer to one event of `page`.

Whatever a visitor wrote or named is escaped here before it becomes a part of the page.
"""

import json
import random
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import gradio as gr
import numpy as np

from cospeech import character, files
from cospeech.demo.studio import Order, Studio, notes
from cospeech.demo.visits import ALONE, BESIDE, Result, Visit, Visits
from cospeech.errors import AudioError, ConfigError, CospeechError, PromptError
from cospeech.formats import html
from cospeech.formats.output import replacing
from cospeech.prompts import Prompt, of_parts, read_timeline
from cospeech.speech import Speech

LONGEST_TRANSCRIPT = 20_000  # characters
LARGEST_SEED = 2**31 - 1
MOST_STEPS = 100
MOST_PROMPTS = 50
SILENCE = 1e-3  # no sample is louder
_LONGEST_NAME = 60

FINISH = {"model": None, "on": True, "off": False}

EMPTY = "<p class='empty'>Your motion will play here.</p>"
_OWN = "own"  # before the suffix of what is written on a visitor's character


class Limits(NamedTuple):
    seconds: float  # of speech
    megabytes: float  # of a file that is uploaded


class Stopped(Exception):
    """The visitor does not want it any more, or has left."""


@dataclass
class Desk:
    studio: Studio
    visits: Visits
    limits: Limits

    def hear(self, recording: str | None, request: gr.Request) -> tuple:
        """A recording was brought or taken away: what the player of the speech and the status show."""
        visit = self.visits.of(request.session_hash)
        if recording is None:
            return gr.skip(), ""
        try:
            with notes() as heard:
                speech = self._speech(visit, recording)
        except CospeechError as error:
            return None, self._apology(error)
        return gr.skip(), said(f"{speech.duration_s:.1f} s of speech.", *heard, *_about_silence(speech))

    def generate(
        self,
        recording: str | None,
        upper: str | None,  # Gradio gives None for what nobody has touched
        hands: str | None,
        lower: str | None,
        whole: str | None,
        strength: float,
        timeline: list | None,
        transcript: str | None,
        model: str,
        seed: float | None,
        steps: float | None,  # 0: as many as the model wants
        finish: str,
        face: bool,
        beside: bool,
        request: gr.Request,
        progress: Callable = gr.Progress(),  # noqa: B008  how Gradio is asked for one
    ) -> tuple:
        """Make motion: what the stage and the status show, and what is offered below the stage."""
        visit = self.visits.of(request.session_hash)
        stop = visit.new_order()

        def tell(fraction: float, task: str) -> None:
            if stop.is_set() or visit.gone.is_set():
                raise Stopped
            progress(fraction, desc=task)

        began = time.perf_counter()
        try:
            with notes() as heard:
                if recording is None:
                    raise AudioError("Record or upload speech first, or take an example.")
                speech = self._speech(visit, recording)
                prompts = _prompts({"upper": upper, "hands": hands, "lower": lower, "whole": whole}, strength, timeline)
                transcript = (transcript or "").strip()
                if len(transcript) > LONGEST_TRANSCRIPT:
                    raise ConfigError(f"The transcript has more than {LONGEST_TRANSCRIPT} characters. Shorten it.")
                order = Order(model, prompts, transcript, int(seed or 0), int(steps or 0) or None, FINISH[finish], face)
                motion = self.studio.make(speech, order, tell)
                tell(0.98, "Writing the page")
                number, folder = visit.new_folder()
                caption = ", ".join([f"seed {order.seed}", *(f"{p.part}: {p.text}" for p in prompts)])
                visit.add(Result(number, safe_name(Path(recording).stem), caption, motion, speech, folder))
                stage = self._stage(visit, beside)
        except Stopped:
            return gr.skip(), said("Stopped."), gr.skip(), gr.skip()
        except CospeechError as error:
            return gr.skip(), self._apology(error), gr.skip(), gr.skip()
        licence = motion.metadata.get("licence", "")
        took = f"{motion.duration_s:.1f} s of motion, made in {time.perf_counter() - began:.1f} s"
        origin = f"by {motion.metadata.get('model', model)} ({licence})." if licence else ""
        status = said(" ".join([took, origin]).strip(), *heard, *_about_silence(speech))
        return stage, status, gr.update(visible=len(visit.results) > 1), gr.update(visible=True)

    def stop(self, request: gr.Request) -> str:
        self.visits.of(request.session_hash).stop.set()
        return said("Stopped.")

    def stage(self, beside: bool, request: gr.Request) -> tuple:
        """Show the last result alone, or beside the one before: the stage and the status."""
        try:
            return self._stage(self.visits.of(request.session_hash), beside), gr.skip()
        except CospeechError as error:
            return gr.skip(), self._apology(error)

    def bring_character(self, path: str | None, request: gr.Request) -> tuple:
        """Read a visitor's own character: the file if it is one, the formats it can be written in, and notes."""
        visit = self.visits.of(request.session_hash)
        visit.character = None
        if path is None:
            return gr.skip(), gr.update(choices=kinds(), value=".glb"), ""
        try:
            self._take_in(visit, path)
            own = character.load(path)
        except CospeechError as error:
            return None, gr.update(choices=kinds(), value=".glb"), self._apology(error)
        visit.character = own
        mine = [(f"{suffix}: on your character", f"{_OWN}{suffix}") for suffix in own.suffixes]
        notes_of = said(f"Your character: {'; '.join(own.notes)}.", "The page goes on showing the mannequin.")
        return gr.skip(), gr.update(choices=[*mine, *kinds()], value=mine[0][1]), notes_of

    def write(
        self,
        kind: str,
        fps: float | None,
        request: gr.Request,
        progress: Callable = gr.Progress(),  # noqa: B008
    ) -> str:
        """Write the last result as a file: a link to it."""
        visit = self.visits.of(request.session_hash)

        def tell(fraction: float) -> None:
            if visit.gone.is_set():
                raise Stopped
            progress(fraction, desc="Writing")

        try:
            if not visit.results:
                raise ConfigError("There is nothing to download any more. Generate it again.")
            path = self._write_file(visit, visit.results[-1], kind, fps, tell)
        except Stopped:
            return ""
        except CospeechError as error:
            return self._apology(error)
        address = f"files/{visit.folder.name}/{path.parent.name}/{quote(path.name)}"
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        return f"<p class='made'><a href='{address}' download>{escape(path.name)}</a> <span>{size}</span></p>"

    def leave(self, request: gr.Request) -> None:
        self.visits.leave(request.session_hash)

    def _speech(self, visit: Visit, recording: str) -> Speech:
        path = self._take_in(visit, recording)
        return Speech.load(path, longest_s=self.limits.seconds)

    def _take_in(self, visit: Visit, upload: str) -> Path:
        """A file that a visitor brought, which is deleted when the visitor leaves."""
        path = Path(upload)
        self.visits.take_in(visit, path)
        if not path.is_file():
            raise AudioError(f"{path.name} has been deleted here meanwhile. Choose it again.")
        if path.stat().st_size > self.limits.megabytes * 1e6:
            raise AudioError(f"{path.name} is larger than {self.limits.megabytes:g} MB, the limit here.")
        return path

    def _write_file(
        self, visit: Visit, result: Result, kind: str, fps: float | None, progress: Callable[[float], None]
    ) -> Path:
        suffix, _, layout = kind.removeprefix(_OWN).partition(" ")
        own = visit.character if kind.startswith(_OWN) else None
        if kind.startswith(_OWN) and own is None:
            raise ConfigError("Your character has been deleted here meanwhile. Choose it again.")
        if suffix not in (own.suffixes if own else files.WRITERS):  # it becomes a part of a path
            raise ConfigError("This format is not written here. Choose another.")
        motion = result.motion if not fps else result.motion.resample(fps)
        path = result.folder / f"{result.name}{suffix}"
        if own:
            files.save(motion, path, skeleton=own, progress=progress)
            return path
        options = files.WRITERS[suffix].options
        body = self.studio.body if "body" in options else None
        consent = body is not None and "embed_licensed_body" in options
        files.save(
            motion, path, audio=result.speech, body=body, embed_licensed_body=consent, layout=layout or None,
            progress=progress,
        )  # fmt: skip
        return path

    def _stage(self, visit: Visit, beside: bool) -> str:
        """The player of the last result, or of that and the one before. Its page is written when it is first seen."""
        if not visit.results:
            return EMPTY
        last, *others = reversed(visit.results if beside else visit.results[-1:])
        page = last.folder / (BESIDE if others else ALONE)
        if not page.exists():
            body = self.studio.body
            text = html.page(
                last.motion, audio=last.speech, body=body, embed_licensed_body=body is not None,
                title=_title(last) if others else last.name, beside={_title(each): each.motion for each in others},
            )  # fmt: skip
            with replacing(page) as temporary:
                temporary.write_text(text, encoding="utf-8")
        address = f"watch/{visit.folder.name}/{last.number}/{page.name}"
        about = escape(" | ".join(f"{each.name}, {each.caption}" for each in (last, *others)), quote=True)
        return f"<iframe src='{address}' title=\"Player: {about}\" allow='autoplay'></iframe>"

    def _apology(self, error: CospeechError) -> str:
        """An error in words, without the folders that files lie in here."""
        text = re.sub(re.escape(str(self.visits.root)) + r"([/\\][^\s/\\]+)*[/\\]", "", str(error))
        return f"<p class='status problem' role='alert'>{escape(text)}</p>"


def said(*lines: str) -> str:
    return "".join(f"<p class='status' role='status'>{escape(line)}</p>" for line in lines)


def _prompts(texts: dict[str, str | None], strength: float, timeline: list | None) -> tuple[Prompt, ...]:
    """Those over the whole speech, and those with times."""
    always = of_parts({part: (text or "").strip() for part, text in texts.items()}, strength)
    timed = read_timeline(json.dumps([*(timeline or [])]))
    if len(timed) > MOST_PROMPTS:
        raise PromptError(f"There are {len(timed)} words with times; at most {MOST_PROMPTS} are taken here.")
    return (*always, *timed)


def another_seed() -> int:
    return random.randrange(1_000_000)


def kinds() -> list[tuple[str, str]]:
    """What a result can be downloaded as, in words, and as `Desk.write` knows it: a suffix, or suffix and layout."""
    found = []
    for suffix, writer in files.WRITERS.items():
        words = _WORDS.get(suffix, "")
        for layout in writer.layouts or ("",):
            label = " ".join(filter(None, [f"{suffix}: {words}" if words else suffix, f"({layout})" if layout else ""]))
            found.append((label, f"{suffix} {layout}".strip()))
    return found


_WORDS = {
    ".npz": "SMPL-X poses",
    ".bvh": "skeleton",
    ".glb": "body with its face",
    ".vrma": "for VRM avatars",
    ".fbx": "for Unreal, Unity, Maya",
    ".usd": "for Omniverse, Houdini",
    ".usda": "the same as text",
    ".csv": "face, Live Link",
    ".json": "face, Live Link",
    ".html": "page that plays it",
    ".npy": "positions of joints",
    ".mp4": "film",
}


def safe_name(name: str) -> str:
    """The name of a file, made of any name: letters of all scripts, digits, spaces and -_() are kept."""
    kept = "".join(c for c in unicodedata.normalize("NFC", name) if c.isalnum() or c in " -_()")
    return " ".join(kept.split())[:_LONGEST_NAME].strip() or "talk"


def _about_silence(speech: Speech) -> list[str]:
    if float(np.abs(speech.samples).max()) > SILENCE:
        return []
    return ["The recording is silent: the body has nothing to talk along with."]


def _title(result: Result) -> str:
    """Of one of several that are seen: no two have the same."""
    return f"{result.number}. {result.caption}"
