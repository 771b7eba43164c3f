"""Time spent in training."""

import pytest
from unite_core import clock
from unite_core.clock import Clock


def test_a_resumed_clock_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    resumed = Clock(before=50.0, fraction=0.5, step=100)
    now[0] += 10.0
    assert resumed.seconds() == 60.0
    assert resumed.speed(120) == 2.0
    assert resumed.seconds_left(0.6) == pytest.approx(40.0)
    now[0] += 5.0
    assert resumed.speed(125) == 1.0
