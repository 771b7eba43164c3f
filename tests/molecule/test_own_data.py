"""A user's file with every fault at once: each is counted by its name, and the rest goes on."""

import time

import pytest
from unite_core.errors import DataError
from unite_molecule.config import MoleculeConfig
from unite_molecule.formats import write_molecules
from unite_molecule.modality import MoleculeModality
from unite_molecule.own_data import read_files, trainable
from unite_molecule.prepare import prepare
from unite_molecule.template import Rejected


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def record(build, tmp_path):
    """The lines of ethanol's SDF record."""
    write_molecules([build("CCO")], tmp_path / "one.sdf")
    return (tmp_path / "one.sdf").read_text().splitlines()


def faults(record):
    """Spoilt copies of the record, by the reason that they should be rejected for."""
    atom = record[4]
    unknown = [*record[:4], atom.replace(" C ", " Qq"), *record[5:]]
    infinite = [*record[:4], "       nan" + atom[10:], *record[5:]]
    lying = [*record[:3], "999" + record[3][3:], *record[4:]]
    single = [*record[:3], "  1  0" + record[3][6:], atom, "M  END", "$$$$"]
    return {
        "unreadable record": [["garbage", "more of it", "$$$$"], lying],
        "unknown element": [unknown],
        "coordinates that are not numbers": [infinite],
        "single atom": [single],
    }


def write(path, records):
    path.write_text("".join(f"{line}\n" for record in records for line in record))
    return path


def test_faults_are_counted_by_name_and_the_rest_goes_on(record, without, build, tmp_path):
    spoilt = faults(record)
    records = [record, *(one for group in spoilt.values() for one in group), record]
    path = write(tmp_path / "own.sdf", records)
    write_molecules([without(build("CCO"), -1)], tmp_path / "radical.sdf")
    packed, rejected = read_files([path, tmp_path / "radical.sdf"])
    expected = {reason: len(group) for reason, group in spoilt.items()}
    assert rejected == {**expected, "hydrogens missing, or a radical": 1}
    assert packed.smiles == ["CCO", "CCO"]
    assert packed.index.tolist() == [0, 1]


def test_nothing_usable_left_is_a_data_error(record, tmp_path):
    path = write(tmp_path / "own.sdf", [r for group in faults(record).values() for r in group])
    with pytest.raises(DataError, match="no usable molecule") as caught:
        prepare(str(path))
    assert "1 unknown element" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_molecule_over_which_rdkit_hangs_is_killed_and_counted(build, tmp_path):
    """A zigzag of 25 sulfurs, each of which could have two, four or six bonds."""
    sulfurs = "".join(f"S {1.68 * i:.2f} {1.17 * (i % 2):.2f} 0\n" for i in range(25))
    write_molecules([build("CCO")], tmp_path / "own.xyz")
    whole = (tmp_path / "own.xyz").read_text()
    (tmp_path / "own.xyz").write_text(f"{whole}25\nhangs\n{sulfurs}{whole}")
    start = time.monotonic()
    packed, rejected = read_files([tmp_path / "own.xyz"])
    assert 5 < time.monotonic() - start < 15
    assert packed.smiles == ["CCO", "CCO"]
    assert rejected == {"no bonds, and none that RDKit can perceive in 5 s": 1}


def test_molecule_without_bonds_is_named():
    with pytest.raises(Rejected, match="none that RDKit can perceive"):
        trainable(None)


def test_trainable_molecules_are_in_canonical_order(build):
    molecule = build("OCC")
    assert trainable(molecule).smiles == "CCO"


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("CCCCC", "more than the model's 4 latents"),
        ("CS", "element that the model was not trained on"),
        ("C[NH3+]", "formal charge that the model was not trained on"),
    ],
)
def test_what_the_model_does_not_know_is_named(build, smiles, reason):
    statistics = {
        "elements": [6, 7],
        "charges": [0],
        "states": [[6, 0, 3, 1], [7, 0, 2, 1]],
        "total_charges": [0, 0],
        "sizes": {"4": 1},
    }
    modality = MoleculeModality(MoleculeConfig(), statistics)
    accepted, refused = modality.accept([build(smiles), build("CC")])
    assert refused == {reason: 1}
    assert [m.smiles for m in accepted] == ["CC"]
