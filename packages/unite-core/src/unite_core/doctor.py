"""Examines a run: reads what it left, looks at its latents and weights, writes a page on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from unite_core import checkpoint
from unite_core.config import EncoderConfig, RunConfig
from unite_core.errors import ConfigurationError, DataError, StorageError, UniteError
from unite_core.evaluation import open_on_device, versions
from unite_core.health import Finding, Shipped, read_health
from unite_core.health_pictures import latents_svg, training_svg
from unite_core.latent_health import LatentStatistics, latent_findings, look_at_latents
from unite_core.locations import LOG, read_config
from unite_core.model import UniteModel
from unite_core.nonfinite import REPORT
from unite_core.page import embedded, template
from unite_core.plugins import load_plugin
from unite_core.recipes import run_config
from unite_core.run_log import CONFIG
from unite_core.storage import writing
from unite_core.types import Batch
from unite_core.weight_health import (
    average_finding,
    average_lag,
    gradient_balance,
    gradient_norms,
)

JUDGED = ("step", "loss", "reconstruction", "flow", "gradient_norm", "learning_rate")
"""What a line of the log must have for a judgement."""

FEWEST_SAMPLES = 4
"""Samples whose latents can be compared."""

MOST_NAMED = 3
"""Settings named where a run differs from a shipped one in more."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Diagnosis:
    """What was found on a run, with pictures as heading -> SVG."""

    run: Path
    findings: list[Finding]
    pictures: dict[str, str]
    versions: dict[str, str]


def examine(run: Path, count: int, seed: int) -> Diagnosis:
    """Judges the run in a directory by its log and by up to `count` held-out samples.

    DataError where it has no log that can be read, ConfigurationError where its configuration is
    not valid.
    """
    rows, cut = read_lines(run / LOG)
    config = read_run_config(run / CONFIG)
    refused = read_lines(run / REPORT)[0] if (run / REPORT).is_file() else []
    log, shipped = [row for row in rows if whole(row)], nearest_shipped(config)
    findings = cut_short(cut)
    findings += read_health(log, config.objective, config.training, refused, shipped)
    inside, latents = look_inside(run, config, count, seed, rows[-1]["step"] if rows else 0)
    pictures = {} if not log else {course(shipped): embedded(training_svg(log, shipped))}
    if latents is not None:
        pictures["Latents"] = embedded(latents_svg(latents))
    return Diagnosis(run, findings + inside, pictures, versions(load_plugin(config.modality)))


def read_run_config(path: Path) -> RunConfig:
    """The configuration that a run was started with; ConfigurationError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    return run_config(values)


def read_lines(path: Path) -> tuple[list[Row], bool]:
    """The JSON objects in the lines of a file, and whether a last one that is cut short was left
    out. DataError where the file is not that.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read {path}: {error}; give the output of `unite train`, once it has logged"
        ) from error
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or "step" not in row:
                raise ValueError("it has no step")
            rows.append(row)
        except ValueError as error:
            if number == len(lines):
                return rows, True
            raise DataError(f"line {number} of {path} is no line of a log: {error}") from error
    return rows, False


def whole(row: Row) -> bool:
    """Whether a line has every value that is judged, as a finite number."""
    values = [row.get(name) for name in JUDGED]
    return all(isinstance(value, int | float) and isfinite(value) for value in values)


def cut_short(cut: bool) -> list[Finding]:
    """A word on a last line that was left out."""
    if not cut:
        return []
    advice = "as while a run writes it; else it was killed, or its disk was full"
    return [Finding("watch", "log", "its last line is cut short and was left out", advice)]


def course(shipped: Shipped | None) -> str:
    """The heading of the curves."""
    return "Training" if shipped is None else f"Training, beside {shipped.name} in grey"


def nearest_shipped(config: RunConfig) -> Shipped | None:
    """Of the weights that the run's modality ships with a log, those trained most like it."""
    plugin = load_plugin(config.modality)
    mine = settings({"data": config.data, "encoder": config.encoder.model_dump(mode="json")})
    found = []
    for path in sorted(plugin.weights.glob(f"*/{LOG}")):
        known = read_config(path.parent)
        data = plugin.config.model_validate(known["data"]).model_dump(mode="json")
        encoder = EncoderConfig.model_validate(known["encoder"]).model_dump(mode="json")
        theirs = settings({"data": data, "encoder": encoder})
        keys = sorted(mine.keys() | theirs.keys())
        differing = [key for key in keys if mine.get(key) != theirs.get(key)]
        log = [row for row in read_lines(path)[0] if whole(row)]
        if log:
            found.append((len(differing), Shipped(path.parent.name, log, shortened(differing))))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings as a.b -> value."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        inner = settings(value, f"{prefix}{key}.") if isinstance(value, Mapping) else None
        leaves |= {prefix + key: value} if inner is None else inner
    return leaves


def shortened(names: list[str]) -> list[str]:
    """The first of them, and how many more."""
    more = len(names) - MOST_NAMED
    return names if more <= 0 else [*names[:MOST_NAMED], f"{more} more settings"]


def look_inside(
    run: Path, config: RunConfig, count: int, seed: int, step: int
) -> tuple[list[Finding], LatentStatistics | None]:
    """What the newest weights make of held-out samples; the run is at `step`."""
    warm = config.training.warmup_steps
    if step < warm:
        early = f"step {step} is within the warm-up: weights are near their random start"
        return [Finding("unknown", "weights", early, f"ask again after step {warm}")], None
    directory = run / "model"
    if not directory.is_dir():
        first = f"the first are at step {config.training.checkpoint_steps}: ask again then"
        return [Finding("unknown", "weights", "none are saved yet", first)], None
    try:
        model = open_on_device(directory)
    except StorageError as error:
        advice = "go on with --resume auto, which writes them anew"
        return [Finding("ill", "weights", str(error), advice)], None
    try:
        batch = held_out(model, count)
    except UniteError as error:
        return [Finding("unknown", "held-out samples", str(error))], None
    if len(batch) < FEWEST_SAMPLES:
        few = f"{len(batch)}, and {FEWEST_SAMPLES} are needed to look at latents"
        return [Finding("unknown", "held-out samples", few)], None
    latents = look_at_latents(model, batch)
    findings = latent_findings(latents)
    findings += gradient_balance(gradient_norms(model, config.objective, batch, seed))
    return findings + look_at_average(run, model, config, batch, seed), latents


def held_out(model: UniteModel, count: int) -> Batch:
    """The first samples of the validation split, at most `count`; UniteError without data."""
    data = model.modality.dataset("validation")
    return data.batch(np.arange(min(count, len(data))), None)


def look_at_average(
    run: Path, average: UniteModel, config: RunConfig, batch: Batch, seed: int
) -> list[Finding]:
    """The average beside the weights of the newest checkpoint."""
    try:
        newest = checkpoint.latest(run / "checkpoints")
    except StorageError as error:
        return [Finding("ill", "checkpoints", str(error))]
    if newest is None:
        return [Finding("unknown", "average", "there is no checkpoint to compare it with")]
    path, state = newest
    weights = open_on_device(run / "model")
    weights.load_state_dict(state["model"])
    updates = int(state["ema"]["n_averaged"])
    lag = average_lag(average, weights, updates, config.objective, batch, seed)
    return [average_finding(lag, checkpoint.step_of(path), config.training)]


def write_diagnosis(diagnosis: Diagnosis, path: Path) -> None:
    """The findings and pictures as one HTML page that needs no network; StorageError."""
    text = template(name="doctor.html.jinja").render(
        title=f"UNITE: the health of {diagnosis.run.name}",
        command=f"unite doctor {diagnosis.run}",
        tables=[],
        findings=diagnosis.findings,
        pictures=diagnosis.pictures,
        versions=diagnosis.versions,
    )
    with writing(path):
        path.write_text(text, encoding="utf-8")
