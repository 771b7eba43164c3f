"""A run on one page that needs no network: pictures, figures, curves and how they were made."""

import gzip
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rdkit import Chem

from unite_molecule.conversion import to_rdkit
from unite_molecule.curves import curves_svg
from unite_molecule.drawing import grid_svg
from unite_molecule.types import Molecule

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
    return Markup(svg[svg.index("<svg") :])


def script() -> Markup:
    """The 3D viewer, 3Dmol.js (BSD-3-Clause)."""
    packed = files("unite_molecule").joinpath("vendor/3Dmol-min.js.gz").read_bytes()
    return Markup(gzip.decompress(packed).decode())


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


def write_report(
    path: Path,
    *,
    title: str,
    command: str,
    tables: Table,
    reconstruction: Table,
    samples: Sequence[Molecule],
    pairs: Sequence[Pair],
    log: Sequence[Mapping[str, float]],
    versions: Mapping[str, str],
) -> None:
    """One self-contained HTML file; `log` holds the rows of log.jsonl."""
    environment = Environment(
        loader=PackageLoader("unite_molecule"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = figure_text
    page = environment.get_template("report.html.jinja").render(
        title=title,
        command=command,
        tables=[
            (name, data_last(table), columns(table))
            for name, table in (("Samples", tables), ("Reconstruction", reconstruction))
            if table
        ],
        grids=[
            (name, embedded(grid_svg(molecules)))
            for name, molecules in (
                ("Samples", samples),
                ("Originals", [a for a, _ in pairs]),
                ("Their reconstructions", [b for _, b in pairs]),
            )
            if molecules
        ],
        curves=embedded(curves_svg(log)) if log else None,
        scenes=scenes(samples, pairs),
        script=script(),
        versions=versions,
    )
    path.write_text(page, encoding="utf-8")
