"""A run on one page that needs no network: pictures, figures, curves and how they were made."""

import gzip
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rdkit import Chem
from unite_core.modality import Story

from unite_molecule.conversion import to_rdkit
from unite_molecule.curves import curves_svg, plot_curves
from unite_molecule.drawing import grid_svg
from unite_molecule.formats import write_molecules
from unite_molecule.metrics import versions
from unite_molecule.types import Molecule

DRAWN = 20
"""Molecules shown in each grid and in the viewer."""

Table = Mapping[str, Mapping[str, Any]]
"""Row -> metric -> value."""

Pair = tuple[Molecule, Molecule]
"""An original and its reconstruction."""


def figure_text(value: Any) -> str:
    """A table's cell."""
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def embedded(svg: str) -> Markup:
    """SVG fit for the inside of a page: without the XML header."""
    return Markup(svg[svg.index("<svg") :])  # noqa: S704 (RDKit drew it)


def script() -> Markup:
    """The 3D viewer, 3Dmol.js (BSD-3-Clause)."""
    packed = files("unite_molecule").joinpath("vendor/3Dmol-min.js.gz").read_bytes()
    return Markup(gzip.decompress(packed).decode())  # noqa: S704 (a file of this package)


def block(molecule: Molecule) -> str:
    """The molecule for the viewer."""
    return str(Chem.MolToMolBlock(to_rdkit(molecule), kekulize=False))


def scenes(samples: Sequence[Molecule], pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """What the viewer can show: each sample, and each original with its reconstruction over it."""
    single = [
        {"label": f"sample {i}", "models": [block(molecule)]}
        for i, molecule in enumerate(samples, start=1)
    ]
    double = [
        {"label": f"original and reconstruction {i}", "models": [block(a), block(b)]}
        for i, (a, b) in enumerate(pairs, start=1)
    ]
    return single + double


def columns(table: Table) -> list[str]:
    """All metrics of a table, in order of appearance."""
    return list(dict.fromkeys(name for row in table.values() for name in row))


def data_last(table: Table) -> dict[str, Mapping[str, Any]]:
    """The rows with the data's own at the end."""
    return dict(sorted(table.items(), key=lambda item: item[0] == "data"))


def page(story: Story) -> str:
    """One self-contained HTML page."""
    environment = Environment(
        loader=PackageLoader("unite_molecule"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = figure_text
    tables = (("Samples", story.scores), ("Reconstruction", story.reconstruction))
    shown, pairs = story.samples[:DRAWN], story.pairs[:DRAWN]
    grids = (
        ("Samples", shown),
        ("Originals", [a for a, _ in pairs]),
        ("Their reconstructions", [b for _, b in pairs]),
    )
    return environment.get_template("report.html.jinja").render(
        title=story.title,
        command=story.command,
        tables=[(name, data_last(table), columns(table)) for name, table in tables if table],
        grids=[(name, embedded(grid_svg(molecules))) for name, molecules in grids if molecules],
        curves=embedded(curves_svg(story.log)) if story.log else None,
        scenes=scenes(shown, pairs),
        script=script(),
        versions=versions() | story.versions,
    )


def write_report(story: Story, directory: Path) -> list[Path]:
    """The samples as SDF and SMILES, the curves as PNG, and all of it as report.html."""
    samples = [directory / "samples.sdf", directory / "samples.smi"]
    for path in samples:
        write_molecules(story.samples, path)
    curves, report = directory / "curves.png", directory / "report.html"
    if story.log:
        plot_curves(story.log, curves)
    report.write_text(page(story), encoding="utf-8")
    return [*samples, *([curves] if story.log else []), report]
