from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem
from torch import Tensor
from unite_core.model import UniteModel
from unite_molecule.config import MoleculeConfig
from unite_molecule.conversion import from_rdkit
from unite_molecule.data import PARENTS, MoleculeDataset, open_dataset
from unite_molecule.layout import MoleculeBatch, concatenate, fold
from unite_molecule.types import Molecule

VALENCES = {1: 1, 6: 4, 7: 3, 8: 2, 9: 1}
ELEMENTS = {"heavy": [6, 7, 8, 9], "atom": [1, 6, 7, 8, 9]}
LARGEST = {"heavy": "7", "atom": "14"}


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def qm9() -> MoleculeDataset:
    """The training split of real QM9, prepared where that was not done."""
    if find_spec("qm9pack") is None:
        pytest.skip("qm9pack is not installed")
    return open_dataset(MoleculeConfig(source="qm9"), "train")


@pytest.fixture
def batch_of(build) -> Callable[..., MoleculeBatch]:
    """A batch of molecules from SMILES."""

    def make(*smiles: str, layout: str = "heavy", multiple: int = 1) -> MoleculeBatch:
        atoms = concatenate([build(s) for s in smiles])
        return fold(atoms, PARENTS[layout](atoms), multiple)

    return make


@pytest.fixture
def moved() -> Callable[..., MoleculeBatch]:
    """The batch turned by rotations [b, 3, 3] or one [3, 3], then shifted."""

    def move(batch: MoleculeBatch, rotation: Tensor, shift: float = 0.0) -> MoleculeBatch:
        turn = rotation.to(batch.coordinates).expand(len(batch), 3, 3)
        x = torch.einsum("bij,bnj->bni", turn, batch.coordinates) + shift
        offsets = torch.einsum("bij,bnkj->bnki", turn, batch.offsets)
        return replace(batch, coordinates=x * batch.mask[..., None], offsets=offsets)

    return move


@pytest.fixture
def small_model() -> Callable[..., UniteModel]:
    """An untrained model whose every weight counts: those that start at zero are drawn too."""

    def make(
        kind: str = "ordered", layout: str = "heavy", width: int = 32, **frame: Any
    ) -> UniteModel:
        torch.manual_seed(0)
        model = UniteModel(
            "molecule",
            data={
                "layout": layout,
                "frame": {"kind": kind, **frame},
                "decoder": {"width": width, "depth": 2, "heads": 2},
            },
            encoder={"width": width, "depth": 2, "heads": 2, "latent_dim": 8},
            statistics={
                "elements": ELEMENTS[layout],
                "charges": [-1, 0, 1],
                "total_charges": [0, 0],
                "states": [
                    [element, 0, h, VALENCES[element] - h]
                    for element in ELEMENTS[layout]
                    for h in (range(VALENCES[element] + 1) if layout == "heavy" else [0])
                ],
                "sizes": {"1": 2, "4": 10, LARGEST[layout]: 5},
            },
        )
        for parameter in model.parameters():
            if parameter.requires_grad and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.2)
        return model.eval()

    return make


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision for everything that is made in the test."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
