"""Between Molecule and PyTorch Geometric's Data, with the fields of its QM9."""

from collections.abc import Sequence

import numpy as np
import torch
from rdkit import Chem
from torch_geometric.data import Batch, Data
from unite_core.errors import DataError

from unite_molecule.conversion import from_rdkit, to_rdkit
from unite_molecule.template import Rejected
from unite_molecule.types import Molecule

AROMATIC = 3
"""Column of `edge_attr` after single, double and triple."""


def formal_charges(data: Data) -> np.ndarray:
    """The field that `to_pyg` writes; PyG's own sets have none and are taken for neutral."""
    if "formal_charge" not in data:
        return np.zeros(len(data.z), dtype=np.int8)
    charges: np.ndarray = data.formal_charge.numpy().astype(np.int8)
    return charges


def from_pyg(data: Data) -> Molecule:
    """A molecule in canonical order.

    Reads z [n], pos [n, 3] in angstrom, edge_index [2, e], edge_attr [e, 4] (single, double,
    triple, aromatic) and, where there is one, formal_charge [n]. DataError where a field is missing
    or the molecule is unusable.
    """
    missing = [name for name in ("z", "pos", "edge_index", "edge_attr") if name not in data]
    if missing:
        raise DataError(f"this Data has no {', '.join(missing)}")
    data = data.cpu()
    ends = data.edge_index.numpy().T
    once = ends[:, 0] < ends[:, 1]
    kinds = data.edge_attr.argmax(1).numpy()[once]
    bonds = np.column_stack([ends[once], np.where(kinds == AROMATIC, 1, kinds + 1)])
    molecule = Molecule(
        elements=data.z.numpy().astype(np.uint8),
        coordinates=data.pos.numpy().astype(np.float32),
        charges=formal_charges(data),
        bonds=bonds.astype(np.int16),
    )
    mol = to_rdkit(molecule)
    for i, j in ends[once][kinds == AROMATIC].tolist():
        bond = mol.GetBondBetweenAtoms(i, j)
        bond.SetBondType(Chem.BondType.AROMATIC)
        for part in (bond, bond.GetBeginAtom(), bond.GetEndAtom()):
            part.SetIsAromatic(True)
    try:
        return from_rdkit(mol)
    except Rejected as reason:
        raise DataError(f"this Data cannot be used: {reason}") from reason


def from_pyg_batch(batch: Batch) -> list[Molecule]:
    """The molecules of a PyG batch."""
    return [from_pyg(data) for data in batch.to_data_list()]


def to_pyg(molecule: Molecule) -> Data:
    """Data with z, pos, edge_index (both directions), edge_attr [e, 4], formal_charge, smiles."""
    bonds = torch.from_numpy(molecule.bonds.astype(np.int64))
    ends = bonds[:, :2].T
    order = (bonds[:, 2] - 1).repeat(2)
    return Data(
        z=torch.from_numpy(molecule.elements.astype(np.int64)),
        pos=torch.from_numpy(np.array(molecule.coordinates, dtype=np.float32)),
        edge_index=torch.cat([ends, ends.flip(0)], dim=1),
        edge_attr=torch.nn.functional.one_hot(order, AROMATIC + 1).float(),
        formal_charge=torch.from_numpy(molecule.charges.astype(np.int64)),
        smiles=molecule.smiles,
    )


def to_pyg_batch(molecules: Sequence[Molecule]) -> Batch:
    """A PyG batch of molecules."""
    return Batch.from_data_list([to_pyg(molecule) for molecule in molecules])
