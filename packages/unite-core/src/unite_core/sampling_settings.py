"""How samples are drawn, checked before anything is loaded. Imports no torch."""

from dataclasses import dataclass, fields

from unite_core.config import Solver
from unite_core.errors import ConfigurationError


def check_strength(solver: Solver, strength: float | None) -> None:
    """ConfigurationError where a strength is given to a solver that draws no fresh noise."""
    if strength is not None and solver != "stochastic":
        raise ConfigurationError(
            f"strength {strength:g} is of the solver stochastic: {solver} draws no fresh noise"
        )


def check_levels(levels: int, steps: int) -> None:
    """ConfigurationError where a trajectory is to show more noise levels than it passes."""
    if levels > steps:
        raise ConfigurationError(f"{levels} levels need as many steps, not {steps}")


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn, as `UniteModel.generate` takes it. ConfigurationError."""

    steps: int = 50
    solver: Solver = "stochastic"
    seed: int = 0
    batch_size: int = 512
    guidance: float = 1.0
    temperature: float = 1.0
    strength: float | None = None
    rounds: int | None = None

    def __post_init__(self) -> None:
        check_strength(self.solver, self.strength)

    def chosen(self) -> list[str]:
        """The settings that are not as by default."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]
