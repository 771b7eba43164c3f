"""A run on one page that needs no network: figures, pictures, curves and how they were made."""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from unite_core.curves import curves_svg, plot_curves
from unite_core.errors import StorageError
from unite_core.types import Story

BASE = "page.html.jinja"
"""The template of a page; one that extends it fills the blocks `style`, `more` and `script`."""

Table = Mapping[str, Mapping[str, Any]]
"""Row -> metric -> value."""


def figure_text(value: Any) -> str:
    """A table's cell."""
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def embedded(svg: str) -> str:
    """SVG fit for the inside of a page: without the XML header."""
    return svg[svg.index("<svg") :]


def inline_png(path: Path, name: str) -> str:
    """HTML of a PNG file's picture, which needs the file no more."""
    data = b64encode(path.read_bytes()).decode()
    return f'<img alt="{name}" src="data:image/png;base64,{data}">'


def columns(table: Table) -> list[str]:
    """All metrics of a table, in order of appearance."""
    return list(dict.fromkeys(name for row in table.values() for name in row))


def data_last(table: Table) -> dict[str, Mapping[str, Any]]:
    """The rows with the data's own, "data" and "data ...", at the end."""
    return dict(sorted(table.items(), key=lambda item: item[0].split()[0] == "data"))


def template(package: str = "unite_core", name: str = BASE) -> Template:
    """A package's template, which may extend the core's."""
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("unite_core")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["figure"] = figure_text
    return environment.get_template(name)


def render(story: Story, pictures: Mapping[str, str], page: Template, **content: Any) -> str:
    """HTML of the page, as `write_page` takes it."""
    tables = (("Samples", story.scores), ("Reconstruction", story.reconstruction))
    curves = {"Training": embedded(curves_svg(story.log))} if story.log else {}
    return page.render(
        title=story.title,
        command=story.command,
        tables=[(name, data_last(table), columns(table)) for name, table in tables if table],
        pictures={**pictures, **curves},
        versions=story.versions,
        **content,
    )


def write_page(
    story: Story, pictures: Mapping[str, str], directory: Path, page: Template, **content: Any
) -> list[Path]:
    """Writes report.html, and curves.png where there is a log, and gives them; StorageError.

    `pictures` is heading -> HTML; `content` is whatever else the template `page` names.
    """
    curves, report = directory / "curves.png", directory / "report.html"
    text = render(story, pictures, page, **content)
    try:
        if story.log:
            plot_curves(story.log, curves)
        report.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write to {directory}: {error.strerror}") from error
    return [*([curves] if story.log else []), report]
