"""Weights cut into shards, one for each process (FSDP), and whole tensors from shards and back."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from unite_core.layers import TransformerBlock
from unite_core.parameters import tag_adamw, tagged_adamw


def shard(module: nn.Module, device: torch.device, processes: int, reshard: bool) -> None:
    """Cuts the weights of `module` in place, block by block, and the rest together.

    A block's weights are gathered while it computes; without `reshard` they stay from the forward
    pass to the backward pass. Weights stay float32: autocast rounds them, and spares what decoders
    compute in float32.
    """
    tagged = {name for name, parameter in module.named_parameters() if tagged_adamw(parameter)}
    mesh = init_device_mesh(device.type, (processes,))
    module.to(device)
    for part in module.modules():
        if isinstance(part, TransformerBlock):
            fully_shard(part, mesh=mesh, reshard_after_forward=reshard)
    fully_shard(module, mesh=mesh)
    for name, parameter in module.named_parameters():  # which are new ones
        if name in tagged:
            tag_adamw(parameter)


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, put together where it is in shards: every process has to call this."""
    if not isinstance(tensor, DTensor):
        return tensor
    together: Tensor = tensor.full_tensor()
    return together


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, the same on all processes, cut as `like` is; itself where that is whole."""
    if not isinstance(like, DTensor):
        return tensor
    here = tensor.to(like.device)
    # no rank's values are sent to the others, which have them
    return distribute_tensor(here, like.device_mesh, like.placements, src_data_rank=None)


def gathered(tree: Any, keep: bool) -> Any:
    """A tree of dicts, lists and tuples with its tensors whole; shards' ones only where `keep`.

    Every process has to call this; they come to the CPU one by one, so that a device never holds
    all of them.
    """
    if isinstance(tree, dict):
        return {key: gathered(value, keep) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(gathered(value, keep) for value in tree)
    if not isinstance(tree, DTensor):
        return tree
    tensor = whole(tree)
    return tensor.cpu() if keep else None
