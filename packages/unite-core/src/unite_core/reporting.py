"""The report on a run: its samples and scores, beside those of other models."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unite_core.errors import StorageError
from unite_core.evaluation import (
    Evaluation,
    drawn_with,
    evaluate,
    open_on_device,
    other_rows,
    versions,
    write_metrics,
)
from unite_core.locations import COMMAND, LOG, plugin_of
from unite_core.sampling_settings import Sampling
from unite_core.types import Story

METRICS = "metrics.json"


def read_log(run: Path) -> list[dict[str, float]]:
    """The lines of a run's log; StorageError where there is none."""
    try:
        return [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise StorageError(f"{run} is not a run, or has logged nothing yet: {error}") from error


def read_command(run: Path) -> str:
    """The commands that started and resumed a run; StorageError where they are not there."""
    try:
        return (run / COMMAND).read_text().strip()
    except OSError as error:
        raise StorageError(f"{run} is not a run: {error}") from error


def write_report(
    run: Path, models: Mapping[str, Path], count: int, sampling: Sampling
) -> tuple[Story, list[Path]]:
    """Writes metrics.json and the modality's report on `models` into `run`.

    The first of `models` (name -> directory) is the run's own; all are of its modality. Gives the
    story and the files. StorageError.
    """
    log, command = read_log(run), read_command(run)
    plugin = plugin_of(next(iter(models.values())))
    opened = {name: open_on_device(directory) for name, directory in models.items()}
    evaluations = {name: evaluate(model, count, sampling, None) for name, model in opened.items()}
    first = next(iter(opened.values()))
    own = next(iter(evaluations.values()))
    story = Story(
        title=f"UNITE: {run.name}",
        command=command,
        scores=score_rows(evaluations),
        reconstruction={name: one.reconstruction for name, one in evaluations.items()},
        samples=own.samples,
        pairs=own.pairs,
        log=log,
        versions=versions(plugin),
        statistics=first.modality.statistics,
    )
    settings: dict[str, Any] = {"count": count, **drawn_with(first, sampling)}
    metrics = run / METRICS
    write_metrics(metrics, story.scores, story.reconstruction, settings, story.versions)
    return story, [metrics, *plugin.load().report(story, run)]


def score_rows(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, Any]]:
    """A row for each model, then those to compare with, as the first model's scores have them."""
    rows = {name: one.scores["samples"] for name, one in evaluations.items()}
    return rows | other_rows(next(iter(evaluations.values())).scores)
