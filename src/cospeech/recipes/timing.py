"""What work costs on this machine: floating-point operations and processor time."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def peaks_gflop() -> dict[str, float]:
    """Precision -> `peak_gflop`."""
    return {name: peak_gflop(dtype) for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16))}


def peak_gflop(dtype: torch.dtype, size: int = 2048) -> float:
    """GFLOP per CPU second of a product of two square matrices, the best of several."""
    a, b = torch.randn(2, size, size, dtype=torch.float32).to(dtype)
    return max(2 * size**3 / 1e9 / cpu_seconds(lambda: a @ b, 3) for _ in range(4))


def cpu_seconds(work: Callable[[], object], times: int = 1) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


@torch.inference_mode()
def counted(work: Callable[[], Tensor | None]) -> tuple[float, float, Tensor | None]:
    """GFLOP and CPU seconds of some work, counted and timed in runs of their own, and its result."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.mkldnn._linear_pointwise: _packed_flop}) as counter:
        result = work()
    return counter.get_total_flops() / 1e9, cpu_seconds(work), result


def _packed_flop(x: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
    return 2 * int(np.prod(x)) * weight[0]


def random_state(shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> dict[str, Tensor]:
    """A published state dict of random numbers, of the size that keeps activations near one."""
    state = {}
    for name, shape in shapes.items():
        tensor = torch.randn(shape, generator=generator) / max(1, np.prod(shape[1:])) ** 0.5
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            tensor = torch.ones(shape)
        state[name] = tensor
    return state
