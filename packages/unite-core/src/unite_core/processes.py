"""Work shared by the processes that torchrun starts, with the results on the first of them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

PATIENCE = timedelta(days=1)
"""How long the others wait while the first scores."""

PIECE = 1000
"""Items that a process sends at once, so that messages stay small."""


@dataclass(frozen=True)
class Team:
    """`size` processes that work together, this one being number `rank`; by default it is alone."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process gets the results, and alone shows and writes them."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Which of `count` items this process makes: every `size`-th one."""
        return range(self.rank, count, self.size)

    def gather(self, own: Sequence[Any], count: int) -> list[Any]:
        """All `count` items in order, of which `own` are this process's share.

        On the first process; the others get none. Every process has to call it.
        """
        if self.size == 1:
            return list(own)
        items: list[Any] = []
        for start in range(0, -(-count // self.size), PIECE):
            pieces: list[Any] = [None] * self.size
            piece = list(own[start : start + PIECE])
            distributed.gather_object(piece, pieces if self.first else None)
            if self.first:
                places = range(len(piece))
                items += [each[i] for i in places for each in pieces if i < len(each)]
        return items


ALONE = Team()


@contextmanager
def together() -> Iterator[Team]:
    """This process's team: torchrun's processes, each on a device of its own, or itself alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
