import numpy as np
import pytest
from datasets import Dataset
from unite_core.errors import DataError
from unite_molecule import qm9_sources
from unite_molecule.qm9 import PROPERTIES
from unite_molecule.template import PERIODIC

pytestmark = pytest.mark.filterwarnings("ignore")


def table(molecules):
    symbols = [[PERIODIC.GetElementSymbol(int(e)) for e in m.elements] for m in molecules]
    return {
        "smiles": [m.smiles for m in molecules],
        "num_atoms": [len(m) for m in molecules],
        "atomic_symbols": symbols,
        "pos": [m.coordinates.tolist() for m in molecules],
        **{name: [0.5] * len(molecules) for name in PROPERTIES},
    }


def test_hub_molecules_come_with_bonds_and_gdb9_numbers(build, monkeypatch):
    molecules = [build("CCO"), build("C=O")]
    data = Dataset.from_dict(table(molecules))
    monkeypatch.setattr(qm9_sources, "load_dataset", lambda name, split: data)
    packed, rejected = qm9_sources.read_hub()
    assert rejected.total() == 0
    np.testing.assert_array_equal(packed.index, [1, 2])
    np.testing.assert_array_equal(packed.bonds, np.concatenate([m.bonds for m in molecules]))


def test_hub_columns_are_checked(build, monkeypatch):
    data = Dataset.from_dict(table([build("CCO")])).remove_columns("pos")
    monkeypatch.setattr(qm9_sources, "load_dataset", lambda name, split: data)
    with pytest.raises(DataError, match="no column pos"):
        qm9_sources.read_hub()


def test_no_network_is_named(monkeypatch):
    def offline(name, split):
        raise ConnectionError("offline")

    monkeypatch.setattr(qm9_sources, "load_dataset", offline)
    with pytest.raises(DataError, match="offline"):
        qm9_sources.read_hub()
