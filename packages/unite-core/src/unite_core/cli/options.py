"""Arguments and options that several commands share."""

from math import isfinite, nan
from typing import Annotated

import typer

from unite_core.config import Solver

Model = Annotated[str, typer.Argument(help="Run, model directory, shipped name or hub id.")]
Count = Annotated[int, typer.Option("-n", min=1, help="How many samples to draw.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps from noise to samples.")]
Solving = Annotated[Solver, typer.Option(help="How the steps are taken.")]
Seed = Annotated[int, typer.Option(min=0, help="Sample i is a function of it and of i.")]


def finite(text: str | float) -> float:
    """A number of at least 0, which may be a default; BadParameter where it is not one."""
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value) or value < 0:
        raise typer.BadParameter(f"{text!r} is not a finite number of at least 0.")
    return value


GUIDED = "Scale of guidance towards the condition; 1 is none."
Guidance = Annotated[float, typer.Option(parser=finite, metavar="SCALE", help=GUIDED)]
TEMPERED = "Standard deviation of the noise; below 1 samples are more typical, less diverse."
Temperature = Annotated[float, typer.Option(parser=finite, metavar="FLOAT", help=TEMPERED)]
STRENGTH = (
    "How much noise the stochastic solver draws anew: 0 none, 1 as ancestral sampling; the more, "
    "the more typical and the less diverse are samples."
)
Strength = Annotated[
    float | None,
    typer.Option(parser=finite, metavar="FLOAT", help=STRENGTH, show_default="the modality's"),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="How often samples pass through latents and back, which makes their parts agree.",
        show_default="the modality's",
    ),
]
COMPILED = "Compile the model, for many samples: about a minute the first time, less from then on."
Compiled = Annotated[bool, typer.Option("--compile", help=COMPILED)]
BatchSize = Annotated[int, typer.Option(min=1, help="Samples computed at once.")]
