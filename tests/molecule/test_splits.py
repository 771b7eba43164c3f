from importlib.util import find_spec

import numpy as np
import pytest
from unite_core.errors import ConfigurationError
from unite_molecule import qm9, splits
from unite_molecule.store import MoleculeStore


class BareStore(MoleculeStore):
    """Molecules of which only numbers and SMILES are known."""

    def __init__(self, index, smiles=()):
        self.index = index
        self.names = smiles

    def __len__(self):
        return len(self.index)

    def smiles(self, row):
        return self.names[row]


def labels(name):
    return np.load(splits.FOLDER / f"qm9-{name}.npz")["member"]


@pytest.mark.parametrize("name", sorted(splits.SIZES))
def test_stored_sizes_are_the_published_ones(name):
    assert tuple(np.bincount(labels(name))[:3]) == splits.SIZES[name]


@pytest.mark.parametrize("name", sorted(splits.SIZES))
def test_stored_files_follow_the_documented_rule(name):
    member = labels(name)
    gdb9 = np.flatnonzero(member != splits.ABSENT)
    np.testing.assert_array_equal(splits.published_split(name, gdb9), member)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("qm9pack") is None, reason="qm9pack is not installed")
def test_stored_numbers_are_those_of_the_package():
    index = qm9.read_records(qm9.data_folder()).index
    np.testing.assert_array_equal(np.flatnonzero(labels("edm") != splits.ABSENT), index)


def test_rows_skip_what_the_store_lacks():
    store = BareStore(np.flatnonzero(labels("adit") != splits.ABSENT)[::7])
    rows = [splits.qm9_rows(store, "adit", split) for split in splits.SPLITS]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(store.index)))
    assert (np.diff(rows[0]) < 0).any(), "the first rows should be a fair sample"


def test_unknown_names_get_a_hint():
    store = BareStore(np.arange(1, 4))
    with pytest.raises(ConfigurationError, match="did you mean 'train'"):
        splits.qm9_rows(store, "adit", "trian")
    with pytest.raises(ConfigurationError, match="adit"):
        splits.qm9_rows(store, "adid", "train")


def test_own_molecules_split_by_smiles():
    names = [f"mol{i // 2}" for i in range(4000)]
    store = BareStore(np.arange(len(names)), names)
    rows = {split: splits.own_rows(store, split) for split in splits.SPLITS}
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(4000))
    assert 0.77 < len(rows["train"]) / 4000 < 0.83
    assert 0.08 < len(rows["test"]) / 4000 < 0.12
    seen = [{names[row] for row in part} for part in rows.values()]
    assert sum(len(part) for part in seen) == len(set.union(*seen))


def test_own_molecules_without_smiles_split_by_place():
    store = BareStore(np.arange(1000), [""] * 1000)
    rows = [splits.own_rows(store, split) for split in splits.SPLITS]
    assert sorted(np.concatenate(rows).tolist()) == list(range(1000))
    assert min(map(len, rows)) > 50
