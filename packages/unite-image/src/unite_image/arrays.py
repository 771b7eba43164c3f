"""Images in an .npz file of arrays, read one by one however large it is."""

import math
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from unite_core.errors import ConfigurationError, DataError

from unite_image.records import Record, Source, first_of, index_labels, reading

IMAGES = ("images", "x", "arr_0")  # the last as np.savez calls arrays without names
LABELS = ("labels", "y", "arr_1")
CLASSES = "classes"

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

DEFLATION = 1032
"""How many times larger the content of an .npz may be than the file, by its compression."""


@dataclass(frozen=True)
class Header:
    """What an array says of itself."""

    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype


def read_header(file: Any, name: str, path: Path) -> Header:
    """Of the array at which a file in `path` is open; DataError where it is not plain."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"it is .npy version {version}, not what np.savez writes")
        shape, columns_first, dtype = HEADERS[version](file)
        header = Header(tuple(map(int, shape)), columns_first, dtype)  # numpy takes True for 1
    except Exception as error:  # numpy reads it as Python, which raises many kinds
        raise DataError(f"{path}: cannot read array {name!r}: {error}") from error
    if header.dtype.hasobject:
        raise DataError(f"{path}: array {name!r} holds pickled objects, which are not loaded")
    size = math.prod(header.shape) * header.dtype.itemsize
    if min(header.shape, default=0) < 0 or size > DEFLATION * path.stat().st_size:
        raise DataError(f"{path}: array {name!r} is too short for its shape {header.shape}")
    return header


def check_images(header: Header, path: Path) -> None:
    """DataError where an array is not one of images."""
    shape, dtype = header.shape, header.dtype
    plain = len(shape) in (3, 4) and shape[3:] in ((), (1,), (3,)) and 0 not in shape[1:]
    if dtype != np.uint8 or not plain:
        raise DataError(
            f"the images in {path} are {dtype} {list(shape)}: "
            "save uint8 [n, h, w], [n, h, w, 1] or [n, h, w, 3]"
        )
    if header.columns_first:
        raise DataError(f"the images in {path} are in Fortran order: save np.ascontiguousarray")


def read_array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray:
    """A small array, whole; DataError where it is not plain."""
    with archive.open(f"{name}.npy") as file:
        header = read_header(file, name, path)
        content = file.read(math.prod(header.shape) * header.dtype.itemsize)
    if header.dtype.kind == "U":
        letters = np.frombuffer(content, header.dtype.str[0] + "u4")
        if letters.max(initial=0) > sys.maxunicode:  # numpy would take it, and fail later
            raise DataError(f"{path}: array {name!r} holds text that is no Unicode")
    order: Literal["C", "F"] = "F" if header.columns_first else "C"
    array = np.frombuffer(content, header.dtype).reshape(header.shape, order=order)
    return array.copy()  # for torch, which wants memory that can be written


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays in an .npz."""
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Small arrays of an .npz; DataError where one is missing or not plain."""
    with reading(path), zipfile.ZipFile(path) as archive:
        missing = set(names) - set(array_names(archive))
        if missing:
            raise DataError(f"no array {min(missing)} in {path}")
        return [read_array(archive, name, path) for name in names]


def read_labels(
    archive: zipfile.ZipFile, names: list[str], path: Path
) -> tuple[np.ndarray, list[str]] | None:
    """Class indices and the classes' names, None where the file has no labels."""
    label = first_of(LABELS, names)
    if label is None:
        return None
    classes = read_array(archive, CLASSES, path) if CLASSES in names else None
    if classes is not None and (classes.ndim != 1 or classes.dtype.kind not in "iuU"):
        raise DataError(
            f"{CLASSES!r} in {path} are {classes.dtype} {list(classes.shape)}: give names"
        )
    known = None if classes is None else [str(name) for name in classes]
    return index_labels(read_array(archive, label, path), known)


def array_source(path: Path) -> Source:
    """`images` or `x` uint8 [n, h, w(, c)], with `labels` or `y` [n] and `classes` [C] or not.

    ConfigurationError where there is no such array, DataError where it is of another kind.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        names = array_names(archive)
        key = first_of(IMAGES, names)
        if key is None:
            raise ConfigurationError(
                f"no array {' or '.join(IMAGES)} in {path}: it has {', '.join(sorted(names))}"
            )
        with archive.open(f"{key}.npy") as file:
            header = read_header(file, key, path)
        check_images(header, path)
        shape, channels = header.shape, math.prod(header.shape[3:])
        found = read_labels(archive, names, path)
        labels, classes = (np.full(shape[0], -1), []) if found is None else found
        if len(labels) != shape[0]:
            raise DataError(f"{path} has {shape[0]} images but {len(labels)} labels")

    def records() -> Iterator[Record]:
        with reading(path), zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            read_header(file, key, path)
            for row, label in enumerate(labels.tolist()):
                content = file.read(math.prod(shape[1:]))
                if len(content) < math.prod(shape[1:]):
                    raise EOFError(f"it ends in image {row} of {shape[0]}")
                pixels = np.frombuffer(content, np.uint8).reshape(*shape[1:3], channels)
                yield Record(f"{path} image {row}", pixels, label)

    return Source(classes, records)
