"""The page: what a visitor sees, and which method of the desk answers to what."""

from importlib.resources import files
from pathlib import Path

import gradio as gr

from cospeech.character import SUFFIXES
from cospeech.demo import desk as desks
from cospeech.demo.desk import Desk
from cospeech.prompts import LONGEST, PARTS, STRONGEST

EXAMPLE = Path(str(files("cospeech") / "assets" / "speech" / "jfk.ogg"))
_EXAMPLES = {
    "Just talking": ("", "", []),
    "Raising a hand": ("raises the right hand", "", []),
    "Walking": ("", "walks forward", []),
    "Waving, then pointing": (
        *("", ""),
        [
            {"part": "upper", "text": "waves with the right hand", "start": 1, "end": 4, "strength": 1},
            {"part": "upper", "text": "points forward", "start": 6, "end": 9, "strength": 1},
        ],
    ),
}
_PARTS = {  # what they are called, and what one may write
    "upper": ("Upper body", "raises the right hand"),
    "lower": ("Legs", "walks forward"),
    "hands": ("Hands", "makes a fist"),
    "whole": ("Whole body", "shrugs"),
}
_FRAME_RATES = (24, 25, 30, 50, 60, 120)
_DOWNLOAD = "() => { document.querySelector('#made a[download]')?.click() }"
# On a phone the stage is far below the button.
_SHOW_STAGE = "() => { document.querySelector('#stage iframe')?.scrollIntoView({ block: 'nearest' }) }"
_WAITING = 20  # visitors in the queue; who comes later is asked to come back

# Strings name fonts of the visitor's system: nothing is fetched.
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
THEME = gr.themes.Base(
    primary_hue="orange", neutral_hue="stone", radius_size="lg", font=_FONT, font_mono=("ui-monospace", "monospace")
).set(
    button_primary_background_fill="#c2501b",
    button_primary_background_fill_hover="#a84315",
    button_primary_background_fill_dark="#c2501b",
    button_primary_text_color="#fff",
    slider_color="#c2501b",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_label_text_color="*neutral_700",
    block_title_text_color="*neutral_700",
    block_info_text_color="*neutral_600",
    body_background_fill="*neutral_100",
    body_background_fill_dark="*neutral_950",
)


def _beside(name: str) -> str:
    return (files("cospeech") / "demo" / name).read_text(encoding="utf-8")


def css() -> str:
    return _beside("page.css")


def build(desk: Desk, keep_minutes: float) -> gr.Blocks:
    """The page and its wires."""
    gr.set_static_paths([EXAMPLE])  # or Gradio would copy it among the uploads
    with gr.Blocks(title="cospeech", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(_header(desk, keep_minutes), elem_id="header")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=2, min_width=330, elem_id="order"):
                speech = gr.Audio(
                    label="Speech", sources=["upload", "microphone"], type="filepath", elem_id="speech", buttons=[]
                )
                with gr.Row(elem_id="examples"):
                    gr.HTML("<span>Or take an example:</span>", min_width=0)
                    examples = {name: gr.Button(name, size="sm", min_width=0) for name in _EXAMPLES}
                texts = {}
                with gr.Group(elem_id="prompts"):
                    for pair in (("upper", "lower"), ("hands", "whole")):
                        with gr.Row():
                            for part in pair:
                                texts[part] = gr.Textbox(
                                    "", label=_PARTS[part][0], placeholder=_PARTS[part][1], max_length=LONGEST,
                                    min_width=130, elem_id=f"prompt-{part}",
                                )  # fmt: skip
                    strength = gr.Slider(0, STRONGEST, 1, step=0.1, label="Strength of these words")
                with gr.Accordion("Words with times", open=False, elem_id="timeline-fold"):
                    timeline = gr.HTML(
                        [], html_template="<div class='rows'></div>", js_on_load=_beside("timeline.js"),
                        apply_default_css=False, elem_id="timeline", parts=list(PARTS), longest=LONGEST,
                        strongest=STRONGEST,
                    )  # fmt: skip
                with gr.Accordion("Model and more", open=False, elem_id="more"):
                    model = gr.Dropdown(list(desk.studio.models), label="Model", value=desk.studio.models[0])
                    with gr.Row():
                        seed = gr.Number(
                            0, label="Seed", precision=0, minimum=0, maximum=desks.LARGEST_SEED, min_width=120,
                            info="Another seed, another motion.",
                        )  # fmt: skip
                        steps = gr.Number(
                            0, label="Diffusion steps", precision=0, minimum=0, maximum=desks.MOST_STEPS,
                            min_width=120, info="0: as many as the model wants.",
                        )  # fmt: skip
                    another = gr.Button("Another seed", size="sm")
                    finish = gr.Radio(
                        [("as the model wants", "model"), ("on", "on"), ("off", "off")], value="model",
                        label="Finish", info="Feet that stand, hands outside the body, no tremble.",
                    )  # fmt: skip
                    face = gr.Checkbox(True, label="Face")
                    transcript = gr.Textbox(
                        "", label="Transcript", lines=3, max_length=desks.LONGEST_TRANSCRIPT,
                        info="What is said, for models that read words. The starters follow the sound alone.",
                    )  # fmt: skip
                with gr.Row(elem_id="go"):
                    generate = gr.Button("Generate", variant="primary", size="lg", elem_id="generate", scale=3)
                    stop = gr.Button("Stop", size="lg", elem_id="stop", interactive=False, min_width=90)
                status = gr.HTML(elem_id="status")
            with gr.Column(scale=3, min_width=330, elem_id="result"):
                stage = gr.HTML(desks.EMPTY, apply_default_css=False, elem_id="stage")
                beside = gr.Checkbox(False, label="Show the result before beside it", visible=False, elem_id="beside")
                with gr.Column(visible=False, elem_id="downloads") as downloads:
                    with gr.Row():
                        kind = gr.Dropdown(desks.kinds(), value=".glb", label="Format", elem_id="kind", min_width=180)
                        fps = gr.Dropdown(
                            [("as made", 0), *((str(rate), rate) for rate in _FRAME_RATES)], value=0,
                            label="Frames a second", min_width=110,
                        )  # fmt: skip
                        write = gr.Button("Download", elem_id="write", min_width=110)
                    made = gr.HTML(elem_id="made")
                    with gr.Accordion("On your own character", open=False, elem_id="own"):
                        character = gr.File(
                            label="A humanoid: .vrm, .glb, .fbx or .bvh", file_types=list(SUFFIXES), height=120,
                            elem_id="character",
                        )  # fmt: skip
                        about_character = gr.HTML()

        # What changes while the answer to the change before is on its way counts, too.
        speech.input(desk.hear, speech, [speech, status], show_progress="hidden", trigger_mode="always_last")
        for name, button in examples.items():
            button.click(
                lambda name=name: (str(EXAMPLE), *_EXAMPLES[name]),
                outputs=[speech, texts["upper"], texts["lower"], timeline], show_progress="hidden",
            )  # fmt: skip
        another.click(desks.another_seed, outputs=seed, show_progress="hidden")

        begun = generate.click(
            lambda: (gr.update(interactive=False), gr.update(interactive=True), ""),
            outputs=[generate, stop, made], queue=False, show_progress="hidden",
        )  # fmt: skip
        making = begun.then(
            desk.generate,
            [
                *(speech, *(texts[part] for part in PARTS), strength, timeline),
                *(transcript, model, seed, steps, finish, face, beside),
            ],
            [stage, status, beside, downloads],
            concurrency_limit=1, concurrency_id="studio", show_progress="full", show_progress_on=stage,
        )  # fmt: skip
        making.then(None, js=_SHOW_STAGE)
        ready = (lambda: (gr.update(interactive=True), gr.update(interactive=False)), None, [generate, stop])
        making.then(*ready, queue=False, show_progress="hidden")
        stopped = stop.click(desk.stop, outputs=status, cancels=making, queue=False, show_progress="hidden")
        stopped.then(*ready, queue=False, show_progress="hidden")

        beside.input(desk.stage, beside, [stage, status], show_progress="hidden", trigger_mode="always_last")
        character.upload(desk.bring_character, character, [character, kind, about_character])
        character.clear(desk.bring_character, character, [character, kind, about_character])
        written = write.click(
            desk.write, [kind, fps], made, concurrency_limit=2, concurrency_id="files", show_progress_on=made
        )
        written.then(None, js=_DOWNLOAD)
        blocks.unload(desk.leave)
    blocks.queue(max_size=_WAITING, api_open=False)
    return blocks


def _header(desk: Desk, keep_minutes: float) -> str:
    limits = desk.limits
    return (
        "<h1>cospeech</h1><p>Speech in, full-body, hand and face motion out.</p>"
        "<p class='privacy'>Your recordings and what is made of them stay on the computer that runs this page. "
        f"They are deleted when you close the page, or after {keep_minutes:g} minutes without you. "
        f"Up to {limits.seconds:g} seconds of speech, {limits.megabytes:g} MB a file.</p>"
    )
