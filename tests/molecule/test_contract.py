"""The molecule modality keeps the contract, on a handful of molecules in a file."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from unite_core.config import RunConfig
from unite_core.recipes import load_recipe
from unite_core.testing import ModalityContract
from unite_molecule.formats import write_molecules
from unite_molecule.types import Molecule

SMILES = (
    "C", "N", "CC", "CO", "CN", "C=O", "C#N", "CCO", "CC=O", "CC#N", "NC=O", "OCO", "CCN", "COC",
    "CF", "C1CC1", "C1CO1", "CC(C)O", "CC(N)=O", "OCC=O",
)  # fmt: skip


class TestMolecule(ModalityContract):
    recipe = "qm9-demo"
    overrides: ClassVar = [
        "encoder={width: 32, depth: 2, heads: 2, latent_dim: 8}",
        "data.decoder={width: 32, depth: 2, heads: 2}",
    ]
    overfit_steps = 60

    @pytest.fixture(scope="class")
    @classmethod
    def config(
        cls, build: Callable[[str], Molecule], tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[RunConfig]:
        place = tmp_path_factory.mktemp("molecules")
        write_molecules([build(smiles) for smiles in SMILES], place / "own.sdf")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("UNITE_CACHE", str(place / "cache"))
            yield load_recipe(cls.recipe, [*cls.overrides, f"data.source={place / 'own.sdf'}"])
