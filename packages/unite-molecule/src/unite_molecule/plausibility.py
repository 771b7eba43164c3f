"""PoseBusters' opinion of geometry and strain (Buttenschoen et al. 2024)."""

import logging
import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

from posebusters import PoseBusters
from rdkit import Chem

from unite_molecule.conversion import to_rdkit
from unite_molecule.types import Molecule

LIMIT = 5.0
"""Seconds for a molecule: embedding a strained cage, in vain as a rule, can take minutes."""


def check(molecule: Molecule, answer: Connection) -> None:
    """Says whether a molecule that sanitises passes all checks; runs in a process of its own."""
    logging.disable(logging.WARNING)  # each check that could not be made is also a NaN
    mol = to_rdkit(molecule)
    Chem.SanitizeMol(mol)
    checks = PoseBusters(config="mol").bust([mol]).to_numpy()
    answer.send(bool((checks == True).all()))  # noqa: E712


def at_once(molecules: Sequence[Molecule]) -> int:
    """How many of a few molecules pass, each in a process that is killed after LIMIT."""
    # a forked worker has PoseBusters loaded, and needs no guard around the user's main module
    context = multiprocessing.get_context("fork")
    passed, running = 0, []
    for molecule in molecules:
        answer, question = context.Pipe(duplex=False)
        worker = context.Process(target=check, args=(molecule, question), daemon=True)
        worker.start()
        question.close()  # so that a worker that dies reads as the end of the pipe
        running.append((worker, answer))
    deadline = time.monotonic() + LIMIT
    for worker, answer in running:
        try:
            if answer.poll(max(0.0, deadline - time.monotonic())):
                passed += answer.recv()
        except EOFError:
            logging.warning("PoseBusters crashed on a molecule, which counts as failed")
        worker.kill()
        worker.join()
    return passed


def passes(molecules: Sequence[Molecule]) -> int:
    """How many molecules pass all checks; they must sanitise. One that takes too long fails."""
    workers = os.cpu_count() or 1
    starts = range(0, len(molecules), workers)
    return sum(at_once(molecules[start : start + workers]) for start in starts)
