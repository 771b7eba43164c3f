"""The quality of generated molecules beside that of the data itself."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from unite_molecule import edm
from unite_molecule.chemistry import Verdict, assess
from unite_molecule.distributions import distances
from unite_molecule.reconstruction import score_reconstruction
from unite_molecule.types import Molecule

__all__ = ["score_reconstruction", "score_table"]


FEWEST = 10
"""Unseen molecules without which a rate of them would be chance."""


def distinct(verdicts: Iterable[Verdict]) -> int:
    """How many different molecules there are."""
    return len({verdict.smiles for verdict in verdicts})


def connections(molecule: Molecule) -> set[tuple[int, int]]:
    """Which atoms are bonded, whatever the order."""
    return {(first, second) for first, second, _ in molecule.bonds.tolist()}


def by_distance(molecules: Sequence[Molecule]) -> dict[str, float]:
    """EDM's metrics, and strict validity, of the bonds that distances say.

    `bonds_as_distances` is the share of molecules whose own bonds join the same pairs.
    """
    bonded, stable = edm.judge(molecules)
    same = [connections(a) == connections(b) for a, b in zip(molecules, bonded, strict=True)]
    verdicts = [assess(molecule) for molecule in bonded]
    count = len(molecules)
    return {
        "atom_stable": float(np.concatenate(stable).mean()),
        "molecule_stable": sum(len(s) > 0 and bool(s.all()) for s in stable) / count,
        "edm_valid": sum(v.whole for v in verdicts) / count,
        "edm_valid_unique": distinct(v for v in verdicts if v.whole) / count,
        "bonds_as_distances": sum(same) / count,
        "geometry_strict_valid": sum(v.strict for v in verdicts) / count,
    }


def by_bonds(verdicts: Sequence[Verdict], known_smiles: set[str]) -> dict[str, float]:
    """Lenient (ADiT-comparable) and strict validity of the molecules' own bonds."""
    count = len(verdicts)
    lenient = [v for v in verdicts if v.smiles is not None]
    strict = [v for v in verdicts if v.strict]
    novel = [v for v in strict if v.smiles not in known_smiles]
    return {
        "adit_valid": len(lenient) / count,
        "adit_valid_unique": distinct(lenient) / count,
        "strict_valid": len(strict) / count,
        "strict_valid_unique": distinct(strict) / count,
        "strict_valid_unique_novel": distinct(novel) / count,
        "unique_among_valid": distinct(strict) / max(len(strict), 1),
    }


def memorised(
    verdicts: Sequence[Verdict], known_smiles: set[str], unseen_smiles: set[str]
) -> dict[str, float]:
    """`held_out_rate`: the share of unseen molecules that were made to that of known ones.

    Strictly valid samples count, each molecule once. It is 1 where nothing is memorised, and absent
    where fewer than FEWEST unseen ones would be made then. Novelty cannot say that: a perfect model
    of QM9, which enumerates its kind, makes few molecules that are new.
    """
    made = {verdict.smiles for verdict in verdicts if verdict.strict}
    expected = len(made & known_smiles) * len(unseen_smiles) / max(len(known_smiles), 1)
    if expected < FEWEST:
        return {}
    return {"held_out_rate": len(made & unseen_smiles) / expected}


def plausible(
    molecules: Sequence[Molecule], verdicts: Sequence[Verdict], subset: int
) -> dict[str, float]:
    """Share of an evenly spaced subset that is strictly valid and passes all of PoseBusters."""
    # here, since PoseBusters takes a second to import
    from unite_molecule.plausibility import passes

    chosen = np.unique(np.linspace(0, len(molecules) - 1, subset).astype(int))
    passed = passes([molecules[i] for i in chosen if verdicts[i].strict])
    return {"posebusters": passed / len(chosen), "posebusters_molecules": len(chosen)}


def score(
    molecules: Sequence[Molecule], known_smiles: set[str], unseen_smiles: set[str], subset: int
) -> dict[str, Any]:
    """One row of the table, but for distances."""
    verdicts = [assess(molecule) for molecule in molecules]
    return {
        "molecules": len(molecules),
        **by_distance(molecules),
        **by_bonds(verdicts, known_smiles),
        **memorised(verdicts, known_smiles, unseen_smiles),
        **plausible(molecules, verdicts, subset),
    }


def score_table(
    samples: Sequence[Molecule],
    held_out: Sequence[Molecule],
    known_smiles: set[str],
    unseen_smiles: set[str],
    subset: int = 100,
) -> dict[str, dict[str, Any]]:
    """Row -> metric -> value: "samples", and "data", the held-out molecules judged alike.

    Every share is of all molecules of the row, but `atom_stable` (of atoms), `unique_among_valid`
    and `posebusters` (of `posebusters_molecules`, about `subset`). `known_smiles`, of the training,
    and `unseen_smiles`, all held out, are canonical, without stereo marks. The data's distances are
    from one half of it to the other, if it has two.
    """
    first, second = held_out[::2], held_out[1::2]
    halves = distances(first, second) if second else {}
    return {
        "samples": score(samples, known_smiles, unseen_smiles, subset)
        | distances(samples, held_out),
        "data": score(held_out, known_smiles, set(), subset) | halves,
    }
