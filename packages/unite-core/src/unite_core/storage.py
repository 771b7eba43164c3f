"""What the disk under a run refuses, told early and by name."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from unite_core.errors import StorageError


@contextmanager
def writing(what: object) -> Iterator[None]:
    """A failure to write inside is a StorageError that names `what`."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # a full disk is either, by who writes
        raise StorageError(f"cannot write {what}: {error}") from error


def bytes_to_keep(model: nn.Module, checkpoints: int) -> int:
    """The most that so many checkpoints of a run and its export take.

    A checkpoint has weights, average, and up to two moments of each; an export is written beside
    the one that it replaces.
    """
    weights: int = sum(tensor.nbytes for tensor in model.state_dict().values())
    return (4 * checkpoints + 2) * weights


def require_room(directory: Path, parts: Sequence[str], needed: int) -> None:
    """StorageError unless `needed` bytes are free, or held by the `parts` that they replace."""
    files = [path for part in parts for path in (directory / part).rglob("*") if path.is_file()]
    held = sum(path.stat().st_size for path in files)
    free = shutil.disk_usage(directory).free
    if held + free < needed:
        raise StorageError(
            f"{directory} needs room for {needed / 1e9:.3g} GB of checkpoints and weights, and its "
            f"disk has {free / 1e9:.3g} GB free: make room, keep fewer "
            "(training.keep_checkpoints), or choose another --output"
        )
