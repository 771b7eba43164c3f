"""What is counted between two lines of a log."""

from collections.abc import Iterator

import pytest
import torch
from unite_core.log_window import LogWindow


def slow(clock: list[float]) -> Iterator[str]:
    """Each batch takes three seconds."""
    while True:
        clock[0] += 3.0
        yield "batch"


def test_shares_are_of_updates_and_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    window, batches = LogWindow(), slow(clock)
    for clipped in (True, False, False, True):
        assert window.draw(batches) == "batch"
        clock[0] += 1.0
        window.count(torch.tensor(clipped))
    assert window.shares() == {"clipped": 0.5, "waiting_for_data": 0.75}
    window.restart()
    assert window.shares() == {"clipped": 0.0, "waiting_for_data": 0.0}
