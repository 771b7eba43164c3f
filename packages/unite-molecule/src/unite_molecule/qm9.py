"""QM9 from the package qm9pack: 130,831 relaxed molecules with properties (B3LYP/6-31G(2df,p))."""

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from unite_core.errors import DataError

from unite_molecule.killable import follow, own_cores
from unite_molecule.store import Packed, join, pack
from unite_molecule.template import PERIODIC, Rejected, from_template
from unite_molecule.types import Molecule

PROPERTIES = {
    "mu": "Dipole_debye",  # debye
    "alpha": "Polarizability_bohr3",  # bohr^3
    "homo": "HOMO_au",  # hartree
    "lumo": "LUMO_au",  # hartree
    "gap": "HOMO_LUMO_gap_au",  # hartree
    "cv": "Heatcapacity_Cv_cal_mol_K",  # cal / (mol K)
}
COLUMNS = ["Index", "SMILES", "N_atoms", "Elements", "XYZ_Ang", *PROPERTIES.values()]

CHUNK = 1000
"""Molecules that a worker process takes at once."""


@dataclass(frozen=True)
class Records:
    """Molecules before their bonds are known: what every QM9 source gives."""

    index: np.ndarray  # [N], GDB-9 number
    smiles: list[str]
    counts: np.ndarray  # [N], atoms
    elements: np.ndarray  # [A], atomic numbers
    coordinates: np.ndarray  # [A, 3], angstrom
    properties: dict[str, np.ndarray]  # [N] each

    def chunks(self) -> Iterator["Records"]:
        """The same in pieces."""
        ends = np.concatenate([[0], np.cumsum(self.counts)])
        for start in range(0, len(self.index), CHUNK):
            rows = slice(start, start + CHUNK)
            atoms = slice(ends[start], ends[min(start + CHUNK, len(self.index))])
            yield Records(
                self.index[rows],
                self.smiles[rows],
                self.counts[rows],
                self.elements[atoms],
                self.coordinates[atoms],
                {name: values[rows] for name, values in self.properties.items()},
            )


def data_folder() -> Path:
    """Where qm9pack keeps its tables. It is not imported: that needs the removed pkg_resources."""
    spec = find_spec("qm9pack")
    if spec is None or spec.origin is None:
        raise DataError("QM9 needs the package qm9pack: pip install qm9pack==1.0.3")
    return Path(spec.origin).parent / "data"


def read_records(folder: Path) -> Records:
    """The tables of `folder`, by Index."""
    paths = sorted(folder.glob("qm9_part*.csv"))
    if not paths:
        raise DataError(
            f"no qm9_part*.csv in {folder}: pip install --force-reinstall qm9pack==1.0.3"
        )
    wanted = csv.ConvertOptions(include_columns=COLUMNS)
    table = pa.concat_tables([csv.read_csv(path, convert_options=wanted) for path in paths])
    table = table.sort_by("Index")
    counts = table["N_atoms"].to_numpy()
    symbols = np.array(json.loads(flat_list(table["Elements"]).replace("'", '"')))
    return Records(
        index=table["Index"].to_numpy(),
        smiles=table["SMILES"].to_pylist(),
        counts=counts,
        elements=atomic_numbers(symbols),
        coordinates=read_coordinates(table["XYZ_Ang"], counts),
        properties={name: table[column].to_numpy() for name, column in PROPERTIES.items()},
    )


def atomic_numbers(symbols: np.ndarray) -> np.ndarray:
    """Element symbols [A] as atomic numbers [A]."""
    kinds, which = np.unique(symbols, return_inverse=True)
    numbers: np.ndarray = np.array([PERIODIC.GetAtomicNumber(str(kind)) for kind in kinds])[which]
    return numbers


def flat_list(column: pa.ChunkedArray) -> str:
    """The lists of a text column as one list."""
    return "[" + ",".join(column.to_pylist()).translate(str.maketrans("", "", "[]")) + "]"


def read_coordinates(column: pa.ChunkedArray, counts: np.ndarray) -> np.ndarray:
    """Numbers of "[[x,y,z],...]" texts [A, 3], in Mathematica's notation: 8.4*^-6."""
    commas = pc.count_substring(column, ",").to_numpy()
    if not np.array_equal(commas + 1, 3 * counts):
        row = int(np.flatnonzero(commas + 1 != 3 * counts)[0])
        raise DataError(f"QM9 row {row}: atom count and coordinates disagree; reinstall qm9pack")
    text = flat_list(pc.replace_substring(column, "*^", "e"))[1:-1]
    return np.fromstring(text, sep=",").reshape(-1, 3)


def assign(records: Records) -> tuple[Packed, Counter[str]]:
    """Molecules of some records, and how many were rejected for which reason."""
    ends = np.cumsum(records.counts)[:-1]
    elements = np.split(records.elements, ends)
    coordinates = np.split(records.coordinates, ends)
    molecules: list[Molecule] = []
    index: list[int] = []
    reasons: Counter[str] = Counter()
    for row, number in enumerate(records.index):
        try:
            molecule = from_template(records.smiles[row], elements[row], coordinates[row])
        except Rejected as reason:
            reasons[str(reason)] += 1
            continue
        molecule.properties.update((k, float(v[row])) for k, v in records.properties.items())
        molecules.append(molecule)
        index.append(int(number))
    return pack(molecules, index), reasons


def assign_all(records: Records) -> tuple[Packed, Counter[str]]:
    """The same for many records, on every core."""
    # a forked worker needs no guard around the user's main module
    start = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(
        own_cores(), mp_context=start, initializer=follow, initargs=(os.getpid(),)
    ) as workers:
        results = list(workers.map(assign, records.chunks()))
    reasons: Counter[str] = Counter()
    for _, found in results:
        reasons.update(found)
    return join([packed for packed, _ in results if len(packed.index)]), reasons


def read_qm9() -> tuple[Packed, Counter[str]]:
    """All of QM9 with bonds, and what was rejected."""
    return assign_all(read_records(data_folder()))
