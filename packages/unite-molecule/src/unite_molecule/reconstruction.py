"""How near reconstructed molecules come to their originals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rdkit import Chem
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from unite_molecule.chemistry import inchi
from unite_molecule.conversion import to_rdkit
from unite_molecule.geometry import superposition
from unite_molecule.types import Molecule

SYMMETRIES = 64
"""The most automorphisms of the heavy atoms tried for a molecule."""

HALF = 0.5
"""RMSD below which a reconstruction with the right elements counts as found again, angstrom."""

TOLERANCE = 0.1
"""How much nearer its mirror image must be for a reconstruction to count as mirrored, angstrom."""


@dataclass(frozen=True)
class Comparison:
    """One reconstruction beside its original; `rmsd` None where the numbers of atoms differ."""

    elements: bool
    match: bool
    rmsd: float | None
    mirrored: bool


def hydrogens(molecule: Molecule) -> dict[int, list[int]]:
    """The hydrogens on each heavy atom that has some."""
    groups: dict[int, list[int]] = {}
    light = molecule.elements == 1
    for first, second, _ in molecule.bonds.tolist():
        for atom, parent in ((first, second), (second, first)):
            if light[atom] and not light[parent]:
                groups.setdefault(parent, []).append(atom)
    return groups


def heavy_symmetries(molecule: Molecule) -> list[np.ndarray]:
    """Permutations of the heavy atoms that keep elements and bonds; the identity comes first."""
    heavy = np.flatnonzero(molecule.elements != 1)
    place = np.full(len(molecule), -1)
    place[heavy] = np.arange(len(heavy))
    kept = molecule.bonds[(place[molecule.bonds[:, :2]] >= 0).all(1)]
    frame = replace(
        molecule,
        elements=molecule.elements[heavy],
        coordinates=molecule.coordinates[heavy],
        charges=molecule.charges[heavy],
        bonds=np.column_stack([place[kept[:, :2]], kept[:, 2]]).astype(np.int16),
    )
    mol = to_rdkit(frame)
    Chem.FastFindRings(mol)
    found = mol.GetSubstructMatches(mol, uniquify=False, maxMatches=SYMMETRIES)
    return [heavy, *(heavy[list(match)] for match in found)]


def symmetries(molecule: Molecule) -> Iterator[np.ndarray]:
    """Permutations of all atoms by the heavy ones' symmetries; hydrogens follow their parent."""
    groups = hydrogens(molecule)
    heavy = np.flatnonzero(molecule.elements != 1)
    for images in heavy_symmetries(molecule):
        order = np.arange(len(molecule))
        order[heavy] = images
        matched = zip(heavy.tolist(), images.tolist(), strict=True)
        pairs = [(groups.get(a, []), groups.get(b, [])) for a, b in matched]
        if all(len(here) == len(there) for here, there in pairs):
            for here, there in pairs:
                order[here] = there
            yield order


def settled(a: np.ndarray, b: np.ndarray, groups: list[list[int]], core: np.ndarray) -> float:
    """RMSD of b from a after the best rotation and the best exchange of atoms within each group.

    `core` [n] marks the atoms that give the first rotation.
    """
    rows = np.flatnonzero(core)
    for _ in range(2):
        a, b = a - a[rows].mean(0), b - b[rows].mean(0)
        b = b @ superposition(a[rows], b[rows]).T
        for group in groups:
            _, chosen = linear_sum_assignment(np.square(cdist(a[group], b[group])))
            b[group] = b[np.array(group)[chosen]]
        rows = np.arange(len(a))
    a, b = a - a.mean(0), b - b.mean(0)
    return float(np.sqrt(np.square(a - b @ superposition(a, b).T).sum(1).mean()))


def best_rmsd(original: Molecule, coordinates: np.ndarray) -> float:
    """RMSD [A] of coordinates in the original's atom order, over rotations and symmetries."""
    groups = [group for group in hydrogens(original).values() if len(group) > 1]
    core = original.elements != 1
    if core.sum() < 3:
        core = np.ones(len(original), dtype=bool)
    a, b = original.coordinates.astype(np.float64), coordinates.astype(np.float64)
    return min(settled(a, b[order], groups, core) for order in symmetries(original))


def compare(original: Molecule, reconstruction: Molecule) -> Comparison:
    """One pair; a missing InChI is no match."""
    elements = bool(np.array_equal(original.elements, reconstruction.elements))
    name = inchi(original)
    match = name is not None and name == inchi(reconstruction)
    if len(original) != len(reconstruction):
        return Comparison(elements, match, None, mirrored=False)
    rmsd = best_rmsd(original, reconstruction.coordinates)
    if rmsd < TOLERANCE:
        return Comparison(elements, match, rmsd, mirrored=False)
    other = best_rmsd(original, reconstruction.coordinates * [-1, 1, 1])
    return Comparison(elements, match, rmsd, mirrored=other < rmsd - TOLERANCE)


def mean(values: Sequence[float]) -> float | None:
    """Mean, or None of nothing."""
    return float(np.mean(values)) if values else None


def score_reconstruction(
    originals: Sequence[Molecule], reconstructions: Sequence[Molecule]
) -> dict[str, Any]:
    """Rates over all pairs, and mean RMSD [A] over those with equal numbers of atoms.

    Atoms correspond by order, hydrogens of one atom by the best assignment, symmetric heavy atoms
    by up to SYMMETRIES automorphisms. `match` compares InChI with stereochemistry; `found` asks for
    the right elements and an RMSD under 0.5 A; `mirrored` ones fit the mirror image better.
    """
    pairs = [compare(a, b) for a, b in zip(originals, reconstructions, strict=True)]
    close = [p.elements and p.rmsd is not None and p.rmsd < HALF for p in pairs]
    return {
        "molecules": len(pairs),
        "elements_exact": mean([p.elements for p in pairs]),
        "match": mean([p.match for p in pairs]),
        "found": mean(close),
        "rmsd": mean([p.rmsd for p in pairs if p.rmsd is not None]),
        "rmsd_matched": mean([p.rmsd for p in pairs if p.match and p.rmsd is not None]),
        "mirrored": mean([p.mirrored for p in pairs]),
    }
