"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from unite_core.config import Solver

Model = Annotated[str, typer.Argument(help="Run, model directory, shipped name or hub id.")]
Count = Annotated[int, typer.Option("-n", min=1, help="How many samples to draw.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps from noise to samples.")]
Solving = Annotated[Solver, typer.Option(help="How the steps are taken.")]
Seed = Annotated[int, typer.Option(min=0, help="Sample i is a function of it and of i.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Samples computed at once.")]
