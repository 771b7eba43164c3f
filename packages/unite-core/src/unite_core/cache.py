"""Where prepared data is kept, and how it gets there whole."""

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock

from unite_core.errors import StorageError

logger = logging.getLogger(__name__)


def cache_root() -> Path:
    """UNITE_CACHE, or ~/.cache/unite."""
    chosen = os.environ.get("UNITE_CACHE")
    try:
        root = Path(chosen) if chosen else Path.home() / ".cache" / "unite"
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise StorageError(f"no place for the data cache ({error}): set UNITE_CACHE") from error
    return root.resolve()


def prepared(name: str, fill: Callable[[Path], None]) -> Path:
    """The cache's directory `name`; where it is missing, one process has `fill` write what goes
    into it, while others wait. StorageError where it cannot be written, and `fill`'s own errors.
    """
    place = cache_root() / name
    if not place.exists():
        with hold(place):
            if not place.exists():
                build(place, fill)
    return place


def hold(place: Path) -> AbstractContextManager[object]:
    """Waits until no other process is inside; of one that is killed the system lets go."""
    try:
        return FileLock(place.with_name(f"{place.name}.lock")).acquire()
    except OSError as error:
        raise StorageError(
            f"cannot write to the data cache {place.parent} ({error}): set UNITE_CACHE"
        ) from error


def build(place: Path, fill: Callable[[Path], None]) -> None:
    """Fills a directory beside `place`, then renames it: one of that name is always whole."""
    # a minute or more without a word would look like a fault
    logger.warning("preparing %s in %s, this once", place.name, place.parent)
    temporary = place.with_name(f".{place.name}-{os.getpid()}")
    try:
        for litter in place.parent.glob(f".{place.name}-*"):
            shutil.rmtree(litter)  # a killed builder's; nobody else builds while we hold the lock
        temporary.mkdir()
        fill(temporary)
        temporary.rename(place)
    except OSError as error:
        raise StorageError(f"could not write the data cache in {place.parent}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
