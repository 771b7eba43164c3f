"""What happened since the last line of a run's log."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


class LogWindow:
    """Counts the updates whose gradient was clipped, and the time that was waited for batches.

    The count stays on the gradient's device until it is asked for.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Counts anew."""
        self.start = time.monotonic()
        self.waited, self.updates = 0.0, 0
        self.clipped = torch.zeros(())

    def draw(self, batches: Iterator[Any]) -> Any:
        """The next batch."""
        asked = time.monotonic()
        batch = next(batches)
        self.waited += time.monotonic() - asked
        return batch

    def count(self, clipped: Tensor) -> None:
        """One update more; `clipped` [] says whether its gradient was."""
        self.updates += 1
        self.clipped = self.clipped + clipped

    def shares(self) -> dict[str, float]:
        """Of updates that were `clipped` and of time spent `waiting_for_data`, so far."""
        return {
            "clipped": float(self.clipped) / max(self.updates, 1),
            "waiting_for_data": self.waited / max(time.monotonic() - self.start, 1e-9),
        }
