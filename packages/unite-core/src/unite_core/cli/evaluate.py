"""unite evaluate, unite report: how good a model is."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from unite_core.cli.options import BatchSize, Count, Seed, Solving, Steps
from unite_core.cli.outputs import check_directory, check_file
from unite_core.cli.terminal import show_made, show_rejected, show_table
from unite_core.errors import ConfigurationError, DataError
from unite_core.locations import find_model, plugin_of
from unite_core.plugins import Plugin, plugin_for
from unite_core.recipes import check

Table = Mapping[str, Mapping[str, Any]]
"""Row -> metric -> value."""


def evaluate(
    source: Annotated[
        str, typer.Argument(metavar="CHECKPOINT|FILE", help="A model, or a file of samples.")
    ],
    reference: Annotated[str | None, typer.Option(help="Source of data to compare with.")] = None,
    count: Count = 10_000,
    output: Annotated[Path, typer.Option(help="The figures as JSON.")] = Path("metrics.json"),
    steps: Steps = 50,
    solver: Solving = "stochastic",
    seed: Seed = 0,
    batch_size: BatchSize = 512,
) -> None:
    """Score a model, or samples in a file, whatever made them, beside the data itself."""
    check_file(output, [".json"])
    if Path(source).is_file():
        evaluate_file(Path(source), reference, output)
        return
    directory = find_model(source)
    plugin = plugin_of(directory)

    from unite_core import evaluation

    sampling = evaluation.Sampling(steps, solver, seed, batch_size)
    model = evaluation.open_on_device(directory)
    result = evaluation.evaluate(model, count, sampling, reference)
    rows = {source: result.scores["samples"], "data": result.scores["data"]}
    settings = {"model": source, "reference": reference, "count": count, **asdict(sampling)}
    show_figures(plugin, rows, {source: result.reconstruction}, settings, output)
    show_made([output], f"unite sample {source} --output samples{plugin.writes[0]}")


def evaluate_file(source: Path, reference: str | None, output: Path) -> None:
    """Score the samples of a file by its modality's default configuration."""
    plugin = plugin_for(source)
    config = check(plugin.config, {}, "data.")
    modality = plugin.load()
    samples, rejected = modality.read(source)
    show_rejected(rejected)
    if not samples:
        raise DataError(f"{source} holds no usable sample")
    scores = modality.score(config, samples, reference)
    rows = {str(source): scores["samples"], "data": scores["data"]}
    settings = {"file": str(source), "reference": reference, "rejected": dict(rejected)}
    show_figures(plugin, rows, {}, settings, output)
    show_made([output], "unite list")


def show_figures(
    plugin: Plugin, rows: Table, reconstruction: Table, settings: Mapping[str, Any], output: Path
) -> None:
    """The figures as tables, and as JSON in `output`."""
    from unite_core.evaluation import versions, write_metrics

    stamp = versions(plugin)
    write_metrics(output, rows, reconstruction, settings, stamp)
    show_table("Samples", rows, stamp)
    if reconstruction:
        show_table("Reconstruction", reconstruction, stamp)


def report(
    run: Annotated[Path, typer.Argument(help="The output of `unite train`.")],
    compare: Annotated[list[str] | None, typer.Option(help="Another model, set beside.")] = None,
    count: Count = 1000,
    steps: Steps = 50,
    solver: Solving = "stochastic",
    seed: Seed = 0,
    batch_size: BatchSize = 512,
) -> None:
    """Write samples, figures, curves and report.html into a run."""
    models = {name: find_model(name) for name in [str(run), *(compare or [])]}
    plugin, *others = (plugin_of(directory) for directory in models.values())
    for other in others:
        if other != plugin:
            raise ConfigurationError(f"{run} is of {plugin.name}: cannot compare {other.name}")
    check_directory(run)

    from unite_core.evaluation import Sampling
    from unite_core.reporting import write_report

    sampling = Sampling(steps, solver, seed, batch_size)
    story, files = write_report(run, models, count, sampling)
    show_table("Samples", story.scores, story.versions)
    show_table("Reconstruction", story.reconstruction, story.versions)
    show_made(files, f"unite sample {run} --output samples{plugin.writes[0]}")
