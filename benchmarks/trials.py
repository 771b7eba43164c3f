"""Training runs that leave snapshots behind, and how good a model is."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from unite_core.config import RunConfig
from unite_core.model import UniteModel, build_model
from unite_core.training import Trainer
from unite_molecule.assignment import independent
from unite_molecule.chemistry import assess
from unite_molecule.metrics import by_bonds, by_distance
from unite_molecule.types import Molecule

SAMPLED = (
    "atom_stable",
    "molecule_stable",
    "bonds_as_distances",
    "edm_valid",
    "strict_valid",
    "strict_valid_unique",
    "unique_among_valid",
)
RECONSTRUCTED = ("match", "rmsd")
PIECE = 500
"""Molecules that are reconstructed at once."""


def trainer(config: RunConfig, output: Path) -> Trainer:
    """The trainer of a configuration, as the command line makes it."""
    model = build_model(config)
    return Trainer.of_run(config, model, model.modality.dataset("train"), output)


def snapshots(run: Path) -> dict[float, Path]:
    """The models RUN/model-<minutes> by their minutes of training."""
    found = {float(path.name.removeprefix("model-")): path for path in run.glob("model-*")}
    return dict(sorted(found.items()))


def train(config: RunConfig, output: Path, points: int) -> None:
    """Trains, or goes on, until `points` averaged models lie in `output`, evenly spaced in time."""
    run = trainer(config, output)

    def keep(average: Any, step: int) -> None:
        if int(run.fraction * points) > len(snapshots(output)):
            average.save_pretrained(output / f"model-{run.seconds / 60:.2f}")

    run.train("auto", keep)
    keep(run.ema.module, run.steps_done)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Elements, charges, hydrogens and bonds are each head's best class, not decided jointly."""
    with patch("unite_molecule.modality.assign", independent):
        yield


def judged(molecules: Sequence[Molecule]) -> dict[str, Any]:
    """The metrics of SAMPLED."""
    verdicts = [assess(molecule) for molecule in molecules]
    scores = {**by_distance(molecules), **by_bonds(verdicts, set())}
    return {name: scores[name] for name in SAMPLED}


def sampled(model: UniteModel, count: int, **how: Any) -> dict[str, Any]:
    """Metrics of `count` samples, with the seconds they took."""
    start = time.perf_counter()
    samples = model.generate(count, **how)
    return {"seconds": time.perf_counter() - start, **judged(samples)}


def held_out(model: UniteModel, count: int) -> dict[str, Any]:
    """The same metrics of `count` test molecules: the data's own row."""
    batch = model.modality.dataset("test").batch(np.arange(count), None)
    return {"seconds": None, **judged(model.modality.originals(batch))}


def reconstructed(model: UniteModel, count: int) -> dict[str, Any]:
    """Match rate and RMSD [A] of `count` test molecules."""
    modality = model.modality
    data = modality.dataset("test")
    originals, copies = [], []
    for rows in np.array_split(np.arange(count), -(-count // PIECE)):
        batch = data.batch(rows, None)
        originals += modality.originals(batch)
        copies += model.reconstruct(batch)
    scores = modality.score_reconstruction(modality.config, originals, copies)
    return {name: scores[name] for name in RECONSTRUCTED}
