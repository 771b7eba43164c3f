"""Optimizers over tagged parameter groups, and the learning rate's schedule."""

import math
from collections.abc import Sequence

from torch import nn
from torch.optim import AdamW, Optimizer

from unite_core.config import AdamWConfig, MuonConfig
from unite_core.muon import StackedMuon
from unite_core.parameters import tagged_adamw


def warmup_cosine(step: int, warmup_steps: int, fraction: float, final_rate: float) -> float:
    """Factor on the learning rate for the update that follows `step` updates.

    Rises linearly over `warmup_steps`, times a cosine from 1 to `final_rate` over the `fraction` of
    the run that is done.
    """
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))
    return warmup * (final_rate + (1.0 - final_rate) * cosine)


def fraction_done(steps_done: int, steps: int, seconds: float, minutes: float | None) -> float:
    """Share of the run that is over, by updates or by time, whichever is further.

    With `minutes` the schedule follows the clock, so such a run does not repeat bit for bit.
    """
    by_steps = steps_done / steps
    return by_steps if minutes is None else max(by_steps, seconds / (60.0 * minutes))


def make_optimizers(model: nn.Module, config: AdamWConfig | MuonConfig) -> list[Optimizer]:
    """AdamW alone, or Muon (scale of arXiv 2502.16982) for untagged 2-D weights, else AdamW.

    Each parameter group keeps the configured rate as `initial_lr`.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizers: list[Optimizer]
    if isinstance(config, AdamWConfig):
        optimizers = [_adamw(trainable, config.learning_rate, config)]
    else:
        matrices = [p for p in trainable if p.ndim == 2 and not tagged_adamw(p)]
        rest = [p for p in trainable if p.ndim != 2 or tagged_adamw(p)]
        optimizers = [_muon(matrices, config)] if matrices else []
        optimizers += [_adamw(rest, config.adamw_learning_rate, config)] if rest else []
    _assert_partition(optimizers, trainable)
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["initial_lr"] = group["lr"]
    return optimizers


def set_rates(optimizers: Sequence[Optimizer], factor: float) -> None:
    """Every group's rate becomes its configured one times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


def _adamw(
    parameters: list[nn.Parameter], rate: float, config: AdamWConfig | MuonConfig
) -> Optimizer:
    return AdamW(
        parameters, lr=rate, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )


def _muon(parameters: list[nn.Parameter], config: MuonConfig) -> Optimizer:
    return StackedMuon(
        parameters,
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )


def _assert_partition(optimizers: Sequence[Optimizer], trainable: Sequence[nn.Parameter]) -> None:
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert len(held) == len(set(held)), "a parameter is in two optimizer groups"
    assert set(held) == {id(p) for p in trainable}, "optimizer groups must cover the model"
