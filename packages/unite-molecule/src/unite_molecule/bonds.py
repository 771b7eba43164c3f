"""Bonds from coordinates alone, by RDKit in processes that are killed when it hangs."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

from unite_molecule.conversion import to_rdkit
from unite_molecule.types import Molecule

REACH = 1.13
"""Bonds reach this far, in sums of covalent radii. Of 1,500 QM9 molecules 1,499 come back right;
with RDKit's default of 1.3, 1,408: it bonds across small rings."""

CONTEXT = multiprocessing.get_context("fork")


def determine(molecule: Molecule) -> Molecule | None:
    """The molecule with bonds and charges that RDKit perceives, None where it finds none.

    The total charge is kept. May take for ever: use `perceive`.
    """
    bare = replace(molecule, bonds=np.zeros((0, 3), dtype=np.int16))
    mol = to_rdkit(replace(bare, charges=np.zeros_like(molecule.charges)))
    try:
        with rdBase.BlockLogs():
            rdDetermineBonds.DetermineBonds(
                mol,
                charge=int(molecule.charges.sum()),
                useVdw=True,
                covFactor=REACH,
                embedChiral=False,
            )
            Chem.Kekulize(mol, clearAromaticFlags=True)
    except (ValueError, RuntimeError):  # RDKit's way to say that no assignment fits
        return None
    bonds = [
        (*sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())), int(b.GetBondTypeAsDouble()))
        for b in mol.GetBonds()
    ]
    return replace(
        molecule,
        charges=np.array([a.GetFormalCharge() for a in mol.GetAtoms()], dtype=np.int8),
        bonds=np.array(sorted(bonds), dtype=np.int16).reshape(-1, 3),
    )


def serve(connection: Connection, parents_end: Connection) -> None:
    """A worker's life: molecules in, molecules with bonds out, until the parent is gone."""
    parents_end.close()
    while True:
        try:
            molecule = connection.recv()
        except EOFError:
            return
        connection.send(determine(molecule))


def start_worker() -> tuple[BaseProcess, Connection]:
    """A fresh worker and our end of its pipe."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=serve, args=(theirs, ours), daemon=True)
    process.start()
    theirs.close()
    return process, ours


@dataclass
class Worker:
    """A process with at most one molecule in hand."""

    seconds: float
    row: int = -1
    deadline: float = 0.0
    process: BaseProcess = field(init=False)
    connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        self.process, self.connection = start_worker()

    def give(self, row: int, molecule: Molecule) -> None:
        """Starts on a molecule."""
        self.row, self.deadline = row, time.monotonic() + self.seconds
        self.connection.send(molecule)

    def result(self) -> Molecule | None:
        """The molecule in hand; None where there is no answer in time or the process died."""
        try:
            if self.connection.poll():
                answer: Molecule | None = self.connection.recv()
                return answer
        except (EOFError, ConnectionError):
            pass  # RDKit crashed: no answer, as when it hangs
        self.stop()
        self.process, self.connection = start_worker()
        return None

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def perceive(molecules: Sequence[Molecule], seconds: float = 5.0) -> list[Molecule | None]:
    """Each molecule with perceived bonds and charges, atoms in the same order.

    None where RDKit finds no bonds or takes longer than `seconds`.
    """
    results: list[Molecule | None] = [None] * len(molecules)
    waiting = iter(enumerate(molecules))
    count = min(os.cpu_count() or 1, len(molecules))
    idle, busy = [Worker(seconds) for _ in range(count)], list[Worker]()
    try:
        while True:
            while idle and (task := next(waiting, None)):
                busy.append(idle.pop())
                busy[-1].give(*task)
            if not busy:
                return results
            left = min(worker.deadline for worker in busy) - time.monotonic()
            answered = set(wait([worker.connection for worker in busy], max(left, 0.0)))
            now = time.monotonic()
            for worker in list(busy):
                if worker.connection in answered or now >= worker.deadline:
                    results[worker.row] = worker.result()
                    busy.remove(worker)
                    idle.append(worker)
    finally:
        for worker in idle + busy:
            worker.stop()
