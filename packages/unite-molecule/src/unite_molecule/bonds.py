"""Bonds from coordinates alone, by RDKit in processes that are killed when it hangs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

from unite_molecule.conversion import to_rdkit
from unite_molecule.killable import attempt
from unite_molecule.types import Molecule

REACH = 1.13
"""Bonds reach this far, in sums of covalent radii. Of 1,500 QM9 molecules 1,499 come back right;
with RDKit's default of 1.3, 1,408: it bonds across small rings."""

SECONDS = 5.0
"""Time for a molecule. RDKit tries all combinations of valences: for many sulfurs without end."""


def determine(molecule: Molecule) -> Molecule | None:
    """The molecule with bonds and charges that RDKit perceives, None where it finds none.

    The total charge is kept. May take for ever: use `perceive`.
    """
    bare = replace(molecule, bonds=np.zeros((0, 3), dtype=np.int16))
    mol = to_rdkit(replace(bare, charges=np.zeros_like(molecule.charges)))
    try:
        with rdBase.BlockLogs():
            rdDetermineBonds.DetermineBonds(
                mol,
                charge=int(molecule.charges.sum()),
                useVdw=True,
                covFactor=REACH,
                embedChiral=False,
            )
            Chem.Kekulize(mol, clearAromaticFlags=True)
    except (ValueError, RuntimeError):  # RDKit's way to say that no assignment fits
        return None
    bonds = [
        (*sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())), int(b.GetBondTypeAsDouble()))
        for b in mol.GetBonds()
    ]
    return replace(
        molecule,
        charges=np.array([a.GetFormalCharge() for a in mol.GetAtoms()], dtype=np.int8),
        bonds=np.array(sorted(bonds), dtype=np.int16).reshape(-1, 3),
    )


def perceive(molecules: Sequence[Molecule], seconds: float = SECONDS) -> list[Molecule | None]:
    """Each molecule with perceived bonds and charges, atoms in the same order.

    None where RDKit finds no bonds or takes longer than `seconds`.
    """
    return attempt(determine, molecules, seconds)
