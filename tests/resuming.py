"""A training killed with SIGKILL in its middle and started again, beside one that was never stopped."""

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import load_file

from cospeech import config as configs


def check(recipe: ModuleType, config, result: str, folder: Path) -> None:
    """Both end with the same weights, bit for bit.

    Args:
        recipe: Has `train(config, directory)`, whose run writes its first state long before its end.
        result: The file with which a run ends.
    """
    recipe.train(config, folder / "whole")
    configs.save_json(config, folder / "config.json")
    script = (
        "import sys; from pathlib import Path; from cospeech.config import load_json;"
        f"import {recipe.__name__} as recipe;"
        f"recipe.train(load_json(recipe.{type(config).__name__}, sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", script, str(folder / "config.json"), str(folder / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (folder / "killed" / "last.pt").is_file() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (folder / "killed" / result).exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole, resumed = (load_file(folder / name / result) for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
