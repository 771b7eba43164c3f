"""What the command line shows: tables of figures, and files with what to do next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table


@contextmanager
def progress(what: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal, until the work inside ends; call what it gives
    with the number of things that are done anew.
    """
    console = Console(stderr=True)
    columns = *Progress.get_default_columns(), MofNCompleteColumn()
    hidden = not (shown and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def show_table(
    title: str, rows: Mapping[str, Mapping[str, Any]], versions: Mapping[str, str]
) -> None:
    """A column for each row of `rows`, so that many metrics fit; versions beneath."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for row in rows:
        table.add_column(row, justify="right")
    for metric in dict.fromkeys(name for values in rows.values() for name in values):
        table.add_row(metric, *(cell(values, metric) for values in rows.values()))
    Console().print(table)
    typer.echo(", ".join(f"{name} {value}" for name, value in versions.items()))


def cell(values: Mapping[str, Any], metric: str) -> str:
    """A figure in a table; empty where the row does not have it."""
    if metric not in values:
        return ""
    value = values[metric]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_rejected(rejected: Mapping[str, int]) -> None:
    """On stderr, how many samples were not used for which reason."""
    for reason, count in rejected.items():
        typer.echo(f"rejected {count}: {reason}", err=True)


def show_made(files: Sequence[Path], follow: str) -> None:
    """What was made and where, and the next command to try."""
    for path in files:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: {follow}")
