"""Tensors that FSDP cuts into pieces, one for each process: whole ones from pieces, and back."""

from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, put together where it is in pieces: every process has to call this."""
    if not isinstance(tensor, DTensor):
        return tensor
    together: Tensor = tensor.full_tensor()
    return together


def piece(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, the same on all processes, cut as `like` is; itself where that is whole."""
    if not isinstance(like, DTensor):
        return tensor
    here = tensor.to(like.device)
    # no rank's values are sent to the others, which have them
    return distribute_tensor(here, like.device_mesh, like.placements, src_data_rank=None)


def gathered(tree: Any, keep: bool) -> Any:
    """A tree of dicts and lists with its tensors whole; those in pieces stay only where `keep`.

    Every process has to call this; they come to the CPU one by one, so that a device never holds
    all of them.
    """
    if isinstance(tree, dict):
        return {key: gathered(value, keep) for key, value in tree.items()}
    if isinstance(tree, list):
        return [gathered(value, keep) for value in tree]
    if not isinstance(tree, DTensor):
        return tree
    tensor = whole(tree)
    return tensor.cpu() if keep else None
