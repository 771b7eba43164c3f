"""Independent pieces of work, several at once on a CPU."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def spread(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], device: torch.device, compiled: bool
) -> Iterator[Result]:
    """`work(piece)` of all pieces in order, without gradients.

    Small matrices gain little from a second thread, so on CPUs as many pieces are worked on at a
    time as torch has threads, each by one; not where they run `compiled` code, which keeps the
    interpreter to itself. Autocast is a thread's own: `work` has to ask for it.
    """
    threads = torch.get_num_threads()
    quiet = torch.no_grad()(work)
    if device.type != "cpu" or compiled or len(pieces) < 2:
        yield from map(quiet, pieces)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(quiet, pieces)
    finally:
        torch.set_num_threads(threads)
