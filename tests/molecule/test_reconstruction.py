from dataclasses import replace

import numpy as np
import pytest
import torch
from unite_molecule.geometry import random_rotations
from unite_molecule.reconstruction import best_rmsd, compare, hydrogens, score_reconstruction
from unite_molecule.types import Molecule


def moved(molecule: Molecule) -> Molecule:
    rotation = random_rotations(1, torch.Generator().manual_seed(3))[0].numpy()
    return replace(molecule, coordinates=molecule.coordinates @ rotation.T + np.float32(2.0))


def mirrored(molecule: Molecule) -> Molecule:
    return replace(molecule, coordinates=molecule.coordinates * np.float32([-1, 1, 1]))


def test_moved_molecule_is_found(build):
    alanine = build("C[C@H](N)C(=O)O")
    table = score_reconstruction([alanine], [moved(alanine)])
    assert table["elements_exact"] == table["match"] == table["found"] == 1.0
    assert table["rmsd"] == pytest.approx(0.0, abs=1e-5)
    assert table["mirrored"] == 0.0


def test_mirror_image_is_told_apart(build):
    alanine = build("C[C@H](N)C(=O)O")
    table = score_reconstruction([alanine, alanine], [mirrored(alanine), alanine])
    assert table["match"] == 0.5
    assert table["mirrored"] == 0.5
    assert table["rmsd"] > 0.1
    assert table["rmsd_matched"] == pytest.approx(0.0, abs=1e-5)


def test_hydrogens_of_an_atom_are_exchangeable(build):
    ethanol = build("CCO")
    swapped = ethanol.coordinates.copy()
    first, second = next(group for group in hydrogens(ethanol).values() if len(group) == 2)
    swapped[[first, second]] = swapped[[second, first]]
    assert best_rmsd(ethanol, swapped) == pytest.approx(0.0, abs=1e-5)


def test_hydrogens_of_different_atoms_are_not(build):
    ethanol = build("CCO")
    swapped = ethanol.coordinates.copy()
    first, second, _ = (group[0] for group in hydrogens(ethanol).values())
    swapped[[first, second]] = swapped[[second, first]]
    assert best_rmsd(ethanol, swapped) > 0.5


def test_symmetric_heavy_atoms_are_exchangeable(build):
    fluoropropane = build("CC(F)C")
    swapped = fluoropropane.coordinates.copy()
    first, second = ([c, *h] for c, h in hydrogens(fluoropropane).items() if len(h) == 3)
    swapped[first + second] = swapped[second + first]
    assert best_rmsd(fluoropropane, swapped) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("smiles", ["O", "C", "C#N"])
def test_small_molecules_have_an_rmsd(build, smiles):
    molecule = build(smiles)
    assert best_rmsd(molecule, moved(molecule).coordinates) == pytest.approx(0.0, abs=1e-5)


def test_wrong_element_is_seen(build):
    ethanol = build("CCO")
    elements = ethanol.elements.copy()
    elements[elements == 8] = 7
    result = compare(ethanol, replace(ethanol, elements=elements))
    assert not result.elements
    assert not result.match


def test_lost_hydrogen_leaves_no_rmsd(build, without):
    ethanol = build("CCO")
    table = score_reconstruction([ethanol], [without(ethanol, -1)])
    assert table["elements_exact"] == table["found"] == table["match"] == 0.0
    assert table["rmsd"] is None
