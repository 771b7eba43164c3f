"""Where prepared data is kept."""

import os
from pathlib import Path

from unite_core.errors import StorageError


def cache_root() -> Path:
    """UNITE_CACHE, or ~/.cache/unite."""
    chosen = os.environ.get("UNITE_CACHE")
    try:
        root = Path(chosen) if chosen else Path.home() / ".cache" / "unite"
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise StorageError(f"no place for the data cache ({error}): set UNITE_CACHE") from error
    return root.resolve()
