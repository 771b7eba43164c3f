"""How a run goes on from a checkpoint: from which one, and only from its own kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torch.optim import Optimizer

from unite_core import checkpoint
from unite_core.errors import ConfigurationError, StorageError
from unite_core.sharding import shard_like

Resume = Literal["auto"] | Path | None
"""The newest checkpoint of the output that loads, if there is one; that of a path; a new run."""


def starting_checkpoint(folder: Path, resume: Resume) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint that a run with checkpoints in `folder` starts from; None for a new one.

    StorageError where it does not load; ConfigurationError where the run would overwrite `folder`'s
    own, or leave two histories there, which the next automatic resume would mix up.
    """
    if resume is None:
        if checkpoint.found(folder):
            raise ConfigurationError(
                f"{folder.parent} holds checkpoints: go on with --resume auto, "
                "or choose another --output"
            )
        return None
    newest = checkpoint.latest(folder)
    if resume == "auto":
        return newest
    state = checkpoint.load(resume)
    if newest is not None and checkpoint.step_of(newest[0]) > state["run"]["progress"]["step"]:
        raise ConfigurationError(
            f"{newest[0]} is later than {resume}: go on with --resume auto, "
            "or choose another --output"
        )
    return resume, state


def require_same_run(path: Path, then: Mapping[str, int], now: Mapping[str, int]) -> None:
    """ConfigurationError unless what decides a run's batches and noise is as it was."""
    for name, value in now.items():
        if then[name] != value:
            raise ConfigurationError(
                f"{path} was made with {name} {then[name]}, this run has {value}: resume with "
                f"{then[name]}, or start anew in another --output"
            )


def take_up(
    path: Path,
    state: Mapping[str, Any],
    model: nn.Module,
    average: nn.Module,
    optimizers: Sequence[Optimizer],
) -> None:
    """Copies a checkpoint's tensors; StorageError where it is of another model or optimizer."""
    try:
        for module, part in ((model, "model"), (average, "ema")):
            own = module.state_dict()
            require_same_tensors(path, state[part], own)
            module.load_state_dict({k: shard_like(state[part][k], own[k]) for k in own})
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            groups = optimizer.state_dict()["param_groups"]  # the rates are this run's
            cut = shards_of_state(saved, optimizer)
            optimizer.load_state_dict({"state": cut, "param_groups": groups})
    except (RuntimeError, ValueError, LookupError) as error:
        raise StorageError(f"{path} is of another model or optimizer: {error!r}") from error


def shards_of_state(saved: Mapping[int, Any], optimizer: Optimizer) -> dict[int, Any]:
    """An optimizer's state, by its parameters' numbers, each tensor cut as its parameter is."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        number: {
            name: shard_like(value, parameters[number])
            if value.shape == parameters[number].shape
            else value
            for name, value in values.items()
        }
        for number, values in saved.items()
    }


def require_same_tensors(path: Path, then: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> None:
    """StorageError with the first tensor that differs in name or shape, and how many more do."""
    told = difference(then, now)
    if told is not None:
        raise StorageError(
            f"{path} is of another model: {told}; "
            "resume with the settings that it was made with, or start anew in another --output"
        )


def difference(then: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> str | None:
    """The first tensor that differs in name or shape, and how many more do; None for the same."""
    old, new = ({name: list(t.shape) for name, t in tensors.items()} for tensors in (then, now))
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    if not names:
        return None
    first, more = names[0], len(names) - 1
    there, here = (sizes.get(first, "missing") for sizes in (old, new))
    others = f" and {more} more differ" if more else ""
    return f"{first} is {there} there, {here} here{others}"
