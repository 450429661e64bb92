"""Draw the figures of the two systems in docs/figures: python scripts/draw_figures.py

Text stands in light boxes and is dark, lines and free words follow the reader's light or dark scheme.
"""

from html import escape
from pathlib import Path

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
LINE = 17  # height of a line of text
STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; text-anchor: middle; fill: #1b2530; }
.small { font-size: 12px; fill: #3c4a59; }
.free { font-size: 12.5px; fill: #566373; }
.line { fill: none; stroke: #64748b; stroke-width: 1.5; }
.head { fill: #64748b; }
rect { stroke-width: 1.2; }
.given { fill: #eef1f5; stroke: #94a3b8; }
.network { fill: #dbe9fb; stroke: #6b93c4; }
.codes { fill: #fdebd0; stroke: #d3a04d; }
.motion { fill: #d8f2e1; stroke: #5fae80; }
.group { fill: none; stroke: #94a3b8; stroke-dasharray: 5 4; }
@media (prefers-color-scheme: dark) {
  .free { fill: #b3c0cf; }
  .line { stroke: #9fb0c3; }
  .head { fill: #9fb0c3; }
  .group { stroke: #7d8ca0; }
}
"""


class Figure:
    """Boxes, arrows and words on a sheet of `width` by `height`, y down."""

    def __init__(self, width: int, height: int, title: str, said: str):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-labelledby="title said">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="said">{escape(said)}</desc>',
            f"<style>{STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path class="head" d="M0 0.5 8 4 0 7.5z"/></marker></defs>',
        ]

    def box(self, kind: str, x: int, y: int, width: int, height: int, name: str, *small: str) -> None:
        """A box with its upper left corner at (x, y): a name and smaller lines below it."""
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="7"/>')
        first = y + height / 2 - LINE * len(small) / 2 + 5
        for i, line in enumerate((name, *small)):
            size = ' class="small"' if i else ""
            self.parts.append(f'<text{size} x="{x + width / 2:g}" y="{first + LINE * i:g}">{escape(line)}</text>')

    def group(self, x: int, y: int, width: int, height: int) -> None:
        self.parts.append(f'<rect class="group" x="{x}" y="{y}" width="{width}" height="{height}" rx="10"/>')

    def arrow(self, *points: tuple[float, float]) -> None:
        path = " ".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f'<path class="line" d="M{path}" marker-end="url(#head)"/>')

    def words(self, x: int, y: int, line: str, anchor: str = "middle") -> None:
        self.parts.append(f'<text class="free" style="text-anchor: {anchor}" x="{x}" y="{y}">{escape(line)}</text>')

    def write(self, name: str) -> None:
        FIGURES.mkdir(exist_ok=True)
        (FIGURES / name).write_text("\n".join([*self.parts, "</svg>", ""]), encoding="utf-8")


def syntalker() -> Figure:
    figure = Figure(
        *(760, 662, "SynTalker"),
        "Recording and words become one vector for each of 32 steps. A denoiser of eight transformer blocks turns "
        "noise into latents of upper body, hands and legs, told of the speech, of the last latents before the "
        "window and, in system T, of a style for each part. Each part's latents are snapped to codes and "
        "decoded to 128 frames.",
    )
    figure.box("given", 20, 20, 150, 52, "recording", "16 kHz")
    figure.box("given", 190, 20, 150, 52, "words", "with times")
    figure.box("given", 390, 20, 150, 52, "last 4 steps", "of the window before")
    figure.box("given", 570, 20, 170, 52, "prompt for a part", "system T only")

    figure.box("network", 20, 112, 150, 62, "convolutions", "one vector a frame")
    figure.box("network", 190, 112, 150, 62, "word table", "11,195 words")
    figure.box("network", 570, 112, 170, 62, "text-motion space", "DistilBERT → style")
    for x in (95, 265, 655):
        figure.arrow((x, 72), (x, 111))
    figure.box("network", 80, 214, 200, 52, "join, average 4 frames", "128 frames → 32 steps")
    figure.arrow((95, 174), (95, 194), (150, 194), (150, 213))
    figure.arrow((265, 174), (265, 194), (210, 194), (210, 213))

    figure.group(20, 306, 720, 124)
    figure.box("given", 40, 326, 120, 60, "noise", "32 steps")
    figure.box("network", 230, 322, 300, 68, "denoiser", "8 transformer blocks", "says what is under the noise")
    figure.box("given", 600, 326, 120, 60, "less noise")
    figure.arrow((160, 356), (229, 356))
    figure.arrow((530, 356), (599, 356))
    figure.arrow((660, 386), (660, 418), (380, 418), (380, 391))
    figure.words(520, 411, "again, 50 or 1000 times")
    figure.arrow((180, 266), (180, 286), (300, 286), (300, 321))
    figure.arrow((465, 72), (465, 321))
    figure.arrow((655, 174), (655, 286), (500, 286), (500, 321))
    figure.words(196, 282, "speech", "start")

    for x, part in ((60, "upper body"), (290, "hands"), (520, "legs and path")):
        figure.arrow((x + 90, 430), (x + 90, 459))
        figure.box("codes", x, 460, 180, 52, f"codes: {part}", "6 stages, 512 codes each")
        figure.arrow((x + 90, 512), (x + 90, 533))
        figure.box("network", x, 534, 180, 52, "decoder", "32 steps → 128 frames")
        figure.arrow((x + 90, 586), (x + 90, 607))
    figure.box("motion", 60, 608, 640, 40, "body and hands, 30 frames a second; the last 16 go to the next window")
    return figure


def mambatalk() -> Figure:
    figure = Figure(
        *(760, 714, "MambaTalk"),
        "What is heard reaches the face and the body in two streams. A global scan reads the whole window, eight "
        "layers of attention let the motion ask for what is heard, and local scans of face, upper body, hands and legs "
        "choose one of 256 codes a frame. Decoders turn the codes into motion of 64 frames.",
    )
    figure.box("given", 20, 20, 330, 52, "recording", "loudness, characters heard by wav2vec 2.0, samples")
    figure.box("given", 370, 20, 110, 52, "words", "with times")
    figure.box("given", 500, 20, 90, 52, "speaker", "number")
    figure.box("given", 610, 20, 130, 52, "first 4 frames", "all others hidden")

    figure.box("network", 20, 112, 215, 62, "what the face hears", "all three, and words")
    figure.box("network", 265, 112, 215, 62, "what the body hears", "without samples, and words")
    figure.arrow((125, 72), (125, 111))
    figure.arrow((310, 72), (310, 111))
    figure.arrow((400, 72), (400, 92), (190, 92), (190, 111))
    figure.arrow((430, 72), (430, 111))

    figure.group(20, 204, 720, 92)
    figure.words(34, 224, "global", "start")
    figure.box("network", 60, 232, 180, 52, "state space: face", "over what it hears")
    figure.box("network", 290, 232, 180, 52, "state space: body", "over the frames shown")
    figure.box("network", 540, 232, 180, 52, "attention: body", "over the frames shown")
    figure.arrow((125, 174), (125, 231))
    figure.arrow((700, 72), (700, 231))
    figure.arrow((670, 72), (670, 194), (420, 194), (420, 231))
    figure.arrow((545, 72), (545, 160), (600, 160), (600, 231))

    figure.box("network", 290, 336, 430, 52, "8 layers of attention", "the body asks what is heard")
    figure.arrow((630, 284), (630, 335))
    figure.arrow((270, 174), (270, 362), (289, 362))

    figure.group(20, 418, 720, 92)
    figure.words(34, 438, "local", "start")
    parts = (
        *(("face", "state space, 4 layers"), ("upper body", "told of hands, legs")),
        *(("hands", "told of body, legs"), ("legs", "told of body, hands")),
    )
    for i, (part, small) in enumerate(parts):
        x = 40 + 174 * i
        figure.box("network", x, 446, 158, 52, part, small)
        figure.arrow((x + 79, 498), (x + 79, 529))
        figure.box("codes", x, 530, 158, 52, "codes", "each frame 1 of 256")
        figure.arrow((x + 79, 582), (x + 79, 603))
        figure.box("network", x, 604, 158, 34, "decoder")
        figure.arrow((x + 79, 638), (x + 79, 659))
        if i:
            figure.arrow((x + 79, 388), (x + 79, 445))
    figure.arrow((150, 284), (150, 445))
    figure.arrow((290, 270), (256, 270), (256, 314), (90, 314), (90, 445))
    figure.box("motion", 40, 660, 332, 40, "jaw and 100 FLAME expressions")
    figure.box("motion", 388, 660, 332, 40, "rotations; from the legs the path")
    return figure


if __name__ == "__main__":
    syntalker().write("syntalker.svg")
    mambatalk().write("mambatalk.svg")
