import os
import time
from dataclasses import replace

import numpy as np
from unite_molecule import bonds
from unite_molecule.bonds import perceive


def bare(molecule):
    return replace(molecule, bonds=molecule.bonds[:0], charges=np.zeros_like(molecule.charges))


def test_bonds_are_found_again(build):
    molecules = [build(smiles) for smiles in ("CCO", "CC#N", "C=O", "[NH3+]CC(=O)[O-]")]
    for found, molecule in zip(perceive([bare(m) for m in molecules]), molecules, strict=True):
        assert found is not None
        np.testing.assert_array_equal(found.elements, molecule.elements)
        np.testing.assert_array_equal(found.bonds[:, :2], molecule.bonds[:, :2])
        assert found.bonds[:, 2].sum() == molecule.bonds[:, 2].sum()
        assert found.charges.sum() == 0


def test_small_rings_are_not_bonded_across(build):
    cage = build("C1C2CC1C2")
    found = perceive([bare(cage)])[0]
    assert found is not None
    np.testing.assert_array_equal(found.bonds, cage.bonds)


def test_impossible_molecules_give_none(build, without):
    assert perceive([bare(without(build("CCO"), -1))]) == [None]
    assert perceive([]) == []


def test_hanging_and_crashing_perception_costs_one_molecule(build, monkeypatch):
    ethanol, formaldehyde, nitrile = build("CCO"), build("C=O"), build("CC#N")

    def treacherous(molecule):
        if len(molecule) == len(ethanol):
            time.sleep(60)
        if len(molecule) == len(nitrile):
            os._exit(11)
        return molecule

    monkeypatch.setattr(bonds, "determine", treacherous)
    start = time.monotonic()
    found = perceive([formaldehyde, ethanol, nitrile] * 2 + [formaldehyde], seconds=0.1)
    assert time.monotonic() - start < 5
    assert [molecule is None for molecule in found] == [False, True, True] * 2 + [False]
