"""What a run's weights and their gradients say of its health."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unite_core.config import ObjectiveConfig, TrainingConfig
from unite_core.ema import ramped_decay
from unite_core.health import Finding, advised, judge, judge_lesser, ratio
from unite_core.model import UniteModel
from unite_core.objective import JointObjective
from unite_core.types import Batch, Latents, Layout

LAG = (1.5, 3.0)
"""The average's reconstruction loss over the weights', from which to watch it, and is ill."""


class SplitObjective(JointObjective):
    """Keeps the flow loss apart, with its graph."""

    flow: Tensor

    def flow_loss(self, target: Latents, layout: Layout) -> Tensor:
        self.flow = super().flow_loss(target, layout)
        return self.flow


@dataclass(frozen=True)
class AverageLag:
    """How far the average is from the weights: relative distance, and both's reconstruction loss on
    the same samples and noise. `updates` went into it.
    """

    updates: int
    distance: float
    loss: float
    loss_of_weights: float


def gradient_norms(
    model: UniteModel, config: ObjectiveConfig, batch: Batch, seed: int
) -> tuple[float, float] | None:
    """Norms of the gradients that reconstruction and weighted flow give the shared encoder.

    None where they share none.
    """
    if model.denoiser is not None:
        return None
    torch.manual_seed(seed)
    objective = SplitObjective(model, config)
    total = objective(batch.to(model.device)).total
    flow = config.flow_weight * objective.flow
    parameters: list[Tensor] = [each for each in model.encoder.parameters() if each.requires_grad]
    sizes = [gradient_norm(loss, parameters) for loss in (total - flow, flow)]
    return sizes[0], sizes[1]


def gradient_norm(loss: Tensor, parameters: list[Tensor]) -> float:
    """Norm of the gradient of a loss, whose graph stays, by all parameters that it reaches."""
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return float(torch.nn.utils.get_total_norm([g for g in gradients if g is not None]))


def gradient_balance(norms: tuple[float, float] | None) -> list[Finding]:
    """Which of the two losses moves the encoder."""
    if norms is None:
        return []
    reconstruction, flow = norms
    share = ratio(flow, reconstruction + flow)
    text = (
        f"{share:.1%} of the shared encoder's gradient is flow ({flow:.2g} to {reconstruction:.2g})"
    )
    heavier = "lower" if share > 0.5 else "raise"
    advice = f"the other loss hardly moves the encoder: {heavier} objective.flow_weight"
    return [advised(judge_lesser(share), "balance of gradients", text, advice)]


@torch.no_grad()
def average_lag(
    average: UniteModel,
    weights: UniteModel,
    updates: int,
    config: ObjectiveConfig,
    batch: Batch,
    seed: int,
) -> AverageLag:
    """Compares an averaged model with the one it was made of."""
    losses = []
    for model in (average, weights):
        torch.manual_seed(seed)
        terms: Mapping[str, Any] = JointObjective(model, config)(batch.to(model.device)).terms
        losses.append(float(terms["reconstruction"]))
    live = dict(weights.named_parameters())
    apart = [parameter - live[name] for name, parameter in average.named_parameters()]
    size = torch.nn.utils.get_total_norm(live.values())
    distance = float(torch.nn.utils.get_total_norm(apart) / size)
    return AverageLag(updates, distance, *losses)


def average_finding(lag: AverageLag, step: int, training: TrainingConfig) -> Finding:
    """Whether the average follows the weights, and is no worse than they."""
    memory = 1 / (1 - ramped_decay(training.ema_decay, lag.updates))
    worse = ratio(lag.loss, lag.loss_of_weights)
    found = (
        f"it remembers {memory:.0f} of {step} updates, is {lag.distance:.2%} away from the "
        f"weights, and its reconstruction loss is {worse:.2g} times theirs"
    )
    if lag.updates < step / 2:
        advice = "resume from an earlier checkpoint, whose average is whole"
        return Finding("ill", "average", f"only {lag.updates} of {step} updates reached it", advice)
    advice = "train longer, or lower training.ema_decay: samples and exports use the average"
    return advised(judge(worse, LAG), "average", found, advice)
