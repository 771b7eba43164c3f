"""Readers of SDF and XYZ records: a bad record is counted by its fault, and the rest goes on."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from rdkit import Chem, rdBase

from unite_molecule.conversion import NOT_NUMBERS, check, from_rdkit
from unite_molecule.template import PERIODIC, Rejected
from unite_molecule.types import Molecule

HEAVIEST = 118
NUMBERS = {PERIODIC.GetElementSymbol(number): number for number in range(1, HEAVIEST + 1)}
GARBAGE = "unreadable record"
MISCOUNTED = "atom count that does not fit the atoms"

LONGEST_NUMBER = 18
"""Digits of a count that is read as a number."""

LONGEST_RECORD = 100_000
"""Lines of an SDF record; more are taken for a file that is no SDF."""


def sdf_records(lines: Iterable[str]) -> Iterator[list[str] | None]:
    """The records' lines, None in place of an endless one."""
    record: list[str] = []
    for line in lines:
        if line.startswith("$$$$"):
            yield record if len(record) <= LONGEST_RECORD else None
            record = []
        elif len(record) <= LONGEST_RECORD:
            record.append(line)
    if any(line.strip() for line in record):
        yield record if len(record) <= LONGEST_RECORD else None


def fault(record: list[str]) -> str:
    """Why RDKit could not read a record, as far as a V2000 record's atom lines tell."""
    count = record[3][:3].strip() if len(record) > 3 else ""
    atoms = record[4 : 4 + int(count)] if count.isdecimal() else []
    symbols = [line[31:34].strip() for line in atoms]
    if any(symbol.isalpha() and symbol not in NUMBERS for symbol in symbols):
        return "unknown element"
    if any(word in line[:30].lower() for line in atoms for word in ("nan", "inf")):
        return NOT_NUMBERS
    return GARBAGE


def read_record(record: list[str] | None) -> Molecule:
    """One SDF record, or Rejected."""
    if record is None:
        raise Rejected(GARBAGE)
    with rdBase.BlockLogs():
        mol = Chem.MolFromMolBlock("".join(record), sanitize=False, removeHs=False)
    if mol is None:
        raise Rejected(fault(record))
    try:
        return from_rdkit(mol)
    except RuntimeError as error:  # RDKit's own checks, on a record with query atoms or the like
        raise Rejected(GARBAGE) from error


def read_sdf(lines: Iterable[str], rejected: Counter[str]) -> Iterator[Molecule]:
    """The molecules of an SDF in canonical order."""
    for record in sdf_records(lines):
        try:
            yield read_record(record)
        except Rejected as reason:
            rejected[str(reason)] += 1


def atom_line(line: str) -> tuple[str, list[float]] | None:
    """Symbol and coordinates, or None where the line is something else."""
    words = line.replace("*^", "e").split()
    if len(words) < 4:
        return None
    try:
        return words[0], [float(word) for word in words[1:4]]
    except ValueError:
        return None


class Lines:
    """Lines with a look at the next one."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.source = iter(lines)
        self.next = next(self.source, None)

    def take(self) -> str:
        """The next line, empty at the end."""
        line, self.next = self.next, next(self.source, None)
        return line or ""


def read_frame(lines: Lines, count: int) -> Molecule:
    """The frame after a header of `count` atoms, or Rejected; the claim allocates nothing."""
    lines.take()
    symbols, coordinates = [], []
    while lines.next is not None and (atom := atom_line(lines.next)):
        lines.take()
        symbols.append(atom[0])
        coordinates.append(atom[1])
    if len(symbols) != count:
        raise Rejected(MISCOUNTED)
    elements = np.array([element_number(symbol) for symbol in symbols], dtype=np.uint8)
    positions = np.array(coordinates).reshape(-1, 3)
    check(elements, positions)
    return Molecule(
        elements=elements,
        coordinates=positions.astype(np.float32),
        charges=np.zeros(count, dtype=np.int8),
        bonds=np.zeros((0, 3), dtype=np.int16),
    )


def whole_number(word: str) -> int | None:
    """A number of digits alone; None for anything else, as for one that nothing can have."""
    return int(word) if word.isdecimal() and len(word) <= LONGEST_NUMBER else None


def element_number(word: str) -> int:
    """Atomic number of a symbol or number, 0 where there is no such element."""
    number = whole_number(word)
    if number is None:
        return NUMBERS.get(word.capitalize(), 0)
    return number if number <= HEAVIEST else 0


def read_xyz(lines: Iterable[str], rejected: Counter[str]) -> Iterator[Molecule]:
    """The frames of an XYZ in their own order, neutral and without bonds."""
    ahead, lost = Lines(lines), False
    while ahead.next is not None:
        header = ahead.take().strip()
        count = whole_number(header)
        if count is None:
            rejected[GARBAGE] += bool(header) and not lost
            lost = lost or bool(header)
            continue
        lost = False
        try:
            yield read_frame(ahead, count)
        except Rejected as reason:
            rejected[str(reason)] += 1
