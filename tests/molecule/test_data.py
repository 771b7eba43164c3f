import numpy as np
import pytest
from unite_core.errors import DataError
from unite_molecule.config import MoleculeConfig
from unite_molecule.data import MoleculeDataset, gather, open_dataset, ragged, token_counts
from unite_molecule.formats import write_molecules
from unite_molecule.layout import concatenate, heavy_parents, no_parents, unfold
from unite_molecule.store import MoleculeStore, pack, write_store

SMILES = ["CCO", "C", "C#N", "[NH3+]CC(=O)[O-]"]


@pytest.fixture
def molecules(build):
    return [build(smiles) for smiles in SMILES]


@pytest.fixture
def store(molecules, tmp_path):
    write_store(pack(molecules, range(len(molecules))), tmp_path)
    return MoleculeStore(tmp_path)


def test_ragged_ranges():
    found = ragged(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert found.tolist() == [5, 6, 9, 10, 11]


def test_gathered_rows_are_the_molecules_end_to_end(store, molecules):
    rows = np.array([2, 0, 3])
    found, expected = gather(store, rows), concatenate([molecules[row] for row in rows])
    for name in ("molecule", "elements", "coordinates", "charges", "bonds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_tokens_are_counted_by_layout(store):
    rows = np.arange(4)
    assert token_counts(store, rows, heavy_parents).tolist() == [3, 1, 2, 5]
    assert token_counts(store, rows, no_parents).tolist() == [9, 5, 3, 10]


@pytest.mark.parametrize("layout", ["heavy", "atom"])
def test_batches_hold_the_asked_molecules(store, molecules, layout):
    data = MoleculeDataset(store, np.array([3, 1, 0]), layout, multiple=4)
    batch = data.batch(np.array([2, 0]), seed=5)
    assert batch.mask.shape[1] % 4 == 0
    assert batch.mask.sum(1).tolist() == data.sizes[[2, 0]].tolist()
    for found, expected in zip(unfold(batch), (molecules[0], molecules[3]), strict=True):
        np.testing.assert_array_equal(found.elements, expected.elements)
        np.testing.assert_allclose(found.coordinates, expected.coordinates, atol=1e-6)


@pytest.fixture
def source(molecules, tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    write_molecules(molecules, tmp_path / "own.sdf")
    return str(tmp_path / "own.sdf")


def test_limit_cuts_the_split(source):
    splits = [s for s in ("train", "validation", "test") if filled(source, s)]
    config = MoleculeConfig(source=source, limit=1)
    assert all(len(open_dataset(config, split)) == 1 for split in splits)


def filled(source, split):
    try:
        return len(open_dataset(MoleculeConfig(source=source), split)) > 0
    except DataError:
        return False


def test_empty_split_is_named(build, tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    write_molecules([build("CCO")], tmp_path / "one.sdf")
    config = MoleculeConfig(source=str(tmp_path / "one.sdf"))
    empty = [s for s in ("train", "validation", "test") if not filled(config.source, s)]
    assert len(empty) == 2
    with pytest.raises(DataError, match=f"the {empty[0]} split of .* has no molecule"):
        open_dataset(config, empty[0])
