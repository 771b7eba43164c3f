"""How like real characters samples are, by where their ink is and by the shape of their strokes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from unite_strokes.data import Character, characters

CELLS = 24
"""Cells along a side of the pictures that are compared."""


def ink(character: Character) -> Float[np.ndarray, "c"]:
    """The length of stroke in each cell of the drawing area, blurred by one cell, flat."""
    middles = (character[:, 1:] + character[:, :-1]).reshape(-1, 2) / 2
    columns, rows = ((middles + 1) / 2 * CELLS).clip(0, CELLS - 1).astype(int).T
    steps = np.linalg.norm(np.diff(character, axis=1), axis=-1).ravel()
    picture = np.bincount(rows * CELLS + columns, steps, CELLS**2)
    return np.ravel(gaussian_filter(picture.reshape(CELLS, CELLS), 1.0))


def turning(sample: Sequence[Character]) -> np.ndarray:
    """The angle through which the pen turns in every stroke, radians."""
    points = np.concatenate(sample)
    headings = np.arctan2(*np.diff(points, axis=1).transpose(2, 0, 1))
    return np.abs((np.diff(headings, axis=1) + np.pi) % (2 * np.pi) - np.pi).sum(1)


def told_apart(a: np.ndarray, b: np.ndarray) -> float:
    """1-NN accuracy (arXiv 1906.12320): how often the nearest picture is of the same set.

    0.5 where the sets [n, c] and [n, c] cannot be told apart, 1 where they always can.
    """
    pictures, own = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    gaps = cdist(pictures, pictures)
    np.fill_diagonal(gaps, np.inf)
    return float((own[gaps.argmin(1)] == own).mean())


def compare(
    sample: Sequence[Character], reference: Sequence[Character], training: np.ndarray
) -> dict[str, Any]:
    """Metrics of a sample beside a reference as large, and how near it comes to training ink."""
    own, other = (np.stack([ink(each) for each in group]) for group in (sample, reference))
    return {
        "told_apart": told_apart(own, other),
        "turning_gap": float(wasserstein_distance(turning(sample), turning(reference))),
        "nearest_training": float(cdist(own, training).min(1).mean()),
    }


def score_table(
    sample: Sequence[Character], reference: Sequence[Character]
) -> dict[str, dict[str, Any]]:
    """Samples, and validation characters as "data", beside as many of the reference."""
    data = characters("validation")
    count = min(len(sample), len(reference), len(data))
    training = np.stack([ink(character) for character in characters("train")])
    rows = {"samples": sample, "data": data}
    return {name: compare(row[:count], reference[:count], training) for name, row in rows.items()}
