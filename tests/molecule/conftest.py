from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem
from unite_molecule.conversion import from_rdkit
from unite_molecule.types import Molecule


@pytest.fixture
def build() -> Callable[[str], Molecule]:
    """A molecule from SMILES, with hydrogens and force-field geometry."""

    def make(smiles: str) -> Molecule:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
        AllChem.MMFFOptimizeMolecule(mol)
        return from_rdkit(mol)

    return make


@pytest.fixture
def without() -> Callable[[Molecule, int], Molecule]:
    """The molecule without one of its atoms and the bonds of that atom."""

    def cut(molecule: Molecule, atom: int) -> Molecule:
        atom %= len(molecule)
        kept = np.delete(np.arange(len(molecule)), atom)
        bonds = molecule.bonds[(molecule.bonds[:, :2] != atom).all(1)].copy()
        bonds[:, :2] -= bonds[:, :2] > atom
        return replace(
            molecule,
            elements=molecule.elements[kept],
            coordinates=molecule.coordinates[kept],
            charges=molecule.charges[kept],
            bonds=bonds,
        )

    return cut
