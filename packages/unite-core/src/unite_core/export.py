"""The averaged weights of a run, as the directory that `load_model` reads."""

import os
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from unite_core.storage import writing


def export(model: Any, directory: Path) -> None:
    """`model.save_pretrained(directory)`; a process killed at any moment leaves a whole model.

    Files are replaced one by one, which mixes nothing: over a run only the weights change.
    StorageError where the disk refuses.
    """
    for litter in directory.parent.glob(".tmp-model-*"):
        shutil.rmtree(litter)
    fresh = directory.with_name(f".tmp-model-{uuid4().hex}")
    try:
        with writing(directory):
            model.save_pretrained(fresh)
            if directory.exists():
                for path in fresh.iterdir():
                    os.replace(path, directory / path.name)
            else:
                fresh.rename(directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
