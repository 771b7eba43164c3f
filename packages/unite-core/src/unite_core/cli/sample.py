"""unite sample, unite reconstruct: what a model makes, as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unite_core.cli.options import (
    BatchSize,
    Compiled,
    Guidance,
    Model,
    Rounds,
    Seed,
    Solving,
    Steps,
    Strength,
    Temperature,
)
from unite_core.cli.outputs import check_file, writes
from unite_core.cli.sample_options import parse_options
from unite_core.cli.terminal import progress, show_made, show_rejected, show_table
from unite_core.errors import ConfigurationError, DataError, nearest
from unite_core.locations import find_model, plugin_of
from unite_core.plugins import Plugin
from unite_core.sampling_settings import Sampling, check_levels

if TYPE_CHECKING:
    from unite_core.model import UniteModel

SAMPLES, STRIPS, BETWEEN = 1000, 4, 8
"""What -n is unless it is given: samples, rows of a strip, samples from A to B."""

Output = Annotated[Path, typer.Option(help="The file; its ending says the format.")]
ModalityOptions = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODALITY_OPTIONS", help="As `unite info CHECKPOINT` lists them."),
]
Drawn = Annotated[
    int | None,
    typer.Option(
        "-n",
        min=1,
        help="How many samples to draw.",
        show_default=f"{SAMPLES}; {STRIPS} with --trajectory, {BETWEEN} with --interpolate",
    ),
]
Levels = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="LEVELS",
        help="Draw each sample at this many noise levels, in a row (PNG).",
    ),
]
Ends = Annotated[
    tuple[Path, Path] | None,
    typer.Option(metavar="A B", help="Draw the way between the first samples of two files (PNG)."),
]
SAMPLE_OPTIONS = (
    "--output",
    "-n",
    "--steps",
    "--solver",
    "--seed",
    "--batch-size",
    "--guidance",
    "--temperature",
    "--strength",
    "--rounds",
    "--compile",
    "--trajectory",
    "--interpolate",
)
"""What `sample` takes for every modality, to name the nearest to a misspelt one."""


def sample(
    checkpoint: Model,
    output: Output,
    words: ModalityOptions = None,
    count: Drawn = None,
    steps: Steps = 50,
    solver: Solving = "stochastic",
    seed: Seed = 0,
    batch_size: BatchSize = 512,
    guidance: Guidance = 1.0,
    temperature: Temperature = 1.0,
    strength: Strength = None,
    rounds: Rounds = None,
    compiled: Compiled = False,
    trajectory: Levels = None,
    interpolate: Ends = None,
) -> None:
    """Draw new samples. A modality has options of its own, which follow CHECKPOINT.

    Runs on many devices under torchrun -m unite_core.cli sample.
    """
    if checkpoint.startswith("-"):
        raise ConfigurationError(f"CHECKPOINT comes before {checkpoint}")
    if trajectory is not None and interpolate is not None:
        raise ConfigurationError("--trajectory and --interpolate exclude each other")
    sampling = Sampling(steps, solver, seed, batch_size, guidance, temperature, strength, rounds)
    if trajectory is not None:
        check_levels(trajectory, steps)
    if trajectory is not None and rounds is not None:
        raise ConfigurationError("--trajectory ends before the rounds: leave --rounds out")
    directory = find_model(checkpoint)
    plugin = plugin_of(directory)
    options = parse_options(plugin.sample_options, words or [], SAMPLE_OPTIONS)
    picture = trajectory is not None or interpolate is not None
    if picture and not writes():
        return  # a picture is one process's work
    if interpolate is not None:
        changed = [f"--{name.replace('_', '-')}" for name in sampling.chosen()]
        unused = [*(words or []), *changed, *(["--compile"] if compiled else [])]
        if unused:
            raise ConfigurationError(f"--interpolate draws nothing: it has no use for {unused[0]}")
        draw_between(directory, plugin, interpolate, count or BETWEEN, output)
        show_made([output], f"unite sample {checkpoint} --trajectory 8 --output strips.png")
        return
    check_file(output, plugin.writes if trajectory is None else [".png"])

    from unite_core.evaluation import draw_strips, generate, open_on_device
    from unite_core.processes import together

    if trajectory is not None:
        model = open_on_device(directory, compiled)
        draw_strips(model, count or STRIPS, trajectory, sampling, options, output)
        show_made([output], f"unite evaluate {checkpoint}")
        return
    with together() as team:
        model = open_on_device(directory, compiled)
        number = count or SAMPLES
        with progress("samples", len(team.share(number)), team.first) as done:
            samples = generate(model, number, sampling, options, team, done)
    if team.first:
        model.modality.write(samples, output)
        scored = output if output.suffix.lower() in plugin.archives else checkpoint
        show_made([output], f"unite evaluate {scored}")


def draw_between(
    directory: Path, plugin: Plugin, ends: tuple[Path, Path], steps: int, output: Path
) -> None:
    """A picture of the way between the first samples of two files."""
    check_file(output, [".png"])
    for end in ends:
        check_source(end, plugin.suffixes)

    from unite_core.evaluation import open_on_device

    model = open_on_device(directory)
    pair = [usable(model, end)[0] for end in ends]
    samples = model.interpolate(model.modality.collate(pair), steps)
    model.modality.preview(samples, output, columns=steps)


def reconstruct(
    checkpoint: Model,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A file of samples.")],
    output: Output,
    batch_size: BatchSize = 512,
) -> None:
    """Pass samples through latents and back; print the error of each, as the output has them."""
    directory = find_model(checkpoint)
    plugin = plugin_of(directory)
    check_source(source, plugin.suffixes)
    check_file(output, plugin.writes)

    from unite_core import evaluation

    model = evaluation.open_on_device(directory)
    samples = usable(model, source)
    made = evaluation.reconstruct(model, samples, batch_size)
    model.modality.write_reconstructions(samples, made, output)
    for number, error in enumerate(model.modality.errors(samples, made), start=1):
        typer.echo(f"{number}\t{error:.4f}")
    scores = model.modality.score_reconstruction(model.modality.config, samples, made)
    show_table("Reconstruction", {str(source): scores}, evaluation.versions(plugin))
    show_made([output], f"unite evaluate {checkpoint}")


def check_source(path: Path, suffixes: tuple[str, ...]) -> None:
    """DataError where there is no such file, ConfigurationError where it is of another kind."""
    if path.is_dir():
        raise DataError(f"cannot read {path}: it is a folder; give a file")
    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file")
    ending = path.suffix.lower()
    if ending not in suffixes:
        hint = nearest(ending, suffixes)
        raise ConfigurationError(f"cannot read {path}: unknown ending {ending!r}{hint}")


def usable(model: "UniteModel", source: Path) -> list[Any]:
    """A file's samples that the model can take; DataError where there is none."""
    read, rejected = model.modality.read(source)
    samples, refused = model.modality.accept(read)
    show_rejected(rejected)
    show_rejected(refused)
    if not samples:
        raise DataError(f"{source} holds nothing that this model can take")
    return samples
