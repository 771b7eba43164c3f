"""Which molecules are for training, validation and test."""

from hashlib import blake2b
from pathlib import Path

import numpy as np
from unite_core.errors import ConfigurationError, nearest

from unite_molecule.store import MoleculeStore

FOLDER = Path(__file__).parent / "splits"
SPLITS = ("train", "validation", "test")
SIZES = {"adit": (100_000, 18_000, 12_831), "edm": (100_000, 17_748, 13_083)}
"""Sizes of the published QM9 splits (ADiT arXiv 2503.03965; EDM arXiv 2203.17003)."""

ABSENT = 255

OWN_TRAIN, OWN_VALIDATION = 0.8, 0.9
"""Own molecules whose hash is under the first train, under the second validate."""


def published_split(name: str, gdb9: np.ndarray) -> np.ndarray:
    """Membership by GDB-9 number: 0, 1, 2 (train, validation, test) or, not in `gdb9`, ABSENT.

    EDM permutes QM9's 130,831 molecules, ordered by number, with numpy's legacy generator, seed 0.
    ADiT publishes sizes but no indices (its shuffle depends on the process): here its sizes follow
    EDM's permutation. The results are stored in FOLDER, so that no version of numpy can move them.
    """
    order = np.sort(gdb9)[np.random.RandomState(0).permutation(len(gdb9))]
    member = np.full(gdb9.max() + 1, ABSENT, dtype=np.uint8)
    for label, numbers in enumerate(np.split(order, np.cumsum(SIZES[name])[:-1])):
        member[numbers] = label
    return member


def store_split(name: str, gdb9: np.ndarray) -> None:
    """Writes the index file of a published split."""
    np.savez_compressed(FOLDER / f"qm9-{name}.npz", member=published_split(name, gdb9))


def spread(numbers: np.ndarray) -> np.ndarray:
    """A hash of each number in [0, 1), the same everywhere (splitmix64's finalizer)."""
    x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    hashed: np.ndarray = (x >> np.uint64(11)).astype(np.float64) / 2.0**53
    return hashed


def shuffled(rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Rows in a fixed random order, so that the first few are a fair sample."""
    ordered: np.ndarray = rows[np.argsort(spread(numbers[rows]), kind="stable")]
    return ordered


def check_split(split: str) -> None:
    """ConfigurationError for a split that does not exist."""
    if split not in SPLITS:
        raise ConfigurationError(f"no split named {split!r}{nearest(split, SPLITS)}")


def qm9_rows(store: MoleculeStore, name: str, split: str) -> np.ndarray:
    """Rows of a QM9 store in a published split; molecules that the store lacks are left out."""
    check_split(split)
    if name not in SIZES:
        raise ConfigurationError(f"no QM9 split named {name!r}{nearest(name, SIZES)}")
    with np.load(FOLDER / f"qm9-{name}.npz") as stored:
        member = stored["member"][store.index]
    return shuffled(np.flatnonzero(member == SPLITS.index(split)), store.index)


def own_numbers(store: MoleculeStore) -> np.ndarray:
    """A number for each molecule that only its SMILES decides, or its place where it has none.

    Conformers of one molecule thereby share a split.
    """
    numbers: np.ndarray = store.index.astype(np.uint64)
    for row in range(len(store)):
        smiles = store.smiles(row)
        if smiles:
            digest = blake2b(smiles.encode(), digest_size=8).digest()
            numbers[row] = int.from_bytes(digest, "little")
    return numbers


def own_rows(store: MoleculeStore, split: str) -> np.ndarray:
    """Rows of a store of the user's in an 80/10/10 split by hash."""
    check_split(split)
    numbers = own_numbers(store)
    member = np.digitize(spread(numbers), [OWN_TRAIN, OWN_VALIDATION])
    rows: np.ndarray = np.flatnonzero(member == SPLITS.index(split))
    # the place decides the order: conformers of one molecule should not stand together
    return shuffled(rows, store.index)
