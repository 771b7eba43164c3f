"""The exponential moving average of the weights, which samples and exports use."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def ramped_decay(decay: float, updates: int) -> float:
    """min(decay, (1 + n) / (10 + n)) after n updates, so that short runs average too."""
    return min(decay, (1 + updates) / (10 + updates))


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy in evaluation mode whose `update_parameters(model)` moves it towards the weights.

    Buffers are copied, not averaged; the count of updates is in its state_dict.
    """
    average = AveragedModel(model, multi_avg_fn=_moving_average(decay), use_buffers=False)
    average.eval().requires_grad_(False)
    return average


def _moving_average(
    decay: float,
) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def update(average: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
        torch._foreach_lerp_(list(average), list(current), 1 - ramped_decay(decay, int(updates)))

    return update
