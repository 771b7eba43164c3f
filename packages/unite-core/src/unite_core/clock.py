"""Time spent in training, with what a resumed run had spent before."""

import time


class Clock:
    """Starts with the seconds `before`, the `fraction` and the `step` of a resumed run."""

    def __init__(self, before: float, fraction: float, step: int) -> None:
        self.before, self.start, self.fraction = before, time.monotonic(), fraction
        self.last_time, self.last_step = self.start, step

    def seconds(self) -> float:
        """Of the whole run so far."""
        return self.before + time.monotonic() - self.start

    def speed(self, step: int) -> float:
        """Updates per second since this was last asked."""
        now = time.monotonic()
        speed = (step - self.last_step) / max(now - self.last_time, 1e-9)
        self.last_time, self.last_step = now, step
        return speed

    def seconds_left(self, fraction: float) -> float:
        """At the pace so far."""
        pace = (time.monotonic() - self.start) / max(fraction - self.fraction, 1e-9)
        return max(0.0, pace * (1.0 - fraction))
