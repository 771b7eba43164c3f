"""Where a model lies, by directory, run or shipped name. Imports no torch."""

import json
from pathlib import Path
from typing import Any

from unite_core.errors import StorageError
from unite_core.plugins import Plugin, working_plugins


def shipped_models() -> dict[str, Path]:
    """Every set of weights that a working plug-in carries, by name."""
    plugins = (plugin for _, plugin in working_plugins() if isinstance(plugin, Plugin))
    return {
        config.parent.name: config.parent
        for plugin in plugins
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
