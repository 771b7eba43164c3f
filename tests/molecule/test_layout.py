from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unite_molecule.data import PARENTS
from unite_molecule.layout import MAX_HYDROGENS, concatenate, fold, unfold
from unite_molecule.template import reorder
from unite_molecule.types import Molecule

LAYOUTS = ["heavy", "atom"]
SMILES = ["CCO", "C", "C#N", "[NH3+]CC(=O)[O-]", "FC(F)F", "c1ccoc1"]


def bare(elements, x, bonds) -> Molecule:
    return Molecule(
        elements=np.array(elements, dtype=np.uint8),
        coordinates=np.array(x, dtype=np.float32).reshape(-1, 3),
        charges=np.zeros(len(elements), dtype=np.int8),
        bonds=np.array(bonds, dtype=np.int16).reshape(-1, 3),
    )


def back(molecules: list[Molecule], layout: str, multiple: int = 1) -> list[Molecule]:
    atoms = concatenate(molecules)
    return unfold(fold(atoms, PARENTS[layout](atoms), multiple))


def content(molecule: Molecule) -> tuple:
    """Atoms by their coordinates, and bonds between them, whatever the order."""
    names = [
        (int(e), int(q), *np.round(x.astype(float), 3).tolist())
        for e, q, x in zip(molecule.elements, molecule.charges, molecule.coordinates, strict=True)
    ]
    bonds = sorted(
        (*sorted((names[i], names[j])), order) for i, j, order in molecule.bonds.tolist()
    )
    return sorted(names), bonds


def assert_same(found: list[Molecule], molecules: list[Molecule]) -> None:
    for a, b in zip(found, molecules, strict=True):
        assert content(a) == content(b)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("multiple", [1, 7])
def test_molecules_come_back_whole(build, layout, multiple):
    molecules = [build(smiles) for smiles in SMILES]
    assert_same(back(molecules, layout, multiple), molecules)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_canonical_order_survives(build, layout):
    for molecule in (build(smiles) for smiles in SMILES):
        np.testing.assert_array_equal(back([molecule], layout)[0].elements, molecule.elements)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_atom_order_comes_back_whole(build, layout, data):
    molecule = build("[NH3+]CC(=O)[O-]")
    order = data.draw(st.permutations(range(len(molecule))))
    shuffled = reorder(molecule, np.array(order))
    assert_same(back([shuffled, molecule], layout), [molecule, molecule])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hydrogen_molecule_comes_back(layout):
    hydrogen = bare([1, 1], [[0, 0, 0], [0.74, 0, 0]], [[0, 1, 1]])
    assert_same(back([hydrogen], layout), [hydrogen])


def test_lone_hydrogen_has_a_token_of_its_own():
    salt = bare([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [5, 0, 0]], [[0, 1, 1]])
    atoms = concatenate([salt])
    batch = fold(atoms, PARENTS["heavy"](atoms))
    assert batch.elements.tolist() == [[8, 1]]
    assert batch.hydrogens.tolist() == [[1, 0]]
    assert_same(unfold(batch), [salt])


def test_hydrogens_beyond_the_slots_get_tokens_of_their_own():
    rays = np.vstack([np.eye(3), -np.eye(3)])[: MAX_HYDROGENS + 1]
    phosphorane = bare([15, *[1] * 5], [[0, 0, 0], *rays], [[0, i, 1] for i in range(1, 6)])
    atoms = concatenate([phosphorane])
    batch = fold(atoms, PARENTS["heavy"](atoms))
    assert batch.hydrogens.tolist() == [[MAX_HYDROGENS, 0]]
    assert batch.bonds[0].tolist() == [[0, 1], [1, 0]]
    assert_same(unfold(batch), [phosphorane])


def test_hydrogens_lie_at_their_offsets(build):
    methane = build("C")
    atoms = concatenate([methane])
    batch = fold(atoms, PARENTS["heavy"](atoms))
    np.testing.assert_allclose(batch.offsets[0, 0].norm(dim=-1), 1.09, atol=0.02)
    assert batch.filled[0, 0].all()


def test_padding_is_empty(build):
    molecules = [build("CCO"), build("C")]
    atoms = concatenate(molecules)
    batch = fold(atoms, PARENTS["heavy"](atoms), 4)
    assert batch.mask.sum(1).tolist() == [3, 1]
    for name in ("elements", "coordinates", "charges", "hydrogens", "offsets"):
        assert not getattr(batch, name)[~batch.mask].any(), name
    np.testing.assert_array_equal(batch.bonds, batch.bonds.mT)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_real_molecules_come_back_whole(qm9, layout):
    molecules = [replace(qm9.store[int(row)], properties={}) for row in qm9.rows[:500]]
    assert_same(back(molecules, layout), molecules)
