import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from unite_core.errors import DataError
from unite_molecule.store import FILE, MoleculeStore, join, pack, write_store


@pytest.fixture
def molecules(build):
    made = [build(smiles) for smiles in ("CCO", "C=O", "[NH3+]CC(=O)[O-]", "c1ccoc1")]
    return [replace(m, properties={"mu": float(i)}) for i, m in enumerate(made)]


@pytest.fixture
def store(molecules, tmp_path):
    parts = [pack(molecules[:1], [5]), pack(molecules[1:], [6, 8, 9])]
    write_store(join(parts), tmp_path)
    return MoleculeStore(tmp_path)


def test_molecules_come_back_whole(store, molecules):
    assert len(store) == len(molecules)
    for row, molecule in enumerate(molecules):
        again = store[row]
        for name in ("elements", "coordinates", "charges", "bonds"):
            np.testing.assert_array_equal(getattr(again, name), getattr(molecule, name))
            assert getattr(again, name).dtype == getattr(molecule, name).dtype
        assert (again.smiles, again.properties) == (molecule.smiles, molecule.properties)


def test_a_file_in_pieces_is_refused_and_not_read_in_part(store, tmp_path):
    table = store.dataset.data.table
    with (
        pa.OSFile(str(tmp_path / FILE), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as out,
    ):
        out.write_table(table, max_chunksize=2)
    with pytest.raises(DataError, match=r"molecules.arrow has 2 record batches.*prepared anew"):
        MoleculeStore(tmp_path)


def test_flat_views_are_views(store, molecules):
    assert store.coordinates.shape == (sum(map(len, molecules)), 3)
    assert not store.coordinates.flags.owndata
    assert not store.elements.flags.writeable
    np.testing.assert_array_equal(np.diff(store.atom_offsets), [len(m) for m in molecules])
    np.testing.assert_array_equal(np.diff(store.bond_offsets), [len(m.bonds) for m in molecules])
    np.testing.assert_array_equal(store.index, [5, 6, 8, 9])
    np.testing.assert_array_equal(store.properties("mu"), [0, 1, 2, 3])
    assert store.property_names == ["mu"]


def test_many_molecules_stay_in_one_chunk_and_open_fast(molecules, tmp_path):
    write_store(pack(molecules * 5000, range(20_000)), tmp_path)
    start = time.perf_counter()
    store = MoleculeStore(tmp_path)
    assert time.perf_counter() - start < 1.0
    assert len(store) == 20_000
    np.testing.assert_array_equal(store[19_999].coordinates, molecules[-1].coordinates)


def test_molecules_without_bonds_can_be_stored(molecules, tmp_path):
    bare = [replace(m, bonds=m.bonds[:0]) for m in molecules]
    write_store(pack(bare, range(4)), tmp_path)
    assert MoleculeStore(tmp_path).bonds.shape == (0, 3)
