"""unite list, unite info, unite data prepare: what is there."""

from pathlib import Path
from typing import Annotated

import typer

from unite_core.cli.model_facts import as_text, card, facts, last_figures
from unite_core.cli.options import Model
from unite_core.locations import find_model, shipped_models
from unite_core.plugins import Plugin, load_plugin, only_plugin, working_plugins
from unite_core.recipes import recipe_paths


def show_list() -> None:
    """List modalities, recipes, shipped weights and formats of weights that can be converted."""
    typer.echo("modalities")
    for name, plugin in working_plugins():
        state = "works" if isinstance(plugin, Plugin) else f"broken: {one_line(plugin)}"
        typer.echo(f"  {name}  {state}")
    for title, paths in (("recipes", recipe_paths()), ("weights", shipped_models())):
        typer.echo(title)
        for name, path in paths.items():
            typer.echo(f"  {name}  {path}")
    typer.echo("formats")
    for name, plugin in working_plugins():
        for known in plugin.converters if isinstance(plugin, Plugin) else ():
            typer.echo(f"  {known}  {name}")


def one_line(error: Exception) -> str:
    """An error's message without line ends."""
    return " ".join(str(error).split())


def info(checkpoint: Model) -> None:
    """Say what a model is, how it was trained and which options its samples take."""
    directory = find_model(checkpoint)
    typer.echo(as_text(facts(directory)))
    figures = last_figures(Path(checkpoint))
    if figures:
        typer.echo(as_text({"last line of the log": figures}))
    typer.echo(card(directory))


def prepare(
    source: Annotated[str, typer.Argument(help="A known set, or a file or folder of your own.")],
    modality: Annotated[str | None, typer.Option(help="Needed where several are there.")] = None,
) -> None:
    """Make data ready for training; says what was kept and what was rejected, and why."""
    plugin = only_plugin() if modality is None else load_plugin(modality)
    typer.echo(plugin.load().prepare(source))
    typer.echo("next: unite list")
