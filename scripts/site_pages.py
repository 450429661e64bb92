"""Hooks of mkdocs: the pages of the site that come from the code, and what sets the site apart from docs/ on GitHub.

`make docs` builds the site. docs/ holds plain markdown that GitHub shows as well; what is made here is never committed:

- `commands/`: a page for each command, from its signature and docstring, which are its `--help`;
- `reference/`: the public names, from their docstrings (mkdocstrings);
- `player.html`: the recording in examples/, played by the starter's body; stands where a page says `<!-- player -->`;
- `changes.md`: CHANGELOG.md.

Links that lead out of docs/ become links to the repository, and commands such as `cospeech generate` links to their page.
"""

import inspect
import re
import types
import typing
from pathlib import Path

import docstring_parser
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

import cospeech
from cospeech import cli

ROOT = Path(__file__).parents[1]
PLAYER = "player.html"
# Modules whose functions are meant to be called from outside, with a word on what for.
MODULES = {
    "skeleton": "joints, parts of the body, face shapes",
    "rotation": "axis-angle, quaternions, matrices, 6-D",
    "body": "the shipped body, SMPL-X files, where joints and skin are",
    "text": "TextGrids, words with times",
    "prompts": "timelines",
    "words": "transcripts to words with times",
    "data.store": "prepared corpora",
    "metrics.frechet": "Fréchet gesture distance",
    "metrics.beat": "beat consistency",
    "metrics.diversity": "L1 diversity",
    "metrics.face": "errors of the face",
    "metrics.physics": "feet, floor, jerk",
    "metrics.gesture": "strokes, rhythm, rest",
    "metrics.interval": "means with intervals, paired differences",
    "errors": "everything that is raised on purpose",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    made = {
        "COMMANDS": ["commands/README.md", *(f"commands/{verb}.md" for verb in cli.COMMANDS)],
        "REFERENCE": ["reference/README.md", *(f"reference/{module}.md" for module in MODULES)],
    }
    for entry in config.nav:
        for title, pages in entry.items():
            entry[title] = made.get(pages, pages) if isinstance(pages, str) else pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {"changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), PLAYER: player()}
    pages["commands/README.md"] = commands_page()
    pages |= {f"commands/{verb}.md": command_page(verb) for verb in cli.COMMANDS}
    pages["reference/README.md"] = reference_page()
    pages |= {f"reference/{module}.md": f"# cospeech.{module}\n\n::: cospeech.{module}\n" for module in MODULES}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """What is written for GitHub, as the site needs it."""
    up = "../" * page.file.src_uri.count("/")
    folder = (Path(config.docs_dir) / page.file.src_uri).parent

    def to_repository(match: re.Match) -> str:
        target = (folder / match[1]).resolve()
        if not target.exists():
            raise PluginError(f"{page.file.src_uri}: {match[1]} does not exist.")
        kind = "tree" if target.is_dir() else "blob"
        return f"]({config.extra['repository']}/{kind}/main/{target.relative_to(ROOT).as_posix()}"

    def to_command(match: re.Match) -> str:
        own = page.file.src_uri == f"commands/{match[1]}.md"
        return match[0] if own or match[1] not in cli.COMMANDS else f"[{match[0]}]({up}commands/{match[1]}.md)"

    if page.file.generated_by is None:
        outside = "../" * (page.file.src_uri.count("/") + 1)
        markdown = re.sub(rf"\]\(({re.escape(outside)}[^)#\s]+)", to_repository, markdown)
    prose = re.split(r"(^```.*?^```$|^#.*?$|\[[^]]*\]\()", markdown, flags=re.DOTALL | re.MULTILINE)
    prose[::2] = [re.sub(r"`cospeech ([\w-]+)`", to_command, part) for part in prose[::2]]
    address = get_relative_url(PLAYER, page.url)
    frame = f'<iframe class="player" src="{address}" title="The body talks" loading="lazy"></iframe>'
    return "".join(prose).replace("<!-- player -->", frame)


def player() -> str:
    """The recording in examples/ with the starter's motion, as a page that plays it."""
    from cospeech.formats import html  # imports torch, like the pipeline

    speech = cospeech.Speech.load(ROOT / "examples" / "jfk.flac")
    motion = cospeech.load_pipeline("starter").generate(speech, seed=0)
    return html.page(motion, audio=speech, title="John F. Kennedy, 20 January 1961")


def commands_page() -> str:
    rows = [f"| [`cospeech {verb}`]({verb}.md) | {summary(verb)} |" for verb in cli.COMMANDS]
    return "\n".join(
        [
            "# Commands",
            "",
            "These pages are made from the code and say what `--help` says. Errors are one line and exit code 2.",
            "",
            "| command | job |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def summary(verb: str) -> str:
    return docstring_parser.parse(cli.COMMANDS[verb].__doc__).short_description


def command_page(verb: str) -> str:
    """Signature and docstring of a command, as tyro reads them, as a page."""
    doc = docstring_parser.parse(cli.COMMANDS[verb].__doc__)
    told = {each.arg_name: " ".join(each.description.split()) for each in doc.params}
    hints = typing.get_type_hints(cli.COMMANDS[verb], include_extras=True)
    positional, options = [], []
    for name, parameter in inspect.signature(cli.COMMANDS[verb]).parameters.items():
        metavar = next(
            (each.metavar for each in getattr(hints[name], "__metadata__", ()) if hasattr(each, "metavar")), None
        )
        kind = metavar or value(hints[name])
        required = parameter.default is inspect.Parameter.empty
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            several = "..." if typing.get_origin(plain(hints[name])) is tuple else ""
            shown = f"{metavar}{several}"
            positional.append(
                (shown if required and not several else f"[{shown}]" if not required else shown, metavar, told[name])
            )
        else:
            flag = "--" + name.rstrip("_").replace("_", "-")
            default = "" if parameter.default in (None, False, "", ()) else f" Default: `{parameter.default}`."
            default = " Required." if required else default
            options.append((f"{flag} {kind}".strip(), f"{told[name]}{default}"))
    usage = " ".join(["cospeech", verb, *(["[OPTIONS]"] if options else []), *(shown for shown, _, _ in positional)])
    lines = [f"# cospeech {verb}", "", escaped(doc.short_description), "", "```text", usage, "```", ""]
    if doc.long_description:
        lines += [examples(doc.long_description), ""]
    for title, rows in (("Arguments", [row[1:] for row in positional]), ("Options", options)):
        if rows:
            lines += [f"## {title}", ""]
            lines += [f"`{name}`\n:   {escaped(text)}\n" for name, text in rows]
    return "\n".join(lines)


def plain(hint):
    """A type without `Annotated` and without `| None`."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    return hint


def value(hint) -> str:
    """What stands behind an option, as `--help` writes it."""
    hint = plain(hint)
    if hint is bool:
        return ""
    if typing.get_origin(hint) is typing.Literal:
        return "{" + ",".join(map(str, typing.get_args(hint))) + "}"
    return {"str": "TEXT", "int": "N", "float": "X"}.get(getattr(hint, "__name__", ""), "PATH")


def escaped(text: str) -> str:
    """Options and patterns in prose, so that markdown changes nothing in them."""
    text = re.sub(r"(?<![`\w-])(--[\w-]+)(?![\w`-])", r"`\1`", text)
    return re.sub(r"(?<!`)([*<_])", r"\\\1", text) if "`" not in text else text


def examples(text: str) -> str:
    commands = re.findall(r"cospeech [^;\n]+(?:\n(?! *\n)[^;\n]+)*", text)
    shown = "\n".join(" ".join(command.split()) for command in commands)
    rest = re.split(r"Examples?:", text)[0].strip()
    return f"{escaped(rest)}\n\n```sh\n{shown}\n```" if commands else escaped(text)


def reference_page() -> str:
    names = "\n\n".join(f"::: cospeech.{name}" for name in cospeech.__all__)
    rows = "\n".join(f"| [`cospeech.{module}`]({module}.md) | {about} |" for module, about in MODULES.items())
    return f"# Python\n\n{names}\n\n## Modules\n\n| module | for |\n|---|---|\n{rows}\n"
