import numpy as np
import pytest
import torch
from rdkit import Chem
from torch_geometric.data import Data
from unite_core.errors import DataError
from unite_molecule.pyg import from_pyg, from_pyg_batch, to_pyg, to_pyg_batch

SMILES = ["CCO", "c1ccoc1", "[NH3+]CC(=O)[O-]"]


def same(a, b):
    for name in ("elements", "coordinates", "charges", "bonds"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_round_trip(build):
    molecules = [build(smiles) for smiles in SMILES]
    for molecule in molecules:
        same(from_pyg(to_pyg(molecule)), molecule)
    for again, molecule in zip(from_pyg_batch(to_pyg_batch(molecules)), molecules, strict=True):
        same(again, molecule)


def test_edges_go_both_ways(build):
    data = to_pyg(build("C=O"))
    assert data.is_undirected()
    assert data.edge_attr.sum(0).tolist() == [4, 2, 0, 0]


def test_aromatic_edges_are_kekulised(build):
    data = to_pyg(build("c1ccccc1"))
    heavy = (data.z[data.edge_index] == 6).all(0)
    data.edge_attr[heavy] = torch.tensor([0.0, 0, 0, 1])
    assert np.bincount(from_pyg(data).bonds[:, 2]).tolist() == [0, 9, 3]


def test_missing_fields_are_named(build):
    data = to_pyg(build("CCO"))
    with pytest.raises(DataError, match="edge_attr"):
        from_pyg(Data(z=data.z, pos=data.pos, edge_index=data.edge_index))


def test_unusable_data_is_named(build):
    data = to_pyg(build("CCO"))
    data.pos[0, 0] = torch.nan
    with pytest.raises(DataError, match="not numbers"):
        from_pyg(data)


def test_smiles_come_along(build):
    assert Chem.CanonSmiles(to_pyg(build("OCC")).smiles) == "CCO"
