from dataclasses import replace

import numpy as np
import pytest
from unite_molecule.chemistry import INVALID, assess, inchi


@pytest.mark.parametrize(
    ("smiles", "name"),
    [("CCO", "CCO"), ("c1ccoc1", "c1ccoc1"), ("[NH3+]CC(=O)[O-]", "[NH3+]CC(=O)[O-]")],
)
def test_whole_molecules_are_strictly_valid(build, smiles, name):
    verdict = assess(build(smiles))
    assert verdict.whole
    assert verdict.strict
    assert verdict.smiles == name


def test_missing_hydrogen_passes_the_lenient_test_alone(build, without):
    verdict = assess(without(build("CCO"), -1))
    assert not verdict.strict
    assert verdict.smiles == "CCO"


def test_atoms_without_bonds_are_no_molecule(build):
    apart = replace(build("CCO"), bonds=np.empty((0, 3), dtype=np.int16))
    assert assess(apart) == INVALID


def test_fragments_are_not_strictly_valid(build):
    verdict = assess(build("CCO.O"))
    assert verdict.whole
    assert not verdict.strict
    assert verdict.smiles == "CCO"


def test_five_bonds_on_carbon_are_invalid(build):
    ethanol = build("CCO")
    bonds = ethanol.bonds.copy()
    bonds[0, 2] = 3
    verdict = assess(replace(ethanol, bonds=bonds))
    assert not verdict.whole
    assert verdict.smiles is None


def test_names_do_not_depend_on_atom_order(build):
    alanine = build("CC(N)C(=O)O")
    order = np.random.default_rng(0).permutation(len(alanine))
    place = np.argsort(order)
    pairs = np.sort(place[alanine.bonds[:, :2]], axis=1)
    shuffled = replace(
        alanine,
        elements=alanine.elements[order],
        coordinates=alanine.coordinates[order],
        charges=alanine.charges[order],
        bonds=np.column_stack([pairs, alanine.bonds[:, 2]]).astype(np.int16),
    )
    assert assess(shuffled).smiles == assess(alanine).smiles
    assert inchi(shuffled) == inchi(alanine)


def test_inchi_tells_mirror_images_apart(build):
    chiral = build("C[C@H](N)C(=O)O")
    mirrored = replace(chiral, coordinates=chiral.coordinates * np.float32([-1, 1, 1]))
    assert inchi(chiral) != inchi(mirrored)
    assert assess(chiral).smiles == assess(mirrored).smiles
