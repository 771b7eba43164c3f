import numpy as np
import pytest
from unite_core.errors import DataError
from unite_molecule import prepare as module
from unite_molecule.formats import write_molecules
from unite_molecule.prepare import open_store, prepare, split_rows


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sdf(build, tmp_path):
    path = tmp_path / "own.sdf"
    write_molecules([build(smiles) for smiles in ("CCO", "C=O", "CC#N")], path)
    with path.open("a") as file:
        file.write("garbage\n$$$$\n")
    return path


def test_report_names_the_reasons(sdf):
    report = prepare(str(sdf))
    assert (report.kept, report.rejected) == (3, {"unreadable record": 1})
    assert "kept 3, rejected 1" in str(report)
    assert "1 unreadable record" in str(report)


def test_xyz_folder_gets_bonds(build, tmp_path):
    folder = tmp_path / "mols"
    folder.mkdir()
    ethanol = build("CCO")
    write_molecules([ethanol], folder / "a.XYZ")
    store = open_store(str(folder))
    assert store.smiles(0) == "CCO"
    np.testing.assert_array_equal(store[0].bonds, ethanol.bonds)


def test_second_opening_reads_nothing_again(sdf, monkeypatch):
    first = open_store(str(sdf))
    monkeypatch.setattr(module, "read", lambda source: pytest.fail("built again"))
    assert len(open_store(str(sdf))) == len(first)


def test_changed_files_are_prepared_anew(sdf, build):
    assert prepare(str(sdf)).kept == 3
    write_molecules([build("CCO")], sdf)
    assert prepare(str(sdf)).kept == 1


def test_splits_cover_the_store(sdf):
    store = open_store(str(sdf))
    parts = [split_rows(store, str(sdf), "adit", s) for s in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts).tolist()) == [0, 1, 2]


def test_unknown_source_names_the_nearest():
    with pytest.raises(DataError, match="did you mean 'qm9'"):
        open_store("qm")


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "bad.xyz").write_text("1\n\nH 0 0 0\n")
    with pytest.raises(DataError, match="1 single atom"):
        prepare(str(tmp_path / "bad.xyz"))
    with pytest.raises(DataError, match="no file ending in"):
        prepare(str(tmp_path / "cache"))


def test_missing_hydrogens_are_rejected(build, without, tmp_path):
    path = tmp_path / "own.sdf"
    write_molecules([build("CCO"), without(build("CCO"), -1)], path)
    assert prepare(str(path)).rejected == {"hydrogens missing, or a radical": 1}
