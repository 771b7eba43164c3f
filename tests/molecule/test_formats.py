import logging
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem
from unite_core.errors import ConfigurationError, DataError, StorageError
from unite_molecule.conversion import from_rdkit, sanitised, to_rdkit
from unite_molecule.formats import read_molecules, write_molecules
from unite_molecule.template import Rejected
from unite_molecule.types import Molecule

SMILES = ["CCO", "c1ccoc1", "[NH3+]CC(=O)[O-]", "CC#N", "C[C@H](N)O"]
WATER = "3\nwater\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"


def same(a, b, tolerance=1e-4):
    np.testing.assert_array_equal(a.elements, b.elements)
    np.testing.assert_array_equal(a.charges, b.charges)
    np.testing.assert_array_equal(a.bonds, b.bonds)
    np.testing.assert_allclose(a.coordinates, b.coordinates, atol=tolerance)


def test_rdkit_round_trip_is_the_identity(build):
    for molecule in map(build, SMILES):
        same(from_rdkit(to_rdkit(molecule)), molecule)


def test_order_is_canonical(build):
    rng = np.random.default_rng(0)
    for molecule in map(build, ["CCO", "c1ccoc1", "CC#N"]):
        mol = to_rdkit(molecule)
        mixed = Chem.RenumberAtoms(mol, rng.permutation(len(molecule)).tolist())
        again = from_rdkit(mixed)
        heavy = molecule.elements != 1
        np.testing.assert_array_equal(again.bonds, molecule.bonds)
        np.testing.assert_array_equal(again.elements, molecule.elements)
        assert heavy.argmin() == heavy.sum(), "heavy atoms come first"


def test_aromatic_molecules_are_kekulised():
    mol = Chem.AddHs(Chem.MolFromSmiles("c1ccccc1"))
    mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
    assert np.bincount(from_rdkit(mol).bonds[:, 2]).tolist() == [0, 9, 3]


def test_invalid_molecules_are_kept(build):
    ethanol = build("CCO")
    bonds = ethanol.bonds.copy()
    bonds[0, 2] = 3
    broken = from_rdkit(to_rdkit(replace(ethanol, bonds=bonds)))
    assert len(broken) == len(ethanol)
    assert broken.smiles == ""
    assert sanitised(to_rdkit(broken)) is None


def test_no_conformer_is_rejected():
    with pytest.raises(Rejected, match="no coordinates"):
        from_rdkit(Chem.AddHs(Chem.MolFromSmiles("CCO")))


def test_sdf_round_trip(build, tmp_path):
    molecules = [build(smiles) for smiles in SMILES]
    write_molecules(molecules, tmp_path / "a.sdf")
    again, rejected = read_molecules(tmp_path / "a.sdf")
    assert rejected.total() == 0
    for a, b in zip(again, molecules, strict=True):
        same(a, b)


def test_xyz_round_trip_keeps_atoms(build, tmp_path):
    molecules = [build(smiles) for smiles in SMILES]
    write_molecules(molecules, tmp_path / "a.xyz")
    again, rejected = read_molecules(tmp_path / "a.xyz")
    assert rejected.total() == 0
    for a, b in zip(again, molecules, strict=True):
        np.testing.assert_array_equal(a.elements, b.elements)
        np.testing.assert_allclose(a.coordinates, b.coordinates, atol=1e-5)


def test_molecules_beyond_v2000_are_written(tmp_path):
    count = 1200
    chain = Molecule(
        elements=np.full(count, 6, dtype=np.uint8),
        coordinates=np.arange(3 * count, dtype=np.float32).reshape(-1, 3),
        charges=np.zeros(count, dtype=np.int8),
        bonds=np.array([(i, i + 1, 1) for i in range(count - 1)], dtype=np.int16),
    )
    write_molecules([chain], tmp_path / "a.sdf")
    again, _ = read_molecules(tmp_path / "a.sdf")
    assert len(again[0]) == count


def test_smiles_have_a_line_for_each_valid_molecule(build, without, tmp_path, caplog):
    ethanol = build("CCO")
    bonds = ethanol.bonds.copy()
    bonds[0, 2] = 3
    molecules = [build("C[C@H](N)O"), replace(ethanol, bonds=bonds)]
    with caplog.at_level(logging.WARNING):
        write_molecules(molecules, tmp_path / "a.smi")
    assert (tmp_path / "a.smi").read_text() == "C[C@H](N)O\n"
    assert "1 of 2" in caplog.text


def test_csv_has_a_row_for_each_molecule(build, tmp_path):
    write_molecules([build("CCO")], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == "0,CCO,9,3,0"


def test_paths_are_checked(build, tmp_path):
    with pytest.raises(ConfigurationError, match=r"did you mean '.sdf'"):
        write_molecules([], tmp_path / "a.sd")
    with pytest.raises(StorageError, match="cannot write"):
        write_molecules([], tmp_path / "nowhere" / "a.sdf")
    with pytest.raises(DataError, match="cannot read"):
        read_molecules(tmp_path / "none.sdf")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello\nworld\n", "unreadable record"),
        ("2\n\nXx 0 0 0\nH 0 0 1\n", "unknown element"),
        ("1\n\nH 0 0 0\n", "single atom"),
        ("2\n\nH 0 0 nan\nH 0 0 1\n", "coordinates that are not numbers"),
        ("100000000\n\nH 0 0 0\nH 0 0 1\n", "atom count that does not fit the atoms"),
        ("1\n\nH 0 0 0\nH 0 0 1\n", "atom count that does not fit the atoms"),
        ("0\n\n", "no atom"),
        ("9" * 5000 + "\n\nH 0 0 0\n", "unreadable record"),
        ("2\n\n" + "9" * 5000 + " 0 0 0\nH 0 0 1\n", "unknown element"),
        ("2\n\nO 0 0 1e39\nH 0 0 1\n", "coordinates that are not numbers"),
        ("2\n\nH 0 0 0\nH 0 0 0.74\n", "no heavy atom"),
        ("32768\n\n" + "C 0 0 0\n" * 32768, "more than 32,767 atoms"),
    ],
)
def test_bad_frames_are_counted_and_the_rest_goes_on(tmp_path, text, reason):
    (tmp_path / "a.xyz").write_text(WATER + text + WATER)
    molecules, rejected = read_molecules(tmp_path / "a.xyz")
    assert len(molecules) == 2
    assert rejected == {reason: 1}


def test_a_lying_header_allocates_nothing(tmp_path):
    (tmp_path / "a.xyz").write_text("100000000\n\nH 0 0 0\n")
    tracemalloc.start()
    read_molecules(tmp_path / "a.xyz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def edit(block, line, text):
    lines = block.splitlines()
    lines[line] = text
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("line", "text", "reason"),
    [
        (3, "garbage", "unreadable record"),
        (3, "999  8  0  0  0  0  0  0  0  0999 V2000", "unreadable record"),
        (4, "    0.0000    0.0000    0.0000 Qq  0  0  0  0", "unknown element"),
        (4, "       nan    0.0000    0.0000 C   0  0  0  0", "coordinates that are not numbers"),
    ],
)
def test_bad_records_are_counted_and_the_rest_goes_on(build, tmp_path, line, text, reason):
    block = Chem.MolToMolBlock(to_rdkit(build("CCO")))
    bad = edit(block, line, text)
    (tmp_path / "a.sdf").write_text(f"{block}$$$$\n{bad}$$$$\n{block}$$$$\n")
    molecules, rejected = read_molecules(tmp_path / "a.sdf")
    assert len(molecules) == 2
    assert rejected == {reason: 1}


def test_records_that_no_molecule_can_hold_are_counted(build, tmp_path):
    hydrogen = Chem.AddHs(Chem.MolFromSmiles("[2H][3H]"))
    chain = Chem.MolFromSmiles("C" * 32768, sanitize=False)
    blocks = [Chem.MolToMolBlock(to_rdkit(build("CCO")))]
    for mol in (hydrogen, chain):
        mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
        blocks.append(Chem.MolToMolBlock(mol, kekulize=False, forceV3000=True))
    (tmp_path / "a.sdf").write_text("$$$$\n".join([*blocks, blocks[0]]))
    molecules, rejected = read_molecules(tmp_path / "a.sdf")
    assert len(molecules) == 2
    assert rejected == {"no heavy atom": 1, "more than 32,767 atoms": 1}


def test_aromatic_records_are_kekulised(build, tmp_path):
    mol = Chem.MolFromMolBlock(Chem.MolToMolBlock(to_rdkit(build("c1ccccc1"))), removeHs=False)
    (tmp_path / "a.sdf").write_text(Chem.MolToMolBlock(mol, kekulize=False) + "$$$$\n")
    molecules, _ = read_molecules(tmp_path / "a.sdf")
    assert np.bincount(molecules[0].bonds[:, 2]).tolist() == [0, 9, 3]
    assert molecules[0].smiles == "c1ccccc1"
