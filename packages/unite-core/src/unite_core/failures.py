"""Failures of the machine under a run, told with the settings that help."""

import torch

from unite_core.config import RunConfig
from unite_core.errors import UniteError

NO_MEMORY = "DefaultCPUAllocator: can't allocate memory"
"""The CPU's allocator raises a plain RuntimeError."""

WORKER = "DataLoader worker"
"""How torch's message on a dead worker begins."""


def explain(error: Exception, config: RunConfig, step: int, processes: int) -> UniteError | None:
    """What to do about an error at `step` of a run, or None where the error speaks for itself."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or NO_MEMORY in str(error):
        return UniteError(f"out of memory at step {step}: {less_memory(config, processes)}")
    if config.training.workers and is_worker_death(error):
        return UniteError(
            f"a data worker died at step {step}, perhaps for lack of memory: use fewer "
            f"training.workers than {config.training.workers}, then --resume auto ({error})"
        )
    return None


def is_worker_death(error: Exception) -> bool:
    """Whether a data worker is gone: torch says so, or its connection does."""
    if "Caught" in str(error):  # torch's word for an error of the data set itself
        return False
    return isinstance(error, ConnectionError | EOFError) or str(error).startswith(WORKER)


def less_memory(config: RunConfig, processes: int) -> str:
    """What was held at once, and what to change: first what costs time alone."""
    training, objective = config.training, config.objective
    samples = training.batch_size // (training.accumulation * processes)
    draws = objective.draws if objective.chunk is None else min(objective.chunk, objective.draws)
    ways = [] if objective.activation_checkpointing else ["objective.activation_checkpointing=true"]
    ways += ["objective.chunk=1"] if draws > 1 else []
    ways += [f"training.accumulation={2 * training.accumulation}"] if samples % 2 == 0 else []
    ways += ["fewer objective.draws"] if objective.draws > 1 else []
    return (
        f"{samples} samples went through at once (training.batch_size {training.batch_size}, "
        f"accumulation {training.accumulation}, {processes} processes) with {draws} of "
        f"{objective.draws} flow draws; try {', '.join([*ways, 'a smaller training.batch_size'])}"
    )
