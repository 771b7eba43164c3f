"""Which images are for training, validation and test."""

import numpy as np
from unite_core.errors import ConfigurationError, nearest

SPLITS = ("train", "validation", "test")

ALIASES = {"train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2}
"""What sources call their splits, and the place of each in SPLITS."""


def members(
    own: np.ndarray, labels: np.ndarray, numbers: np.ndarray, held_out: float
) -> np.ndarray:
    """Each image's place in SPLITS [n], given the source's `own` [n], classes and content hashes.

    A held-out split that the source lacks takes the share `held_out` of each class that trains,
    by the order of the hashes: the same in every run, and one picture is never in two splits.
    """
    chosen = own.copy()
    lacking = [split for split in (2, 1) if not (own == split).any()]
    for label in np.unique(labels):
        rows = np.flatnonzero((labels == label) & (own == 0))
        count = int(len(rows) * held_out + 0.5)
        rank = np.searchsorted(np.sort(numbers[rows]), numbers[rows])  # copies share theirs
        for place, split in enumerate(lacking):
            chosen[rows[(rank >= place * count) & (rank < (place + 1) * count)]] = split
    return chosen


def split_rows(members: np.ndarray, numbers: np.ndarray, split: str) -> np.ndarray:
    """Rows of a split in the order of their hashes, so that the first few are a fair sample.

    ConfigurationError for a split that does not exist.
    """
    if split not in SPLITS:
        raise ConfigurationError(f"no split named {split!r}{nearest(split, SPLITS)}")
    rows = np.flatnonzero(members == SPLITS.index(split))
    ordered: np.ndarray = rows[np.argsort(numbers[rows], kind="stable")]
    return ordered
