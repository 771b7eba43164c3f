"""A molecule as arrays: what the readers give and the writers take."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Molecule:
    """A 3D molecule with explicit hydrogens.

    Order is canonical where it comes from the data pipeline: heavy atoms as in its
    canonical SMILES, then hydrogens by parent.
    """

    elements: np.ndarray  # [n] uint8, atomic numbers
    coordinates: np.ndarray  # [n, 3] float32, angstrom
    charges: np.ndarray  # [n] int8, formal charges
    bonds: np.ndarray  # [m, 3] int16: atom i < atom j, order 1, 2 or 3 (kekulised)
    smiles: str = ""  # of the source, may be empty
    properties: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.elements)
