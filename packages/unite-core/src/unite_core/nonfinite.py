"""Updates whose loss, gradient or weights are not finite: what is kept of them, what is said."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from unite_core.errors import NonFiniteError
from unite_core.storage import writing

REPORT = "nonfinite.jsonl"
"""In a run's output: a line for each update that was not made."""


@dataclass(frozen=True)
class Numbers:
    """What each rank found before an update; `weights` is the norm of weights and average."""

    loss: Sequence[float]
    gradient_norm: Sequence[float]
    weights: Sequence[float]

    @property
    def finite(self) -> bool:
        """Whether the update can be made."""
        return all(map(isfinite, [*self.loss, *self.gradient_norm, *self.weights]))

    @property
    def weights_finite(self) -> bool:
        """Whether there is a state worth keeping."""
        return all(map(isfinite, self.weights))

    def describe(self) -> str:
        """Which of them are not finite, and on which ranks."""
        faults = [
            f"{name.replace('_', ' ')} {value} on rank {rank}"
            for name, values in vars(self).items()
            for rank, value in enumerate(values)
            if not isfinite(value)
        ]
        return ", ".join(faults)


def keep(output: Path, step: int, numbers: Numbers, samples: Sequence[int]) -> None:
    """A line of `output`/nonfinite.jsonl: the update's number, its samples and what was found."""
    texts = {name: [str(value) for value in values] for name, values in vars(numbers).items()}
    path = output / REPORT
    with writing(path), path.open("a") as file:
        file.write(json.dumps({"step": step, **texts, "samples": list(samples)}) + "\n")


def require_finite(sizes: Sequence[float], step: int) -> None:
    """NonFiniteError unless the norm of weights and average is a number on every rank."""
    bad = [f"rank {rank}" for rank, size in enumerate(sizes) if not isfinite(size)]
    if bad:
        raise NonFiniteError(
            f"weights or their average are not finite at step {step} on {', '.join(bad)}: no "
            "checkpoint is made of them; --resume auto goes on from the one before, with a lower "
            "learning rate"
        )
