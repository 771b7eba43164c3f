"""Flat drawings of molecules, invalid ones included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from unite_core.errors import ConfigurationError

from unite_molecule.chemistry import assess, canonical_smiles
from unite_molecule.conversion import sanitised, to_rdkit
from unite_molecule.types import Molecule

if TYPE_CHECKING:
    from rdkit.Chem.Draw import rdMolDraw2D

COLUMNS = 5
CELL = 220
"""Edge of a drawing, pixels."""


def canvases() -> ModuleType:
    """RDKit's canvases. They alone need X's libraries, without which bare servers train as well."""
    try:
        from rdkit.Chem.Draw import rdMolDraw2D
    except ImportError as error:
        raise ConfigurationError(
            f"RDKit cannot draw here: {error}; install the system's X libraries "
            "(Debian and Ubuntu: apt-get install libxrender1 libxext6)"
        ) from error
    found: ModuleType = rdMolDraw2D
    return found


def flattened(molecule: Molecule) -> tuple[Chem.Mol, str]:
    """What to draw, and its legend: sanitised and without hydrogens where that is possible."""
    mol = to_rdkit(molecule)
    clean = sanitised(mol) if assess(molecule).strict else None
    with rdBase.BlockLogs():
        drawn = mol if clean is None else Chem.RemoveHs(clean)
        Chem.FastFindRings(drawn)
        rdDepictor.Compute2DCoords(drawn)
    return drawn, "invalid" if clean is None else canonical_smiles(clean)


def draw(canvas: rdMolDraw2D.MolDraw2D, samples: Sequence[Molecule]) -> None:
    """Draws onto a canvas of the right size."""
    drawings = [flattened(molecule) for molecule in samples]
    canvas.drawOptions().prepareMolsBeforeDrawing = False  # type: ignore[assignment]
    with rdBase.BlockLogs():
        canvas.DrawMolecules([m for m, _ in drawings], legends=[legend for _, legend in drawings])
    canvas.FinishDrawing()


def extent(count: int, columns: int) -> tuple[int, int]:
    """Width and height of a grid, pixels."""
    return min(count, columns) * CELL, -(-count // columns) * CELL


def grid_svg(samples: Sequence[Molecule]) -> str:
    """SVG text of the drawings, five in a row."""
    canvas = canvases().MolDraw2DSVG(*extent(len(samples), COLUMNS), CELL, CELL)
    draw(canvas, samples)
    return str(canvas.GetDrawingText())


def draw_grid(samples: Sequence[Molecule], path: Path, columns: int = COLUMNS) -> None:
    """PNG of the drawings, invalid ones as they are and marked, in rows of `columns`."""
    canvas = canvases().MolDraw2DCairo(*extent(len(samples), columns), CELL, CELL)
    draw(canvas, samples)
    path.write_bytes(canvas.GetDrawingText())
