"""unite evaluate, unite report: how good a model is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from unite_core.cli.options import (
    GUIDED,
    BatchSize,
    Compiled,
    Count,
    Guidance,
    Rounds,
    Seed,
    Solving,
    Steps,
    Strength,
    Temperature,
    finite,
)
from unite_core.cli.outputs import check_directory, check_file, writes
from unite_core.cli.terminal import progress, show_made, show_rejected, show_table
from unite_core.errors import ConfigurationError, DataError
from unite_core.locations import find_model, plugin_of, read_config
from unite_core.plugins import Plugin, plugin_for, read_suffixes
from unite_core.recipes import data_config
from unite_core.sampling_settings import Sampling

Scales = Annotated[
    list[float] | None,
    typer.Option(
        parser=finite, metavar="SCALE", help=f"{GUIDED} Several draw a curve.", show_default="1"
    ),
]

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
    guidance: Scales = None,
    temperature: Temperature = 1.0,
    strength: Strength = None,
    rounds: Rounds = None,
    compiled: Compiled = False,
    modality: Annotated[str | None, typer.Option(help="Needed where several are there.")] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            metavar="KEY=VALUE",
            help="Changes the model's data section, which also says how to score.",
        ),
    ] = None,
) -> None:
    """Score a model, or samples in a file, whatever made them, beside the data itself.

    Runs on many devices under torchrun -m unite_core.cli evaluate.
    """
    check_file(output, [".json"])
    if Path(source).is_file():
        if writes():
            evaluate_file(Path(source), modality, reference, override or [], output)
        return
    sampling = Sampling(
        steps,
        solver,
        seed,
        batch_size,
        temperature=temperature,
        strength=strength,
        rounds=rounds,
    )
    if not Path(source).exists() and Path(source).suffix.lower() in read_suffixes():
        raise DataError(f"cannot read {source}: no such file")
    directory = find_model(source)
    if modality is not None:
        raise ConfigurationError(f"--modality is for files: the model {source} knows its own")
    plugin = plugin_of(directory)
    saved = read_config(directory).get("data", {})
    data = data_config(plugin.config, saved, override or [])
    require_same_model(source, plugin, data_config(plugin.config, saved, []), data)
    scales = sorted(set(guidance or [1.0]))
    picture = output.with_suffix(".png") if len(scales) > 1 else None
    if picture is not None:
        check_file(picture, [".png"])

    from unite_core.evaluation import drawn_with, open_on_device
    from unite_core.processes import together
    from unite_core.sweep import plot_sweep, sweep

    with together() as team:
        model = open_on_device(directory, compiled, data=data.model_dump(mode="json"))
        own = len(scales) * len(team.share(count))
        with progress("samples", own, team.first) as done:
            result = sweep(model, count, sampling, scales, reference, team, done)
    if result is None:  # the first process has it
        return
    names = {scale: source if len(scales) == 1 else f"guidance {scale}" for scale in scales}
    rows = {names[scale]: result.samples[scale] for scale in scales} | result.others
    settings = {"model": source, "reference": reference, "count": count, "compiled": compiled}
    settings |= drawn_with(model, sampling) | {"guidance": scales, "changes": override or []}
    show_figures(plugin, rows, {source: result.reconstruction}, settings, output)
    if picture is not None:
        plot_sweep(result.samples, result.others["data"], picture)
    made = [output] if picture is None else [output, picture]
    show_made(made, f"unite sample {source} --output samples{plugin.writes[0]}")


def require_same_model(source: str, plugin: Plugin, saved: BaseModel, data: BaseModel) -> None:
    """ConfigurationError where changes to the data section would make it another model."""
    for key in plugin.trained_for:
        if getattr(data, key) != getattr(saved, key):
            raise ConfigurationError(
                f"data.{key} cannot be changed here: the weights of {source} are for theirs"
            )


def evaluate_file(
    source: Path,
    modality: str | None,
    reference: str | None,
    overrides: Sequence[str],
    output: Path,
) -> None:
    """Score the samples of a file by its modality's default configuration, with changes to it."""
    from unite_core.evaluation import other_rows

    plugin = plugin_for(source, modality)
    config = data_config(plugin.config, {}, overrides)
    implementation = plugin.load()
    samples, rejected = implementation.read(source)
    show_rejected(rejected)
    if not samples:
        raise DataError(f"{source} holds no usable sample")
    scores = implementation.score(config, samples, reference)
    counted = {"records without a sample": sum(rejected.values())} if rejected else {}
    rows = {str(source): counted | dict(scores["samples"])} | other_rows(scores)
    settings = {
        "file": str(source),
        "reference": reference,
        "changes": list(overrides),
        "rejected": dict(rejected),
    }
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
    guidance: Guidance = 1.0,
    temperature: Temperature = 1.0,
    strength: Strength = None,
    rounds: Rounds = None,
) -> None:
    """Write samples, figures, curves and report.html into a run."""
    sampling = Sampling(steps, solver, seed, batch_size, guidance, temperature, strength, rounds)
    models = {name: find_model(name) for name in [str(run), *(compare or [])]}
    plugin, *others = (plugin_of(directory) for directory in models.values())
    for other in others:
        if other != plugin:
            raise ConfigurationError(f"{run} is of {plugin.name}: cannot compare {other.name}")
    check_directory(run)

    from unite_core.reporting import write_report

    story, files = write_report(run, models, count, sampling)
    show_table("Samples", story.scores, story.versions)
    show_table("Reconstruction", story.reconstruction, story.versions)
    show_made(files, f"unite sample {run} --output samples{plugin.writes[0]}")
