"""Ways to compute a selective scan on a processor, and what they cost: why `cospeech.nn.ssm` does it in chunks.

    python -m cospeech.recipes.bench_scan

[1] Gu & Dao 2023, Mamba, arXiv:2312.00752, section 3.3
[2] Hillis & Steele 1986, Data parallel algorithms, doi 10.1145/7902.7903

Axes: T steps, B clips, E channels, N states; time comes first and channels last, but where it says otherwise.
"""

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor

from cospeech.nn.ssm import CHUNK, selective_scan
from cospeech.recipes.timing import cpu_seconds


def channels_first(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """All exponentials at once, steps in place, (B, T, E, N) as the definition has it."""
    decay = (delta[..., None] * a).exp_()
    states = (delta * x)[..., None] * b[:, :, None]
    for t in range(1, x.shape[1]):
        states[:, t].addcmul_(decay[:, t], states[:, t - 1])
    return (states @ c[..., None])[..., 0] + d * x


def all_at_once(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, width: int = 0) -> Tensor:
    """The same, channels last; with a `width`, so many channels at a time, which then stay in the nearest cache."""
    outputs = []
    of_time = [each.transpose(0, 1) for each in (x, delta, b, c)]
    width = width or x.shape[2]
    for x_, delta_, a_ in zip(of_time[0].split(width, 2), of_time[1].split(width, 2), a.split(width), strict=True):
        decay, states = _of_steps(x_, delta_, a_, of_time[2])
        for t in range(1, len(x_)):
            states[t].addcmul_(decay[t], states[t - 1])
        outputs.append((of_time[3][:, :, None] @ states)[:, :, 0])
    return torch.cat(outputs, dim=2).transpose(0, 1) + d * x


def doubling(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[2]: each round joins stretches twice as long; few operations one after another, but log T times the work."""
    x_, delta_, b_, c_ = (each.transpose(0, 1) for each in (x, delta, b, c))
    decay, states = _of_steps(x_, delta_, a, b_)
    reach = 1
    while reach < len(x_):
        states = torch.cat([states[:reach], states[reach:] + decay[reach:] * states[:-reach]])
        decay = torch.cat([decay[:reach], decay[reach:] * decay[:-reach]])
        reach *= 2
    return (c_[:, :, None] @ states)[:, :, 0].transpose(0, 1) + d * x


def two_levels(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, piece: int = 8) -> Tensor:
    """All pieces at once, step by step, then from piece to piece; T is a multiple of `piece`."""
    x_, delta_, b_, c_ = (each.transpose(0, 1) for each in (x, delta, b, c))
    decay, states = (each.unflatten(0, (-1, piece)) for each in _of_steps(x_, delta_, a, b_))
    for t in range(1, piece):
        states[:, t].addcmul_(decay[:, t], states[:, t - 1])
        decay[:, t].mul_(decay[:, t - 1])
    for i in range(1, len(states)):
        states[i].addcmul_(decay[i], states[i - 1, -1])
    return (c_[:, :, None] @ states.flatten(0, 1))[:, :, 0].transpose(0, 1) + d * x


def _of_steps(x: Tensor, delta: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return (delta[:, :, None] * a.mT.contiguous()).exp_(), (delta * x)[:, :, None] * b[..., None]


FORMS = {
    "loop: the definition, step by step": lambda *inputs: selective_scan(*inputs, form="loop").output,
    "exponentials at once, steps in place, states last": channels_first,
    "the same, channels last": all_at_once,
    "the same, 256 channels at a time": lambda *inputs: all_at_once(*inputs, width=256),
    "two levels, 8 steps each": two_levels,
    "doubling": doubling,
    f"chunks of {CHUNK} steps, channels last (used)": lambda *inputs: selective_scan(*inputs, form="chunks").output,
}


def main(batch: int = 1, length: int = 64, channels: int = 1536, states: int = 16) -> None:
    """Print the table.

    Args:
        batch: Clips at once.
        length: Steps.
        channels: Inner width of the layer.
        states: Numbers of state for each channel.
    """
    table = Table("form", "CPU ms", "of the loop", "differs from it by")
    costs = milliseconds(inputs(batch, length, channels, states))
    loop, _ = next(iter(costs.values()))
    for name, (ms, difference) in costs.items():
        table.add_row(name, f"{ms:.2f}", f"{ms / loop:.2f}", f"{difference:.0e}")
    print(f"batch {batch}, length {length}, channels {channels}, states {states}; {torch.get_num_threads()} threads")
    Console().print(table)


def inputs(batch: int, length: int, channels: int, states: int) -> list[Tensor]:
    """x, delta, a, b, c, d of `selective_scan`, as they are in a trained network's range."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, length, channels, generator=generator)
    delta = torch.rand(batch, length, channels, generator=generator) / 10
    b, c = (torch.randn(batch, length, states, generator=generator) for _ in range(2))
    return [x, delta, -torch.arange(1.0, states + 1).repeat(channels, 1), b, c, x[0, 0]]


@torch.inference_mode()
def milliseconds(of: list[Tensor], rounds: int = 12) -> dict[str, tuple[float, float]]:
    """Form -> CPU milliseconds, the best of several rounds in each of which all forms had their turn; difference."""
    reference = FORMS[next(iter(FORMS))](*of)
    best = dict.fromkeys(FORMS, float("inf"))
    for _ in range(rounds):
        for name, form in FORMS.items():
            best[name] = min(best[name], 1000 * cpu_seconds(lambda form=form: form(*of), 3))
    return {name: (best[name], (FORMS[name](*of) - reference).abs().max().item()) for name in FORMS}


if __name__ == "__main__":
    tyro.cli(main)
