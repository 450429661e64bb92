"""Imports point downwards, stay quick, and every public name is there."""

import pkgutil
import shutil
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

import pytest

import cospeech
from cospeech.cli import COMMANDS

ROOT = Path(__file__).parents[1]
MODULES = sorted({"cospeech", *(found.name for found in pkgutil.walk_packages(cospeech.__path__, "cospeech."))})


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def test_a_module_imports_only_from_layers_below_its_own():
    program = shutil.which("lint-imports", path=sysconfig.get_path("scripts"))
    assert program, "import-linter is missing: pip install -e '.[dev]'"
    run = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 kept, 0 broken" in run.stdout


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported_and_has_the_names_it_promises(name):
    if name == "cospeech.__main__":
        return  # runs the program
    module = import_module(name)
    promised = getattr(module, "__all__", [])
    assert len(promised) == len(set(promised))
    for public in promised:
        assert getattr(module, public) is not None


def test_the_public_names_are_what_dir_shows_and_others_are_attribute_errors():
    assert dir(cospeech) == sorted(cospeech.__all__)
    assert "save" in cospeech.__all__
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cospeech.no_such_name


@pytest.mark.parametrize("use", ["", "cospeech.Speech, cospeech.Motion, cospeech.load_motion, cospeech.CospeechError"])
def test_importing_the_package_and_its_nouns_leaves_torch_alone(use):
    run = python(f"import sys, cospeech; {use}\nprint('torch' in sys.modules)")
    assert (run.stdout, run.stderr) == ("False\n", "")


HELP = """
import sys
from cospeech.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert stop.code == 0
print([name for name in ("torch", "numpy", "scipy", "av", "soundfile", "matplotlib") if name in sys.modules])
"""


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_imports_nothing_slow(command):
    run = python(HELP, *filter(None, [command]), "--help")
    assert run.stdout.startswith("usage: cospeech"), run.stderr
    assert run.stdout.splitlines()[-1] == "[]"


PLAIN = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import cospeech.character, cospeech.mocap, cospeech.pipeline, cospeech.words
import cospeech.recipes.bench, cospeech.recipes.obedience, cospeech.recipes.quality
"""


def test_what_a_plain_install_can_do_asks_for_no_extra():
    extras = ("pyarrow", "pocketsphinx", "lightning_fabric", "lightning", "tensorboard", "matplotlib", "transformers")
    run = python(PLAIN, *extras, "tokenizers", "lmdb", "ray", "pxr", "gradio", "scipy")
    assert run.returncode == 0, run.stderr
