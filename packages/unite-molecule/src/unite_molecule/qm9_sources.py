"""QM9 from the hub and from PyG, brought into the same form as qm9pack's. Both need a network."""

from collections import Counter

import numpy as np
import pyarrow.compute as pc
from datasets import load_dataset
from unite_core.cache import cache_root
from unite_core.errors import DataError

from unite_molecule.qm9 import PROPERTIES, Records, assign_all, atomic_numbers
from unite_molecule.store import Packed

HUB_ID = "yairschiff/qm9"
HUB_COLUMNS = {"smiles", "num_atoms", "atomic_symbols", "pos", *PROPERTIES}

PYG_TARGETS = {"mu": 0, "alpha": 1, "homo": 2, "lumo": 3, "gap": 4, "cv": 11}
PYG_UNITS = {"homo": 27.211386246, "lumo": 27.211386246, "gap": 27.211386246}
"""PyG gives energies in electronvolt; ours are in hartree."""


def hub_records() -> Records:
    """The hub's QM9: all 133,885 molecules by GDB-9 number, the unconverged ones too.

    These have no place in the published splits.
    """
    try:
        table = load_dataset(HUB_ID, split="train").with_format("arrow")[:]
    except Exception as error:  # datasets and its clients raise many kinds, all meaning this
        raise DataError(f"could not load {HUB_ID!r} from the hub ({error}); try qm9") from error
    missing = HUB_COLUMNS - set(table.column_names)
    if missing:
        raise DataError(f"{HUB_ID!r} has no column {', '.join(sorted(missing))}; try qm9")
    symbols = pc.list_flatten(table["atomic_symbols"]).to_numpy()
    coordinates = pc.list_flatten(pc.list_flatten(table["pos"])).to_numpy()
    return Records(
        index=np.arange(1, len(table) + 1),
        smiles=table["smiles"].to_pylist(),
        counts=table["num_atoms"].to_numpy(),
        elements=atomic_numbers(symbols),
        coordinates=coordinates.reshape(-1, 3),
        properties={name: table[name].to_numpy() for name in PROPERTIES},
    )


def pyg_records() -> Records:
    """PyG's QM9: 130,831 molecules, named gdb_1 and so on."""
    from torch_geometric.datasets import QM9  # slow to import, and this source alone needs it

    try:
        data = QM9(root=str(cache_root() / "pyg-qm9"))
    except Exception as error:  # PyG's downloader raises many kinds, all meaning this
        raise DataError(f"could not load PyG's QM9 ({error}); try the source qm9") from error
    targets = data.y.numpy().astype(np.float64)
    return Records(
        index=np.array([int(name.removeprefix("gdb_")) for name in data.name]),
        smiles=list(data.smiles),
        counts=np.diff(data.slices["z"].numpy()),
        elements=data.z.numpy(),
        coordinates=data.pos.numpy(),
        properties={
            name: targets[:, column] / PYG_UNITS.get(name, 1.0)
            for name, column in PYG_TARGETS.items()
        },
    )


def read_hub() -> tuple[Packed, Counter[str]]:
    """The hub's QM9 with bonds, and what was rejected."""
    return assign_all(hub_records())


def read_pyg() -> tuple[Packed, Counter[str]]:
    """PyG's QM9 with bonds, and what was rejected."""
    return assign_all(pyg_records())
