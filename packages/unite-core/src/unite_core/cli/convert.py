"""unite convert: weights of another program as a model of this one."""

from pathlib import Path
from typing import Annotated

import typer

from unite_core.cli.outputs import check_directory
from unite_core.cli.terminal import show_made
from unite_core.errors import ConfigurationError, DataError
from unite_core.plugins import plugin_converting


def convert(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="As `unite list` names them.")],
    source: Annotated[Path, typer.Argument(help="The other program's weights.")],
    output: Annotated[Path, typer.Argument(help="Directory of the model to make.")],
) -> None:
    """Make a model directory of weights in another program's format."""
    plugin = plugin_converting(format_)
    if not source.exists():
        raise DataError(f"cannot read {source}: no such file")
    if output.is_dir() and any(output.iterdir()):
        raise ConfigurationError(f"{output} is there already: choose another OUTPUT")
    check_directory(output if output.exists() else output.parent)
    plugin.converter(format_)(source, output)
    show_made([output], f"unite sample {output} --output samples{plugin.writes[0]}")
