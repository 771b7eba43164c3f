from importlib.util import find_spec

import numpy as np
import pyarrow as pa
import pytest
from unite_core.errors import DataError
from unite_molecule import qm9
from unite_molecule.chemistry import canonical_smiles
from unite_molecule.conversion import sanitised, to_rdkit
from unite_molecule.template import Rejected, from_template

needs_qm9 = pytest.mark.skipif(find_spec("qm9pack") is None, reason="qm9pack is not installed")

FORMALDEHYDE = np.array([[0.0, 1.18, 0.0], [0.0, 0.0, 0.0], [0.94, 1.77, 0.0], [-0.94, 1.77, 0.0]])
CH2O = np.array([6, 8, 1, 1])


def test_mathematica_numbers_are_read():
    column = pa.chunked_array([["[[0.,1.5*^-6,-2.]]", "[[1.,2.,3.],[4.,5.,6.*^1]]"]])
    read = qm9.read_coordinates(column, np.array([1, 2]))
    np.testing.assert_allclose(read, [[0, 1.5e-6, -2], [1, 2, 3], [4, 5, 60]])


def test_atom_count_must_fit_the_coordinates():
    with pytest.raises(DataError, match="row 1"):
        qm9.read_coordinates(pa.chunked_array([["[[0.,1.,2.]]"] * 2]), np.array([1, 2]))


def test_missing_package_names_the_remedy(monkeypatch):
    monkeypatch.setattr(qm9, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install qm9pack==1\.0\.3"):
        qm9.data_folder()


def test_template_gives_orders_and_canonical_order():
    molecule = from_template("C=O", CH2O[[1, 2, 0, 3]], FORMALDEHYDE[[1, 2, 0, 3]])
    assert molecule.bonds[molecule.bonds[:, 2] == 2].shape == (1, 3)
    assert (np.diff(molecule.elements == 1) >= 0).all()
    again = from_template("C=O", CH2O, FORMALDEHYDE)
    np.testing.assert_array_equal(molecule.bonds, again.bonds)
    np.testing.assert_array_equal(molecule.elements, again.elements)


@pytest.mark.parametrize("smiles", ["CO", "CC=O", "C#N"])
def test_template_of_another_molecule_is_rejected(smiles):
    with pytest.raises(Rejected):
        from_template(smiles, CH2O, FORMALDEHYDE)


def test_short_bonds_get_the_higher_orders(build):
    """Cyclooctatetraene's skeleton is symmetric: only lengths tell where the double bonds are."""
    ring = build("C1=CC=CC=CC=C1")
    again = from_template("C1=CC=CC=CC=C1", ring.elements, ring.coordinates)
    np.testing.assert_array_equal(again.bonds, ring.bonds)


@needs_qm9
def test_real_molecules_are_what_their_smiles_says():
    records = next(iter(qm9.read_records(qm9.data_folder()).chunks()))
    np.testing.assert_array_equal(records.index[:4], [1, 2, 3, 4])
    packed, rejected = qm9.assign(records)
    assert len(packed.index) + rejected.total() == qm9.CHUNK
    assert rejected.total() <= 2
    np.testing.assert_allclose(packed.properties["gap"][0], 0.5048)


@needs_qm9
@pytest.mark.slow
def test_all_of_qm9_survives_sanitisation_with_the_same_smiles():
    packed, rejected = qm9.read_qm9()
    assert (len(packed.index), rejected.total()) == (130_829, 2)


def test_charges_come_from_the_smiles(build):
    glycine = build("[NH3+]CC(=O)[O-]")
    again = from_template("[NH3+]CC(=O)[O-]", glycine.elements, glycine.coordinates)
    assert sorted(again.charges.tolist())[:1] == [-1]
    assert again.charges.sum() == 0
    mol = sanitised(to_rdkit(again))
    assert mol is not None
    assert canonical_smiles(mol) == again.smiles == glycine.smiles
