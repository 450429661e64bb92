"""Vector quantization: residual, with codebooks that follow a moving average of what they code, and plain.

[1] Zeghidour et al. 2021, SoundStream, arXiv:2107.03312, Algorithm 1
[2] van den Oord et al. 2017, VQ-VAE, arXiv:1711.00937, equation 3 and appendix A.1 (moving averages)
[3] Dhariwal et al. 2020, Jukebox, arXiv:2005.00341 (codes nobody uses are replaced)

Axes: B clips, S latent steps, D code width, Q stages, K codes per stage, N = B * S rows.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cospeech.errors import ConfigError

TRAINING_ONLY = ("sums", "counts", "initialised")  # buffers that a finished model does without


@dataclass(frozen=True)
class QuantizerConfig:
    code_dim: int = 512  # D
    num_codes: int = 512  # K
    num_stages: int = 6  # Q; 1 is a plain VQ-VAE
    decay: float = 0.99  # of the moving averages, per training step
    stage_dropout: float = 0.2  # probability that a training step stops after a random stage
    temperature: float = 0.5  # of the Gumbel noise on the choice of code in training; 0 takes the nearest
    min_uses: float = 1.0  # a code whose average uses per training step fall below this is replaced
    replace_with: Literal["random", "first"] = "random"  # rows of the batch; "first": as published
    # "per_stage", as published: every active stage passes the gradient straight through, so the encoder receives it
    # once per stage. "once": the gradient of the sum of codes, once.
    straight_through: Literal["once", "per_stage"] = "once"

    def __post_init__(self) -> None:
        for name in ("code_dim", "num_codes", "num_stages"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be positive, got {getattr(self, name)}.")
        for name in ("decay", "stage_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"`{name}` must be between 0 and 1, got {getattr(self, name)}.")
        if self.temperature < 0:
            raise ConfigError(f"`temperature` must not be negative, got {self.temperature}.")


class Quantized(NamedTuple):
    latents: Tensor  # (B, S, D) sum of the chosen codes, gradient passed straight through
    codes: Tensor  # (B, S, Q) int64, 0 <= code < K, or -1 where training skipped the stage
    loss: Tensor  # () commitment term of [2], mean over the active stages
    perplexity: Tensor  # () exp of the entropy of code use in this batch, mean over the active stages


class ResidualQuantizer(nn.Module):
    """Write x as a sum of Q codes, each coding what the stages before it left over."""

    codebooks: Tensor  # (Q, K, D)
    sums: Tensor  # (Q, K, D) moving average of the sum of the rows that chose each code
    counts: Tensor  # (Q, K) moving average of their number
    initialised: Tensor  # (Q,) bool; the first training step of a stage takes its codes from the batch

    def __init__(self, config: QuantizerConfig):
        super().__init__()
        self.config = config
        shape = (config.num_stages, config.num_codes, config.code_dim)
        self.register_buffer("codebooks", torch.zeros(shape))
        self.register_buffer("sums", torch.zeros(shape))
        self.register_buffer("counts", torch.ones(shape[:2]))
        self.register_buffer("initialised", torch.zeros(config.num_stages, dtype=torch.bool))
        self.register_load_state_dict_pre_hook(_start_averages)

    def forward(self, x: Tensor) -> Quantized:
        """Quantize (B, S, D). In training the choice is noisy, stages may be skipped, and the codebooks move on."""
        num_stages = self._draw_num_stages() if self.training else self.config.num_stages
        ready = self.initialised.tolist() if self.training else [True] * num_stages
        residual, total = x, torch.zeros_like(x)
        codes, losses, perplexities, inputs = [], [], [], []
        for stage in range(num_stages):
            if not ready[stage]:
                self._start_stage(stage, residual.detach().flatten(0, -2))
            codebook = self.codebooks[stage]  # (K, D)
            code = self._choose(residual.detach(), codebook)  # (B, S)
            chosen = codebook[code]  # (B, S, D)
            losses.append(F.mse_loss(residual, chosen))
            perplexities.append(_perplexity(code, self.config.num_codes))
            inputs.append(residual.detach())
            codes.append(code)
            residual, total = residual - chosen, total + chosen  # new tensors: x belongs to the caller
        if self.training:
            self._follow(codes, inputs)
        skipped = [torch.full_like(codes[0], -1)] * (self.config.num_stages - num_stages)
        scale = num_stages if self.config.straight_through == "per_stage" else 1
        return Quantized(
            latents=total + scale * (x - x.detach()),
            codes=torch.stack(codes + skipped, dim=-1),
            loss=torch.stack(losses).mean(),
            perplexity=torch.stack(perplexities).mean(),
        )

    def encode(self, x: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, Q) nearest codes of every stage, in training and evaluation alike."""
        codes, residual = [], x
        for codebook in self.codebooks:
            codes.append(_nearest(residual, codebook))
            residual = residual - codebook[codes[-1]]
        return torch.stack(codes, dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """(B, S, Q) codes -> (B, S, D) their sum. A code of -1 adds nothing."""
        total = self.codebooks.new_zeros((*codes.shape[:-1], self.config.code_dim))
        for codebook, code in zip(self.codebooks, codes.unbind(-1), strict=True):
            total = total + codebook[code.clamp(min=0)] * (code >= 0)[..., None]
        return total

    def _choose(self, rows: Tensor, codebook: Tensor) -> Tensor:
        if not self.training or self.config.temperature == 0:
            return _nearest(rows, codebook)
        logits = -_squared_distances(rows, codebook) / self.config.temperature
        gumbel = -torch.empty_like(logits).exponential_().log()
        return (logits + gumbel).argmax(dim=-1)

    def _draw_num_stages(self) -> int:
        drawn = self.config.num_stages
        if torch.rand(()) < self.config.stage_dropout:
            drawn = int(torch.randint(1, self.config.num_stages + 1, ()))
        return int(_of_first_rank(torch.tensor(drawn, device=self.codebooks.device)))

    @torch.no_grad()
    def _start_stage(self, stage: int, rows: Tensor) -> None:
        self.codebooks[stage] = self._candidates(rows)
        self.sums[stage] = self.codebooks[stage]
        self.counts[stage] = 1
        self.initialised[stage] = True

    @torch.no_grad()
    def _follow(self, codes: list[Tensor], inputs: list[Tensor]) -> None:
        """Move each active codebook towards the rows that chose its codes; replace codes that are hardly chosen."""
        config = self.config
        sums, counts = torch.zeros_like(self.sums), torch.zeros_like(self.counts)
        for stage, (code, rows) in enumerate(zip(codes, inputs, strict=True)):
            sums[stage].index_add_(0, code.flatten(), rows.flatten(0, -2).to(sums.dtype))
            counts[stage] = torch.bincount(code.flatten(), minlength=config.num_codes).to(counts.dtype)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)  # one step of the whole batch, whatever its split over devices
            torch.distributed.all_reduce(counts)
        for stage, rows in enumerate(inputs):
            self.sums[stage].lerp_(sums[stage], 1 - config.decay)
            self.counts[stage].lerp_(counts[stage], 1 - config.decay)
            used = (self.counts[stage] >= config.min_uses)[:, None]  # (K, 1)
            mean = self.sums[stage] / self.counts[stage].clamp(min=1e-8)[:, None]
            fresh = self._candidates(rows.flatten(0, -2))
            self.codebooks[stage] = torch.where(used, mean, fresh)
            if config.replace_with == "random":  # a new code starts its life as one that was just used enough;
                self.sums[stage] = torch.where(used, self.sums[stage], fresh * config.min_uses)  # the published
                self.counts[stage].clamp_(min=config.min_uses)  # averages remember the old one

    def _candidates(self, rows: Tensor) -> Tensor:
        """(N, D) -> (K, D) rows of the batch; when there are too few, repeated with a little noise."""
        num_codes, width = self.config.num_codes, self.config.code_dim
        if len(rows) < num_codes:
            rows = rows.repeat(-(-num_codes // len(rows)), 1)
            rows = rows + torch.randn_like(rows) * (0.01 / width**0.5)
        if self.config.replace_with == "random":
            rows = rows[torch.randperm(len(rows), device=rows.device)[:num_codes]]
        return _of_first_rank(rows[:num_codes].to(self.codebooks.dtype).contiguous())


class Coded(NamedTuple):
    latents: Tensor  # (B, S, D) vectors of the chosen codes, gradient passed straight through
    codes: Tensor  # (B, S) int64
    loss: Tensor  # () what draws codes to latents and, with as much weight, latents to codes: equation 3 of [2]
    perplexity: Tensor  # () codes in use, 1 to K


class Codebook(nn.Module):
    """Codes that are learned by gradient: the plain VQ-VAE of [2]."""

    def __init__(self, num_codes: int, code_dim: int):
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(num_codes, code_dim).uniform_(-1 / num_codes, 1 / num_codes))

    def forward(self, x: Tensor) -> Coded:
        """Quantize (B, S, D)."""
        codes = self.nearest(x)
        chosen = self.vectors[codes]
        loss = F.mse_loss(chosen, x.detach()) + F.mse_loss(x, chosen.detach())
        return Coded(x + (chosen - x).detach(), codes, loss, _perplexity(codes, len(self.vectors)))

    def nearest(self, x: Tensor) -> Tensor:
        """(..., D) -> (...) nearest codes."""
        return _nearest(x, self.vectors)


def _start_averages(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Before loading: codebooks without their averages (published, or saved for use only) start them anew."""
    codebooks = state.get(prefix + "codebooks")
    if codebooks is not None and prefix + "sums" not in state:
        state[prefix + "sums"] = codebooks.clone()
        state[prefix + "counts"] = codebooks.new_ones(codebooks.shape[:2])
        state[prefix + "initialised"] = torch.ones(len(codebooks), dtype=torch.bool, device=codebooks.device)


def _of_first_rank(tensor: Tensor) -> Tensor:
    """What the first of several devices has: choices that must be the same on all of them."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast(tensor, 0)
    return tensor


def _squared_distances(rows: Tensor, codebook: Tensor) -> Tensor:
    """(..., D), (K, D) -> (..., K), up to |row|^2, which is the same for every code."""
    return codebook.square().sum(dim=-1) - 2 * rows @ codebook.mT


def _nearest(rows: Tensor, codebook: Tensor) -> Tensor:
    return _squared_distances(rows, codebook).argmin(dim=-1)


def _perplexity(code: Tensor, num_codes: int) -> Tensor:
    use = torch.bincount(code.flatten(), minlength=num_codes) / code.numel()
    return torch.exp(-(use * torch.log(use + 1e-7)).sum())
