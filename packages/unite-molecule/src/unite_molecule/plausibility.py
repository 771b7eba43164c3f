"""PoseBusters' opinion of geometry and strain (Buttenschoen et al. 2024)."""

import logging
from collections.abc import Sequence

from posebusters import PoseBusters
from rdkit import Chem

from unite_molecule.conversion import to_rdkit
from unite_molecule.killable import attempt
from unite_molecule.types import Molecule

SECONDS = 3.0
"""For a molecule: 0.1 will do, but a strained cage can be embedded for minutes, mostly in vain."""


def passed(molecule: Molecule) -> bool:
    """Whether a molecule that sanitises passes all checks."""
    logging.disable(logging.WARNING)  # each check that could not be made is also a NaN
    mol = to_rdkit(molecule)
    Chem.SanitizeMol(mol)
    checks = PoseBusters(config="mol").bust([mol]).to_numpy()
    return bool((checks == True).all())  # noqa: E712


def passes(molecules: Sequence[Molecule]) -> int:
    """How many molecules pass all checks; they must sanitise. One that takes too long fails."""
    return attempt(passed, molecules, SECONDS).count(True)
