"""unite sample, unite reconstruct: what a model makes, as files."""

from pathlib import Path
from typing import Annotated

import typer

from unite_core.cli.options import BatchSize, Count, Model, Seed, Solving, Steps
from unite_core.cli.outputs import check_file
from unite_core.cli.sample_options import parse_options
from unite_core.cli.terminal import show_made, show_rejected, show_table
from unite_core.errors import ConfigurationError, DataError, nearest
from unite_core.locations import find_model, plugin_of

Output = Annotated[Path, typer.Option(help="The file; its ending says the format.")]
ModalityOptions = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODALITY_OPTIONS", help="As `unite info CHECKPOINT` lists them."),
]
SAMPLE_OPTIONS = ("--output", "-n", "--steps", "--solver", "--seed", "--batch-size")
"""What `sample` takes for every modality, to name the nearest to a misspelt one."""


def sample(
    checkpoint: Model,
    output: Output,
    words: ModalityOptions = None,
    count: Count = 1000,
    steps: Steps = 50,
    solver: Solving = "stochastic",
    seed: Seed = 0,
    batch_size: BatchSize = 512,
) -> None:
    """Draw new samples. A modality has options of its own, which follow CHECKPOINT."""
    if checkpoint.startswith("-"):
        raise ConfigurationError(f"CHECKPOINT comes before {checkpoint}")
    directory = find_model(checkpoint)
    plugin = plugin_of(directory)
    options = parse_options(plugin.sample_options, words or [], SAMPLE_OPTIONS)
    check_file(output, plugin.writes)

    from unite_core.evaluation import Sampling, generate, open_on_device

    model = open_on_device(directory)
    samples = generate(model, count, Sampling(steps, solver, seed, batch_size), options)
    model.modality.write(samples, output)
    readable = output.suffix.lower() in plugin.suffixes
    show_made([output], f"unite evaluate {output if readable else checkpoint}")


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
    read, rejected = model.modality.read(source)
    samples, refused = model.modality.accept(read)
    show_rejected(rejected)
    show_rejected(refused)
    if not samples:
        raise DataError(f"{source} holds nothing that this model can take")
    made = evaluation.reconstruct(model, samples, batch_size)
    model.modality.write(made, output)
    for number, error in enumerate(model.modality.errors(samples, made), start=1):
        typer.echo(f"{number}\t{error:.4f}")
    scores = model.modality.score_reconstruction(samples, made)
    show_table("Reconstruction", {str(source): scores}, evaluation.versions(plugin))
    show_made([output], f"unite evaluate {checkpoint}")


def check_source(path: Path, suffixes: tuple[str, ...]) -> None:
    """DataError where there is no such file, ConfigurationError where it is of another kind."""
    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file")
    ending = path.suffix.lower()
    if ending not in suffixes:
        hint = nearest(ending, suffixes)
        raise ConfigurationError(f"cannot read {path}: unknown ending {ending!r}{hint}")
