"""What is known of a model without loading it. Imports no torch."""

import json
from math import prod
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open

from unite_core.cli.sample_options import option_lines
from unite_core.errors import StorageError
from unite_core.locations import LOG, plugin_of, read_config

WEIGHTS, CARD = "model.safetensors", "README.md"


def facts(directory: Path) -> dict[str, Any]:
    """The model's make-up, its size, what it was trained on and what its samples can be asked for.

    StorageError where the files are not a model's.
    """
    plugin, weights = plugin_of(directory), directory / WEIGHTS
    return {
        "path": str(directory),
        **read_config(directory),
        "parameters": count_parameters(weights),
        "megabytes": round(weights.stat().st_size / 1e6, 2),
        "sample options": option_lines(plugin.sample_options),
    }


def count_parameters(path: Path) -> int:
    """Numbers in a safetensors file, by its header; StorageError where it is not one."""
    try:
        with safe_open(path, framework="np") as file:
            return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot read weights {path}: {error}") from error


def card(directory: Path) -> str:
    """The text of the model's card, without its metadata; empty where there is no card."""
    path = directory / CARD
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8")
    return text.split("\n---\n", 1)[1].strip() if text.startswith("---\n") else text.strip()


def last_figures(run: Path) -> dict[str, float]:
    """The last line of a run's log; empty where `run` has none."""
    path = run / LOG
    lines = path.read_text().splitlines() if path.is_file() else []
    return dict(json.loads(lines[-1])) if lines else {}


def as_text(values: dict[str, Any]) -> str:
    """The values as YAML, small lists and mappings on one line."""
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=100)
