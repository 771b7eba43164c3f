"""Builds the cache of a data source once, and opens it."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from os.path import expanduser  # Path's own fails where there is no home directory
from pathlib import Path

import numpy as np
from unite_core.cache import prepared
from unite_core.errors import DataError, nearest

from unite_molecule.formats import READERS
from unite_molecule.own_data import read_files
from unite_molecule.qm9 import read_qm9
from unite_molecule.qm9_sources import read_hub, read_pyg
from unite_molecule.splits import own_rows, qm9_rows
from unite_molecule.store import MoleculeStore, Packed, write_store

VERSION = 1
"""Raised whenever the stored form changes; older caches are then built anew."""

Reader = Callable[[], tuple[Packed, Counter[str]]]

QM9_SOURCES: dict[str, Reader] = {"qm9": read_qm9, "qm9-hub": read_hub, "qm9-pyg": read_pyg}
REPORT = "report.json"


@dataclass(frozen=True)
class Report:
    """What became of a source's molecules."""

    source: str
    kept: int
    rejected: dict[str, int]  # by reason
    seconds: float

    def __str__(self) -> str:
        total = sum(self.rejected.values())
        lines = [f"{self.source}: kept {self.kept:,}, rejected {total:,} ({self.seconds:.0f} s)"]
        for reason, count in sorted(self.rejected.items(), key=lambda item: -item[1]):
            lines.append(f"  {count:,} {reason}")
        return "\n".join(lines)


def source_files(source: str) -> list[Path]:
    """The SDF and XYZ files of a path, or DataError."""
    path = Path(expanduser(source))
    if not path.exists():
        raise DataError(
            f"no data source {source!r}: neither a file or folder nor a known name"
            f"{nearest(source, QM9_SOURCES)}"
        )
    candidates = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [file for file in candidates if file.suffix.lower() in READERS and file.is_file()]
    if not files:
        raise DataError(f"no file ending in {' or '.join(READERS)} in {source!r}")
    return files


def cache_name(source: str) -> str:
    """The cache's directory: a path's also depends on its files' names, sizes and times."""
    if source in QM9_SOURCES:
        return f"{source}-v{VERSION}"
    digest = blake2b(digest_size=8)
    for file in source_files(source):
        status = file.stat()
        digest.update(f"{file.resolve()}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return f"path-{digest.hexdigest()}-v{VERSION}"


def read(source: str) -> tuple[Packed, Counter[str]]:
    """A source's molecules; DataError where none is usable."""
    if source in QM9_SOURCES:
        packed, rejected = QM9_SOURCES[source]()
    else:
        packed, rejected = read_files(source_files(source))
    if len(packed.index) == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
        raise DataError(f"{source!r} holds no usable molecule ({reasons or 'it is empty'})")
    return packed, rejected


def fill(source: str, directory: Path) -> None:
    """Writes the store of a source and its report; the source's own errors."""
    start = time.monotonic()
    packed, rejected = read(source)
    write_store(packed, directory)
    report = Report(source, len(packed.index), dict(rejected), time.monotonic() - start)
    (directory / REPORT).write_text(json.dumps(asdict(report)))


def cache(source: str) -> Path:
    """The directory with a source's store and report."""
    return prepared(cache_name(source), partial(fill, source))


def prepare(source: str) -> Report:
    """Builds the cache of a source where it is missing, and says what was kept and rejected.

    `source` is "qm9", "qm9-hub", "qm9-pyg", or a folder or file of SDF or XYZ. DataError where
    there is nothing to use, StorageError where the cache cannot be written.
    """
    return Report(**json.loads((cache(source) / REPORT).read_text()))


def open_store(source: str) -> MoleculeStore:
    """The molecules of a source, memory-mapped; prepares them where that was not done."""
    return MoleculeStore(cache(source))


def split_rows(store: MoleculeStore, source: str, split_name: str, split: str) -> np.ndarray:
    """Rows of "train", "validation" or "test", in a fixed random order.

    `split_name` ("adit", "edm") chooses among QM9's published splits; other sources are split
    80/10/10 by a hash of the SMILES. ConfigurationError for an unknown name.
    """
    if source in QM9_SOURCES:
        return qm9_rows(store, split_name, split)
    return own_rows(store, split)
