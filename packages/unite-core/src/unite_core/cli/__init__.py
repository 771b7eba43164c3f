"""The command line. Whatever can be checked without torch is checked before it is imported."""

import os
import sys

import typer

from unite_core.cli.convert import convert
from unite_core.cli.doctor import doctor
from unite_core.cli.evaluate import evaluate, report
from unite_core.cli.inventory import info, prepare, show_list
from unite_core.cli.new_modality import new_modality
from unite_core.cli.sample import reconstruct, sample
from unite_core.cli.train import train
from unite_core.errors import StorageError, UniteError

app = typer.Typer(
    help="UNITE: one network that is both tokenizer and generator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(train)
app.command(context_settings={"ignore_unknown_options": True})(sample)
app.command()(reconstruct)
app.command()(evaluate)
app.command()(report)
app.command()(doctor)
app.command("list")(show_list)
app.command()(info)
app.command()(convert)
app.command()(new_modality)
data = typer.Typer(help="Training data.", no_args_is_help=True)
data.command()(prepare)
data.callback()(lambda: None)  # else a group's only command takes the group's name
app.add_typer(data, name="data")


def main() -> None:
    """Runs the command in sys.argv; errors that users can act on become a line and an exit code."""
    try:
        app(prog_name="unite")
    except UniteError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    except OSError as error:  # which nobody nearer explains, as of stdout on a full disk
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(StorageError.exit_code) from error
    finally:
        close_output()


def close_output() -> None:
    """Flush stdout and stderr, which may be closed, or without reader (`unite list | head -1`)."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            # so that the interpreter's own flush has somewhere to go
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
