"""The report on a run of molecules: drawings, a 3D viewer and the samples as files."""

import gzip
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from rdkit import Chem
from unite_core.page import embedded, template, write_page
from unite_core.types import Story

from unite_molecule.conversion import to_rdkit
from unite_molecule.drawing import grid_svg
from unite_molecule.formats import write_molecules
from unite_molecule.types import Molecule

DRAWN = 20
"""Molecules shown in each grid and in the viewer."""

Pair = tuple[Molecule, Molecule]
"""An original and its reconstruction."""


def library() -> str:
    """The 3D viewer, 3Dmol.js (BSD-3-Clause)."""
    packed = files("unite_molecule").joinpath("vendor/3Dmol-min.js.gz").read_bytes()
    return gzip.decompress(packed).decode()


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


def write_report(story: Story, directory: Path) -> list[Path]:
    """The samples as SDF and SMILES, and the page with its curves."""
    written = [directory / "samples.sdf", directory / "samples.smi"]
    for path in written:
        write_molecules(story.samples, path)
    shown, pairs = story.samples[:DRAWN], story.pairs[:DRAWN]
    grids = {
        "Samples": shown,
        "Originals": [a for a, _ in pairs],
        "Their reconstructions": [b for _, b in pairs],
    }
    pictures = {name: embedded(grid_svg(drawn)) for name, drawn in grids.items() if drawn}
    page = template("unite_molecule", "report.html.jinja")
    content = {"scenes": scenes(shown, pairs), "library": library()}
    return [*written, *write_page(story, pictures, directory, page, **content)]
