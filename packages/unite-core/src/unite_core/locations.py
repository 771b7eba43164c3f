"""Where a model lies, by directory, run, shipped name or hub id. Imports no torch."""

import json
import re
from pathlib import Path
from typing import Any

from unite_core.errors import ConfigurationError, StorageError, nearest
from unite_core.plugins import Plugin, load_plugin, usable_plugins

LOG, COMMAND = "log.jsonl", "command.txt"
"""A run's log, and the commands that started and resumed it."""
MANIFEST = "manifest.json"
"""What makes a directory a checkpoint."""


def shipped_models() -> dict[str, Path]:
    """Every set of weights that a working plug-in carries, by name."""
    return {
        config.parent.name: config.parent
        for plugin in usable_plugins()
        for config in sorted(plugin.weights.glob("*/config.json"))
    }


def local_model(name: str) -> Path | None:
    """The directory of a run's model, of `save_pretrained`, or of shipped weights.

    None where there is none, so that `name` can only be a hub id; StorageError where there is a
    directory without a model.
    """
    path = Path(name)
    candidates = [path / "model", path, *filter(None, [shipped_models().get(name)])]
    for candidate in candidates:
        if (candidate / "config.json").is_file():
            return candidate
    if path.exists():
        raise StorageError(f"{path} holds no model: expected config.json and model.safetensors")
    return None


def find_model(name: str) -> Path:
    """The directory of a model that `local_model` finds, or of a hub id, downloaded.

    StorageError where it is neither.
    """
    found = local_model(name)
    if found is not None:
        return found
    missing = f"no model {name!r}: not a directory, nor shipped{nearest(name, shipped_models())}"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise StorageError(missing)
    # here, since most models are local
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name))
    except Exception as error:  # the hub's client raises its transport's errors as they are
        told = " ".join(str(error).split())
        raise StorageError(f"{missing}; nor on the hub: {told}") from error


def plugin_of(directory: Path) -> Plugin:
    """The plug-in that a model's config.json names; StorageError where there is none."""
    name = read_config(directory)["modality"]
    try:
        return load_plugin(name)
    except ConfigurationError as error:
        raise StorageError(f"cannot use the model in {directory}: {error}") from error


def read_config(directory: Path) -> dict[str, Any]:
    """The model's config.json; StorageError where it is not that."""
    path = directory / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    if not isinstance(config, dict) or "modality" not in config:
        raise StorageError(f"{path} is not a UNITE model's: it names no modality")
    return config
