"""Selective state spaces: a recurrence over time whose step sizes and projections are read from the input.

[1] Gu & Dao 2023, Mamba, arXiv:2312.00752: algorithm 2 (the selective scan), section 3.4 and appendix D (the layer)

Axes: B clips, T steps, W width of the layer's input, E inner channels, N numbers of state per channel.
"""

import math
import warnings
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.errors import CospeechWarning

CHUNK = 16  # steps whose states are held at a time: few enough to stay near the processor
Form = Literal["auto", "loop", "chunks", "kernel"]


class Scanned(NamedTuple):
    output: Tensor  # (B, T, E)
    state: Tensor  # (B, E, N) after the last step


def selective_scan(
    x: Tensor,
    delta: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    d: Tensor,
    state: Tensor | None = None,
    form: Form = "auto",
) -> Scanned:
    """y_t = c_t s_t + d x_t, where s_t = exp(delta_t a) s_(t-1) + delta_t b_t x_t: algorithm 2 of [1].

    All forms give the same numbers, up to rounding, and gradients for every input.

    Args:
        x: (B, T, E) input.
        delta: (B, T, E) step sizes, positive.
        a: (E, N) decays, negative.
        b, c: (B, T, N) into and out of the state.
        d: (E,) what passes by the state.
        state: (B, E, N) after the step before the first; None: zeros. What comes in pieces, each with the state after
            the piece before it, comes out as it would in one.
        form: "loop", the definition, step by step; "chunks", quick with nothing but PyTorch, in memory that does not
            grow; "kernel", of the package mamba-ssm, on CUDA; "auto", the kernel where there is one and no state comes
            in, else chunks, or of one step the loop.
    """
    if form == "auto":
        form = "kernel" if x.is_cuda and state is None and _kernel() is not None else "chunks"
        form = "loop" if x.shape[1] == 1 else form
    if form == "kernel":
        if state is not None:
            raise ValueError("The kernel starts without a state.")
        time_last = [tensor.mT.contiguous() for tensor in (x, delta, b, c)]
        output, state = _kernel()(*time_last[:2], a, *time_last[2:], d, return_last_state=True)
        return Scanned(output.mT, state)
    if state is None:
        state = x.new_zeros(len(x), *a.shape)
    if x.shape[1] == 0:
        return Scanned(x, state)
    if form == "loop":
        return _loop(x, delta, a, b, c, d, state)
    return Scanned(*_Chunks.apply(x, delta, a, b, c, d, state))


def _loop(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, state: Tensor) -> Scanned:
    outputs = []
    for t in range(x.shape[1]):
        step = delta[:, t, :, None]  # (B, E, 1)
        state = (step * a).exp() * state + step * b[:, t, None] * x[:, t, :, None]
        outputs.append((state * c[:, t, None]).sum(dim=-1) + d * x[:, t])
    return Scanned(torch.stack(outputs, dim=1), state)


class _Chunks(torch.autograd.Function):
    """Everything but the recurrence itself for `CHUNK` steps at once, time first and channels last, in place.

    The states of a chunk are made anew for its gradients: what stays in memory is one state for each chunk.
    """

    @staticmethod
    def forward(ctx: Any, x, delta, a, b, c, d, state):  # type: ignore[override]
        state, rates = state.mT.contiguous(), a.mT.contiguous()  # (B, N, E), (N, E)
        before, outputs = [], []
        room = x.new_empty(2, min(CHUNK, x.shape[1]), *state.shape)  # for all chunks: fresh memory is slow
        for x_, delta_, b_, c_ in _pieces(x, delta, b, c):
            if any(ctx.needs_input_grad):
                before.append(state)
            _, states = _run(x_, delta_, rates, b_, state, room)
            outputs.append((c_[:, :, None] @ states)[:, :, 0])  # (T, B, E)
            state = states[-1].clone()
        ctx.save_for_backward(x, delta, a, b, c, d, *before)
        return torch.addcmul(torch.cat(outputs).transpose(0, 1), d, x), state.mT.contiguous()

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor):  # type: ignore[override]
        x, delta, a, b, c, d, *before = ctx.saved_tensors
        rates, carried = a.mT.contiguous(), grad_state.mT  # (N, E), (B, N, E)
        grad_rates = torch.zeros_like(rates)
        grads = []  # of x, delta, b, c, last chunk first
        pieces = list(_pieces(x, delta, b, c, grad_y))
        for (x_, delta_, b_, c_, grad), first in zip(reversed(pieces), reversed(before), strict=True):
            decay, states = _run(x_, delta_, rates, b_, first)
            of_states = c_[..., None] * grad[:, :, None]  # (T, B, N, E)
            of_states[-1] += carried
            for t in range(len(x_) - 1, 0, -1):
                of_states[t - 1].addcmul_(decay[t], of_states[t])
            carried = decay[0] * of_states[0]
            previous = torch.cat([first[None], states[:-1]])
            of_exponent = of_states * previous * decay  # of delta a
            grad_rates += (of_exponent * delta_[:, :, None]).sum(dim=(0, 1))
            of_drive = (of_states * b_[..., None]).sum(dim=2)  # of delta x, (T, B, E)
            grads.append(
                (
                    of_drive * delta_,
                    of_drive * x_ + (of_exponent * rates).sum(dim=2),
                    (of_states @ (delta_ * x_)[..., None])[..., 0],
                    (states @ grad[..., None])[..., 0],
                )
            )
        grad_x, grad_delta, grad_b, grad_c = (
            torch.cat(each[::-1]).transpose(0, 1) for each in zip(*grads, strict=True)
        )
        return grad_x + d * grad_y, grad_delta, grad_rates.mT, grad_b, grad_c, (x * grad_y).sum(dim=(0, 1)), carried.mT


def _pieces(*tensors: Tensor):
    """(B, T, any) tensors -> (at most `CHUNK`, B, any) pieces of all of them."""
    return zip(*(tensor.transpose(0, 1).split(CHUNK) for tensor in tensors), strict=True)


def _run(
    x: Tensor, delta: Tensor, rates: Tensor, b: Tensor, state: Tensor, room: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Decays and states of a chunk, (T, B, N, E) each.

    Args:
        rates: (N, E) the decays.
        room: (2, at least T, B, N, E) where both may be written.
    """
    room = x.new_empty(2, len(x), *state.shape) if room is None else room[:, : len(x)]
    decay = torch.mul(delta[:, :, None], rates, out=room[0]).exp_()
    states = torch.mul((delta * x)[:, :, None], b[..., None], out=room[1])
    for each_decay, each in zip(decay.unbind(), states.unbind(), strict=True):
        state = each.addcmul_(each_decay, state)
    return decay, states


@cache
def _kernel():
    """The scan of mamba-ssm, None where it is not installed or does not load."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

        one = torch.ones(1, 1, 1, device="cuda" if torch.cuda.is_available() else "cpu")
        selective_scan_fn(
            one, one, -one[0], one, one, one[0, 0], return_last_state=True
        )  # it may not be for this device
        return selective_scan_fn
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "mamba_ssm":
            return None
        reason: Exception = error
    except (ImportError, OSError, RuntimeError) as error:
        reason = error
    message = f"mamba-ssm is installed but does not load ({str(reason).splitlines()[0]}): PyTorch does its work."
    warnings.warn(CospeechWarning(message), stacklevel=4)
    return None


class MambaState(NamedTuple):
    """What a layer remembers between two pieces of one sequence."""

    convolved: Tensor  # (B, KERNEL - 1, E) the last inputs of its convolution
    scanned: Tensor  # (B, E, N)


class Mamba(nn.Module):
    """One layer of [1]: a short causal convolution, a selective scan, and a gate."""

    KERNEL = 4
    EXPAND = 2

    def __init__(self, width: int, num_states: int = 16):
        super().__init__()
        self.num_states = num_states  # N
        inner, self.rank = self.EXPAND * width, math.ceil(width / 16)
        self.widen = nn.Linear(width, 2 * inner, bias=False)  # input, gate
        self.convolution = nn.Conv1d(inner, inner, self.KERNEL, groups=inner)
        self.select = nn.Linear(inner, self.rank + 2 * num_states, bias=False)  # step size, into the state, out of it
        self.step = nn.Linear(self.rank, inner)
        self.log_decay = nn.Parameter(torch.arange(1.0, num_states + 1).log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))
        self.narrow = nn.Linear(inner, width, bias=False)
        self._start_steps()

    @torch.no_grad()
    def _start_steps(self) -> None:
        """Step sizes between 0.001 and 0.1, evenly on a logarithmic scale: section 3.6 of [1]."""
        nn.init.uniform_(self.step.weight, -(self.rank**-0.5), self.rank**-0.5)
        size = torch.empty(self.step.out_features).uniform_(math.log(1e-3), math.log(0.1)).exp().clamp(min=1e-4)
        self.step.bias.copy_(size + (-torch.expm1(-size)).log())  # inverse of softplus

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, W)."""
        return self.piece(x)[0]

    def piece(self, x: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """The same of a piece of a sequence, and the state to give with the piece that follows."""
        x, gate = self.widen(x).chunk(2, dim=-1)  # (B, T, E) each
        zeros = x.new_zeros(len(x), self.KERNEL - 1, x.shape[-1])
        heard = torch.cat([zeros if state is None else state.convolved, x], dim=1)
        x = F.silu(self._convolve(heard))
        step, into, out = self.select(x).split([self.rank, self.num_states, self.num_states], dim=-1)
        delta = F.softplus(self.step(step))
        scanned = None if state is None else state.scanned
        y, scanned = selective_scan(x, delta, -self.log_decay.exp(), into, out, self.skip, scanned)
        return self.narrow(y * F.silu(gate)), MambaState(heard[:, -(self.KERNEL - 1) :], scanned)

    def _convolve(self, x: Tensor) -> Tensor:
        """(B, T + KERNEL - 1, E) -> (B, T, E): a weighted sum of the last steps, quicker than a convolution."""
        count = x.shape[1] - self.KERNEL + 1
        y = self.convolution.bias.expand(len(x), count, -1)
        for i in range(self.KERNEL):
            y = torch.addcmul(y, x[:, i : i + count], self.convolution.weight[:, 0, i])
        return y
