"""What the training recipes share: a run directory, devices, averaged weights, and going on after a kill.

A run directory holds `config.json`, `versions.json`, `last.pt` (to resume), `log/` (TensorBoard) and what the recipe
writes at its end. Randomness of a step depends on the seed, the step and the rank alone, so a resumed run goes on
exactly as if it had never stopped.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

import cospeech
from cospeech import config as configs
from cospeech.errors import ConfigError
from cospeech.formats.output import replacing


@dataclass(frozen=True)
class Training:
    """Settings of every training."""

    steps: int
    batch_size: int  # on each device
    lr: float = 2e-4
    warmup_steps: int = 500
    schedule: Literal["cosine", "drops"] = "cosine"
    final_lr: float = 0.05  # of `lr`: where the cosine ends, or what each of the drops multiplies by
    drops: tuple[float, ...] = ()  # parts of the steps after which the rate drops
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    average: float = 0.999  # decay of the averaged weights, which are the result; 0: the last weights are
    seed: int = 0
    save_every: int = 500
    devices: int = 1  # of each machine
    nodes: int = 1  # machines; `torchrun` tells each of them which it is
    accelerator: str = "auto"  # cpu, cuda, ...
    precision: str = "auto"  # bf16-mixed where the hardware has it, else 32-true

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "save_every", "devices", "nodes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be positive, got {getattr(self, name)}.")
        if self.drops and self.schedule != "drops":
            raise ConfigError("`drops` belong to the schedule `drops`.")

    @property
    def processes(self) -> int:
        return self.devices * self.nodes


class Run:
    """A training run: `for step in run.steps(): ... run.update(loss)`."""

    def __init__(self, directory: Path, config: Any, training: Training, build: Callable[[], nn.Module]):
        self.directory, self.training = Path(directory), training
        self.fabric = _fabric(training)
        self.fabric.launch()
        if self.fabric.is_global_zero:
            _describe(self.directory, config, self.device)
        self.fabric.barrier()
        torch.manual_seed(training.seed)
        model = build()
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=training.lr, betas=training.betas, weight_decay=training.weight_decay
        )
        self.model, self.optimizer = self.fabric.setup(model, optimizer)
        self.plain = model  # the network itself: its methods and its state dict
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.first = self._resume()
        if self.fabric.broadcast(self.first) != self.first:
            raise ConfigError(f"{self.directory}: other processes find another state there. All need the same disk.")
        self._step, self._since, self._writer = self.first, time.monotonic(), None

    @property
    def device(self) -> torch.device:
        return self.fabric.device

    def steps(self) -> Iterator[int]:
        for step in range(self.first, self.training.steps):
            self._step = step
            torch.manual_seed(hash((self.training.seed, step, self.fabric.global_rank)) % 2**63)
            for group in self.optimizer.param_groups:
                group["lr"] = self.training.lr * learning_rate(self.training, step)
            yield step
        self._save(self.training.steps)

    def key(self) -> tuple[int, int, int]:
        """What this step's random choices depend on: for `Windows.batch`."""
        return self.training.seed, self._step, self.fabric.global_rank

    def update(self, loss: Tensor, **logged: Tensor) -> None:
        """Backward, clip, step, average; then log and save when it is time."""
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if self.training.clip_norm is not None:
            self.fabric.clip_gradients(self.model, self.optimizer, max_norm=self.training.clip_norm)
        self.optimizer.step()
        step = self._step + 1
        decay = min(self.training.average, step / (step + 10))
        parameters = {name for name, _ in self.plain.named_parameters()}
        for name, value in self.plain.state_dict().items():
            if name in parameters:
                self.average[name].lerp_(value, 1 - decay)
            else:  # codebooks and running statistics are averages already
                self.average[name].copy_(value)
        if step % 100 == 0 or step == self.training.steps:
            self._log(step, {"loss": loss, **logged})
        if step % self.training.save_every == 0:
            self._save(step)

    def averaged(self) -> dict[str, Tensor]:
        """State dict of the averaged weights, on the CPU."""
        return {name: value.cpu() for name, value in self.average.items()}

    def _resume(self) -> int:
        path = self.directory / "last.pt"
        if not path.is_file():
            return 0
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.plain.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        return state["step"]

    def _save(self, step: int) -> None:
        if not self.fabric.is_global_zero:
            return
        state = {
            "model": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": step,
        }
        temporary = self.directory / "last.pt.tmp"
        torch.save(state, temporary)
        temporary.replace(self.directory / "last.pt")

    def _log(self, step: int, tensors: dict[str, Tensor]) -> None:
        if not self.fabric.is_global_zero:
            return
        values = {name: tensor.item() for name, tensor in tensors.items()}
        from torch.utils.tensorboard import SummaryWriter

        self._writer = self._writer or SummaryWriter(str(self.directory / "log"), purge_step=self.first)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
        rate = (step - self.first) / (time.monotonic() - self._since)
        left_min = (self.training.steps - step) / rate / 60
        text = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        line = f"{self.directory.name}: step {step}/{self.training.steps}  {text}  {rate:.1f} steps/s"
        print(f"{line}  {left_min:.0f} min left", flush=True)


def train_together(jobs: Sequence[tuple[Callable[[Any, Path], None], Any, Path]], processes: int) -> None:
    """Run trainings (function, config, run directory), so many at a time, each in a process with one thread.

    With one process they run here, one after the other, as trainings on several devices have to.
    """
    if processes == 1:
        for train, config, directory in jobs:
            train(config, directory)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(_train_alone, *job) for job in jobs]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:  # the others would go on for days before it is said
            for process in active_children():
                process.terminate()
            raise


def _train_alone(train: Callable[[Any, Path], None], config: Any, directory: Path) -> None:
    if parent := parent_process():  # a killed command leaves nobody behind
        Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    torch.set_num_threads(1)
    train(config, directory)


def once(write: Callable[[], None]) -> None:
    """Do what one process is to do while the others wait."""
    together = torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if together else int(os.environ.get("RANK", 0))
    if rank == 0:
        write()
    if together:
        torch.distributed.barrier()


def is_finished(directory: Path, config: Any, result: str) -> bool:
    """Whether a run has written its result; a result of another config is an error, not a result."""
    _check_config(directory, config)
    return (directory / result).is_file()


def check(training: Training) -> None:
    """Raise `ConfigError` for a device that is not there, before the slow part."""
    _fabric(training)


def learning_rate(training: Training, step: int) -> float:
    """Share of `lr` at a step: linear warm-up, then a cosine down to `final_lr`, or drops by it."""
    import math

    warm = min(1.0, (step + 1) / max(1, training.warmup_steps))
    if training.schedule == "drops":
        return warm * training.final_lr ** sum(step >= drop * training.steps for drop in training.drops)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / training.steps)))
    return warm * (training.final_lr + (1 - training.final_lr) * fall)


def _fabric(training: Training) -> Fabric:
    started = int(os.environ.get("WORLD_SIZE", training.processes))
    if started != training.processes:
        raise ConfigError(
            f"{started} processes were started, but `devices` times `nodes` of the training is {training.processes}."
        )
    precision = training.precision
    if precision == "auto":
        on_gpu = training.accelerator != "cpu" and torch.cuda.is_available()
        has_bf16 = torch.cuda.is_bf16_supported() if on_gpu else _cpu_has_bf16()
        precision = "bf16-mixed" if has_bf16 else "32-true"
    try:
        return Fabric(
            accelerator=training.accelerator,
            devices=training.devices,
            num_nodes=training.nodes,
            precision=precision,
        )
    # A device that is not there, a word Fabric does not know.
    except (MisconfigurationException, RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(f"Cannot train with accelerator `{training.accelerator}`: {error}") from None


def _cpu_has_bf16() -> bool:
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # not in every build of torch
    return supported is not None and supported()


def _describe(directory: Path, config: Any, device: torch.device) -> None:
    """Write what is run with what; a directory of another config is not continued."""
    if _check_config(directory, config):
        return
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    versions = {
        "cospeech": cospeech.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": f"{device.type}: {name}",
    }
    with replacing(directory / "versions.json") as temporary:
        temporary.write_text(json.dumps(versions, indent=2) + "\n")
    with replacing(directory / "config.json") as temporary:
        temporary.write_text(_as_text(config))


def _check_config(directory: Path, config: Any) -> bool:
    """Whether the directory holds a run; one with another config is an error."""
    path = directory / "config.json"
    if path.is_file() and path.read_text() != _as_text(config):
        raise ConfigError(f"{directory}: holds a run with another config. Choose another directory or remove it.")
    return path.is_file()


def _as_text(config: Any) -> str:
    return json.dumps(configs.to_dict(config), indent=2) + "\n"
