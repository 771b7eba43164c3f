"""Which atoms share a latent: folds molecules into tokens, and unfolds tokens into molecules."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unite_molecule.types import Molecule

MAX_HYDROGENS = 4
"""Slots for hydrogens inside a token; no heavy atom of QM9 or of drug-like molecules has more."""


@dataclass(frozen=True)
class MoleculeBatch:
    """b molecules of up to n tokens; coordinates in angstrom, padding zero."""

    elements: Int[Tensor, "b n"]  # atomic numbers
    coordinates: Float[Tensor, "b n 3"]
    charges: Int[Tensor, "b n"]  # formal charges
    hydrogens: Int[Tensor, "b n"]  # hydrogens folded into the token, 0 to 4
    offsets: Float[Tensor, "b n 4 3"]  # from the token's atom to its hydrogens, empty slots zero
    bonds: Int[Tensor, "b n n"]  # order 0 to 3 between tokens, symmetric
    mask: Bool[Tensor, "b n"]

    def __len__(self) -> int:
        return self.mask.shape[0]

    def to(self, device: torch.device) -> "MoleculeBatch":
        return MoleculeBatch(*(getattr(self, f.name).to(device) for f in fields(self)))

    def __getitem__(self, rows: Tensor) -> "MoleculeBatch":
        return MoleculeBatch(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def filled(self) -> Bool[Tensor, "b n 4"]:
        """Which hydrogen slots are taken."""
        slots = torch.arange(MAX_HYDROGENS, device=self.hydrogens.device)
        return slots < self.hydrogens[..., None]


@dataclass(frozen=True)
class Atoms:
    """Molecules end to end: `molecule` [A] numbers each atom's molecule, bonds count all atoms."""

    molecule: np.ndarray
    elements: np.ndarray
    coordinates: np.ndarray
    charges: np.ndarray
    bonds: np.ndarray  # [B, 3]


def concatenate(molecules: list[Molecule]) -> Atoms:
    """Molecules end to end."""
    starts = np.cumsum([0, *(len(m) for m in molecules)])
    return Atoms(
        molecule=np.repeat(np.arange(len(molecules)), np.diff(starts)),
        elements=np.concatenate([m.elements for m in molecules]),
        coordinates=np.concatenate([m.coordinates for m in molecules]),
        charges=np.concatenate([m.charges for m in molecules]),
        bonds=np.concatenate(
            [m.bonds + [[s, s, 0]] for m, s in zip(molecules, starts, strict=False)]
        ).astype(np.int64),
    )


def no_parents(atoms: Atoms) -> np.ndarray:
    """A latent for each atom: nothing is folded [A], all -1."""
    return np.full(len(atoms.elements), -1)


def heavy_parents(atoms: Atoms) -> np.ndarray:
    """A latent for each heavy atom: the heavy neighbour of each hydrogen [A], -1 for none.

    A hydrogen that finds its neighbour's slots taken gets a latent of its own.
    """
    parents = no_parents(atoms)
    light = atoms.elements == 1
    first, second = atoms.bonds[:, 0], atoms.bonds[:, 1]
    for hydrogen, other in ((first, second), (second, first)):
        folded = light[hydrogen] & ~light[other]
        parents[hydrogen[folded]] = other[folded]
    beyond = (parents >= 0) & (rank_within(parents) >= MAX_HYDROGENS)
    return np.where(beyond, -1, parents)


def token_states(atoms: Atoms, parents: np.ndarray) -> np.ndarray:
    """Distinct (element, charge, hydrogens inside, sum of the other bonds' orders) [s, 4]."""
    own = parents < 0
    hydrogens = np.bincount(parents[~own], minlength=len(own))
    ends, orders = atoms.bonds[:, :2], atoms.bonds[:, 2]
    between = own[ends].all(1)
    totals = np.bincount(ends[between].ravel(), orders[between].repeat(2), minlength=len(own))
    each = np.stack([atoms.elements, atoms.charges, hydrogens, totals], axis=1)
    return np.unique(each[own].astype(np.int64), axis=0)


def rank_within(groups: np.ndarray) -> np.ndarray:
    """How many earlier entries have the same group."""
    order = np.argsort(groups, kind="stable")
    grouped = groups[order]
    starts = np.searchsorted(grouped, grouped)
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - starts
    return ranks


def fold(atoms: Atoms, parents: np.ndarray, multiple: int = 1) -> MoleculeBatch:
    """Tokens of each molecule in atom order, with the atoms that have a parent inside its token.

    The number of tokens is padded to a `multiple`.
    """
    own = np.flatnonzero(parents < 0)
    inner = np.flatnonzero(parents >= 0)
    row, slot = atoms.molecule, np.zeros(len(parents), dtype=np.int64)
    slot[own] = rank_within(row[own])
    b, n = int(row.max()) + 1, -(-(int(slot.max()) + 1) // multiple) * multiple
    grid = np.zeros((b, n), dtype=np.int64)
    elements, charges, hydrogens = grid.copy(), grid.copy(), grid.copy()
    coordinates = np.zeros((b, n, 3), dtype=np.float32)
    offsets = np.zeros((b, n, MAX_HYDROGENS, 3), dtype=np.float32)
    mask = np.zeros((b, n), dtype=bool)
    at = row[own], slot[own]
    elements[at], charges[at] = atoms.elements[own], atoms.charges[own]
    coordinates[at], mask[at] = atoms.coordinates[own], True
    parent = parents[inner]
    place = row[parent], slot[parent]
    np.add.at(hydrogens, place, 1)
    offsets[(*place, rank_within(parent))] = atoms.coordinates[inner] - atoms.coordinates[parent]
    bonds = np.zeros((b, n, n), dtype=np.int64)
    first, second, order = atoms.bonds.T
    between = (parents[first] < 0) & (parents[second] < 0)
    first, second = first[between], second[between]
    bonds[row[first], slot[first], slot[second]] = order[between]
    bonds[row[first], slot[second], slot[first]] = order[between]
    arrays = (elements, coordinates, charges, hydrogens, offsets, bonds, mask)
    return MoleculeBatch(*(torch.from_numpy(array) for array in arrays))


def unfold(batch: MoleculeBatch) -> list[Molecule]:
    """Molecules with every hydrogen: tokens first, then hydrogens by parent."""
    arrays = {f.name: getattr(batch, f.name).cpu().numpy() for f in fields(batch)}
    rows = range(len(batch))
    return [unfold_one({name: array[row] for name, array in arrays.items()}) for row in rows]


def unfold_one(token: dict[str, np.ndarray]) -> Molecule:
    """One row of a batch as a molecule."""
    n = int(token["mask"].sum())
    counts = token["hydrogens"][:n]
    parent = np.repeat(np.arange(n), counts)
    taken = np.arange(MAX_HYDROGENS) < counts[:, None]
    around = token["coordinates"][parent] + token["offsets"][:n][taken]
    first, second = np.nonzero(np.triu(token["bonds"][:n, :n], 1))
    heavy = np.stack([first, second, token["bonds"][first, second]], axis=1)
    light = np.stack([parent, n + np.arange(len(parent)), np.ones_like(parent)], axis=1)
    zeros = np.zeros(len(parent))
    return Molecule(
        elements=np.concatenate([token["elements"][:n], zeros + 1]).astype(np.uint8),
        coordinates=np.concatenate([token["coordinates"][:n], around]).astype(np.float32),
        charges=np.concatenate([token["charges"][:n], zeros]).astype(np.int8),
        bonds=np.concatenate([heavy, light]).astype(np.int16),
    )
