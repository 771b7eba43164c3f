"""The exponential moving average of the weights, which samples and exports use."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from unite_core.sharding import whole


def ramped_decay(decay: float, updates: int) -> float:
    """min(decay, (1 + n) / (10 + n)) after n updates, so that short runs average too."""
    return min(decay, (1 + updates) / (10 + updates))


class Average(AveragedModel):
    """torch's average with tensors matched by name: copied e3nn modules list theirs anew.

    Buffers are copied; constants that only the copy has stay as they are. Of a model in
    FSDP's shards the average is whole.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        current = dict(model.named_parameters())
        own = dict(self.module.named_parameters())
        updates = int(self.n_averaged)
        weight = 1 - ramped_decay(self.decay, updates) if updates else 1.0
        torch._foreach_lerp_(list(own.values()), [whole(current[name]) for name in own], weight)
        buffers = dict(model.named_buffers())
        for name, buffer in self.module.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])
        self.n_averaged += 1


def averaged(model: nn.Module, decay: float) -> Average:
    """A copy in evaluation mode whose `update_parameters(model)` moves it towards the weights.

    The count of updates is in its state_dict.
    """
    average = Average(model, decay)
    average.eval().requires_grad_(False)
    return average
