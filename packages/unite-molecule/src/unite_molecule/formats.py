"""Molecule files, by their ending."""

import csv
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO, TypeVar

from rdkit import Chem, rdBase
from unite_core.errors import ConfigurationError, DataError, StorageError, nearest

from unite_molecule.conversion import from_rdkit, sanitised, to_rdkit
from unite_molecule.records import read_sdf, read_xyz
from unite_molecule.types import Molecule

__all__ = ["READERS", "from_rdkit", "read_molecules", "stream", "to_rdkit", "write_molecules"]

log = logging.getLogger(__name__)

Reader = Callable[[Iterable[str], Counter[str]], Iterator[Molecule]]
Writer = Callable[[Sequence[Molecule], TextIO], None]

READERS: dict[str, Reader] = {".sdf": read_sdf, ".xyz": read_xyz}

Choice = TypeVar("Choice")

V2000_ATOMS = 999
"""The most that the classic SDF record can count."""


def by_ending(path: Path, known: dict[str, Choice]) -> Choice:
    """What belongs to the path's ending, or ConfigurationError."""
    ending = path.suffix.lower()
    if ending not in known:
        raise ConfigurationError(f"{path}: unknown ending {ending!r}{nearest(ending, known)}")
    return known[ending]


def stream(path: Path, rejected: Counter[str]) -> Iterator[Molecule]:
    """The molecules of an SDF or XYZ file one by one; bad records are counted in `rejected`.

    SDF molecules come in canonical order, XYZ ones in their own and without bonds, which
    `bonds.perceive` finds.
    """
    reader = by_ending(path, READERS)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from reader(file, rejected)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def read_molecules(path: Path) -> tuple[list[Molecule], Counter[str]]:
    """All molecules of an SDF or XYZ file, and how many records were rejected for which reason."""
    rejected: Counter[str] = Counter()
    return list(stream(path, rejected)), rejected


def stereo_smiles(molecule: Molecule) -> str:
    """Canonical SMILES with the stereo of the coordinates, empty where RDKit cannot sanitise."""
    mol = sanitised(to_rdkit(molecule))
    if mol is None:
        return ""
    with rdBase.BlockLogs():
        Chem.AssignStereochemistryFrom3D(mol)
        return str(Chem.MolToSmiles(Chem.RemoveHs(mol)))


def write_sdf(molecules: Sequence[Molecule], file: TextIO) -> None:
    """Every molecule, valid or not; V3000 where V2000 cannot count the atoms."""
    for molecule in molecules:
        mol = to_rdkit(molecule)
        mol.SetProp("_Name", molecule.smiles)
        large = max(len(molecule), len(molecule.bonds)) > V2000_ATOMS
        file.write(Chem.MolToMolBlock(mol, kekulize=False, forceV3000=large) + "$$$$\n")


def write_xyz(molecules: Sequence[Molecule], file: TextIO) -> None:
    """Elements and coordinates in angstrom."""
    table = Chem.GetPeriodicTable()
    for molecule in molecules:
        file.write(f"{len(molecule)}\n{molecule.smiles}\n")
        for element, (x, y, z) in zip(molecule.elements, molecule.coordinates, strict=True):
            symbol = table.GetElementSymbol(int(element))
            file.write(f"{symbol} {x:.6f} {y:.6f} {z:.6f}\n")


def write_smiles(molecules: Sequence[Molecule], file: TextIO) -> None:
    """A line for each molecule that has a SMILES; the others are counted in a warning."""
    lines = [smiles for smiles in map(stereo_smiles, molecules) if smiles]
    file.writelines(f"{line}\n" for line in lines)
    if len(lines) < len(molecules):
        missing = len(molecules) - len(lines)
        log.warning("%d of %d molecules have no valid SMILES", missing, len(molecules))


def write_csv(molecules: Sequence[Molecule], file: TextIO) -> None:
    """A row for each molecule; the SMILES is empty where it has none."""
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["number", "smiles", "atoms", "heavy_atoms", "charge"])
    for number, molecule in enumerate(molecules):
        heavy = int((molecule.elements != 1).sum())
        charge = int(molecule.charges.sum())
        rows.writerow([number, stereo_smiles(molecule), len(molecule), heavy, charge])


WRITERS: dict[str, Writer] = {
    ".sdf": write_sdf,
    ".xyz": write_xyz,
    ".smi": write_smiles,
    ".csv": write_csv,
}


def write_molecules(molecules: Sequence[Molecule], path: Path) -> None:
    """Saves as SDF, XYZ, SMILES or CSV by the ending. ConfigurationError, StorageError."""
    writer = by_ending(path, WRITERS)
    try:
        with path.open("w", encoding="utf-8") as file:
            writer(molecules, file)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
