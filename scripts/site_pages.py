"""Hooks of mkdocs: the pages of the site that come from the code, and what sets the site apart from docs/ on GitHub.

`make docs` builds the site. docs/ holds plain markdown that GitHub shows as well; what is made here is never committed:

- `commands/`: a page for each command, from its signature and docstring, which are its `--help`;
- `reference/`: the public names, from their docstrings (mkdocstrings);
- `player.html`: the recording in examples/ with the starter's motion; where a page says `<!-- player -->`, in place of
  the picture that GitHub shows there;
- `changes.md`: CHANGELOG.md.

Links that lead out of docs/ become links to the repository, commands such as `cospeech generate` links to their page.
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
    shown = "    options:\n      show_root_heading: false\n"
    pages |= {f"reference/{module}.md": f"# cospeech.{module}\n\n::: cospeech.{module}\n{shown}" for module in MODULES}
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
    return re.sub(r"<!-- player -->(\s*!\[[^]]*\]\([^)]*\))?", frame, "".join(prose))


def player() -> str:
    """The recording in examples/ with the starter's motion, as a page that plays it."""
    from cospeech.formats import html  # imports torch, like the pipeline

    speech = cospeech.Speech.load(ROOT / "examples" / "jfk.flac")
    motion = cospeech.load_pipeline("starter").generate(speech, seed=0)
    return html.page(motion, audio=speech, title="John F. Kennedy, 20 January 1961")


def commands_page() -> str:
    rows = "\n".join(
        f"| [`cospeech {verb}`]({verb}.md) | {docstring_parser.parse(command.__doc__).short_description} |"
        for verb, command in cli.COMMANDS.items()
    )
    said = "These pages are made from the code and say what `--help` says. Errors are one line and exit code 2."
    return f"# Commands\n\n{said}\n\n| command | job |\n|---|---|\n{rows}\n"


def command_page(verb: str) -> str:
    """Signature and docstring of a command, as tyro reads them, as a page."""
    doc = docstring_parser.parse(cli.COMMANDS[verb].__doc__)
    told = {each.arg_name: " ".join(each.description.split()) for each in doc.params}
    hints = typing.get_type_hints(cli.COMMANDS[verb], include_extras=True)
    usage, arguments, options = f"cospeech {verb}", [], []
    for name, parameter in inspect.signature(cli.COMMANDS[verb]).parameters.items():
        shown, default = value(hints[name]), parameter.default
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            shown = name.upper() if shown.startswith("{") else shown
            several = "..." if typing.get_origin(plain(hints[name])) is tuple else ""
            usage += f" {shown}{several}" if default is parameter.empty else f" [{shown}{several}]"
            choices = typing.get_args(plain(hints[name])) if is_choice(hints[name]) else ()
            said = f"{told[name]} One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else told[name]
            arguments.append((shown, said))
        else:
            said = told[name]
            if default is parameter.empty:
                said += " Required."
            elif default not in (None, False, "", ()):
                said += f" Default: `{default}`."
            options.append((f"--{name.rstrip('_').replace('_', '-')} {shown}".strip(), said))
    usage += " [OPTIONS]" if options else ""
    page = f"# cospeech {verb}\n\n{escaped(doc.short_description)}\n\n```text\n{usage}\n```\n"
    if doc.long_description:
        prose, _, examples = re.split(r"(Examples?: )", doc.long_description + " Example: ", maxsplit=1)
        lines = "\n".join(" ".join(example.split()) for example in examples.split("Example: ")[0].split(";\n"))
        page += f"\n{escaped(prose.strip())}\n" + (f"\n```sh\n{lines}\n```\n" if lines else "")
    for title, rows in (("Arguments", arguments), ("Options", options)):
        if rows:
            page += f"\n## {title}\n\n" + "\n".join(f"`{name}`\n:   {escaped(said)}\n" for name, said in rows)
    return page


def plain(hint):
    """A type without `Annotated` and without `| None`."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    return hint


def is_choice(hint) -> bool:
    return typing.get_origin(plain(hint)) is typing.Literal


def value(hint) -> str:
    """What stands for the value of an argument; nothing for a flag."""
    for extra in getattr(hint, "__metadata__", ()):
        if getattr(extra, "metavar", None):
            return extra.metavar
    if is_choice(hint):
        return "{" + ",".join(map(str, typing.get_args(plain(hint)))) + "}"
    return {bool: "", str: "TEXT", int: "N", float: "X"}.get(plain(hint), "PATH")


def escaped(text: str) -> str:
    """Prose of a docstring: options become code, names of pages links, and markdown changes nothing else in it."""
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([*<_|])", r"\\\1", re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"`\1`", parts[i]))
    return re.sub(r"\bdocs/([\w-]+\.md)", r"[docs/\1](../\1)", "".join(parts))


def reference_page() -> str:
    names = "\n\n".join(f"::: cospeech.{name}" for name in cospeech.__all__)
    rows = "\n".join(f"| [`cospeech.{module}`]({module}.md) | {about} |" for module, about in MODULES.items())
    return f"# Python\n\n{names}\n\n## Modules\n\n| module | for |\n|---|---|\n{rows}\n"
