"""Training sets of molecules: splits of a store, as batches of tokens."""

from collections.abc import Callable

import numpy as np
from unite_core.errors import DataError
from unite_core.modality import Dataset

from unite_molecule.config import MoleculeConfig
from unite_molecule.layout import (
    Atoms,
    MoleculeBatch,
    fold,
    heavy_parents,
    no_parents,
)
from unite_molecule.prepare import open_store, split_rows
from unite_molecule.store import MoleculeStore

Parents = Callable[[Atoms], np.ndarray]

PARENTS: dict[str, Parents] = {"heavy": heavy_parents, "atom": no_parents}
"""The layouts by their names in the configuration."""


def ragged(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The ranges starts[i] .. starts[i] + counts[i] end to end."""
    ends = np.cumsum(counts)
    places: np.ndarray = np.arange(ends[-1]) + np.repeat(starts - ends + counts, counts)
    return places


def gather(store: MoleculeStore, rows: np.ndarray) -> Atoms:
    """The atoms of some molecules of a store, end to end."""
    starts = store.atom_offsets[rows]
    counts = store.atom_offsets[rows + 1] - starts
    atoms = ragged(starts, counts)
    bond_starts = store.bond_offsets[rows]
    bond_counts = store.bond_offsets[rows + 1] - bond_starts
    bonds = store.bonds[ragged(bond_starts, bond_counts)].astype(np.int64)
    bonds[:, :2] += np.repeat(np.cumsum(counts) - counts, bond_counts)[:, None]
    return Atoms(
        molecule=np.repeat(np.arange(len(rows)), counts),
        elements=store.elements[atoms],
        coordinates=store.coordinates[atoms],
        charges=store.charges[atoms],
        bonds=bonds,
    )


def token_counts(store: MoleculeStore, rows: np.ndarray, parents: Parents) -> np.ndarray:
    """How many tokens each molecule has [len(rows)]; goes through the store in slices."""
    parts = []
    for part in np.array_split(rows, max(1, len(rows) // 10_000)):
        atoms = gather(store, part)
        parts.append(np.bincount(atoms.molecule[parents(atoms) < 0], minlength=len(part)))
    return np.concatenate(parts)


class MoleculeDataset(Dataset):
    """Rows of a store in one layout, in batches of a `multiple` of tokens."""

    def __init__(self, store: MoleculeStore, rows: np.ndarray, layout: str, multiple: int) -> None:
        self.store = store
        self.rows = rows
        self.multiple = multiple
        self.parents = PARENTS[layout]
        self.sizes = token_counts(store, rows, self.parents)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: np.ndarray, seed: int | None) -> MoleculeBatch:
        """Molecules are not augmented here: the tokenizer chooses the frame."""
        atoms = gather(self.store, self.rows[indices])
        return fold(atoms, self.parents(atoms), self.multiple)


def open_dataset(config: MoleculeConfig, split: str) -> MoleculeDataset:
    """A split of the configured source; DataError where it is empty."""
    store = open_store(config.source)
    rows = split_rows(store, config.source, config.split, split)
    if config.limit is not None:
        rows = rows[: config.limit]
    if len(rows) == 0:
        raise DataError(f"the {split} split of {config.source!r} has no molecule")
    return MoleculeDataset(store, rows, config.layout, config.multiple)
