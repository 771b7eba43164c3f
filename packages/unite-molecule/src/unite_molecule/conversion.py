"""Between Molecule and RDKit's Mol."""

from dataclasses import replace

import numpy as np
from rdkit import Chem, rdBase

from unite_molecule.template import Rejected, canonical_order, reorder, walk
from unite_molecule.types import Molecule

ORDERS = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}

NOT_NUMBERS = "coordinates that are not numbers"

MOST_ATOMS = int(np.iinfo(np.int16).max)
"""More could not be told apart in `Molecule.bonds`."""


def to_rdkit(molecule: Molecule) -> Chem.Mol:
    """The molecule with conformer, bonds and charges, atoms in the same order, *not* sanitised.

    No hydrogen is implicit: after sanitisation a missing one shows as a radical electron.
    """
    mol = Chem.RWMol()
    for element, charge in zip(molecule.elements.tolist(), molecule.charges.tolist(), strict=True):
        atom = Chem.Atom(element)
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    for i, j, order in molecule.bonds.tolist():
        mol.AddBond(i, j, ORDERS[order])
    conformer = Chem.Conformer(len(molecule))
    conformer.SetPositions(molecule.coordinates.astype(np.float64))
    conformer.Set3D(True)
    mol.AddConformer(conformer)
    mol.UpdatePropertyCache(strict=False)
    return mol.GetMol()


def sanitised(mol: Chem.Mol) -> Chem.Mol | None:
    """A sanitised copy, or None where RDKit finds it impossible."""
    copy = Chem.Mol(mol)
    with rdBase.BlockLogs():
        failed = Chem.SanitizeMol(copy, catchErrors=True)
    return None if failed else copy


def kekulised(mol: Chem.Mol) -> Chem.Mol:
    """A copy with single, double and triple bonds only, or Rejected."""
    copy = Chem.Mol(mol)
    copy.UpdatePropertyCache(strict=False)
    try:
        with rdBase.BlockLogs():
            Chem.Kekulize(copy, clearAromaticFlags=True)
    except Chem.KekulizeException as error:
        raise Rejected("aromatic bonds that cannot be kekulised") from error
    return copy


def arrays(mol: Chem.Mol) -> Molecule:
    """A kekulised Mol's atoms and bonds in its own order, or Rejected."""
    if mol.GetNumConformers() == 0:
        raise Rejected("no coordinates")
    elements = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.uint8)
    coordinates = mol.GetConformer().GetPositions()
    check(elements, coordinates)
    bonds = []
    for bond in mol.GetBonds():
        order = bond.GetBondTypeAsDouble()
        if order not in ORDERS:
            raise Rejected("bond that is not single, double or triple")
        first, second = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        bonds.append((first, second, int(order)))
    return Molecule(
        elements=elements,
        coordinates=coordinates.astype(np.float32),
        charges=np.array([atom.GetFormalCharge() for atom in mol.GetAtoms()], dtype=np.int8),
        bonds=np.array(bonds, dtype=np.int16).reshape(-1, 3),
    )


def check(elements: np.ndarray, coordinates: np.ndarray) -> None:
    """Rejected for atoms, [n] and [n, 3] angstrom, that no part of the program can work with."""
    if len(elements) == 0:
        raise Rejected("no atom")
    if len(elements) > MOST_ATOMS:
        raise Rejected(f"more than {MOST_ATOMS:,} atoms")
    if (elements == 0).any():
        raise Rejected("unknown element")
    if not (np.abs(coordinates) <= np.finfo(np.float32).max).all():
        raise Rejected(NOT_NUMBERS)
    if len(elements) == 1:
        raise Rejected("single atom")
    if (elements == 1).all():
        raise Rejected("no heavy atom")


def canonical(mol: Chem.Mol, molecule: Molecule) -> Molecule:
    """The molecule in the order of its canonical SMILES, with it. `mol` is the same, sanitised."""
    ranks = np.arange(len(molecule))
    with rdBase.BlockLogs():
        smiles, ranks[molecule.elements != 1] = walk(Chem.RemoveAllHs(mol))
    order = canonical_order(molecule.elements, molecule.bonds, ranks)
    return replace(reorder(molecule, order), smiles=smiles)


def from_rdkit(mol: Chem.Mol) -> Molecule:
    """The molecule kekulised and in canonical order, or Rejected.

    Hydrogens must be explicit. A molecule that RDKit cannot sanitise is kept in its own order and
    without SMILES.
    """
    molecule = arrays(kekulised(mol))
    clean = sanitised(mol)
    return molecule if clean is None else canonical(clean, molecule)
