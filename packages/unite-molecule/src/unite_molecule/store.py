"""Molecules in a memory-mapped Arrow file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from unite_core.errors import DataError

from unite_molecule.types import Molecule

FILE = "molecules.arrow"
STRUCTURE = ("index", "smiles", "elements", "charges", "coordinates", "bonds")


@dataclass(frozen=True)
class Packed:
    """Molecules end to end: A atoms, B bonds, N molecules."""

    index: np.ndarray  # [N] int64, the source's own number of each molecule
    smiles: list[str]
    atom_counts: np.ndarray  # [N]
    bond_counts: np.ndarray  # [N]
    elements: np.ndarray  # [A] uint8
    charges: np.ndarray  # [A] int8
    coordinates: np.ndarray  # [A, 3] float32, angstrom
    bonds: np.ndarray  # [B, 3] int16, atoms counted within the molecule
    properties: dict[str, np.ndarray]  # [N] float64 each


def pack(molecules: Sequence[Molecule], index: Sequence[int]) -> Packed:
    """Molecules end to end; all have the first one's properties."""
    names = list(molecules[0].properties) if molecules else []
    empty = np.zeros((0, 3))
    return Packed(
        index=np.array(index, dtype=np.int64),
        smiles=[m.smiles for m in molecules],
        atom_counts=np.array([len(m) for m in molecules], dtype=np.int64),
        bond_counts=np.array([len(m.bonds) for m in molecules], dtype=np.int64),
        elements=np.concatenate([[], *(m.elements for m in molecules)]).astype(np.uint8),
        charges=np.concatenate([[], *(m.charges for m in molecules)]).astype(np.int8),
        coordinates=np.concatenate([empty, *(m.coordinates for m in molecules)], dtype=np.float32),
        bonds=np.concatenate([empty, *(m.bonds for m in molecules)]).astype(np.int16),
        properties={
            name: np.array([m.properties[name] for m in molecules], dtype=np.float64)
            for name in names
        },
    )


def join(parts: Sequence[Packed]) -> Packed:
    """Several packs, one after the other."""
    if not parts:
        return pack([], [])
    return Packed(
        index=np.concatenate([p.index for p in parts]),
        smiles=[smiles for p in parts for smiles in p.smiles],
        atom_counts=np.concatenate([p.atom_counts for p in parts]),
        bond_counts=np.concatenate([p.bond_counts for p in parts]),
        elements=np.concatenate([p.elements for p in parts]),
        charges=np.concatenate([p.charges for p in parts]),
        coordinates=np.concatenate([p.coordinates for p in parts]),
        bonds=np.concatenate([p.bonds for p in parts]),
        properties={
            name: np.concatenate([p.properties[name] for p in parts])
            for name in parts[0].properties
        },
    )


def ragged(counts: np.ndarray, values: np.ndarray) -> pa.ListArray:
    """Rows of counts[i] values; values [V] or [V, 3]."""
    flat = pa.array(values.ravel())
    inner = flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, 3)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), inner)


def write_store(packed: Packed, directory: Path) -> None:
    """Saves one Arrow file with one record batch, so that every column is one flat array."""
    from datasets import Features  # slow to import, as below
    from datasets.arrow_writer import ArrowWriter

    columns = {
        "index": pa.array(packed.index),
        "smiles": pa.array(packed.smiles, pa.string()),
        "elements": ragged(packed.atom_counts, packed.elements),
        "charges": ragged(packed.atom_counts, packed.charges),
        "coordinates": ragged(packed.atom_counts, packed.coordinates),
        "bonds": ragged(packed.bond_counts, packed.bonds),
        **{name: pa.array(values) for name, values in packed.properties.items()},
    }
    table = pa.table(columns)
    features = Features.from_arrow_schema(table.schema)
    with ArrowWriter(path=str(directory / FILE), features=features) as writer:
        writer.write_table(table, writer_batch_size=max(1, len(table)))
        writer.finalize()


class MoleculeStore:
    """N molecules, A atoms, B bonds as read-only views of a memory-mapped file."""

    def __init__(self, directory: Path) -> None:
        # here: datasets takes half a second to import, and samples need no data
        from datasets import Dataset

        self.path = directory / FILE
        self.dataset = Dataset.from_file(str(self.path))
        self.atom_offsets = self.offsets("elements")  # [N + 1]
        self.elements = self.flat("elements")  # [A] uint8
        self.charges = self.flat("charges")  # [A] int8
        self.coordinates = self.flat("coordinates")  # [A, 3] float32, angstrom
        self.bond_offsets = self.offsets("bonds")  # [N + 1]
        self.bonds = self.flat("bonds")  # [B, 3] int16: atom i < atom j of the molecule, order
        self.index = self.column("index").to_numpy()  # [N], the source's own numbers

    def column(self, name: str) -> pa.Array:
        """The only chunk of a column; DataError where another program left several."""
        column = self.dataset.data.column(name)
        if column.num_chunks != 1:
            raise DataError(
                f"{self.path} has {column.num_chunks} record batches and not one: remove its "
                "directory, and the data are prepared anew"
            )
        return column.chunk(0)

    def offsets(self, name: str) -> np.ndarray:
        """Where each molecule's values start [N + 1]."""
        starts: np.ndarray = self.column(name).offsets.to_numpy().astype(np.int64)
        return starts

    def flat(self, name: str) -> np.ndarray:
        """The values of all molecules, [V] or [V, 3], uncopied."""
        values = self.column(name).values
        nested = pa.types.is_fixed_size_list(values.type)
        flat: np.ndarray = values.values.to_numpy() if nested else values.to_numpy()
        return flat.reshape(-1, 3) if nested else flat

    def __len__(self) -> int:
        return len(self.index)

    @property
    def property_names(self) -> list[str]:
        """What `properties` can be asked for."""
        return [name for name in self.dataset.column_names if name not in STRUCTURE]

    def smiles(self, row: int) -> str:
        """Canonical SMILES without stereo; empty where the source has none."""
        return str(self.column("smiles")[row].as_py())

    def properties(self, name: str) -> np.ndarray:
        """One property of every molecule [N] float64, in the source's unit."""
        values: np.ndarray = self.column(name).to_numpy()
        return values

    def __getitem__(self, row: int) -> Molecule:
        atoms = slice(self.atom_offsets[row], self.atom_offsets[row + 1])
        return Molecule(
            elements=self.elements[atoms],
            coordinates=self.coordinates[atoms],
            charges=self.charges[atoms],
            bonds=self.bonds[self.bond_offsets[row] : self.bond_offsets[row + 1]],
            smiles=self.smiles(row),
            properties={name: float(self.properties(name)[row]) for name in self.property_names},
        )
