"""unite doctor: whether a run looks healthy."""

from pathlib import Path
from typing import Annotated

import typer

from unite_core.cli.outputs import check_file
from unite_core.cli.terminal import show_made
from unite_core.errors import ConfigurationError, DataError
from unite_core.locations import LOG


def doctor(
    run: Annotated[Path, typer.Argument(help="The output of `unite train`, finished or not.")],
    output: Annotated[
        Path | None, typer.Option(help="The page.", show_default="RUN/doctor.html")
    ] = None,
    count: Annotated[int, typer.Option("-n", min=4, help="Held-out samples to look at.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise that losses are drawn with.")] = 0,
) -> None:
    """Say in words whether a run looks healthy, a line for each sign, and draw it on a page.

    A line begins with ok, watch (look at it), ill (change something) or unknown. The exit code is 0
    whatever they say: it is 2 where RUN is no directory or its configuration is not valid, and 3
    where it has no log.
    """
    if not run.is_dir():
        raise ConfigurationError(f"no run {run}: give the output of `unite train`")
    if not (run / LOG).is_file():
        raise DataError(f"{run} has no {LOG}: it has logged nothing yet, or is not a run")
    page = run / "doctor.html" if output is None else output
    check_file(page, [".html"])

    from unite_core.doctor import examine, write_diagnosis

    diagnosis = examine(run, count, seed)
    for finding in diagnosis.findings:
        typer.echo(str(finding))
    write_diagnosis(diagnosis, page)
    show_made([page], f"unite report {run}")
