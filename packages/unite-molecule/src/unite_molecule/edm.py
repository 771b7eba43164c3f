"""Bonds from distances and the stability of atoms, by the tables of EDM (arXiv 2203.17003)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from rdkit import Chem

from unite_molecule.types import Molecule

LENGTHS = (
    """H: H 74, C 109, N 101, O 96, F 92, B 119, Si 148, P 144, As 152, S 134, Cl 127, Br 141, I 161
    C: C 154, N 147, O 143, F 135, Si 185, P 184, S 182, Cl 177, Br 194, I 214
    N: N 145, O 140, F 136, P 177, S 168, Cl 175, Br 214, I 222
    O: O 148, F 142, Si 163, P 163, S 151, Cl 164, Br 172, I 194
    F: F 142, Si 160, P 156, S 158, Cl 166, Br 178, I 187
    B: Cl 175
    Si: Si 233, S 200, Cl 202, Br 215, I 243
    P: P 221, S 210, Cl 203, Br 222
    S: S 204, Cl 207, Br 225, I 234
    Cl: Cl 199, Br 214
    Br: Br 228
    I: I 266""",
    """C: C 134, N 129, O 120, S 160
    N: N 125, O 121
    O: O 121, P 150
    P: S 186""",
    """C: C 120, N 116, O 113
    N: N 110""",
)
"""Lengths of single, double and triple bonds, pm."""

MARGINS = (10, 5, 3)
"""How much longer than its length a single, double and triple bond may be, pm."""

ALLOWED = {
    "H": (1,),
    "C": (4,),
    "N": (3,),
    "O": (2,),
    "F": (1,),
    "B": (3,),
    "Al": (3,),
    "Si": (4,),
    "P": (3, 5),
    "S": (4,),
    "Cl": (1,),
    "As": (3,),
    "Br": (1,),
    "I": (1,),
}
"""Sums of bond orders that make an atom stable."""

BLOCK = 500
"""Molecules judged at once: bounds the memory of the distance arrays."""


def number(symbol: str) -> int:
    """Atomic number of an element."""
    return int(Chem.GetPeriodicTable().GetAtomicNumber(symbol.strip()))


def reach_table() -> np.ndarray:
    """Longest distance of each bond order between two elements [3, 119, 119], angstrom."""
    table = np.zeros((3, 119, 119))
    for order, (text, margin) in enumerate(zip(LENGTHS, MARGINS, strict=True)):
        for line in text.splitlines():
            first, others = line.split(":")
            for second, length in (pair.split() for pair in others.split(",")):
                reach = (float(length) + margin) / 100
                table[order, number(first), number(second)] = reach
                table[order, number(second), number(first)] = reach
    return table


def allowed_table() -> np.ndarray:
    """Which order sums (columns) leave an element (rows) stable [119, 64]."""
    table = np.zeros((119, 64), dtype=bool)
    for symbol, sums in ALLOWED.items():
        table[number(symbol), list(sums)] = True
    return table


REACH = reach_table()
STABLE = allowed_table()


def bond_orders(elements: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Bond orders by distance [b, n, n] of equal-sized molecules [b, n] and [b, n, 3].

    A bond is double only where it may be single, and triple only where it may be double.
    """
    gaps = coordinates[:, :, None].astype(np.float64) - coordinates[:, None]
    distances = np.sqrt(np.square(gaps).sum(-1))
    distances[:, *np.diag_indices(elements.shape[1])] = np.inf
    near = distances < REACH[:, elements[:, :, None], elements[:, None]]
    return np.asarray(np.logical_and.accumulate(near).sum(0))


def same_size(molecules: Sequence[Molecule]) -> Iterator[list[int]]:
    """Indices of molecules of equal size, at most BLOCK at a time."""
    order = sorted(range(len(molecules)), key=lambda i: len(molecules[i]))
    for _, group in groupby(order, key=lambda i: len(molecules[i])):
        members = list(group)
        yield from (members[i : i + BLOCK] for i in range(0, len(members), BLOCK))


def rebonded(molecule: Molecule, orders: np.ndarray) -> Molecule:
    """The molecule with neutral atoms and these bonds [n, n]."""
    first, second = np.nonzero(np.triu(orders, 1))
    bonds = np.stack([first, second, orders[first, second]], axis=1).astype(np.int16)
    return replace(molecule, bonds=bonds, charges=np.zeros_like(molecule.charges))


def judge(molecules: Sequence[Molecule]) -> tuple[list[Molecule], list[np.ndarray]]:
    """Each molecule with the bonds of its distances, and which of its atoms are stable [n]."""
    bonded = list(molecules)
    stable: list[np.ndarray] = [np.zeros(0, dtype=bool)] * len(molecules)
    for members in same_size(molecules):
        elements = np.stack([molecules[i].elements for i in members])
        coordinates = np.stack([molecules[i].coordinates for i in members])
        orders = bond_orders(elements, coordinates)
        verdicts = STABLE[elements, orders.sum(-1).clip(max=STABLE.shape[1] - 1)]
        for i, matrix, verdict in zip(members, orders, verdicts, strict=True):
            bonded[i], stable[i] = rebonded(molecules[i], matrix), verdict
    return bonded, stable
