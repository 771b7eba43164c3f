"""Whether results can be written, found out before they are computed. Imports no torch."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from unite_core.errors import ConfigurationError, StorageError, nearest


def writes() -> bool:
    """Whether this process writes the results: the first of torchrun's, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def check_file(path: Path, suffixes: Sequence[str]) -> None:
    """ConfigurationError for an ending not in `suffixes`; StorageError where writing fails."""
    ending = path.suffix.lower()
    if ending not in suffixes:
        raise ConfigurationError(
            f"cannot write {path}: unknown ending {ending!r}{nearest(ending, suffixes)}"
        )
    if not writes():
        return
    there = path.exists()
    try:
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def check_directory(path: Path) -> None:
    """Makes the directory; StorageError where nothing can be written into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise StorageError(f"cannot write to output {path}: {error.strerror}") from error
