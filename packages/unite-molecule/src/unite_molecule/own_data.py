"""The user's own SDF and XYZ files, made ready for training."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from unite_molecule.bonds import SECONDS, perceive
from unite_molecule.conversion import canonical, check, sanitised, to_rdkit
from unite_molecule.formats import stream
from unite_molecule.store import Packed, join, pack
from unite_molecule.template import Rejected
from unite_molecule.types import Molecule

CHUNK = 1000
"""Molecules held as objects at a time."""


def with_bonds(molecules: list[Molecule]) -> list[Molecule | None]:
    """The molecules, with perceived bonds where the file gives none; None where that fails."""
    bare = [i for i, molecule in enumerate(molecules) if len(molecule.bonds) == 0]
    complete: list[Molecule | None] = list(molecules)
    found = perceive([molecules[i] for i in bare])
    for i, molecule in zip(bare, found, strict=True):
        complete[i] = molecule
    return complete


def trainable(molecule: Molecule | None) -> Molecule:
    """The molecule in canonical order, or Rejected where training on it would teach nonsense."""
    if molecule is None:
        raise Rejected(f"no bonds, and none that RDKit can perceive in {SECONDS:g} s")
    check(molecule.elements, molecule.coordinates)
    mol = sanitised(to_rdkit(molecule))
    if mol is None:
        raise Rejected("bonds that RDKit cannot sanitise")
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise Rejected("hydrogens missing, or a radical")
    return canonical(mol, molecule)


def chunks(molecules: Iterable[Molecule]) -> Iterator[list[Molecule]]:
    """Molecules in lists of up to CHUNK."""
    source = iter(molecules)
    while chunk := list(islice(source, CHUNK)):
        yield chunk


def read_files(files: list[Path]) -> tuple[Packed, Counter[str]]:
    """The usable molecules of some files, with bonds, and how many were rejected and why."""
    rejected: Counter[str] = Counter()
    parts: list[Packed] = []
    kept = 0
    for chunk in chunks(molecule for file in files for molecule in stream(file, rejected)):
        usable = []
        for molecule in with_bonds(chunk):
            try:
                usable.append(trainable(molecule))
            except Rejected as reason:
                rejected[str(reason)] += 1
        parts.append(pack(usable, range(kept, kept + len(usable))))
        kept += len(usable)
    return join(parts), rejected
