"""How far the shapes and compositions of molecules are from those of others, as distributions."""

from collections.abc import Sequence

import numpy as np

from unite_molecule.layout import Atoms, concatenate
from unite_molecule.types import Molecule


class Graph:
    """Bonds in both directions, grouped by their first atom."""

    def __init__(self, atoms: Atoms) -> None:
        pairs = atoms.bonds[:, :2]
        edges = np.concatenate([pairs, pairs[:, ::-1]])
        self.edges = edges[np.argsort(edges[:, 0], kind="stable")]
        self.degrees = np.bincount(self.edges[:, 0], minlength=len(atoms.elements))
        self.starts = np.cumsum(self.degrees) - self.degrees

    def extend(self, paths: np.ndarray) -> np.ndarray:
        """Every path [p, k] by one more bond [q, k + 1], never back over the last one."""
        counts = self.degrees[paths[:, -1]]
        first = np.repeat(np.cumsum(counts) - counts, counts)
        within = np.arange(counts.sum()) - first
        ends = self.edges[np.repeat(self.starts[paths[:, -1]], counts) + within, 1]
        longer = np.column_stack([np.repeat(paths, counts, axis=0), ends])
        return np.asarray(longer[longer[:, -1] != longer[:, -3]])


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between vectors [p, 3], degrees."""
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.asarray(np.degrees(np.arctan2(sine, (a * b).sum(-1))))


def shapes(molecules: Sequence[Molecule]) -> dict[str, np.ndarray]:
    """All bond lengths in angstrom, angles and torsions in degrees, and sizes in atoms.

    Torsions are taken without sign, so that 179 and -179 degrees are neighbours.
    """
    atoms = concatenate(list(molecules))
    graph = Graph(atoms)
    x = atoms.coordinates.astype(np.float64)
    angles = graph.extend(graph.edges)
    torsions = graph.extend(angles)
    angles = angles[angles[:, 0] < angles[:, 2]]
    # each torsion once, and none around a three-membered ring
    torsions = torsions[(torsions[:, 1] < torsions[:, 2]) & (torsions[:, 0] != torsions[:, 3])]
    step = [x[torsions[:, i + 1]] - x[torsions[:, i]] for i in range(3)]
    return {
        "bond_length": np.linalg.norm(np.subtract(*x[atoms.bonds[:, :2].T]), axis=-1),
        "angle": between(*(x[angles[:, end]] - x[angles[:, 1]] for end in (0, 2))),
        "torsion": between(np.cross(step[0], step[1]), np.cross(step[1], step[2])),
        "size": np.array([len(molecule) for molecule in molecules]),
    }


def element_fractions(molecules: Sequence[Molecule]) -> np.ndarray:
    """Share of each atomic number [119]."""
    counts = np.bincount(np.concatenate([m.elements for m in molecules]), minlength=119)
    return np.asarray(counts / counts.sum())


def distances(molecules: Sequence[Molecule], others: Sequence[Molecule]) -> dict[str, float]:
    """Wasserstein distances of shapes, in their units, and total variation of elements (0 to 1).

    Infinite where one side has none of a quantity (molecules without bonds have no angle).
    """
    # here, since it takes a third of a second to import, and sampling does without
    from scipy.stats import wasserstein_distance

    ours, theirs = shapes(molecules), shapes(others)
    table = {
        f"{name}_distance": float(wasserstein_distance(ours[name], theirs[name]))
        if len(ours[name]) and len(theirs[name])
        else float("inf")
        for name in ours
    }
    gaps = np.abs(element_fractions(molecules) - element_fractions(others))
    return table | {"element_distance": float(gaps.sum() / 2)}
