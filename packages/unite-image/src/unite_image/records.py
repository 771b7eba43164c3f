"""What every source of images gives: records, not decoded yet, with classes and splits."""

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from unite_core.errors import DataError

from unite_image.decoding import UNREADABLE, Rejected, decode


@dataclass(frozen=True)
class Record:
    """One image: a file, its encoded content, or pixels uint8 [h, w, c].

    `label` is the class index, -1 where it is not known; `split` the place in `splits.SPLITS`.
    """

    name: str
    content: Path | bytes | np.ndarray
    label: int = -1
    split: int = 0

    def load(self) -> tuple[bytes, np.ndarray]:
        """The content that identifies the image, and its pixels uint8 [h, w, c]; or Rejected."""
        if isinstance(self.content, np.ndarray):
            return self.content.tobytes(), self.content
        content = self.content if isinstance(self.content, bytes) else read_bytes(self.content)
        return content, decode(content)


def read_bytes(path: Path) -> bytes:
    """What is in a file, or Rejected; a pipe or device, which might never end, is not read."""
    if not path.is_file():
        raise Rejected(UNREADABLE)
    try:
        return path.read_bytes()
    except OSError as error:
        raise Rejected(UNREADABLE) from error


@dataclass(frozen=True)
class Source:
    """Images with the names of their classes; `records` starts over at each call.

    `enlarge` says that images smaller than the resolution may be used all the same.
    """

    classes: list[str]
    records: Callable[[], Iterator[Record]]
    enlarge: bool = False


BROKEN = (
    *(OSError, ValueError, EOFError, pa.ArrowException),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    RuntimeError,  # zipfile's word for encryption, and for a compression that it does not know
)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """DataError, naming the file, for whatever the readers raise on a broken one."""
    try:
        yield
    except BROKEN as error:
        raise DataError(f"cannot read {path}: {error}") from error


def first_of(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """The first wanted name that is there."""
    return next((name for name in wanted if name in names), None)


def index_labels(
    values: np.ndarray, names: Sequence[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Class indices [n] of labels, -1 where there is none, with the names of the classes.

    Numbers count in `names` where these are given; otherwise each distinct label is a class.
    Negative numbers and empty strings are no label. DataError for labels of another kind.
    """
    if values.ndim != 1 or values.dtype.kind not in "iuU":
        raise DataError(f"labels are {values.dtype} {values.shape}: give a number or name to each")
    numbers = values.dtype.kind != "U"
    present = values >= 0 if numbers else values != ""
    if names is None or not numbers:
        known = np.unique(values[present])
        return np.where(present, np.searchsorted(known, values), -1), [str(k) for k in known]
    return np.where(present & (values < len(names)), values.astype(np.int64), -1), list(names)
