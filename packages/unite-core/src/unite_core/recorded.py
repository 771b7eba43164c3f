"""Training passes whose kernels a GPU records once, as CUDA graphs, and then replays."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from unite_core.errors import ConfigurationError
from unite_core.layers import unseen_masks
from unite_core.types import Losses

WARM_UP = 2
"""Passes of each kind of batch ahead of its recording: they compile, and choose kernels."""

Pass = Callable[[Any], Losses]
Kind = tuple[tuple[torch.Size, torch.dtype] | None, ...]


def tensors_of(batch: Any) -> list[Tensor | None]:
    """A batch's fields; ConfigurationError unless it is a dataclass of tensors, or None for some.

    No other batch says which memory to copy where.
    """
    values = [getattr(batch, f.name) for f in fields(batch)] if is_dataclass(batch) else [batch]
    if not all(value is None or isinstance(value, Tensor) for value in values):
        raise ConfigurationError(
            f"training.cuda_graphs needs batches that are dataclasses of tensors, and "
            f"{type(batch).__name__} is none: set training.cuda_graphs=false"
        )
    return values


def kind_of(batch: Any) -> Kind:
    """Batches of one kind share a recording: all their tensors have the same shapes and types."""
    return tuple(None if x is None else (x.shape, x.dtype) for x in tensors_of(batch))


class Recording:
    """A pass over batches of one kind: its graph, the memory it reads, the losses it leaves."""

    def __init__(self, work: Pass, batch: Any, stream: torch.cuda.Stream, pool: Any) -> None:
        self.inputs = batch
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=pool, stream=stream), unseen_masks():
            losses = work(batch)
            self.names = list(losses.terms)
            self.values = torch.stack([losses.total.detach(), *losses.terms.values()])

    def replay(self, batch: Any) -> Losses:
        """The pass over another batch."""
        for own, given in zip(tensors_of(self.inputs), tensors_of(batch), strict=True):
            if own is not None and given is not None:
                own.copy_(given, non_blocking=True)
        self.graph.replay()
        total, *terms = self.values.clone().unbind()  # the next replay overwrites them
        return Losses(total, dict(zip(self.names, terms, strict=True)))


class RecordedPass:
    """`work`, a forward and a backward pass, for which Python is waited for a few times only.

    It adds gradients to those that there are, which must stay where they are: zero them in place.
    Seeds of torch's generators are followed, other values of the host are those of the recording.
    """

    def __init__(self, work: Pass, device: torch.device) -> None:
        self.work, self.device = work, device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()
        self.calls: Counter[Kind] = Counter()
        self.recordings: dict[Kind, Recording] = {}

    def __call__(self, batch: Any) -> Losses:
        kind = kind_of(batch)
        self.calls[kind] += 1
        if self.calls[kind] <= WARM_UP:
            return self.as_written(batch)
        if kind not in self.recordings:
            self.recordings[kind] = self.record(batch)
        return self.recordings[kind].replay(batch)

    def record(self, batch: Any) -> Recording:
        """ConfigurationError for a pass that cannot be recorded: one that waits for the GPU."""
        try:
            return Recording(self.work, batch.to(self.device), self.stream, self.pool)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ConfigurationError(
                "the training pass cannot be recorded: does it bring a tensor from the host, or "
                f"look at one's values? set training.cuda_graphs=false ({error})"
            ) from error

    def as_written(self, batch: Any) -> Losses:
        """The pass itself, on the stream that records, where it leaves what recording needs."""
        here = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream), unseen_masks():
            losses = self.work(batch.to(self.device))
        here.wait_stream(self.stream)
        return Losses(losses.total.detach(), losses.terms)
